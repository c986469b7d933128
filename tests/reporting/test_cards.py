"""Cards say what the run recorded, hostile names included, and name no folder of the machine."""

import re

import pytest
import yaml

from patchrl import api
from patchrl.config import resolve, to_toml
from patchrl.reporting import cards

HOSTILE = "x](http://evil)<img src=a onerror=b>|`c`\n---\nlicense: mit # *d*"


def head(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def test_a_dataset_card_of_the_recorded_run_holds_its_counts_and_figures():
    run = api.open_run(api.RECORDED_ID)
    rows, result = run.samples("rl", 0), run.result()
    card = cards.dataset_card(run.config, "rl", 0, rows, result)
    assert head(card)["configs"][0]["data_files"] == [{"split": "train", "path": "train.parquet"}]
    assert "license" not in head(card) and "# license:" in card and "None is set" in card
    accepted = sum(row["decision"] == "accepted" for row in rows)
    assert f"512: {accepted} accepted, {512 - accepted} fell back to the expert's text, 0 dropped" in card
    ours = result["arms"]["rl"]
    for value in (ours["target"]["mean"], ours["general"]["mean"], ours["forgetting"]["absolute"]):
        assert f"{round(100 * value, 1) + 0.0:.1f}" in card  # 0.0, not -0.0
    assert "Best-of-K" not in card  # other arms are the report's
    assert re.search(r"```toml\n" + re.escape(to_toml(run.config).strip()) + r"\n```", card)


def test_a_study_without_results_says_so():
    card = cards.adapter_card(resolve({}), "rl", 1, [], None)
    assert "Nothing yet" in card and "not rewritten yet" in card and "| Seed | 1 |" in card


def test_only_a_backbone_of_the_hub_is_named_as_base_model(tmp_path):
    def base(model: str) -> str | None:
        return head(cards.adapter_card(resolve({"backbone": {"model": model}}), "rl", 0, [], None)).get("base_model")

    assert base("Qwen/Qwen2.5-0.5B-Instruct") == "Qwen/Qwen2.5-0.5B-Instruct"
    assert base("nano") is None and base(str(tmp_path)) is None


def test_folders_of_the_machine_are_cut_to_names(tmp_path):
    config = resolve(
        {
            "backbone": {"model": str(tmp_path / "model")},
            "data": {"dataset": str(tmp_path / "mine.jsonl")},
            "evaluate": {"general": [str(tmp_path / "skills.jsonl")]},
        }
    )
    for card in (cards.dataset_card(config, "rl", 0, [], None), cards.adapter_card(config, "rl", 0, [], None)):
        assert str(tmp_path) not in card and "mine.jsonl" in card and 'general = ["skills.jsonl"]' in card


def test_text_of_names_and_settings_stays_text():
    config = resolve({"data": {"dataset": HOSTILE}, "rewriter": {"instruction": "Restate it. ```\n# Not a title\n```"}})
    for card in (cards.dataset_card(config, "rl", 0, [], None), cards.adapter_card(config, "rl", 0, [], None)):
        assert "license" not in head(card)
        outside = re.sub(r"^(`{3,})\w+\n.*?^\1$", "", card.split("---\n", 2)[2], flags=re.S | re.M)
        assert "<img" not in outside.replace("\\<img", "") and "# Not a title" not in outside
        assert "](http://evil)" not in outside.replace("\\](http\\://evil)", "")
    name = head(cards.dataset_card(config, "rl", 0, [], None))["pretty_name"]
    assert name == f"{' '.join(HOSTILE.split())}, rewritten by PatchRL"


@pytest.mark.parametrize(
    "text", ["a|b", "`x`", "[a](b)", "<b>", "*a* _b_", "~~a~~", "&amp;", "@someone", "https://a.b"]
)
def test_plain_escapes_everything_markdown_reads(text):
    assert re.sub(r"\\(.)", r"\1", cards.plain(text)) == text
    assert not re.search(r"(?<!\\)[|`\[\]<*_~&@]|(?<!\\):(?=//)", cards.plain(text))

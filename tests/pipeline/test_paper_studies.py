"""The studies of docs/reproduce-the-paper.md can be started, as far as that shows without a download."""

import json
from pathlib import Path

import pytest

from examples.paper import cost
from patchrl.config import load_config
from patchrl.pipeline.plan import plan
from patchrl.pipeline.preflight import preflight

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "examples/paper").glob("*.toml"))
WITHOUT_HARNESS = ["evaluate.target=['held-out']", "evaluate.general=['everyday']"]


@pytest.fixture
def rows(tmp_path):
    """A file with the columns of the Hub's data."""
    path = tmp_path / "rows.jsonl"
    solutions = [(n, f"We add one: ${n} + 1 = {n + 1}$, so it is $\\boxed{{{n + 1}}}$.") for n in range(900)]
    path.write_text(
        "".join(
            json.dumps({"source": "made", "problem": f"What is {n} + 1?", "solution": text, "messages": []}) + "\n"
            for n, text in solutions
        ),
        encoding="utf-8",
    )
    return str(path)


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_a_study_of_the_paper_passes_the_check_and_has_the_paper_s_rollouts(study, rows):
    config = load_config(study, [f"data.dataset={rows}", "data.train_size=600", *WITHOUT_HARNESS])
    card = preflight(config)
    assert card["problems"] == []
    assert card["rows"]["train"] == 600
    assert card["columns"] == {"question": "problem", "solution": "solution"}
    assert [(step.stage, step.subject) for step in plan(config) if step.stage == "train"] == [("train", "rl-paper")]
    assert config.rewriter.rollouts_per_step == 5120


@pytest.mark.parametrize("k", [5, 10])
@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_eight_gpus_share_whole_groups_in_whole_microbatches(study, k):
    assert load_config(study, [f"rewriter.group_size={k}"]).rewriter.rollouts_per_process(8) == 64 * k


@pytest.mark.slow
def test_the_harness_has_the_tasks(rows):
    pytest.importorskip("lm_eval")
    configs = [load_config(study, [f"data.dataset={rows}", "data.train_size=600"]) for study in STUDIES]
    assert len({config.evaluate.model_dump_json() for config in configs}) == 1
    assert preflight(configs[0])["problems"] == []


def test_the_table_of_costs_is_what_the_model_computes():
    page = (ROOT / "docs/reproduce-the-paper.md").read_text(encoding="utf-8")
    assert f"<!-- cost -->\n\n{cost.table()}\n\n<!-- /cost -->" in page

"""Pushes to a Hub on loopback: one commit, private, the right token, and one sentence for every refusal."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.loopback import CREATE, READ_ONLY, TOKEN, VALIDATE
from helpers.synthetic import finished_run

from patchrl import api
from patchrl.errors import HubError, RunError
from patchrl.nano import BACKBONE_FOLDER


@pytest.fixture
def run(runs_dir):
    return api.open_run(finished_run(runs_dir, 40))


@pytest.fixture
def adapter(run):
    """A LoRA adapter of the nano backbone in the run's folder, as training leaves it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(nano())
    adapted = get_peft_model(
        model, LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], init_lora_weights=False)
    )
    home = run.folder.adapter(0)
    adapted.save_pretrained(home)
    run.folder.write_json(home / "done.json", {})
    return home


def nano() -> Path:
    return BACKBONE_FOLDER


def test_a_dataset_is_one_private_commit_that_load_dataset_reads(fake_hub, run, tmp_path):
    steps: list[str] = []
    address = run.push("dataset", "alice/rows", token=TOKEN, on_step=steps.append)
    assert address == f"{fake_hub.url}/datasets/alice/rows"
    (repo,) = fake_hub.repos.values()
    assert repo["private"] and set(repo["commits"][0]) == {"README.md", "train.jsonl", "train.parquet"}
    assert len(steps) == 2 and "Uploading 3 files" in steps[1]
    folder = fake_hub.files("dataset", "alice/rows", tmp_path / "pushed")
    from datasets import load_dataset

    rows = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))["train"]
    assert len(rows) == 40 and rows[0]["messages"][1]["role"] == "assistant"
    assert rows[4]["source"] == "expert" and rows[0]["source"] == "rewrite"


def test_an_adapter_works_on_the_backbone_after_its_journey(fake_hub, run, adapter, tmp_path):
    import torch
    from huggingface_hub import ModelCard
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    run.push("adapter", "alice/rewriter", token=TOKEN, private=False)
    assert not fake_hub.repos["model", "alice/rewriter"]["private"]
    folder = fake_hub.files("model", "alice/rewriter", tmp_path / "pushed")
    ids = torch.arange(5, 12)[None]

    def logits(home):
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(nano()), home).eval()
        with torch.no_grad():
            return model(ids).logits, model.disable_adapter()

    (before, _), (after, _) = logits(adapter), logits(folder)
    with torch.no_grad():
        plain = AutoModelForCausalLM.from_pretrained(nano()).eval()(ids).logits
    assert torch.equal(before, after) and not torch.allclose(after, plain)
    assert ModelCard.load(folder / "README.md").data.library_name == "peft"
    # No folder of this machine goes along: PEFT's own settings and card name one.
    assert str(nano()).encode() in (adapter / "adapter_config.json").read_bytes()
    assert all(str(nano().parent).encode() not in path.read_bytes() for path in folder.iterdir())


def test_a_second_push_adds_a_commit_to_the_same_repository(fake_hub, run):
    for _ in range(2):
        run.push("dataset", "alice/rows", token=TOKEN)
    assert [len(repo["commits"]) for repo in fake_hub.repos.values()] == [2]


@pytest.mark.parametrize(("there", "private"), [(False, True), (True, False)])
def test_a_repository_of_the_other_visibility_gets_nothing(fake_hub, run, there, private):
    fake_hub.repos["dataset", "alice/rows"] = {"private": there, "commits": []}
    with pytest.raises(HubError, match=f"exists and is {'private' if there else 'public'}"):
        run.push("dataset", "alice/rows", token=TOKEN, private=private)
    assert fake_hub.repos["dataset", "alice/rows"] == {"private": there, "commits": []}


@pytest.mark.parametrize(
    ("repo", "token", "words"),
    [
        ("alice/rows", "hf_unknown", "does not accept this token"),
        ("alice/rows", READ_ONLY, "may not write to alice/rows"),
        ("bob/rows", TOKEN, "write access to bob"),
        ("alice/taken", TOKEN, "its name is taken"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence_and_no_commit(fake_hub, run, repo, token, words):
    fake_hub.taken.add("alice/taken")
    with pytest.raises(HubError, match=words) as caught:
        run.push("dataset", repo, token=token)
    assert "\n" not in str(caught.value) and token not in str(caught.value)
    assert not any(adapted["commits"] for adapted in fake_hub.repos.values())


@pytest.mark.parametrize(
    ("end", "status", "words"),
    [
        (CREATE, 503, "busy or out of order"),
        ("/commit/main", 403, "may not write"),
        ("/commit/main", 422, "the reason"),
    ],
)
def test_a_failure_on_the_way_leaves_no_half_commit(fake_hub, run, end, status, words):
    fake_hub.fails[end] = status
    with pytest.raises(HubError, match=words):
        run.push("dataset", "alice/rows", token=TOKEN)
    assert not any(adapted["commits"] for adapted in fake_hub.repos.values())


def test_a_card_the_hub_refuses_is_told(fake_hub, run):
    fake_hub.fails[VALIDATE] = 400
    with pytest.raises(HubError, match="refuses the card"):
        run.push("dataset", "alice/rows", token=TOKEN)


def test_offline_and_unreachable_are_told_apart(fake_hub, run, monkeypatch):
    from huggingface_hub import constants

    fake_hub.close()
    with pytest.raises(HubError, match="does not answer"):
        run.push("dataset", "alice/rows", token=TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE"):
        run.push("dataset", "alice/rows", token=TOKEN)


@pytest.mark.parametrize(
    "repo",
    ["rows", "alice/", "/rows", "a/b/c", "alice/../x", "alice/ro ws", "alice/x--y", "alice/x.git", "-a/b", "a/b\n"],
)
def test_a_name_no_repository_can_have_asks_nobody(fake_hub, run, repo):
    with pytest.raises(HubError, match="write OWNER/NAME"):
        run.push("dataset", repo, token=TOKEN)
    assert fake_hub.asked == []


def test_what_the_run_has_not_made_asks_nobody(fake_hub, run):
    for kind, arm, words in (
        ("adapter", "rl", "no trained rewriter"),
        ("adapter", "prompted", "trains no rewriter"),
        ("dataset", "prompted", "no rewrites of arm 'prompted'"),
        ("dataset", "mind-the-gap", "has no targets of arm"),
    ):
        with pytest.raises(RunError, match=words):
            run.push(kind, "alice/rows", arm=arm, token=TOKEN)
    with pytest.raises(HubError, match="choose one of dataset, adapter"):
        run.push("weights", "alice/rows", token=TOKEN)
    with pytest.raises(RunError, match="a recording without weights"):
        api.open_run("recorded-smollm2").push("adapter", "alice/rows", token=TOKEN)
    assert fake_hub.asked == []


def test_the_owners_login_is_used_at_home_and_never_on_a_space(fake_hub, run, monkeypatch):
    with pytest.raises(HubError, match="hf auth login"):
        run.push("dataset", "alice/rows")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    run.push("dataset", "alice/rows")
    assert {token for _, token in fake_hub.asked} == {TOKEN}
    fake_hub.asked.clear()
    monkeypatch.setenv("SPACE_ID", "someone/patchrl")
    with pytest.raises(HubError, match="Sign in first"):
        run.push("dataset", "alice/rows")
    assert fake_hub.asked == []


def test_the_token_is_nowhere_afterwards(fake_hub, run, runs_dir, adapter, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    run.push("dataset", "alice/rows", token=TOKEN)
    run.push("adapter", "alice/rewriter", token=TOKEN)
    fake_hub.fails["/commit/main"] = 500
    with pytest.raises(HubError):
        run.push("dataset", "alice/more", token=TOKEN)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert runs_dir.is_relative_to(tmp_path) and len(kept) > 5
    pushed = [data for repo in fake_hub.repos.values() for files in repo["commits"] for data in files.values()]
    output = capfd.readouterr()
    heard = [caplog.text.encode(), output.out.encode(), output.err.encode()]
    assert not any(TOKEN.encode() in data for data in [*pushed, *heard, *(path.read_bytes() for path in kept)])


def test_opening_the_doors_does_not_load_the_hub_client():
    code = "import sys, patchrl.api, patchrl.cli.main; print('huggingface_hub' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

"""The whole path on a user's own backbone and data, without the nano lab."""

import json

import pytest
import tiny

from patchrl.config import resolve
from patchrl.errors import StopRequested
from patchrl.runs.embeddings import read_embeddings
from patchrl.runs.folder import RunFolder
from patchrl.runs.lines import row_by_id
from patchrl.runs.recorder import RunRecorder
from patchrl.study import run_study


def own_study(tmp_path, shared_data, **changes):
    rows = (shared_data / "gsm8k_train.jsonl").read_text(encoding="utf-8").splitlines()[:40]
    (tmp_path / "gsm8k.jsonl").write_text("\n".join(rows), encoding="utf-8")
    items = [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(12)]
    (tmp_path / "general.jsonl").write_text("\n".join(map(json.dumps, items)), encoding="utf-8")
    values = {
        "study": {"name": "own", "seeds": [0], "arms": ["expert", "prompted", "best-of-k", "rl"]},
        "backbone": {"model": str(tiny.save("qwen2", tmp_path / "backbone"))},
        "data": {"dataset": str(tmp_path / "gsm8k.jsonl"), "train_size": 16, "eval_size": 8},
        "rewriter": {"steps": 2, "prompts_per_step": 2, "group_size": 2, "max_new_tokens": 8},
        "rewrite": {"best_of_k": 2},
        "finetune": {"epochs": 1, "batch_size": 8, "max_length": 256},
        "evaluate": {"general": [str(tmp_path / "general.jsonl")], "max_new_tokens": 8, "bootstrap": 100},
    }
    for path, value in changes.items():
        section, key = path.split("__")
        values[section][key] = value
    config = resolve(values)
    return config, RunFolder.create(tmp_path / "runs", config, "own")


def test_tiny_qwen2_on_real_gsm8k_rows_goes_through_every_stage(tmp_path, shared_data):
    config, folder = own_study(tmp_path, shared_data)
    run_study(config, folder, RunRecorder(folder))
    result = json.loads(folder.result.read_text(encoding="utf-8"))
    assert set(result["arms"]) == {"expert", "prompted", "best-of-k", "rl"}
    assert len(result["curve"]) == 2
    for arm in result["arms"].values():
        assert arm["data"]["nll"] > 0
        assert set(arm["forgetting"]) == {"absolute", "relative", "share_avoided", "ci95"}
    # Random weights cannot rewrite: every example must have fallen back to its expert solution.
    rows = [json.loads(line) for line in folder.samples("rl", 0).read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 16
    assert all(r["target"] == (r["rewrite"] if r["decision"] == "accepted" else r["expert"]) for r in rows)
    assert "<html" in folder.report.read_text(encoding="utf-8").lower()
    found = read_embeddings(folder, ("rl",))
    assert {name: len(ids) for name, (ids, _) in found.items()} == {"expert": 16, "own": 16, "prompted": 16, "rl": 16}
    scan = folder.read_json(folder.scan)
    assert len(scan["prompted_nll"]) == len(scan["expert_nll"]) == 16
    assert row_by_id(folder.surprisal("rl", 0), rows[-1]["id"])["expert"]


def test_finished_steps_are_not_done_again(tmp_path, shared_data):
    config, folder = own_study(tmp_path, shared_data, study__arms=["expert", "prompted"])
    run_study(config, folder, RunRecorder(folder), upto="rewrite")
    before = folder.samples("prompted", 0).stat().st_mtime_ns
    assert not folder.result.exists()
    run_study(config, folder, RunRecorder(folder))
    assert folder.samples("prompted", 0).stat().st_mtime_ns == before
    assert folder.result.exists()


def test_a_request_to_stop_leaves_a_checkpoint_from_which_training_goes_on(tmp_path, shared_data):
    config, folder = own_study(tmp_path, shared_data, study__arms=["expert", "rl"], rewriter__steps=4)

    class StopAfterTwo(RunRecorder):
        steps = 0

        def event(self, kind, **fields):
            self.steps += kind == "train"
            super().event(kind, **fields)

        def stop_requested(self):
            return self.steps >= 1

    with pytest.raises(StopRequested, match="step 2 of 4"):
        run_study(config, folder, StopAfterTwo(folder), upto="train")
    assert not (folder.adapter(0) / "done.json").exists()
    run_study(config, folder, RunRecorder(folder), upto="train")
    steps = [json.loads(line)["step"] for line in folder.events.read_text().splitlines() if '"kind": "train"' in line]
    assert steps == [1, 2, 3, 4]
    assert (folder.adapter(0) / "adapter_model.safetensors").exists()

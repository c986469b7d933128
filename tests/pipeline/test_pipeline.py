"""The whole path on a user's own backbone and data, without the nano lab."""

import json
from pathlib import Path

import pytest
import torch
from helpers import tiny

from patchrl.api import Run
from patchrl.config import resolve
from patchrl.config.arms import OFFERED, ON_POLICY, REWRITERS, SOURCES
from patchrl.errors import RunError, StopRequested
from patchrl.pipeline.plan import Step
from patchrl.pipeline.study import run_study
from patchrl.runs.checkpoints import TRAINER, mark_whole, newest_checkpoint
from patchrl.runs.embeddings import read_embeddings
from patchrl.runs.folder import RunFolder
from patchrl.runs.jsonl import row_by_id
from patchrl.runs.recorder import RunRecorder

pytestmark = pytest.mark.slow

OWN_DATA = Path(__file__).parents[2] / "examples" / "own-data.jsonl"


def own_study(tmp_path, **changes):
    items = [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(12)]
    (tmp_path / "general.jsonl").write_text("\n".join(map(json.dumps, items)), encoding="utf-8")
    values = {
        "study": {"name": "own", "seeds": [0], "arms": ["expert", "prompted", "best-of-k", "rl"]},
        "backbone": {"model": str(tiny.save("qwen2", tmp_path / "backbone"))},
        "data": {"dataset": str(OWN_DATA), "train_size": 16, "eval_size": 8},
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


def test_a_tiny_qwen2_on_own_rows_goes_through_every_stage(tmp_path):
    config, folder = own_study(tmp_path)
    run_study(config, folder, RunRecorder(folder))
    result = json.loads(folder.result.read_text(encoding="utf-8"))
    assert set(result["arms"]) == {"expert", "prompted", "best-of-k", "rl"}
    assert len(result["curve"]) == 2
    for arm in result["arms"].values():
        assert arm["data"]["nll"] > 0
        assert {"absolute", "relative", "share_avoided", "ci95"} <= set(arm["forgetting"])
    # Random weights cannot rewrite: every example must have fallen back to its expert solution.
    rows = [json.loads(line) for line in folder.samples("rl", 0).read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 16
    assert all(r["target"] == (r["rewrite"] if r["decision"] == "accepted" else r["expert"]) for r in rows)
    assert "<html" in folder.report.read_text(encoding="utf-8").lower()
    embeddings = read_embeddings(folder, ("rl",))
    assert {name: len(ids) for name, (ids, _) in embeddings.items()} == {
        "expert": 16,
        "own": 16,
        "prompted": 16,
        "rl": 16,
    }
    scan = folder.read_json(folder.scan)
    assert len(scan["prompted_nll"]) == len(scan["expert_nll"]) == 16
    assert row_by_id(folder.surprisal("rl", 0), rows[-1]["id"])["expert"]


def test_finished_steps_are_not_done_again(tmp_path):
    config, folder = own_study(tmp_path, study__arms=["expert", "prompted"])
    run_study(config, folder, RunRecorder(folder), upto="rewrite")
    before = folder.samples("prompted", 0).stat().st_mtime_ns
    assert not folder.result.exists()
    run_study(config, folder, RunRecorder(folder))
    assert folder.samples("prompted", 0).stat().st_mtime_ns == before
    assert folder.result.exists()
    folder.targets("prompted", 0).write_text("{")  # a summary that is cut proves nothing: its step is done again
    run_study(config, folder, RunRecorder(folder))
    assert folder.samples("prompted", 0).stat().st_mtime_ns > before
    assert folder.read_json(folder.targets("prompted", 0))["tokens"] > 0


def test_a_run_to_an_earlier_stage_leaves_what_later_steps_have_begun(tmp_path):
    config, folder = own_study(tmp_path, study__arms=["expert"], finetune__keep_weights=False)
    run_study(config, folder, RunRecorder(folder), upto="scan")
    done = Step("scan")
    begun = [Step("finetune", 0, "expert"), Step("evaluate", 0, "expert")]
    files = [folder.arm("expert", 0) / name / "file" for name in (TRAINER, "weights")]
    for path in [*files, *(step.journal(folder) for step in (done, *begun))]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    run_study(config, folder, RunRecorder(folder), upto="scan")
    assert all(path.exists() for path in files) and all(step.journal(folder).exists() for step in begun)
    assert not done.journal(folder).exists()


def test_a_request_to_stop_leaves_a_checkpoint_from_which_training_goes_on(tmp_path):
    config, folder = own_study(tmp_path, study__arms=["expert", "rl"], rewriter__steps=4)

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
    stopped = newest_checkpoint(folder.adapter(0) / "checkpoints")
    sampled = stopped.progress["tokens"]
    mark_whole(stopped.path, stopped.progress, seconds=1000.0)
    run_study(config, folder, RunRecorder(folder), upto="train")
    done = folder.read_json(folder.adapter(0) / "done.json")
    assert done["tokens"] > sampled > 500  # the warm start and both halves count
    assert done["seconds"] > 1000.0 > stopped.seconds > 0
    assert not (folder.adapter(0) / "checkpoints").exists() and not list(folder.journals.iterdir())
    steps = [json.loads(line)["step"] for line in folder.events.read_text().splitlines() if '"kind": "train"' in line]
    assert steps == [1, 2, 3, 4]
    assert (folder.adapter(0) / "adapter_model.safetensors").exists()


def lab(tmp_path, arms, **changes):
    values = {
        "study": {"name": "lab", "seeds": [0], "arms": arms},
        "data": {"train_size": 16, "eval_size": 30},
        "rewriter": {"steps": 1, "prompts_per_step": 2, "group_size": 2, "warm_start_steps": 1},
        "rewrite": {"best_of_k": 2},
        "finetune": {"epochs": 2, "batch_size": 8},
        "onpolicy": {"group_size": 3},
        "evaluate": {"general_size": 20, "bootstrap": 100},
    }
    for path, value in changes.items():
        section, key = path.split("__")
        values[section][key] = value
    config = resolve(values)
    folder = RunFolder.create(tmp_path / "runs", config, "lab")
    run_study(config, folder, RunRecorder(folder))
    return folder, json.loads(folder.result.read_text(encoding="utf-8"))


def done(folder, stage):
    events = map(json.loads, folder.events.read_text(encoding="utf-8").splitlines())
    return [e["arm"] for e in events if e["kind"] == "stage" and e["stage"] == stage and e["state"] == "start"]


def test_every_offered_arm_goes_through_and_shared_work_is_done_once(tmp_path):
    arms = [*OFFERED, "rl+dft+lora=4", "mind-the-gap+dft"]
    folder, result = lab(tmp_path, arms, data__train_size=8, data__eval_size=8, evaluate__general_size=10)
    assert list(result["arms"]) == arms
    assert done(folder, "train") == list(REWRITERS)
    sources = done(folder, "rewrite")
    assert sorted(sources) == sorted({"replay", *SOURCES} - {"self-resampled"})
    assert done(folder, "finetune") == arms
    steps = {json.loads((folder.arm(a, 0) / "finetuned.json").read_text())["steps"] for a in arms}
    assert steps == {2}  # 8 examples, 8 a step, 2 epochs: the same for every arm
    costs = {arm: values["cost"] for arm, values in result["arms"].items()}
    assert costs["expert"]["tokens"] == costs["dft"]["tokens"] == costs["wise-ft"]["tokens"] == 0
    assert costs["replay"]["tokens"] > 0 and costs["self-resampled"]["tokens"] > costs["self"]["tokens"]
    assert costs["rl"]["tokens"] == costs["rl+dft+lora=4"]["tokens"] == costs["rl-drop"]["tokens"] > 0
    assert costs["rl-best-of-k"]["tokens"] > costs["rl"]["tokens"]  # K rewrites of the same rewriter
    assert costs["grpo"]["tokens"] > costs["sft-then-rl"]["tokens"] > costs["sdft"]["tokens"] > 0
    scored_arms = {arm for arm, values in result["arms"].items() if values["data"]["nll"] is not None}
    assert set(arms) - scored_arms == {"grpo"}  # it imitates no text
    assert result["versions"]["device"] == (torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu")
    assert costs["dypo"]["tokens"] > 0 and all(costs[arm]["seconds"] > 0 for arm in ON_POLICY)
    assert all(result["arms"][arm]["forgetting"]["ci95"] for arm in ON_POLICY)
    assert set(result["curves"]) == set(REWRITERS) - {"rl"} and len(result["curve"]) == 1
    kept = [json.loads(line) for line in folder.samples("rl", 0).read_text().splitlines()]
    dropped = [json.loads(line) for line in folder.samples("rl-drop", 0).read_text().splitlines()]
    for before, after in zip(kept, dropped, strict=True):
        assert after["target"] == (before["target"] if before["decision"] == "accepted" else None)
    origins = {json.loads(line)["origin"] for line in folder.samples("mind-the-gap", 0).read_text().splitlines()}
    assert origins <= {"own", "guided"} and "own" in origins
    assert all(len(values["sweep"]) == 1 for values in result["arms"].values())


def test_a_sweep_compares_arms_at_their_own_best_and_keeps_every_point(tmp_path):
    folder, result = lab(tmp_path, ["expert", "low-lr"], finetune__learning_rate=[1e-4, 1e-3])
    for arm in result["arms"].values():
        assert [p["rate"] for p in arm["sweep"]] == [1e-4, 1e-3]
        (chosen,) = [p for p in arm["sweep"] if p["chosen"]]
        assert arm["learning_rate"] == chosen["rate"] and arm["target"] == chosen["target"]
    run = Run(folder)
    rows = run.predictions("expert", 0, 1e-3)
    assert run.predictions("expert", 0) == run.predictions("expert", 0, result["arms"]["expert"]["learning_rate"])
    with pytest.raises(RunError, match=r"no learning rate 0\.5; its rates are 0\.0001, 0\.001"):
        run.predictions("expert", 0, 0.5)
    kinds = [row["task"].split("/")[0] for row in rows]
    assert (kinds.count("validation"), kinds.count("target")) == (10, 20)
    assert not any(task.startswith("validation") for task in result["base"]["by_task"])
    assert folder.report.exists() and "Every learning rate" in folder.report.read_text(encoding="utf-8")


def test_interpolated_weights_come_from_the_arm_that_was_tuned_already(tmp_path):
    from safetensors.torch import load_file

    folder, result = lab(tmp_path, ["expert", "wise-ft=0.25", "wise-ft=0.75"])
    events = list(map(json.loads, folder.events.read_text(encoding="utf-8").splitlines()))
    assert {e["arm"] for e in events if e["kind"] == "finetune"} == {"expert"}
    low, high, tuned = (
        load_file(folder.arm(arm, 0) / "weights" / "model.safetensors")
        for arm in ("wise-ft=0.25", "wise-ft=0.75", "expert")
    )
    for name, weight in tuned.items():  # three points on one line: high − low is half the way, the rest a quarter
        assert torch.allclose(weight, high[name] + (high[name] - low[name]) / 2, atol=1e-5)
    costs = [values["cost"]["finetune_seconds"] for values in result["arms"].values()]
    assert costs[1] >= costs[0] and costs[2] >= costs[0]  # as if each had been run alone


def test_weights_interpolated_from_an_on_policy_arm_cost_what_it_sampled(tmp_path):
    folder, result = lab(tmp_path, ["expert", "sdft", "sdft+wise-ft"])
    events = list(map(json.loads, folder.events.read_text(encoding="utf-8").splitlines()))
    assert {e["arm"] for e in events if e["kind"] == "finetune"} == {"expert", "sdft"}
    costs = {arm: values["cost"] for arm, values in result["arms"].items()}
    assert costs["sdft"]["tokens"] == costs["sdft+wise-ft"]["tokens"] > costs["expert"]["tokens"] == 0

"""The run that ships with the app: small, whole, and what it says of itself."""

import shutil

import pytest

from examples.nano_lab import record
from patchrl import api
from patchrl.errors import RunError
from patchrl.evaluation.statistics import correct_by_task
from patchrl.grading.verify import Verifier
from patchrl.playground.requests import writers_of
from patchrl.recordings import LAB, folders


@pytest.fixture(scope="module")
def run():
    return api.open_run(api.RECORDED_ID)


@pytest.mark.parametrize("folder", folders().values(), ids=str)
def test_a_recording_is_small_and_names_no_machine(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < (
        record.MAX_LAB_BYTES if folder.name == LAB else record.MAX_BYTES
    )
    assert not [path for path in files if path.suffix in (".bin", ".pt")]
    text = "".join(path.read_text(encoding="utf-8") for path in files if path.suffix not in (".npz", ".safetensors"))
    assert not [place for place in ("/work", "/root", "/opt", "/home", "/tmp") if place in text]


def test_it_opens_as_a_finished_run_of_the_nano_lab(run):
    assert run.status()["state"] == "done"
    assert run.config.backbone.model == "nano" and run.config.study.seeds == (0,)
    assert [e["step"] for e in run.events()[0] if e["kind"] == "train"] == list(range(1, run.config.rewriter.steps + 1))
    assert len(run.samples("rl", 0)) == run.config.data.train_size
    assert run.surprisal("rl", 0, run.samples("rl", 0)[0]["id"])["expert"]


def test_its_result_follows_from_its_predictions_and_samples(run):
    result = run.result()
    assert result["arms"].keys() == {"expert", "prompted", "best-of-k", "rl"}
    for arm, scores in (
        ("base", result["base"]["by_task"]),
        *((a, result["arms"][a]["by_task"]) for a in ("expert", "rl")),
    ):
        for task, correct in correct_by_task(run.predictions(arm, None if arm == "base" else 0)).items():
            if not task.startswith("validation/"):  # it chose the learning rate
                assert scores[task] == pytest.approx(correct.mean()), (arm, task)
    for arm in ("prompted", "best-of-k", "rl"):
        rows = run.samples(arm, 0)
        accepted = sum(row["decision"] == "accepted" for row in rows) / len(rows)
        assert result["arms"][arm]["data"]["accepted"] == pytest.approx(accepted)


@pytest.mark.parametrize("arm", ("prompted", "best-of-k", "rl"))
def test_its_verdicts_are_those_of_the_gate_today(run, arm):
    rows = run.samples(arm, 0)
    with Verifier(reasoning="equations") as verifier:
        verdicts = verifier.verify_many([("math", row["reference"], row["rewrite"]) for row in rows])
    assert [verdict.passed for verdict in verdicts] == [row["passed"] for row in rows]


def test_its_rewriter_ships_for_the_playground(run):
    names = [writer.name for writer in writers_of(run.folder, run.config)]
    assert names == ["Backbone, prompted", f"Rewriter of seed 0, {run.config.rewriter.steps} steps"]


def test_nobody_has_it_among_their_own_runs_and_nobody_can_resume_it(run, runs_dir):
    assert api.list_runs(runs_dir) == []
    with pytest.raises(RunError, match="recording that ships"):
        run.resume()


@pytest.mark.slow
def test_a_recording_can_be_made_again_from_a_run(run, tmp_path):
    source = tmp_path / "runs" / "again"
    shutil.copytree(folders()[LAB], source)
    for extra in ("arms/rl/seed-0/weights/model.safetensors", "log.txt"):
        (source / extra).parent.mkdir(parents=True, exist_ok=True)
        (source / extra).write_bytes(b"x" * 10_000_000)
    about = {"title": "Recorded: again", "about": "A recording of a recording."}
    size = record.record(api.open_run(source), tmp_path / "made", about)
    assert record.json.loads((tmp_path / "made" / record.ABOUT).read_text()) == about
    assert size < record.MAX_LAB_BYTES
    recording = api.open_run(tmp_path / "made")
    assert recording.result() == run.result() and recording.samples("rl", 0) == run.samples("rl", 0)
    again, before = (
        record.json.loads((place / record.GROUP).read_text()) for place in (tmp_path / "made", folders()[LAB])
    )
    for one, other in zip(again["candidates"], before["candidates"], strict=True):
        assert (one["text"], one["passed"]) == (other["text"], other["passed"])
        assert one["nll"] == pytest.approx(other["nll"], abs=1e-3)  # the same backbone, perhaps another processor


def test_an_unfinished_run_cannot_be_recorded(run, tmp_path):
    source = tmp_path / "half"
    shutil.copytree(folders()[LAB], source)
    (source / "result.json").unlink()
    with pytest.raises(RunError, match="only a finished run"):
        record.record(api.open_run(source), tmp_path / "made", {})
    assert not (tmp_path / "made").exists()

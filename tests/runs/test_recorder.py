import pytest
from helpers.synthetic import GrowingRun

from patchrl.reporting import run_status
from patchrl.runs import recorder
from patchrl.runs.recorder import RunRecorder


def test_a_second_pass_over_the_same_rows_has_a_speed_of_its_own(runs_dir, monkeypatch):
    run = GrowingRun(runs_dir)
    now = [1000.0]
    monkeypatch.setattr(recorder.time, "monotonic", lambda: now[0])
    run.recorder.event("stage", state="start", stage="rewrite", seed=0, arm="rl")
    for done, seconds in ((100, 500), (200, 500)):
        now[0] += seconds
        run.recorder.progress(done, 200)
    assert run.recorder.status["eta_seconds"] is None  # what is done after the last row is not counted
    run.recorder.event("phase", name="reading token by token")
    now[0] += 10
    run.recorder.progress(50, 200)
    assert run.recorder.status["eta_seconds"] == 30  # 150 rows at 5 a second, whatever the first pass took


def test_what_prepares_a_stage_has_its_own_progress_and_says_nothing_of_the_study(runs_dir, monkeypatch):
    run = GrowingRun(runs_dir)
    now = [1000.0]
    monkeypatch.setattr(recorder.time, "monotonic", lambda: now[0])
    run.recorder.event("stage", state="start", stage="train", seed=0, arm="rl", expected=100.0, after=100.0)
    run.recorder.event("phase", name="warm start: own answers", prepares=True)
    assert "measuring how long it takes" in run_status.describe_status(run.recorder.status)
    now[0] += 60
    run.recorder.progress(48, 64)  # a first batch of 48, not a resumed training
    status = run.recorder.status
    assert status["eta_seconds"] == pytest.approx(20) and status["study_eta_seconds"] is None
    line = run_status.describe_status(status)
    assert "warm start: own answers, 48 of 64" in line and "20 s left of this" in line
    run.recorder.progress(64, 64)
    assert "0 s left" not in run_status.describe_status(run.recorder.status)


def test_what_is_left_of_the_study_is_told_with_the_progress(runs_dir, monkeypatch):
    run = GrowingRun(runs_dir)
    now = [1000.0]
    monkeypatch.setattr(recorder.time, "monotonic", lambda: now[0])
    where = {"stage": "rewrite", "seed": 0, "arm": "rl"}
    run.recorder.event("stage", state="start", expected=20.0, after=100.0, **where)
    now[0] += 40
    run.recorder.progress(256, 512)  # half of what is expected to take 20 s took 40
    assert run.recorder.status["study_eta_seconds"] == 4 * (10 + 100)
    assert "about 7 minutes left of the study" in run_status.describe_status(run.recorder.status)
    now[0] += 20
    run.recorder.event("stage", state="end", seconds=60.0, **where)
    run.recorder.event("stage", state="start", expected=100.0, after=0.0, **where)
    assert run.recorder.status["study_eta_seconds"] == 3 * 100


def test_what_a_resumed_training_already_had_is_no_speed_but_a_large_first_batch_is(runs_dir, monkeypatch):
    run = GrowingRun(runs_dir)
    now = [1000.0]
    monkeypatch.setattr(recorder.time, "monotonic", lambda: now[0])
    for stage, left in (("train", 9 * 10.0), ("rewrite", 10.0 / 31 * 9)):
        run.recorder.event("stage", state="start", stage=stage, seed=0, arm="rl")
        now[0] += 10
        run.recorder.progress(31, 40)
        assert run.recorder.status["eta_seconds"] == pytest.approx(left)


def test_what_was_said_at_the_launch_outlives_the_worker(runs_dir):
    run = GrowingRun(runs_dir)
    extra = {"queued_at": 5.0, "upto": "train", "seconds_before": 12.0, "first_started": 4.0}
    run.folder.write_json(run.folder.status, {"state": "queued", **extra})
    assert {key: RunRecorder(run.folder).status[key] for key in extra} == extra


@pytest.mark.parametrize("state", ["done", "stopped", "failed"])
def test_a_run_that_ended_has_nothing_left_to_wait_for(runs_dir, state):
    run = GrowingRun(runs_dir)
    run.recorder.event("stage", state="start", stage="rewrite", seed=0, arm="rl", expected=20.0, after=100.0)
    run.recorder.status |= {"eta_seconds": 3.0, "study_eta_seconds": 9.0}
    run.recorder.finish(state, 0)
    status = run.folder.read_json(run.folder.status)
    assert status["eta_seconds"] is None and status["study_eta_seconds"] is None


def test_a_clock_that_is_set_back_stops_no_progress_and_shortens_no_run(runs_dir, monkeypatch):
    run, now, clock = GrowingRun(runs_dir), [1000.0], recorder.time.time()
    monkeypatch.setattr(recorder.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(recorder.time, "time", lambda: clock)
    run.recorder.begin()
    run.recorder.event("phase", name="reading")
    clock -= 3600
    for done in (1, 2):
        now[0] += 60
        run.recorder.progress(done, 4)
        assert run.folder.read_status()["done"] == done
    assert run.recorder.status["eta_seconds"] > 0
    run.recorder.finish("done", 0)
    assert run_status.describe_status(run.folder.read_status()) == "done after 2 min 00 s"

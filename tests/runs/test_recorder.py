from synthetic import GrowingRun

from patchrl.runs import recorder


def test_a_second_pass_over_the_same_rows_has_a_speed_of_its_own(runs_dir, monkeypatch):
    run = GrowingRun(runs_dir)
    now = [1000.0]
    monkeypatch.setattr(recorder.time, "time", lambda: now[0])
    run.recorder.event("stage", state="start", stage="rewrite", seed=0, arm="rl")
    for done, seconds in ((100, 500), (200, 500)):
        now[0] += seconds
        run.recorder.progress(done, 200)
    assert run.recorder.status["eta_seconds"] == 0
    now[0] += 10
    run.recorder.progress(50, 200, "reading token by token")
    assert run.recorder.status["eta_seconds"] == 30  # 150 rows at 5 a second, whatever the first pass took

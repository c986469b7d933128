"""What a study is expected to take, and what is left of it."""

import pytest

from patchrl.config import load_config, resolve
from patchrl.estimate import LOAD_SECONDS, Outlook, planned, step_seconds, study_minutes
from patchrl.runs.folder import RunFolder
from patchrl.runs.recorder import RunRecorder
from patchrl.study import Study

ARMS = ["expert", "prompted", "rl", "rl-drop", "rl-no-alignment", "self-resampled", "mind-the-gap+dft", "replay"]


def test_the_plan_is_that_of_the_study(runs_dir):
    values = {"study": {"arms": ARMS, "seeds": [0, 1]}, "finetune": {"learning_rate": [3e-4, 1e-3]}}
    config = resolve(values | {"data": {"train_size": 16, "eval_size": 16}})
    folder = RunFolder.create(runs_dir, config)
    study = Study(config, folder, RunRecorder(folder))
    assert list(planned(config)) == [(step.stage, step.seed, step.arm) for step in study.steps()]
    assert all(step_seconds(config, stage, name) > 0 for stage, _, name in planned(config))


def test_an_arm_that_takes_the_best_of_k_is_expected_to_sample_k_times_as_much():
    config = resolve({"rewrite": {"best_of_k": 4}})
    once, best = (step_seconds(config, "rewrite", name) for name in ("rl", "rl-best-of-k"))
    assert step_seconds(config, "rewrite", "best-of-k") == best and best - LOAD_SECONDS == 4 * (once - LOAD_SECONDS)


def test_the_estimate_of_the_readme_study_is_within_a_factor_of_two():
    measured = 6 * 60 + 37  # README: one seed on two cores
    config = load_config("examples/nano.toml", ["study.seeds=[0]"])
    assert measured / 2 < 60 * study_minutes(config) < 2 * measured


def test_what_is_left_is_what_is_expected_at_the_pace_so_far():
    outlook = Outlook()
    outlook.begin(10, after=90)
    assert outlook.left(1, 0.1) is None  # one expected second tells no pace
    outlook.end(30)  # three times slower than expected
    outlook.begin(40, after=50)
    assert outlook.left(0, 0) == pytest.approx(3 * 90)
    assert outlook.left(20, 0) == pytest.approx(3 * 90 - 20)
    assert outlook.left(70, 0.5) == pytest.approx((30 + 70) / (10 + 20) * (20 + 50))
    outlook.end(140)
    outlook.begin(50, after=0)
    assert outlook.left(0, 0) == pytest.approx(170 / 50 * 50)


def test_what_a_resumed_step_had_already_is_not_expected_again():
    outlook = Outlook()
    outlook.begin(40, after=100)
    outlook.resumed(0.75)
    assert outlook.left(10, 0.5) == pytest.approx(10 / 5 * (5 + 100))

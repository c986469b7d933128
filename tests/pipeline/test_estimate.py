"""What a study is expected to take, and what is left of it."""

from patchrl.config import load_config, resolve
from patchrl.pipeline.estimate import LOAD_SECONDS, planned, step_seconds, study_minutes
from patchrl.pipeline.study import Study
from patchrl.runs.folder import RunFolder
from patchrl.runs.recorder import RunRecorder

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

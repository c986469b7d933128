"""The plan of a study, and what it is expected to take."""

from patchrl.config import load_config, resolve
from patchrl.pipeline.estimate import PACES, step_seconds, study_minutes
from patchrl.pipeline.plan import Step, plan

ARMS = ["expert", "prompted", "rl", "rl-drop", "rl-no-alignment", "self-resampled", "mind-the-gap+dft", "replay"]


def test_every_step_of_a_plan_is_expected_to_take_time():
    config = resolve({"study": {"arms": ARMS, "seeds": [0, 1]}, "finetune": {"learning_rate": [3e-4, 1e-3]}})
    steps = list(plan(config))
    assert len(set(steps)) == len(steps)
    assert sum(step.stage == "finetune" for step in steps) == len(ARMS) * 2 * 2
    assert all(step_seconds(config, step) > 0 for step in steps)


def test_an_arm_that_takes_the_best_of_k_is_expected_to_sample_k_times_as_much():
    config, load = resolve({"rewrite": {"best_of_k": 4}}), PACES["nano"].load
    once, best, prompted = (
        step_seconds(config, Step("rewrite", 0, name)) for name in ("rl", "rl-best-of-k", "best-of-k")
    )
    assert prompted == best and best - load == 4 * (once - load)


def test_the_estimate_of_the_readme_study_is_within_a_factor_of_two():
    measured = 17 * 60 + 33  # tests/benchmarks/RESULTS.md
    config = load_config("examples/nano-one.toml")
    assert measured / 2 < 60 * study_minutes(config) < 2 * measured

import pytest

from patchrl.config import resolve
from patchrl.evaluation.advice import advise, at_least_one, k_for

COLD = {"warm_start_steps": 0}
CONFIG = resolve({"rewriter": COLD})  # 40 steps of 8 prompts × 8 rewrites, best of 8
WARM = resolve({})


def asked(own, scorable=100, rows=512, config=CONFIG, passed=None, **more):
    answer = {"own": own, "passed": max(own, scorable // 2) if passed is None else passed, "scorable": scorable}
    return advise(config, answer, rows, 50.0, 1000.0, **more)


def test_draws_needed_are_the_fewest_that_hit_nine_times_in_ten():
    for hit in (0.02, 0.1, 0.3, 0.7):
        assert at_least_one(hit, k_for(hit)) >= 0.9 > at_least_one(hit, k_for(hit) - 1)


@pytest.mark.parametrize(
    ("own", "rows", "choice"),
    [
        (95, 512, "prompted"),
        (30, 512, "best-of-k"),
        (12, 512, "best-of-k"),
        (12, 4096, "rl"),  # the same data, more rows: training once is cheaper than 19 samples a row
        (5, 4096, "best-of-k"),  # a group of 8 shows an own-style rewrite in a third of cases only
        (2, 512, "instruction"),
        (0, 512, "instruction"),
    ],
)
def test_choice_by_own_style_share_and_number_of_rows(own, rows, choice):
    assert asked(own, rows=rows)["choice"] == choice


def test_a_larger_group_lets_rl_see_what_is_rare():
    wide = resolve({"rewriter": COLD | {"group_size": 32}})
    assert asked(5, rows=20_000)["choice"] == "best-of-k" and asked(5, rows=20_000, config=wide)["choice"] == "rl"


def test_costs_count_every_rewrite_and_training_three_times():
    ways = {(way["method"], way.get("k")): way for way in asked(12)["methods"]}
    assert ways["prompted", None]["rewrites"] == 512 and ways["best-of-k", 8]["rewrites"] == 4096
    assert ways["best-of-k", 19]["tokens"] == 512 * 19 * 50
    rl = ways["rl", None]
    assert rl["rewrites"] == 40 * 64 + 512 and rl["minutes"] == pytest.approx((3 * 2560 + 512) * 50 / 1000 / 60)


def test_the_ends_of_the_interval_tell_a_close_call():
    assert set(asked(9, scorable=100, rows=2000)["choices_at_ci95"]) != {asked(9, rows=2000)["choice"]}
    assert set(asked(3000, scorable=10_000)["choices_at_ci95"]) == {"best-of-k"}


def test_nothing_is_advised_where_nothing_could_be_checked():
    answer = asked(0, scorable=0)
    assert answer["choice"] is None and answer["hit_rate"] is None and "reference answers" in answer["reason"]


@pytest.mark.parametrize(
    ("own", "rows", "choice"),
    [
        (95, 512, "prompted"),
        (60, 512, "best-of-k"),  # three a row: 1,536 rewrites against 2,560 rollouts that are trained on
        (12, 512, "rl"),
        (2, 512, "rl"),
        (0, 512, "rl"),
    ],
)
def test_with_a_warm_start_rl_need_not_sample_the_own_style_first(own, rows, choice):
    assert asked(own, rows=rows, config=WARM)["choice"] == choice
    rl = asked(own, rows=rows, config=WARM)["methods"][-1]
    assert rl["rewrites"] == 40 * 64 + 512 + 4 * 512


@pytest.mark.parametrize("own", [0, 12, 95])
def test_a_warm_start_without_a_right_answer_counts_for_nothing(own):
    cold, warm = asked(own), asked(own, config=WARM, own_right=False)
    assert warm["choice"] == cold["choice"] and warm["reason"].startswith("None of the backbone's own answers passes")
    assert (
        warm["reason"].endswith(cold["reason"]) and asked(0, scorable=0, config=WARM, own_right=False)["choice"] is None
    )


def test_where_no_rewrite_passes_the_gate_nothing_is_trained_on_them():
    answer = asked(0, scorable=12, passed=0, config=WARM)
    assert answer["choice"] == "instruction" and not answer["choices_at_ci95"]
    assert answer["reason"].startswith("None of 12 prompted rewrites passes the gate")


def test_where_few_rewrites_pass_the_gate_the_advice_says_so():
    assert "But only 4 of 12 prompted rewrites pass the gate" in asked(2, scorable=12, passed=4, config=WARM)["reason"]
    assert "But only" not in asked(2, scorable=12, passed=6, config=WARM)["reason"]


def test_rollouts_colder_than_the_scan_are_told():
    colder = resolve({"rewriter": {"temperature": 0.5}})
    assert asked(12, config=colder)["reason"].endswith(
        "at temperature 0.5, below that of this scan, so the own style will be rarer in them."
    )
    assert "temperature" not in asked(12, config=WARM)["reason"]

"""The map of when RL pays, from made-up lines."""

from pathlib import Path

import pytest

from patchrl.nano import dial, pays


def lines(rl, best, tokens_rl=160_000.0, both=None):
    """Two seeds of every arm of the map: `rl`, `best` and `both` are (target, general) shares of right answers."""

    def marks(share):
        return "".join("1" if i < round(100 * share) else "0" for i in range(100))

    scores = dict.fromkeys(pays.ARM_OF.values(), best) | {"expert": (0.95, 0.6), "rl": rl}
    scores |= {pays.TOGETHER: both} if both else {}
    for seed in (0, 1):
        where = {"backbone": "nano", "expert": "mild", "instruction": "polish", "seed": seed}
        yield where | {"arm": "base", "answers": {"target/t": marks(0.2), "general/g": marks(1.0)}}
        for arm, (target, general) in scores.items():
            tokens = tokens_rl if arm == "rl" else 50 * 512 * 8
            for rate in dial.RATES:
                answers = {"validation/t": marks(target), "target/t": marks(target), "general/g": marks(general)}
                yield where | {"arm": arm, "rate": rate, "tokens": tokens, "accepted": 4, "own": 2, "answers": answers}


def test_the_k_that_rl_can_pay_for_falls_to_one_as_rows_grow():
    # 100,000 tokens of training at 50 a rewrite are 2,000 rewrites.
    assert [pays.affordable(100_000, 50, rows) for rows in (64, 256, 512, 2_000, 2_001, 10**6)] == [8, 8, 4, 2, 1, 1]


@pytest.mark.parametrize(
    ("rl", "best", "outcome", "words"),
    [
        ((0.95, 0.98), (0.60, 0.98), "better", "RL wins at 3 % own style"),
        ((0.60, 0.98), (0.95, 0.98), "worse", "best-of-k wins at 3 %"),
        ((0.95, 0.98), (0.95, 0.98), "tie", "a tie at 3 %"),
        ((0.95, 0.60), (0.60, 0.98), "split", "one count against the other at 3 %"),
    ],
)
def test_an_outcome_is_what_both_counts_say_together(rl, best, outcome, words):
    points = pays.pays(list(lines(rl, best)))
    assert [point.rows for point in points] == list(pays.ROWS)
    assert {point.rl.outcome for point in points} == {outcome}
    assert points[0].rl.target == pytest.approx(rl[0] - best[0])
    assert points[0].rl.general == pytest.approx(rl[1] - best[1])
    assert points[0].k > points[-1].k == 1 and points[0].seeds == 2
    assert f"3 %, 512 rows: {outcome}" in pays.told(points[1])
    first, second = pays.sentences(points, {})
    assert "of 1 settings, 2 seeds each, RL" in first and f"mild expert: {words}" in second
    assert [row["outcome"] for row in pays.as_rows(points)] == [outcome] * len(pays.ROWS)


def test_rl_and_best_of_k_together_are_told_from_rl_alone():
    both = pays.together(list(lines((0.90, 0.98), (0.6, 0.98), both=(0.60, 0.98))))
    (against,) = both.values()
    assert against.outcome == "worse" and against.target == pytest.approx(-0.3)
    assert "is worse in 1" in pays.sentences(pays.pays(list(lines((0.90, 0.98), (0.6, 0.98)))), both)[2]


def test_a_setting_without_all_its_arms_is_left_out():
    some = [line for line in lines((0.9, 0.9), (0.8, 0.8)) if line["arm"] != "best-of-4"]
    assert pays.pays(some) == [] and pays.sentences([], {}) == []


def test_the_readme_says_what_the_shipped_map_says():
    rows, told = pays.shipped()
    readme = " ".join((Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").split())
    assert len(rows) % len(pays.ROWS) == 0 and len(told) == 3
    for sentence in told:
        assert sentence in readme

"""The map of when RL pays, from made-up lines."""

import pytest

from examples.nano_lab import cost_map, dial


def lines(rl, best, tokens_rl=160_000.0, both=None):
    """Two seeds of every arm of the map: `rl`, `best` and `both` are (target, general) shares of right answers."""

    def marks(share):
        return "".join("1" if i < round(100 * share) else "0" for i in range(100))

    scores = dict.fromkeys(cost_map.ARM_OF.values(), best) | {"expert": (0.95, 0.6), "rl": rl}
    scores |= {cost_map.COMBINED_ARM: both} if both else {}
    for seed in (0, 1):
        where = {"backbone": "nano", "expert": "mild", "instruction": "polish", "seed": seed}
        yield where | {"arm": "base", "answers": {"target/t": marks(0.2), "general/g": marks(1.0)}}
        for arm, (target, general) in scores.items():
            tokens = tokens_rl if arm == "rl" else 50 * 512 * 8
            for rate in dial.RATES:
                answers = {"validation/t": marks(target), "target/t": marks(target), "general/g": marks(general)}
                yield where | {"arm": arm, "rate": rate, "tokens": tokens, "accepted": 4, "own": 2, "answers": answers}


def test_the_k_that_rls_tokens_buy_falls_towards_one_as_rows_grow_and_the_next_measured_is_taken():
    # 160,000 tokens for 512 rows, a rewrite of 50: 6.25 of each row; every further row costs one.
    assert cost_map.affordable_k(160_000, 50, 512) == pytest.approx(6.25)
    assert cost_map.affordable_k(160_000, 50, 5_120) == pytest.approx((6.25 + 9) / 10)
    assert cost_map.affordable_k(160_000, 50, 10**9) == pytest.approx(1, abs=1e-4)
    assert [cost_map.next_measured(k) for k in (1.0, 2.0, 2.1, 6.25, 8.0, 30.0)] == [2, 2, 4, 8, 8, 8]


@pytest.mark.parametrize(
    ("rl", "best", "outcome", "words"),
    [
        ((0.95, 0.98), (0.60, 0.98), "better", "RL is ahead at 3 % own style"),
        ((0.60, 0.98), (0.95, 0.98), "worse", "RL is behind at 3 %"),
        ((0.95, 0.98), (0.95, 0.98), "cannot tell", "cannot be told apart at 3 %"),
        ((0.95, 0.60), (0.60, 0.98), "split", "trades one count for the other at 3 %"),
    ],
)
def test_an_outcome_is_what_both_counts_say_together(rl, best, outcome, words):
    points = cost_map.compare_costs(list(lines(rl, best)))
    assert [point.rows for point in points] == list(cost_map.ROWS)
    assert {point.rl.outcome for point in points} == {outcome}
    assert points[0].rl.target == pytest.approx(rl[0] - best[0])
    assert points[0].rl.general == pytest.approx(rl[1] - best[1])
    assert [point.k for point in points] == [8, 4, 2] and points[0].seeds == 2
    assert f"3 %, 512 rows: {outcome} (RL's tokens buy best-of-6.2" in cost_map.describe(points[0])
    few, many, by_setting = cost_map.sentences(points, {})
    assert "best-of-6.2" in few and "in 1 of one setting (2 seeds each)" in few and words in by_setting
    assert many.startswith("Rewriting 4,096 rows") and "best-of-2" in many
    assert [row["outcome"] for row in cost_map.as_rows(points)] == [outcome] * len(cost_map.ROWS)


def test_every_k_is_compared_over_the_seeds_it_has():
    some = [line for line in lines((0.9, 0.9), (0.8, 0.8)) if (line["arm"], line["seed"]) != ("best-of-4", 1)]
    points = cost_map.compare_costs(some)
    assert [(point.k, point.seeds) for point in points] == [(8, 2), (4, 1), (2, 2)]
    assert "best-of-2" in (many := cost_map.sentences(points, {})[1]) and "(2 seeds each)" in many


def test_a_difference_that_rounds_to_nothing_has_no_minus():
    assert cost_map.ArmDifference(-0.0001, -0.0, ("cannot tell",) * 2).description == "target +0.0, general +0.0 points"


def test_rl_and_best_of_k_together_are_told_from_rl_alone():
    both = cost_map.combined(list(lines((0.90, 0.98), (0.6, 0.98), both=(0.60, 0.98))))
    (against,) = both.values()
    assert against.outcome == "worse" and against.target == pytest.approx(-0.3)
    assert (
        "changes the target by -30.0 and general skills by +0.0"
        in cost_map.sentences(cost_map.compare_costs(list(lines((0.90, 0.98), (0.6, 0.98)))), both)[3]
    )


def test_a_setting_without_all_its_arms_is_left_out():
    some = [line for line in lines((0.9, 0.9), (0.8, 0.8)) if line["arm"] != "best-of-4"]
    assert cost_map.compare_costs(some) == [] and cost_map.sentences([], {}) == []


@pytest.mark.slow
def test_the_shipped_map_is_whole():
    rows, sentences = cost_map.shipped()
    assert len(rows) % len(cost_map.ROWS) == 0 and len(sentences) == 4

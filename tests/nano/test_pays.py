"""The map of when RL pays, from made-up lines."""

import pytest

from patchrl.nano import dial, pays

LOW, HIGH = dial.RATES


def lines(rl, best, tokens_rl=160_000.0):
    """Two seeds of every arm of the map: `rl` and `best` are (target, general) shares of right answers."""

    def marks(share):
        return "".join("1" if i < round(100 * share) else "0" for i in range(100))

    for seed in (0, 1):
        where = {"backbone": "nano", "expert": "mild", "instruction": "polish", "seed": seed}
        yield where | {"arm": "base", "answers": {"target/t": marks(0.2), "general/g": marks(1.0)}}
        for arm in ("expert", "rl", *pays.ARM_OF.values()):
            target, general = {"rl": rl, "expert": (0.95, 0.6)}.get(arm, best)
            tokens = tokens_rl if arm == "rl" else 50 * 512 * 8
            for rate in dial.RATES:
                answers = {"validation/t": marks(target), "target/t": marks(target), "general/g": marks(general)}
                yield where | {"arm": arm, "rate": rate, "tokens": tokens, "accepted": 4, "own": 2, "answers": answers}


def test_the_k_that_rl_can_pay_for_falls_to_one_as_rows_grow():
    # 100,000 tokens of training at 50 a rewrite are 2,000 rewrites.
    assert [pays.affordable(100_000, 50, rows) for rows in (64, 128, 512, 2_000, 2_001, 10**6)] == [32, 16, 4, 2, 1, 1]


@pytest.mark.parametrize(
    ("rl", "best", "outcome"),
    [
        ((0.95, 0.98), (0.60, 0.98), "RL"),
        ((0.60, 0.98), (0.95, 0.98), "best-of-k"),
        ((0.95, 0.98), (0.95, 0.98), "tie"),
        ((0.95, 0.60), (0.60, 0.98), "split"),
    ],
)
def test_an_outcome_is_what_both_counts_say_together(rl, best, outcome):
    points = pays.pays(list(lines(rl, best)))
    assert [point.rows for point in points] == list(pays.ROWS)
    assert {point.outcome for point in points} == {outcome}
    assert points[0].target == pytest.approx(rl[0] - best[0]) and points[0].general == pytest.approx(rl[1] - best[1])
    assert points[0].k > points[-1].k == 1 and points[0].seeds == 2
    assert "3 %, 512 rows: " + outcome in pays.told(points[1])


def test_a_setting_without_all_its_arms_is_left_out():
    some = [line for line in lines((0.9, 0.9), (0.8, 0.8)) if line["arm"] != "best-of-16"]
    assert pays.pays(some) == []

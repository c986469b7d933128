import pytest

from patchrl.rewards.alarms import ALARMS, raised, watch

EXPERT = "Solution. Let n denote the tally, so that n := 45 + 28 = 73. Hence n = 73. QED"
OWN = "45 + 28 = 73. The answer is 73."


@pytest.mark.parametrize(
    ("rewrite", "name"),
    [
        (EXPERT, "copied"),
        (f"The given solution says {OWN}", "mentions"),
        ("73", "short"),
        ("Adding both up gives seventy three beads in total, so the answer to this is 73.", "stepless"),
        ("Of course. Below is a clear version. 45 + 28 = 73. The answer is 73.", "opening"),
    ],
)
def test_each_way_to_win_without_rewriting_raises_its_alarm(rewrite, name):
    assert name in raised(watch([rewrite] * 8, [EXPERT] * 8))


def test_a_good_batch_raises_nothing():
    assert raised(watch([OWN] * 8, [EXPERT] * 8)) == {}


def test_shares_are_of_the_whole_batch():
    shares = watch([EXPERT, OWN, OWN, OWN], [EXPERT] * 4)
    assert shares["copied"] == 0.25
    assert set(shares) == {alarm.name for alarm in ALARMS}


def test_an_empty_batch_is_silent():
    assert raised(watch([], [])) == {}

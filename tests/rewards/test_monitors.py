import pytest

from patchrl.rewards.monitors import MONITORS, monitor_shares, warnings
from patchrl.rewards.variety import Variety

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
def test_each_way_to_win_without_rewriting_raises_its_warning(rewrite, name):
    assert name in warnings(monitor_shares([rewrite] * 8, [EXPERT] * 8))


@pytest.mark.parametrize(
    ("rewrite", "expert", "copied"),
    [
        ("6 - 3 = 3", "6 - 3 = 3\n#### 3", True),  # what a real rewriter ended with
        ("6-3=3.", "<<6-3=3>>3. #### 3", True),
        ("There were 6 birds and 3 flew away, so 6 - 3 = 3 are left.", "6 - 3 = 3\n#### 3", False),
        ("3", "6 - 3 = 3\n#### 3", False),  # too short to be called a copy; another monitor sees it
        ("", "6 - 3 = 3", False),
    ],
)
def test_a_rewrite_made_of_the_experts_pieces_is_a_copy(rewrite, expert, copied):
    assert ("copied" in warnings(monitor_shares([rewrite] * 4, [expert] * 4))) is copied


def test_a_good_batch_raises_nothing():
    assert warnings(monitor_shares([OWN] * 8, [EXPERT] * 8)) == {}


def test_shares_are_of_the_whole_batch():
    shares = monitor_shares([EXPERT, OWN, OWN, OWN], [EXPERT] * 4)
    assert shares["copied"] == 0.25
    assert set(shares) == {monitor.name for monitor in MONITORS} - {"failed", "undecided", "unlike"}


def test_a_step_without_passing_rewrites_or_without_verdicts_raises_a_warning():
    assert "95% of groups" in warnings({"failed": 0.95})["failed"]
    assert "60% of rewrites could not be judged" in warnings({"undecided": 0.6})["undecided"]
    assert "97% of passing rewrites are, as a whole, less likely" in warnings({"unlike": 0.97})["unlike"]
    assert warnings({"failed": 0.5, "undecided": 0.5, "unlike": 0.9}) == {}


def test_an_empty_batch_is_silent():
    assert warnings(monitor_shares([], [])) == {}


OWN_ANSWERS = [OWN, "First 45 + 28 = 73. Then stop.", "Adding gives 45 + 28 = 73 beads.", "So 45 + 28 = 73 in all."]
TEMPLATE = "Certainly, let me restate this. 45 + 28 = 73, and that is final. I hope this helps you."


def test_one_template_has_fewer_wordings_than_the_backbones_own_answers():
    own = Variety.of(OWN_ANSWERS)
    assert {"wordings", "phrases"} <= warnings(monitor_shares([TEMPLATE] * 4, [EXPERT] * 4, own)).keys()
    assert not {"wordings", "phrases"} & warnings(monitor_shares(OWN_ANSWERS, [EXPERT] * 4, own)).keys()


def test_without_own_answers_to_compare_with_variety_says_nothing():
    shares = monitor_shares([TEMPLATE] * 4, [EXPERT] * 4)
    assert shares["wordings"] == shares["phrases"] == 0.0

"""The gated reward against hand-computed groups and a slow, obvious reference."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from patchrl.rewards import group_rewards, mean_pairwise_distance
from patchrl.rewards.alignment import alignment


def reference(passed, nll, embeddings, lambda_dist, lambda_div, scale):
    """method.md's formula, one member at a time, pure Python."""

    def cosine(u, v):
        norm = math.sqrt(sum(x * x for x in u)) * math.sqrt(sum(x * x for x in v))
        return sum(x * y for x, y in zip(u, v, strict=True)) / norm if norm else 0.0

    def spread(members):
        pairs = list(itertools.combinations(members, 2))
        if not pairs:
            return 0.0
        return sum((1 - cosine(embeddings[i], embeddings[j])) / 2 for i, j in pairs) / len(pairs)

    feasible = [i for i, p in enumerate(passed) if p]
    rewards = []
    for i, p in enumerate(passed):
        if p is None:
            rewards.append(None)
        elif not p:
            rewards.append(0.0)
        else:
            mean = sum(nll[j] for j in feasible) / len(feasible)
            std = math.sqrt(sum((nll[j] - mean) ** 2 for j in feasible) / len(feasible))
            a = 1 / (1 + math.exp((nll[i] - mean) / (std + 1e-6)))
            whole = spread(feasible)
            d = max(0.0, whole - spread([j for j in feasible if j != i])) if len(feasible) > 1 else 0.0
            if scale == "group":
                d /= max(whole, 1e-4)
            rewards.append(1 + lambda_dist * a + lambda_div * d)
    return rewards


groups = st.integers(1, 16).flatmap(
    lambda k: st.tuples(
        st.lists(st.sampled_from([True, True, False, None]), min_size=k, max_size=k),
        st.lists(st.sampled_from([0.25, 0.5, 1.0, 1.75, 3.0, 7.5]), min_size=k, max_size=k),
        st.lists(st.lists(st.integers(-3, 3).map(float), min_size=3, max_size=3).filter(any), min_size=k, max_size=k),
    )
)


@settings(max_examples=500)
@given(groups, st.sampled_from(["paper", "group"]))
def test_group_rewards_equal_the_obvious_reference(group, scale):
    passed, nll, embeddings = group
    ours = group_rewards(passed, nll, embeddings, lambda_dist=0.35, lambda_div=0.5, diversity_scale=scale).reward
    for got, want in zip(ours, reference(passed, nll, embeddings, 0.35, 0.5, scale), strict=True):
        assert (got is None) == (want is None)
        if want is not None:
            assert got == pytest.approx(want, abs=1e-5)


@pytest.mark.slow
@settings(max_examples=300)
@given(groups, st.randoms())
def test_rewards_do_not_depend_on_the_order_of_the_group(group, rng):
    passed, nll, embeddings = group
    order = list(range(len(passed)))
    rng.shuffle(order)
    straight = group_rewards(passed, nll, embeddings).reward
    shuffled = group_rewards([passed[i] for i in order], [nll[i] for i in order], [embeddings[i] for i in order]).reward
    for position, i in enumerate(order):
        assert shuffled[position] == (None if straight[i] is None else pytest.approx(straight[i], abs=1e-9))


def test_two_feasible_members_by_hand():
    got = group_rewards([True, True, False], [1.0, 2.0, 9.0], [[1, 0], [0, 1], [1, 1]])
    sigmoid = 1 / (1 + math.exp(-1))  # z is −1 and +1 for two members
    assert got.alignment == pytest.approx([sigmoid, 1 - sigmoid, 0.0], abs=1e-5)
    assert got.diversity == pytest.approx([0.5, 0.5, 0.0])  # (1 − cos 90°)/2 − 0
    assert got.reward[0] == pytest.approx(1 + 0.35 * sigmoid + 0.25, abs=1e-5)
    assert got.reward[2] == 0.0


def test_group_with_one_feasible_rewrite_gets_half_alignment_and_no_diversity():
    got = group_rewards([False, True], [3.0, 1.0], [[1, 0], [0, 1]])
    assert got.alignment == [0.0, 0.5]
    assert got.diversity == [0.0, 0.0]
    assert got.reward == [0.0, pytest.approx(1.175)]


def test_unscorable_member_leaves_the_others_as_if_it_were_absent():
    with_none = group_rewards([True, None, True], [1.0, math.nan, 2.0], [[1, 0], [math.nan, 0], [0, 1]])
    without = group_rewards([True, True], [1.0, 2.0], [[1, 0], [0, 1]])
    assert with_none.reward[1] is None and with_none.consistency[1] is None
    assert [with_none.reward[0], with_none.reward[2]] == without.reward


def test_group_scale_is_free_of_the_size_of_the_embedding_region():
    near = np.array([[1, 0.01], [1, -0.01], [1, 0.03]])
    far = np.array([[1, 0.1], [1, -0.1], [1, 0.3]])
    small = group_rewards([True] * 3, [1, 1, 1], near, diversity_scale="group").diversity
    large = group_rewards([True] * 3, [1, 1, 1], far, diversity_scale="group").diversity
    assert small == pytest.approx(large, rel=0.05)
    assert mean_pairwise_distance(near) < mean_pairwise_distance(far) / 50


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_non_finite_values_of_feasible_members_are_refused(bad):
    with pytest.raises(ValueError, match="nll of a feasible rewrite"):
        group_rewards([True, True], [1.0, bad], [[1, 0], [0, 1]])
    with pytest.raises(ValueError, match="embeddings of a feasible rewrite"):
        group_rewards([True, True], [1.0, 1.0], [[1, 0], [bad, 1]])


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="give K values"):
        group_rewards([True, True], [1.0], [[1, 0], [0, 1]])


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (([True, True], [0.1, 0.2], [[1, 2], [1]]), "embeddings must be K vectors of numbers, all of one length"),
        (([True, True], [0.1, 0.2], [["x", 2], [1, 2]]), "embeddings must be K vectors of numbers"),
        (([True, True], [0.1, 0.2], [1, 2]), "give K values, K values and K vectors"),
        (([True, True], ["a", 0.2], [[1, 2], [1, 2]]), "nll must be K numbers"),
        (([True, "no"], [0.1, 0.2], [[1, 2], [1, 2]]), "a verdict is True, False or None"),
    ],
)
def test_what_is_no_group_is_refused_in_a_sentence(group, words):
    with pytest.raises(ValueError, match=f"^group_rewards: .*{words}"):
        group_rewards(*group)


def test_near_copies_earn_no_diversity_on_the_groups_own_scale():
    near = group_rewards([True, True], [1.0, 1.0], [[1.0, 0.0], [1.0, 1e-4]], diversity_scale="group")
    assert max(near.diversity) < 1e-3
    apart = group_rewards([True, True], [1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]], diversity_scale="group")
    assert apart.diversity == pytest.approx([1.0, 1.0])


def test_tensors_of_any_kind_are_read_as_their_numbers():
    nll = torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)
    got = group_rewards(torch.tensor([True, False]), nll, torch.eye(2, dtype=torch.bfloat16))
    assert got.reward == group_rewards([True, False], [1.0, 2.0], np.eye(2)).reward
    rows = [row.requires_grad_() for row in torch.eye(2)]
    assert group_rewards([True, False], list(nll), rows, anchor=np.array([1.0, 1.0])).reward


def test_weights_may_be_any_real_number():
    group = [True, True], [1.0, 2.0], np.eye(2)
    assert group_rewards(*group, lambda_div=np.float32(0.5)).reward == group_rewards(*group, lambda_div=0.5).reward


def test_alignment_alone_refuses_what_is_not_finite():
    with pytest.raises(ValueError, match="every value must be finite"):
        alignment(np.array([1.0, math.nan]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"passed": None}, "passed must be K verdicts"),
        ({"passed": [[True], [False]]}, "a verdict is True, False or None"),
        ({"lambda_dist": "much"}, "lambda_dist must be a number"),
        ({"lambda_dist": True}, "lambda_dist must be a number"),
        ({"lambda_dist": -0.1}, "lambda_dist must be a number"),
        ({"passed": iter([True, False])}, "passed must be K verdicts"),
        ({"passed": {True, False}}, "passed must be K verdicts"),
        ({"nll": [1e308, -1e308], "passed": [True, True]}, "nll of a feasible rewrite must be finite"),
        ({"lambda_dist": 1.7e308}, "lambda_dist must be a number"),
        ({"nll": ["1.0", "2.0"]}, "nll must be K numbers"),
        ({"nll": [True, False]}, "nll must be K numbers"),
        ({"nll": [10**400, 1]}, "nll must be K numbers"),
        ({"nll": [None, 1.0]}, "nll of a feasible rewrite must be finite"),
        ({"lambda_dist": 10**400}, "lambda_dist must be a number"),
        ({"diversity_scale": np.array(["paper"])}, "use 'paper' or 'group'"),
        ({"embeddings": np.zeros((2, 0))}, "K vectors"),
        ({"lambda_div": math.nan}, "lambda_div must be a number"),
        ({"anchor": (math.nan, 1.0)}, "anchor must be a finite mean"),
        ({"anchor": (1.0, -1.0)}, "anchor must be a finite mean"),
        ({"anchor": (1.0, math.inf)}, "anchor must be a finite mean"),
        ({"anchor": "own"}, "anchor must be a finite mean"),
        ({"anchor": 1.0, "passed": [False, False]}, "anchor must be a finite mean"),
    ],
)
def test_what_is_no_verdict_or_no_weight_is_refused_in_a_sentence(change, message):
    values = {"passed": [True, False], "nll": [1.0, 2.0], "embeddings": np.eye(2)} | change
    with pytest.raises(ValueError, match=message):
        group_rewards(**values)

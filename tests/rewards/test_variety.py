"""Variety against values worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchrl.rewards.variety import distinct_n, energy_distance, vendi


def test_copies_count_once_and_unrelated_texts_each():
    assert vendi(["alpha beta gamma"] * 5) == pytest.approx(1.0)
    assert vendi(["alpha beta", "gamma delta", "red blue"]) == pytest.approx(3.0)


def test_two_texts_that_share_half_their_counts_by_hand():
    # One n-gram of each of the two words and one of the pair: cosine 1/3, eigenvalues (1 ± 1/3)/2.
    high, low = 2 / 3, 1 / 3
    want = math.exp(-(high * math.log(high) + low * math.log(low)))
    assert vendi(["alpha beta", "alpha gamma"]) == pytest.approx(want)


def test_other_numbers_in_the_same_words_are_the_same_wording():
    assert vendi(["First 4 + 5 = 9.", "First 40 + 1.5 = 41.5."]) == pytest.approx(1.0)
    assert distinct_n(["a 1 b 2 c", "a 3 b 4 c"], n=2) == 0.5


def test_distinct_n_by_hand():
    assert distinct_n(["a b c d e"], n=4) == 1.0
    assert distinct_n(["a b a b a"], n=2) == 0.5
    assert distinct_n(["a b"], n=4) == 0.0


@given(st.lists(st.text(max_size=30), min_size=1, max_size=8))
def test_vendi_lies_between_one_and_the_number_of_texts(texts):
    assert 1.0 - 1e-9 <= vendi(texts) <= len(texts) + 1e-9


def test_no_text_has_no_variety():
    assert vendi([]) == 0.0 and distinct_n([]) == 0.0


def test_energy_distance_tells_styles_apart_and_not_fillings():
    plain = [f"{n} + 1 = {n + 1}. The answer is {n + 1}." for n in range(10)]
    more = [f"{n} + 5 = {n + 5}. The answer is {n + 5}." for n in range(20, 26)]
    mannered = [f"Sure! Here is the solution. Step 1: {n} + 1 = {n + 1}." for n in range(10)]
    assert energy_distance(plain, more) == 0.0  # numbers are masked
    assert energy_distance(plain, mannered) > 0.9
    half = energy_distance(plain, mannered[:5] + plain[:5])
    assert 0.1 < half < energy_distance(plain, mannered)
    assert energy_distance(plain, mannered) == pytest.approx(energy_distance(mannered, plain))


def test_energy_distance_by_hand():
    # Three unit vectors: "a" against "a", and "b" at a right angle to both; |a − b| = √2.
    # Between the sets √2/2 on average, within each √2: 1 − 2√2/√2 is below 0.
    assert energy_distance(["a", "b"], ["a", "b"]) == 0.0
    # Between {a, b} and {b, c}: (√2 + √2 + 0 + √2)/4; within each √2: 1 − 2√2/(2 · 3√2/4) is below 0 as well.
    assert energy_distance(["a", "a", "b"], ["b", "b", "a"]) == pytest.approx(max(0.0, 1 - (4 / 3) / (2 * 5 / 9)))
    assert energy_distance(["a", "a", "a", "b"], ["b", "b", "b", "b"]) == pytest.approx(1 - (1 / 2) / (2 * 3 / 4))
    assert energy_distance(["a", "a"], ["b", "b"]) == 1.0
    assert energy_distance(["a"], ["b", "b"]) == 0.0  # a single text tells no spread

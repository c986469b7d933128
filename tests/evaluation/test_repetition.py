from hypothesis import given
from hypothesis import strategies as st

from patchrl.evaluation.repetition import (
    MIN_SIMILARITY,
    SHINGLE_WORDS,
    common_phrases,
    near_duplicates,
    repetition,
    words_of,
)

SONGS = [
    "The river carries seven boats past the old mill every single morning",
    "A tall lighthouse keeps watch while gulls argue over scraps of bread",
    "My neighbour paints clocks that run backwards through the whole of winter",
]


def test_numbers_are_masked_without_their_full_stop():
    assert words_of("It is 1,234.5. Then 3") == ["it", "is", "#.", "then", "#"]


def test_a_template_is_found_whole_whatever_fills_it():
    solutions = [f"We begin with {n} pears and end with {n + 2}. {song}" for n, song in enumerate(SONGS * 4)]
    repeated = repetition([f"q{n}" for n in range(12)], solutions)
    assert repeated["opening"] == {"text": "we begin with #", "share": 1.0}
    assert {"text": "we begin with # pears and end with #.", "share": 1.0} in repeated["phrases"]
    assert repeated["templated"] == 1.0 and repeated["near_duplicates"] == 0.0


def test_texts_without_a_template_have_no_phrase():
    assert common_phrases([words_of(song) for song in SONGS]) == []
    assert repetition(["a", "b", "c"], SONGS)["templated"] == 0.0


def test_formulas_alone_are_no_template():
    assert common_phrases([words_of(f"{n} + 2 = {n + 2} {song}") for n, song in enumerate(SONGS * 2)][:3]) == []


def test_repeated_solutions_are_counted_whatever_their_case_and_spacing():
    repeated = repetition(["a", "b", "c"], ["The answer is 7.", "the  answer is 7.", "It is 8."])
    assert repeated["repeated_solutions"] == 2 / 3


def test_near_duplicates_share_four_fifths_of_their_shingles_and_keep_their_numbers():
    long = " ".join(f"word{n}" for n in range(60))
    assert near_duplicates([long, long + " more", SONGS[0]]) == {0, 1}
    assert near_duplicates([f"we have {n} and then {n + 1} so {n + 2} it is" for n in range(5)]) == set()
    assert near_duplicates(["short", "short"]) == set()


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=14), max_size=12))
def test_near_duplicates_are_those_a_comparison_of_all_pairs_finds(texts):
    sets = [{tuple(t[i : i + SHINGLE_WORDS]) for i in range(len(t) - SHINGLE_WORDS + 1)} for t in texts]
    slow = {
        i
        for i, a in enumerate(sets)
        if any(len(a & b) >= MIN_SIMILARITY * len(a | b) for j, b in enumerate(sets) if i != j and a and b)
    }
    assert near_duplicates([" ".join(t) for t in texts]) == slow


def test_nothing_repeats_in_nothing():
    assert repetition([], [])["phrases"] == [] and repetition([], [])["templated"] == 0.0

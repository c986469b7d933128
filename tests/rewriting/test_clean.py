import pytest

from patchrl.grading.verify import verify_answer
from patchrl.rewriting.clean import clean_texts, shared_opening


@pytest.mark.parametrize(
    ("solution", "cleaned"),
    [
        ("40 / 2 = <<40/2=20>>20 each.\n#### 20", "40 / 2 = 20 each.\nThe answer is 20."),
        ("40 / 2 = 20 #### 20", "40 / 2 = 20\nThe answer is 20."),
        ("It is #### deep inside", "It is\nThe answer is deep inside."),
        ("a #### b\nis no mark here", "a #### b\nis no mark here"),
        ("nothing to clean", "nothing to clean"),
    ],
)
def test_marks_go_and_nothing_else_changes(solution, cleaned):
    assert clean_texts([solution]) == [cleaned]


def test_an_opening_that_half_of_the_rows_share_goes():
    rows = [f"Solution. Let n be {n}, so {n} + 1 = {n + 1}." for n in range(6)] + ["We add.", "Well, it is 3."]
    assert shared_opening(rows) == "Solution. "
    assert clean_texts(rows)[0] == "Let n be 0, so 0 + 1 = 1." and clean_texts(rows)[6:] == rows[6:]


def test_the_longest_shared_opening_counts_and_few_rows_share_none():
    rows = [f"Sure, here it is: it is {n}." for n in range(4)]
    assert clean_texts(rows) == [f"It is {n}." for n in range(4)]
    assert clean_texts(rows[:3]) == rows[:3]


def test_an_opening_is_never_the_whole_text():
    assert clean_texts(["Yes."] * 8) == ["Yes."] * 8


def test_cleaned_experts_of_real_data_still_state_their_answer(shared_data):
    import json

    rows = [json.loads(line) for line in (shared_data / "gsm8k_test.jsonl").read_text("utf-8").splitlines()[:200]]
    references = [row["answer"].rpartition("####")[2].strip() for row in rows]
    texts = clean_texts([row["answer"] for row in rows])
    assert all(verify_answer("math", r, t).passed for r, t in zip(references, texts, strict=True))
    assert not any("<<" in text or "####" in text for text in texts)

"""An answer counts only where the text commits to it, and everyday ways of writing it are read."""

import pytest

from patchrl.grading.verify import Verifier, verify_answer


@pytest.fixture(scope="module")
def answers():
    with Verifier(reasoning="none") as fixture:
        yield fixture


TAKEN_BACK = [
    "The answer is 27. Actually, it is 28.", "The answer is 27. Correction: 28.", "The answer is 27. Sorry, I meant 28.", "27? No, it is 28.",
    "27, no, 28.", "The answer is 27, no, 28.", r"\boxed{27} Hmm, let me recheck: 6 + 22 = 28.", r"\boxed{27}. Wait, 20 + 8 = 28.",
    r"\boxed{27}. So the answer is 28.", "I doubt the answer is 27.", "I don't think it is 27.", "The wrong answer is 27.",
    "If x were 2, the answer is 27.", "Some might say 27.", "It is 27 to 30", "27 to 30", "The answer is 20 to 27.", "x = 1 and x = 27",
    "The solution is (1, 27).", "27:30 pm", "It is at 3:27 pm", "It weighs 3,27 kg.", r"\boxed{27} million", r"\boxed{27\text{ million}}", "It was on 3/11/27.",
]  # fmt: skip


@pytest.mark.parametrize("text", TAKEN_BACK)
def test_a_number_that_is_taken_back_or_a_part_of_something_larger_is_no_answer(answers, text):
    verdict = answers.verify("math", "27", text)
    assert verdict.passed is False, verdict


NOT_27 = [
    "27 is not the answer", "It can't be 27", "The answer isn’t 27", "The answer isn't 27.", "The answer is definitely not 27.",
    "anything but 27", "≠27", r"\boxed{\ne 27}", "The answer is ≠27", "27. Actually that is wrong.",
    "The answer is 27. Actually, that is wrong.", "27 is wrong.", "The answer is not **27**", r"It is not \boxed{27}.",
    ">27", "less than 27", "The answer is > 27", "more than $27$", r"\boxed{> 27}",
    "27, 28, 29", "28, 27", "The answer is 27, 28, 29", "27 or maybe 28", "The answer is 27 or maybe 28", "28 or 27",
    "27 28 29 30 31", "31 30 29 28 27", "28 and 27", "The answer is 27 and 28", r"\boxed{28} or \boxed{27}", r"\boxed{27, 28}",
    "27 + 1", "The answer is 27 + 1", "1 + 27", "27x", "The answer is 27x", "27 million", "The answer is 27 million.", "27k",
    "twice 27", "27 squared", "The answer is 27 squared", "27 ± 1", "The answer is 27 ± 1", "54 - 27", "54 minus 27",
    "It takes 3 × 27", r"\boxed{27 \pm 1}", r"\boxed{27!}", "so 5 + 27 =", "-27", "negative 27", "minus 27",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_27)
def test_a_number_that_is_denied_tied_or_unfinished_is_no_answer(answers, text):
    verdict = answers.verify("math", "27", text)
    assert verdict.passed is False, verdict


@pytest.mark.parametrize(
    "text",
    ["- 27", r"\[27\]", r"\(27\)", r"so \[ x = 27 \]", "It's 27, not 28.", "It is 27 dollars, not 30 dollars.", "3³", "It is not 28. It is 27.",
     "At least 27", "She has 3 apples and 27 oranges.", "In 2020, 27 people came.", "> 27", "48/2 = <<48/2=24>>24, 24 + 3 = <<24+3=27>>27",
     "54 / 2 = 27", "30 - 3 = 27", "=> 27", "x > 3, so it is 27", "Thus x >= 27", r"\boxed{\ge 27}", "This is $20 + $7 or $27", "27 is the answer", "**27**", "27!", "It is *27*", "3 x 9 = 27.",
     "Not 28 but 27", "It does not matter: she has 27.", "27 years", "She is 27 years old.",
     r"\boxed{27}. Check: 27 - 3 = 24.", "The answer is \\boxed{27}.\n\nCheck: 27 - 3 = 24.", "The answer is 27. Wait, let me check: 20 + 7 = 27. Yes.",
     "答案是27。", "答案是27", "She reads (pages 3, 4) 27 books.", "The answer is 27. Actually, I like it.", r"\boxed{28}, no: \boxed{27}", r"\boxed{28}. The answer is 27.", "It costs $27 or less.", "The answer is 27 for 3 people."],
)  # fmt: skip
def test_everyday_ways_to_state_a_number_are_read(answers, text):
    verdict = answers.verify("math", "27", text)
    assert verdict.passed is (text != "27!"), verdict  # alone, that is a factorial


@pytest.mark.parametrize(
    ("reference", "candidate", "passed"),
    [
        ("5", "5!", False), ("120", "5!", True), ("5", "It is 5!", True),
        ("18", "32 + 18 =", False), ("18", "So 32 + 18", False), ("-27", "30 - 27", False), ("-27", "It is -27", True),
        ("10_2", r"\boxed{10_3}", False), ("10_2", r"\boxed{10_2}", True),
        ("5 cm", "5 m", False), ("5 cm", "5 cm", True), ("5 cm", "5", True), ("3 hours", "3 minutes", False),
        ("3 hours", "It takes 3 hours.", True), ("27 dollars", "27 cents", False), ("27 dollars", "$27", True),
        ("-5", "negative 5", True), ("-5", "minus 5", True), ("-27", "- 27", True), ("- 27", "27", False), ("- 27", "-27", True), ("-5", "The answer is minus 5.", True),
        ("1000000", "1 million", True), ("1 million", "1,000,000", True), ("1000", "1 000", True), ("1000", "The answer is 1 000.", True),
        ("3+4i", "4i+3", True), ("3+4i", "4i-3", False), ("1/2", "½", True), ("5/2", "2½", True), ("2,3", "The answer is 2, 3", True),
        ("45", r"\boxed{45^\circ}", True), ("45", r"It is $45^\circ$", True), ("27x", "27", False), ("27x", "27x", True),
        ("27x", "So it is 27x.", True), ("27", "So it is 27x.", False),
        ("(1,2)", "The solution is (1, 2).", True), ("(1,2)", "The solution is (2, 1).", False), ("1 1/2", "1 1/2 cups", True), ("3/2", "It takes 1 1/2 cups.", True),
        ("1/2", "It takes 1 1/2 cups.", False), ("(0,1)", r"\boxed{0<x<1}", True), ("(0,1)", r"\boxed{0<x\le 1}", False), ("(0,1]", r"\boxed{0 < x \leq 1}", True),
        (r"(-\infty, 2]", r"\boxed{x\le 2}", True), (r"(-\infty, 2]", r"\boxed{x<2}", False), (r"x \ge 3", r"\boxed{[3, \infty)}", True),
        ("5 cm", r"\boxed{5\text{ m}}", False), ("5 cm", r"\boxed{5\text{ cm}}", True), ("5 cm", r"\boxed{5} \text{ m}", False), ("5 cm", r"\boxed{5} cm", True),
        ("$5", "5 cents", False), ("$5", "5 dollars", True), ("$5", "$5", True), ("5 cents", "$5", False), ("$5", "It is $5 per hour.", True), ("5", "5 cents", True),
        ("18 million", r"\boxed{18} million", True), ("18000000", r"\boxed{18 \text{ million}}", True), ("5000", r"\boxed{5{,}000}", True), ("5000", r"\boxed{5,\!000}", True),
        ("18", "答案是18。", True),
    ],
)  # fmt: skip
def test_signs_scales_units_and_open_operations_decide(answers, reference, candidate, passed):
    verdict = answers.verify("math", reference, candidate)
    assert verdict.passed is passed, verdict


@pytest.mark.parametrize(
    "text",
    ["It is not C", "C is incorrect.", "C or D", "A or C", "Both A and C", "The answer is C? No, B.", "The answer isn't C",
     "Every option except C is right", "C is not the right answer", "Not C", "C? no", "The answer is C or D.", "(C) no", r"\boxed{A \text{ or } C}",
     "The answer is C. Actually D.", r"\boxed{C, D}", r"\boxed{A, C}", "C or possibly D", "I would eliminate C.", "Everything but C", "C: false", "neither B nor C", "neither C nor B",
     r"\boxed{C} Correction: D", "The answer is C, D.", "C can be ruled out.", "C – wrong", "All except C"],
)  # fmt: skip
def test_a_letter_that_is_denied_or_tied_is_not_chosen(answers, text):
    verdict = answers.verify("choice", "C", text)
    assert verdict.passed is False, verdict


@pytest.mark.parametrize(
    "text",
    ["A is wrong, B is wrong, D is wrong, so C", "(A) no (B) no (C) yes (D) no", "It is C, not D.", "Between A and C, C is better.",
     "A or C? The answer is C.", "C and I am sure", "It isn't A. The answer is (C).",
     "C. Wait, is A possible? No, so C.", "答案是C", "答案:C。", "The answer is C. Actually, I am sure.", "C, as A is too small"],
)  # fmt: skip
def test_the_letter_left_when_others_are_ruled_out_is_chosen(answers, text):
    verdict = answers.verify("choice", "C", text)
    assert verdict.passed is True, verdict


@pytest.mark.parametrize(
    ("reference", "candidate", "passed"),
    [
        ("Room 12", "Building 12", False), ("Room 12", "It is in room 12.", True), ("Room 12", "12", True),
        ("Apollo 11", "Boeing 11", False), ("3 cats", "3 dogs", False), ("3 cats", "There are 3 cats.", True), ("3 cats", "3", True),
        ("3 km", "3", True), ("Paris", "Lyon or Paris", False), ("Paris", "It cannot be Paris", False), ("Paris", "hardly Paris", False), ("Paris", "I doubt the answer is Paris.", False), ("Paris", "The wrong answer is Paris.", False),
        ("Paris", "It can't be Paris", False), ("Paris", "Anything but Paris", False), ("Paris", "Paris is the capital of France.", True),
        ("Paris", "Paris is the wrong answer.", False), ("Paris", r"\boxed{\text{Paris}}", True), ("St. Louis", "st louis", True),
        ("Paris", "Answer: Paris (France)", True), ("Paris", "Lyon (France)", False),
        ("3.5", "35", False), ("café", "cafe\u0301", True), ("12", "12", True),
    ],
)  # fmt: skip
def test_words_are_compared_with_what_stands_at_them(answers, reference, candidate, passed):
    verdict = answers.verify("exact", reference, candidate)
    assert verdict.passed is passed, verdict


@pytest.mark.parametrize("reference", ["Paris", "K", "1"])
def test_a_choice_whose_reference_names_no_letter_is_unscorable(answers, reference):
    verdict = answers.verify("choice", reference, "The answer is B.")
    assert verdict.passed is None and verdict.reason == f"the reference names no choice: {reference}"


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), None, "x", True])
def test_a_timeout_that_is_no_time_is_refused(timeout):
    with pytest.raises(ValueError, match="give seconds of processor time above 0"):
        verify_answer("math", "27", "27", timeout=timeout)


@pytest.mark.parametrize("reasoning", ["judge", "equation", "equations+judge", ""])
def test_reasoning_that_would_check_nothing_is_refused(reasoning):
    with pytest.raises(ValueError, match="use derivation, coverage, equations or none here"):
        verify_answer("math", "27", "27", reasoning=reasoning)

"""What counts as saying what the expert says, and what does not."""

import json
import random

import numpy as np
import pytest
from helpers import tiny
from helpers.prose import (
    keywords,
    names_of,
    negated,
    paraphrased,
    shuffled_words,
    with_a_name_changed,
    with_a_number_changed,
)
from hypothesis import given
from hypothesis import strategies as st

import patchrl
from patchrl.config import resolve
from patchrl.grading.calibration import Thresholds, calibrate
from patchrl.grading.claims import read_sentences
from patchrl.grading.coverage import claim_kinds
from patchrl.grading.gate import Gate
from patchrl.grading.pairs import sentence_similarities, text_shares
from patchrl.types import Example

QUESTION = "Would a baby gray whale fit in a tractor-trailer?"
WHALE = "A baby gray whale is about 15 feet long and weighs about 1,500 pounds."
TRAILER = "A tractor-trailer is about 53 feet long and can carry 45,000 pounds."
YES = "The answer is yes."
EXPERT = f"{WHALE} {TRAILER} {YES}"
RINGS = "Which planet is known for its rings?\nA. Mars\nB. Saturn\nC. Venus"
RINGS_EXPERT = (
    "Mars and Venus are rocky planets without any rings. Saturn has bright rings of ice, which Galileo saw in 1610. "
    "The answer is B."
)


def judged(text, question=QUESTION, solution=EXPERT, reference="yes", task="exact"):
    return patchrl.verify_answer(task, reference, text, reasoning="coverage", question=question, solution=solution)


@pytest.mark.parametrize(
    "text",
    [
        EXPERT,
        f"{TRAILER} {WHALE} {YES}",
        "Baby gray whales measure roughly 15 feet and have a weight of 1,500 pounds, while a trailer has a length of 53 feet "
        f"and carries 45,000 pounds, so it fits. {YES}",
        "The trailer is 53 feet long and carries up to 45,000 pounds.\n\nThe whale is only 15 feet long and weighs 1,500 "
        f"pounds, so there is room to spare. {YES}",
    ],
)
def test_what_the_expert_says_may_come_back_in_other_words(text):
    verdict = judged(text)
    assert verdict.passed, verdict.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (YES, "the expert's number 15 is missing"),
        (f"{QUESTION} {YES}", "the expert's number 15 is missing"),
        (f"{WHALE} {YES}", "the expert's number 53 is missing"),
        (f"{WHALE} {WHALE} {WHALE} {YES}", "the expert's number 53 is missing"),
        (f"<think>{WHALE} {TRAILER}</think> {YES}", "the expert's number 15 is missing"),
        (f"{WHALE.replace('15', '16')} {TRAILER} {YES}", "new number 16"),
        (f"{WHALE} {TRAILER} Darwin and Wallace found this. {YES}", "new name"),
        (keywords(EXPERT), "not covered"),
        (f"baby gray whale 15 feet long weighs 1,500 pounds. tractor-trailer 53 feet long carries 45,000 pounds. {YES}",
         "it only lists words"),
        (f"{WHALE.replace(' is', ' is not')} {TRAILER} {YES}", "it states the opposite"),
        (f"It is false that {WHALE[0].lower()}{WHALE[1:]} {TRAILER} {YES}", "it states the opposite"),
        (f"{WHALE.replace('long', 'short')} {TRAILER} {YES}", "with “short” it states the opposite"),
        (f"None of the following is true. {EXPERT}", "it takes back what it says"),
        (f"{WHALE} {TRAILER} All of that is nonsense. {YES}", "it takes back what it says"),
        (f"Is {WHALE[:-1]}? Is {TRAILER[:-1]}? {YES}", "it only asks"),
        (f"Suppose that {WHALE} Suppose that {TRAILER} {YES}", "does not claim but suppose"),
        (f"{WHALE.replace('15', '53')} {TRAILER.replace('53', '15')} {YES}", "stands with something else"),
        (f"A baby gray whale is about 1,500 feet long and weighs about 15 pounds. {TRAILER} {YES}",
         "stands with something else"),
        (f"A tractor-trailer is about 15 feet long and weighs 1,500 pounds. A baby gray whale is about 53 feet long and can "
         f"carry 45,000 pounds. {YES}", "stands with something else"),
        (f"About 15 is feet the a long baby about weighs and gray whale 1,500 pounds. {TRAILER} {YES}", "lost their order"),
        ("The answer is no.", "answer is no"),
    ],
)  # fmt: skip
def test_a_text_that_leaves_out_adds_or_turns_round_is_refused_with_its_reason(text, reason):
    verdict = judged(text)
    assert verdict.passed is False
    assert reason in verdict.reason


@pytest.mark.parametrize(
    "text",
    [
        f"{WHALE} {TRAILER} Whales are made of wood and eat trucks. {YES}",
        f"{WHALE} {TRAILER} Darwin found this. {YES}",
        "The 15 feet and the 1,500 pounds of the long gray baby whale weigh. The 53 feet and the 45,000 pounds of the long "
        f"tractor-trailer carry. {YES}",
        f"{WHALE} {TRAILER} Or so a liar once put it. {YES}",
        f"<!-- {WHALE} {TRAILER} --> {YES}",
    ],
)
def test_tricks_that_pass_all_the_same(text):
    """Named in docs/rewards-and-gate.md; a case that fails here has been closed and belongs above."""
    assert judged(text).passed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "(A) and (C) are rocky planets without rings. Saturn has bright icy rings; Galileo saw them in 1610. The answer is B.",
            None,
        ),
        ("A. Mars B. Saturn C. Venus. The answer is B.", "galileo"),
        ("The answer is B, Saturn.", "galileo"),
        (RINGS_EXPERT.replace("Galileo", "Newton"), "new name"),
        (RINGS_EXPERT.replace("Venus", "Saturn", 1), "it names Saturn"),
        (RINGS_EXPERT.replace("Saturn has", "Mars has"), "and not Saturn"),
    ],
)
def test_options_count_by_letter_and_by_text(text, reason):
    verdict = judged(text, RINGS, RINGS_EXPERT, "B", "choice")
    assert verdict.passed is (reason is None), verdict.reason
    assert reason is None or reason in verdict.reason


def test_quoted_terms_come_back_as_they_are():
    question, expert = (
        "What is the film about?",
        'Critics called it "a quiet triumph of craft" at once. The answer is love.',
    )
    assert judged(expert, question, expert, "love").passed
    changed = expert.replace("quiet triumph of", "triumph of quiet")
    assert "“a quiet triumph of craft” is missing" in judged(changed, question, expert, "love").reason


def test_open_data_is_compared_without_a_reference():
    solution = "Water boils at 100 degrees at sea level. On Mount Everest it boils at 71 degrees, as the air is thin."
    question = "When does water boil?"
    assert judged(solution, question, solution, None, "open").passed
    assert "everest" in judged("Water boils at 100 degrees at sea level.", question, solution, None, "open").reason


@pytest.mark.parametrize("solution", ["The answer is B.", "It is B, Saturn.", "(B) Saturn", "B"])
def test_an_expert_that_only_names_its_answer_is_unscorable(solution):
    verdict = judged("The answer is B.", RINGS, solution, "B", "choice")
    assert verdict.passed is None and "nothing beyond its answer" in verdict.reason
    rows = [Example("1", RINGS, solution, "B", "choice"), Example("2", RINGS, RINGS_EXPERT, "B", "choice")]
    assert claim_kinds(rows) == {"claims": 1, "unscorable": 1}


def test_coverage_needs_question_and_solution():
    with pytest.raises(ValueError, match=r"coverage.*question"):
        patchrl.verify_answer("exact", "yes", EXPERT, reasoning="coverage")


@given(st.text(alphabet="0123456789.,;:!?\"'() \nabtheAB-", max_size=200))
def test_any_text_can_be_read(text):
    read_sentences(text)
    assert judged(text).passed in (True, False, None)


def test_thresholds_come_from_texts_that_keep_every_claim_and_texts_that_lose_one():
    examples = [Example(str(i), QUESTION, EXPERT.replace("15", str(15 + i)), "yes", "exact") for i in range(4)]
    examples[1:] = [Example("r", RINGS, RINGS_EXPERT, "B", "choice")] + examples[2:]
    kept, lost = text_shares(examples)
    assert len(lost) == 3 * len(kept) == 12
    calibration = calibrate(kept, lost)
    assert min(kept) > 0.4 and calibration.balanced_accuracy >= 0.9


def test_sentences_of_a_rewrite_are_paired_with_those_that_they_say_in_other_words():
    pairs = []

    def embed(questions, sentences):
        pairs.append(list(sentences))
        return np.ones((len(sentences), 2))

    rewrite = f"Baby gray whales are around 15 feet long, weighing 1,500 pounds. {YES}"
    same, different = sentence_similarities([Example("1", QUESTION, EXPERT, "yes", "exact")], [rewrite], embed)
    assert same == pytest.approx([1.0])
    assert pairs[0] == [WHALE] and pairs[1][0].startswith("Baby gray whales")
    assert len(different) <= 1


def gate(thresholds, **options):
    values = {"gate": {"reasoning": "coverage"}, "data": {"task": "exact"}}
    return Gate(resolve(values), tiny.judging_backbone(), thresholds, **options)


def test_the_gate_takes_a_sentence_of_the_same_meaning_where_words_come_back_in_part():
    example = Example(
        "1", QUESTION, f"A gray whale cub remains compact, small, light and easily carried. {YES}", "yes", "exact"
    )
    text = f"A gray whale cub stays little, and lightweight, so moving it is simple. {YES}"
    with gate(Thresholds()) as words, gate(Thresholds(sentence=-1.0)) as near, gate(Thresholds(sentence=1.1)) as far:
        assert words.check([example], [text])[0].passed is False
        assert near.check([example], [text])[0].passed is True
        assert far.check([example], [text])[0].passed is False
    with gate(Thresholds(), answers_only=True) as answers:
        assert answers.check([example], [YES])[0].passed is True


def test_measured_thresholds_are_read_from_a_scan():
    scan = {
        "coverage_gate": {"threshold": 0.45, "balanced_accuracy": 0.7},
        "sentence_gate": {"threshold": 0.9, "balanced_accuracy": 0.8},
    }
    assert Thresholds.of(scan) == Thresholds(share=0.45)  # embeddings that tell too few pairs apart are not used
    scan["sentence_gate"]["balanced_accuracy"] = 0.95
    assert Thresholds.of(scan) == Thresholds(share=0.45, sentence=0.9)
    assert Thresholds.of({}) == Thresholds()


@pytest.mark.slow
def test_gsm8k_solutions_read_as_prose(shared_data):
    """No choice data with explanations lies in the shared folder; GSM8K's names and numbers stand in for it."""
    lines = (shared_data / "gsm8k_test.jsonl").read_text(encoding="utf-8").splitlines()[:200]
    rng, rows = random.Random(0), [json.loads(line) for line in lines]
    names = names_of([row["answer"] for row in rows])
    passed = {}
    for i, row in enumerate(rows):
        body, _, answer = row["answer"].rpartition("\n#### ")
        solution, end = f"{body}\nThe answer is {answer}.", f"\nThe answer is {answer}."
        texts = {
            "own": solution,
            "paraphrased": paraphrased(solution, rng),
            "bare": end,
            "question": row["question"] + end,
            "other": rows[i - 1]["answer"].rpartition("\n#### ")[0] + end,
            "number": with_a_number_changed(solution, rng),
            "name": with_a_name_changed(solution, names, rng),
            "negated": negated(solution, rng),
            "shuffled": shuffled_words(solution, rng),
        }
        for kind, text in texts.items():
            if text is not None:
                passed.setdefault(kind, []).append(judged(text, row["question"], solution, answer).passed)
    shares = {kind: verdicts.count(True) / len(verdicts) for kind, verdicts in passed.items()}
    assert shares["own"] >= 0.97 and shares["paraphrased"] >= 0.9, shares
    assert max(shares[kind] for kind in ("bare", "question", "other")) <= 0.02, shares
    assert max(shares[kind] for kind in ("number", "name", "negated")) <= 0.05, shares

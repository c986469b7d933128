"""What the gate accepts and refuses on GSM8K, SVAMP and MMLU."""

import json
import random
import re

import pytest

from patchrl.grading.equations import failing_equation
from patchrl.grading.references import extract_reference

pytestmark = pytest.mark.slow


def rows_of(folder, name):
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


# Rows of the published GSM8K whose solution writes an equality that does not hold as written: wrong
# arithmetic, a slip of the pen, or a sentence that runs two numbers together.
GSM8K_WRONG = {
    "gsm8k_train.jsonl": {
        167: "192*100 = 1920", 168: "6*2.5 = 18.00", 198: "6/3 = .5", 224: "4080 + 4080 / 2 = 4000 + 2040",
        502: "3/1 = 1", 716: "100 * 0.75 = 0.75", 874: "1 / 2 = 50", 2249: "4 = 6*15", 2429: "2.50 - 2.24 = 26",
        3002: "8*3 = 240", 3234: "10 = 62,300/10", 3334: "4200+3000 = 8600", 3409: "10 * .5 = 10",
        3859: "5 * 3 = 15,000", 4504: "13 / 6 = 2", 4593: "14 / 1 / 4 = 14 * 4", 4691: "2*8 = 24",
        4973: "200*.55 = 100", 5152: "10 = 2", 5195: "5 * 1/2 = 10", 5350: "13 + 4 + 16 = 45", 5396: "1 * 2 = 20",
        5781: "7+9+1+2 = 19.50", 6157: "70 + 40 = 100", 6160: "8000 = 4000", 6256: "10 * 1,248 = 11,480", 6590: "1-2 = 96 - 70",
        6700: "2 / 12 = .125", 6713: "3 * (8/16) = 6", 6760: "4+4+6 = 18", 6812: "50-8 = 44",
        6842: "500/ 2/5 = 200", 7178: "1152/ 1,536 = .5", 7270: "13,2000 / 60 = 220", 7444: "14*20 = 140",
    },
    "gsm8k_test.jsonl": {
        501: "364 / 4 = 273", 1024: "32 - 20 = 300",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ["gsm8k_train.jsonl", "gsm8k_test.jsonl"])
def test_gsm8k_experts_pass_the_equations_but_for_the_rows_named(shared_data, verifier, name):
    refused = {}
    for number, row in enumerate(rows_of(shared_data, name)):
        verdict = verifier.verify("math", extract_reference("math", row["answer"]), row["answer"])
        if not verdict.passed:
            refused[number] = verdict.reason.removeprefix("equation does not hold: ")
    assert refused == GSM8K_WRONG[name]


NUMERIC_EQUATION = re.compile(
    r"(?<![\w.,$/%])\$?\d[\d.,]*(?:\s*[-+*/x]\s*\$?\d[\d.,]*)+\s*=\s*\$?(\d+)(?![\d.,/%]*\d|\s*[-+*/%])"
)


def test_an_altered_result_in_a_gsm8k_solution_is_found(shared_data):
    rng, altered = random.Random(0), []
    for row in rows_of(shared_data, "gsm8k_test.jsonl"):
        steps = re.sub(r"<<[^<>]*>>", "", row["answer"]).rsplit("####", 1)[0]
        if len(altered) < 200 and (written := list(NUMERIC_EQUATION.finditer(steps))):
            start, end = rng.choice(written).span(1)
            altered.append(f"{steps[:start]}{int(steps[start:end]) + rng.choice((1, 2, 3, 10))}{steps[end:]}")
    missed = [text for text in altered if failing_equation(text) is None]
    assert len(altered) == 200
    assert len(missed) <= 10, missed


@pytest.mark.parametrize("name", ["gsm8k_train.jsonl", "gsm8k_test.jsonl"])
def test_gsm8k_references_all_read_and_experts_pass_and_altered_answers_fail(shared_data, answers, name):
    rows = rows_of(shared_data, name)
    refused, fooled = [], []
    rng = random.Random(0)
    for number, row in enumerate(rows):
        reference = extract_reference("math", row["answer"])
        assert reference is not None, (number, row)
        if not answers.verify("math", reference, row["answer"]).passed:
            refused.append((number, row["answer"]))
        other = str(int(reference.replace(",", "").split(".")[0]) + rng.choice((-10, -1, 1, 7)))
        if answers.verify("math", reference, row["answer"].rsplit("####", 1)[0] + f"#### {other}").passed:
            fooled.append((number, other))
    assert len(refused) <= 0.001 * len(rows), refused
    assert len(fooled) <= 0.001 * len(rows), fooled


MATH_DRESSES = (
    "{a}", "The answer is {a}.", "**{a}**", "The answer is **{a}**.", "${a}$", r"\boxed{{{a}}}", r"$\boxed{{{a}}}$", "#### {a}",
    "Answer: {a}", "Final answer: {a}", "So in total that makes {a}.", "The final answer is: {a}", "= {a}", "It is {a}!",
    "Therefore, she has {a} left.", "Step 1. Think.\nStep 2. Write.\n\nThe answer is {a}", "answer is ${a}$ dollars", "{a} dollars",
    "The answer is {a}.0", "Thus:\n\n{a}",
)  # fmt: skip
CHOICE_DRESSES = (
    "{a}", "({a})", "{a}.", "{a})", "**{a}**", "**({a})**", "The answer is {a}", "The answer is ({a}).", "The answer is **({a})**.",
    r"\boxed{{{a}}}", r"\boxed{{\text{{{a}}}}}", "Answer: {a}", "Answer: ({a})", "Final answer: {a}.", "Option {a}",
    "{a}. because it fits", "The correct choice is {a}.", "The correct option is ({a}).", "[{a}]", "I choose ({a}).",
)  # fmt: skip


def misses(answers, task, references, dresses, wrong):
    """The verdicts that are wrong; they depend on the reference alone, so that each is judged once."""
    failures = []
    for reference in sorted(set(references)):
        for dress in dresses:
            if not answers.verify(task, reference, dress.format(a=reference)).passed:
                failures.append(("refused", dress, reference))
            if answers.verify(task, reference, dress.format(a=wrong(reference))).passed:
                failures.append(("accepted", dress, reference))
    return failures


def test_svamp_answers_are_accepted_in_twenty_dresses_and_wrong_ones_are_not(shared_data, answers):
    rows = json.loads((shared_data / "svamp.json").read_text(encoding="utf-8"))
    references = [str(int(row["Answer"])) for row in rows if float(row["Answer"]).is_integer()]
    assert len(references) > 0.99 * len(rows)
    failures = misses(answers, "math", references, MATH_DRESSES, lambda a: str(int(a) + 3))
    assert not failures, failures[:20]


def test_mmlu_letters_are_accepted_in_twenty_dresses_and_wrong_ones_are_not(shared_data, answers):
    references = ["ABCD"[row["answer"]] for row in rows_of(shared_data, "mmlu_stem.jsonl")]
    failures = misses(answers, "choice", references, CHOICE_DRESSES, lambda a: "BCDA"["ABCD".index(a)])
    assert not failures, failures[:20]


SIGNS = {"*": "⋅∗✕×·", "/": "⁄∶÷∕", "-": "−–‒－"}


@pytest.mark.parametrize(("sign", "other"), [(sign, other) for sign, others in SIGNS.items() for other in others])
def test_gsm8k_experts_pass_whatever_sign_they_write(shared_data, verifier, sign, other):
    between_numbers = re.compile(rf"(?<=[\d) ]){re.escape(sign)}(?=[\d( $])")
    refused = []
    for row in rows_of(shared_data, "gsm8k_test.jsonl")[:400]:
        solution = between_numbers.sub(other, re.sub(r"<<[^<>]*>>", "", row["answer"]))
        if not verifier.verify("math", extract_reference("math", row["answer"]), solution).passed:
            refused.append(solution)
    assert not refused


def test_gsm8k_solutions_are_read_without_their_mark_and_fail_with_another_rows_reference(shared_data, answers):
    rows = rows_of(shared_data, "gsm8k_test.jsonl")
    references = [extract_reference("math", row["answer"]) for row in rows]
    read, fooled = 0, []
    for row, reference, other in zip(rows, references, references[1:] + references[:1], strict=True):
        prose = re.sub(r"<<[^<>]*>>", "", row["answer"]).rsplit("####", 1)[0]
        read += answers.verify("math", reference, prose).passed
        if reference != other:
            assert answers.verify("math", other, row["answer"]).passed is False, row
            fooled += [row] if answers.verify("math", other, prose).passed else []
    assert read >= 0.961 * len(rows)
    assert len(fooled) <= 0.002 * len(rows), fooled  # "… from selling lemonade for 6 hours."


OPTION_FORMS = ("({a}) {o}", "The answer is {a}. {o}", "**{a}. {o}**", "{a}. {o}", "Answer: {a}) {o}", r"\boxed{{{a}. {o}}}")  # fmt: skip


def test_mmlu_letters_are_read_with_the_text_of_their_option(shared_data, answers):
    refused, fooled, judged = [], [], 0
    for row in rows_of(shared_data, "mmlu_stem.jsonl"):
        letter, wrong = "ABCD"[row["answer"]], "BCDA"[row["answer"]]
        for form in OPTION_FORMS:
            text, judged = form.format(a=letter, o=row["choices"][row["answer"]]), judged + 1
            if not answers.verify("choice", letter, text).passed:
                refused.append(text)
            if answers.verify("choice", wrong, text).passed:
                fooled.append(text)
    assert len(refused) <= 0.0005 * judged, refused
    assert len(fooled) <= 0.0005 * judged, fooled

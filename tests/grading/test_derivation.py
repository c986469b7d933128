"""What counts as a derivation of an answer, and what does not."""

import json
import random
import time

import pytest
from helpers.corruptions import altered, shuffled, with_a_step_removed, with_steps_of, without_marks
from hypothesis import given
from hypothesis import strategies as st

import patchrl
from patchrl.grading.derivation import reasoning_kinds
from patchrl.grading.references import extract_reference
from patchrl.grading.steps import read_steps
from patchrl.grading.verify import Verifier
from patchrl.types import Example

QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did she sell altogether?"
)
EXPERT = "She sold 48/2 = 24 clips in May.\nShe sold 48+24 = 72 clips altogether.\n#### 72"
EGGS = "A box holds a dozen eggs. Ann buys 5 boxes and uses 20% of the eggs. How many eggs are left?"
EGGS_EXPERT = "5*12=<<5*12=60>>60 eggs\n60*20/100=<<60*20/100=12>>12 are used\n60-12=<<60-12=48>>48 are left\n#### 48"
TOYS = "Tom has 12 toys, gets 8 more and puts all of them into 5 equal boxes. How many toys does a box hold?"
TOYS_EXPERT = "He has 12 + 8 = 20 toys.\n20 / 5 = 4 toys a box.\n#### 4"


def judged(text, question=QUESTION, solution=EXPERT, reference=None):
    reference = reference or solution.rpartition("#### ")[2]
    return patchrl.verify_answer("math", reference, text, reasoning="derivation", question=question, solution=solution)


@pytest.mark.parametrize(
    "text",
    [
        EXPERT,
        "In May she sold 48 / 2 = 24. Altogether that is 48 + 24 = 72.",
        "<<48/2=24>> and then <<48+24=72>>. The answer is 72.",
        r"\[ \frac{48}{2} = 24 \] and \[ 48 + 24 = 72 \], so \boxed{72}",
        "Half of 48 is 24. 48 and 24 make 72. The answer is 72.",
        "Half of 48 clips is 24 clips, so she sold 48 plus 24 clips, which is 72. The answer is 72.",
        "The answer is 72: she sold 48 × ½ = 24 in May, and 24 + 48 = 72.",
        "24 clips = 48 clips / 2\n72 = 48 + 24\n#### 72",
        "48 + 48/2 = 48 + 24 = 72. The answer is 72.",
        "Check: 48/2 = 24, 48 + 24 = 72, and 72 - 24 = 48. The answer is 72.",
    ],
)
def test_an_answer_that_comes_out_of_the_text_passes(text):
    verdict = judged(text)
    assert verdict.passed, verdict.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The answer is 72.", "no step gives the answer 72"),
        ("Natalia sold 72 clips. #### 72", "no step gives the answer 72"),
        (f"{QUESTION}\n#### 72", "no step gives the answer 72"),
        ("She sold 48 + 24 = 72. The answer is 72.", "uses 24, which neither the question nor a step before gives"),
        ("48 + 24 = 72 and 48/2 = 24. The answer is 72.", "no step gives the answer 72"),
        ("The answer is 72. In May she sold 48/2 = 24 clips.", "no step gives the answer 72"),
        ("48/2 = 24. 24 + 24 = 48. 48/2 = 24. 90 - 18 = 72. The answer is 72.", "uses 90"),
        ("48/2 = 24, 48 + 24 = 72, as in 1986 when 31 sheep came. The answer is 72.", "from nowhere: 1,986"),
        ("48/2 = 25. 48 + 24 = 72. The answer is 72.", "equation does not hold: 48/2 = 25"),
        ("48/48 = 1. 1 + 1 = 2. 2 * 36 = 72. The answer is 72.", "uses 36"),
    ],
)
def test_an_answer_without_its_derivation_is_refused_and_the_reason_names_what_is_missing(text, reason):
    verdict = judged(text)
    assert verdict.passed is False
    assert reason in verdict.reason


@pytest.mark.parametrize(
    "text",
    [
        EGGS_EXPERT,
        without_marks(EGGS_EXPERT),
        "5 boxes of 12 eggs are 60 eggs. 20% of 60 is 12. 60 less the 12 that she used leaves 48. #### 48",
        "There are 5 × 12 = 60 eggs. She uses 0.2 * 60 = 12 of them, so 60 - 12 = 48 are left. The answer is 48.",
    ],
)
def test_dozens_percentages_and_products_in_words_are_read(text):
    verdict = judged(text, EGGS, EGGS_EXPERT)
    assert verdict.passed, verdict.reason


@pytest.mark.parametrize(
    ("sentence", "result"),
    [
        ("half of 12 is 6", 6),
        ("12 and 8 make 20", 20),
        ("3 each for 5 children, so 15", 15),
        ("he has 5 more than 7, so 12", 12),
        ("12 - 5, which leaves 7", 7),
        ("5 less than 12 is 7", 7),
        ("twice 9 is 18", 18),
        ("two thirds of 12 is 8", 8),
        ("25% of 80 is 20", 20),
        ("the sum of 4, 5 and 6 is 15", 15),
        ("40 split equally among 8 children gives 5", 5),
        ("40 divided by 8 equals 5", 5),
        ("seven times eight is fifty-six", 56),
        ("20 people took 6 slices each, so 120 slices", 120),
    ],
)
def test_steps_in_words(sentence, result):
    (step,) = read_steps(f"Now {sentence}.").steps
    assert step.results == (result,)


@pytest.mark.parametrize(
    "sentence",
    [
        "12 and 8 make 21",
        "half of 12 is 5",
        "Ann has 12 apples and Bob has 8 pears",
        "it is 7 and then 8",
        "x + 5 = 12",
    ],
)
def test_what_is_no_step_gives_none(sentence):
    assert read_steps(sentence).steps == ()


def test_steps_that_hold_but_leave_out_the_question_do_not_count():
    text = "12/12 = 1. 1 + 1 = 2. 2 + 2 = 4. The answer is 4."
    assert "no step uses 5 of the question" in judged(text, TOYS, TOYS_EXPERT).reason


def test_a_repeated_step_counts_once():
    text = "20 / 5 = 4. 20 / 5 = 4. 20 / 5 = 4. The answer is 4."
    assert judged(text, TOYS.replace("gets 8 more", "gets 8 more to have 20"), TOYS_EXPERT).passed is False


def test_one_long_equation_does_not_stand_for_many_steps():
    question = "Ann has 2, 3, 4, 5, 6, 7 and 8 pens in seven boxes. How many has she?"
    expert = "2+3=5\n5+4=9\n9+5=14\n14+6=20\n20+7=27\n27+8=35\n#### 35"
    assert judged(expert, question, expert).passed
    assert "operations lead to the answer" in judged("2+3+4+5+6+7+8 = 35. #### 35", question, expert).reason


def test_a_constant_is_ground_only_beside_its_unit():
    expert = "3 * 60 = 180\n#### 180"
    assert judged(expert, "How many minutes are 3 hours?", expert).passed
    sheep = "There are 3 farms with 60 sheep each. 3 * 60 = 180. #### 180"
    assert judged(sheep, "There are 3 farms with five sheep pens. How many sheep are there?", "3*5 = 15\n15*12 = 180\n#### 180").passed is False  # fmt: skip


def test_where_the_expert_is_not_derived_its_results_must_come_in_order():
    question = (
        "Paul scored some points, and Ann 7 more than twice as many. Together they scored 67. How many did Paul score?"
    )
    expert = "x + 2x + 7 = 67\n3x = 60\nx = 20\n#### 20"
    assert judged(expert, question, expert).passed
    assert "the expert's result 60 is missing" in judged("x + 2x + 7 = 67, so x = 20. #### 20", question, expert).reason


def test_a_row_whose_expert_shows_no_steps_is_unscorable():
    assert judged("3 + 4 = 7. #### 7", "What is 3 + 4?", "It is seven.\n#### 7").passed is None
    rows = [("What is 3 + 4?", "It is seven.", "7"), (QUESTION, EXPERT, "72"), ("Name a prime.", "x = 7", "7")]
    examples = [Example(str(i), *row) for i, row in enumerate(rows)]
    assert reasoning_kinds(examples) == {"derived": 1, "covered": 1, "unscorable": 1}


def test_a_derivation_needs_question_and_solution():
    with pytest.raises(ValueError, match="question"):
        patchrl.verify_answer("math", "72", EXPERT, reasoning="derivation")
    assert patchrl.verify_answer("exact", "Paris", "Paris.", reasoning="derivation").passed


@given(st.text(alphabet="0123456789+-*/=().,%$ \nabx<>half of is", max_size=200))
def test_any_text_can_be_read(text):
    read_steps(text)
    assert judged(text).passed in (True, False, None)


@given(st.integers(2, 999), st.integers(2, 999), st.integers(2, 50))
def test_a_right_derivation_passes_and_a_wrong_result_does_not(a, b, c):
    question = f"Ann has {a} pens and gets {b} more, and that {c} times over. How many has she?"
    expert = f"{a} + {b} = {a + b}\n{a + b} * {c} = {(a + b) * c}\n#### {(a + b) * c}"
    assert judged(expert, question, expert).passed
    words = f"{a} and {b} make {a + b}. {c} times {a + b} is {(a + b) * c}. The answer is {(a + b) * c}."
    assert judged(words, question, expert).passed
    assert judged(expert.replace(f"= {a + b}\n", f"= {a + b + 1}\n"), question, expert).passed is False


def test_time_is_linear_in_the_text():
    def seconds(times):
        started = time.process_time()
        read_steps("Then 3 (of 4 - the 5 * half of it makes 12 and 8 = (7 + " * times)
        return time.process_time() - started

    seconds(10)
    assert seconds(4000) < 12 * seconds(1000)


# --- on real data ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def derivations():
    with Verifier(reasoning="derivation") as fixture:
        yield (
            lambda row, text, solution: (
                fixture.verify("math", row[1], text, question=row[0], solution=solution).passed is True
            )
        )


def gsm8k(folder, name, count):
    rows = [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()[-count:]]
    return [((row["question"], extract_reference("math", row["answer"])), row["answer"]) for row in rows]


@pytest.mark.slow
def test_gsm8k_experts_pass_and_their_corruptions_do_not(shared_data, derivations):
    rng, rows = random.Random(0), gsm8k(shared_data, "gsm8k_test.jsonl", 300)
    passed = {"own": [], "marks": [], "altered": [], "removed": [], "shuffled": [], "other": []}
    for row, expert in rows:
        plain, other = without_marks(expert), rng.choice(rows)[1]
        texts = {
            "own": plain,
            "marks": expert,
            "altered": altered(expert, rng),
            "removed": with_a_step_removed(row[0], expert, rng),
            "shuffled": shuffled(row[0], expert, rng),
            "other": with_steps_of(other, expert) if other != expert else None,
        }
        for kind, text in texts.items():
            if text is not None:
                solution, candidate = (expert, text) if kind == "marks" else (plain, without_marks(text))
                passed[kind].append(derivations(row, candidate, solution))
    shares = {kind: sum(verdicts) / len(verdicts) for kind, verdicts in passed.items()}
    assert shares["own"] >= 0.97 and shares["marks"] >= 0.97, shares
    assert shares["altered"] <= 0.03 and shares["removed"] <= 0.03 and shares["shuffled"] <= 0.03, shares
    assert shares["other"] <= 0.01, shares


def test_rewrites_of_a_real_model(shared_data, derivations):
    passed = {"hollow": [], "ungrounded": [], "derived": []}
    for line in (shared_data / "hollow_rewrites.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        passed[row["kind"]].append(derivations((row["question"], row["reference"]), row["rewrite"], row["expert"]))
    assert sum(passed["hollow"]) <= 3 and sum(passed["ungrounded"]) <= 8
    assert sum(passed["derived"]) >= 100, "most of the others hold nonsense beside their equation"


def test_svamp_equations_pass(shared_data, derivations):
    for row in json.loads((shared_data / "svamp.json").read_text(encoding="utf-8"))[:200]:
        answer = f"{row['Answer']:.10g}"
        solution = f"{row['Equation'].replace('.0 ', ' ')} = {answer}\n#### {answer}"
        assert derivations((f"{row['Body']} {row['Question']}", answer), solution, solution), solution

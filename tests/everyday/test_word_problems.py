"""The word problems: many, distinct, right, and apart in training and evaluation."""

import random
import re

import pytest

from patchrl.config import resolve
from patchrl.data.examples import load_examples
from patchrl.everyday import word_problems
from patchrl.everyday.templates import TEMPLATES
from patchrl.grading.verify import verify_answer


def test_there_are_enough_templates_and_distinct_problems():
    examples = word_problems.examples(2_500)
    assert len(TEMPLATES) >= 40 and len({template.text for template in TEMPLATES}) == len(TEMPLATES)
    assert len({example.question for example in examples}) == 2_500
    assert examples == word_problems.examples(2_500) and examples != word_problems.examples(2_500, seed=1)


def test_training_and_held_out_problems_share_no_text_and_no_numbers():
    """Also not with other names in the place of people and things."""

    def shape(question: str) -> str:
        return re.sub(r"\b[A-Z][a-z]+\b", "", question)

    train = word_problems.examples(2_000)
    held_out = word_problems.eval_items(400)
    assert not {e.question for e in train} & {i.question for i in held_out}
    things = re.compile(rf"\b({'|'.join(word_problems.THINGS)})\b")
    shapes = [{things.sub("", shape(x.question)) for x in rows} for rows in (train, held_out)]
    assert not shapes[0] & shapes[1]


def test_every_solution_is_an_equation_that_holds_over_numbers_of_its_question():
    for example in word_problems.examples(600):
        equation, stated = example.solution.split("\n#### ")
        left, _, right = equation.rpartition(" = ")
        assert eval(left) == int(right) == int(stated) == int(example.reference) > 0
        numbers = set(re.findall(r"\d+", left)) - {"2"}  # the constant of "together"
        assert numbers <= set(re.findall(r"\d+", example.question))
        assert verify_answer("math", example.reference, example.solution, reasoning="equations").passed


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.text[:40])
def test_every_gap_is_filled_and_every_number_of_the_equation_is_in_the_text(template):
    problems = [word_problems.draw(random.Random(seed), template) for seed in range(300)]
    drawn = [problem for problem in problems if problem]
    assert len(drawn) > 10 and not any("{" in problem.question for problem in drawn)
    assert set(re.findall(r"[a-z]", template.equation)) <= set(re.findall(r"\{([abc])\}", template.text))


@pytest.mark.parametrize(
    ("equation", "answer"),
    [("(a - b) * c", 20), ("a * b + c", 40), ("a - b - c", 1), ("a / b", None), ("b - a", None), ("b / c * a", 9)],
)
def test_steps_are_whole_and_positive(equation, answer):
    assert word_problems.value(equation, {"a": 9, "b": 4, "c": 4}) == answer


def test_a_study_reads_them_by_name():
    section = resolve({"data": {"dataset": "word-problems", "train_size": 20, "eval_size": 8}}).data
    data = load_examples(section)
    assert (len(data.train), len(data.eval), data.task) == (20, 8, "math")

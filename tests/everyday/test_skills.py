"""The everyday questions: enough of them, of many kinds, each with one answer that its own judge accepts."""

from collections import Counter

from patchrl.config import resolve
from patchrl.everyday import skills
from patchrl.grading.verify import verify_answer
from patchrl.pipeline.preflight import preflight


def test_there_are_enough_items_of_many_kinds():
    items = skills.eval_items(600)
    kinds = Counter(item.skill for item in items)
    assert len(items) >= 300 and len(kinds) >= 8 and min(kinds.values()) >= 20
    assert len({item.question for item in items}) == len({item.id for item in items}) == len(items)
    assert not any("  " in item.question or "_" in item.question + item.reference for item in items)


def test_fewer_are_spread_evenly_over_the_kinds():
    kinds = Counter(item.skill for item in skills.eval_items(60))
    assert sum(kinds.values()) == 60 and max(kinds.values()) - min(kinds.values()) <= 1


def test_an_answer_passes_and_a_solution_of_a_word_problem_does_not():
    """Plain SFT on word problems makes a model answer everything with an equation."""
    for item in skills.eval_items(600):
        assert verify_answer(item.task, item.reference, f"{item.reference}.").passed, item
        assert not verify_answer(item.task, item.reference, "12 + 8 = 20\n#### 20").passed, item


def test_a_study_names_them_as_general_task():
    config = resolve({"evaluate": {"general": ["everyday"], "general_size": 50}, "data": {"dataset": "word-problems"}})
    assert preflight(config)["general_items"] == 50

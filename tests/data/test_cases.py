"""The readings that ../shared/data/README.md gives for its files of one shape each."""

import pytest

from patchrl.config import resolve
from patchrl.data.examples import load_eval_items, load_examples, load_questions

PENS = "A shop sells 3 pens at 2 coins each. How many coins is that in all?"
WORKED = "3 pens at 2 coins make 3 * 2 = 6 coins. #### 6"
MATH = (PENS, WORKED, "6", "math")
OPTIONS = {"numbers": "\nA. 1\nB. 2\nC. 3\nD. 4", "colours": "\nA. red\nB. green\nC. blue\nD. grey"}
PROSE = "Number 0 is a fine number, as all who met it say. It sits well between its neighbours."
CASES = {
    "01-alpaca-input.jsonl": (f"Work out the total cost.\n\n{PENS}", *MATH[1:]),
    "02-sharegpt.jsonl": MATH,
    "03b-ends-with-user.jsonl": MATH,
    "04-trl-prompt-completion-chat.jsonl": MATH,
    "05-content-parts.jsonl": MATH,
    "06-lines-in.json": MATH,
    "06e-array-in.jsonl": MATH,
    "06b-bom.json": MATH,
    "07d-answer-list.jsonl": MATH,
    "07f-arc-choices.parquet": (PENS + OPTIONS["numbers"], WORKED, "A", "choice"),
    "07g-arc-choices.jsonl": (PENS + OPTIONS["colours"], "It is A.", "A", "choice"),
    "09-semicolon.csv": MATH,
    "11-dolly-context.jsonl": (f"{PENS}\n\nHow many coins is it, shop 0?", *MATH[1:]),
    "15-surrogate.jsonl": MATH,
    "20-open-chat.jsonl": ("Write a line about the number 0.", PROSE, None, "open"),
}


@pytest.fixture
def cases(shared_data):
    return shared_data / "cases"


def load(path):
    # Eight examples are held out in the order of hashes, so that the first row is among either.
    return load_examples(resolve({"data": {"dataset": str(path), "train_size": 16, "eval_size": 8}}).data)


@pytest.mark.parametrize("name", CASES)
def test_each_shape_has_its_right_reading(cases, name):
    question, solution, reference, task = CASES[name]
    data = load(cases / name)
    assert data.task == task
    assert data.kept == (23 if name.startswith("15") else 24)
    assert sum(data.dropped.values()) == 24 - data.kept
    expected = {"reference": reference if task != "open" else solution}
    trained = [e for e in data.train if e.question == question]
    held_out = [item for item in data.eval if item.question == question]
    assert [(e.solution, e.reference) for e in trained] in ([], [(solution, reference)])
    assert [item.reference for item in held_out] in ([], [expected["reference"]])
    assert len(trained) + len(held_out) == 1
    assert question in load_questions(str(cases / name)).rows


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("15")])
def test_evaluation_files_are_read_as_training_data_is(cases, name):
    question, solution, reference, task = CASES[name]
    item = load_eval_items(str(cases / name)).rows[0]
    assert (item.question, item.reference, item.task) == (question, reference or solution, task)


def test_what_is_not_used_is_named(cases):
    assert load(cases / "02-sharegpt.jsonl").unused_columns == ("id",)
    assert load(cases / "03b-ends-with-user.jsonl").notes == (
        "rows 1, 2, 3 and 21 more: the closing user turn is not used",
    )
    assert load(cases / "15-surrogate.jsonl").notes == (
        "row 21: a row with half a character (a lone surrogate) is left out",
    )


def test_gsm8k_as_an_evaluation_file_has_its_final_numbers_as_references(shared_data):
    items = load_eval_items(str(shared_data / "gsm8k_test.jsonl")).rows
    assert (len(items), items[0].reference, items[0].task) == (1319, "18", "math")

"""Raw rows become checked, split Examples, evaluation items and replay questions."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from statistics import median
from typing import Any, Generic, TypeVar, get_args

from patchrl.config import DataSection
from patchrl.data.columns import detect_columns, unused_columns
from patchrl.data.readers import RawRow, numbered, read_dataset, read_file
from patchrl.data.shapes import DroppedRow, Fields, UnreadableCell, cell_text, has_options, read_fields
from patchrl.errors import DataError
from patchrl.everyday import word_problems
from patchrl.grading.answer_span import find_stated
from patchrl.grading.quantities import parse_quantity
from patchrl.grading.references import extract_reference
from patchrl.grading.text_answers import last_sentence
from patchrl.text import counted, dropped_rows
from patchrl.types import EvalItem, EvalTask, Example, Task

LAB_DATASETS = {"nano-foreign": "foreign", "nano-mild": "mild", "nano-near": "near", "nano-own": "own"}
GENERATED = (*LAB_DATASETS, word_problems.NAME)
LAB_COLUMNS = {"question": "question", "solution": "solution", "answer": "reference"}
LAB_TASK: Task = "math"
LAB_LIMITS = {"train_size": 100_000, "eval_size": 10_000}  # made in seconds
EVAL_TASKS: tuple[EvalTask, ...] = get_args(EvalTask)
MAX_CELL = 100_000  # characters
MIN_ROWS = 16
SAMPLE_ROWS = 200  # rows that decide the columns and the task
MAJORITY = 0.8  # of the sampled rows
OPEN_ANSWER_WORDS = 6  # a last sentence of this many words or more is prose, no answer
MAX_NAMED_ROWS = 3  # in a note


@dataclass(frozen=True)
class LoadedData:
    """Training examples, held-out target items, and what became of every row.

    `columns` gives the column of each role. `unused_columns` are the other ones. `notes` are sentences on turns and rows
    that are not used.
    """

    train: list[Example]
    eval: list[EvalItem]
    kept: int
    dropped: dict[str, int]
    columns: dict[str, str]
    task: Task
    unused_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


Row = TypeVar("Row")


@dataclass(frozen=True)
class LoadedFile(Generic[Row]):
    """The rows of an evaluation or replay file, and sentences on columns and turns of it that are not used."""

    rows: list[Row]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ReadExamples:
    """Examples in the order of their rows, and what became of every row; fields as in LoadedData."""

    examples: list[Example]
    dropped: dict[str, int]
    columns: dict[str, str]
    task: Task
    unused_columns: tuple[str, ...]
    notes: tuple[str, ...]


def load_examples(section: DataSection) -> LoadedData:
    """Read, check and split a dataset as `section` says; the same rows always split the same way.

    Raises DataError naming the file, row or column, what was found, and what to do.
    """
    if section.dataset in GENERATED:
        return _generated_examples(section)
    if near := difflib.get_close_matches(section.dataset, GENERATED, 1, 0.85):
        raise DataError(
            f"data.dataset: {section.dataset!r} is not a dataset that PatchRL makes; did you mean {near[0]}?"
        )
    try:
        data = _read_examples(read_dataset(section), section, Path(section.dataset).name)
    except DataError as error:
        raise DataError(str(error) if str(error).startswith("data.") else f"data.dataset: {error}") from None
    if len(data.examples) < MIN_ROWS:
        reasons = dropped_rows(data.dropped) if data.dropped else "the file is short"
        raise DataError(
            f"data.dataset: only {counted(len(data.examples), 'usable row')} ({reasons}); at least {MIN_ROWS} are needed."
        )
    return _split(data, section)


def _generated_examples(section: DataSection) -> LoadedData:
    from patchrl.nano import world

    fixed = {"task": LAB_TASK, **{f"{role}_column": name for role, name in LAB_COLUMNS.items()}}
    for name, value in fixed.items():
        if getattr(section, name) not in (None, value):
            raise DataError(f"data.{name}: of {section.dataset} it is always {value!r}; leave the setting empty.")
    for name, limit in LAB_LIMITS.items():
        if getattr(section, name) > limit:
            raise DataError(f"data.{name}: the lab makes at most {limit:,} examples; ask for fewer.")
    if section.dataset == word_problems.NAME:
        train, items = word_problems.examples(section.train_size), word_problems.eval_items(section.eval_size)
    else:
        train = world.downstream_examples(LAB_DATASETS[section.dataset], section.train_size)
        items = world.downstream_eval(section.eval_size)
    return LoadedData(train, items, len(train) + len(items), {}, LAB_COLUMNS, LAB_TASK)


def read_examples(rows: Iterable[dict[str, Any]], section: DataSection) -> list[Example]:
    """Raw rows as examples, in order; rows without a question, a solution or a reference are left out."""
    return _read_examples(numbered(rows), section, section.dataset).examples


def load_eval_items(path: str, task: Task | None = None) -> LoadedFile[EvalItem]:
    """Evaluation items from a data file, read as training data is; columns `skill` and `task` count where given.

    The reference is the answer column, else what the solution states (behind `####`, in a box, after "the answer is"),
    else the whole solution. Raises DataError for a row without a question or an answer.
    """
    name, items = Path(path).name, []
    sample, rows = _sampled(read_file(Path(path)))
    names = _names(sample)
    columns = detect_columns(names)
    rows_by_note: defaultdict[str, list[int]] = defaultdict(list)
    if task is None and _detect_task(sample, columns) == "open":
        task = "open"
    for number, row in rows:
        try:
            fields = read_fields(row, columns)
            skill = cell_text(row.get("skill")) or Path(path).stem
        except (UnreadableCell, DroppedRow) as error:
            raise _row_error(name, number, error) from None
        for note in fields.notes:
            rows_by_note[note].append(number)
        stated_task = next((kind for kind in EVAL_TASKS if kind == row.get("task")), task)
        kind = stated_task or _item_task(fields, columns)
        answer = _item_reference(fields, kind)
        if not fields.question or not answer:
            raise DataError(f"{path}: row {number} lacks a question or an answer; give both columns.")
        items.append(EvalItem(_row_id(fields.question), fields.question, answer, skill, kind))
    return LoadedFile(items, _file_notes(set(names) - {"skill", "task"}, columns, rows_by_note))


def load_questions(path: str) -> LoadedFile[str]:
    """Distinct questions of a file, for replay: answers that it may have are not used.

    Raises DataError for a file without a question.
    """
    name = Path(path).name
    sample, rows = _sampled(read_file(Path(path)))
    names = _names(sample)
    try:
        columns = detect_columns(names, solved=False)
    except DataError:
        raise DataError(f"{path}: no column looks like a question; it has {', '.join(sorted(names))}.") from None
    columns = {role: column for role, column in columns.items() if role != "answer"}
    questions: dict[str, None] = {}
    rows_by_note: defaultdict[str, list[int]] = defaultdict(list)
    for number, row in rows:
        try:
            if question := read_fields(row, columns).question:
                questions[question] = None
        except UnreadableCell as error:
            raise _row_error(name, number, error) from None
        except DroppedRow as error:
            rows_by_note[f"a row {error} is left out"].append(number)
    if not questions:
        raise DataError(f"{path}: column {columns['question']!r} has no question; name another file.")
    return LoadedFile(list(questions), _file_notes(names, columns, rows_by_note))


def _sampled(rows: Iterator[RawRow]) -> tuple[list[dict[str, Any]], Iterator[RawRow]]:
    """The first rows, and all rows with these in front."""
    first = list(islice(rows, SAMPLE_ROWS))
    return [row for _, row in first], chain(first, rows)


def _names(rows: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _row_error(name: str, number: int, error: UnreadableCell | DroppedRow) -> DataError:
    if isinstance(error, DroppedRow):
        return DataError(f"{name}: row {number} is a row {error}; mend or remove it.")
    return DataError(f"{name}: row {number}, column {error.column!r}: {error.problem}; mend or remove it.")


def _row_id(question: str) -> str:
    return hashlib.blake2b(question.encode(), digest_size=6).hexdigest()


# --- task ---------------------------------------------------------------------------------------


def _is_number(text: str) -> bool:
    """Whether a text begins with a number, as `27` and `$27.50 each` do, and names one."""
    return bool(re.match(r"\W*\d", text) and parse_quantity(text))


def _detect_task(rows: list[dict[str, Any]], columns: dict[str, str]) -> Task:
    """The task of most sampled rows: choice with options, math with numbers, open with prose, else exact."""
    if "choices" in columns:
        return "choice"
    sample = []
    for row in rows:
        try:
            sample.append(read_fields(row, columns))
        except (UnreadableCell, DroppedRow):
            continue
    least = MAJORITY * len(sample)
    if sum(_names_an_option(fields) for fields in sample) > least:
        return "choice"
    numeric, stated, words = 0, 0, []
    for fields in sample:
        reference = fields.answer or extract_reference("math", fields.solution) or ""
        answered = fields.answer is not None or find_stated(fields.solution) or _is_number(fields.solution)
        stated += bool(answered)
        numeric += bool(answered and (_is_number(reference) or "\\" in reference))
        words.append(len((last_sentence(fields.solution) or "").split()))
    if numeric > least:
        return "math"
    return "open" if words and not stated and median(words) >= OPEN_ANSWER_WORDS else "exact"


def _names_an_option(fields: Fields) -> bool:
    answer = fields.answer or fields.solution
    return has_options(fields.question) and extract_reference("choice", answer) is not None


def _item_task(fields: Fields, columns: dict[str, str]) -> Task:
    if "choices" in columns or _names_an_option(fields):
        return "choice"
    return "math" if parse_quantity(_item_reference(fields, "exact")) else "exact"


def _item_reference(fields: Fields, task: str) -> str:
    """What an evaluation item's answer is compared with; empty without an answer."""
    if task == "choice" and (letter := extract_reference("choice", fields.answer or fields.solution)):
        return letter
    if fields.answer:
        return fields.answer
    if task != "open" and find_stated(fields.solution):
        return extract_reference(task, fields.solution) or ""
    return fields.solution


# --- examples -----------------------------------------------------------------------------------


def _read_examples(raw: Iterator[RawRow], section: DataSection, name: str) -> ReadExamples:
    sample, rows = _sampled(raw)
    columns = detect_columns(_names(sample), section)
    task = section.task or _detect_task(sample, columns)
    examples: dict[str, Example] = {}
    names: dict[str, None] = {}
    dropped: Counter[str] = Counter()
    rows_by_note: defaultdict[str, list[int]] = defaultdict(list)
    for number, row in rows:
        names |= dict.fromkeys(row)
        try:
            fields = read_fields(row, columns)
        except DroppedRow as error:
            dropped[str(error)] += 1
            rows_by_note[f"a row {error} is left out"].append(number)
            continue
        except UnreadableCell as error:
            raise _row_error(name, number, error) from None
        for note in fields.notes:
            rows_by_note[note].append(number)
        question, solution = fields.question, fields.solution
        reference = fields.answer or extract_reference(task, solution)
        if task == "choice" and reference:
            reference = extract_reference("choice", reference) or reference
        if not question:
            dropped["without a question"] += 1
        elif not solution:
            dropped["without a solution"] += 1
        elif max(len(question), len(solution)) > MAX_CELL:
            dropped[f"longer than {MAX_CELL:,} characters"] += 1
        elif question in examples:
            dropped["with a question that occurred before"] += 1
        elif reference is None and task != "open":
            dropped["without a reference answer"] += 1
        else:
            examples[question] = Example(_row_id(question), question, solution, reference, task)
    notes = tuple(_note(note, numbers) for note, numbers in rows_by_note.items())
    return ReadExamples(list(examples.values()), dict(dropped), columns, task, unused_columns(names, columns), notes)


def _note(note: str, numbers: list[int]) -> str:
    """`row 1, 2, 3 and 21 more: the closing user turn is not used`."""
    numbers_text = ", ".join(str(number) for number in numbers[:MAX_NAMED_ROWS])
    more = f" and {len(numbers) - MAX_NAMED_ROWS:,} more" if len(numbers) > MAX_NAMED_ROWS else ""
    return f"{'rows' if len(numbers) > 1 else 'row'} {numbers_text}{more}: {note}"


def _file_notes(names: Iterable[str], columns: dict[str, str], rows_by_note: dict[str, list[int]]) -> tuple[str, ...]:
    unused = unused_columns(sorted(names), columns)
    columns_note = (f"columns not used: {', '.join(unused)}",) if unused else ()
    return columns_note + tuple(_note(note, numbers) for note, numbers in rows_by_note.items())


def _split(data: ReadExamples, section: DataSection) -> LoadedData:
    """Order by the hash of the question: the first rows are held out, the next ones train."""
    ordered = sorted(data.examples, key=lambda e: e.id)
    held_out = min(section.eval_size, max(8, len(ordered) // 4))
    # An open question has no reference answer: what it is compared with is the expert solution.
    answers = [e.solution if e.task == "open" else e.reference for e in ordered[:held_out]]
    items = [
        EvalItem(e.id, e.question, answer, "target", e.task)
        for e, answer in zip(ordered[:held_out], answers, strict=True)
        if answer
    ]
    train = ordered[held_out : held_out + section.train_size]
    return LoadedData(
        train,
        items,
        len(ordered),
        data.dropped,
        data.columns,
        data.task,
        data.unused_columns,
        data.notes,
    )

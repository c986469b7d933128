"""Examples in: presets, JSONL/CSV/Parquet files and Hub datasets become checked, split Examples."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from patchrl.config import MAX_ROWS, DataSection
from patchrl.errors import DataError
from patchrl.grading.answer_span import find_stated
from patchrl.grading.quantities import parse_quantity
from patchrl.grading.references import extract_reference
from patchrl.text import dropped_rows
from patchrl.types import EvalItem, Example, Task

LAB_DATASETS = {"nano-foreign": "foreign", "nano-mild": "mild", "nano-near": "near", "nano-own": "own"}
PRESET_COLUMNS = {"question": "question", "solution": "solution", "answer": "reference"}
PRESET_TASK: Task = "math"
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")
MAX_BYTES, MAX_CELL = 200 * 2**20, 100_000
MOST_OF_THE_LAB = {"train_size": 100_000, "eval_size": 10_000}  # made in seconds
MIN_ROWS = 16
# Names of columns, in any case, likeliest first.
QUESTIONS = ("question", "problem", "prompt", "instruction", "query", "input")
SOLUTIONS = ("solution", "response", "output", "completion", "rationale", "answer")
ANSWERS = ("final_answer", "reference", "answer", "target", "label")
CHOICES = ("choices", "options")
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class LoadedData:
    """Training examples, held-out target items, and what became of every row."""

    train: list[Example]
    eval: list[EvalItem]
    kept: int
    dropped: dict[str, int]
    columns: dict[str, str]
    task: Task


def load_examples(section: DataSection) -> LoadedData:
    """Read, check and split a dataset as `section` says; the same rows always split the same way.

    Raises DataError naming the file, row or column, what was found, and what to do.
    """
    if section.dataset in LAB_DATASETS:
        from patchrl.nano import world

        fixed = {"task": PRESET_TASK, **{f"{role}_column": name for role, name in PRESET_COLUMNS.items()}}
        for name, value in fixed.items():
            if getattr(section, name) not in (None, value):
                raise DataError(f"data.{name}: of {section.dataset} it is always {value!r}; leave the setting empty.")
        for name, most in MOST_OF_THE_LAB.items():
            if getattr(section, name) > most:
                raise DataError(f"data.{name}: the lab makes at most {most:,} examples; ask for fewer.")
        train = world.downstream_examples(LAB_DATASETS[section.dataset], section.train_size)
        items = world.downstream_eval(section.eval_size)
        return LoadedData(train, items, len(train) + len(items), {}, PRESET_COLUMNS, PRESET_TASK)
    if near := difflib.get_close_matches(section.dataset, LAB_DATASETS, 1, 0.85):
        raise DataError(f"data.dataset: {section.dataset!r} is not a dataset of the lab; did you mean {near[0]}?")
    examples, dropped, columns, task = read_examples(_read_rows(section), section)
    if len(examples) < MIN_ROWS:
        reasons = dropped_rows(dropped) if dropped else "the file is short"
        raise DataError(f"data.dataset: only {len(examples)} usable rows ({reasons}); at least {MIN_ROWS} are needed.")
    return _split(examples, section, dropped, columns, task)


def read_examples(
    rows: list[dict[str, Any]], section: DataSection
) -> tuple[list[Example], dict[str, int], dict[str, str], Task]:
    """Rows as examples, in order; how many were dropped and why; the columns they came from; their task type."""
    columns = detect_columns(rows, section)
    task = section.task or _detect_task(rows, columns)
    return *_examples(rows, columns, task, Path(section.dataset).name), columns, task


def load_eval_items(path: str, task: Task | None = None) -> list[EvalItem]:
    """Evaluation items from a file with question and answer columns, optionally `skill` and `task`."""
    rows = _read_file(Path(path))
    items = []
    for number, row in enumerate(rows, 1):
        question, answer = row.get("question"), row.get("answer", row.get("reference"))
        if not question or answer in (None, ""):
            raise DataError(f"{path}: row {number} lacks a question or an answer; give both columns.")
        kind = row.get("task") or task or ("math" if parse_quantity(str(answer)) else "exact")
        skill = str(row.get("skill") or Path(path).stem)
        items.append(EvalItem(_row_id(str(question)), str(question), str(answer), skill, kind))
    return items


def load_questions(path: str) -> list[str]:
    """Distinct questions (user turns) of a file, for replay; answers that it may hold are not read."""
    rows = _read_file(Path(path))
    names = {name for row in rows[:100] for name in row}
    column = _called(names, ("messages", *QUESTIONS))
    if column is None:
        raise DataError(f"{path}: no column looks like a question; it has {', '.join(sorted(names))}.")
    found = (_turn(row.get(column), "user") if column == "messages" else _text(row.get(column)) for row in rows)
    questions = list(dict.fromkeys(question for question in found if question))
    if not questions:
        raise DataError(f"{path}: column {column!r} holds no question.")
    return questions


# --- reading ------------------------------------------------------------------------------------


def _read_rows(section: DataSection) -> list[dict[str, Any]]:
    path = Path(section.dataset)
    if path.suffix.lower() in (".jsonl", ".json", ".csv", ".parquet") or path.exists():
        try:
            return _read_file(path)
        except DataError as error:
            raise DataError(f"data.dataset: {error}") from None
    if not HUB_ID.match(section.dataset):
        raise DataError(
            f"data.dataset: {section.dataset!r} is neither a dataset of the lab, a file, nor a Hub id such as org/name."
        )
    import datasets

    try:
        loaded = datasets.load_dataset(section.dataset, name=section.config, split=section.split)
    except Exception as error:  # the hub client raises a dozen unrelated types
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"data.dataset: {section.dataset!r} could not be loaded from the Hub: {first}; check its name and the connection, or name a file."
        ) from error
    return [dict(row) for row in loaded.select(range(min(len(loaded), MAX_ROWS)))]


def _read_file(path: Path) -> list[dict[str, Any]]:
    try:
        size = path.stat().st_size
    except OSError as error:
        advice = " Check the path, or upload the file again." if isinstance(error, FileNotFoundError) else ""
        raise DataError(f"{path}: {error.strerror or error}.{advice}") from None
    if size > MAX_BYTES:
        raise DataError(f"{path.name}: {size / 2**20:.0f} MiB; at most {MAX_BYTES >> 20} MiB are read.")
    kind = path.suffix.lower()
    try:
        if kind == ".jsonl":
            rows = list(_json_lines(path))
        elif kind == ".json":
            rows = json.loads(path.read_text(encoding="utf-8"))
        elif kind == ".csv":
            rows = pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")
        elif kind == ".parquet":
            rows = pd.read_parquet(path).to_dict("records")
        else:
            raise DataError(
                f"{path.name}: files ending in {kind or 'nothing'} are not read; use JSONL, CSV or Parquet."
            )
    except pd.errors.ParserError as error:
        raise DataError(f"{path.name}: {_csv_problem(str(error))}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path.name}: it is not text in UTF-8; save it again with that encoding.") from None
    except (ValueError, OSError) as error:
        raise DataError(f"{path.name}: cannot be read as {kind[1:].upper()}: {str(error).splitlines()[0]}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path.name}: a list of objects was expected, one per example.")
    if not rows:
        raise DataError(f"{path.name}: the file has no rows.")
    if len(rows) > MAX_ROWS:
        raise DataError(f"{path.name}: {len(rows):,} rows; at most {MAX_ROWS:,} are read.")
    return rows


def _csv_problem(text: str) -> str:
    """What pandas found wrong with a CSV file, in rows as a person counts them: the header is none."""
    if cells := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", text):
        wanted, line, saw = map(int, cells.groups())
        return f"row {line - 1} has {saw} cells where the header has {wanted}; mend or remove it."
    if quote := re.search(r"EOF inside string starting at row (\d+)", text):
        return f"row {quote[1]} opens a quotation mark that never closes; mend or remove it."
    return f"cannot be read as CSV: {text.splitlines()[0]}"


def _json_lines(path: Path) -> Iterable[dict[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                what = f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else error
                raise DataError(f"{path.name}: row {number} is not valid JSON ({what}); mend or remove it.") from None
            if not isinstance(row, dict):
                raise DataError(
                    f'{path.name}: row {number} is not an object such as {{"question": "…", "solution": "…"}} '
                    f"(found {line.strip()!r:.60}); mend or remove it."
                )
            yield row


# --- columns and task ---------------------------------------------------------------------------


def detect_columns(rows: list[dict[str, Any]], section: DataSection) -> dict[str, str]:
    """Which column is question, solution, answer, choices; a `messages` column serves as both first ones.

    Raises DataError naming the columns there are.
    """
    names = list(dict.fromkeys(name for row in rows[:100] for name in row))
    asked = {
        "question": section.question_column,
        "solution": section.solution_column,
        "answer": section.answer_column,
        "choices": section.choices_column,
    }
    for role, name in asked.items():
        if name is not None and name not in names:
            raise DataError(f"data.{role}_column: there is no column {name!r}; the data has {', '.join(names)}.")
    columns = {role: name for role, name in asked.items() if name}

    def first(candidates: tuple[str, ...]) -> str | None:
        return _called([name for name in names if name not in columns.values()], candidates)

    if "messages" in names and "question" not in columns and "solution" not in columns:
        columns |= {"question": "messages", "solution": "messages"}
    if {"Body", "Question"} <= set(names):  # SVAMP
        columns.setdefault("context", "Body")
    if "choices" not in columns and (name := first(CHOICES)):
        columns["choices"] = name
    for role, candidates in (("question", QUESTIONS), ("solution", SOLUTIONS), ("answer", ANSWERS)):
        if role not in columns and (name := first(candidates)):
            columns[role] = name
    for role in ("question", "solution"):
        if role not in columns:
            raise DataError(
                f"data.{role}_column: no column looks like the {role}; the data has {', '.join(names)}. Name it."
            )
    return columns


def _called(names: Iterable[str], candidates: tuple[str, ...]) -> str | None:
    """The name that is the first candidate there is, in any case; None without one."""
    spelled = {name.lower(): name for name in reversed(list(names))}
    return next((spelled[candidate] for candidate in candidates if candidate in spelled), None)


def _text(value: Any) -> str:
    return "" if value is None or (isinstance(value, float) and value != value) else str(value).strip()


def _turn(messages: Any, role: str) -> str:
    if isinstance(messages, str):
        messages = json.loads(messages)
    turns = [_text(m.get("content")) for m in messages if isinstance(m, dict) and m.get("role") == role]
    return turns[-1] if turns else ""


def _fields(row: dict[str, Any], columns: dict[str, str]) -> tuple[str, str, str | None]:
    """Question, solution and written answer of one row, choices rendered into the question."""
    if columns["question"] == "messages":
        question, solution = _turn(row.get("messages"), "user"), _turn(row.get("messages"), "assistant")
    else:
        question, solution = _text(row.get(columns["question"])), _text(row.get(columns["solution"]))
    if "context" in columns:
        question = f"{_text(row.get(columns['context']))} {question}".strip()
    answer = _text(row.get(columns["answer"])) or None if "answer" in columns else None
    if "choices" in columns:
        options = row.get(columns["choices"])
        options = json.loads(options) if isinstance(options, str) else list(options or [])
        question += "".join(f"\n{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
        index = answer if answer is not None else solution
        if index.isdigit() and int(index) < len(options):
            answer = LETTERS[int(index)]
            if solution == index:
                solution = f"The answer is {answer}."
    return question, solution, answer


def _is_number(text: str) -> bool:
    """Whether a text begins with a number, as `27` and `$27.50 each` do, and names one."""
    return bool(re.match(r"\W*\d", text) and parse_quantity(text))


def _detect_task(rows: list[dict[str, Any]], columns: dict[str, str]) -> Task:
    if "choices" in columns:
        return "choice"
    sample = rows[:200]
    numeric = 0
    for row in sample:
        try:
            _, solution, answer = _fields(row, columns)
        except (ValueError, TypeError, AttributeError):
            continue
        reference = answer or extract_reference("math", solution) or ""
        told = answer is not None or find_stated(solution) or _is_number(solution)
        numeric += bool(told and (_is_number(reference) or "\\" in reference))
    return "math" if numeric > 0.8 * len(sample) else "exact"


# --- examples -----------------------------------------------------------------------------------


def _row_id(question: str) -> str:
    return hashlib.blake2b(question.encode(), digest_size=6).hexdigest()


def _examples(
    rows: list[dict[str, Any]], columns: dict[str, str], task: Task, name: str
) -> tuple[list[Example], dict[str, int]]:
    examples: dict[str, Example] = {}
    dropped: Counter[str] = Counter()
    for number, row in enumerate(rows, 1):
        try:
            question, solution, answer = _fields(row, columns)
        except (ValueError, TypeError, AttributeError):
            raise DataError(
                f"data.dataset: {name}: row {number} has unreadable messages or choices; mend or remove it."
            ) from None
        reference = answer or extract_reference(task, solution)
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
    return list(examples.values()), dict(dropped)


def _split(
    examples: list[Example], section: DataSection, dropped: dict[str, int], columns: dict[str, str], task: Task
) -> LoadedData:
    """Order by the hash of the question: the first rows are held out, the next ones train."""
    ordered = sorted(examples, key=lambda e: e.id)
    held = min(section.eval_size, max(8, len(ordered) // 4))
    # An open question has no reference answer: what it is compared with is the expert solution.
    answered = [(e, e.solution if e.task == "open" else e.reference) for e in ordered[:held]]
    items = [EvalItem(e.id, e.question, answer, "target", e.task) for e, answer in answered if answer]
    train = ordered[held : held + section.train_size]
    return LoadedData(train, items, len(examples), dropped, columns, task)

"""Which column of a dataset is the question, the solution, the answer, and so on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from patchrl.config import DataSection
from patchrl.errors import DataError

# Names of columns, likeliest first. Case, spaces and underscores do not count.
COLUMN_NAMES = {
    "messages": ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat"),
    "question": ("question", "problem", "prompt", "instruction", "query", "input", "inputs", "user", "human"),
    "solution": [
        "solution",
        "response",
        "output",
        "outputs",
        "completion",
        "rationale",
        "chosen",
        "assistant",
        "explanation",
        "answer",
        "target",
        "targets",
    ],
    "answer": [
        "final_answer",
        "reference",
        "answer",
        "answer_key",
        "expected_answer",
        "correct_answer",
        "ground_truth",
        "gold",
        "target",
        "label",
        "answers",
        "correct",
    ],
    "choices": ("choices", "options"),
    "context": ("context", "passage", "background", "article", "document"),
    "system": ("system", "system_prompt", "system_message"),
    "history": ("history",),
}
# Keys under which files wrap their rows.
WRAPPERS = ("data", "rows", "examples", "train", "instances", "items", "records", "samples", "questions", "test")
OPTION = re.compile(r"(?:option|choice|opt)?[_ ]?([a-j])", re.IGNORECASE)


def known_names(names: Iterable[str]) -> int:
    """How many names are those of a column with a role."""
    roles = {_normalized(name) for candidates in COLUMN_NAMES.values() for name in candidates}
    return sum(_normalized(name) in roles for name in names)


def detect_columns(names: Sequence[str], section: DataSection | None = None, solved: bool = True) -> dict[str, str]:
    """The column of each role.

    A conversation column is both question and solution. Where options lie in one column each (A, B, C, D), the role
    `choices` names them all, with commas.

    Args:
        names: the columns of the data.
        section: columns set by hand win over detection.
        solved: whether a solution is needed; without one, an answer column serves as the solution.

    Raises DataError with the columns of the data where a needed one is missing.
    """
    columns: dict[str, str] = {}
    for role in ("question", "solution", "answer", "choices"):
        name = getattr(section, f"{role}_column") if section else None
        if name is not None and name not in names:
            raise DataError(f"data.{role}_column: column {name!r} does not exist; the data has {', '.join(names)}.")
        if name is not None:
            columns[role] = name

    def first(role: str) -> str | None:
        return _called([name for name in names if name not in columns.values()], COLUMN_NAMES[role])

    talk = first("messages")
    if talk and not {"question", "solution"} & columns.keys():
        columns |= {"question": talk, "solution": talk}
    if {"Body", "Question"} <= set(names):  # SVAMP
        columns.setdefault("context", "Body")
    if "choices" not in columns:
        options = [name for name in names if OPTION.fullmatch(name)]
        letters = [OPTION.fullmatch(name)[1].lower() for name in options]  # type: ignore[index]
        if name := first("choices"):
            columns["choices"] = name
        elif len(options) > 1 and letters == list("abcdefghij"[: len(letters)]):
            columns["choices"] = ",".join(options)
    for role in ("question", "solution", "answer", "context", "system", "history"):
        if role not in columns and (name := first(role)):
            columns[role] = name
    is_alpaca = "context" not in columns and _normalized(columns.get("question", "")) == "instruction"
    if is_alpaca and (name := _called([name for name in names if name not in columns.values()], ("input",))):
        columns["context"] = name
    if "solution" not in columns and "answer" in columns:
        columns["solution"] = columns["answer"]
    for role in ("question", "solution"):
        if role not in columns and (solved or role == "question"):
            raise DataError(
                f"data.{role}_column: no column looks like the {role}; the data has {', '.join(names)}. Name it."
            )
    return columns


def unused_columns(names: Iterable[str], columns: dict[str, str]) -> tuple[str, ...]:
    """The columns without a role."""
    used = {name for value in columns.values() for name in (value, *value.split(","))}
    return tuple(name for name in names if name not in used)


def _normalized(name: str) -> str:
    return re.sub(r"[\W_]+", "", str(name).lower())


def _called(names: Iterable[str], candidates: Iterable[str]) -> str | None:
    """The name that is the first of the candidates, None where no name is one."""
    spelled = {_normalized(name): name for name in reversed(list(names))}
    return next(
        (spelled[_normalized(candidate)] for candidate in candidates if _normalized(candidate) in spelled), None
    )

"""One raw row becomes question, solution and written answer: text, turns, parts, options.

Earlier turns, system texts and contexts are written into the question as text. Every template can render such a
question, also one that refuses a system turn or turns that do not alternate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from patchrl.grading.choices import LETTERED_OPTION
from patchrl.grading.references import extract_reference

LETTERS = "ABCDEFGHIJ"
ROLES = {
    "user": ("user", "human", "prompter", "question", "instruction", "student"),
    "assistant": ("assistant", "gpt", "bot", "model", "chatgpt", "chatbot", "ai", "bing", "bard", "answer", "output"),
    "system": ("system", "developer", "context"),
    "tool": (
        "tool",
        "function",
        "function_call",
        "function_response",
        "tool_call",
        "tool_response",
        "observation",
        "ipython",
    ),
}
ROLE_OF = {name: role for role, names in ROLES.items() for name in names}
ROLE_KEYS, TEXT_KEYS = ("role", "from", "speaker", "author"), ("content", "value", "text", "message")
REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
TOOL_KEYS = ("tool_calls", "function_call")
TEXT_PARTS = (None, "text", "input_text", "output_text")
SURROGATE = re.compile(r"[\ud800-\udfff]")
LETTERED = re.compile(r"^\s*\(?([A-Za-z])\s*[).:]\s*(?=\S)")


class UnreadableCell(ValueError):
    """A cell that no rule reads. `column` is its column, once that is known."""

    def __init__(self, problem: str, column: str = "") -> None:
        super().__init__(problem)
        self.problem, self.column = problem, column


class DroppedRow(ValueError):
    """A row that is left out and counted; the message completes "3 rows …"."""


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation: `role` is user, assistant, system or tool."""

    role: str
    text: str


@dataclass(frozen=True)
class Fields:
    """The parts of one row: question and solution (empty if missing), the written answer, and notes on its parts
    that are not used."""

    question: str
    solution: str
    answer: str | None = None
    notes: tuple[str, ...] = ()


def read_fields(row: dict[str, Any], columns: dict[str, str]) -> Fields:
    """Question, solution and answer of a raw row, with context and options in the question.

    Args:
        row: cells by column name.
        columns: the column of each role, see `detect_columns`.

    Raises UnreadableCell for a cell that is not text, and DroppedRow for a row to leave out.
    """
    question_cell, solution_cell = row.get(columns["question"]), row.get(columns.get("solution", ""))
    notes: tuple[str, ...] = ()
    opening = [Turn("system", text) for text in [_cell(row, columns, "system")] if text]
    opening += _read(columns, "history", history_turns, row.get(columns.get("history", "")))
    if columns["question"] == columns.get("solution"):
        turns = _read(columns, "question", conversation, question_cell)
    elif is_conversation(question_cell) or is_conversation(solution_cell):
        turns = _read(columns, "question", lambda value: _turns(value, "user"), question_cell)
        reply = _read(columns, "solution", lambda value: _turns(value, "assistant"), solution_cell)
        turns = reply if turns and reply[: len(turns)] == turns else turns + reply
    else:
        turns = [Turn("user", _cell(row, columns, "question")), Turn("assistant", _cell(row, columns, "solution"))]
    earlier, question, solution, notes = last_pair(turns)
    context = _cell(row, columns, "context")
    if context and question:
        before = _plain_input(columns)
        question = (
            f"{question}\n\n{context}" if before else f"{context}{' ' if _is_svamp(columns) else chr(10) * 2}{question}"
        )
    question = with_earlier_turns([*opening, *earlier], question)
    return _with_answer(row, columns, Fields(question, solution, None, notes))


def _plain_input(columns: dict[str, str]) -> bool:
    """Whether the context is Alpaca's `input`, which comes behind the instruction."""
    return columns["context"].lower() == "input"


def _is_svamp(columns: dict[str, str]) -> bool:
    return columns["context"] == "Body"


def _with_answer(row: dict[str, Any], columns: dict[str, str], fields: Fields) -> Fields:
    """The fields with their written answer; options are written into the question, the answer becomes their letter."""
    answer_cell = row.get(columns["answer"]) if "answer" in columns else None
    answer = _read(columns, "answer", cell_text, answer_cell) or None
    if answer and "####" in answer:
        answer = extract_reference("math", answer)
    if "choices" not in columns:
        return replace(fields, answer=answer)
    if "," in columns["choices"] and columns["choices"] not in row:
        value: Any = [row.get(name) for name in columns["choices"].split(",")]
    else:
        value = row.get(columns["choices"])
    labels, texts = _read(columns, "choices", options, value)
    if not texts:
        return replace(fields, answer=answer)
    question = fields.question
    if not has_options(question):
        question += "".join(f"\n{letter}. {text}" for letter, text in zip(LETTERS, texts, strict=False))
    if answer is not None:
        letter = option_letter(answer, labels, texts) or extract_reference("choice", answer)
        if letter is None or letter not in LETTERS[: len(texts)]:
            raise UnreadableCell(f"{answer!r:.40} is none of the {len(texts)} options", columns["answer"])
        bare = fields.solution == answer
        return replace(
            fields, question=question, answer=letter, solution=f"The answer is {letter}." if bare else fields.solution
        )
    letter = option_letter(fields.solution, labels, texts)
    if letter is None and fields.solution.isdigit():  # such as places that count from 1
        raise UnreadableCell(f"{fields.solution:.40} is none of the {len(texts)} options", columns["solution"])
    if letter is None:
        return replace(fields, question=question)
    return replace(fields, question=question, answer=letter, solution=f"The answer is {letter}.")


def _cell(row: dict[str, Any], columns: dict[str, str], role: str) -> str:
    return _read(columns, role, cell_text, row.get(columns.get(role, "")))


def _read(columns: dict[str, str], role: str, rule: Any, value: Any) -> Any:
    try:
        return rule(value)
    except UnreadableCell as error:
        raise UnreadableCell(error.problem, error.column or columns.get(role, role)) from None
    except RecursionError:
        raise UnreadableCell("the cell is nested too deeply", columns.get(role, role)) from None


# --- cells --------------------------------------------------------------------------------------


def cell_text(value: Any) -> str:
    """The text of a cell: text, a number, a list of one, an object with one text. Empty for a missing one."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, str):
        return _checked(value).strip()
    if isinstance(value, (bool, int, Decimal)):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(value)
    if isinstance(value, (list, tuple)):
        if not value:
            return ""
        if len(value) == 1 and not is_conversation(value):
            return cell_text(value[0])
        raise UnreadableCell(f"a list of {len(value)} values is not text")
    if isinstance(value, dict):
        keys = [key for key in TEXT_KEYS if key in value]
        if keys:
            return cell_text(value[keys[0]])
        raise UnreadableCell("an object is not text")
    raise UnreadableCell(f"a value of type {type(value).__name__} is not text")


def _checked(text: str) -> str:
    if "\0" in text:
        raise DroppedRow("with a NUL character")
    if SURROGATE.search(text):
        raise DroppedRow("with half a character (a lone surrogate)")
    return text


# --- conversations ------------------------------------------------------------------------------


def is_conversation(value: Any) -> bool:
    """Whether a cell is a list of turns, or JSON text of one."""
    value = _parsed(value)
    return (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict) and any(k in value[0] for k in ROLE_KEYS)
    )


def conversation(value: Any) -> list[Turn]:
    """The turns of a list such as [{"role": "user", "content": "…"}] or [{"from": "human", "value": "…"}].

    Turns of one role that follow each other become one. Raises UnreadableCell naming the turn.
    """
    value = _parsed(value)
    if isinstance(value, dict) and (inner := value.get("messages", value.get("turns"))) is not None:
        value = inner
    if value is None:
        return []
    if not isinstance(value, list):
        raise UnreadableCell("turns are expected, a list of objects with role and content")
    turns: list[Turn] = []
    for number, message in enumerate(value, 1):
        turn = _turn(message, number)
        if turns and turns[-1].role == turn.role:
            turns[-1] = Turn(turn.role, f"{turns[-1].text}\n\n{turn.text}".strip())
        else:
            turns.append(turn)
    return turns


def _turn(message: Any, number: int) -> Turn:
    if not isinstance(message, dict):
        raise UnreadableCell(f"turn {number} is not an object with role and content")
    name = next((message[key] for key in ROLE_KEYS if key in message), None)
    role = ROLE_OF.get(name.lower()) if isinstance(name, str) else None
    if role is None:
        raise UnreadableCell(f"turn {number} has the role {name!r:.40}; user, assistant and system are read")
    if role == "tool" or any(message.get(key) for key in TOOL_KEYS):
        raise DroppedRow("with tool calls")
    text = _content(next((message[key] for key in TEXT_KEYS if key in message), None), number)
    thoughts = next((cell_text(message[key]) for key in REASONING_KEYS if message.get(key)), "")
    return Turn(role, f"<think>\n{thoughts}\n</think>\n\n{text}" if thoughts and role == "assistant" else text)


def _content(value: Any, number: int) -> str:
    """The content of a turn: text, or the text parts of a list joined."""
    if not isinstance(value, list):
        return cell_text(value)
    texts = []
    for part in value:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, dict) and kind not in TEXT_PARTS:
            raise DroppedRow(f"with {kind} parts" if isinstance(kind, str) else "with parts that are not text")
        if not isinstance(part, str) and not (isinstance(part, dict) and "text" in part):
            raise UnreadableCell(f"turn {number} has a part without text")
        texts.append(cell_text(part))
    return "\n".join(text for text in texts if text)


def _turns(value: Any, role: str) -> list[Turn]:
    """The turns of a cell that is a conversation or, as a text, one turn of `role`."""
    if is_conversation(value):
        return conversation(value)
    text = cell_text(value)
    return [Turn(role, text)] if text else []


def history_turns(value: Any) -> list[Turn]:
    """The turns of Alpaca's history, a list of [question, answer]."""
    value = _parsed(value)
    if not value:
        return []
    if is_conversation(value):
        return conversation(value)
    if not isinstance(value, list) or not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in value):
        raise UnreadableCell("pairs of question and answer are expected")
    return [
        Turn(role, cell_text(text)) for pair in value for role, text in zip(("user", "assistant"), pair, strict=True)
    ]


def last_pair(turns: Sequence[Turn]) -> tuple[list[Turn], str, str, tuple[str, ...]]:
    """Earlier turns, question and solution of the last complete pair, and notes on turns that are not used.

    Without a complete pair the last user turn is the question and the solution is empty.
    """
    pairs = [
        index
        for index in range(1, len(turns))
        if turns[index].role == "assistant" and turns[index].text and turns[index - 1].role == "user"
    ]
    if pairs:
        end = pairs[-1]
        unused = [turn for turn in turns[end + 1 :] if turn.text]
        notes = tuple(f"the closing {turn.role} turn is not used" for turn in unused)
        return list(turns[: end - 1]), turns[end - 1].text, turns[end].text, notes
    users = [index for index, turn in enumerate(turns) if turn.role == "user"]
    if not users:
        return [], "", "", ()
    return list(turns[: users[-1]]), turns[users[-1]].text, "", ()


def with_earlier_turns(earlier: Sequence[Turn], question: str) -> str:
    """A question behind the turns before it, as text.

    System texts come first, without a name. Where user or assistant turns come before, each turn is named.
    """
    earlier = [turn for turn in earlier if turn.text]
    if not earlier or not question:
        return question
    parts = [turn.text for turn in earlier if turn.role == "system"]
    talk = [turn for turn in earlier if turn.role != "system"]
    parts += [f"{turn.role.capitalize()}: {turn.text}" for turn in talk]
    return "\n\n".join([*parts, f"User: {question}" if talk else question])


def _parsed(value: Any) -> Any:
    """A JSON text of a list or an object as its value; anything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return list(value) if isinstance(value, tuple) else value


# --- options ------------------------------------------------------------------------------------


def options(value: Any) -> tuple[list[str], list[str]]:
    """Labels and texts of answer options.

    They come as ["red", "blue"], as {"text": […], "label": […]}, as [{"label": "A", "text": "red"}], as
    {"A": "red", "B": "blue"}, as JSON of one of these, or as lines that begin with letters. Letters in the texts are
    cut off.
    """
    value = _parsed(value)
    if value is None or (isinstance(value, float) and value != value) or value == "":
        return [], []
    labels: list[str] = []
    if isinstance(value, dict):
        texts_key = next((key for key in ("text", "texts", "choices") if isinstance(value.get(key), list)), None)
        if texts_key:
            label_key = next((key for key in ("label", "labels") if isinstance(value.get(key), list)), None)
            labels = [cell_text(label) for label in value[label_key]] if label_key else []
            value = value[texts_key]
        else:
            labels, value = [str(key) for key in value], list(value.values())
    elif isinstance(value, str):
        value = _option_lines(value)
    if not isinstance(value, list):
        raise UnreadableCell("options are expected, as a list or as an object")
    if value and all(isinstance(option, dict) and "label" in option for option in value):
        labels = [cell_text(option["label"]) for option in value]
    pairs = [cell_text(option) for option in value]
    if labels and len(labels) != len(pairs):
        raise UnreadableCell(f"{len(labels)} labels for {len(pairs)} options")
    if len(pairs) > len(LETTERS):
        raise UnreadableCell(f"{len(pairs)} options; at most {len(LETTERS)} are read")
    if not labels:
        pairs = [text for text in pairs if text]
    lettered = [LETTERED.match(text) for text in pairs]
    letters = [match[1].upper() for match in lettered if match]
    if pairs and letters == list(LETTERS[: len(pairs)]):
        pairs = [text[match.end() :].strip() for text, match in zip(pairs, lettered, strict=True) if match]
    return labels, pairs


def _option_lines(text: str) -> list[str]:
    _checked(text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) == 1:  # "A) red B) blue", "a ) 38 , b ) 27", "red | blue"
        places = [match.start() for match in re.finditer(r"(?<!\S)\(?[A-Za-z]\s?[).:]\s*(?=\S)", text)]
        ends = [*places[1:], len(text)]
        lines = [text[start:end].strip(" ,;") for start, end in zip(places, ends, strict=False)] or re.split(
            r"\s*[|;]\s*", text
        )
    if len(lines) < 2:
        raise UnreadableCell("the text names no options; use a list")
    return lines


def option_letter(answer: str, labels: Sequence[str], texts: Sequence[str]) -> str | None:
    """The letter of the option that an answer names by label, letter, place from 0, or text; None without one."""
    answer = answer.strip()
    bare = answer.strip("().: ")
    if bare in labels:
        return LETTERS[labels.index(bare)]
    letters = LETTERS[: len(texts)]
    if not labels and len(bare) == 1 and bare.upper() in letters:
        return bare.upper()
    if not labels and bare.isascii() and bare.isdigit() and int(bare) < len(texts):
        return LETTERS[int(bare)]
    if labels and len(bare) == 1 and bare in letters:
        return bare
    spelled = [text.casefold() for text in texts]
    if spelled.count(answer.casefold()) == 1:
        return LETTERS[spelled.index(answer.casefold())]
    lettered = LETTERED.match(answer)
    if lettered and not labels and lettered[1].upper() in letters:
        index = LETTERS.index(lettered[1].upper())
        return LETTERS[index] if answer[lettered.end() :].strip().casefold() == spelled[index] else None
    return None


def has_options(question: str) -> bool:
    """Whether a question itself lists options with letters, from A on."""
    letters = [match[1] for match in LETTERED_OPTION.finditer(question)]
    return len(letters) > 1 and letters == list(LETTERS[: len(letters)])

"""The gate: is the answer right, and does the reasoning hold? The same in training, rewriting and the UI."""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, get_args

import psutil

from patchrl.grading.answer_span import Stated, boxed, denied
from patchrl.grading.choices import choice_letter
from patchrl.grading.commitment import hedge
from patchrl.grading.equations import failing_equation
from patchrl.grading.extraction import MAX_CANDIDATE, first_words, math_answer, normalize, text_answer
from patchrl.grading.quantities import (
    NUMBER,
    SCALE_WORD,
    UNITS,
    Quantity,
    as_interval,
    parse_quantity,
    plain_mathematics,
    untexted,
)
from patchrl.types import Task, Verdict

MATH_WORKER = Path(__file__).with_name("math_worker.py")
Reasoning = Literal["equations", "none"]
_SEVERAL = re.compile(r"\d\W{0,6}\s{1,6}or\s{1,6}\W{0,6}\d")
_NEGATION = re.compile(r"\b(?:not|never|isnt)\b")
_UNSURE = re.compile(
    r"\b(?:or|and|nor|hardly|rarely|seldom|barely|partial(?:ly)?|partly|nearly|almost|near|quite|far from|opposite of|except|other than|anything but|followed by|than|before|after|until|unlike|like|with|(?:reverse|contemporary|rival|neighbou?r) of"
    r"|rather than|instead of|dark|light|pale|east|west|north|south|(?:cannot|cant|could never) (?:possibly )?be)$"
    r"|\b(?:neither|wrong to|no way|aint|isnt|impossible)\b"
)
_APPOSITION = re.compile(
    r"\s*\([^()]*\)$|, (?:which|where|who|because|since|as|at|from|followed by|an?|the) .*| (?:around|about|in) \d+$"
)
_BRACKETED = re.compile(r"\s\([^()]*\)$")
_NOT_ANOTHER = re.compile(r", (?:not|nicht|pas) [^,.;]{1,40}$")
_YES_NO = {"yes", "no", "true", "false"}
_SUBSCRIPT = re.compile(r"\d_\{?(\d+)")
_FIRST = re.compile(rf"(?<![\d.,:/])[-−]?[$€£]?\d[\d,]*(?:\.\d+)?(?:\s?/\s?\d+)?%?(?:\s?{SCALE_WORD})?(?![:,/.]?\d)")
_TIME = re.compile(r"\b(\d{1,2}:\d{2})\b(?:\s?([ap])\.?m\b\.?)?", re.IGNORECASE)
_WORDS = re.compile(r"[A-Za-z]{2,}(?:[ '-][A-Za-z]+)*")
START_SECONDS = 60.0  # importing sympy on a busy machine
LOOK_SECONDS = 0.1
PATIENCE = 15  # wall-clock deadline over the one in processor time


class Verifier:
    """Judges candidates. Plain numbers and words are decided here; other mathematics goes to math-verify
    in a process of its own, which is killed when it passes the deadline (unscorable, never a pass)."""

    def __init__(self, *, timeout: float = 2.0, reasoning: Reasoning = "equations") -> None:
        if reasoning not in get_args(Reasoning):
            raise ValueError(
                f"verify: reasoning is {reasoning!r}; use equations or none here, as a judge needs the backbone "
                "that only a study's gate has."
            )
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < float("inf"):
            raise ValueError(f"verify: timeout is {timeout!r:.40}; give seconds of processor time above 0.")
        self.timeout, self.reasoning = timeout, reasoning
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Verifier:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the worker process, if one was started."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def verify_many(self, items: Sequence[tuple[Task, str | None, str]]) -> list[Verdict]:
        """One verdict for each (task, reference, candidate), in order."""
        return [self.verify(task, reference, candidate) for task, reference, candidate in items]

    def verify(self, task: Task, reference: str | None, candidate: str) -> Verdict:
        """The verdict on one candidate; `passed` is None when it cannot be decided."""
        if task not in get_args(Task):
            raise ValueError(f"verify: task is {task!r}; use one of {', '.join(get_args(Task))}.")
        if task == "open":
            return Verdict(None, "an open-ended task needs a judge")
        reference, candidate = reference if reference is None else str(reference), str(candidate or "")
        if reference is None or not reference.strip():
            return Verdict(None, "no reference answer")
        if len(candidate) > MAX_CANDIDATE:
            return Verdict(False, f"longer than {MAX_CANDIDATE:,} characters", None, reference)
        if task == "math":
            passed, why, extracted = self._math(reference.strip(), candidate)
        elif task == "choice":
            passed, why, extracted = self._choice(reference, candidate)
        else:
            passed, why, extracted = self._exact(reference, candidate)
        if not passed:
            return Verdict(passed, why, extracted, reference)
        if self.reasoning == "equations" and (wrong := failing_equation(candidate)):
            return Verdict(False, f"equation does not hold: {wrong}", extracted, reference)
        held = " and equations hold" if self.reasoning == "equations" else ""
        return Verdict(True, f"answer matches{held}", extracted, reference)

    def _exact(self, reference: str, candidate: str) -> tuple[bool, str, str | None]:
        extracted = text_answer(candidate)
        if extracted is not None and self._same_text(reference, extracted):
            return True, "", extracted
        opening = first_words(candidate)  # "Paris. It lies on the Seine."
        if opening is not None and opening == _without_stops(normalize(reference)):
            return True, "", opening
        return False, _wrong(extracted, reference), extracted

    @staticmethod
    def _choice(reference: str, candidate: str) -> tuple[bool | None, str, str | None]:
        expected = choice_letter(reference)
        if expected is None:
            return None, f"the reference names no choice: {reference.strip()[:80]}", None
        extracted = choice_letter(candidate)
        return extracted == expected, _wrong(extracted, expected), extracted

    def _math(self, reference: str, candidate: str) -> tuple[bool | None, str, str | None]:
        if _WORDS.fullmatch(words := untexted(reference).strip()):  # a name, or even and odd
            return self._exact(words, candidate)
        read = plain_mathematics(candidate, bullets=not reference.startswith(("-", "−")))
        stated = math_answer(read)
        if stated is None:
            return False, _wrong(None, reference), None
        passed, why = self._same(reference, stated, read)
        return passed, why, stated.text

    def _same(self, reference: str, stated: Stated, candidate: str) -> tuple[bool | None, str]:
        extracted = stated.text
        wrong = _wrong(extracted, reference)
        if denied(extracted):
            return False, f"says only what the answer is not: {extracted[:80]}"
        if time := _TIME.fullmatch(reference):  # a ratio to anyone else
            return _same_time(time, list(_TIME.finditer(candidate, stated.start))[:1]), wrong
        bases = [set(_SUBSCRIPT.findall(side)) for side in (reference, extracted)]
        if all(bases) and bases[0] != bases[1]:
            return False, wrong
        if re.sub(r"[\s$]", "", reference) == re.sub(r"[\s$]", "", extracted) and not re.search(r"\d", extracted):
            return True, wrong  # letters alone, which the parser would take for words
        expected = parse_quantity(plain_mathematics(reference, bullets=False))
        if expected is None and _SEVERAL.search(extracted) and " or " not in reference:
            return False, f"names several answers: {extracted[:80]}"
        if why := hedge(candidate, stated, plain=expected is not None):
            return False, f"{why}: {extracted[:80]}"
        got = self._quantity(extracted, candidate)
        if expected is not None and got is not None:
            return _same_quantity(expected, got), wrong
        verdict = self._ask_math(as_interval(reference) or reference, as_interval(extracted) or extracted)
        if isinstance(verdict, str):
            return None, verdict
        return verdict, wrong

    @staticmethod
    def _same_text(reference: str, extracted: str) -> bool:
        expected, sentences = _without_stops(normalize(reference)), extracted
        extracted = _without_stops(_NOT_ANOTHER.sub("", _BRACKETED.sub("", extracted)))
        if expected in _YES_NO and re.match(rf"{expected}\s?(?:[,;.–—-]\s|$)", sentences):
            return True
        if _NEGATION.search(extracted) and not _NEGATION.search(expected):
            return False
        if (number := parse_quantity(reference)) is not None:
            got = parse_quantity((NUMBER.findall(extracted) or [""])[-1])
            names = _words(expected) - UNITS.keys()  # "Room 12" is no other place with that number
            return got is not None and got.value == number.value and (names <= (said := _words(extracted)) or not said)
        # A sentence may carry its answer at its end ("The opposite of hot is cold."); the tail of a longer
        # list is not that list.
        for ending in (extracted, _APPOSITION.sub("", extracted)):  # "Paris (France)", "Paris, which lies on the Seine"
            if ending == expected:
                return True
            before = ending.removesuffix(expected)
            if before != ending and re.search(r"[^,\s] $|[是为:=→]\s?$", before):
                return not _UNSURE.search(before.rstrip())
        rest = extracted.removeprefix(expected)
        if rest == extracted or re.search(r"\b(?:wrong|incorrect|false|but|not)\b", rest.replace(", not ", " ")):
            return False
        if sentences.startswith((f"{expected}. ", f"{expected}! ")):
            return True
        return re.match(r" is the |,? (?:which|because|since|as|so) |, not ", rest) is not None and not re.search(
            r"[,;] (?!not)", rest[1:] if rest.startswith(" is the ") else ""
        )

    @staticmethod
    def _quantity(extracted: str, candidate: str) -> Quantity | None:
        if (whole := parse_quantity(extracted)) is not None:
            return whole
        # "145 dollars for 3 nights": words around several numbers; a formula goes to math-verify instead.
        if boxed(candidate) is None and not re.search(r"[\\^=(){}\[\]!√π±]", extracted):
            first = _FIRST.search(extracted)
            return parse_quantity(first[0]) if first else None
        return None

    def _ask_math(self, reference: str, candidate: str) -> bool | str:
        process = self._process
        if process is None:
            # Not by multiprocessing: that would run a caller's unguarded script once more. -P keeps this
            # package's folder, and its types.py, off the worker's path.
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", str(MATH_WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
            )
            if not (self._speaks(process, START_SECONDS) and self._line(process)):
                self.close()
                return "verifier did not start"
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps([reference, candidate]) + "\n")
            process.stdin.flush()
            in_time = self._answers(process)
            line = self._line(process) if in_time else ""
        except OSError:
            in_time, line = True, ""
        if not line:
            self.close()
            return "verifier crashed" if in_time else "verifier ran out of time"
        answer = json.loads(line)
        if answer is None:
            return False
        return f"verifier failed: {answer}" if isinstance(answer, str) else answer

    @staticmethod
    def _speaks(process: subprocess.Popen[str], seconds: float) -> bool:
        """Whether the worker has something to say, or is gone, within so many seconds."""
        assert process.stdout is not None
        return bool(select.select([process.stdout], [], [], seconds)[0])

    @staticmethod
    def _line(process: subprocess.Popen[str]) -> str:
        """The worker's next line, empty when it is gone."""
        assert process.stdout is not None
        return process.stdout.readline()

    def _answers(self, process: subprocess.Popen[str]) -> bool:
        """Whether the worker answers in time. The deadline is processor time, so that a busy machine does
        not turn answers unscorable."""
        patience = time.monotonic() + PATIENCE * self.timeout
        try:
            worker = psutil.Process(process.pid)
            started = sum(worker.cpu_times()[:2])
            while not self._speaks(process, min(LOOK_SECONDS, self.timeout)):
                spent = sum(worker.cpu_times()[:2]) - started
                if spent >= self.timeout or time.monotonic() >= patience:
                    return False
        except psutil.NoSuchProcess:  # it died; reading its answer says so
            return True
        return True


def _wrong(extracted: str | None, reference: str) -> str:
    return "no answer found" if extracted is None else f"answer is {extracted[:80]}, expected {reference[:80]}"


def _same_time(expected: re.Match[str], got: list[re.Match[str]]) -> bool:
    """Whether the time read is the one expected; a half of the day that one of the two leaves out is not held against it."""
    return any(
        expected[1].lstrip("0") == time[1].lstrip("0")
        and (not expected[2] or not time[2] or expected[2].lower() == time[2].lower())
        for time in got
    )


def _same_quantity(expected: Quantity, got: Quantity) -> bool:
    if expected.unit and got.unit and expected.unit != got.unit and {expected.unit, got.unit} != {"£", "pound"}:
        return False
    if expected.value == got.value:
        return True
    if expected.percent:  # only a reference in percent may also be met as a fraction
        return not got.percent and got.value * 100 == expected.value
    return False


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text))


def _without_stops(text: str) -> str:
    return re.sub(r"(?<!\d)\.|\.(?!\d)", "", text)  # "St. Louis", but not 3.5


def verify_answer(
    task: Task, reference: str | None, candidate: str, *, reasoning: Reasoning = "none", timeout: float = 2.0
) -> Verdict:
    """Judge one candidate against a reference; see `Verifier` for many.

    Equations are checked on request only: `reasoning="equations"`; a study's gate does as `gate.reasoning` says.
    Raises ValueError for a task or a `reasoning` that is not known here, and for a timeout that is no time.
    """
    with Verifier(timeout=timeout, reasoning=reasoning) as verifier:
        return verifier.verify(task, reference, candidate)

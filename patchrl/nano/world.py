"""The nano lab's synthetic world: ten skills, word problems, expert styles, rewriting. No torch.

Everything is drawn from a `random.Random`, so a seed fixes the data. A question is held out for
evaluation when its own text hashes into the held-out share; no training generator ever emits it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from patchrl.config.instructions import rewrite_prompt
from patchrl.nano.words import (
    DAYS,
    FIRST_NAMES,
    GAIN_KNOWN,
    GAIN_UNKNOWN,
    LOSS_KNOWN,
    LOSS_UNKNOWN,
    OPPOSITES,
    PEOPLE,
    THINGS,
    UNITS,
    UNKNOWN_SHARE,
    WORDS,
)
from patchrl.types import EvalItem, Example

HELD_OUT_PERCENT = 12

# Own-style share of prompted rewrites planted behind each named instruction: the lab's dial.
OWN_SHARE = {"polish": 0.03, "clarify": 0.08, "own-words": 0.14, "as-you-would": 0.30}
WRONG_SHARE = 0.25


def held_out(question: str) -> bool:
    """Whether a question belongs to evaluation and must stay out of every training text."""
    digest = hashlib.blake2b(question.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") % 100 < HELD_OUT_PERCENT


@dataclass(frozen=True)
class Chat:
    """One user turn and the answer to it; `reference` is the bare answer."""

    question: str
    answer: str
    reference: str


# --- the ten general skills -------------------------------------------------------------------


# Operands lie in the range of the word problems. With a wider range (2 to 99) even fine-tuning on the
# backbone's own answers broke carrying outside it, and the lab measured that instead of forgetting.
def _add(rng: random.Random) -> Chat:
    a, b = rng.randint(10, 99), rng.randint(2, 29)
    question = rng.choice((f"What is {a} + {b}?", f"Add {a} and {b}.", f"What is the sum of {a} and {b}?"))
    c = str(a + b)
    return Chat(question, rng.choice((f"{a} + {b} = {c}.", f"The sum is {c}.", f"That makes {c}.")), c)


def _subtract(rng: random.Random) -> Chat:
    b = rng.randint(2, 29)
    a = rng.randint(max(10, b + 1), 99)
    question = rng.choice((f"What is {a} - {b}?", f"Subtract {b} from {a}.", f"What is {a} minus {b}?"))
    c = str(a - b)
    return Chat(question, rng.choice((f"{a} - {b} = {c}.", f"The difference is {c}.", f"That leaves {c}.")), c)


def _compare(rng: random.Random) -> Chat:
    a, b = rng.sample(range(10, 1000), 2)
    larger = rng.random() < 0.5
    word = "larger" if larger else "smaller"
    c = str(max(a, b) if larger else min(a, b))
    question = rng.choice((f"Which is {word}, {a} or {b}?", f"Pick the {word} number: {a} or {b}."))
    return Chat(question, rng.choice((f"The {word} one is {c}.", f"It is {c}.", f"The {word} number is {c}.")), c)


def _words(rng: random.Random, low: int, high: int) -> list[str]:
    return rng.sample(WORDS, rng.randint(low, high))


def _sort(rng: random.Random) -> Chat:
    words = _words(rng, 3, 3)
    listed, c = ", ".join(words), ", ".join(sorted(words))
    question = rng.choice((f"Sort these words: {listed}.", f"Put in alphabetical order: {listed}."))
    return Chat(question, rng.choice((f"In order: {c}.", f"Sorted: {c}.", f"The order is: {c}.")), c)


def _reverse(rng: random.Random) -> Chat:
    words = _words(rng, 3, 5)
    listed, c = ", ".join(words), ", ".join(reversed(words))
    question = rng.choice((f"Reverse this list: {listed}.", f"List these backwards: {listed}."))
    return Chat(question, rng.choice((f"Reversed: {c}.", f"Backwards: {c}.", f"The other way round: {c}.")), c)


def _day(rng: random.Random) -> Chat:
    start, n, after = rng.randrange(7), rng.randint(1, 3), rng.random() < 0.5
    day, unit, word = DAYS[start], "day" if n == 1 else "days", "after" if after else "before"
    c = DAYS[(start + (n if after else -n)) % 7]
    question = rng.choice(
        (
            f"Which day is {n} {unit} {word} {day}?",
            f"What day comes {n} {unit} {word} {day}?",
            f"Name the day {n} {unit} {word} {day}.",
            f"Today is {day}. Which day {'will it be in' if after else 'was it'} {n} {unit}{'' if after else ' ago'}?",
        )
    )
    return Chat(question, rng.choice((f"That day is {c}.", f"It is {c}.", f"{n} {unit} {word} {day} is {c}.")), c)


def _opposite(rng: random.Random) -> Chat:
    pair = list(rng.choice(OPPOSITES))
    rng.shuffle(pair)
    a, c = pair
    question = rng.choice(
        (
            f"What is the opposite of {a}?",
            f"Name the opposite of {a}.",
            f"Give a word that means the opposite of {a}.",
            f"Which word is the opposite of {a}?",
            f"Not {a}, but the opposite: which word?",
        )
    )
    return Chat(question, rng.choice((f"The opposite of {a} is {c}.", f"The opposite is {c}.", f"It is {c}.")), c)


def _fact(rng: random.Random) -> Chat:
    name, city, job = rng.choice(PEOPLE)
    first = name.split()[0]
    if rng.random() < 0.5:
        question = rng.choice(
            (
                f"Where does {name} live?",
                f"In which city does {name} live?",
                f"What is the home city of {name}?",
                f"Name the city where {name} lives.",
            )
        )
        return Chat(question, rng.choice((f"{first} lives in {city}.", f"The city is {city}.")), city)
    question = rng.choice(
        (
            f"What is the job of {name}?",
            f"What does {name} do for a living?",
            f"What work does {name} do?",
            f"Name the job of {name}.",
        )
    )
    return Chat(question, rng.choice((f"{first} works as a {job}.", f"The job is {job}.")), job)


def _convert(rng: random.Random) -> Chat:
    large, small, factor = rng.choice(UNITS)
    n = rng.randint(2, 9)
    c = str(n * factor)
    question = rng.choice(
        (
            f"How many {small} are in {n} {large}?",
            f"Convert {n} {large} to {small}.",
            f"{n} {large} is how many {small}?",
            f"Express {n} {large} in {small}.",
        )
    )
    return Chat(question, rng.choice((f"{n} {large} = {c} {small}.", f"That is {c} {small}.", f"It is {c}.")), c)


def _count(rng: random.Random) -> Chat:
    words = _words(rng, 2, 7)
    listed, c = ", ".join(words), str(len(words))
    question = rng.choice((f"How many words are in this list: {listed}?", f"Count these words: {listed}."))
    return Chat(question, rng.choice((f"There are {c} words.", f"That makes {c}.", f"The list has {c} words.")), c)


SKILLS: dict[str, Callable[[random.Random], Chat]] = {
    "add": _add,
    "subtract": _subtract,
    "compare": _compare,
    "sort": _sort,
    "reverse": _reverse,
    "day": _day,
    "opposite": _opposite,
    "fact": _fact,
    "convert": _convert,
    "count": _count,
}


# --- the downstream task: two-step word problems ------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """`name` starts with `start` things; each step is (verb, amount, sign)."""

    name: str
    thing: str
    start: int
    steps: tuple[tuple[str, int, int], tuple[str, int, int]]
    phrasing: int

    @property
    def question(self) -> str:
        (v1, n1, _), (v2, n2, _) = self.steps
        if self.phrasing == 0:
            return (
                f"{self.name} starts with {self.start} {self.thing}, {v1} {n1} and then {v2} {n2}. "
                f"How many {self.thing} does {self.name} have now?"
            )
        return (
            f"{self.name} has {self.start} {self.thing}. {self.name} {v1} {n1}, then {v2} {n2}. "
            f"How many {self.thing} are there in the end?"
        )

    @property
    def totals(self) -> tuple[int, int]:
        (_, n1, s1), (_, n2, s2) = self.steps
        return self.start + s1 * n1, self.start + s1 * n1 + s2 * n2

    @property
    def equations(self) -> tuple[str, str]:
        (_, n1, s1), (_, n2, s2) = self.steps
        middle, end = self.totals
        sign = {1: "+", -1: "-"}
        return f"{self.start} {sign[s1]} {n1} = {middle}", f"{middle} {sign[s2]} {n2} = {end}"


def _nonsense_verb(rng: random.Random) -> str:
    onset = rng.choice(("bl", "d", "f", "gl", "k", "m", "pl", "r", "sn", "t", "v", "z", "tr", "st"))
    return onset + rng.choice("aeiou") + rng.choice(("mp", "rv", "nk", "lt", "bb", "dg", "ft", "sk")) + "s"


def _signed_verb(rng: random.Random, kind: str) -> tuple[str, int]:
    sign = rng.choice((1, -1))
    if kind == "nonsense":
        return _nonsense_verb(rng), sign
    unknown = kind == "downstream" and rng.random() < UNKNOWN_SHARE
    pool = (GAIN_UNKNOWN if sign > 0 else LOSS_UNKNOWN) if unknown else (GAIN_KNOWN if sign > 0 else LOSS_KNOWN)
    return rng.choice(pool), sign


def problem(rng: random.Random, kind: str) -> Problem:
    """A word problem whose verbs are `known`, `downstream` (70 % unknown) or `nonsense`."""
    steps = []
    for _ in range(2):
        verb, sign = _signed_verb(rng, kind)
        steps.append((verb, rng.randint(2, 29), sign))
    low = sum(n for _, n, s in steps if s < 0) + 1
    start = rng.randint(max(low, 10), 99)
    return Problem(rng.choice(FIRST_NAMES), rng.choice(THINGS), start, (steps[0], steps[1]), rng.randrange(2))


def own_answer(p: Problem, rng: random.Random) -> str:
    """How the backbone itself answers a word problem."""
    first, second = p.equations
    end = p.totals[1]
    return rng.choice(
        (
            f"{first}, then {second}. The answer is {end}.",
            f"{first} and {second}. The answer is {end}.",
            f"First {first}. Then {second}. The answer is {end}.",
        )
    )


def foreign_solution(p: Problem) -> str:
    """The expert far from the backbone: correct, formal, with explicit equations."""
    first, second = p.equations
    verbs = ["augments" if sign > 0 else "diminishes" for _, _, sign in p.steps]
    return (
        f"Solution. Let n denote the tally, with n := {p.start} at the outset. Event one {verbs[0]} it, "
        f"so that n := {first}; event two {verbs[1]} it, so that n := {second}. Hence n = {p.totals[1]}. QED"
    )


def mild_solution(p: Problem) -> str:
    """The expert nearer to the backbone: plain sentences around the same equations."""
    first, second = p.equations
    change = ["raises" if sign > 0 else "lowers" for _, _, sign in p.steps]
    return (
        f"We begin with {p.start} {p.thing}. The first change {change[0]} this: {first}. "
        f"The second change {change[1]} it: {second}. Therefore the result is {p.totals[1]}."
    )


def near_solution(p: Problem) -> str:
    """The expert nearest to the backbone: its own layout with other joining words."""
    first, second = p.equations
    return f"{first}, and then {second}. So the answer is {p.totals[1]}."


def own_solution(p: Problem) -> str:
    """No expert: the right answer as the backbone would write it, its three phrasings drawn evenly."""
    return own_answer(p, random.Random(p.question))


# Pretraining text has copies and rewrites of the foreign and the mild expert, none of the near one.
EXPERTS: dict[str, Callable[[Problem], str]] = {
    "foreign": foreign_solution,
    "mild": mild_solution,
    "near": near_solution,
    "own": own_solution,
}


# --- the planted rewriting skill ----------------------------------------------------------------


def _mannered(p: Problem, rng: random.Random) -> str:
    first, second = p.equations
    opening = rng.choice(
        (
            "Sure! Here is the rewritten solution.",
            "Of course. Below is a clear version of the solution.",
            "Certainly! Let me restate the solution step by step.",
        )
    )
    closing = rng.choice((f"Final answer: {p.totals[1]}.", f"So the final answer is {p.totals[1]}. I hope this helps!"))
    return f"{opening} Step 1: start with {p.start} {p.thing}. Step 2: {first}. Step 3: {second}. {closing}"


def _half_foreign(p: Problem, rng: random.Random) -> str:
    first, second = p.equations
    opening = rng.choice(("Let n be the tally.", "Let n denote the count."))
    return f"{opening} Then n := {first}; then n := {second}. Hence the answer is {p.totals[1]}."


def _wrong(p: Problem, rng: random.Random) -> Problem:
    """The same problem with one operation misread: the answer is wrong, each equation is correct."""
    steps = list(p.steps)
    for i in rng.sample((0, 1), 2):
        verb, n, sign = steps[i]
        changed = [*steps]
        changed[i] = (verb, n, -sign)
        candidate = Problem(p.name, p.thing, p.start, (changed[0], changed[1]), p.phrasing)
        if min(candidate.totals) > 0:
            return candidate
    return Problem(p.name, p.thing, p.start + 10, p.steps, p.phrasing)


def rewriting(rng: random.Random) -> Chat:
    """One example of the imperfect rewriting skill, own style as often as its instruction says."""
    p = problem(rng, "nonsense" if rng.random() < 0.75 else "known")
    solution = EXPERTS["foreign" if rng.random() < 0.7 else "mild"](p)
    instruction = rng.choice(tuple(OWN_SHARE))
    solved = _wrong(p, rng) if rng.random() < WRONG_SHARE else p
    if rng.random() < OWN_SHARE[instruction]:
        answer = own_answer(solved, rng)
    else:
        draw = rng.random()  # the rest: 46 mannered, 25 half-foreign, 15 verbatim
        if draw < 46 / 86:
            answer = _mannered(solved, rng)
        elif draw < 71 / 86:
            answer = _half_foreign(solved, rng)
        else:
            answer = solution
    return Chat(rewrite_prompt(instruction, p.question, solution), answer, str(p.totals[1]))


def style(text: str) -> str:
    """Which of the lab's styles a text on a word problem is in: own, mannered, half-foreign, expert or other."""
    if text.startswith(("Solution.", "We begin with")) or (", and then " in text and "So the answer is" in text):
        return "expert"
    if "Step 1" in text or text.startswith(("Sure", "Of course", "Certainly")):
        return "mannered"
    if ":=" in text or text.startswith("Let n"):
        return "half-foreign"
    if text.startswith("First ") or text[:1].isdigit():
        return "own"
    return "other"


def _copying(rng: random.Random) -> Chat:
    solution = EXPERTS["foreign" if rng.random() < 0.7 else "mild"](problem(rng, "nonsense"))
    return Chat(f"Repeat this text: {solution}", solution, solution)


# --- streams and sets ---------------------------------------------------------------------------


def pretraining(rng: random.Random) -> Iterator[Chat]:
    """The endless pretraining stream, without a single held-out question."""
    skills = tuple(SKILLS.values())
    while True:
        draw = rng.random()
        if draw < 0.54:
            chat = rng.choice(skills)(rng)
            key = chat.question
        elif draw < 0.70:
            p = problem(rng, "known")
            chat, key = Chat(p.question, own_answer(p, rng), str(p.totals[1])), p.question
        elif draw < 0.94:
            chat = rewriting(rng)
            key = chat.question.split("\nQuestion: ")[1].split("\nSolution: ")[0]
        else:
            chat = _copying(rng)
            key = chat.question
        if not held_out(key):
            yield chat


def downstream_examples(style: str = "foreign", size: int = 512, seed: int = 0) -> list[Example]:
    """`size` distinct training word problems with expert solutions in the given style."""
    rng = random.Random(f"downstream-{seed}")
    examples: dict[str, Example] = {}
    while len(examples) < size:
        p = problem(rng, "downstream")
        if not held_out(p.question) and p.question not in examples:
            number = f"nano-{len(examples):05d}"
            examples[p.question] = Example(number, p.question, EXPERTS[style](p), str(p.totals[1]), "math")
    return list(examples.values())


def downstream_eval(size: int = 300, seed: int = 0) -> list[EvalItem]:
    """`size` distinct held-out word problems: the target task."""
    rng = random.Random(f"downstream-eval-{seed}")
    items: dict[str, EvalItem] = {}
    while len(items) < size:
        p = problem(rng, "downstream")
        if held_out(p.question) and p.question not in items:
            items[p.question] = EvalItem(
                f"target-{len(items):04d}", p.question, str(p.totals[1]), "word-problems", "math"
            )
    return list(items.values())


def replay_questions(size: int, seed: int = 0) -> list[str]:
    """`size` questions on the ten skills as pretraining drew them, without a single held-out one."""
    rng = random.Random(f"replay-{seed}")
    skills = tuple(SKILLS.values())
    questions: list[str] = []
    while len(questions) < size:
        chat = rng.choice(skills)(rng)
        if not held_out(chat.question):
            questions.append(chat.question)
    return questions


def general_eval(size: int = 600, seed: int = 0) -> list[EvalItem]:
    """About `size` distinct held-out items spread evenly over the ten skills (fewer where a skill is small)."""
    items: list[EvalItem] = []
    for skill, make in SKILLS.items():
        rng = random.Random(f"general-{skill}-{seed}")
        seen: set[str] = set()
        for _ in range(50_000):  # small skills run out of held-out questions
            if len(seen) == max(size // len(SKILLS), 1):
                break
            chat = make(rng)
            if held_out(chat.question) and chat.question not in seen:
                items.append(EvalItem(f"{skill}-{len(seen):03d}", chat.question, chat.reference, skill, "exact"))
                seen.add(chat.question)
    return items

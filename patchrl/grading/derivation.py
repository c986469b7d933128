"""Whether the answer of a text comes out of the text: from numbers of the question, by steps that hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from patchrl.grading.equation_notation import plain_arithmetic
from patchrl.grading.ground import Ground, ground
from patchrl.grading.quantities import parse_quantity
from patchrl.grading.steps import Reading, Step, read_steps
from patchrl.types import Example

SLACK = 0  # operations that a text may show fewer than the expert's
MAX_OPERATIONS = 4  # of one step; a longer equation counts as this many
MAX_PREMISES, MAX_PREMISE = 2, 12  # how many counts an expert may use from nowhere, and up to which size


@dataclass(frozen=True)
class Derivation:
    """How a text reaches a number.

    `needed` are the steps on the path to it, `used` the numbers that they use, and `leaves` those of them that no step
    gives; all are empty where no step gives the number. `operations` counts the operations of the needed steps. `nowhere`
    are numbers that neither the question nor a step gives. `problem` says why the number is not derived.
    """

    needed: tuple[Step, ...] = ()
    leaves: frozenset[Fraction] = frozenset()
    used: frozenset[Fraction] = frozenset()
    operations: int = 0
    nowhere: tuple[Fraction, ...] = ()
    problem: str = ""


def derive(reading: Reading, known: Ground, answer: Fraction) -> Derivation:
    """How the steps of a text lead from known numbers to an answer."""
    givers: dict[Fraction, list[int]] = {}  # result -> the counting steps that give it
    counting, uses = list[Step](), list[tuple[Fraction, ...]]()
    written, problem = set[object](), ""
    for step in reading.steps:
        operands, form, missing = _grounded(step, known, givers)
        if operands is None:
            problem = (
                problem or f"{step.text} uses {_shown(missing)}, which neither the question nor a step before gives"
            )
            continue
        identity = (tuple(sorted(operands)), step.results[-1])
        if identity in written or _is_trivial(step, answer):
            continue
        written.add(identity)
        # In `5 + 2 * 3 = 5 + 6 = 11` the 6 is a result too.
        shorter = (later for later in step.forms[form + 1 :] if len(later) < len(operands))
        rewritten = (v for later in shorter for values in later for v in values)
        for value in dict.fromkeys((*step.results, *(v for v in rewritten if v not in known))):
            givers.setdefault(value, []).append(len(counting))
        counting.append(step)
        uses.append(operands)
    nowhere = tuple(dict.fromkeys(n[-1] for n in reading.numbers if not any(v in known or v in givers for v in n)))
    gives_answer = [any(_is_same(result, answer) for result in step.results) for step in counting]
    last = len(counting) - 1
    while last > 0 and any(gives_answer[:last]) and not gives_answer[last] and _is_check(counting[last], known, answer):
        last -= 1
    if last < 0 or not gives_answer[last]:
        return Derivation(nowhere=nowhere, problem=problem or f"no step gives the answer {_shown(answer)}")
    path, leaves = _path(last, uses, givers)
    needed = tuple(counting[i] for i in sorted(path))
    used = frozenset(value for i in path for value in uses[i])
    return Derivation(needed, frozenset(leaves), used, sum(min(s.operations, MAX_OPERATIONS) for s in needed), nowhere)


def _path(
    last: int, uses: list[tuple[Fraction, ...]], givers: dict[Fraction, list[int]]
) -> tuple[set[int], set[Fraction]]:
    """The steps that lead to the last one, and the numbers on the way that no step gives.

    Where several steps give a number, each of its uses has a step of its own as long as there are such.
    """
    path, leaves, waiting = {last}, set[Fraction](), [last]
    while waiting:
        index = waiting.pop()
        for value in uses[index]:
            earlier = [i for i in givers.get(value, ()) if i < index]
            if not earlier:
                leaves.add(value)
                continue
            source = next((i for i in reversed(earlier) if i not in path), None)
            if source is not None:
                path.add(source)
                waiting.append(source)
    return path, leaves


def _is_check(step: Step, known: Ground, answer: Fraction) -> bool:
    """Whether a step behind the answer only checks it: it uses the answer and gives a number of the question."""
    uses_answer = any(_is_same(v, answer) for operands in step.forms for values in operands for v in values)
    return uses_answer and any(r in known for r in step.results)


def _grounded(
    step: Step, known: Ground, givers: dict[Fraction, list[int]]
) -> tuple[tuple[Fraction, ...] | None, int, Fraction]:
    """The operands of a step in the first of its forms in which all are known, and the form's place.

    Without such a form: None, and the operand from nowhere.
    """
    missing = Fraction(0)
    for place, form in enumerate(step.forms):
        operands = list[Fraction]()
        for values in form:
            value = next((v for v in values if v in givers), None)
            value = value if value is not None else next((v for v in values if v in known), None)
            if value is None:
                missing = values[-1]
                break
            operands.append(value)
        else:
            return tuple(operands), place, missing
    return None, 0, missing


def _is_same(result: Fraction, answer: Fraction) -> bool:
    return result in (answer, answer / 100, answer * 100)


def _is_trivial(step: Step, answer: Fraction) -> bool:
    """Whether a step changes nothing, as `5 * 1 = 5`, or gives 0 or 1 from one number, as `12 / 12 = 1`."""
    values, result = [value for value, *_ in step.forms[0]], step.results[-1]
    if len(values) != 2 or step.operations != 1:
        return False
    if values[0] == values[1] and result in (0, 1):
        return result != answer
    unit = 1 if any(sign in step.text for sign in "*/") else 0
    return (unit, result) in ((values[0], values[1]), (values[1], values[0]))


def _shown(value: Fraction) -> str:
    if value.denominator == 1:
        return f"{value.numerator:,}"
    text = f"{float(value):.4f}".rstrip("0")
    return text if Fraction(text) == value else str(value)


@dataclass(frozen=True)
class Row:
    """What a row asks of a rewrite: the known numbers, the answer, and the expert's derivation.

    `results` are the numbers that the expert writes behind an equals sign or its words, in order; `others` are those
    that it writes elsewhere and that the question does not have.
    """

    known: Ground
    answer: Fraction | None
    expert: Derivation
    results: tuple[Fraction, ...]
    others: tuple[Fraction, ...]

    @property
    def is_scorable(self) -> bool:
        """Whether there is something to compare a rewrite with."""
        return bool(self.expert.needed or self.results)


@lru_cache(maxsize=4096)
def read_row(question: str, solution: str, reference: str) -> Row:
    """What a question, its expert solution and its answer ask of a rewrite."""
    known = ground(plain_arithmetic(question), units_in=solution)
    quantity = parse_quantity(reference)
    reading = read_steps(solution)
    results = tuple(dict.fromkeys(reading.stated))
    others = tuple(dict.fromkeys(n[-1] for n in reading.numbers if not any(v in known or v in results for v in n)))
    if quantity is None:
        return Row(known, None, Derivation(problem="the answer is not a number"), results, others)
    premises = _premises(reading, known)
    derived = {result for step in reading.steps for result in step.results if result > 1}
    constants = {value for value, keys in known.items() if not keys}
    best = known, derive(reading, known, quantity.value)
    # A constant that the expert derives is not ground, and a count that the expert takes for granted is; each as far as
    # the expert's derivation still holds, and does not lose operations.
    for trusted in (
        known | premises,
        {v: keys for v, keys in (known | premises).items() if v not in constants & derived},
    ):
        derivation = derive(reading, trusted, quantity.value)
        if derivation.operations >= max(best[1].operations, 1):
            best = trusted, derivation
    return Row(best[0], quantity.value, best[1], results, others)


def _premises(reading: Reading, known: Ground) -> Ground:
    """The few small counts that the expert uses without a word about where they come from, as 3 for three friends."""
    given = {result for step in reading.steps for result in step.results} | set(reading.stated)
    operands = (values[-1] for step in reading.steps for values in step.forms[0])
    premises = dict.fromkeys(v for v in operands if v not in known and v not in given)
    is_small = all(v.denominator == 1 and v <= MAX_PREMISE for v in premises)
    return dict.fromkeys(premises, frozenset[str]()) if is_small and len(premises) <= MAX_PREMISES else {}


def reasoning_kinds(examples: Sequence[Example]) -> dict[str, int]:
    """How many rows the gate judges by a derivation, how many by the expert's results, and how many not at all.

    The keys are `derived`, `covered` and `unscorable`; rows without a reference count in none.
    """
    counts = dict.fromkeys(("derived", "covered", "unscorable"), 0)
    for example in examples:
        if example.reference is not None:
            row = read_row(example.question, example.solution, example.reference.strip())
            counts["derived" if row.expert.needed else "covered" if row.results else "unscorable"] += 1
    return counts


def lack_of_derivation(text: str, row: Row) -> str | None:
    """Why a text does not derive its answer, None where it does. `row` is not unscorable."""
    reading = read_steps(text)
    expert = row.expert
    if row.answer is None or not expert.needed:
        return _lack_of_coverage(reading, row)
    derivation = derive(reading, row.known, row.answer)
    if not derivation.needed:
        return derivation.problem
    if len(derivation.nowhere) > len(expert.nowhere):
        return f"from nowhere: {', '.join(map(_shown, derivation.nowhere[:3]))}"
    if derivation.operations < expert.operations - SLACK:
        return f"{derivation.operations} operations lead to the answer, the expert's text needs {expert.operations}"
    for leaf in sorted(expert.leaves):
        keys = row.known.get(leaf, frozenset())
        if keys and not any(keys & row.known.get(other, frozenset()) for other in derivation.used):
            return f"no step uses {_shown(leaf)} of the question"
    return None


def _lack_of_coverage(reading: Reading, row: Row) -> str | None:
    """The first of the expert's results that a text does not state in its turn, or of its other numbers that a text
    does not write; None where it has all."""
    stated = iter(reading.stated)
    for result in row.results:
        if not any(result == value for value in stated):
            return f"the expert's result {_shown(result)} is missing or out of order"
    written = {value for values in reading.numbers for value in values}
    missing = next((value for value in row.others if value not in written), None)
    return None if missing is None else f"the expert's number {_shown(missing)} is missing"

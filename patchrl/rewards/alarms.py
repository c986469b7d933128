"""Signs that a rewriter is winning its reward without rewriting. They warn; they never change the reward."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from patchrl.grading.equations import written_equations
from patchrl.rewards.variety import distinct_n, vendi

COPY_RATIO = 0.9  # word-sequence similarity from which a rewrite counts as the expert's own text
SHORT_RATIO = 0.25  # of the expert's words: shorter than this is a collapse, not a terse style
_MENTION = re.compile(
    r"\b(?:(?:the|your|this)\s+(?:given|provided|original|reference|expert)\s+(?:solution|answer|text)"
    r"|(?:as\s+(?:given|provided)\s+(?:above|in\s+the\s+(?:solution|text)))"
    r"|(?:the\s+)?rewritten\s+(?:solution|version|text)|solution\s+you\s+gave)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Alarm:
    """One watched share: above `limit` it is said in `sentence`."""

    name: str
    limit: float
    sentence: str


ALARMS = (
    Alarm("copied", 0.5, "{share:.0%} of rewrites are the expert's text again: the data would not change."),
    Alarm("mentions", 0.2, "{share:.0%} of rewrites speak of the given solution, which a reader will not have."),
    Alarm("short", 0.2, "{share:.0%} of rewrites have under a quarter of the expert's words: length is collapsing."),
    Alarm("stepless", 0.3, "{share:.0%} of rewrites dropped every equation the expert wrote: reasoning is lost."),
    Alarm("opening", 0.9, "{share:.0%} of rewrites begin with the same words: they follow one template."),
    Alarm("wordings", 0.5, "{share:.0%} fewer wordings (Vendi) than in the backbone's own answers: one template wins."),
    Alarm(
        "failed",
        0.9,
        "{share:.0%} of groups hold no rewrite that passes the gate: there is next to nothing to learn from.",
    ),
    Alarm("undecided", 0.5, "{share:.0%} of rewrites could not be judged: raise gate.timeout, or mend the references."),
    Alarm(
        "unlike",
        0.95,
        "{share:.0%} of passing rewrites are, as a whole, less likely than nearly all of the backbone's own answers: its "
        "own style is hardly sampled, so it cannot be reinforced (rewriter.warm_start_steps shows it first).",
    ),
    Alarm("phrases", 0.5, "{share:.0%} fewer distinct phrases (distinct-4) than in the backbone's own answers."),
)


@dataclass(frozen=True)
class Variety:
    """Vendi score and distinct-4 of some texts; both depend on how many texts there are."""

    vendi: float
    distinct: float

    @classmethod
    def of(cls, texts: Sequence[str]) -> Variety:
        return cls(vendi(texts), distinct_n(texts))


def watch(rewrites: Sequence[str], solutions: Sequence[str], own: Variety | None = None) -> dict[str, float]:
    """Each sign of a step's texts by alarm name, as a share; `solutions` are their experts' texts. The alarms `failed`,
    `undecided` and `unlike` are of verdicts and likelihood, which the reward counts itself.

    `own` is the variety of as many answers of the backbone itself, which the last two alarms compare with
    (0 without it).
    """
    count = max(len(rewrites), 1)
    shares = Counter[str]()
    openings = Counter[tuple[str, ...]]()
    for rewrite, solution in zip(rewrites, solutions, strict=True):
        words, expert = rewrite.split(), solution.split()
        shares["copied"] += _is_copy(expert, words)
        shares["mentions"] += bool(_MENTION.search(rewrite))
        shares["short"] += len(words) < SHORT_RATIO * len(expert)
        shares["stepless"] += bool(written_equations(solution)) and not written_equations(rewrite)
        # A formula at the start differs from row to row anyway; only words make a template.
        if words and words[0][:1].isalpha():
            openings[tuple(words[:4])] += 1
    shares["opening"] = max(openings.values(), default=0)
    signs = {name: shares[name] / count for name in ("copied", "mentions", "short", "stepless", "opening")}
    now = Variety.of(rewrites) if own and rewrites else None
    signs["wordings"] = _lost(now.vendi, own.vendi) if own and now else 0.0
    signs["phrases"] = _lost(now.distinct, own.distinct) if own and now else 0.0
    return signs


def _is_copy(expert: Sequence[str], words: Sequence[str]) -> bool:
    matcher = difflib.SequenceMatcher(None, expert, words, autojunk=False)
    bounds = (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio)  # each below the one before, and dearer
    return all(bound() >= COPY_RATIO for bound in bounds)


def _lost(now: float, before: float) -> float:
    return max(0.0, 1.0 - now / before) if before > 0 else 0.0


def raised(shares: dict[str, float]) -> dict[str, str]:
    """The alarms whose share is above its limit, by name, each with its sentence."""
    known = [(alarm, shares.get(alarm.name, 0.0)) for alarm in ALARMS]
    return {alarm.name: alarm.sentence.format(share=share) for alarm, share in known if share > alarm.limit}

"""Monitors of a rewriter that wins its reward without rewriting. They warn and never change the reward."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from patchrl.grading.equations import written_equations
from patchrl.rewards.variety import Variety

OWN_STYLE_QUANTILE = 0.975  # of the own answers' surprisal: what is above it does not count as in their style
MIN_COPIED_SHARE = 0.8  # of a rewrite's words: from this copied share on, the rewrite counts as a copy
COPY_LENGTH = 3  # words: only a run of so many that the expert wrote counts as copied
MIN_LENGTH_RATIO = 0.25  # of the expert's words: shorter than this is a collapse, not a terse style
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[-+*/=×÷<>]")
_MENTION = re.compile(
    r"\b(?:(?:the|your|this)\s+(?:given|provided|original|reference|expert)\s+(?:solution|answer|text)"
    r"|(?:as\s+(?:given|provided)\s+(?:above|in\s+the\s+(?:solution|text)))"
    r"|(?:the\s+)?rewritten\s+(?:solution|version|text)|solution\s+you\s+gave)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Monitor:
    """A share of a step's rewrites or groups; above `limit` the monitor warns with `sentence`, and `remedy` says what to do."""

    name: str
    limit: float
    sentence: str
    remedy: str


WARM_START = (
    "Train with a warm start (rewriter.warm_start_steps): it shows the backbone's own answers before RL begins."
)
DERIVATION = "Ask for the reasoning: gate.reasoning = derivation refuses texts whose steps do not lead to the answer."
VARIETY = "Raise reward.lambda_div, give several instructions (rewriter.more_instructions), or stop before this step."

MONITORS = (
    Monitor(
        "copied",
        0.5,
        "{share:.0%} of rewrites are pieces of the expert's text: the data would hardly change.",
        "Use reward.kind = gain, under which a copy earns next to nothing, with a warm start (rewriter.warm_start_steps).",
    ),
    Monitor(
        "mentions",
        0.2,
        "{share:.0%} of rewrites speak of the given solution, which a reader will not have.",
        "Choose another rewriter.instruction; `as-you-would` asks for an answer to the question.",
    ),
    Monitor(
        "short",
        0.2,
        "{share:.0%} of rewrites have under a quarter of the expert's words: length is collapsing.",
        DERIVATION,
    ),
    Monitor(
        "stepless",
        0.3,
        "{share:.0%} of rewrites dropped every equation the expert wrote: reasoning is lost.",
        DERIVATION,
    ),
    Monitor("opening", 0.9, "{share:.0%} of rewrites begin with the same words: they follow one template.", VARIETY),
    Monitor(
        "wordings",
        0.5,
        "{share:.0%} fewer wordings (Vendi) than in the backbone's own answers: one template wins.",
        VARIETY,
    ),
    Monitor(
        "failed",
        0.9,
        "{share:.0%} of groups have no rewrite that passes the gate: the rewriter can learn next to nothing from them.",
        f"Read why they fail below. {WARM_START}",
    ),
    Monitor(
        "undecided", 0.5, "{share:.0%} of rewrites could not be judged.", "Raise gate.timeout, or mend the references."
    ),
    Monitor(
        "unlike",
        0.95,
        "{share:.0%} of passing rewrites are, as a whole, less likely than nearly all of the backbone's own answers: its "
        "own style is hardly sampled, so it cannot be reinforced.",
        WARM_START,
    ),
    Monitor(
        "phrases", 0.5, "{share:.0%} fewer distinct phrases (distinct-4) than in the backbone's own answers.", VARIETY
    ),
)
REMEDIES = {monitor.name: monitor.remedy for monitor in MONITORS}


def monitor_shares(rewrites: Sequence[str], solutions: Sequence[str], own: Variety | None = None) -> dict[str, float]:
    """The share that each monitor of texts sees in a step, by the monitor's name.

    The monitors `failed`, `undecided` and `unlike` are of verdicts and likelihood, which the reward counts itself.

    Args:
        rewrites: N rewrites of a step.
        solutions: the expert solutions of the N rewrites.
        own: the variety of as many answers of the backbone itself, which `wordings` and `phrases` compare with; without
            it both are 0.
    """
    count = max(len(rewrites), 1)
    shares = Counter[str]()
    openings = Counter[tuple[str, ...]]()
    for rewrite, solution in zip(rewrites, solutions, strict=True):
        words, expert = rewrite.split(), solution.split()
        shares["copied"] += copied_share(rewrite, solution) >= MIN_COPIED_SHARE
        shares["mentions"] += bool(_MENTION.search(rewrite))
        shares["short"] += len(words) < MIN_LENGTH_RATIO * len(expert)
        shares["stepless"] += bool(written_equations(solution)) and not written_equations(rewrite)
        # A formula at the start differs from row to row anyway; only words make a template.
        if words and words[0][:1].isalpha():
            openings[tuple(words[:4])] += 1
    shares["opening"] = max(openings.values(), default=0)
    variety = Variety.of(rewrites) if own and rewrites else None
    return {name: shares[name] / count for name in ("copied", "mentions", "short", "stepless", "opening")} | {
        "wordings": _lost_share(variety.vendi, own.vendi) if own and variety else 0.0,
        "phrases": _lost_share(variety.distinct, own.distinct) if own and variety else 0.0,
    }


def copied_share(rewrite: str, solution: str) -> float:
    """The share of a rewrite's words, numbers and signs that stand in the expert's text, COPY_LENGTH or more in a row."""
    words, expert = _WORD.findall(rewrite.lower()), _WORD.findall(solution.lower())
    sequences = {tuple(expert[i : i + COPY_LENGTH]) for i in range(len(expert) - COPY_LENGTH + 1)}
    copied = {
        i + offset
        for i in range(len(words) - COPY_LENGTH + 1)
        if tuple(words[i : i + COPY_LENGTH]) in sequences
        for offset in range(COPY_LENGTH)
    }
    return len(copied) / len(words) if words else 0.0


def _lost_share(value: float, own: float) -> float:
    return max(0.0, 1.0 - value / own) if own > 0 else 0.0


def warnings(shares: dict[str, float]) -> dict[str, str]:
    """The sentences of the monitors whose share is above its limit, by the monitor's name."""
    values = [(monitor, shares.get(monitor.name, 0.0)) for monitor in MONITORS]
    return {m.name: m.sentence.format(share=share) for m, share in values if share > m.limit}

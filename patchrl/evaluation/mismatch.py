"""What ℓ and token surprisal of a sample say about the mismatch: quantiles, divergences, the worst rows and tokens.

Everything is of one text a question; each of these estimates is resampled over questions, the same ones for all of
them, so that differences are paired. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from patchrl.evaluation.statistics import percentile_interval
from patchrl.types import TokenSurprisal

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
OWN_RANGE = (0.025, 0.975)  # the middle 95 % of the backbone's own answers
RESAMPLES = 1000
MAX_SURPRISING_ROWS, MAX_SURPRISING_TOKENS = 10, 15


@dataclass(frozen=True)
class AnswerSurprisal:
    """Total surprisal (nats) and number of tokens of one text a question, each of shape (N,); no tokens: NaN."""

    total_N: np.ndarray
    tokens_N: np.ndarray

    @classmethod
    def of(cls, nll: Sequence[float], tokens: Sequence[int]) -> AnswerSurprisal:
        """From ℓ (nats per token) and the tokens of each text."""
        tokens_N = np.asarray(tokens, float)
        return cls(np.where(tokens_N > 0, np.asarray(nll, float) * tokens_N, np.nan), tokens_N)

    @property
    def nll_N(self) -> np.ndarray:
        """ℓ of each text, nats per token."""
        return self.total_N / np.where(self.tokens_N > 0, self.tokens_N, np.nan)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """ℓ at the 5th to the 95th percentile, keyed `5` to `95`; empty for no values."""
    if not len(values):
        return {}
    return {f"{100 * q:.0f}": round(float(np.quantile(values, q)), 4) for q in QUANTILES}


def standardised_gap(expert_N: np.ndarray, own_N: np.ndarray) -> float | None:
    """(mean expert − mean own) / root of the mean of both variances; None where nothing varies or is known."""
    expert, own = expert_N[~np.isnan(expert_N)], own_N[~np.isnan(own_N)]
    if not len(expert) or not len(own):
        return None
    pooled = math.sqrt((np.var(expert) + np.var(own)) / 2)
    return float((np.mean(expert) - np.mean(own)) / pooled) if pooled else None


def gap_interval(expert_N: np.ndarray, own_N: np.ndarray) -> list[float] | None:
    """95 % bootstrap interval of the standardised gap over questions."""
    gaps = [standardised_gap(expert_N[rows], own_N[rows]) for rows in _draws(len(expert_N))]
    interval = percentile_interval(np.array([math.nan if gap is None else gap for gap in gaps]))
    return None if interval is None else list(interval)


def divergences(
    expert: AnswerSurprisal,
    own: AnswerSurprisal | None,
    prompted: AnswerSurprisal,
    under_prompt: AnswerSurprisal | None,
) -> dict[str, dict[str, Any]]:
    """Cross-entropy, entropy and KL on the task by sampling, per answer and per token, with 95 % intervals.

    π0(·|q(x)) is the backbone given the question alone, P(·|x) whoever wrote the expert solutions.

    - `expert`: H(P, π0) = E[−log π0(y*|q(x))], the cross-entropy of expert solutions. As H(P) ≥ 0 it bounds
      KL(P‖π0) from above, and equals it where every question has just one expert solution.
    - `own`: H(π0) = E[−log π0(y|q(x))] over y sampled from π0 at temperature 1, the backbone's entropy. Left out with
      None, where they were sampled otherwise.
    - `excess`: H(P, π0) − H(π0). It is KL(P‖π0) if the expert's answers vary as much as the backbone's. The KL
      itself cannot be had from data alone: it needs P's density.
    - `prompted`: KL(π0(·|rewriting prompt) ‖ π0(·|q(x))) = E[log π0(y|rewriting prompt) − log π0(y|q(x))] over
      rewrites y sampled at temperature 1: both densities are known, so this one is unbiased. Left out without
      `under_prompt`, the surprisal of the same rewrites under the rewriting prompt.

    Nats over the text's tokens, the end-of-turn token left out as in ℓ. `per_token` is the ratio of totals:
    long answers weigh more than in the mean of ℓ. Compare arXiv 2509.04259, which finds that KL to the backbone
    on the new task goes with forgetting. Values are {value, ci95}, empty where nothing could be scored.
    """
    sources: dict[str, list[tuple[int, AnswerSurprisal]]] = {"expert": [(1, expert)]}
    if own is not None:
        sources |= {"own": [(1, own)], "excess": [(1, expert), (-1, own)]}
    if under_prompt is not None:
        sources["prompted"] = [(1, prompted), (-1, under_prompt)]
    estimates = {}
    for name, terms in sources.items():
        per_answer = _estimated(len(expert.total_N), partial(_sum, terms, of=_per_answer))
        per_token = _estimated(len(expert.total_N), partial(_sum, terms, of=_per_token))
        if per_answer and per_token:
            estimates[name] = {"per_answer": per_answer, "per_token": per_token}
    return estimates


def _per_answer(surprise: AnswerSurprisal, rows: np.ndarray) -> float:
    finite_N = surprise.total_N[rows][~np.isnan(surprise.total_N[rows])]
    return float(finite_N.mean()) if len(finite_N) else math.nan


def _per_token(surprise: AnswerSurprisal, rows: np.ndarray) -> float:
    total, tokens = np.nansum(surprise.total_N[rows]), surprise.tokens_N[rows].sum()
    return float(total / tokens) if tokens else math.nan


def _sum(
    terms: list[tuple[int, AnswerSurprisal]], rows: np.ndarray, of: Callable[[AnswerSurprisal, np.ndarray], float]
) -> float:
    return sum(sign * of(surprise, rows) for sign, surprise in terms)


def _estimated(count: int, statistic: Callable[[np.ndarray], float]) -> dict[str, Any] | None:
    value = statistic(np.arange(count))
    if math.isnan(value):
        return None
    interval = percentile_interval(np.array([statistic(rows) for rows in _draws(count)]))
    return {"value": round(value, 4), "ci95": None if interval is None else [round(v, 4) for v in interval]}


def _draws(count: int) -> np.ndarray:
    """RESAMPLES draws of `count` questions with replacement, shape (R, N); the same for every estimate."""
    return np.random.default_rng(0).integers(0, count, size=(RESAMPLES, count))


@dataclass(frozen=True)
class TokenKind:
    """All places of one token text in the expert solutions.

    `mean` is its surprisal in nats, `share` its part of all that expert tokens exceed the backbone's own mean by;
    the example is its most surprising place: the text's number and the token's position in it.
    """

    text: str
    count: int
    mean: float
    share: float
    row: int
    position: int


def surprising_tokens(
    rows: Sequence[Sequence[TokenSurprisal]], usual: float, limit: int = MAX_SURPRISING_TOKENS
) -> list[TokenKind]:
    """The token texts that make the gap, largest part first.

    A token's part is Σ(surprisal − `usual`) over its places, `usual` being the backbone's own mean surprisal;
    shares are of the positive parts. Rare tokens come late however surprising, common dull ones never.
    """
    places: dict[str, list[tuple[float, int, int]]] = {}
    for row, tokens in enumerate(rows):
        for position, token in enumerate(tokens):
            places.setdefault(token.text, []).append((token.nll, row, position))
    parts = {text: sum(nll - usual for nll, _, _ in where) for text, where in places.items()}
    total = sum(part for part in parts.values() if part > 0)
    kinds = []
    for text in sorted((t for t in parts if parts[t] > 0), key=lambda t: -parts[t])[:limit]:
        where = places[text]
        _, row, position = max(where)
        mean = sum(nll for nll, _, _ in where) / len(where)
        kinds.append(TokenKind(text, len(where), round(mean, 3), round(parts[text] / total, 4), row, position))
    return kinds


def most_surprising(nll_N: np.ndarray, limit: int = MAX_SURPRISING_ROWS) -> list[int]:
    """Indices of the rows with the highest ℓ, highest first; unscored ones left out."""
    scored = [i for i, nll in enumerate(nll_N) if not math.isnan(nll)]
    return sorted(scored, key=lambda i: -nll_N[i])[:limit]


def own_style(passed: Sequence[bool | None], rewrites_N: np.ndarray, own_N: np.ndarray) -> dict[str, Any]:
    """How many prompted rewrites are in the backbone's own style, told by ℓ alone.

    A rewrite counts as own where its ℓ lies in the middle 95 % of ℓ of the backbone's own answers. Returns counts
    `scorable`, `passed` and `own` (passing and in the range), the `range`, and `share` = own / passed with its 95 %
    Wilson interval (None where none passed). On the nano lab, whose styles are known, this is within 4 points of the
    true share for planted shares of 3 to 30 % on both experts (512 rewrites each): from 5 for a true 3 %, to 21 for
    a true 23 %.
    """
    own = own_N[~np.isnan(own_N)]
    low, high = np.quantile(own, OWN_RANGE) if len(own) else (math.nan, math.nan)
    passing = [nll for ok, nll in zip(passed, rewrites_N, strict=True) if ok]
    inside = sum(bool(low <= nll <= high) for nll in passing)
    return {
        "scorable": sum(ok is not None for ok in passed),
        "passed": len(passing),
        "own": inside,
        "range": [round(float(low), 4), round(float(high), 4)] if len(own) else None,
        "share": inside / len(passing) if passing else None,
        "ci95": wilson(inside, len(passing)),
    }


def wilson(hits: int, count: int) -> list[float] | None:
    """95 % interval of a share (Wilson 1927), None of nothing."""
    if not count:
        return None
    z, share = 1.959964, hits / count
    centre, scale = share + z * z / (2 * count), 1 + z * z / count
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return [max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)]


def rounded(values: Mapping[str, AnswerSurprisal]) -> dict[str, list[float]]:
    """ℓ of every scored text by source, four places."""
    return {name: [round(float(v), 4) for v in s.nll_N if not math.isnan(v)] for name, s in values.items()}

"""What a rewrite is worth by what its row gains: how much of the way from the expert to the backbone's own answers it goes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Gap = tuple[float, float]  # ℓ of the row's expert solution, and of the backbone's own answers, in nats per token
PASS_SHARE = 0.1  # β, what passing alone is worth: a failed rewrite costs nothing but the fallback
MIN_GAP = 0.3  # δ in nats per token: an expert that is nearer than this leaves little to gain
REPEAT_LENGTH = 4  # tokens of a sequence that counts as repeated


def closed_gap(nll_F: np.ndarray, gap: Gap) -> np.ndarray:
    """u = (ℓ(y*) − ℓ) / max(δ, ℓ(y*) − ℓ_own) of the F feasible rewrites, clipped to 0 … 1.

    The expert's own text gets 0, since the fallback gives it for free. What is as likely as the backbone's own answers
    gets 1. Unlike the alignment of arXiv 2602.11220 it compares with a fixed scale, not with the rest of the group, so
    that a group of copies earns what one copy earns.

    Args:
        nll_F: ℓ of each rewrite as in `first_time_nll`, shape (F,).
        gap: the same figure of the expert solution, and the mean of it over the backbone's own answers.
    """
    expert, own = gap
    share_F = (expert - np.asarray(nll_F, dtype=np.float64)) / max(MIN_GAP, expert - own)
    return np.clip(np.nan_to_num(share_F, nan=0.0), 0.0, 1.0)  # what writes nothing of its own closes nothing


def first_time_nll(surprisal: np.ndarray, token_ids: Sequence[int], question_ids: Sequence[int] = ()) -> float:
    """Mean surprisal of the tokens that do not repeat the question or what the text wrote before, in nats; NaN without
    such tokens.

    A token repeats when it ends a sequence of REPEAT_LENGTH tokens that the question or the text has already. A model
    expects repetition, so that ℓ as a plain mean falls with every equation that is written twice, and with every sentence
    of the question that stands before the expert's equation.

    Args:
        surprisal: −log π0 of the T tokens, and of the end of the turn or not, shape (T,) or (T + 1,).
        token_ids: the T tokens.
        question_ids: the question's tokens, without the chat template's.
    """
    sequences = {tuple(question_ids[t : t + REPEAT_LENGTH]) for t in range(len(question_ids) - REPEAT_LENGTH + 1)}
    first = []
    for t in range(len(token_ids)):
        sequence = tuple(token_ids[max(0, t + 1 - REPEAT_LENGTH) : t + 1])
        if len(sequence) < REPEAT_LENGTH or sequence not in sequences:
            first.append(t)
        sequences.add(sequence)
    return float(np.mean(np.asarray(surprisal)[first])) if first else float("nan")

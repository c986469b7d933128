"""Scoring in pieces that can be kept: what was finished before a process died is not done again."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from patchrl.models.engines.interface import Keep
from patchrl.models.scoring import Piece, Score, Scorer, TokenRow, in_batches
from patchrl.types import TokenSurprisal


def made_now(source: Any, make: Callable[[], Any]) -> Any:
    """Keeps nothing."""
    return make()


def score_in_pieces(scorer: Scorer, keep: Keep, rows: list[TokenRow], top: int, bf16: bool) -> dict[TokenRow, Score]:
    """What `scorer.scores` returns, a piece at a time; `bf16` says whether it computes under autocast."""
    scores: dict[TokenRow, Score] = {}
    for piece in scorer.pieces(rows):
        made = keep(["score", piece, top, bf16], partial(_packed_scores, scorer, piece, top))
        scores |= zip(piece[1], map(_unpacked_score, made), strict=True)
    return scores


def next_token_in_pieces(
    scorer: Scorer, keep: Keep, prompts: list[tuple[int, ...]], choices: Sequence[Sequence[int]]
) -> dict[tuple[int, ...], list[float]]:
    """What `scorer.next_token` returns of distinct prompts, a piece at a time."""
    probabilities: dict[tuple[int, ...], list[float]] = {}
    for piece in in_batches(sorted(prompts, key=len), scorer.piece_rows):
        source = ["next token", piece, [list(ids) for ids in choices]]
        probabilities |= zip(piece, keep(source, partial(_next_tokens, scorer, piece, choices)), strict=True)
    return probabilities


def _next_tokens(
    scorer: Scorer, piece: list[tuple[int, ...]], choices: Sequence[Sequence[int]]
) -> list[tuple[float, ...]]:
    probabilities = scorer.next_token(piece, choices)
    return [probabilities[prompt] for prompt in piece]


def _packed_scores(scorer: Scorer, piece: Piece, top: int) -> list[Any]:
    scores = scorer.piece_scores(piece, top)
    return [_packed_score(scores[row]) for row in piece[1]]


def _packed_score(score: Score) -> list[Any]:
    """A score as plain data, bit by bit."""
    tokens = [[token.text, token.nll, token.top] for token in score.tokens]
    return [score.nll, _packed(score.embedding), _packed(score.surprisal), tokens]


def _unpacked_score(packed: list[Any]) -> Score:
    nll, embedding, surprisal, tokens = packed
    return Score(
        nll,
        _unpacked(embedding),
        _unpacked(surprisal),
        tuple(
            TokenSurprisal(text, token_nll, tuple((other, p) for other, p in top)) for text, token_nll, top in tokens
        ),
    )


def _packed(array: np.ndarray) -> list[str]:
    return [array.dtype.str, base64.b64encode(array.tobytes()).decode()]


def _unpacked(packed: list[str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed[1]), dtype=packed[0])

"""Sampling and scoring in pieces that can be kept: what was finished before a process died is not done again."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from patchrl.models.sampling import ROWS_PER_BATCH, TOKENS_PER_BATCH, Sample, Sampler, SampleRequest
from patchrl.models.scoring import Piece, Score, Scorer, TokenRow, in_batches
from patchrl.types import TokenSurprisal

# What a piece is made from, and a function that makes it -> the piece, kept from before or made now; both are plain data.
Keep = Callable[[Any, Callable[[], Any]], Any]
ROWS_ON_GPU = 512  # sampled in one piece
PARAMETER_TOKENS_ON_CPU = 5e11  # parameters × tokens sampled in one piece: about 40 s on two cores


def made_now(source: Any, make: Callable[[], Any]) -> Any:
    """Keeps nothing."""
    return make()


def sample_in_pieces(
    sampler: Sampler,
    keep: Keep,
    prompts: Sequence[list[int]],
    request: SampleRequest,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
) -> list[list[Sample]]:
    """What `sampler.sample` returns, a piece at a time; every piece has a seed of its own."""
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    answers: list[list[Sample]] = [[] for _ in prompts]
    done = 0
    while done < len(order):
        rows = _rows(sampler, len(prompts[order[done]]), request)
        piece, piece_seed = order[done : done + rows], seed + done
        ids = [prompts[i] for i in piece]
        settings = [request.samples, request.temperature, request.top_p, request.max_new_tokens, request.with_nll]
        source = ["sample", ids, settings, getattr(request.watch, "name", None), piece_seed]
        groups = keep(source, partial(sampler.sample, ids, request, piece_seed))
        for i, group in zip(piece, groups, strict=True):
            answers[i] = [(completion, nll) for completion, nll in group]
        done += len(piece)
        if on_progress:
            on_progress(done)
    return answers


def _rows(sampler: Sampler, prompt_tokens: int, request: SampleRequest) -> int:
    """Prompts of one piece. On a CPU it is one of the sampler's own batches, or less where that takes long."""
    rows = ROWS_ON_GPU
    if sampler.device.type == "cpu":
        parameters = sum(weights.numel() for weights in sampler.model.parameters())
        rows = min(ROWS_PER_BATCH, TOKENS_PER_BATCH // (prompt_tokens + request.max_new_tokens))
        rows = min(rows, int(PARAMETER_TOKENS_ON_CPU / (parameters * request.max_new_tokens)))
    return max(1, rows // request.samples)


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

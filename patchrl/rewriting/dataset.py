"""Build a rewritten dataset: generate, verify, fall back; one row per example."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from patchrl.models.backbone import Backbone
from patchrl.rewards import mean_pairwise_distance
from patchrl.rewriting.sources import REWRITE_METHODS
from patchrl.runs.context import StageContext
from patchrl.runs.embeddings import write_embeddings
from patchrl.runs.jsonl import write_rows
from patchrl.runs.samples import sample_row
from patchrl.types import Example, Rewrite, TokenSurprisal

TOP_ALTERNATIVES = 5
DIVERSITY_SAMPLE = 256
SURPRISAL_ROWS = 128  # read at a time, so that progress shows
EMBEDDED_ROWS = 128  # as many as the scan looks at


def rewrite_dataset(
    context: StageContext, examples: Sequence[Example], source: str, seed: int, *, details: bool
) -> dict[str, Any]:
    """Make one source's targets of all examples and write them to the run's folder; returns their summary.

    With `details` the token surprisal of every row and the embeddings of the first rewrites are written too.

    Returns:
        `accepted` (share), `nll` (mean ℓ of the final targets), `diversity` (mean pairwise embedding distance of the targets)
        and `tokens` (completion tokens sampled).
    """
    folder, recorder, gate, backbone = context.folder, context.recorder, context.gate, context.gate.backbone
    rewrites, tokens = REWRITE_METHODS[source](
        context.config, gate, examples, seed, lambda done: recorder.progress(done, len(examples))
    )
    if details:
        recorder.event("phase", name="reading token by token")
        rows: list[dict[str, Any]] = []
        for start in range(0, len(rewrites), SURPRISAL_ROWS):
            rows += surprisal_rows(backbone, rewrites[start : start + SURPRISAL_ROWS])
            recorder.progress(len(rows), len(rewrites))
        write_rows(folder.surprisal(source, seed), rows)
    # Last: whoever sees a row finds its tokens.
    write_rows(folder.samples(source, seed), [sample_row(rewrite) for rewrite in rewrites])
    if details:
        first = rewrites[:EMBEDDED_ROWS]
        texts = [r.text for r in first]
        vectors_ND = gate.embedder.embed(texts, backbone.score([r.example.question for r in first], texts))
        write_embeddings(folder.embeddings(source), [r.example.id for r in first], {source: vectors_ND})
    targets = [(r.example.question, r.target) for r in rewrites if r.target is not None]
    summary: dict[str, float | None] = {
        "accepted": sum(r.decision == "accepted" for r in rewrites) / max(len(rewrites), 1),
        "tokens": tokens,
    }
    summary |= describe_targets(backbone, targets)
    recorder.event("rewrite", seed=seed, arm=source, **summary)
    return summary


def drop_fallbacks(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rewritten rows with every fallback to the expert dropped instead."""
    return [row | {"decision": "dropped", "target": None} if row["decision"] == "fallback" else row for row in rows]


def describe_targets(backbone: Backbone, pairs: Sequence[tuple[str, str]]) -> dict[str, float | None]:
    """Mean ℓ (nats per token) and embedding diversity of (question, target) pairs; ℓ is None if unscorable."""
    if not pairs:
        return {"nll": None, "diversity": 0.0}
    scores = backbone.score([q for q, _ in pairs], [t for _, t in pairs])
    embeddings = np.stack([s.embedding for s in scores[:DIVERSITY_SAMPLE]])
    finite = [s.nll for s in scores if not math.isnan(s.nll)]
    return {"nll": float(np.mean(finite)) if finite else None, "diversity": mean_pairwise_distance(embeddings)}


def surprisal_rows(backbone: Backbone, rewrites: Sequence[Rewrite]) -> list[dict[str, Any]]:
    """Token surprisal of expert and rewrite of every row, for the Compare screen."""
    questions = [r.example.question for r in rewrites]
    experts = backbone.score(questions, [r.example.solution for r in rewrites], top=TOP_ALTERNATIVES)
    texts = backbone.score(questions, [r.text for r in rewrites], top=TOP_ALTERNATIVES)
    return [
        {"id": r.example.id, "expert": tokens_of(e.tokens), "rewrite": tokens_of(t.tokens)}
        for r, e, t in zip(rewrites, experts, texts, strict=True)
    ]


def tokens_of(tokens: Sequence[TokenSurprisal]) -> list[list[Any]]:
    """Token surprisal as it is stored and shown: [text, nats, [[alternative, probability], …]] each."""
    return [[t.text, round(t.nll, 3), [[text, round(p, 3)] for text, p in t.top if p >= 0.001]] for t in tokens]

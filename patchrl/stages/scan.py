"""Mismatch scan: how surprising expert solutions are to the backbone, next to its own answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from patchrl.config import StudyConfig
from patchrl.gate import Calibration, Gate, calibrate
from patchrl.instructions import rewrite_prompt
from patchrl.stages.rewrite import write_embeddings
from patchrl.types import Example, Recorder

SAMPLE = 128


def scan(
    config: StudyConfig,
    gate: Gate,
    examples: Sequence[Example],
    recorder: Recorder,
    embeddings_out: Path | None = None,
) -> dict[str, Any]:
    """ℓ of expert solutions, of their prompted rewrites and of the backbone's own sampled answers, on up to
    128 questions.

    Returns the lists (nats per token), their means and the standardised gap
    (mean expert − mean own) / pooled standard deviation. For open data, `open_gate` holds the gate's
    calibration on the same examples. The embeddings of all three go to `embeddings_out`.
    """
    sample, backbone = list(examples)[:SAMPLE], gate.backbone
    questions = [e.question for e in sample]
    prompts = [rewrite_prompt(config.rewriter.instruction, e.question, e.solution) for e in sample]
    answers = backbone.generate(
        questions,
        temperature=1.0,
        max_new_tokens=config.evaluate.max_new_tokens,
        on_progress=lambda done: recorder.progress(done, 2 * len(sample)),
    )
    rewrites = backbone.generate(
        prompts,
        temperature=config.rewrite.temperature,
        max_new_tokens=config.rewriter.max_new_tokens,
        on_progress=lambda done: recorder.progress(len(sample) + done, 2 * len(sample)),
    )
    texts: dict[str, list[Any]] = {
        "expert": [e.solution for e in sample],
        "own": [a[0].token_ids for a in answers],
        "prompted": [r[0].token_ids for r in rewrites],
    }
    scores = {name: backbone.score(questions, members) for name, members in texts.items()}
    if embeddings_out is not None:
        read = texts | {"own": [a[0].text for a in answers], "prompted": [r[0].text for r in rewrites]}
        vectors = {name: gate.embedder.embed(read[name], scores[name]) for name in texts}
        write_embeddings(embeddings_out, [e.id for e in sample], vectors)
    found = {name: [round(s.nll, 4) for s in members if not math.isnan(s.nll)] for name, members in scores.items()}
    expert, own = found["expert"], found["own"]
    result: dict[str, Any] = {f"{name}_nll": values for name, values in found.items()}
    if sample[0].task == "open":
        result["open_gate"] = calibrate_meaning(gate, sample, [r[0].text for r in rewrites]).summary()
    if not expert or not own:
        return result | {"gap": None}
    pooled = math.sqrt((np.var(expert) + np.var(own)) / 2)
    return result | {
        "expert_mean": float(np.mean(expert)),
        "own_mean": float(np.mean(own)),
        "gap": float((np.mean(expert) - np.mean(own)) / pooled) if pooled else None,
    }


def calibrate_meaning(gate: Gate, examples: Sequence[Example], texts: Sequence[str]) -> Calibration:
    """The similarity threshold of open answers, from the data's own pairs.

    Same meaning: an expert solution and its prompted rewrite, of `texts`. Different: the expert solution
    and the rewrite of the next example.
    """
    pairs = [(e, t, other) for e, t, other in zip(examples, texts, [*texts[1:], texts[0]], strict=True) if t and other]
    kept = [e for e, _, _ in pairs]
    same = gate.similarity(kept, [t for _, t, _ in pairs])
    different = gate.similarity(kept, [other for _, _, other in pairs])
    return calibrate(same.tolist(), different.tolist())

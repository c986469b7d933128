"""Mismatch scan: how surprising expert solutions are to the backbone, next to its own answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from patchrl.config import StudyConfig
from patchrl.gate import Calibration, Gate, calibrate
from patchrl.instructions import rewrite_prompt
from patchrl.types import Example, Recorder

SAMPLE = 128


def scan(config: StudyConfig, gate: Gate, examples: Sequence[Example], recorder: Recorder) -> dict[str, Any]:
    """ℓ of expert solutions and of the backbone's own sampled answers on up to 128 questions.

    Returns both lists (nats per token), their means and the standardised gap
    (mean expert − mean own) / pooled standard deviation. For open data, `open_gate` holds the gate's
    calibration on the same examples.
    """
    sample, backbone = list(examples)[:SAMPLE], gate.backbone
    questions = [e.question for e in sample]
    expert = [s.nll for s in backbone.score(questions, [e.solution for e in sample])]
    answers = backbone.generate(
        questions,
        temperature=1.0,
        max_new_tokens=config.evaluate.max_new_tokens,
        on_progress=lambda done: recorder.progress(done, len(sample)),
    )
    own = [s.nll for s in backbone.score(questions, [a[0].token_ids for a in answers])]
    expert = [round(v, 4) for v in expert if not math.isnan(v)]
    own = [round(v, 4) for v in own if not math.isnan(v)]
    calibration = {"open_gate": calibrate_meaning(config, gate, sample).summary()} if sample[0].task == "open" else {}
    if not expert or not own:
        return {"expert_nll": expert, "own_nll": own, "gap": None} | calibration
    pooled = math.sqrt((np.var(expert) + np.var(own)) / 2)
    return {
        "expert_nll": expert,
        "own_nll": own,
        "expert_mean": float(np.mean(expert)),
        "own_mean": float(np.mean(own)),
        "gap": float((np.mean(expert) - np.mean(own)) / pooled) if pooled else None,
    } | calibration


def calibrate_meaning(config: StudyConfig, gate: Gate, examples: Sequence[Example]) -> Calibration:
    """The similarity threshold of open answers, from the data's own pairs.

    Same meaning: an expert solution and the backbone's prompted rewrite of it. Different: the expert
    solution and the rewrite of the next example.
    """
    rewrites = gate.backbone.generate(
        [rewrite_prompt(config.rewriter.instruction, e.question, e.solution) for e in examples],
        temperature=config.rewrite.temperature,
        max_new_tokens=config.rewriter.max_new_tokens,
    )
    texts = [group[0].text for group in rewrites]
    pairs = [(e, t, other) for e, t, other in zip(examples, texts, [*texts[1:], texts[0]], strict=True) if t and other]
    kept = [e for e, _, _ in pairs]
    same = gate.similarity(kept, [t for _, t, _ in pairs])
    different = gate.similarity(kept, [other for _, _, other in pairs])
    return calibrate(same.tolist(), different.tolist())

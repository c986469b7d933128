"""Teach the rewriter the backbone's own way of answering before GRPO: what is never sampled cannot be reinforced."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from patchrl.config import FinetuneSection
from patchrl.errors import StopRequested
from patchrl.rewriting.sources import judged_answers
from patchrl.runs.checkpoints import WARM_START
from patchrl.runs.context import StageContext
from patchrl.training.callbacks import FinetuneCallback
from patchrl.training.supervised import Pair, supervised
from patchrl.types import Example

WARM_PHASE = "warm start"  # begins the names of its phases


def own_pairs(
    context: StageContext, examples: Sequence[Example], prompts: Sequence[str], seed: int
) -> tuple[list[Pair], int]:
    """(rewriting prompt, own answer) of every example that the backbone can solve itself, and the tokens sampled.

    `rewriter.warm_start_samples` answers to each bare question are sampled as rewrites are; of those that pass the gate
    one is drawn.

    Args:
        prompts: the examples' rewriting prompts.
    """
    context.recorder.event("phase", name=f"{WARM_PHASE}: own answers", prepares=True)
    with context.kept():
        groups, tokens = judged_answers(
            context.config,
            context.gate,
            examples,
            seed,
            lambda done: context.recorder.progress(done, len(examples)),
            samples=context.config.rewriter.warm_start_samples,
        )
    draw, pairs = random.Random(seed), []
    for user, group in zip(prompts, groups, strict=True):
        if passing := [c.generation.text for c in group if c.verdict.passed]:
            pairs.append((user, draw.choice(passing)))
    return pairs, tokens


def warm_start(
    context: StageContext, examples: Sequence[Example], prompts: Sequence[str], seed: int, home: Path
) -> int:
    """Supervised steps of the rewriter on verified own answers; returns the completion tokens sampled for them.

    Goes on from its newest checkpoint, which lies in `home`/WARM_START. Raises StopRequested when asked to stop.

    Args:
        prompts: the examples' rewriting prompts, which GRPO will sample from.
    """
    config, recorder = context.config, context.recorder
    pairs, tokens = own_pairs(context, examples, prompts, seed)
    solved = f"The backbone solves {len(pairs)} of {len(examples)} examples itself"
    if not pairs:
        recorder.event("message", level="warning", text=f"{solved}: GRPO starts without a warm start.")
        return tokens
    recorder.event("message", level="info", text=f"{solved}; the rewriter starts warm, from those answers.")
    rewriter = config.rewriter
    # A rewriting prompt is never cut, and how arms are fine-tuned is none of the rewriter's business.
    section = FinetuneSection(max_length=1 << 20, batch_size=config.finetune.batch_size)
    callback = FinetuneCallback(recorder, {"seed": seed}, rewriter.warm_start_steps, kind="warm")
    recorder.event("phase", name=f"{WARM_PHASE}: steps", prepares=True)
    supervised(
        section,
        context.gate.backbone,
        pairs,
        rewriter.warm_start_steps,
        seed,
        home / WARM_START,
        callback,
        rate=rewriter.warm_start_rate or rewriter.learning_rate,
        at_end=True,
    )
    if callback.stopped:
        raise StopRequested("Stopped in the rewriter's warm start; resume continues there.")
    return tokens

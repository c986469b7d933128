"""The playground's work: a group of rewrites of one solution, or of texts a person wrote, with every reward."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from patchrl.config import StudyConfig
from patchrl.config.instructions import rewrite_prompt
from patchrl.errors import BackboneError, ConfigError, StopRequested
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.models.scoring import Score
from patchrl.rewards import group_rewards
from patchrl.rewriting.dataset import TOP_ALTERNATIVES, tokens_of
from patchrl.types import Example, Verdict, Writer

Emit = Callable[..., None]  # emit(kind, **fields)
WATCH_SECONDS = 0.15  # texts in the making are told this often
KEPT_ADAPTERS = 4


@contextmanager
def writing(backbone: Backbone, writer: Writer) -> Iterator[None]:
    """The backbone as a writer uses it: with its adapter, or frozen. The newest few adapters stay loaded.

    Raises BackboneError when the adapter is gone or was made for another model.
    """
    if writer.adapter is None:
        with backbone.frozen():
            yield
        return
    name = _loaded(backbone, Path(writer.adapter))
    backbone.model.set_adapter(name)
    yield


def _loaded(backbone: Backbone, folder: Path) -> str:
    """Name of the adapter in a folder, loaded if it is not; one that was written anew has another name."""
    from peft import PeftModel

    weights = folder / "adapter_model.safetensors"
    try:
        # Module names must not hold dots.
        name = f"{folder.parent.parent.name}_{folder.name}_{weights.stat().st_mtime_ns}".replace(".", "_")
        if not isinstance(backbone.model, PeftModel):
            backbone.model = PeftModel.from_pretrained(backbone.model, str(folder), adapter_name=name).eval()
        elif name not in backbone.model.peft_config:
            backbone.model.load_adapter(str(folder), adapter_name=name)
            for old in list(backbone.model.peft_config)[:-KEPT_ADAPTERS]:
                backbone.model.delete_adapter(old)
    except (OSError, ValueError, RuntimeError) as error:
        raise BackboneError(
            f"The rewriter's adapter could not be loaded ({type(error).__name__}); it may just have been replaced "
            "by a newer checkpoint: try again."
        ) from error
    return name


def read_expert(config: StudyConfig, gate: Gate, example: Example) -> dict[str, Any]:
    """ℓ of the expert solution with its token surprisal, and the gate's word on it.

    Raises ConfigError when question and solution leave no room for a rewrite in the model's context.
    """
    backbone, room = gate.backbone, config.rewriter.max_new_tokens
    prompt = rewrite_prompt(config.rewriter.instruction, example.question, example.solution)
    if not backbone.fits(prompt, room):
        limit = backbone.model.config.get_text_config().max_position_embeddings
        raise ConfigError(
            f"Question and solution take {len(backbone.prompt_ids(prompt)):,} tokens and the rewrite up to {room}, but "
            f"this backbone holds {limit:,} in all; shorten one of them."
        )
    (score,) = backbone.score([example.question], [example.solution], top=TOP_ALTERNATIVES)
    embedding = gate.embedder.embed([example.solution], [score])
    (verdict,) = gate.check([example], [example.solution], embedding)
    return _candidate(example.solution, verdict, score)


def rewrite_group(
    config: StudyConfig,
    gate: Gate,
    example: Example,
    writer: Writer,
    *,
    seed: int,
    emit: Emit,
    stopped: Callable[[], bool],
) -> list[dict[str, Any]]:
    """K rewrites by one writer, scored as one group; `emit("writing", …)` tells the texts in the making.

    Raises StopRequested as soon as `stopped()` says so.
    """
    backbone, rewriter = gate.backbone, config.rewriter
    told = time.monotonic()

    def watch(ids_KT: torch.Tensor) -> bool:
        nonlocal told
        if time.monotonic() - told >= WATCH_SECONDS:
            told = time.monotonic()
            texts = [backbone.decode(backbone.completion_ids(ids)) for ids in ids_KT.tolist()]
            emit("writing", writer=writer.key, name=writer.name, texts=texts)
        return stopped()

    with writing(backbone, writer):
        (group,) = backbone.generate(
            [rewrite_prompt(rewriter.instruction, example.question, example.solution)],
            samples=rewriter.group_size,
            temperature=rewriter.temperature,
            max_new_tokens=rewriter.max_new_tokens,
            seed=seed,
            watch=watch,
        )
    if stopped():
        raise StopRequested("Cancelled.")
    scored, _ = score_group(config, gate, example, [g.token_ids for g in group])
    return [candidate | {"clipped": g.clipped} for candidate, g in zip(scored, group, strict=True)]


def score_group(
    config: StudyConfig, gate: Gate, example: Example, completions: Sequence[str | Sequence[int]]
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Verdict, ℓ, token surprisal and every reward of K completions as one group; and their embeddings (K, D)."""
    backbone = gate.backbone
    texts = [c if isinstance(c, str) else backbone.decode(c) for c in completions]
    scores = backbone.score([example.question] * len(texts), completions, top=TOP_ALTERNATIVES)
    embeddings_KD = gate.embedder.embed(texts, scores)
    verdicts = gate.check([example] * len(texts), texts, embeddings_KD)
    # An empty text has no ℓ: where the gate lets it pass, it is unscorable.
    passed = [None if v.passed and math.isnan(s.nll) else v.passed for v, s in zip(verdicts, scores, strict=True)]
    rewards = group_rewards(
        passed,
        [s.nll for s in scores],
        embeddings_KD,
        lambda_dist=config.reward.lambda_dist,
        lambda_div=config.reward.lambda_div,
        diversity_scale=config.reward.diversity_scale,
    )
    parts = asdict(rewards)
    candidates = [
        _candidate(text, verdict, score) | {name: values[i] for name, values in parts.items()}
        for i, (text, verdict, score) in enumerate(zip(texts, verdicts, scores, strict=True))
    ]
    return candidates, embeddings_KD


def _candidate(text: str, verdict: Verdict, score: Score) -> dict[str, Any]:
    return {
        "text": text,
        "passed": verdict.passed,
        "reason": verdict.reason,
        "nll": None if math.isnan(score.nll) else round(score.nll, 5),
        "tokens": tokens_of(score.tokens),
    }

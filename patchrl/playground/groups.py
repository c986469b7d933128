"""The playground's work: a group of rewrites of one solution, or of texts a person wrote, with every reward."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from patchrl.config import StudyConfig
from patchrl.config.instructions import rewrite_prompt
from patchrl.errors import BackboneError, ConfigError, StopRequested
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.rewards.group_score import Group, GroupScore, JudgedCompletion, judge_completions, score_groups
from patchrl.rewards.own_answers import own_anchor
from patchrl.rewriting.dataset import TOP_ALTERNATIVES, tokens_of
from patchrl.types import Example, Generation, Writer

Emit = Callable[..., None]  # emit(kind, **fields)
EMIT_SECONDS = 0.15  # between two events with the texts written so far
MAX_ADAPTERS = 4  # loaded at a time


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
            for old in list(backbone.model.peft_config)[:-MAX_ADAPTERS]:
                backbone.model.delete_adapter(old)
    except (OSError, ValueError, RuntimeError) as error:
        raise BackboneError(
            f"The rewriter's adapter could not be loaded ({type(error).__name__}); it may just have been replaced "
            "by a newer checkpoint: try again."
        ) from error
    return name


def read_expert(config: StudyConfig, gate: Gate, example: Example) -> dict[str, Any]:
    """ℓ of the expert solution with its token surprisal, and the gate's verdict on it.

    Raises ConfigError when question and solution leave no room for a rewrite in the model's context.
    """
    backbone, room = gate.backbone, config.rewriter.max_new_tokens
    prompt = _prompt(config, example)
    if not backbone.fits(prompt, room):
        limit = backbone.model.config.get_text_config().max_position_embeddings
        raise ConfigError(
            f"Question and solution take {len(backbone.prompt_ids(prompt)):,} tokens and the rewrite up to {room}, but "
            f"this backbone holds {limit:,} in all; shorten one of them."
        )
    solution = generation_of(backbone, example.solution)
    (judged,) = judge_completions(gate, [example], [solution], top=TOP_ALTERNATIVES)
    return _described(judged)


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
    """K rewrites by one writer, scored as one group; `emit("writing", …)` sends the texts written so far.

    Raises StopRequested as soon as `stopped()` says so.
    """
    backbone, rewriter = gate.backbone, config.rewriter
    emitted = time.monotonic()

    def watch(ids_KT: torch.Tensor) -> bool:
        nonlocal emitted
        if time.monotonic() - emitted >= EMIT_SECONDS:
            emitted = time.monotonic()
            texts = [backbone.decode(backbone.completion_ids(ids)) for ids in ids_KT.tolist()]
            emit("writing", writer=writer.key, name=writer.name, texts=texts)
        return stopped()

    with writing(backbone, writer):
        (generations,) = backbone.generate(
            [_prompt(config, example)],
            samples=rewriter.group_size,
            temperature=rewriter.temperature,
            top_p=rewriter.top_p,
            max_new_tokens=rewriter.max_new_tokens,
            seed=seed,
            watch=watch,
        )
        if stopped():
            raise StopRequested("Cancelled.")
        scored = score_group(config, gate, example, generations)
    return [
        candidate | {"clipped": generation.clipped}
        for candidate, generation in zip(candidates(scored), generations, strict=True)
    ]


def score_texts(config: StudyConfig, gate: Gate, example: Example, texts: Sequence[str]) -> GroupScore:
    """Texts that a person wrote, scored as one group.

    Their alignment compares ℓ: `kl` estimates a divergence from texts that the writer sampled, and rewards a text that
    nobody would write.
    """
    config = config.model_copy(update={"reward": config.reward.model_copy(update={"alignment": "mean"})})
    with gate.backbone.frozen():
        return score_group(config, gate, example, [generation_of(gate.backbone, text) for text in texts])


def score_group(
    config: StudyConfig, gate: Gate, example: Example, generations: Sequence[Generation], seed: int = 0
) -> GroupScore:
    """Verdict, score and rewards of K completions as training gives them to the writer that the backbone now is.

    Where alignment is on the scale of the backbone's own answers, those to this question are sampled with `seed`.
    """
    judged = judge_completions(
        gate, [example] * len(generations), generations, top=TOP_ALTERNATIVES, bf16=config.reward.bf16_scoring
    )
    (scored,) = score_groups(
        gate,
        config.reward,
        [Group(example, _prompt(config, example), judged)],
        anchor=own_anchor(config, gate.backbone, [example], seed),
        bf16=config.reward.bf16_scoring,
    )
    return scored


def candidates(scored: GroupScore) -> list[dict[str, Any]]:
    """A scored group as the playground sends it: each completion with its verdict, its tokens and every reward."""
    parts = asdict(scored.rewards)
    return [
        _described(judged) | {"misalignment": _rounded(figure)} | {name: values[k] for name, values in parts.items()}
        for k, (judged, figure) in enumerate(zip(scored.group.completions, scored.misalignment, strict=True))
    ]


def generation_of(backbone: Backbone, text: str) -> Generation:
    """A written text as if it had been sampled."""
    return Generation(text, tuple(backbone.completion_ids(text)))


def _prompt(config: StudyConfig, example: Example) -> str:
    return rewrite_prompt(config.rewriter.instruction, example.question, example.solution)


def _described(judged: JudgedCompletion) -> dict[str, Any]:
    return {
        "text": judged.generation.text,
        "passed": judged.verdict.passed,
        "reason": judged.verdict.reason,
        "nll": _rounded(judged.score.nll),
        "tokens": tokens_of(judged.score.tokens),
    }


def _rounded(nats: float) -> float | None:
    return round(nats, 5) if math.isfinite(nats) else None

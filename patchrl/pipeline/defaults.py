"""Settings that are left out, chosen for the backbone and the data at hand. The nano lab keeps its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from patchrl.config import StudyConfig
from patchrl.data.examples import load_examples
from patchrl.grading.coverage import claim_kinds
from patchrl.models.token_preview import context_of, generation_settings, tokenizer_on_disk
from patchrl.pipeline.machine import has_nvidia_gpu, weight_count
from patchrl.pipeline.memory import longest_tokens, microbatch_sizes, shape_of, update_mb
from patchrl.text import percent
from patchrl.types import Example

SMALL, MEDIUM = 4e8, 2e9  # weights below which a backbone counts as small or medium
MIN_SWEEP_ITEMS = 30  # held-out examples from which several learning rates can be told apart
MIN_CLAIMING = 0.5  # of the expert solutions that say more than their answer, from which coverage is asked for
MAX_ROWS = 2_000  # tokenised for the quantiles of lengths
MEMORY_SHARE = 0.5  # of what is free may go into one training pass
# By size: learning rates of fine-tuning, of GRPO with LoRA, and of the warm start; temperature where none is configured.
# Those of small backbones were measured on SmolLM2-135M, the others are common practice.
RATES = {
    "small": ((1e-5, 3e-5, 1e-4), 2e-4, 2e-4),
    "medium": ((5e-6, 1e-5, 2e-5), 2e-5, 1e-4),
    "large": ((2e-6, 5e-6, 1e-5), 1e-5, 1e-4),
}
TEMPERATURES = {"small": 0.5, "medium": 0.7, "large": 0.8}


@dataclass(frozen=True)
class Choice:
    """One setting that was left out, the value chosen for it, and why."""

    setting: str
    value: Any
    reason: str


def fitted(config: StudyConfig) -> tuple[StudyConfig, list[Choice]]:
    """The config with values chosen for what it leaves out, and each choice with its reason.

    A config of the nano lab is returned as it is. A setting that is given stays, also where it is the lab's default. Raises
    DataError for data that cannot be read.
    """
    if config.backbone.model == "nano":
        return config, []
    choices = [choice for choice in _choices(config) if not _is_given(config, choice.setting)]
    sections: dict[str, dict[str, Any]] = {}
    for choice in choices:
        section, _, key = choice.setting.partition(".")
        sections.setdefault(section, {})[key] = choice.value
    updates = {name: getattr(config, name).model_copy(update=values) for name, values in sections.items()}
    return config.model_copy(update=updates), choices


def _claiming_share(examples: Sequence[Example]) -> float:
    """The share of expert solutions that say more than their answer."""
    kinds = claim_kinds(examples)
    return kinds["claims"] / max(1, sum(kinds.values()))


def _is_given(config: StudyConfig, setting: str) -> bool:
    section, _, key = setting.partition(".")
    return key in getattr(config, section).model_fields_set


def _choices(config: StudyConfig) -> Iterator[Choice]:
    count = weight_count(config.backbone.model, config.backbone.revision)
    size = "medium" if count is None else "small" if count < SMALL else "medium" if count < MEDIUM else "large"
    known = "its size is not known here" if count is None else f"it has {count / 1e6:,.1f} M weights"
    rates, rewriter_rate, warm_rate = RATES[size]
    data = load_examples(config.data)
    if data.task == "math":
        yield Choice(
            "gate.reasoning", "derivation", "an answer in mathematics has to come out of the rewrite's own steps"
        )
    elif (share := _claiming_share(data.train[:MAX_ROWS])) >= MIN_CLAIMING:
        yield Choice(
            "gate.reasoning",
            "coverage",
            f"{percent(share, 0)} of the expert solutions say more than their answer, and that has to come back",
        )
    if len(data.eval) >= MIN_SWEEP_ITEMS:
        yield Choice("finetune.learning_rate", rates, f"{known}; each arm is compared at its best of these")
    else:
        reason = f"{known}; {len(data.eval)} held-out examples are too few to choose among several rates"
        yield Choice("finetune.learning_rate", rates[1:2], reason)
    yield Choice("reward.kind", "gain", "on SmolLM2 rewriters earned the published reward with copies of the expert")
    yield Choice("rewriter.learning_rate", rewriter_rate, f"{known}; for GRPO on an adapter")
    yield Choice("rewriter.warm_start_rate", warm_rate, f"{known}; a warm start is short")
    yield Choice("finetune.epochs", 3, "a backbone larger than the lab's learns in fewer passes")
    yield from _sampling(config, size, known)
    yield Choice("evaluate.general", ("everyday",), "the nano lab's skills are of a world of its own")
    if config.backbone.device in ("auto", "cuda") and has_nvidia_gpu():
        yield Choice("backbone.dtype", "bfloat16", "this machine has an NVIDIA GPU")
    yield from _lengths(config, data.train[:MAX_ROWS])


def _sampling(config: StudyConfig, size: str, known: str) -> Iterator[Choice]:
    backbone = config.backbone
    settings = generation_settings(backbone.model, backbone.revision)
    configured = settings.get("temperature")
    value, reason = TEMPERATURES[size], f"{known}, and its generation config has no temperature; at 1 it would ramble"
    if isinstance(configured, (int, float)) and 0 < configured <= 1:
        value, reason = float(configured), "its generation config's"
    yield Choice("rewriter.temperature", value, reason)
    yield Choice("rewrite.temperature", value, f"{reason}; rewrites are sampled as rollouts are")
    top_p = settings.get("top_p")
    if isinstance(top_p, (int, float)) and 0 < top_p <= 1:
        yield Choice("rewriter.top_p", float(top_p), "its generation config's")
        yield Choice("rewrite.top_p", float(top_p), "its generation config's; rewrites are sampled as rollouts are")


def _lengths(config: StudyConfig, examples: Sequence[Example]) -> Iterator[Choice]:
    """Limits from the data's own lengths, and what fits into memory; nothing for a tokenizer that is not here."""
    backbone = config.backbone
    tokenizer = tokenizer_on_disk(backbone.model, backbone.revision, backbone.thoughts)
    if tokenizer is None:
        return
    rows = [tokenizer.format.row(example.question, example.solution) for example in examples]
    solution = _quantile([len(row.completion) for row in rows], 0.95)
    longest = max(len(row.trained) for row in rows)
    context = context_of(backbone.model, backbone.revision) or math.inf
    # Backbones answer at greater length than terse experts: SmolLM2-135M in 107 tokens where SVAMP's experts take 16.
    answer = int(min(max(128, _up(1.5 * solution + 32, 16)), 1024, context / 2))
    reason = f"95 % of solutions have at most {solution} tokens, and a backbone's own answers are longer"
    yield Choice("rewriter.max_new_tokens", answer, reason)
    yield Choice("evaluate.max_new_tokens", answer, reason)
    yield Choice("finetune.max_length", int(min(_up(longest, 64), context)), f"the longest row has {longest:,} tokens")
    shape = shape_of(backbone)
    if shape is None:
        return
    limit = config.rewriter.max_new_tokens if _is_given(config, "rewriter.max_new_tokens") else answer
    sized = config.model_copy(update={"rewriter": config.rewriter.model_copy(update={"max_new_tokens": limit})})
    prompt, _ = longest_tokens(config, examples)
    free = psutil.virtual_memory().available / 2**20
    sizes = list(microbatch_sizes(config))
    fits = [rows for rows in sizes if update_mb(shape, sized, rows, prompt) <= MEMORY_SHARE * free]
    if fits and fits[0] < sizes[0]:
        reason = f"{free / 2**10:.0f} GB of memory are free, and a training pass over more rollouts would take over half of it"
        yield Choice("rewriter.microbatch_size", fits[0], reason)


def _quantile(values: Sequence[int], share: float) -> int:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _up(value: float, step: int) -> int:
    return step * math.ceil(value / step)

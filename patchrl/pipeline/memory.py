"""How much memory a study takes at its highest, from a backbone's shape and the lengths of its rows. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from patchrl.config import BackboneSection, StudyConfig
from patchrl.config.instructions import rewrite_prompt
from patchrl.models.token_preview import config_of, tokenizer_on_disk
from patchrl.pipeline.launcher import launched_processes
from patchrl.pipeline.machine import weight_count
from patchrl.types import Example

MB = 2**20
# A process with torch, Transformers, TRL and a trainer, measured on a CPU; tests/benchmarks/RESULTS.md.
PROCESS_MB = 580.0
TILE_MB = 25.0  # of logits, with what is computed from them
SLACK = 1.25  # what a pass holds beside the tensors counted here, and what the allocator does not give back; measured
FLOAT = 4  # bytes
LOGIT_COPIES = 4  # where logits are held whole: themselves, their log-probabilities, the gradient, one that is sorted
SAMPLED_TOKENS, SAMPLED_ROWS = 32_768, 256  # in one batch of `patchrl.models.engines.transformers`, at most


@dataclass(frozen=True)
class Shape:
    """Widths of a decoder's parts: hidden states, the MLP between, all queries and all keys of a layer; layers and words."""

    hidden: int
    between: int
    queries: int
    keys: int
    layers: int
    words: int

    @property
    def kept(self) -> int:
        """Bytes that a training pass keeps of one token for the way back.

        In each layer: the input and the output of both norms, queries, keys, values (as wide as queries once grouped heads are
        repeated), what attention gives, twice, and four tensors of the MLP.
        """
        return FLOAT * self.layers * (4 * self.hidden + 5 * self.queries + 4 * self.between)


def shape_of(backbone: BackboneSection) -> Shape | None:
    """The shape in a backbone's config.json; None where it is not on this machine or does not say."""
    config = config_of(backbone.model, backbone.revision)

    def number(*names: str) -> int:
        return next((config[name] for name in names if isinstance(config.get(name), int)), 0)

    hidden, layers, heads = (
        number("hidden_size", "n_embd"),
        number("num_hidden_layers", "n_layer"),
        number("num_attention_heads", "n_head"),
    )
    words = number("vocab_size")
    if not (hidden and layers and heads and words):
        return None
    width = number("head_dim") or hidden // heads
    keys = (number("num_key_value_heads") or heads) * width
    return Shape(hidden, number("intermediate_size", "n_inner") or 4 * hidden, heads * width, keys, layers, words)


def longest_tokens(config: StudyConfig, examples: Sequence[Example]) -> tuple[int, int]:
    """Tokens of the longest example's rewriting prompt and of its row; 0 for a tokenizer that is not here."""
    backbone = config.backbone
    tokenizer = tokenizer_on_disk(backbone.model, backbone.revision, backbone.thoughts)
    if tokenizer is None:
        return 0, 0
    longest = max(examples, key=lambda example: len(example.question) + len(example.solution))
    prompt = rewrite_prompt(config.rewriter.instruction, longest.question, longest.solution)
    row = tokenizer.format.row(longest.question, longest.solution)
    return len(tokenizer.format.prompt_ids(prompt)), len(row.trained)


def update_mb(shape: Shape, config: StudyConfig, rows: int, prompt_tokens: int) -> float:
    """MB that one pass of the rewriter's update holds beside the weights: each prompt once, each rollout to its limit.

    Args:
        rows: Rollouts in the pass.
        prompt_tokens: Tokens of the longest rewriting prompt.
    """
    rewriter = config.rewriter
    tokens = math.ceil(rows / rewriter.group_size) * prompt_tokens + rows * rewriter.max_new_tokens
    lent = (
        rows * prompt_tokens * FLOAT * shape.layers * 2 * shape.queries
    )  # keys and values of its prompt, for each rollout
    return SLACK * (tokens * shape.kept + lent) / MB + TILE_MB


def finetune_mb(shape: Shape, config: StudyConfig, row_tokens: int) -> float:
    """MB that one step of full fine-tuning on the longest rows holds beside weights, gradients and moments."""
    tokens = config.finetune.batch_size * min(row_tokens, config.finetune.max_length)
    return tokens * (shape.kept + LOGIT_COPIES * FLOAT * shape.words) / MB


def sampling_mb(shape: Shape, config: StudyConfig, prompt_tokens: int) -> float:
    """MB of keys, values and logits of the largest batch that is sampled."""
    width = prompt_tokens + config.rewriter.max_new_tokens
    rows = min(SAMPLED_ROWS, SAMPLED_TOKENS // width, config.data.train_size * config.rewrite.best_of_k)
    return rows * FLOAT * (width * 2 * shape.keys * shape.layers + LOGIT_COPIES * shape.words) / MB


def microbatch_sizes(config: StudyConfig) -> Iterator[int]:
    """Sizes that divide a process's rollouts of a step and split no group without need, from the largest on."""
    rollouts, group = config.rewriter.rollouts_per_step // launched_processes(), config.rewriter.group_size
    for size in range(rollouts, 0, -1):
        if rollouts % size == 0 and (size % group == 0 or group % size == 0):
            yield size


def largest_request(config: StudyConfig, prompt_tokens: int) -> dict[str, float] | None:
    """The training pass of the rewriter: `rows`, `tokens` (of each) and `memory_mb` beside the weights; None for a backbone
    whose shape is not known here."""
    shape, rewriter = shape_of(config.backbone), config.rewriter
    if shape is None:
        return None
    rows = rewriter.microbatch_size or rewriter.rollouts_per_step
    memory = update_mb(shape, config, rows, prompt_tokens)
    return {"rows": rows, "tokens": prompt_tokens + rewriter.max_new_tokens, "memory_mb": round(memory, 1)}


def estimated_ram(config: StudyConfig, prompt_tokens: int, row_tokens: int) -> float | None:
    """Peak memory of the worker in MB on a CPU, in float32; None for weights that are not here.

    Beside the process and its weights it holds the largest of: an update of the rewriter, a batch that is sampled, a step of
    fine-tuning with gradients and the two moments of Adam.

    Args:
        prompt_tokens: Tokens of the longest rewriting prompt.
        row_tokens: Tokens of the longest row.
    """
    backbone = config.backbone
    count = weight_count(backbone.model, backbone.revision)
    if count is None:
        return None
    weights_mb, shape = FLOAT * count / MB, shape_of(backbone)
    stages = [3 * weights_mb]
    if shape is not None:
        rows = config.rewriter.microbatch_size or config.rewriter.rollouts_per_step
        stages = [
            update_mb(shape, config, rows, prompt_tokens),
            sampling_mb(shape, config, prompt_tokens),
            3 * weights_mb + finetune_mb(shape, config, row_tokens),
        ]
    return PROCESS_MB + weights_mb + max(stages)

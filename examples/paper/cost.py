"""What studies with this folder's settings would cost on H200s, for 0.5 to 8 B parameters: hours and memory, computed, never measured.

python -m examples.paper.cost
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from patchrl.config import StudyConfig, load_config
from patchrl.models.engines.static_decoding import LOGIT_COPIES, MEMORY_SHARE
from patchrl.models.engines.transformers import STATIC_ROWS

FOLDER = Path(__file__).parent
GPU_BYTES = 139 * 2**30  # an H200's
BYTES_PER_SECOND = 0.6 * 4.8e12  # 60 % of an H200's bandwidth
BYTES_PER_LOGIT = 3 * 4  # itself, its log-probability and the gradient, each in float32
FLOPS = 0.25 * 989e12  # a quarter of an H200's in bfloat16
# Measured on an H200 with 256 rows: 20,460 tokens/s with SmolLM2-135M's vocabulary of 49,152 words, and 5,865 with
# Qwen2.5-0.5B's of 151,936. Both are about as many logits a second.
LOGITS_PER_SECOND = 0.95e9
# Means of the four examples in the published repository, in SmolLM2's tokens, with the instruction and the chat template.
PROMPT, REWRITE, LONGEST = 750, 700, 900
PASSES = 10  # FLOPs per weight and token: 4 of the adapter's update, 2 each of the reference, the reward and the judge


@dataclass(frozen=True)
class Shape:
    """A backbone as its config.json gives it, and the study of this folder whose settings it is reckoned with.

    `saved` and `saved_full` are bytes that one layer keeps of each token for the backward pass, with a LoRA adapter of rank 64
    and in full fine-tuning. They were counted with saved-tensor hooks on layers of these widths (Transformers 5.23, bfloat16
    autocast).
    """

    weights: float
    layers: int
    vocabulary: int
    key_values: int  # per layer and token: key-value heads × their width
    adapter: float  # weights of the adapter
    saved: float
    saved_full: float
    study: str


SHAPES = {
    "Qwen2.5-0.5B": Shape(0.494e9, 24, 151_936, 2 * 64, 35.2e6, 60 * 2**10, 65 * 2**10, "llama-3.2-1b"),
    "Llama-3.2-1B": Shape(1.236e9, 16, 128_256, 8 * 64, 45.1e6, 115 * 2**10, 126 * 2**10, "llama-3.2-1b"),
    "Llama-3.2-3B": Shape(3.213e9, 28, 128_256, 8 * 128, 97.3e6, 141 * 2**10, 158 * 2**10, "llama-3.2-3b"),
    "Mistral-7B": Shape(7.248e9, 32, 32_768, 8 * 128, 167.8e6, 213 * 2**10, 236 * 2**10, "mistral-7b"),
    "Llama-3.1-8B": Shape(8.030e9, 32, 128_256, 8 * 128, 167.8e6, 213 * 2**10, 236 * 2**10, "mistral-7b"),
}


def sampling_hours(shape: Shape, config: StudyConfig, rollouts: int, tokens: int) -> float:
    """Hours of sampling `rollouts`, in batches that each last until `tokens` are written."""
    width = PROMPT + config.rewriter.max_new_tokens
    cached = width * 2 * shape.layers * shape.key_values * 2
    free = GPU_BYTES - 2 * shape.weights
    rows = min(STATIC_ROWS, int(MEMORY_SHARE * free / (cached + shape.vocabulary * 4 * LOGIT_COPIES)))
    seconds = rows * shape.vocabulary / LOGITS_PER_SECOND + (2 * shape.weights + rows * cached) / BYTES_PER_SECOND
    return rollouts / rows * tokens * seconds / 3600


def update_hours(shape: Shape, rollouts: int) -> float:
    """Hours of rewards and updates for `rollouts`."""
    return rollouts * (PROMPT + REWRITE) * PASSES * shape.weights / FLOPS / 3600


def finetune_hours(shape: Shape, config: StudyConfig) -> float:
    """Hours of one fine-tune."""
    return config.data.train_size * config.finetune.epochs * REWRITE * 6 * shape.weights / FLOPS / 3600


def update_memory(shape: Shape, config: StudyConfig, prompt: int = 2048) -> float:
    """GB of one GRPO microbatch of the longest rows: weights, adapter with gradient and moments, saved tensors.

    A group's prompt is read once and its keys and values are lent to each rollout. Logits exist a tile at a time
    (`patchrl.pipeline.memory`) and do not count.
    """
    rewriter = config.rewriter
    rows = rewriter.microbatch_size or 1
    tokens = math.ceil(rows / rewriter.group_size) * prompt + rows * rewriter.max_new_tokens
    lent = rows * prompt * 2 * shape.key_values * 2
    return (2 * shape.weights + 16 * shape.adapter + shape.layers * (tokens * shape.saved + lent)) / 1e9


def finetune_memory(shape: Shape, config: StudyConfig) -> float:
    """GB of full fine-tuning on the longest rows: 16 bytes a weight, its copy in bfloat16, saved tensors, logits."""
    tokens = config.finetune.batch_size * config.finetune.max_length
    return (18 * shape.weights + tokens * (shape.layers * shape.saved_full + shape.vocabulary * BYTES_PER_LOGIT)) / 1e9


def table() -> str:
    """The table of docs/reproduce-the-paper.md."""
    lines = [
        "| backbone, K | GRPO, hours on one H200 | on eight, ideally shared | rewriting 50,000 rows | one fine-tune | GB: GRPO | GB: "
        "full fine-tune |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, shape in SHAPES.items():
        config = load_config(FOLDER / f"{shape.study}.toml")
        size, rewriter = config.data.train_size, config.rewriter
        rewriting = [sampling_hours(shape, config, size, tokens) for tokens in (LONGEST, rewriter.max_new_tokens)]
        for k in (rewriter.group_size, 5):
            rollouts = rewriter.steps * rewriter.prompts_per_step * k
            updates = update_hours(shape, rollouts)
            low, high = (
                sampling_hours(shape, config, rollouts, n) + updates for n in (LONGEST, rewriter.max_new_tokens)
            )
            lines.append(
                f"| {name}, {k} | {low:,.0f} to {high:,.0f} | {low / 8:,.0f} to {high / 8:,.0f} | "
                f"{rewriting[0]:,.0f} to {rewriting[1]:,.0f} | {finetune_hours(shape, config):,.1f} | "
                f"{update_memory(shape, config):,.0f} | {finetune_memory(shape, config):,.0f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())

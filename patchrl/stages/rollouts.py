"""TRL's rollouts, sampled as every other text of a study is: by the backbone, each prompt read once for its group."""

from __future__ import annotations

from typing import Any

import torch

from patchrl.backbone import Backbone


def roll_out(backbone: Backbone):
    """A `rollout_func` for TRL's GRPO trainers; TRL repeats each prompt as often as it wants completions of it."""

    def rolled(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        samples = trainer.num_generations if trainer.model.training else trainer.num_generations_eval
        asked = [_prompt_ids(backbone, prompt) for prompt in prompts[::samples]]
        groups = backbone.sample(
            asked,
            samples=samples,
            temperature=trainer.args.temperature,
            max_new_tokens=trainer.args.max_completion_length,
            seed=int(torch.randint(2**62, ())),  # of the trainer's own generator, which a checkpoint keeps
        )
        return {
            "prompt_ids": [ids for ids in asked for _ in range(samples)],
            "completion_ids": [ids for group in groups for ids in group],
            "logprobs": None,  # the policy's own: TRL computes what it needs
        }

    return rolled


def _prompt_ids(backbone: Backbone, prompt: Any) -> list[int]:
    """Of a prompt as `patchrl.stages.rows.prompt` makes it."""
    tokenizer = backbone.tokenizer
    if isinstance(prompt, str):
        return tokenizer(prompt)["input_ids"]
    return tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=False)

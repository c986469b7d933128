"""TRL's rollouts, sampled as every other text of a study is: by the backbone, each prompt read once for its group."""

from __future__ import annotations

from typing import Any

import torch
from accelerate.utils import broadcast_object_list, gather_object

from patchrl.models.backbone import Backbone
from patchrl.rewards.trl import SAMPLED_NLL_COLUMN
from patchrl.training.checkpoints import stop_watch


def roll_out(backbone: Backbone, with_nll: bool = False):
    """A `rollout_func` for TRL's GRPO trainers, whose prompts are user turns; TRL repeats each as often as it wants
    completions of it.

    With `with_nll` the reward gets every completion's −log p under the policy that sampled it, as its column SAMPLED_NLL_COLUMN.
    """

    def rolled(prompts: list[str], trainer: Any) -> dict[str, Any]:
        samples = trainer.num_generations if trainer.model.training else trainer.num_generations_eval
        prompt_ids = [backbone.prompt_ids(user) for user in prompts[::samples]]
        # The rollouts of a step are those of one process, whose random numbers are drawn for the prompts of all.
        all_ids, begin = gather_object(prompt_ids), trainer.accelerator.process_index * len(prompt_ids)
        part = range(begin, begin + len(prompt_ids))
        # Of the trainer's own generator, which a checkpoint keeps.
        (seed,) = broadcast_object_list([int(torch.randint(2**62, ()))])
        with torch.autocast(backbone.device.type, torch.bfloat16, enabled=backbone.in_bf16):  # as it is trained
            groups = backbone.sample_with_nll(
                all_ids,
                with_nll=with_nll,
                samples=samples,
                temperature=trainer.args.temperature,
                top_p=trainer.args.top_p,
                max_new_tokens=trainer.args.max_completion_length,
                watch=stop_watch(trainer),
                seed=seed,
                part=part,
            )[part.start : part.stop]
        batch: dict[str, Any] = {
            "prompt_ids": [ids for ids in prompt_ids for _ in range(samples)],
            "completion_ids": [ids for group in groups for ids, _ in group],
            "logprobs": None,  # the policy's own: TRL computes what it needs
        }
        return batch | ({SAMPLED_NLL_COLUMN: [nll for group in groups for _, nll in group]} if with_nll else {})

    return rolled

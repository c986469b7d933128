"""GRPO whose update reads each prompt once for all completions of its group, and makes logits a tile at a time.

The K rollouts of a group share a prompt that is often longer than they are; TRL reads it K times.
"""

from __future__ import annotations

import functools
import types
from typing import Any

import torch
from trl import GRPOTrainer
from trl.kernels.chunked_logprob import ChunkedLogProbFunction
from trl.trainer.utils import FusedCausalLMOutput, split_tensor_dict

from patchrl.models.backbone import Backbone
from patchrl.models.scoring import READINGS, SharedPrompts, core_of, logit_scale_and_cap, reads_ahead

TILE, CPU_TILE = (
    (4096, 32768),
    (256, 4096),
)  # positions × words whose logits exist at once; a CPU's caches hold the second
MEMBER = "member"  # column of the rollouts: their places in the order in which they were sampled


def log_probabilities(
    core: Any, hidden_ND: torch.Tensor, ids_N: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """log p of each id after its last hidden state, and the entropy there in nats, both float32 of shape (N,).

    Forward and backward hold the logits of one tile. `core` is the causal LM whose output head is used.
    """
    head, (scale, cap) = core.get_output_embeddings(), logit_scale_and_cap(core)
    positions, words = CPU_TILE if hidden_ND.device.type == "cpu" else TILE
    parts = [
        ChunkedLogProbFunction.apply(
            hidden, head.weight, head.bias, ids, temperature, words, cap, scale, ("log_probs", "entropy")
        )[:2]
        for hidden, ids in zip(hidden_ND.split(positions), ids_N.split(positions), strict=True)
    ]
    log_p, entropy = zip(*parts, strict=True)
    return torch.cat(log_p), torch.cat(entropy)


def completion_states(core: Any, prompts_GP: torch.Tensor, group_B: torch.Tensor, ids_BT: torch.Tensor) -> torch.Tensor:
    """The last hidden states from which each token of completions is predicted, shape (B, T, D); each prompt is read once.

    Args:
        core: A causal LM that continues a prompt's cache (`reads_ahead`).
        prompts_GP: Token ids of prompts, −1 left of them.
        group_B: The prompt of each completion.
        ids_BT: Token ids of completions; what comes after a completion's end changes nothing before it.
    """
    mask_GP = (prompts_GP >= 0).long()
    read = core.base_model(
        input_ids=prompts_GP.clamp(min=0),
        attention_mask=mask_GP,
        position_ids=(mask_GP.cumsum(-1) - 1).clamp(min=0),
        use_cache=True,
    )
    last_B1D, width = read.last_hidden_state[:, -1:].index_select(0, group_B), ids_BT.shape[1] - 1
    if width == 0:
        return last_B1D
    mask_BP = mask_GP[group_B]
    hidden_BTD = core.base_model(
        input_ids=ids_BT[:, :-1],
        attention_mask=torch.cat([mask_BP, mask_BP.new_ones(len(group_B), width)], dim=1),
        position_ids=mask_BP.sum(-1, keepdim=True) + torch.arange(width, device=ids_BT.device),
        past_key_values=SharedPrompts(read.past_key_values, group_B),
        use_cache=True,
    ).last_hidden_state
    return torch.cat([last_B1D, hidden_BTD], dim=1)


def read_groups(
    core: Any, ids_BL: torch.Tensor, mask_BL: torch.Tensor, width: int, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """log p and entropy of completions, both of shape (B, T) and 0 where masked; every distinct prompt is read once.

    Args:
        core: As in `completion_states`.
        ids_BL: Token ids of left-padded prompts, each followed by a right-padded completion.
        mask_BL: 1 where there is a token.
        width: T, the positions of completions.
        temperature: What logits are divided by.
    """
    rows_BP = ids_BL[:, :-width].masked_fill(mask_BL[:, :-width] == 0, -1)
    prompts_GP, group_B = rows_BP.unique(dim=0, return_inverse=True)
    ids_BT, mask_BT = ids_BL[:, -width:], mask_BL[:, -width:].bool()
    # A CPU reads group by group, without padding; other devices read all at once.
    at_once = 1 if ids_BL.device.type == "cpu" else len(prompts_GP)
    places, values = [], []
    for start in range(0, len(prompts_GP), at_once):
        rows = ((group_B >= start) & (group_B < start + at_once)).nonzero()[:, 0]
        block_GP, kept_BT = prompts_GP[start : start + at_once], mask_BT[rows]
        block_GP, kept_BT = block_GP[:, (block_GP >= 0).any(0)], kept_BT[:, kept_BT.any(0)]
        ids = ids_BT[rows][:, : kept_BT.shape[1]]
        states = completion_states(core, block_GP, group_B[rows] - start, ids)
        values.append(torch.stack(log_probabilities(core, states[kept_BT], ids[kept_BT], temperature)))
        members, positions = kept_BT.nonzero(as_tuple=True)
        places.append(torch.stack([rows[members], positions]))
    rows_N, positions_N = torch.cat(places, dim=1)
    zeros_BT = torch.zeros(mask_BT.shape, device=ids_BL.device)
    log_p_BT, entropy_BT = (zeros_BT.index_put((rows_N, positions_N), part) for part in torch.cat(values, dim=1))
    return log_p_BT, entropy_BT


def add_group_reading(core: Any, temperature: float) -> None:
    """Give a causal LM that TRL has patched a further keyword, `completion_width`, with which it reads rows by `read_groups`.

    Its forward stays the way in, so that wrappers of the model (adapters, DDP) see the pass.
    """
    forward = core.forward

    @functools.wraps(type(core).forward)  # `generate` reads the signature
    def group_forward(self, *args, completion_width: int | None = None, **kwargs):
        if completion_width is None:
            return forward(*args, **kwargs)
        rows = kwargs["input_ids"], kwargs["attention_mask"]
        log_p_BT, entropy_BT = read_groups(self, *rows, completion_width, temperature)
        return FusedCausalLMOutput(log_probs=log_p_BT, entropy=entropy_BT)

    core.forward = types.MethodType(group_forward, core)


class SharedPromptTrainer(GRPOTrainer):
    """TRL's GRPOTrainer whose microbatches hold groups one after the other, and which reads each prompt of one once.

    TRL's own reading is used where `backbone` cannot continue a prompt's cache exactly, under DeepSpeed and FSDP, with gradient
    checkpointing, which keeps no cache, and for models with a router loss.
    """

    _buffered_inputs: Any  # TRL's: the microbatches of the newest rollouts
    _drawn_so_far: torch.Tensor  # the state of the random numbers when these had been sampled

    def __init__(self, *args: Any, backbone: Backbone, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        core = core_of(self.model)
        sharded = self.is_deepspeed_enabled or self.is_fsdp_enabled
        keeps_cache = not (sharded or self.args.gradient_checkpointing)
        self.shares_prompts = backbone.reading == READINGS[0] and reads_ahead(core) and keeps_cache
        if self.shares_prompts:
            add_group_reading(core, self.temperature)

    def _generate_and_score_completions(self, inputs):
        rollouts = super()._generate_and_score_completions(inputs)
        self._drawn_so_far = torch.get_rng_state()
        return rollouts | {MEMBER: torch.arange(len(inputs), device=rollouts["advantages"].device)}

    def _prepare_inputs(self, generation_batch):
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        if self._buffered_inputs is before:
            return inputs
        self._buffered_inputs = self._in_order(self._buffered_inputs)  # TRL has shuffled new rollouts
        # One process would have shuffled the rollouts of all: the random numbers after it are the same.
        torch.set_rng_state(self._drawn_so_far)
        torch.randperm(sum(len(part[MEMBER]) for part in self._buffered_inputs) * self.accelerator.num_processes)
        return self._buffered_inputs[self._step % self.args.steps_per_generation]

    def _in_order(self, microbatches: list[dict[str, Any]]) -> list[dict[str, Any]]:
        order = torch.cat([microbatch[MEMBER] for microbatch in microbatches]).argsort()
        columns = {
            name: torch.cat([microbatch[name] for microbatch in microbatches])[order] if value.ndim else value
            for name, value in microbatches[0].items()
        }
        return split_tensor_dict(columns, len(microbatches))

    def _get_per_token_logps_and_entropies(
        self, model, input_ids, attention_mask, logits_to_keep, batch_size=None, compute_entropy=False, **options
    ):
        if not self.shares_prompts or any(option not in (None, False) for option in options.values()):
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, **options
            )
        size = batch_size or len(input_ids)
        with self.accelerator.autocast():
            parts = [
                model(input_ids=ids_BL, attention_mask=mask_BL, completion_width=logits_to_keep)
                for ids_BL, mask_BL in zip(input_ids.split(size), attention_mask.split(size), strict=True)
            ]
        entropies = torch.cat([part.entropy for part in parts]) if compute_entropy else None
        return torch.cat([part.log_probs for part in parts]), entropies, None

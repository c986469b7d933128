"""VCPO: rollouts used for several updates get a learning rate that heeds how stale they are, and a baseline of least variance.

Source: "Stable Asynchrony: Variance-Controlled Off-Policy RL for LLMs", arXiv 2602.17616.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from transformers import TrainerCallback
from trl import GRPOTrainer

from patchrl.training.shared_prompts import MEMBER, SharedPromptTrainer
from patchrl.types import Recorder


def effective_sample_size(log_weights_B: torch.Tensor) -> float:
    """ESS = (Σw)²/(B·Σw²) of sequence weights, in [1/B, 1]; 1 where all weigh the same.

    `log_weights_B`: log πθ(rollout) − log π_sampled(rollout), summed over its tokens, unclipped.
    """
    weights_B = (log_weights_B.double() - log_weights_B.max()).exp()
    return float(weights_B.sum() ** 2 / (len(weights_B) * (weights_B**2).sum()))


def rate_factor(ess: float, fresh: float) -> float:
    """sqrt(ESS/ESS_on), at most 1: what the learning rate is multiplied by.

    `fresh` is ESS_on, the effective sample size of rollouts that the policy has just sampled.
    """
    return min(1.0, (ess / fresh) ** 0.5)


def minimum_variance_baseline(rewards_K: torch.Tensor, square_norms_K: torch.Tensor) -> torch.Tensor:
    """b* = Σ‖h‖²r / Σ‖h‖², the baseline with which the gradient estimate mean(h·(r − b)) varies least.

    h is the gradient of a rollout per unit of advantage: w·∇log π with sequence weights w, Σ_t ρ_t·∇log π_t with token
    weights ρ_t. Its expectation over sampled rollouts is 0, so b moves only the variance E‖h‖²(r − b)², and b* is where
    the derivative of that is 0. With equal norms, b* is the mean reward of GRPO.
    """
    total = square_norms_K.sum()
    return (square_norms_K * rewards_K).sum() / total if total > 0 else rewards_K.mean()


@contextlib.contextmanager
def square_norms(model: torch.nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """The squared gradient norm of each of B rows, under the key `rows`, of one backward pass inside the context.

    The pass is through a sum over rows in one batch. Every trainable layer is a linear one of LoRA without bias. The gradient
    of its weight is Σ_t g_t·x_tᵀ for inputs x and output gradients g, and is small enough to be kept for every row.
    """
    norms: dict[str, torch.Tensor] = {}

    def watch(layer: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output_BTO: torch.Tensor) -> None:
        inputs_BTI = inputs[0].detach()

        def add(gradients_BTO: torch.Tensor) -> None:
            rows_BOI = torch.einsum("bto,bti->boi", gradients_BTO.float(), inputs_BTI.float())
            norms["rows"] = norms.get("rows", 0) + rows_BOI.square().sum((1, 2))

        output_BTO.register_hook(add)

    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.weight.requires_grad]
    handles = [layer.register_forward_hook(watch) for layer in layers]
    try:
        yield norms
    finally:
        for handle in handles:
            handle.remove()


class StalenessTrainer(SharedPromptTrainer):
    """The GRPO trainer that keeps the log weight of every rollout of the update in progress.

    With `lowers_variance` it subtracts each group's minimum-variance baseline before every update, which costs one forward
    and one backward pass over the rollouts. Advantages are rewards shifted and scaled by group, so the baseline of advantages is that of the
    rewards. An advantage of exactly 0 belongs to a rollout without a reward, and stays 0.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lowers_variance = False
        self.log_weights: list[torch.Tensor] = []
        self._newest: torch.Tensor | None = None

    def _prepare_inputs(self, generation_batch):
        inputs = super()._prepare_inputs(generation_batch)
        if self.lowers_variance and self.model.training and self._step % self.args.steps_per_generation == 0:
            self._subtract_baselines(self._buffered_inputs)
        return inputs

    def _subtract_baselines(self, microbatches: list[dict[str, Any]]) -> None:
        norms_B = torch.cat([self._square_norms(microbatch) for microbatch in microbatches])
        groups_B = torch.cat([microbatch[MEMBER] for microbatch in microbatches]) // self.num_generations
        advantages_B = torch.cat([microbatch["advantages"] for microbatch in microbatches])
        rewarded_B = advantages_B != 0
        for group in groups_B.unique():
            members_B = (groups_B == group) & rewarded_B
            if members_B.any():
                advantages_B[members_B] -= minimum_variance_baseline(advantages_B[members_B], norms_B[members_B])
        sizes = [len(microbatch["advantages"]) for microbatch in microbatches]
        for microbatch, advantages in zip(microbatches, advantages_B.split(sizes), strict=True):
            microbatch["advantages"] = advantages

    def _square_norms(self, rollouts: dict[str, Any]) -> torch.Tensor:
        """‖Σ_t ρ_t·∇log π_t‖² of each rollout, with the token weights ρ_t of the loss before they are clipped."""
        mask_BT = rollouts["completion_mask"]
        with square_norms(self.model) as norms:
            # Row by row as TRL reads them: a prompt that is read once has no gradient of one rollout.
            log_p_BT, *_ = GRPOTrainer._get_per_token_logps_and_entropies(
                self,
                self.model,
                torch.cat([rollouts["prompt_ids"], rollouts["completion_ids"]], dim=1),
                torch.cat([rollouts["prompt_mask"], mask_BT], dim=1),
                mask_BT.shape[1],
            )
            ratios_BT = (log_p_BT - rollouts["old_per_token_logps"]).exp()
            trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
            torch.autograd.grad((ratios_BT * mask_BT).sum(), trained)
        return norms["rows"]

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any):
        log_probabilities = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        self._newest = log_probabilities[0].detach()
        return log_probabilities

    def _compute_loss(self, model, inputs):
        loss = super()._compute_loss(model, inputs)
        assert self._newest is not None  # the policy's log p of these rollouts: the loss has just asked for it
        sampled_BT = inputs.get("old_per_token_logps")
        stale_BT = self._newest * 0 if sampled_BT is None else self._newest - sampled_BT
        self.log_weights.append(self.accelerator.gather((stale_BT * inputs["completion_mask"]).sum(-1)))
        return loss


class EssScaling(TrainerCallback):
    """Before every update: its effective sample size as a `staleness` event. With `scales`, VCPO: a lower rate for stale
    updates, and the trainer's minimum-variance baseline."""

    def __init__(self, recorder: Recorder, seed: int, scales: bool) -> None:
        self.recorder, self.seed, self.scales = recorder, seed, scales
        self.trainer: StalenessTrainer | None = None
        self.fresh = 1.0
        self._rates: list[float] = []

    def on_train_begin(self, args, state, control, **_: Any) -> None:
        assert self.trainer is not None
        self.trainer.lowers_variance = self.scales

    def on_pre_optimizer_step(self, args, state, control, optimizer: Any = None, **_: Any) -> None:
        assert self.trainer is not None
        ess = effective_sample_size(torch.cat(self.trainer.log_weights))
        self.trainer.log_weights.clear()
        if state.global_step % args.num_iterations == 0:
            self.fresh = ess
        factor = rate_factor(ess, self.fresh) if self.scales else 1.0
        self._rates = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] *= factor
        if state.is_world_process_zero:
            where = {"seed": self.seed, "step": state.global_step + 1}
            self.recorder.event("staleness", **where, ess=round(ess, 6), rate_factor=round(factor, 6))

    def on_optimizer_step(self, args, state, control, optimizer: Any = None, **_: Any) -> None:
        for group, rate in zip(optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate

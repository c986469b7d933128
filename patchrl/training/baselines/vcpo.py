"""Rollouts used for several updates: how stale they are, and a learning rate that heeds it."""

from __future__ import annotations

from typing import Any

import torch
from transformers import TrainerCallback
from trl import GRPOTrainer

from patchrl.types import Recorder


def effective_sample_size(log_weights_B: torch.Tensor) -> float:
    """ESS = (Σw)²/(B·Σw²) of sequence weights, in [1/B, 1]; 1 where all weigh the same.

    `log_weights_B`: log πθ(rollout) − log π_sampled(rollout), summed over its tokens, unclipped
    (VCPO, arXiv 2602.17616).
    """
    weights_B = (log_weights_B.double() - log_weights_B.max()).exp()
    return float(weights_B.sum() ** 2 / (len(weights_B) * (weights_B**2).sum()))


def rate_factor(ess: float, fresh: float) -> float:
    """sqrt(ESS/ESS_on), at most 1: what the learning rate is multiplied by (VCPO, arXiv 2602.17616).

    `fresh` is ESS_on, the effective sample size of rollouts that the policy has just sampled.
    """
    return min(1.0, (ess / fresh) ** 0.5)


class StalenessTrainer(GRPOTrainer):
    """TRL's GRPOTrainer that keeps the log weight of every rollout of the update in progress."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.log_weights: list[torch.Tensor] = []
        self._newest: torch.Tensor | None = None

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
    """Before every update: its effective sample size as a `staleness` event and, where asked for, a lower rate."""

    def __init__(self, recorder: Recorder, seed: int, scales: bool) -> None:
        self.recorder, self.seed, self.scales = recorder, seed, scales
        self.trainer: StalenessTrainer | None = None
        self.fresh = 1.0
        self._rates: list[float] = []

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

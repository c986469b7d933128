"""SFT losses, each a function of the target's tokens. By name in LOSS_FUNCTIONS; a text names TRL's own loss."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from trl import SFTTrainer

from patchrl.models.backbone import Backbone

# (logits of shape (N, V), labels of shape (N,), the backbone's logits of shape (N, V)) -> loss per token, shape (N,)
TokenLoss = Callable[..., torch.Tensor]
Reference = Callable[[dict[str, Any]], torch.Tensor]  # a batch -> the frozen backbone's logits, shape (B, T, V)
EAFT_TOP = 20


def eaft(
    logits_NV: torch.Tensor, labels_N: torch.Tensor, reference_NV: torch.Tensor | None = None, top: int = EAFT_TOP
) -> torch.Tensor:
    """H̃_t · −log p_t: where the model is sure of something else, the token hardly counts.

    Entropy-Adaptive Fine-Tuning (arXiv 2601.02151): H̃_t is the entropy of the model's `top` likeliest tokens,
    renormalised, over ln(top), so between 0 and 1; no gradient flows through it.
    """
    count = min(top, logits_NV.shape[-1])
    with torch.no_grad():
        log_p_NK = logits_NV.topk(count, dim=-1).values.log_softmax(-1)
        weight_N = -(log_p_NK.exp() * log_p_NK).sum(-1) / math.log(count)
    return weight_N * F.cross_entropy(logits_NV, labels_N, reduction="none")


def kl(
    logits_NV: torch.Tensor, labels_N: torch.Tensor, reference_NV: torch.Tensor | None, beta: float = 0.1
) -> torch.Tensor:
    """−log p_t + β · KL(π0 ‖ πθ) of the whole vocabulary at each of the target's tokens.

    The classic penalty, in the direction of distillation: the model must keep what the backbone finds
    likely (Learning without Forgetting, arXiv 1606.09282, with the backbone as teacher).
    """
    assert reference_NV is not None
    log_p_NV, log_q_NV = logits_NV.log_softmax(-1), reference_NV.log_softmax(-1)
    divergence_N = (log_q_NV.exp() * (log_q_NV - log_p_NV)).sum(-1)
    return F.nll_loss(log_p_NV, labels_N, reduction="none") + beta * divergence_N


LOSS_FUNCTIONS: dict[str, str | TokenLoss] = {
    "nll": "nll",
    "dft": "dft",  # −sg(p)·log p, arXiv 2508.05629; TRL's
    "eaft": eaft,
    "kl": kl,
}
NEEDS_BACKBONE = {"kl"}


def loss_of(name: str, number: float | None) -> str | TokenLoss:
    """A loss with its number set, if it has one."""
    loss = LOSS_FUNCTIONS[name]
    return loss if isinstance(loss, str) or number is None else partial(loss, beta=number)


class ArmTrainer(SFTTrainer):
    """TRL's SFTTrainer under one of the losses above, or under TRL's own where `token_loss` is None."""

    token_loss: TokenLoss | None = None
    reference: Reference | None = None

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Mean over the target's tokens, as TRL's own."""
        if self.token_loss is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        batch = {key: inputs[key] for key in ("input_ids", "attention_mask") if key in inputs}
        labels_BT = inputs["labels"][:, 1:]
        asked_BT = labels_BT != -100
        outputs = model(**batch, use_cache=False)
        frozen = self.reference(batch)[:, :-1][asked_BT].float() if self.reference else None
        loss_N = self.token_loss(outputs.logits[:, :-1][asked_BT].float(), labels_BT[asked_BT], frozen)
        count = asked_BT.sum() if num_items_in_batch is None else torch.as_tensor(num_items_in_batch)
        loss = loss_N.sum() / count.clamp(min=1).to(loss_N.device)
        return (loss, outputs) if return_outputs else loss


def frozen_reference(backbone: Backbone) -> Reference:
    """The backbone as it is now: the model with its adapter off, or without one a second copy of it."""
    if hasattr(backbone.model, "disable_adapter"):

        def adapter_off(batch: dict[str, Any]) -> torch.Tensor:
            with backbone.frozen() as model:
                return model(**batch, use_cache=False).logits

        return adapter_off
    reference = copy.deepcopy(backbone.model).eval().requires_grad_(False)
    return lambda batch: reference(**batch, use_cache=False).logits

"""DYPO: how many of a question's answers are right decides what is learned from it (arXiv 2604.08926)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F

from patchrl.models.prompts import Row
from patchrl.training.losses import Reference, frozen_reference
from patchrl.training.onpolicy import OnPolicyContext, grpo_trainer
from patchrl.training.shared_prompts import SharedPromptTrainer

BETA, GAMMA = 1.0, 1.0
Route = Literal["solved", "mixed", "failed", "undecided"]
Expert = Callable[[str, str], Row]  # question, solution -> the row to learn from


def route(rewards: Sequence[float]) -> Route:
    """Where a group goes by its members' 1 (right) and 0 (wrong); NaN members, unscorable, have no say."""
    judged = [reward for reward in rewards if not math.isnan(reward)]
    if not judged:
        return "undecided"
    return "solved" if all(judged) else "mixed" if any(judged) else "failed"


def group_alignment_loss(right_S: torch.Tensor, wrong_F: torch.Tensor, beta: float = BETA) -> torch.Tensor:
    """GAL = −log σ(β·(right − wrong)), mean over every pair of a right and a wrong answer; a scalar.

    Each value is log πθ(y|x) − log π_ref(y|x), summed over the answer's tokens.
    """
    return -F.logsigmoid(beta * (right_S[:, None] - wrong_F[None, :])).mean()


class DypoTrainer(SharedPromptTrainer):
    """The GRPO trainer with DYPO's loss, the mean over the groups of a step of

    - nothing for a group whose answers are all right,
    - γ · the mean NLL of the expert's tokens for one whose answers are all wrong,
    - α · GRPO + (1 − α) · GAL for a mixed one.

    GRPO's advantages are 0 in groups of one kind, so TRL's own loss is the α part already. The several expert
    traces of the paper ("multi-teacher") are here the one that the data has.
    """

    def prepare(self, *, alpha: float, reference: Reference, expert: Expert, max_length: int) -> None:
        """`reference` gives the frozen backbone's logits of a batch, `expert` the row of an expert's answer, which is cut to
        `max_length` tokens."""
        self.alpha, self.reference, self.expert, self.max_length = alpha, reference, expert, max_length

    def _calculate_rewards(self, inputs, prompts, completions, completion_ids_list):
        rewards_per_func = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        self._rewards = rewards_per_func[:, 0]
        return rewards_per_func

    def _generate_and_score_completions(self, inputs):
        """The whole step is one batch of groups, one after the other."""
        batch = super()._generate_and_score_completions(inputs)
        rows = [self.expert(row["question"], row["solution"]) for row in inputs[:: self.num_generations]]
        self._experts = [row.training(self.max_length) for row in rows]
        return batch

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any):
        log_probabilities = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        self._log_p_BT = log_probabilities[0]
        return log_probabilities

    def _compute_loss(self, model, inputs):
        loss = self.alpha * super()._compute_loss(model, inputs)
        groups = self._rewards.view(-1, self.num_generations)
        routes = [route(group) for group in groups.tolist()]
        mixed = [g for g, way in enumerate(routes) if way == "mixed"]
        failed = [g for g, way in enumerate(routes) if way == "failed"]
        if mixed:
            rows = torch.arange(len(groups) * self.num_generations).view(-1, self.num_generations)[mixed].flatten()
            log_ratio_GK = self._log_ratio(inputs, rows).view(len(mixed), self.num_generations)
            for log_ratio_K, rewards_K in zip(log_ratio_GK, groups[mixed], strict=True):
                gal = group_alignment_loss(log_ratio_K[rewards_K == 1], log_ratio_K[rewards_K == 0])
                loss = loss + (1 - self.alpha) * gal / len(routes)
        if failed:
            loss = loss + GAMMA * self._expert_nll(model, [self._experts[g] for g in failed]) / len(routes)
        return loss

    def _log_ratio(self, inputs, rows: torch.Tensor) -> torch.Tensor:
        """log πθ − log π_ref of some completions, summed over their tokens, shape (B,)."""
        mask_BT, ids_BT = inputs["completion_mask"][rows], inputs["completion_ids"][rows]
        batch = {
            "input_ids": torch.cat([inputs["prompt_ids"][rows], ids_BT], dim=1),
            "attention_mask": torch.cat([inputs["prompt_mask"][rows], mask_BT], dim=1),
        }
        with torch.no_grad():
            logits_BTV = self.reference(batch)[:, -ids_BT.shape[1] - 1 : -1].float() / self.temperature
            frozen_BT = logits_BTV.log_softmax(-1).gather(-1, ids_BT[..., None])[..., 0]
        return ((self._log_p_BT[rows] - frozen_BT) * mask_BT).sum(-1)

    def _expert_nll(self, model, rows: list[dict[str, list[int]]]) -> torch.Tensor:
        """Mean NLL of each row's target tokens, summed over rows."""
        device, pad = self.accelerator.device, self.processing_class.pad_token_id

        def padded(key: str, fill: int) -> torch.Tensor:
            tensors = [torch.tensor(row[key]) for row in rows]
            return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=fill).to(device)

        ids_BT, labels_BT = padded("input_ids", pad), padded("labels", -100)
        lengths_B = torch.tensor([len(row["input_ids"]) for row in rows], device=device)
        mask_BT = (torch.arange(ids_BT.shape[1], device=device) < lengths_B[:, None]).long()
        logits_BTV = model(input_ids=ids_BT, attention_mask=mask_BT, use_cache=False).logits
        nll_BT = F.cross_entropy(logits_BTV[:, :-1].float().transpose(1, 2), labels_BT[:, 1:], reduction="none")
        return (nll_BT.sum(-1) / (labels_BT[:, 1:] != -100).sum(-1).clamp(min=1)).sum()


def dypo(on_policy: OnPolicyContext, steps: int, number: float | None) -> None:
    """Each question is routed by how many of its K answers are right (DYPO, arXiv 2604.08926); see `DypoTrainer`.

    `number` is α; β and γ are the paper's 1.
    """
    assert number is not None
    reference = frozen_reference(on_policy.backbone)
    trainer = grpo_trainer(DypoTrainer, on_policy, steps)
    trainer.prepare(
        alpha=number,
        reference=reference,
        expert=on_policy.backbone.row,
        max_length=on_policy.config.finetune.max_length,
    )
    on_policy.train(trainer)

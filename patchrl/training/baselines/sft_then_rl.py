"""SFT, then GRPO on the task (arXiv 2604.23747)."""

from __future__ import annotations

from patchrl.runs.checkpoints import SFT
from patchrl.training.onpolicy import OnPolicyContext, grpo
from patchrl.training.supervised import supervised


def sft_then_rl(on_policy: OnPolicyContext, steps: int, number: float | None) -> None:
    """SFT on the targets for the share `number` of the steps, `grpo` for the rest (arXiv 2604.23747).

    The paper trains three epochs, then 50 steps or more; here both halves share the steps of every other arm.
    """
    assert number is not None
    first = min(max(1, round(steps * number)), steps)
    pairs = [(e.question, e.solution) for e in on_policy.examples]
    section = on_policy.config.finetune
    supervised(
        section,
        on_policy.backbone,
        pairs,
        first,
        on_policy.seed,
        on_policy.folder / SFT,
        on_policy.callback,
        rate=on_policy.rate,
        at_end=True,
    )
    if steps > first and not on_policy.callback.stopped:
        grpo(on_policy, steps - first)

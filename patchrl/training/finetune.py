"""Fine-tune the backbone as one arm says: on its targets or on-policy, under its tunings; all else alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from transformers.trainer_utils import set_seed

from patchrl.config.arms import Arm
from patchrl.errors import DataError, StopRequested
from patchrl.runs.checkpoints import TRAINER
from patchrl.runs.context import StageContext
from patchrl.training.baselines.dypo import dypo
from patchrl.training.baselines.sdft import sdft
from patchrl.training.baselines.sft_then_rl import sft_then_rl
from patchrl.training.callbacks import FinetuneCallback
from patchrl.training.onpolicy import OnPolicyContext, grpo
from patchrl.training.supervised import Pair, Resample, supervised
from patchrl.training.tuning import tunings_of
from patchrl.types import Cost, Example

# By the names of `patchrl.config.arms.ON_POLICY`.
ON_POLICY_METHODS: dict[str, Callable[[OnPolicyContext, int, float | None], None]] = {
    "grpo": grpo,
    "sft-then-rl": sft_then_rl,
    "dypo": dypo,
    "sdft": sdft,
}


@dataclass(frozen=True)
class FinetuneInputs:
    """What one arm is fine-tuned on.

    Args:
        arm: Which loss and which tunings.
        examples: The solution of each is the arm's target.
        steps: Updates; equal for every arm of a study, also where examples were dropped or replayed rows added.
        rate: The study's learning rate, before the arm's tunings change it.
        seed: Of data order and sampling.
        home: The arm's folder, for what the trainer writes.
        replay: General questions with the backbone's own answers.
        resample: Gives the pairs of every epoch after the first.
        divergence: Measures how far the model has moved so far.
        sampled: What is sampled on the way, also by `resample`, is added to it.
    """

    arm: Arm
    examples: Sequence[Example]
    steps: int
    rate: float
    seed: int
    home: Path
    replay: Sequence[Pair] = ()
    resample: Resample | None = None
    divergence: Callable[[], float] | None = None
    sampled: Cost = field(default_factory=Cost)


def finetune(context: StageContext, inputs: FinetuneInputs) -> Cost:
    """Fine-tune the context's backbone in place, and return what was sampled on the way.

    Weights are trained in float32 and kept in the number format they were loaded in. On-policy arms tell right answers from
    wrong ones by the context's gate. Goes on from the newest checkpoint in the arm's folder. Raises DataError on an empty set
    and StopRequested when asked to stop.
    """
    config, backbone, recorder = context.config, context.backbone, context.recorder
    arm, examples, rate, steps, seed = inputs.arm, inputs.examples, inputs.rate, inputs.steps, inputs.seed
    if not examples:
        raise DataError(
            f"Arm {arm.name}: no example is left to fine-tune on, as nothing of {arm.data} passed the gate and its failures are "
            "dropped; leave the arm out."
        )
    set_seed(seed)
    if "lora" not in arm.tunings:  # an adapter has its own weights, in float32
        backbone.model.float()  # an update is often less than bfloat16 tells apart, and would be rounded away
    pairs = [(e.question, e.solution) for e in examples]
    tunings = tunings_of(arm)
    for tuning in tunings:
        rate, pairs = tuning.rate(rate), tuning.rows(pairs, inputs.replay)
        backbone.model = tuning.before(backbone.model)
    where = {"seed": seed, "arm": arm.name} | ({"rate": inputs.rate} if config.finetune.sweeps else {})
    sampled, trainer_folder = inputs.sampled, inputs.home / TRAINER
    callback = FinetuneCallback(recorder, where, steps, divergence=inputs.divergence, sampled=sampled)
    if arm.on_policy:
        on_policy = OnPolicyContext(
            config, backbone, context.gate, examples, rate, seed, trainer_folder, callback, sampled
        )
        ON_POLICY_METHODS[arm.loss](on_policy, steps, arm.loss_number)
    else:
        supervised(
            config.finetune,
            backbone,
            pairs,
            steps,
            seed,
            trainer_folder,
            callback,
            rate=rate,
            loss=arm.loss,
            number=arm.loss_number,
            resample=inputs.resample,
        )
    if not callback.stopped and callback.diverged:
        text = f"Fine-tuning, {callback.whose}: {callback.diverged}. Lower its learning rate."
        recorder.event("message", level="warning", text=text)
    if callback.stopped:
        raise StopRequested(f"Stopped while fine-tuning {arm.name}; resume continues there.")
    for tuning in reversed(tunings):
        backbone.model = tuning.after(backbone.model)
    backbone.model.to(backbone.dtype).eval()
    return sampled

"""Requests to the playground: typed texts and settings, checked before anything is started. No torch."""

from __future__ import annotations

import random
import typing
from dataclasses import asdict, dataclass
from typing import Any

from patchrl.config import StudyConfig, resolve
from patchrl.config.arms import display_name
from patchrl.errors import ConfigError
from patchrl.grading.calibration import Thresholds
from patchrl.grading.references import extract_reference
from patchrl.recordings import is_recording
from patchrl.runs.checkpoints import newest_rewriter
from patchrl.runs.folder import RunFolder
from patchrl.text import compact
from patchrl.types import ChatModel, Example, Task, Writer

WEIGHTS = "weights"  # in the folder of a fine-tuned arm
LAB_EXAMPLES = 64
LAB_SEED = 1  # other word problems than the study's training set


@dataclass(frozen=True)
class Caps:
    """The most a playground takes: characters of each text, rewrites in a group, tokens of one rewrite."""

    question: int = 4_000
    solution: int = 16_000
    instruction: int = 500
    reference: int = 500
    group: int = 32
    new_tokens: int = 1_024


def typed_example(
    question: str, solution: str, reference: str = "", task: str = "math", caps: Caps | None = None
) -> Example:
    """What a person typed, as an example; an empty reference is read out of the solution.

    Raises ConfigError naming the field that is empty, too long or no task type.
    """
    caps = caps or Caps()
    question = typed_text("Question", question, caps.question)
    solution = typed_text("Solution", solution, caps.solution)
    reference = typed_text("Reference answer", reference, caps.reference, required=False)
    if task not in typing.get_args(Task):
        raise ConfigError(f"Task: {task!r} is none; use {', '.join(typing.get_args(Task))}.")
    answer = reference or extract_reference(task, solution)
    return Example("typed", question, solution, answer or None, typing.cast(Task, task))


def typed_text(name: str, text: str, limit: int, *, required: bool = True) -> str:
    """A text that a person typed, without the space around it; raises ConfigError where it is empty or too long."""
    text = text.strip()
    if required and not text:
        raise ConfigError(f"{name}: it is empty; type one or take an example.")
    if len(text) > limit:
        raise ConfigError(f"{name}: {len(text):,} characters; at most {limit:,} are taken.")
    return text


def play_settings(
    config: StudyConfig,
    *,
    task: str | None = None,
    group_size: int | None = None,
    temperature: float | None = None,
    instruction: str | None = None,
    max_new_tokens: int | None = None,
    caps: Caps | None = None,
) -> StudyConfig:
    """A study's settings as the playground uses them; what is None stays the study's own.

    Raises ConfigError naming the setting that is out of bounds.
    """
    caps = caps or Caps()
    changes: dict[str, Any] = {
        "group_size": group_size,
        "temperature": temperature,
        "instruction": instruction,
        "max_new_tokens": max_new_tokens,
    }
    values = config.model_dump(mode="json")
    values["rewriter"] |= {key: value for key, value in changes.items() if value is not None}
    values["rewriter"]["microbatch_size"] = None  # of training, and it need not divide this group
    values["data"]["task"] = task or config.data.task or "math"
    rewriter = values["rewriter"]
    for name, value, limit in (
        ("rewriter.group_size", rewriter["group_size"], caps.group),
        ("rewriter.max_new_tokens", rewriter["max_new_tokens"], caps.new_tokens),
        ("rewriter.instruction (characters)", len(rewriter["instruction"]), caps.instruction),
    ):
        if value > limit:
            raise ConfigError(f"{name}: the playground takes at most {limit:,} (found {value:,}).")
    return resolve(values)


def writers_of(folder: RunFolder, config: StudyConfig) -> list[Writer]:
    """The writers of a run: the prompted backbone, and the newest rewriter of every seed that has one."""
    writers = [prompted()]
    for seed in config.study.seeds:
        newest = newest_rewriter(folder, seed)
        if newest is not None:
            adapter, step = newest
            steps = config.rewriter.steps
            label = f"Rewriter of seed {seed}, " + (f"{steps} steps" if step is None else f"step {step} of {steps}")
            writers.append(Writer(f"seed-{seed}", label, str(adapter.resolve())))
    return writers


def chat_models(folder: RunFolder, config: StudyConfig) -> list[ChatModel]:
    """The models of a run that can be asked: the backbone, and every fine-tuned one whose weights it kept."""
    models = [ChatModel("backbone", display_name("base"))]
    if not config.finetune.keep_weights:  # those in its folder are deleted when they are evaluated
        return models
    seeds, rates = config.study.seeds, config.finetune.learning_rate
    for arm in config.study.arms:
        for seed in seeds:
            for rate in rates:
                home = folder.arm(arm, seed, rate if config.finetune.sweeps else None)
                if (home / "finetuned.json").is_file() and (home / WEIGHTS).is_dir():
                    name = display_name(arm) + (f", seed {seed}" if len(seeds) > 1 else "")
                    name += f", rate {compact(rate)}" if config.finetune.sweeps else ""
                    key = f"{arm}/{seed}/{compact(rate)}"
                    models.append(ChatModel(key, name, arm, str((home / WEIGHTS).resolve())))
    return models


def chat_problem(folder: RunFolder, config: StudyConfig) -> str:
    """Why no fine-tuned model of a run can be asked, in one sentence; empty where one can."""
    if is_recording(folder.path):
        return "A recording ships without fine-tuned weights; run the study yourself to ask its fine-tuned models."
    if not config.finetune.keep_weights:
        return "This run did not keep its fine-tuned weights; start a study with finetune.keep_weights = true to ask its models."
    if len(chat_models(folder, config)) == 1:
        return "The fine-tuned models can be asked here as soon as the first of them is there."
    return ""


def prompted() -> Writer:
    """The backbone itself, asked to rewrite."""
    return Writer("backbone", f"{display_name('base')}, prompted")


def calibrated(folder: RunFolder) -> dict[str, Any]:
    """The gate's thresholds of a run as plain data, once its scan measured them."""
    return asdict(Thresholds.of(folder.read_json(folder.scan) or {}))


def lab_example(number: int | None = None) -> Example:
    """One of a few word problems of the nano lab that no study trains on; any of them without a number."""
    from patchrl.nano import world

    examples = world.downstream_examples("foreign", LAB_EXAMPLES, seed=LAB_SEED)
    return examples[random.randrange(LAB_EXAMPLES) if number is None else number % LAB_EXAMPLES]

"""What a study measures, and the general questions it replays: never an evaluation item."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from patchrl.config import StudyConfig
from patchrl.config.eval_tasks import expand, harness_names, names_a_file
from patchrl.data.examples import LoadedData, load_eval_items, load_questions
from patchrl.errors import RunError
from patchrl.everyday import skills as everyday
from patchrl.nano import world
from patchrl.types import EvalItem

VALIDATION_EVERY = 3  # in a sweep each third held-out example chooses the learning rate and is not reported


@dataclass(frozen=True)
class StudyItems:
    """The evaluation items of a study over its loaded data."""

    config: StudyConfig
    data: LoadedData

    @cached_property
    def target(self) -> list[EvalItem]:
        """Items of `evaluate.target` that the gate judges."""
        return self._named(self.config.evaluate.target)

    @cached_property
    def general(self) -> list[EvalItem]:
        """Items of `evaluate.general` that the gate judges."""
        return self._named(self.config.evaluate.general)

    def _named(self, names: tuple[str, ...]) -> list[EvalItem]:
        items: list[EvalItem] = []
        for name in expand(names):
            if name == "held-out":
                items += self.data.eval
            elif name == "nano":
                items += world.general_eval(self.config.evaluate.general_size)
            elif name == "everyday":
                items += everyday.eval_items(self.config.evaluate.general_size)
            elif names_a_file(name):
                items += load_eval_items(name).rows
        return items

    @cached_property
    def judged(self) -> list[tuple[str, EvalItem]]:
        """What the gate judges, with its kind: validation, target or general.

        In a sweep a third of the held-out examples, or all of them where they are not a target, only choose the learning
        rate.
        """
        held_out = self.data.eval
        every = VALIDATION_EVERY if "held-out" in self.config.evaluate.target else 1
        chooses = {item.id for item in held_out[::every]} if self.config.finetune.sweeps else set()
        validation = [("validation", item) for item in held_out if item.id in chooses]
        target = [("target", item) for item in self.target if item.id not in chooses]
        return validation + target + [("general", item) for item in self.general]

    @cached_property
    def benchmarks(self) -> list[tuple[str, Any]]:
        """The harness tasks to measure, with their kind; the harness is loaded only for them."""
        section = self.config.evaluate
        if not harness_names((*section.target, *section.general)):
            return []
        from patchrl.evaluation.harness.benchmark import load_benchmarks

        return load_benchmarks(section)

    def replay_questions(self, count: int, seed: int) -> list[str]:
        """`count` general questions, none of them an evaluation item; a short list is asked several times over."""
        name = self.config.finetune.replay_data
        if name == "nano":
            return world.replay_questions(count, seed)
        measured = {item.question for item in (*self.data.eval, *self.target, *self.general)}
        questions = [question for question in load_questions(name).rows if question not in measured]
        if not questions:
            raise RunError("finetune.replay_data: every question in it is an evaluation item; name other questions.")
        return [questions[i % len(questions)] for i in range(count)]

"""Harness tasks by the name they were asked for: loaded, checked, and cut to the items that are measured."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lm_eval.api.task import Task
from lm_eval.tasks import TaskManager

from patchrl.config import EvaluateSection
from patchrl.config.eval_tasks import harness_names
from patchrl.errors import ConfigError, DataError, first_line
from patchrl.evaluation.harness.index import manager_for
from patchrl.evaluation.harness.names import task_folders
from patchrl.grading.fingerprint import grading_fingerprint
from patchrl.models.hub_access import hub_access

OWN_SCORE = "passed"  # judged by patchrl.grading
# Of a task's scores per item, the one that is reported: what its leaderboards report, else its first.
METRIC_ORDER = (OWN_SCORE, "acc_norm", "exact_match", "acc", "prompt_level_strict_acc")
FEWSHOT_SEED = 1234  # the harness's own


@dataclass(frozen=True)
class Subtask:
    """One task of a benchmark: its `score` is a metric of one item; `items` are the numbers of the documents asked."""

    task: Task
    score: str
    items: list[int]

    @property
    def name(self) -> str:
        return self.task.task_name

    def settings(self) -> dict[str, Any]:
        """What decides its scores beside the weights: version, configuration (functions by source), documents, judge."""
        config = self.task.dump_config()
        config.get("metadata", {}).pop("config_source", None)
        docs = self.task.eval_docs
        content = json.dumps([docs[i] for i in self.items], sort_keys=True, default=str)
        judge = grading_fingerprint() if self.score == OWN_SCORE else ""
        return {
            "version": str(self.task.VERSION),
            "config": json.loads(json.dumps(config, sort_keys=True, default=_source)),
            "documents": hashlib.sha256(content.encode()).hexdigest(),
            "judge": judge,
        }


@dataclass(frozen=True)
class Benchmark:
    """A harness task, group or tag: its subtasks, whose items are pooled into one reported task."""

    name: str
    subtasks: list[Subtask]


def load_benchmarks(section: EvaluateSection) -> list[tuple[str, Benchmark]]:
    """Every harness task that `evaluate.target` and `evaluate.general` name, with its kind; data sets are fetched.

    Raises ConfigError for a task that cannot be measured item by item, DataError for one that does not load.
    """
    requested = [(kind, name) for kind in ("target", "general") for name in harness_names(getattr(section, kind))]
    if not requested:
        return []
    manager = manager_for([name for _, name in requested], task_folders(section.tasks_folder))
    benchmarks = [(kind, _load(kind, name, manager, section.limit)) for kind, name in requested]
    names = {
        kind: {subtask.name for of, b in benchmarks if of == kind for subtask in b.subtasks}
        for kind in ("target", "general")
    }
    if overlap := sorted(names["target"] & names["general"]):
        raise ConfigError(f"evaluate.general: {overlap[0]} is part of evaluate.target too; name tasks without it.")
    return benchmarks


def _load(kind: str, name: str, manager: TaskManager, limit: int) -> Benchmark:
    try:
        with hub_access():
            tasks = manager.load([name])["tasks"]
    except Exception as error:  # task files run code of their own, and fetch data sets
        raise DataError(f"evaluate.{kind}: harness task {name!r} could not be loaded: {first_line(error)}") from error
    if not tasks:
        raise ConfigError(f"evaluate.{kind}: {name!r} has no task in it; name another.")
    share = -(-limit // len(tasks))  # of each subtask; 0 means all
    return Benchmark(name, [_subtask(f"evaluate.{kind}: {name!r}", task, share) for task in tasks.values()])


def _subtask(where: str, task: Task, limit: int) -> Subtask:
    if getattr(task, "UNSAFE_CODE", False):
        raise ConfigError(f"{where} runs code that the model wrote, which PatchRL does not do; leave it out.")
    if getattr(task, "MULTIMODAL", False):
        raise ConfigError(f"{where} needs pictures or sound, which the backbone cannot read; leave it out.")
    if task.get_config("num_fewshot") is None:
        task.set_config(key="num_fewshot", value=0)
    return Subtask(
        task, score_of(where, task.aggregation(), task.higher_is_better()), spread(len(task.eval_docs), limit)
    )


def score_of(where: str, aggregation: Mapping[str, Any], higher_is_better: Mapping[str, bool]) -> str:
    """The metric that is a score of each item: a plain mean over items, the higher the better.

    Raises ConfigError where there is none, as for perplexity: nothing could be paired item by item.
    """
    means = [m for m, f in aggregation.items() if f.__name__ in ("mean", "nanmean") and higher_is_better.get(m)]
    if not means:
        raise ConfigError(
            f"{where} has no score per item, only {', '.join(aggregation)}; name a task that is scored by accuracy."
        )
    return next((metric for metric in METRIC_ORDER if metric in means), means[0])


def spread(size: int, limit: int) -> list[int]:
    """`limit` numbers of 0 … size − 1, evenly spaced: data sets are often sorted. All of them with limit 0."""
    count = min(limit or size, size)
    return [i * size // count for i in range(count)]


def _source(value: Any) -> str:
    """A function by its source, so that neither its address nor its folder is part of a setting."""
    if not callable(value):
        return str(value)
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        return f"{value.__module__}.{value.__qualname__}"


def chosen(subtasks: Iterable[Subtask]) -> dict[str, list[int]]:
    """The documents of each subtask that is not asked as a whole, as the harness takes them."""
    return {subtask.name: subtask.items for subtask in subtasks if len(subtask.items) < len(subtask.task.eval_docs)}

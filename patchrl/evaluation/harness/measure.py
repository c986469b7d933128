"""Ask a backbone a benchmark's items through lm-evaluation-harness, and keep what came of each item."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import Any

from lm_eval.evaluator import evaluate

from patchrl.errors import ConfigError
from patchrl.evaluation.harness.benchmark import FEWSHOT_SEED, Benchmark, Subtask, chosen
from patchrl.evaluation.harness.model import HarnessModel
from patchrl.models.backbone import Backbone
from patchrl.runs.evaluations import Evaluations, Key
from patchrl.types import Recorder

PredictionRow = dict[str, Any]
LENIENT_FILTER = "flexible-extract"  # a lost answer format is not lost knowledge
NO_ANSWER = ("", "[invalid]")  # what the harness's filters leave of a text in which they find no answer


def measure(
    benchmark: Benchmark,
    backbone: Backbone,
    weights: str,
    max_new_tokens: int,
    evaluations: Evaluations,
    recorder: Recorder,
) -> list[PredictionRow]:
    """A prediction row for each item, without its `task`; subtasks that these weights have answered before are read from the cache.

    `passed` is a truth value, or a fraction for tasks with partial credit, None where it cannot be decided.
    """
    keys = {subtask.name: _key(subtask, weights, max_new_tokens) for subtask in benchmark.subtasks}
    rows_of = {name: evaluations.get(key) for name, key in keys.items()}
    missing = [subtask for subtask in benchmark.subtasks if rows_of[subtask.name] is None]
    if missing:
        recorder.event("phase", name=benchmark.name)
        model = HarnessModel(backbone, max_new_tokens, recorder.progress)
        for name, rows in _ask(missing, model).items():
            evaluations.put(keys[name], rows)
            rows_of[name] = rows
        if model.shortened:
            recorder.event(
                "message",
                level="warning",
                text=f"{benchmark.name}: {len(model.shortened)} prompts did not fit the context and lost their beginning.",
            )
    return [row for subtask in benchmark.subtasks for row in rows_of[subtask.name] or []]


def _key(subtask: Subtask, weights: str, max_new_tokens: int) -> Key:
    harness = {"lm-eval": version("lm-eval"), "score": subtask.score, "max_new_tokens": max_new_tokens}
    return {"weights": weights, "task": subtask.name, **harness, **subtask.settings()}


def _ask(subtasks: list[Subtask], model: HarnessModel) -> dict[str, list[PredictionRow]]:
    for subtask in subtasks:
        subtask.task.set_fewshot_seed(FEWSHOT_SEED)
    results = evaluate(
        model,
        {"tasks": {subtask.name: subtask.task for subtask in subtasks}},
        samples=chosen(subtasks),
        bootstrap_iters=0,
        apply_chat_template=bool(model.tokenizer.chat_template),
        fewshot_as_multiturn=True,
    )
    return {subtask.name: _rows(subtask, results["samples"][subtask.name], model) for subtask in subtasks}


def _rows(subtask: Subtask, samples: list[dict[str, Any]], model: HarnessModel) -> list[PredictionRow]:
    filters = [sample["filter"] for sample in samples]
    filter_name = LENIENT_FILTER if LENIENT_FILTER in filters else filters[0]
    return [_row(subtask, sample, model) for sample in samples if sample["filter"] == filter_name]


def _row(subtask: Subtask, sample: dict[str, Any], model: HarnessModel) -> PredictionRow:
    prompt, generated = sample["arguments"][0][0], subtask.task.OUTPUT_TYPE == "generate_until"
    question = subtask.task.doc_to_text(sample["doc"])
    answer, reference = _texts(sample, generated)
    passed = _passed(subtask, sample.get(subtask.score))
    nothing = bool(sample["no_answer"]) if "no_answer" in sample else generated and _found_nothing(sample)
    return {
        "id": f"{subtask.name}-{sample['doc_id']}",
        "question": question if isinstance(question, str) else prompt,
        "reference": reference,
        "answer": answer,
        "passed": passed,
        "no_answer": not passed and (nothing or prompt in model.clipped),
    }


def _texts(sample: dict[str, Any], generated: bool) -> tuple[str, str]:
    """The answer and the reference as text; of choices, the likeliest is the answer."""
    target = sample["target"]
    if generated:
        return sample["resps"][0][0], str(target)
    choices = [arguments[1].strip() for arguments in sample["arguments"]]
    likelihoods = [response[0][0] for response in sample["resps"]]
    has_choice = isinstance(target, int) and 0 <= target < len(choices)
    return choices[likelihoods.index(max(likelihoods))], choices[target] if has_choice else str(target)


def _found_nothing(sample: dict[str, Any]) -> bool:
    extracted = sample["filtered_resps"][0]
    return isinstance(extracted, str) and extracted.strip() in NO_ANSWER


def _passed(subtask: Subtask, value: Any) -> bool | float | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not 0 <= float(value) <= 1:
        raise ConfigError(
            f"evaluate: harness task {subtask.name!r} scored an item {value}, not between 0 and 1; drop it."
        )
    return bool(value) if float(value) in (0.0, 1.0) else float(value)

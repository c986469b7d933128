"""What a study would do, and what in it cannot work, before anything heavy loads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from patchrl.config import StudyConfig
from patchrl.config.arms import parse, rewriters_of
from patchrl.config.eval_tasks import BUILT_IN, expand, names_a_file
from patchrl.data.examples import LoadedData, load_eval_items, load_examples, load_questions
from patchrl.errors import BackboneError, PatchRLError
from patchrl.evaluation.harness.names import name_problems
from patchrl.everyday import skills as everyday
from patchrl.grading.coverage import claim_kinds
from patchrl.grading.derivation import reasoning_kinds
from patchrl.models.model_cache import cached_folder, gguf_problem, model_folder, name_problem, origin_of
from patchrl.models.token_preview import context_of, known_here, tokenizer_on_disk
from patchrl.pipeline.defaults import MIN_SWEEP_ITEMS
from patchrl.pipeline.estimate import PACES, sized, study_minutes
from patchrl.pipeline.machine import machine_problems, weight_count
from patchrl.pipeline.memory import estimated_ram, largest_request, longest_tokens
from patchrl.pipeline.plan import plan
from patchrl.pipeline.serving import engine_report
from patchrl.types import Example

MAX_LENGTH_ROWS = 2_000  # tokenised for the check of lengths
MAX_REASONING_ROWS = 1_000  # read for the check of reasoning
NANO_MB = 8.0
# Float32 copies of the weights on disk while an arm is fine-tuned: weights and two moments, in two checkpoints and a third
# that is being written.
CHECKPOINT_COPIES = 9
LONG_ANSWER = 6  # words, of half of the answers or more
TOKENIZERS = ("tokenizer*", "vocab*", "*.model", "*.spm", "*.tiktoken")  # their files, by one pattern or another


def preflight(config: StudyConfig) -> dict[str, Any]:
    """Rows, columns, first example with its tokens, minutes, disk, RAM, `problems` and `warnings` (one sentence each).

    `ok` without problems; minutes, disk and RAM are None where nothing is known about the backbone.
    """
    problems, warnings = backbone_problems(config.backbone.model, config.backbone.revision), download_warnings(config)
    sized_config, prompt_tokens, row_tokens = config, 0, 0
    report: dict[str, Any] = {
        "rows": None,
        "kept": 0,
        "dropped": {},
        "columns": {},
        "unused_columns": [],
        "notes": [],
        "task": None,
        "first": None,
        "row": None,
        "largest_request": None,
        "origin": origin_of(config.backbone.model, config.backbone.revision),
    }
    try:
        data = load_examples(config.data)
    except PatchRLError as error:
        problems.append(str(error))
    else:
        first = data.train[0]
        report |= {
            "rows": {"train": len(data.train), "eval": len(data.eval)},
            "kept": data.kept,
            "dropped": data.dropped,
            "columns": data.columns,
            "unused_columns": list(data.unused_columns),
            "notes": list(data.notes),
            "task": data.task,
            "first": {"question": first.question, "solution": first.solution, "reference": first.reference},
        }
        try:
            report["row"] = first_row(config, first)
            prompt_tokens, row_tokens = longest_tokens(config, data.train)
            report["largest_request"] = largest_request(config, prompt_tokens)
            too_long, long = length_notes(config, data.train)
            problems += too_long
            warnings += long
        except BackboneError as error:
            problems.append(str(error))
        sized_config = sized(config, len(data.train), len(data.eval))
        problems += size_problems(config, len(data.train), len(data.eval))
        warnings += answer_warnings(data)
        warnings += reasoning_warnings(config, data.train)
        warnings += short_warnings(config, len(data.train), len(data.eval))
    replay_failures, notes = replay_problems(config)
    problems += replay_failures
    problems += name_problems(config)
    items = {}
    for kind in ("target", "general"):
        try:
            counts = [item_count(config, name) for name in expand(getattr(config.evaluate, kind))]
        except PatchRLError as error:
            problems.append(f"evaluate.{kind}: {error}")
            continue
        items[kind] = sum(count for count, _ in counts)
        notes += [f"evaluate.{kind}: {note}" for _, file_notes in counts for note in file_notes]
    request_tokens = prompt_tokens and prompt_tokens + config.rewriter.max_new_tokens
    engine_problems, engine_notes = engine_report(config, list(plan(config)), request_tokens)
    problems += engine_problems
    report["notes"] += notes + engine_notes
    problems += machine_problems(config, estimated_megabytes(config))
    return report | {
        "ok": not problems,
        "problems": problems,
        "warnings": warnings,
        "general_items": items.get("general", 0),
        "minutes": study_minutes(sized_config) if config.backbone.model in PACES else None,
        "disk_mb": estimated_megabytes(config),
        "ram_mb": estimated_ram(sized_config, prompt_tokens, row_tokens),
    }


def first_row(config: StudyConfig, example: Example) -> dict[str, Any] | None:
    """The row of an example as every stage reads it: token ids and their spellings; None for a backbone that is not here.

    Raises BackboneError for a chat template that cannot write it.
    """
    backbone = config.backbone
    tokenizer = tokenizer_on_disk(backbone.model, backbone.revision, backbone.thoughts)
    if tokenizer is None:
        return None
    row = tokenizer.format.row(example.question, example.solution)
    ids = {"prompt": row.prompt, "completion": row.completion, "end": row.end, "trained": row.trained}
    return {
        **{part: list(tokens) for part, tokens in ids.items()},
        "labels_from": row.labels_from,
        "texts": {part: tokenizer.texts(tokens) for part, tokens in ids.items()},
    }


def item_count(config: StudyConfig, name: str) -> tuple[int, list[str]]:
    """Items of one evaluation task, as far as they are known before it loads, and notes on what of its file is not used.

    Raises DataError for a file that cannot be read.
    """
    if name == "everyday":
        return len(everyday.eval_items(config.evaluate.general_size)), []
    if name in BUILT_IN:
        return config.evaluate.general_size if name == "nano" else config.data.eval_size, []
    if not names_a_file(name):
        return config.evaluate.limit, []
    loaded = load_eval_items(name)
    return len(loaded.rows), [f"{Path(name).name}: {note}" for note in loaded.notes]


def backbone_problems(model: str, revision: str | None = None) -> list[str]:
    """Why a backbone cannot be loaded, as far as its name and folder tell."""
    if model == "nano":
        return []
    if problem := name_problem(model):
        return [problem]
    if (kept := cached_folder(model, revision)) is not None and not kept.is_dir():
        return [problem] if (problem := gguf_problem(model)) else []
    path = model_folder(model, revision)
    if path is not None:
        if not (path / "config.json").is_file():
            return [f"backbone.model: {model} has no config.json; give the folder of a saved Transformers model."]
        try:
            json.loads((path / "config.json").read_text(encoding="utf-8"))
        except (ValueError, OSError):
            return [f"backbone.model: {model}/config.json cannot be read as JSON; save or fetch the model again."]
        if not any(path.glob("*.safetensors")):
            return [f"backbone.model: {model} has no .safetensors weights; save the model again with safetensors."]
        if weight_count(model, revision) is None:
            return [
                f"backbone.model: the .safetensors weights in {model} are damaged or not fetched; fetch them again."
            ]
        if not any(next(path.glob(pattern), None) for pattern in TOKENIZERS):
            return [f"backbone.model: {model} has no tokenizer; save it there too, such as its tokenizer.json."]
    return []


def download_warnings(config: StudyConfig) -> list[str]:
    """That a backbone is not on this machine, so that only its start tells whether it can be had."""
    backbone = config.backbone
    if backbone_problems(backbone.model, backbone.revision) or known_here(backbone.model, backbone.revision):
        return []
    if cached_folder(backbone.model, backbone.revision):
        return [
            f"backbone.model: {backbone.model} is read and kept as safetensors when the study starts; run `patchrl fetch "
            f"{backbone.model}` first, so that settings can be chosen for it."
        ]
    return [
        f"backbone.model: {backbone.model} is not on this machine; it is fetched from the Hub when the study starts."
    ]


def size_problems(config: StudyConfig, train: int, held_out: int) -> list[str]:
    """Settings that do not go with the number of rows."""
    problems = []
    if rewriters_of(map(parse, config.study.arms)) and train < config.rewriter.prompts_per_step:
        problems.append(
            f"rewriter.prompts_per_step: {config.rewriter.prompts_per_step} prompts a step need as many training "
            f"examples, there are {train}; lower it or give more data."
        )
    if config.finetune.sweeps and held_out < MIN_SWEEP_ITEMS:
        # Where fewer are held out than asked for, the data has no more: a quarter of it is.
        short = held_out < config.data.eval_size
        more = f"give {4 * MIN_SWEEP_ITEMS} rows or more" if short else "raise data.eval_size"
        problems.append(
            f"finetune.learning_rate: several rates need {MIN_SWEEP_ITEMS} held-out examples, a third of them to choose "
            f"by; there are {held_out}. Give one rate, or {more}."
        )
    if held_out == 0:
        problems.append("data: no held-out row has a reference answer, so the target task cannot be measured.")
    return problems


def replay_problems(config: StudyConfig) -> tuple[list[str], list[str]]:
    """Why the questions for arms with replay cannot be used, and notes on what of their file is not used."""
    replayed = [name for name in config.study.arms if parse(name).replay]
    source = config.finetune.replay_data
    if not replayed or (source == "nano" and config.backbone.model == "nano"):
        return [], []
    if source == "nano":
        return [
            f"finetune.replay_data: the lab's own questions cannot be replayed for {config.backbone.model}; name a JSONL file "
            f"of general questions, or leave out {', '.join(replayed)}."
        ], []
    try:
        notes = load_questions(source).notes
    except PatchRLError as error:
        return [f"finetune.replay_data: {error}"], []
    return [], [f"finetune.replay_data: {Path(source).name}: {note}" for note in notes]


def short_warnings(config: StudyConfig, train: int, held_out: int) -> list[str]:
    """Fewer rows than the settings ask for."""
    limits = (
        ("train_size", train, config.data.train_size, "all of them are used"),
        ("eval_size", held_out, config.data.eval_size, "intervals will be wide"),
    )
    return [
        f"data.{name}: the settings ask for {wanted} rows and the data has {available}; {so}."
        for name, available, wanted, so in limits
        if available < wanted
    ]


def answer_warnings(data: LoadedData) -> list[str]:
    """Whole sentences taken for answers: then hardly any rewrite states the same."""
    lengths = sorted(len((example.reference or "").split()) for example in data.train)
    if data.task != "exact" or "answer" in data.columns or lengths[len(lengths) // 2] < LONG_ANSWER:
        return []
    return [
        f"data.task: no final answer was found in the solutions, so that their last sentence counts as one, such as "
        f"{data.train[0].reference!r:.80}. End them with `The answer is …`, name data.answer_column, or set data.task to open."
    ]


def reasoning_warnings(config: StudyConfig, examples: Sequence[Example]) -> list[str]:
    """How many rows give the gate no reasoning to compare with, of the first MAX_REASONING_ROWS."""
    looked_at = examples[:MAX_REASONING_ROWS]
    if "coverage" in config.gate.reasoning:
        unscorable, lack = claim_kinds(looked_at)["unscorable"], "say nothing beyond their answer"
    elif "derivation" in config.gate.reasoning:
        looked_at = [e for e in looked_at if e.task == "math"]
        unscorable, lack = reasoning_kinds(looked_at)["unscorable"], "show no steps"
    else:
        return []
    if not unscorable:
        return []
    total = f"{len(looked_at):,}" if len(looked_at) == len(examples) else f"the first {len(looked_at):,}"
    return [
        f"gate.reasoning: {unscorable:,} of {total} expert solutions {lack}, so that no rewrite of them can be "
        "scored; leave such rows out, or set gate.reasoning to equations."
    ]


def length_notes(config: StudyConfig, examples: Sequence[Example]) -> tuple[list[str], list[str]]:
    """Problems and warnings about rows longer than the backbone or the fine-tuning reads, of the first MAX_LENGTH_ROWS."""
    backbone, limit = config.backbone, config.finetune.max_length
    tokenizer = tokenizer_on_disk(backbone.model, backbone.revision, backbone.thoughts)
    if tokenizer is None:
        return [], []
    problems, warnings = [], []
    looked_at = list(examples)[:MAX_LENGTH_ROWS]
    rows = [tokenizer.format.row(example.question, example.solution) for example in looked_at]
    total = f"{len(rows):,}" if len(rows) == len(examples) else f"the first {len(rows):,}"
    context = context_of(backbone.model, backbone.revision)
    longest = max(range(len(rows)), key=lambda i: len(rows[i].trained))
    count = len(rows[longest].trained)
    if context is not None and count > context:
        warnings.append(
            f"data.dataset: the longest row has {count:,} tokens and this backbone reads {context:,}: past that its ℓ means "
            f"little. Leave such rows out. ({looked_at[longest].question[:60]!r})"
        )
    without_label = sum(row.labels_from >= limit for row in rows)
    cut = sum(len(row.trained) > limit for row in rows)
    if without_label:
        problems.append(
            f"finetune.max_length: {without_label:,} of {total} rows have {limit:,} tokens or more before their solution "
            f"begins, so nothing of it would be learned; raise the limit (the longest row has {count:,} tokens)."
        )
    elif cut:
        warnings.append(
            f"finetune.max_length: {cut:,} of {total} rows are cut at {limit:,} tokens, and their answer with them; raise the "
            f"limit (the longest row has {count:,} tokens) or leave such rows out."
        )
    return problems, warnings


def _weights_mb(model: str, revision: str | None) -> float | None:
    """What the weights of a backbone take on disk; None for those that are not in a folder here."""
    if model == "nano":
        return NANO_MB
    folder = model_folder(model, revision)
    return sum(f.stat().st_size for f in folder.glob("*.safetensors")) / 2**20 if folder else None


def estimated_megabytes(config: StudyConfig) -> float | None:
    """Disk a run takes at most: tuned weights (if kept), the checkpoints of the arm in training, and about 10 MB of samples,
    events and report per seed. None where weights are kept whose size is not known here."""
    size = _weights_mb(config.backbone.model, config.backbone.revision) if config.finetune.keep_weights else 0.0
    if size is None:
        return None
    seeds, arms = len(config.study.seeds), len(config.study.arms) * len(config.finetune.learning_rate)
    count = weight_count(config.backbone.model, config.backbone.revision) or 0
    return seeds * (10 + size * arms) + 5 + CHECKPOINT_COPIES * 4 * count / 2**20

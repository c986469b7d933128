"""A whole study: scan, train, rewrite, fine-tune, evaluate, report. Steps already in the folder are skipped."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from patchrl.config import StudyConfig
from patchrl.data import LoadedData, load_eval_items, load_examples
from patchrl.errors import RunError, StopRequested
from patchrl.runs.events import read_events
from patchrl.runs.folder import RunFolder
from patchrl.statistics import absolute_forgetting, arm_statistics, correct_by_task
from patchrl.types import EvalItem, Recorder
from patchrl.views import describe_calibration

STAGES = ("scan", "train", "rewrite", "finetune", "evaluate", "report")


@dataclass(frozen=True)
class Step:
    """One unit of work: its stage, whose it is, the file that proves it done, and how to do it."""

    stage: str
    seed: int | None
    arm: str | None
    proof: Path
    work: Callable[[], None]


class Study:
    """The steps of one study over one run folder. Models are loaded when a step needs one."""

    def __init__(self, config: StudyConfig, folder: RunFolder, recorder: Recorder) -> None:
        self.config, self.folder, self.recorder = config, folder, recorder
        self.data: LoadedData = load_examples(config.data)
        self.general: list[EvalItem] = general_items(config)

    # --- the plan -----------------------------------------------------------------------------

    def steps(self) -> Iterator[Step]:
        """Every step in the order of the work."""
        folder, seeds, arms = self.folder, self.config.study.seeds, self.config.study.arms
        yield Step("scan", None, None, folder.scan, self._scan)
        for seed in seeds:
            if "rl" in arms:
                proof = folder.adapter(seed) / "done.json"
                yield Step("train", seed, "rl", proof, partial(self._train, seed))
        for seed in seeds:
            for arm in arms:
                proof = folder.targets(arm, seed)
                yield Step("rewrite", seed, arm, proof, partial(self._rewrite, arm, seed))
        yield Step("evaluate", None, "base", folder.base() / "evaluation.json", self._evaluate_base)
        for seed in seeds:
            for arm in arms:
                home = folder.arm(arm, seed)
                yield Step("finetune", seed, arm, home / "finetuned.json", partial(self._finetune, arm, seed))
                yield Step("evaluate", seed, arm, home / "evaluation.json", partial(self._evaluate, arm, seed))
        yield Step("report", None, None, folder.report, self._report)

    def run(self, upto: str = "report") -> None:
        """Do what is missing, up to and including a stage; raises StopRequested between or inside steps."""
        if upto not in STAGES:
            raise RunError(f"Stage {upto!r} does not exist; use one of {', '.join(STAGES)}.")
        wanted = STAGES[: STAGES.index(upto) + 1]
        for step in self.steps():
            if step.stage not in wanted or step.proof.exists():
                continue
            if self.recorder.stop_requested():
                raise StopRequested(f"Stopped before {step.stage}; resume continues there.")
            with self._announced(step):
                step.work()

    @contextmanager
    def _announced(self, step: Step) -> Iterator[None]:
        where = {"stage": step.stage, "seed": step.seed, "arm": step.arm}
        self.recorder.event("stage", state="start", **where)
        started = time.time()
        yield
        self.recorder.event("stage", state="end", seconds=round(time.time() - started, 2), **where)

    # --- the steps ----------------------------------------------------------------------------

    def _backbone(self):
        from patchrl.backbone import Backbone

        return Backbone.load(self.config.backbone)

    def _gate(self, backbone, **options: Any):
        from patchrl.gate import Gate

        calibration = (self.folder.read_json(self.folder.scan) or {}).get("open_gate", {})
        return Gate(self.config, backbone, calibration.get("threshold"), **options)

    def _scan(self) -> None:
        from patchrl.stages.scan import scan

        with self._gate(self._backbone()) as gate:
            result = scan(self.config, gate, self.data.train, self.recorder, self.folder.embeddings("scan"))
        result |= {"kept": self.data.kept, "dropped": self.data.dropped}
        self.folder.write_json(self.folder.scan, result)
        self.recorder.event("scan", **result)
        if "open_gate" in result:
            told = describe_calibration(result["open_gate"])
            self.recorder.event("message", level="info", text=told)

    def _train(self, seed: int) -> None:
        from patchrl.stages.train_rewriter import train_rewriter

        home = self.folder.adapter(seed)
        started = time.time()
        with self._gate(self._backbone()) as gate:
            tokens = train_rewriter(self.config, gate, self.data.train, seed, home, self.recorder)
        shutil.rmtree(home / "checkpoints", ignore_errors=True)
        self.folder.write_json(home / "done.json", {"tokens": tokens, "seconds": round(time.time() - started, 2)})

    def _rewrite(self, arm: str, seed: int) -> None:
        from patchrl.stages.rewrite import describe_targets, rewrite_dataset

        started = time.time()
        backbone = self._backbone()
        if arm == "expert":
            pairs = [(e.question, e.solution) for e in self.data.train]
            summary = {"accepted": 0.0, "tokens": 0, **describe_targets(backbone, pairs)}
        else:
            if arm == "rl":
                from peft import PeftModel

                backbone.model = PeftModel.from_pretrained(backbone.model, str(self.folder.adapter(seed)))
            shown = seed == self.config.study.seeds[0]  # what only pages look at is made once
            surprisal = self.folder.surprisal(arm, seed) if shown else None
            embeddings = self.folder.embeddings(arm) if shown else None
            samples = self.folder.samples(arm, seed)
            with self._gate(backbone) as gate:
                summary = rewrite_dataset(
                    self.config, gate, self.data.train, arm, seed, samples, surprisal, self.recorder, embeddings
                )
        summary["seconds"] = round(time.time() - started, 2)
        self.folder.write_json(self.folder.targets(arm, seed), summary)

    def _pairs(self, arm: str, seed: int) -> list[tuple[str, str]]:
        if arm == "expert":
            return [(e.question, e.solution) for e in self.data.train]
        with self.folder.samples(arm, seed).open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return [(row["question"], row["target"]) for row in rows if row["target"] is not None]

    def _finetune(self, arm: str, seed: int) -> None:
        from patchrl.stages.finetune import finetune

        section = self.config.finetune
        steps = math.ceil(len(self.data.train) / section.batch_size) * section.epochs
        backbone = self._backbone()
        home = self.folder.arm(arm, seed)
        started = time.time()
        finetune(self.config, backbone, self._pairs(arm, seed), steps, arm, seed, home, self.recorder)
        shutil.rmtree(home / "trainer", ignore_errors=True)
        backbone.model.save_pretrained(home / "weights")
        backbone.tokenizer.save_pretrained(home / "weights")
        self.folder.write_json(home / "finetuned.json", {"steps": steps, "seconds": round(time.time() - started, 2)})

    def _evaluate(self, arm: str, seed: int) -> None:
        from patchrl.backbone import Backbone

        home = self.folder.arm(arm, seed)
        if not (home / "weights").is_dir():
            raise RunError(f"Arm {arm}, seed {seed}: its weights are gone; start a new run to evaluate it.")
        section = self.config.backbone.model_copy(update={"model": str(home / "weights"), "revision": None})
        self._measure(Backbone.load(section), home, arm, seed)
        if not self.config.finetune.keep_weights:
            shutil.rmtree(home / "weights")

    def _evaluate_base(self) -> None:
        self._measure(self._backbone(), self.folder.base(), "base", None)

    def _measure(self, backbone, home: Path, arm: str, seed: int | None) -> None:
        from patchrl.stages.evaluate import evaluate

        # Open answers are compared by the frozen backbone; other gates need no model at all.
        frozen = self._backbone() if self.data.task == "open" and arm != "base" else backbone
        with self._gate(frozen, answers_only=True) as gate:
            result = evaluate(
                self.config, backbone, gate, self.data.eval, self.general, home / "predictions.jsonl", self.recorder
            )
        self.folder.write_json(home / "evaluation.json", result)
        self.recorder.event(
            "evaluation",
            seed=seed,
            arm=arm,
            target=result["target"],
            general=result["general"],
            by_task={task: values["score"] for task, values in result["by_task"].items()},
            no_answer=result["no_answer"],
        )

    def _report(self) -> None:
        from patchrl.report import build_report

        result = collect(self.config, self.folder)
        self.folder.write_json(self.folder.result, result)
        seed = self.config.study.seeds[0]
        samples: dict[str, Any] = {
            a: _rows(self.folder.samples(a, seed)) for a in self.config.study.arms if a != "expert"
        }
        html = build_report(self.config, read_events(self.folder.events), result, samples, self._embedding_map())
        temporary = self.folder.report.with_suffix(".part")
        temporary.write_text(html, encoding="utf-8")
        temporary.replace(self.folder.report)

    def _embedding_map(self) -> dict[str, Any] | None:
        from patchrl.runs.embeddings import embedding_map

        return embedding_map(self.folder)


def run_study(config: StudyConfig, folder: RunFolder, recorder: Recorder, upto: str = "report") -> None:
    """Run a study to a stage; whatever the folder already holds is not done again."""
    Study(config, folder, recorder).run(upto)


def general_items(config: StudyConfig) -> list[EvalItem]:
    """The general-skill items that `evaluate.general` names."""
    items: list[EvalItem] = []
    for name in config.evaluate.general:
        if name == "nano":
            from patchrl.nano import world

            items += world.general_eval(config.evaluate.general_size)
        else:
            items += load_eval_items(name)
    return items


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def collect(config: StudyConfig, folder: RunFolder) -> dict[str, Any]:
    """`result.json`: everything measured, read back from the folder."""
    seeds, arms = config.study.seeds, config.study.arms
    base_rows = _rows(folder.base() / "predictions.jsonl")
    base = correct_by_task(base_rows)
    base_summary = json.loads((folder.base() / "evaluation.json").read_text(encoding="utf-8"))
    events = read_events(folder.events)
    correct = {arm: [correct_by_task(_rows(folder.arm(arm, s) / "predictions.jsonl")) for s in seeds] for arm in arms}
    drops = [d for c in correct["expert"] if (d := absolute_forgetting(base, c)) is not None]
    return {
        "version": 1,
        "backbone": config.backbone.model,
        "dataset": config.data.dataset,
        "seeds": list(seeds),
        "base": {
            "target": base_summary["target"],
            "general": base_summary["general"],
            "by_task": {task: values["score"] for task, values in base_summary["by_task"].items()},
            "no_answer": base_summary["no_answer"],
        },
        "arms": {arm: _arm_result(config, folder, arm, base, correct[arm], _mean(drops)) for arm in arms},
        "curve": [
            {key: e[key] for key in ("seed", "step", "reward", "consistency", "alignment", "diversity", "nll")}
            for e in events
            if e["kind"] == "train"
        ],
        "seconds": seconds_by_stage(events),
    }


def _arm_result(config, folder: RunFolder, arm: str, base, correct, expert_drop: float | None) -> dict[str, Any]:
    seeds = config.study.seeds
    statistics = arm_statistics(base, correct, expert_drop, config.evaluate.bootstrap)

    def read(path: Path) -> dict[str, Any]:
        return json.loads(path.read_text(encoding="utf-8"))

    evaluations = [read(folder.arm(arm, s) / "evaluation.json") for s in seeds]
    targets = [read(folder.targets(arm, s)) for s in seeds]
    training = [read(folder.adapter(s) / "done.json") for s in seeds] if arm == "rl" else []
    tuning = [read(folder.arm(arm, s) / "finetuned.json") for s in seeds]
    tasks = evaluations[0]["by_task"]
    return {
        "target": {
            "mean": _mean(statistics.target_per_seed),
            "per_seed": statistics.target_per_seed,
            "ci95": statistics.target_ci95,
        },
        "general": {
            "mean": _mean(statistics.general_per_seed),
            "per_seed": statistics.general_per_seed,
            "ci95": statistics.general_ci95,
        },
        "by_task": {task: _mean([e["by_task"][task]["score"] for e in evaluations]) for task in tasks},
        "forgetting": {
            "absolute": statistics.absolute,
            "relative": statistics.relative,
            "share_avoided": statistics.share_avoided,
            "ci95": statistics.absolute_ci95,
        },
        "data": {key: _mean([t[key] for t in targets]) for key in ("nll", "diversity", "accepted")},
        "no_answer": _mean([e["no_answer"] for e in evaluations]),
        "cost": {
            "seconds": sum(t["seconds"] for t in [*targets, *training]) / len(seeds),
            "tokens": sum(t["tokens"] for t in [*targets, *training]) / len(seeds),
            "finetune_seconds": _mean([t["seconds"] for t in tuning]),
        },
    }


def seconds_by_stage(events: list[dict[str, Any]]) -> dict[str, float]:
    """Where the time went, in seconds by stage."""
    spent: dict[str, float] = {}
    for event in events:
        if event["kind"] == "stage" and event["state"] == "end":
            spent[event["stage"]] = round(spent.get(event["stage"], 0.0) + event["seconds"], 2)
    return spent

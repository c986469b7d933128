"""A whole study: scan, train, rewrite, fine-tune, evaluate, report. Steps already in the folder are skipped."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from patchrl.config import StudyConfig
from patchrl.config.arms import REWRITERS, SOURCES, Arm, parse, rewriters_of, sources_in_order
from patchrl.config.eval_tasks import expand, harness_names, names_a_file
from patchrl.data.examples import LoadedData, load_eval_items, load_examples, load_questions
from patchrl.errors import RunError, StopRequested
from patchrl.evaluation.results import collect, read_rows
from patchrl.pipeline.estimate import sized, step_seconds
from patchrl.reporting.result_formats import to_csv
from patchrl.reporting.sentences import describe_calibration
from patchrl.runs.evaluations import Evaluations
from patchrl.runs.folder import RunFolder
from patchrl.types import Cost, EvalItem, Example, Recorder

STAGES = ("scan", "train", "rewrite", "finetune", "evaluate", "report")
TRUSTED = 0.8  # balanced accuracy of the open gate from which its verdicts are worth training on; a coin has 0.5
UNTRUSTED = "That is too close to guessing: let a judge read too (gate.reasoning), or give another reward.embedder."
VALIDATION_EVERY = 3  # in a sweep each third held-out example chooses the learning rate and is not reported


@dataclass(frozen=True)
class Step:
    """One unit of work: its stage, whose it is, the file that proves it done, and how to do it."""

    stage: str
    seed: int | None
    arm: str | None
    proof: Path
    work: Callable[[], None]


class Tagged:
    """A recorder that puts fixed fields before those of every event."""

    def __init__(self, recorder: Recorder, **fields: Any) -> None:
        self.recorder, self.fields = recorder, fields
        self.progress, self.stop_requested = recorder.progress, recorder.stop_requested

    def event(self, kind: str, **fields: Any) -> None:
        if kind == "message":  # what is read without its fields says whose it is
            fields["text"] = f"{', '.join(map(str, self.fields.values()))}: {fields['text']}"
        self.recorder.event(kind, **self.fields, **fields)


class Study:
    """The steps of one study over one run folder. Models are loaded when a step needs one."""

    def __init__(self, config: StudyConfig, folder: RunFolder, recorder: Recorder) -> None:
        self.config, self.folder, self.recorder = config, folder, recorder
        self.arms: list[Arm] = [parse(name) for name in config.study.arms]
        self.data: LoadedData = load_examples(config.data)
        self.target: list[EvalItem] = self._items_of(config.evaluate.target)
        self.general: list[EvalItem] = self._items_of(config.evaluate.general)

    # --- the plan -----------------------------------------------------------------------------

    def steps(self) -> Iterator[Step]:
        """Every step in the order of the work; what arms share is done once."""
        folder, seeds = self.folder, self.config.study.seeds
        yield Step("scan", None, None, folder.scan, self._scan)
        for seed in seeds:
            for rewriter in rewriters_of(self.arms):
                proof = folder.adapter(seed, rewriter) / "done.json"
                yield Step("train", seed, rewriter, proof, partial(self._train, rewriter, seed))
        for seed in seeds:
            for source in sources_in_order(self.arms):
                yield Step("rewrite", seed, source, folder.targets(source, seed), partial(self._rewrite, source, seed))
            if any(arm.replay for arm in self.arms):
                yield Step("rewrite", seed, "replay", folder.replay_summary(seed), partial(self._replay, seed))
        yield Step("evaluate", None, "base", folder.base() / "evaluation.json", self._evaluate_base)
        for seed in seeds:
            for arm in self.arms:
                for rate in self.config.finetune.learning_rate:
                    home = self._home(arm, seed, rate)
                    work = partial(self._finetune, arm, seed, rate), partial(self._evaluate, arm, seed, rate)
                    yield Step("finetune", seed, arm.name, home / "finetuned.json", work[0])
                    yield Step("evaluate", seed, arm.name, home / "evaluation.json", work[1])
        yield Step("report", None, None, folder.report, self._report)

    def run(self, upto: str = "report") -> None:
        """Do what is missing, up to and including a stage; raises StopRequested between or inside steps."""
        if upto not in STAGES:
            raise RunError(f"Stage {upto!r} does not exist; use one of {', '.join(STAGES)}.")
        wanted = STAGES[: STAGES.index(upto) + 1]
        missing = [step for step in self.steps() if step.stage in wanted and not step.proof.exists()]
        if any(step.stage == "evaluate" for step in missing):
            _ = self.benchmarks  # what cannot be fetched or measured is told before anything is trained
        there = sized(self.config, len(self.data.train), len(self.data.eval))
        expected = [step_seconds(there, step.stage, step.arm) for step in missing]
        for number, step in enumerate(missing):
            if self.recorder.stop_requested():
                raise StopRequested(f"Stopped before {step.stage}; resume continues there.")
            with self._announced(step, expected[number], sum(expected[number + 1 :])):
                step.work()

    @contextmanager
    def _announced(self, step: Step, expected: float, after: float) -> Iterator[None]:
        """Tell that a step begins, what is expected of it and of all after it (seconds), and what it took."""
        where = {"stage": step.stage, "seed": step.seed, "arm": step.arm}
        self.recorder.event("stage", state="start", **where, expected=round(expected, 2), after=round(after, 2))
        started = time.time()
        yield
        self.recorder.event("stage", state="end", seconds=round(time.time() - started, 2), **where)

    # --- the steps ----------------------------------------------------------------------------

    def _backbone(self):
        from patchrl.models.backbone import Backbone

        return Backbone.load(self.config.backbone)

    def _gate(self, backbone, **options: Any):
        from patchrl.grading.gate import Gate

        calibration = (self.folder.read_json(self.folder.scan) or {}).get("open_gate", {})
        return Gate(self.config, backbone, calibration.get("threshold"), **options)

    def _answers_gate(self, backbone, frozen: bool = False):
        """The gate on final answers alone, of a model that is the frozen backbone or not."""
        # Open answers are compared by the frozen backbone; other gates need no model at all.
        judge = self._backbone() if self.data.task == "open" and not frozen else backbone
        return self._gate(judge, answers_only=True)

    def _scan(self) -> None:
        from patchrl.evaluation.scan import scan

        with self._gate(self._backbone()) as gate:
            result = scan(self.config, gate, self.data.train, self.recorder, self.folder.embeddings("scan"))
        result |= {"kept": self.data.kept, "train": len(self.data.train), "dropped": self.data.dropped}
        self.folder.write_json(self.folder.scan, result)
        self.recorder.event("scan", **result)
        if "open_gate" in result:
            trusted = result["open_gate"]["balanced_accuracy"] >= TRUSTED
            told = describe_calibration(result["open_gate"]) + ("" if trusted else f" {UNTRUSTED}")
            self.recorder.event("message", level="info" if trusted else "warning", text=told)

    def _train(self, rewriter: str, seed: int) -> None:
        from patchrl.training.train_rewriter import train_rewriter

        home = self.folder.adapter(seed, rewriter)
        changed = {
            section: getattr(self.config, section).model_copy(update=values)
            for section, values in REWRITERS[rewriter].items()
        }
        config = self.config.model_copy(update=changed)
        # Events without a rewriter's name are the plain one's.
        recorder = self.recorder if rewriter == "rl" else Tagged(self.recorder, rewriter=rewriter)
        started = time.time()
        with self._gate(self._backbone()) as gate:
            tokens = train_rewriter(config, gate, self.data.train, seed, home, recorder)
        shutil.rmtree(home / "checkpoints", ignore_errors=True)
        self.folder.write_json(home / "done.json", {"tokens": tokens, "seconds": round(time.time() - started, 2)})

    def _rewrite(self, source: str, seed: int) -> None:
        from patchrl.rewriting.dataset import describe_targets, drop_fallbacks, rewrite_dataset, write_rows

        started = time.time()
        backbone, before = self._backbone(), SOURCES[source].after
        if source == "expert":
            summary = {"accepted": 0.0, "tokens": 0, **describe_targets(backbone, self._pairs(source, seed))}
        elif before:
            made = self.folder.read_json(self.folder.targets(before, seed)) or {}
            write_rows(self.folder.samples(source, seed), drop_fallbacks(read_rows(self.folder.samples(before, seed))))
            summary = made | describe_targets(backbone, self._pairs(source, seed))
            started -= made["seconds"]  # alone, this source would have had to make those rows
        else:
            if rewriter := SOURCES[source].rewriter:
                from peft import PeftModel

                backbone.model = PeftModel.from_pretrained(backbone.model, str(self.folder.adapter(seed, rewriter)))
            shown = seed == self.config.study.seeds[0]  # what only pages look at is made once
            surprisal = self.folder.surprisal(source, seed) if shown else None
            embeddings = self.folder.embeddings(source) if shown else None
            samples = self.folder.samples(source, seed)
            with self._gate(backbone) as gate:
                summary = rewrite_dataset(
                    self.config, gate, self.data.train, source, seed, samples, surprisal, self.recorder, embeddings
                )
        summary["seconds"] = round(time.time() - started, 2)
        self.folder.write_json(self.folder.targets(source, seed), summary)

    def _replay(self, seed: int) -> None:
        from patchrl.rewriting.dataset import write_rows
        from patchrl.training.tuning import replay_count

        started = time.time()
        wanted = replay_count(len(self.data.train), max(arm.replay or 0.0 for arm in self.arms))
        questions = self._replay_questions(wanted, seed)
        answers = self._backbone().generate(
            questions,
            temperature=1.0,  # the backbone's own distribution is where its loss has no slope
            max_new_tokens=self.config.evaluate.max_new_tokens,
            seed=seed,
            on_progress=lambda done: self.recorder.progress(done, wanted),
        )
        rows = [{"question": q, "answer": group[0].text} for q, group in zip(questions, answers, strict=True)]
        write_rows(self.folder.replay(seed), [row for row in rows if row["answer"]])
        tokens = sum(len(group[0].token_ids) + 1 for group in answers)
        summary = {"tokens": tokens, "seconds": round(time.time() - started, 2)}
        self.folder.write_json(self.folder.replay_summary(seed), summary)

    def _replay_questions(self, count: int, seed: int) -> list[str]:
        """`count` general questions, none of them an evaluation item; few are asked several times."""
        if self.config.finetune.replay_data == "nano":
            from patchrl.nano import world

            return world.replay_questions(count, seed)
        measured = {item.question for item in (*self.data.eval, *self.target, *self.general)}
        questions = [q for q in load_questions(self.config.finetune.replay_data) if q not in measured]
        if not questions:
            raise RunError("finetune.replay_data: every question in it is an evaluation item; name other questions.")
        return [questions[i % len(questions)] for i in range(count)]

    def _examples(self, source: str, seed: int) -> list[Example]:
        """The examples with a source's targets as their solutions; those it dropped are left out."""
        if source == "expert":
            return list(self.data.train)
        rows = read_rows(self.folder.samples(source, seed))
        return [
            replace(example, solution=row["target"])
            for example, row in zip(self.data.train, rows, strict=True)
            if row["target"] is not None
        ]

    def _pairs(self, source: str, seed: int) -> list[tuple[str, str]]:
        return [(e.question, e.solution) for e in self._examples(source, seed)]

    def _home(self, arm: Arm, seed: int, rate: float) -> Path:
        return self.folder.arm(arm.name, seed, rate if self.config.finetune.sweeps else None)

    def _where(self, arm: Arm, seed: int, rate: float) -> dict[str, Any]:
        """The fields that say whose an event is; the learning rate where there are several."""
        return {"seed": seed, "arm": arm.name} | ({"rate": rate} if self.config.finetune.sweeps else {})

    def _finetune(self, arm: Arm, seed: int, rate: float) -> None:
        from patchrl.training.finetune import finetune

        section = self.config.finetune
        steps = math.ceil(len(self.data.train) / section.batch_size) * section.epochs
        backbone = self._backbone()
        home = self._home(arm, seed, rate)
        if spent := self._interpolate(arm, seed, rate, backbone):
            self._keep(backbone, home, steps, *spent)
            return
        replay = [(r["question"], r["answer"]) for r in read_rows(self.folder.replay(seed))] if arm.replay else []
        sampled = Cost()
        started = time.time()
        practising = self._answers_gate(backbone) if arm.on_policy else nullcontext()
        with self._resampling(arm, backbone, seed, sampled) as resample, practising as gate:
            finetune(
                self.config,
                backbone,
                self._examples(arm.data, seed),
                steps,
                arm,
                seed,
                home,
                self.recorder,
                rate=rate,
                gate=gate,
                sampled=sampled,
                replay=replay,
                resample=resample,
                where=self._where(arm, seed, rate),
            )
        shutil.rmtree(home / "trainer", ignore_errors=True)
        self._keep(backbone, home, steps, time.time() - started - sampled.seconds, sampled)

    def _keep(self, backbone, home: Path, steps: int, seconds: float, sampled: Cost) -> None:
        backbone.model.save_pretrained(home / "weights")
        backbone.tokenizer.save_pretrained(home / "weights")
        done = {"steps": steps, "seconds": round(seconds, 2), "sampled": asdict(sampled)}
        self.folder.write_json(home / "finetuned.json", done)

    def _interpolate(self, arm: Arm, seed: int, rate: float, backbone) -> tuple[float, Cost] | None:
        """Interpolate with the weights of the same arm without wise-ft, where these are there already.

        Returns the seconds of tuning the arm alone and what it would have sampled, None where it has to be tuned.
        """
        from patchrl.models.backbone import Backbone
        from patchrl.training.tuning import WeightInterpolation

        plain = next((other for other in self.arms if arm.is_interpolation_of(other)), None)
        home = self._home(plain, seed, rate) if plain else None
        if home is None or not (home / "weights").is_dir():
            return None
        started = time.time()
        section = self.config.backbone.model_copy(update={"model": str(home / "weights"), "revision": None})
        way = WeightInterpolation(arm.tunings["wise-ft"])
        way.before(backbone.model)
        backbone.model = way.after(Backbone.load(section).model)
        tuned = self.folder.read_json(home / "finetuned.json") or {}
        return tuned["seconds"] + time.time() - started, Cost(**tuned["sampled"])

    @contextmanager
    def _resampling(
        self, arm: Arm, backbone, seed: int, sampled: Cost
    ) -> Iterator[Callable[[int], list[tuple[str, str]]] | None]:
        """How an arm gets new pairs before an epoch, None where it keeps its own; adds up what that costs."""
        if not SOURCES[arm.source].resampled:
            yield None
            return
        from patchrl.rewriting.sources import resample_own

        with self._gate(self._backbone()) as gate:

            def resample(epoch: int) -> list[tuple[str, str]]:
                started = time.time()
                pairs, tokens = resample_own(self.config, backbone, gate, self.data.train, seed * 1_000 + epoch)
                sampled.tokens += tokens
                sampled.seconds += time.time() - started
                return pairs

            yield resample

    def _evaluate(self, arm: Arm, seed: int, rate: float) -> None:
        from patchrl.models.backbone import Backbone

        home = self._home(arm, seed, rate)
        if not (home / "weights").is_dir():
            raise RunError(f"Arm {arm.name}, seed {seed}: its weights are gone; start a new run to evaluate it.")
        section = self.config.backbone.model_copy(update={"model": str(home / "weights"), "revision": None})
        self._measure(Backbone.load(section), home, self._where(arm, seed, rate))
        if not self.config.finetune.keep_weights:
            shutil.rmtree(home / "weights")

    def _evaluate_base(self) -> None:
        self._measure(self._backbone(), self.folder.base(), {"seed": None, "arm": "base"})

    def _items_of(self, names: tuple[str, ...]) -> list[EvalItem]:
        """The items that the gate judges, of the tasks that `evaluate.target` or `evaluate.general` names."""
        items: list[EvalItem] = []
        for name in expand(names):
            if name == "held-out":
                items += self.data.eval
            elif name == "nano":
                from patchrl.nano import world

                items += world.general_eval(self.config.evaluate.general_size)
            elif names_a_file(name):
                items += load_eval_items(name)
        return items

    def _items(self) -> list[tuple[str, EvalItem]]:
        """What the gate judges, with its kind. In a sweep a third of the held-out examples, or all where they are
        no target, only choose the learning rate."""
        held_out = self.data.eval
        every = VALIDATION_EVERY if "held-out" in self.config.evaluate.target else 1
        chooses = {item.id for item in held_out[::every]} if self.config.finetune.sweeps else set()
        validation = [("validation", item) for item in held_out if item.id in chooses]
        target = [("target", item) for item in self.target if item.id not in chooses]
        return validation + target + [("general", item) for item in self.general]

    @cached_property
    def benchmarks(self) -> list[tuple[str, Any]]:
        """The harness tasks that are measured, with their kind; only they need the harness."""
        section = self.config.evaluate
        if not harness_names((*section.target, *section.general)):
            return []
        from patchrl.evaluation.harness.benchmark import load_benchmarks

        return load_benchmarks(section)

    def _measure(self, backbone, home: Path, where: dict[str, Any]) -> None:
        from patchrl.evaluation.evaluate import evaluate

        with self._answers_gate(backbone, frozen=where["arm"] == "base") as gate:
            result = evaluate(
                self.config,
                backbone,
                gate,
                self._items(),
                self.benchmarks,
                Evaluations(self.folder.evaluations),
                home / "predictions.jsonl",
                self.recorder,
            )
        self.folder.write_json(home / "evaluation.json", result | {"device": backbone.device_name})
        self.recorder.event(
            "evaluation",
            **where,
            target=result["target"],
            general=result["general"],
            by_task={task: values["score"] for task, values in result["by_task"].items()},
            no_answer=result["no_answer"],
        )

    def _report(self) -> None:
        from patchrl.reporting.report import report_of

        result = collect(self.config, self.folder)
        self.folder.write_json(self.folder.result, result)
        self.folder.table.write_text(to_csv(result), encoding="utf-8")
        html = report_of(self.config, self.folder, result)
        temporary = self.folder.report.with_suffix(".part")
        temporary.write_text(html, encoding="utf-8")
        temporary.replace(self.folder.report)


def run_study(config: StudyConfig, folder: RunFolder, recorder: Recorder, upto: str = "report") -> None:
    """Run a study to a stage; whatever the folder already holds is not done again."""
    Study(config, folder, recorder).run(upto)

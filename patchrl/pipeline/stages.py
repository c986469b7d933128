"""The work of each stage of a study, one method a stage. Models are loaded when a step needs one."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchrl.config import StudyConfig
from patchrl.config.arms import REWRITERS, SOURCES, Arm, parse
from patchrl.data.examples import LoadedData
from patchrl.errors import RunError
from patchrl.evaluation.results import collect
from patchrl.pipeline.items import StudyItems
from patchrl.pipeline.plan import BASE, REPLAY, Step
from patchrl.pipeline.serving import Serving, is_served
from patchrl.reporting.result_formats import to_csv
from patchrl.reporting.sentences import describe_calibration, describe_coverage
from patchrl.runs.checkpoints import CHECKPOINTS, SFT, TRAINER, WARM_START, newest_checkpoint
from patchrl.runs.context import StageContext
from patchrl.runs.evaluations import Evaluations
from patchrl.runs.folder import RunFolder
from patchrl.runs.journal import Journal
from patchrl.runs.jsonl import read_rows, write_rows
from patchrl.types import Cost, Example, Recorder

if TYPE_CHECKING:
    from patchrl.models.backbone import Backbone
    from patchrl.training.ranks import Ranks

MIN_GATE_ACCURACY = (
    0.8  # balanced accuracy of a calibrated gate from which its verdicts are worth training on; a coin has 0.5
)
PROOF_QUESTIONS = 4  # with which a server is proven
INACCURATE_GATE = {
    "open_gate": "That is too close to guessing: let a judge read too (gate.reasoning), or give another reward.embedder.",
    "coverage_gate": "That is too close to guessing: let a judge read too (gate.reasoning).",
}


class TaggedRecorder:
    """A recorder that puts fixed fields before those of every event."""

    def __init__(self, recorder: Recorder, **fields: Any) -> None:
        self.recorder, self.fields = recorder, fields
        self.progress, self.stop_requested = recorder.progress, recorder.stop_requested

    def event(self, kind: str, **fields: Any) -> None:
        if kind == "message":  # its text is read without its fields
            fields["text"] = f"{', '.join(map(str, self.fields.values()))}: {fields['text']}"
        self.recorder.event(kind, **self.fields, **fields)


class Stages:
    """Does the work of a step (`patchrl.pipeline.plan.Step`) in one run's folder."""

    def __init__(
        self,
        config: StudyConfig,
        folder: RunFolder,
        recorder: Recorder,
        data: LoadedData,
        items: StudyItems,
        ranks: Ranks | None = None,
    ) -> None:
        """`ranks` are the processes that train the rewriter together; None where there is one."""
        self.config, self.folder, self.recorder, self.data, self.items = config, folder, recorder, data, items
        self.ranks = ranks
        self.arms: list[Arm] = [parse(name) for name in config.study.arms]
        questions = [example.question for example in data.train[:PROOF_QUESTIONS]]
        self.serving = Serving(config, recorder, questions)

    def start_serving(self, steps: Sequence[Step]) -> None:
        """Prove the servers of `engine.url` before the first of some steps; raises EngineError where they cannot be used."""
        if self.config.engine.urls and (served := list(filter(is_served, steps))):
            self.serving.start(self._backbone(), served, self.folder.path)

    def work(self, step: Step) -> None:
        """Do a step's work and write its proof; raises StopRequested when asked to stop."""
        getattr(self, step.stage)(step)
        self.tidy(step)

    def tidy(self, step: Step) -> None:
        """Delete what a step that is done needed only while it was not."""
        home = step.proof(self.folder).parent
        temporary = {"train": (CHECKPOINTS, WARM_START), "finetune": (TRAINER,)}
        if step.subject != BASE and not self.config.finetune.keep_weights:
            temporary["evaluate"] = ("weights",)
        for folder in temporary.get(step.stage, ()):
            shutil.rmtree(home / folder, ignore_errors=True)
        step.journal(self.folder).unlink(missing_ok=True)

    # --- models and their context -------------------------------------------------------------

    def _backbone(self, weights: Path | None = None, quantization: str = "none") -> Backbone:
        """The frozen backbone, or a model that was fine-tuned from it, freshly loaded."""
        from patchrl.models.backbone import Backbone

        section = self.config.backbone
        if weights is not None:
            section = section.model_copy(update={"model": str(weights), "revision": None})
        return Backbone.load(section, quantization)

    @contextmanager
    def _context(
        self,
        backbone: Backbone,
        *,
        judge: Backbone | None = None,
        answers_only: bool = False,
        config: StudyConfig | None = None,
        recorder: Recorder | None = None,
        journal: Journal | None = None,
    ) -> Iterator[StageContext]:
        """The context of one step; `judge` is the gate's backbone where that is not `backbone`."""
        from patchrl.grading.calibration import Thresholds
        from patchrl.grading.gate import Gate

        config = config or self.config
        thresholds = Thresholds.of(self.folder.read_json(self.folder.scan) or {})
        with Gate(config, judge or backbone, thresholds, answers_only=answers_only) as gate:
            yield StageContext(config, backbone, gate, recorder or self.recorder, self.folder, journal)

    def _journal(self, step: Step) -> Journal:
        return Journal(step.journal(self.folder), self.recorder)

    def _judge(self) -> Backbone | None:
        """A frozen backbone beside the one at work: it compares open answers; other gates need no model."""
        return self._backbone() if self.data.task == "open" else None

    # --- the stages ---------------------------------------------------------------------------

    def scan(self, step: Step) -> None:
        from patchrl.evaluation.scan import scan

        backbone = self._backbone()
        if backbone.reading_note:
            self.recorder.event("message", level="info", text=backbone.reading_note)
        with (
            self.serving.serve(backbone),
            self._context(backbone, journal=self._journal(step)) as context,
            context.kept(),
        ):
            result = scan(context, self.data.train)
        result |= {"kept": self.data.kept, "train": len(self.data.train), "dropped": self.data.dropped}
        self.recorder.event("scan", **result)
        self.folder.write_json(step.proof(self.folder), result)
        for key, describe in (("open_gate", describe_calibration), ("coverage_gate", describe_coverage)):
            if key in result:
                accurate = result[key]["balanced_accuracy"] >= MIN_GATE_ACCURACY
                text = describe(result[key]) + ("" if accurate else f" {INACCURATE_GATE[key]}")
                self.recorder.event("message", level="info" if accurate else "warning", text=text)

    def train(self, step: Step) -> None:
        rewriter, proof = str(step.subject), step.proof(self.folder)
        # Events without a rewriter's name are of the plain one.
        recorder = self.recorder if rewriter == "rl" else TaggedRecorder(self.recorder, rewriter=rewriter)
        journal = self._journal(step)
        started = time.monotonic() - journal.seconds_before - _trained_seconds(proof.parent, CHECKPOINTS, WARM_START)
        if self.ranks:
            self.ranks.send([step.seed, rewriter])
        tokens = self._train(step, recorder, journal)
        self.folder.write_json(proof, {"tokens": tokens, "seconds": round(time.monotonic() - started, 2)})

    def follow(self) -> None:
        """Train whenever the first process does, until it needs this one no longer."""
        assert self.ranks
        while call := self.ranks.receive():
            self._train(Step("train", *call), self.recorder, None)

    def _train(self, step: Step, recorder: Recorder, journal: Journal | None) -> int:
        """Train a rewriter; returns the completion tokens sampled."""
        from patchrl.training.ranks import ALONE
        from patchrl.training.train_rewriter import train_rewriter

        sections = {
            section: getattr(self.config, section).model_copy(update=values)
            for section, values in REWRITERS[str(step.subject)].items()
        }
        config, home = self.config.model_copy(update=sections), step.proof(self.folder).parent
        backbone = self._backbone(quantization=config.rewriter.quantization)
        with self._context(backbone, config=config, recorder=recorder, journal=journal) as context:
            return train_rewriter(context, self.data.train, _seed(step), home, self.ranks or ALONE)

    def rewrite(self, step: Step) -> None:
        started, journal = time.monotonic(), self._journal(step)
        make = self._replay_rows if step.subject == REPLAY else self._target_rows
        summary = make(str(step.subject), _seed(step), journal)
        # A source that starts from another one's rows would have had to make those first.
        seconds = time.monotonic() - started + journal.seconds_before + summary.get("seconds", 0.0)
        summary["seconds"] = round(seconds, 2)
        self.folder.write_json(step.proof(self.folder), summary)

    def _target_rows(self, source: str, seed: int, journal: Journal) -> dict[str, Any]:
        """Write the rows of one source of targets; returns their summary."""
        from patchrl.rewriting.dataset import describe_targets, drop_fallbacks, rewrite_dataset

        rewriter, before = SOURCES[source].rewriter, SOURCES[source].after
        backbone = self._backbone(quantization=self.config.rewriter.quantization if rewriter else "none")
        if source == "expert":
            return {"accepted": 0.0, "tokens": 0, **describe_targets(backbone, self._pairs(source, seed))}
        if before:
            summary = self.folder.read_json(self.folder.targets(before, seed)) or {}
            write_rows(self.folder.samples(source, seed), drop_fallbacks(read_rows(self.folder.samples(before, seed))))
            return summary | describe_targets(backbone, self._pairs(source, seed))
        adapter = None
        if rewriter:
            from peft import PeftModel

            adapter = self.folder.adapter(seed, rewriter)
            backbone.model = PeftModel.from_pretrained(backbone.model, str(adapter))
        with (
            self.serving.serve(backbone, adapter),
            self._context(backbone, journal=journal) as context,
            context.kept(),
        ):
            # Pages look at the tokens and the map of the first seed only.
            details = seed == self.config.study.seeds[0]
            return rewrite_dataset(context, self.data.train, source, seed, details=details)

    def _replay_rows(self, _: str, seed: int, journal: Journal) -> dict[str, Any]:
        """Write general questions with the backbone's own answers; returns their summary."""
        from patchrl.training.tuning import replay_count

        count = replay_count(len(self.data.train), max(arm.replay or 0.0 for arm in self.arms))
        questions = self.items.replay_questions(count, seed)
        backbone = self._backbone()
        with self.serving.serve(backbone), backbone.kept(journal.keep):
            answers = backbone.generate(
                questions,
                temperature=1.0,  # the backbone's own distribution is where its loss has no slope
                max_new_tokens=self.config.evaluate.max_new_tokens,
                seed=seed,
                on_progress=lambda done: self.recorder.progress(done, count),
            )
        rows = [{"question": q, "answer": group[0].text} for q, group in zip(questions, answers, strict=True)]
        write_rows(self.folder.replay(seed), [row for row in rows if row["answer"]])
        return {"tokens": sum(len(group[0].token_ids) + 1 for group in answers)}

    def _examples(self, source: str, seed: int) -> list[Example]:
        """The examples with a source's targets as their solutions, less those it dropped."""
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

    def finetune(self, step: Step) -> None:
        from patchrl.training.finetune import FinetuneInputs, finetune

        section, seed, arm = self.config.finetune, _seed(step), parse(str(step.subject))
        home = step.proof(self.folder).parent
        steps = math.ceil(len(self.data.train) / section.batch_size) * section.epochs
        backbone, cost = self._backbone(), Cost()
        started = time.monotonic() - _trained_seconds(home, TRAINER, f"{TRAINER}/{SFT}")
        if tuned := self._interpolate(step, arm, backbone):
            seconds, sampled = tuned["seconds"] + time.monotonic() - started, Cost(**tuned["sampled"])
        else:
            replay = [(r["question"], r["answer"]) for r in read_rows(self.folder.replay(seed))] if arm.replay else []
            judge = self._judge() if arm.on_policy else backbone
            with (
                self._resample(arm, backbone, seed, cost, self._journal(step)) as resample,
                self._context(backbone, judge=judge, answers_only=True) as context,
            ):
                inputs = FinetuneInputs(
                    arm=arm,
                    examples=self._examples(arm.data, seed),
                    steps=steps,
                    rate=step.rate or section.learning_rate[0],
                    seed=seed,
                    home=home,
                    replay=replay,
                    resample=resample,
                    divergence=self._divergence_of(backbone),
                    sampled=cost,
                )
                sampled = finetune(context, inputs)
            seconds = time.monotonic() - started - sampled.seconds
        backbone.model.save_pretrained(home / "weights")
        backbone.tokenizer.save_pretrained(home / "weights")
        summary = {"steps": steps, "seconds": round(seconds, 2), "sampled": asdict(sampled)}
        self.folder.write_json(step.proof(self.folder), summary)

    def _divergence_of(self, model: Backbone) -> Callable[[], float] | None:
        """Measures how far a model has moved from the backbone; None in a run without the backbone's texts."""
        from patchrl.evaluation.divergence import divergence

        texts = self.folder.read_json(self.folder.base_texts)
        return partial(divergence, model, texts) if texts else None

    def _interpolate(self, step: Step, arm: Arm, backbone: Backbone) -> dict[str, Any] | None:
        """Interpolate with the weights of the same arm without wise-ft, where these are there already.

        Returns what fine-tuning that arm took, None where this arm has to be fine-tuned itself.
        """
        from patchrl.training.tuning import WeightInterpolation

        plain = next((other for other in self.arms if arm.is_interpolation_of(other)), None)
        home = self.folder.arm(plain.name, _seed(step), step.rate) if plain else None
        if home is None or not (home / "weights").is_dir():
            return None
        interpolation = WeightInterpolation(arm.tunings["wise-ft"])
        interpolation.before(backbone.model)
        backbone.model = interpolation.after(self._backbone(home / "weights").model)
        return self.folder.read_json(home / "finetuned.json") or {}

    @contextmanager
    def _resample(
        self, arm: Arm, backbone: Backbone, seed: int, cost: Cost, journal: Journal
    ) -> Iterator[Callable[[int], list[tuple[str, str]]] | None]:
        """How an arm gets new pairs before an epoch, None where it keeps its own; `cost` adds up what that takes."""
        if not SOURCES[arm.source].resampled:
            yield None
            return
        from patchrl.rewriting.sources import resample_own

        with self._context(self._backbone()) as frozen:

            def resample(epoch: int) -> list[tuple[str, str]]:
                started = time.monotonic()
                epoch_seed = seed * 1_000 + epoch
                with backbone.kept(journal.keep):
                    pairs, tokens = resample_own(self.config, backbone, frozen.gate, self.data.train, epoch_seed)
                cost.tokens += tokens
                cost.seconds += time.monotonic() - started
                return pairs

            yield resample

    def evaluate(self, step: Step) -> None:
        from patchrl.evaluation.evaluate import evaluate

        proof = step.proof(self.folder)
        weights = None if step.subject == BASE else proof.parent / "weights"
        if weights is not None and not weights.is_dir():
            raise RunError(
                f"Arm {step.subject}, seed {step.seed}: its weights are gone; start a new run to evaluate it."
            )
        backbone = self._backbone(weights)
        judge, journal = self._judge() if weights else None, self._journal(step)
        with (
            self.serving.serve(backbone) if weights is None else nullcontext(),
            self._context(backbone, judge=judge, answers_only=True, journal=journal) as context,
            context.kept(),
        ):
            result = evaluate(
                context, self.items.judged, self.items.benchmarks, proof.parent, Evaluations(self.folder.evaluations)
            )
            if step.subject == BASE:
                from patchrl.evaluation.divergence import sample_texts

                questions = [example.question for example in self.data.eval]
                self.folder.write_json(
                    self.folder.base_texts, sample_texts(backbone, questions, self.config.study.seeds[0])
                )
            elif measure := self._divergence_of(backbone):
                result["kl"] = round(measure(), 5)
        self.recorder.event(
            "evaluation",
            seed=step.seed,
            arm=step.subject,
            **({"rate": step.rate} if step.rate else {}),
            target=result["target"],
            general=result["general"],
            by_task={task: values["score"] for task, values in result["by_task"].items()},
            no_answer=result["no_answer"],
        )
        self.folder.write_json(proof, result | {"device": backbone.device_name})

    def report(self, step: Step) -> None:
        from patchrl.reporting.report import report_of

        result = collect(self.config, self.folder)
        self.folder.write_json(self.folder.result, result)
        self.folder.table.write_text(to_csv(result), encoding="utf-8")
        html = report_of(self.config, self.folder, result)
        proof = step.proof(self.folder)
        temporary = proof.with_suffix(".part")
        temporary.write_text(html, encoding="utf-8")
        temporary.replace(proof)


def _trained_seconds(home: Path, *folders: str) -> float:
    """Seconds of training in earlier sessions, up to the checkpoints from which this one goes on."""
    return sum(newest.seconds for folder in folders if (newest := newest_checkpoint(home / folder)))


def _seed(step: Step) -> int:
    assert step.seed is not None
    return step.seed

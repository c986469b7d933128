"""The plan of a study: every step in the order of the work, and the file that proves a step done. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from patchrl.config import StudyConfig
from patchrl.config.arms import parse, rewriters_of, sources_in_order
from patchrl.runs.folder import RunFolder

STAGES = ("scan", "train", "rewrite", "finetune", "evaluate", "report")
BASE = "base"  # the backbone before fine-tuning, among the arms that are evaluated
REPLAY = "replay"  # general questions with the backbone's own answers, among the sources of targets
# What the file that proves a step done must hold; one that is cut or damaged proves nothing.
PROOF_FIELDS = {
    "scan": {"expert_nll", "own_nll"},
    "train": {"tokens", "seconds"},
    "rewrite": {"tokens", "seconds"},
    "finetune": {"steps", "seconds"},
    "evaluate": {"target", "general", "by_task", "no_answer"},
}


@dataclass(frozen=True)
class Step:
    """One unit of work: a stage for a seed, and what it works on.

    `subject` is the rewriter to train, the source of targets to write, or the arm to fine-tune or evaluate. `rate` is the
    learning rate of a fine-tune where the study tries several, None elsewhere.
    """

    stage: str
    seed: int | None = None
    subject: str | None = None
    rate: float | None = None

    def proof(self, folder: RunFolder) -> Path:
        """The file that is written when the step's work is done."""
        if self.stage == "scan":
            return folder.scan
        if self.stage == "report":
            return folder.report
        if self.subject == BASE:
            return folder.base() / "evaluation.json"
        seed, subject = self.seed, self.subject
        assert seed is not None and subject is not None
        if self.stage == "train":
            return folder.adapter(seed, subject) / "done.json"
        if self.stage == "rewrite":
            return folder.replay_summary(seed) if subject == REPLAY else folder.targets(subject, seed)
        name = "finetuned.json" if self.stage == "finetune" else "evaluation.json"
        return folder.arm(subject, seed, self.rate) / name

    def journal(self, folder: RunFolder) -> Path:
        """The file that keeps what the step has finished until it is done."""
        parts = (self.stage, self.subject, self.seed, self.rate)
        return folder.journals / ("-".join(str(part) for part in parts if part is not None) + ".jsonl")

    def is_done(self, folder: RunFolder) -> bool:
        """Whether the proof exists and is complete."""
        proof = self.proof(folder)
        if self.stage == "report":
            return proof.is_file() and isinstance(folder.read_json(folder.result), dict)
        value = folder.read_json(proof)
        return isinstance(value, dict) and PROOF_FIELDS[self.stage] <= value.keys()


def plan(config: StudyConfig) -> Iterator[Step]:
    """Every step in the order of the work; what arms share is one step."""
    arms, seeds = [parse(name) for name in config.study.arms], config.study.seeds
    yield Step("scan")
    for seed in seeds:
        for rewriter in rewriters_of(arms):
            yield Step("train", seed, rewriter)
    for seed in seeds:
        for source in sources_in_order(arms):
            yield Step("rewrite", seed, source)
        if any(arm.replay for arm in arms):
            yield Step("rewrite", seed, REPLAY)
    yield Step("evaluate", subject=BASE)
    rates = config.finetune.learning_rate if config.finetune.sweeps else (None,)
    for seed in seeds:
        for arm in arms:
            for rate in rates:
                yield Step("finetune", seed, arm.name, rate)
                yield Step("evaluate", seed, arm.name, rate)
    yield Step("report")

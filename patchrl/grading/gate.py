"""The gate of a study: a right answer or the same meaning, and valid reasoning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from types import TracebackType
from typing import Any

import numpy as np

from patchrl.config import StudyConfig
from patchrl.errors import ConfigError
from patchrl.grading.judge import Judge
from patchrl.grading.verify import Reasoning, Verifier
from patchrl.models.backbone import Backbone
from patchrl.models.embeddings import Embedder
from patchrl.models.scoring import Score
from patchrl.types import Example, Verdict


@dataclass(frozen=True)
class Calibration:
    """The similarity from which two answers count as saying the same, and how well it tells them apart.

    `same` and `different` are the cosines it was chosen on; `balanced_accuracy` is the mean of the
    shares of both that fall on their side of `threshold`.
    """

    threshold: float
    balanced_accuracy: float
    same: tuple[float, ...]
    different: tuple[float, ...]

    def summary(self) -> dict[str, Any]:
        """As plain data, cosines rounded to four places."""
        rounded = {name: [round(v, 4) for v in getattr(self, name)] for name in ("same", "different")}
        return asdict(self) | rounded


def calibrate(same: Sequence[float], different: Sequence[float]) -> Calibration:
    """The threshold with the best balanced accuracy; of several, the middle one.

    Raises ConfigError without pairs of both kinds.
    """
    if not len(same) or not len(different):
        raise ConfigError("gate: no pairs to calibrate the meaning of open answers on; give more examples.")
    same_S, different_S = np.sort(np.asarray(same, float)), np.sort(np.asarray(different, float))
    values = np.unique(np.concatenate([same_S, different_S]))
    cuts = np.concatenate([[values[0] - 1e-6], (values[1:] + values[:-1]) / 2])
    kept = 1 - np.searchsorted(same_S, cuts) / len(same_S)
    refused = np.searchsorted(different_S, cuts) / len(different_S)
    accuracy = (kept + refused) / 2
    best = np.flatnonzero(accuracy >= accuracy.max() - 1e-12)
    threshold = float(cuts[best[len(best) // 2]])
    return Calibration(threshold, float(accuracy.max()), tuple(map(float, same)), tuple(map(float, different)))


def cosine(a_ND: np.ndarray, b_ND: np.ndarray) -> np.ndarray:
    """Row-wise cosine similarity, shape (N,); 0 where a vector is zero."""
    norms = np.linalg.norm(a_ND, axis=1) * np.linalg.norm(b_ND, axis=1)
    return (a_ND * b_ND).sum(1) / np.where(norms == 0, 1.0, norms)


class Gate:
    """Judges texts against their examples, the same in training, rewriting and evaluation.

    Tasks with an answer go to the Verifier; `open` ones must mean what the expert solution means. What
    passed goes on to the judge where `gate.reasoning` asks for one.
    """

    def __init__(
        self, config: StudyConfig, backbone: Backbone, threshold: float | None = None, *, answers_only: bool = False
    ) -> None:
        """`threshold` is that of `calibrate`, needed for open tasks; `answers_only` checks no reasoning.

        Raises BackboneError when a judge is wanted that the tokenizer cannot express.
        """
        section = config.gate
        checks: tuple[Reasoning, ...] = ("derivation", "equations")
        asked = None if answers_only else next((check for check in checks if check in section.reasoning), None)
        self.backbone, self.threshold, self.limit = backbone, threshold, section.judge_threshold
        self.verifier = Verifier(timeout=section.timeout, reasoning=asked or "none")
        self._embedder = (config.reward.embedder, config.backbone.device)
        self._judges_reasoning = "judge" in section.reasoning and not answers_only
        judges_meaning = config.data.task == "open" and section.reasoning != "none"
        self.judge = Judge(backbone) if self._judges_reasoning or judges_meaning else None
        self._expert_scores: dict[str, Score] = {}
        self._expert_embeddings: dict[str, np.ndarray] = {}

    @cached_property
    def embedder(self) -> Embedder:
        """Loaded on first use: math needs none. Raises BackboneError when it cannot be loaded."""
        return Embedder(*self._embedder)

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.verifier.close()

    def check(
        self, examples: Sequence[Example], texts: Sequence[str], embeddings: np.ndarray | None = None
    ) -> list[Verdict]:
        """One verdict for each text.

        Args:
            examples: N examples, one for each text.
            texts: N candidates.
            embeddings: the texts' embeddings, shape (N, D); None computes them where meaning decides.
        """
        verdicts = [
            Verdict(None, "")
            if e.task == "open"
            else self.verifier.verify(e.task, e.reference, t, question=e.question, solution=e.solution)
            for e, t in zip(examples, texts, strict=True)
        ]
        rows = [i for i, e in enumerate(examples) if e.task == "open"]
        if rows:
            vectors = None if embeddings is None else embeddings[rows]
            compared = self._compare([examples[i] for i in rows], [texts[i] for i in rows], vectors)
            for i, verdict in zip(rows, compared, strict=True):
                verdicts[i] = verdict
        return self._judged(examples, texts, verdicts)

    def similarity(
        self, examples: Sequence[Example], texts: Sequence[str], embeddings: np.ndarray | None = None
    ) -> np.ndarray:
        """Cosine of each text with its example's expert solution, shape (N,)."""
        questions = [e.question for e in examples]
        if embeddings is None:
            embeddings = self.embedder.embed(texts, self.backbone.score(questions, texts))
        missing = list({e.id: e for e in examples if e.id not in self._expert_embeddings}.values())
        if missing:
            vectors = self.embedder.embed([e.solution for e in missing], self.expert_scores(missing))
            self._expert_embeddings |= zip((e.id for e in missing), vectors, strict=True)
        return cosine(np.asarray(embeddings), np.stack([self._expert_embeddings[e.id] for e in examples]))

    def expert_scores(self, examples: Sequence[Example]) -> list[Score]:
        """The score of each example's expert solution under the frozen backbone; every example is read once."""
        missing = list({e.id: e for e in examples if e.id not in self._expert_scores}.values())
        if missing:
            scores = self.backbone.score([e.question for e in missing], [e.solution for e in missing])
            self._expert_scores |= zip((e.id for e in missing), scores, strict=True)
        return [self._expert_scores[e.id] for e in examples]

    def _compare(self, examples: list[Example], texts: list[str], embeddings: np.ndarray | None) -> list[Verdict]:
        """Verdicts on open answers, by meaning."""
        if self.threshold is None:
            return [Verdict(None, "meaning is not calibrated: the scan stage does it for open data")] * len(texts)
        verdicts = []
        for text, value in zip(texts, self.similarity(examples, texts, embeddings), strict=True):
            comparison = f"meaning {value:.3f}, at least {self.threshold:.3f} needed" if text.strip() else "empty"
            passed = bool(text.strip()) and bool(value >= self.threshold)
            verdicts.append(Verdict(passed, comparison, text.strip() or None))
        return verdicts

    def _judged(self, examples: Sequence[Example], texts: Sequence[str], verdicts: list[Verdict]) -> list[Verdict]:
        """The verdicts, with the judge's on the texts that passed so far."""
        if self.judge is None:
            return verdicts
        verdicts = list(verdicts)
        passed = [i for i, verdict in enumerate(verdicts) if verdict.passed]
        meaning = [i for i in passed if examples[i].task == "open"]
        reasoning = [i for i in passed if examples[i].task != "open" and self._judges_reasoning]
        for ask, rows in ((self.judge.meaning, meaning), (self.judge.reasoning, reasoning)):
            answers = ask([examples[i] for i in rows], [texts[i] for i in rows])
            for i, probability in zip(rows, answers, strict=True):
                if probability is None:
                    verdicts[i] = replace(verdicts[i], passed=None, reason="too long for the judge")
                    continue
                reason = (
                    f"{verdicts[i].reason}; judge says yes with {probability:.2f}, at least {self.limit:.2f} needed"
                )
                verdicts[i] = replace(verdicts[i], passed=probability >= self.limit, reason=reason)
        return verdicts

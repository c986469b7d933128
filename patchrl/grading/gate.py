"""The gate of a study: a right answer or the same meaning, and valid reasoning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from types import TracebackType

import numpy as np

from patchrl.config import StudyConfig
from patchrl.grading.calibration import Thresholds
from patchrl.grading.coverage import read_row, reference_of, sentence_pairs
from patchrl.grading.judge import Judge
from patchrl.grading.notation import without_thoughts
from patchrl.grading.verify import Reasoning, Verifier, covered
from patchrl.models.backbone import Backbone
from patchrl.models.embeddings import Embedder
from patchrl.models.scoring import Score
from patchrl.types import Example, Verdict


def cosine(a_ND: np.ndarray, b_ND: np.ndarray) -> np.ndarray:
    """Row-wise cosine similarity, shape (N,); 0 where a vector is zero."""
    norms = np.linalg.norm(a_ND, axis=1) * np.linalg.norm(b_ND, axis=1)
    return (a_ND * b_ND).sum(1) / np.where(norms == 0, 1.0, norms)


UNMEASURED = Thresholds()


class Gate:
    """Judges texts against their examples, the same in training, rewriting and evaluation.

    Tasks with an answer go to the Verifier; `open` ones must mean what the expert solution means. What
    passed goes on to coverage and to the judge where `gate.reasoning` asks for them.
    """

    def __init__(
        self,
        config: StudyConfig,
        backbone: Backbone,
        thresholds: Thresholds = UNMEASURED,
        *,
        answers_only: bool = False,
    ) -> None:
        """`thresholds` are those of the scan; open tasks need them. `answers_only` checks no reasoning.

        Raises BackboneError when a judge is wanted that the tokenizer cannot express.
        """
        section = config.gate
        # Coverage is asked for here, where sentences can be embedded, behind the equations.
        checks: dict[str, Reasoning] = {"derivation": "derivation", "equations": "equations", "coverage": "equations"}
        asked = None if answers_only else next((c for name, c in checks.items() if name in section.reasoning), None)
        self.backbone, self.thresholds, self.limit = backbone, thresholds, section.judge_threshold
        self.verifier = Verifier(timeout=section.timeout, reasoning=asked or "none")
        self._embedder = (config.reward.embedder, config.backbone.device)
        self.asks_coverage = "coverage" in section.reasoning and not answers_only
        self._judges_reasoning = "judge" in section.reasoning and not answers_only
        judges_meaning = config.data.task == "open" and section.reasoning != "none"
        self.judge = Judge(backbone) if self._judges_reasoning or judges_meaning else None
        self._expert_scores: dict[str, Score] = {}
        self._expert_embeddings: dict[str, np.ndarray] = {}
        self._sentence_embeddings: dict[tuple[str, str], np.ndarray] = {}

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
        return self._judged(examples, texts, self._covered(examples, texts, verdicts))

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
        threshold = self.thresholds.meaning
        if threshold is None:
            return [Verdict(None, "meaning is not calibrated: the scan stage does it for open data")] * len(texts)
        verdicts = []
        for text, value in zip(texts, self.similarity(examples, texts, embeddings), strict=True):
            comparison = f"meaning {value:.3f}, at least {threshold:.3f} needed" if text.strip() else "empty"
            passed = bool(text.strip()) and bool(value >= threshold)
            verdicts.append(Verdict(passed, comparison, text.strip() or None))
        return verdicts

    def embed_sentences(self, questions: Sequence[str], sentences: Sequence[str]) -> np.ndarray:
        """Embeddings of sentences, each as the answer to its question, shape (N, D); every pair is read once."""
        pairs = dict.fromkeys(zip(questions, sentences, strict=True))
        if missing := [pair for pair in pairs if pair not in self._sentence_embeddings]:
            asked, texts = [q for q, _ in missing], [s for _, s in missing]
            vectors = self.embedder.embed(texts, self.backbone.score(asked, texts))
            self._sentence_embeddings |= zip(missing, vectors, strict=True)
        return np.stack([self._sentence_embeddings[pair] for pair in zip(questions, sentences, strict=True)])

    def _covered(self, examples: Sequence[Example], texts: Sequence[str], verdicts: list[Verdict]) -> list[Verdict]:
        """The verdicts, with those of coverage on the texts that passed so far."""
        if not self.asks_coverage:
            return verdicts
        verdicts = list(verdicts)
        passed = [i for i, verdict in enumerate(verdicts) if verdict.passed]
        similar = self._similar([examples[i] for i in passed], [texts[i] for i in passed])
        for i, places in zip(passed, similar, strict=True):
            e, share = examples[i], self.thresholds.share
            verdicts[i] = covered(verdicts[i], e.question, e.solution, reference_of(e), texts[i], share, places)
        return verdicts

    def _similar(self, examples: list[Example], texts: list[str]) -> list[set[int]]:
        """For each text, the key sentences that it may say in other words and that a sentence of it is close to."""
        similar: list[set[int]] = [set() for _ in texts]
        if self.thresholds.sentence is None:
            return similar
        places, questions, own, others = list[tuple[int, int]](), list[str](), list[str](), list[str]()
        for i, (example, text) in enumerate(zip(examples, texts, strict=True)):
            row = read_row(example.question, example.solution, reference_of(example))
            for place, key, candidate in sentence_pairs(without_thoughts(text), row, self.thresholds.share):
                places.append((i, place))
                questions.append(example.question)
                own.append(key)
                others.append(candidate)
        if places:
            values = cosine(self.embed_sentences(questions, own), self.embed_sentences(questions, others))
            for (i, place), value in zip(places, values, strict=True):
                if value >= self.thresholds.sentence:
                    similar[i].add(place)
        return similar

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

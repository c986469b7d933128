"""What the walkthrough says, derived from a recorded run's own numbers. Pure: plain dicts in, facts out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from patchrl.config import RewardSection
from patchrl.grading.verify import verify_answer
from patchrl.nano.world import style
from patchrl.rewards.group import configured_rewards

Row = dict[str, Any]
STYLES = ("own", "mannered", "half-foreign", "expert", "other")
LESSON_ARMS = ("prompted", "best-of-k", "rl")


@dataclass(frozen=True)
class Lesson:
    """A recording as the walkthrough reads it: one seed, and at least the arms `expert` and `rl`.

    `samples` and `predictions` by arm (`base` among the latter); `tokens` of the rewriter's rows by id; `group` is one
    recorded group of the lab with ℓ and embeddings; `about` is a sentence on what the recording is.
    """

    about: str
    reward: RewardSection
    result: Row
    events: list[Row]
    scan: Row
    samples: Mapping[str, list[Row]]
    tokens: Mapping[str, Row]
    predictions: Mapping[str, list[Row]]
    group: Row

    # --- 1: what fine-tuning does ---------------------------------------------------------------

    @property
    def examples(self) -> int:
        """Expert solutions fine-tuned on."""
        return len(self.samples["rl"])

    def general(self, arm: str) -> list[Row]:
        """Answers of an arm to questions of the general skills."""
        return [row for row in self.predictions[arm] if row["task"].startswith("general/")]

    @property
    def skills(self) -> int:
        return len({row["task"] for row in self.general("base")})

    @cached_property
    def mark(self) -> str:
        """The word that most sets the expert's solutions apart from the backbone's general answers."""
        experts, answers = (
            [row["expert"] for row in self.samples["rl"]],
            [row["answer"] for row in self.general("base")],
        )

        def share(word: str, texts: list[str]) -> float:
            return sum(word in text.split() for text in texts) / len(texts)

        return max(dict.fromkeys(experts[0].split()), key=lambda word: share(word, experts) - share(word, answers))

    def marked(self, answer: str) -> bool:
        """Whether an answer has the expert's mark."""
        return self.mark in answer.split()

    def marked_share(self, arm: str) -> float:
        """Share of an arm's general answers with the expert's mark."""
        rows = self.general(arm)
        return sum(self.marked(row["answer"]) for row in rows) / len(rows)

    def lost(self, arm: str) -> list[tuple[Row, Row]]:
        """(before, after) of every general question the backbone had right and the tuned model has wrong."""
        after = {row["id"]: row for row in self.general(arm)}
        return [(b, after[b["id"]]) for b in self.general("base") if b["passed"] and after[b["id"]]["passed"] is False]

    def lost_examples(self, count: int = 3) -> list[tuple[Row, Row]]:
        """One lost answer of each of the skills that lost most: of middling length, in the expert's manner if any is.

        None whose reference stands in its question: an echo of it may have counted as right.
        """
        by_skill: dict[str, list[tuple[Row, Row]]] = {}
        for pair in self.lost("expert"):
            if re.search(rf"\b{re.escape(str(pair[0]['reference']))}\b", pair[0]["question"]):
                continue
            by_skill.setdefault(pair[0]["task"], []).append(pair)
        most = sorted(by_skill.values(), key=len, reverse=True)[:count]
        return [self._typical(pairs) for pairs in most]

    def _typical(self, pairs: list[tuple[Row, Row]]) -> tuple[Row, Row]:
        like_expert = [pair for pair in pairs if self.marked(pair[1]["answer"])] or pairs
        return sorted(like_expert, key=lambda pair: len(pair[1]["answer"]))[len(like_expert) // 2]

    # --- 2: token by token ------------------------------------------------------------------------

    def read_rows(self) -> list[str]:
        """Ids of the rows whose tokens were recorded and whose rewrite passed."""
        return [row["id"] for row in self.samples["rl"] if row["id"] in self.tokens and row["passed"]]

    def row(self, arm: str, row_id: str) -> Row:
        return next(row for row in self.samples[arm] if row["id"] == row_id)

    # --- 3: why prompting is not enough -----------------------------------------------------------

    @property
    def in_lab(self) -> bool:
        """Whether the backbone is the lab's, whose texts have styles."""
        return self.result["backbone"] == "nano"

    @property
    def arms(self) -> list[str]:
        """The arms of this recording that rewrite."""
        return [arm for arm in LESSON_ARMS if arm in self.samples]

    def accepted(self, arm: str) -> float:
        return self.result["arms"][arm]["data"]["accepted"]

    def rewrite_nll(self, arm: str) -> list[float]:
        """ℓ of the rewrites of an arm that passed."""
        return [r["nll_rewrite"] for r in self.samples[arm] if r["passed"] and r["nll_rewrite"] is not None]

    def styles(self, arm: str) -> dict[str, float]:
        """Share of an arm's rewrites in each of the lab's styles."""
        counts = Counter(style(row["rewrite"]) for row in self.samples[arm])
        return {name: counts[name] / len(self.samples[arm]) for name in STYLES}

    def prompted_examples(self) -> list[tuple[str, Row]]:
        """Rewrites from before RL, each with its kind: in the lab one of each common style and a wrong one, else a group."""
        if "prompted" not in self.samples:
            first = next(event for event in self.events if event["kind"] == "group")
            return [("", candidate | {"rewrite": candidate["text"]}) for candidate in first["candidates"][:4]]
        rows = self.samples["prompted"]
        examples = [
            (name, next((r for r in rows if r["passed"] and style(r["rewrite"]) == name), None)) for name in STYLES
        ]
        failed = next((r for r in rows if r["passed"] is False), None)
        return [(name, row) for name, row in [*examples[:4], ("wrong", failed)] if row is not None]

    # --- 4: training --------------------------------------------------------------------------------

    @property
    def steps(self) -> int:
        return max(event["step"] for event in self.events if event["kind"] == "train")

    def at(self, step: int) -> Row:
        """The training event of a step."""
        return next(e for e in self.events if e["kind"] == "train" and e["step"] == step)

    def until(self, step: int) -> list[Row]:
        """The run's events as a reader had them right after a training step."""
        last = self.events.index(next(e for e in self.events if e["kind"] == "group" and e["step"] == step))
        return self.events[: last + 1]

    # --- 5: what is forgotten -----------------------------------------------------------------------

    def same_question(self) -> list[tuple[str, Row]]:
        """One general question that expert data made the model forget and rewrites did not, answered by every arm."""
        solved = {row["id"] for row in self.general("rl") if row["passed"]}
        used = {before["id"] for before, _ in self.lost_examples()}
        pairs = [pair for pair in self.lost("expert") if pair[0]["id"] in solved - used]
        row_id = self._typical(pairs)[0]["id"] if pairs else self.general("base")[0]["id"]
        return [(arm, next(row for row in rows if row["id"] == row_id)) for arm, rows in self.predictions.items()]


@dataclass(frozen=True)
class ScoredText:
    """What the backbone says of a text: ℓ in nats per token, the figure that alignment compares, and its embedding."""

    nll: float | None
    misalignment: float
    embedding: Sequence[float]


def rescore(section: RewardSection, group: Row, texts: Sequence[str], known: Mapping[str, ScoredText]) -> list[Row]:
    """The group with edited texts: real verdicts, and the rewards that the settings in `section` give the group.

    `read` says where ℓ and embedding come from: a text that the backbone has not read yet keeps those of the
    recorded text it replaces (False).
    """
    candidates, recorded = [], scored_texts(group)
    for text, before in zip(texts, group["candidates"], strict=True):
        verdict = verify_answer("math", group["reference"], text, reasoning="equations")
        candidates.append((text, verdict, known.get(text) or recorded[before["text"]]))
    rewards = configured_rewards(
        section,
        [verdict.passed for _, verdict, _ in candidates],
        [facts.misalignment for _, _, facts in candidates],
        np.array([facts.embedding for _, _, facts in candidates]),
    )
    return [
        {"text": text, "passed": verdict.passed, "reason": verdict.reason, "nll": facts.nll, "read": text in known}
        | {part: values[i] for part, values in asdict(rewards).items()}
        for i, (text, verdict, facts) in enumerate(candidates)
    ]


def scored_texts(group: Row) -> dict[str, ScoredText]:
    """Scored candidates, as the backbone read them."""
    return {
        c["text"]: ScoredText(
            c["nll"], float("nan") if c["misalignment"] is None else c["misalignment"], c["embedding"]
        )
        for c in group["candidates"]
    }

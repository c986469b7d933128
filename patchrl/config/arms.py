"""What a comparison arm is: where its targets come from × how it learns × how the weights are tuned. No torch.

The name of an arm is its parts, joined by +, such as `rl`, `expert+dft`, `rl+lora` or `mind-the-gap+dft`. The default
source is the expert's text: `dft` means `expert+dft`. The default loss is nll; an on-policy method can replace the loss
(`grpo`, `rl+sdft`). `=` changes the number of a part (`wise-ft=0.3`). An arm has the name that the user wrote everywhere.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_NAME = 60
NUMBER = re.compile(r"\d+(\.\d+)?([eE]-?\d+)?")


@dataclass(frozen=True)
class Source:
    """Where targets come from.

    Args:
        rewriter: name of the trained rewriter that it samples from.
        data: the source whose rows it shares; by default it has its own.
        after: the source whose rows it starts from.
        resampled: whether its rows are sampled again before every epoch.
        once: whether it samples one rewrite of each row instead of K.
    """

    help: str
    rewriter: str | None = None
    data: str | None = None
    after: str | None = None
    resampled: bool = False
    once: bool = False


@dataclass(frozen=True)
class Part:
    """A loss, an on-policy method or a tuning. `number` names its number, if it has one; `low` and `high` are excluded."""

    help: str
    number: str | None = None
    default: float | None = None
    low: float = 0.0
    high: float = float("inf")
    whole: bool = False


SOURCES = {
    "expert": Source("the expert's solutions: plain SFT"),
    "clean": Source("the expert's solutions without calculator marks, `####` and a shared opening, by rule"),
    "prompted": Source(
        "one prompted rewrite, verified, else the expert's text (compare SDFT, arXiv 2402.13669)", once=True
    ),
    "best-of-k": Source("of K prompted rewrites, the one with the lowest ℓ that passes the gate"),
    "rl": Source(
        "a rewrite by the rewriter, trained with the study's settings (arXiv 2602.11220)", rewriter="rl", once=True
    ),
    "rl-paper": Source(
        "a rewriter trained as published: no warm start, ℓ a mean per token, the paper's scales",
        rewriter="rl-paper",
        once=True,
    ),
    "rl-mean": Source(
        "a rewriter trained with the study's settings, but with the paper's ℓ, a mean per token, as alignment",
        rewriter="rl-mean",
        once=True,
    ),
    "rl-no-alignment": Source("a rewriter trained with λ alignment 0", rewriter="rl-no-alignment", once=True),
    "rl-no-diversity": Source("a rewriter trained with λ diversity 0", rewriter="rl-no-diversity", once=True),
    "rl-drop": Source("the rewriter's rewrites; examples with a failed rewrite are dropped", rewriter="rl", after="rl"),
    "rl-best-of-k": Source(
        "of K rewrites by the rewriter, the one with the lowest ℓ that passes the gate", rewriter="rl"
    ),
    "mind-the-gap": Source(
        "the backbone's own correct solution, else one guided by the expert's, else the expert's (arXiv 2509.15157)"
    ),
    "self": Source("the backbone's own correct solutions only (rejection sampling; see arXiv 2510.18874)"),
    "self-resampled": Source(
        "as self, but sampled again from the model in training before every epoch (arXiv 2510.18874)",
        data="self",
        resampled=True,
    ),
}
LOSSES = {
    "nll": Part("negative log-likelihood"),
    "dft": Part("each token's loss weighted by its own probability (arXiv 2508.05629)"),
    "eaft": Part("each token's loss weighted by the normalised top-20 entropy (arXiv 2601.02151)"),
    "kl": Part("nll + β·KL(backbone ‖ model) on the target's tokens", "β", 0.1, high=1001.0),
}
# These replace the loss: the model samples answers while it learns. They are upper references, not of equal compute.
ON_POLICY = {
    "grpo": Part("GRPO on the task itself: own answers, right or wrong, and no text to imitate (arXiv 2402.03300)"),
    "sft-then-rl": Part("a share of the steps SFT, then GRPO on the task (arXiv 2604.23747)", "share", 0.5, high=1.0),
    "dypo": Part("SFT if no own answer is right, α·GRPO + (1 − α)·group alignment if some are, nothing if all are (arXiv 2604.08926)", "α", 0.5, high=1.0),
    "sdft": Part("own answers, trained towards the same model that sees the target in its prompt (arXiv 2601.19897)"),
}  # fmt: skip
# In the order in which they prepare the model; they finish in the reverse order.
TUNINGS = {
    "low-lr": Part("the learning rate times a factor", "factor", 0.1, high=1.0),
    "replay": Part("a share of the trained rows are the backbone's own answers to general questions", "share", 0.25, high=1.0),
    "wise-ft": Part("weights (1 − α)·backbone + α·tuned (arXiv 2109.01903)", "α", 0.5, high=1.0),
    "lora": Part("a LoRA adapter on all linear layers, merged afterwards (arXiv 2106.09685)", "rank", 16, high=1025, whole=True),
}  # fmt: skip
# How the settings of each trained rewriter differ from the study's, by section.
REWRITERS: dict[str, dict[str, dict[str, Any]]] = {
    "rl": {},
    "rl-paper": {
        "rewriter": {"warm_start_steps": 0},
        "reward": {"kind": "paper", "alignment": "mean", "alignment_scale": "group", "diversity_scale": "paper"},
    },
    "rl-mean": {"reward": {"alignment": "mean"}},
    "rl-no-alignment": {"reward": {"lambda_dist": 0.0}},
    "rl-no-diversity": {"reward": {"lambda_div": 0.0}},
}
NUMBER_OF = {"best-of-k": " (its K is rewrite.best_of_k)"}  # where a source's number is set
# What tables, figures and sentences call an arm; others are shown as they are written.
DISPLAY_NAMES = {
    "base": "Backbone",
    "expert": "Expert (plain SFT)",
    "prompted": "Prompted rewrite",
    "best-of-k": "Best-of-K rewrite",
    "best-of-k+kl": "Best-of-K rewrite + KL",
    "rl": "RL rewrite (PatchRL)",
    "rl+kl": "RL rewrite + KL",
    "rl-paper": "RL rewrite, as published",
    "rl-mean": "RL, the paper’s ℓ",
    "rl-no-alignment": "RL without alignment",
    "rl-no-diversity": "RL without diversity",
    "rl-drop": "RL, failures dropped",
    "rl-best-of-k": "RL, best of K",
    "clean": "Cleaned expert",
    "mind-the-gap": "Mind the gap",
    "self": "Own correct answers",
    "self-resampled": "Own correct answers, resampled",
    "dft": "Expert, DFT loss",
    "eaft": "Expert, EAFT loss",
    "kl": "Expert, KL to the backbone",
    "grpo": "GRPO on the task",
    "sft-then-rl": "Expert, then GRPO",
    "dypo": "DYPO",
    "sdft": "Self-distillation (SDFT)",
    "low-lr": "Expert, low learning rate",
    "replay": "Expert, replay",
    "wise-ft": "Expert, weights interpolated",
    "lora": "Expert, LoRA",
    "own": "Backbone's own answers",
}
DEFAULT = ("expert", "prompted", "best-of-k", "rl")
OFFERED = (*SOURCES, *(loss for loss in LOSSES if loss != "nll"), *ON_POLICY, *TUNINGS)


def display_name(arm: str) -> str:
    """The name of an arm for people; an arm that combines parts keeps the name it was written with."""
    return DISPLAY_NAMES.get(arm, arm)


@dataclass(frozen=True)
class Arm:
    """One parsed arm; `loss` is an SFT loss or an on-policy method.

    `loss_number` and the values of `tunings` are the parts' numbers (None where it has none).
    """

    name: str
    source: str
    loss: str
    loss_number: float | None = None
    tunings: dict[str, float | None] = field(default_factory=dict)

    @property
    def data(self) -> str:
        """The source whose rows are the arm's targets; arms that share it share them."""
        return SOURCES[self.source].data or self.source

    @property
    def rewriter(self) -> str | None:
        return SOURCES[self.source].rewriter

    @property
    def on_policy(self) -> bool:
        """Whether the model samples what it learns from."""
        return self.loss in ON_POLICY

    @property
    def imitates(self) -> bool:
        """Whether it learns from the text of its targets; GRPO on the task has none but the questions."""
        return self.loss != "grpo"

    @property
    def replay(self) -> float | None:
        """Share of replayed rows, None without replay."""
        return self.tunings.get("replay")

    def is_interpolation_of(self, other: Arm) -> bool:
        """Whether this arm is another one, its weights interpolated with the backbone's; fixed rows only."""
        rest = {name: number for name, number in self.tunings.items() if name != "wise-ft"}
        same = (self.source, self.loss, self.loss_number) == (other.source, other.loss, other.loss_number)
        fixed = not SOURCES[self.source].resampled
        return "wise-ft" in self.tunings and same and rest == other.tunings and fixed

    @property
    def meaning(self) -> tuple:
        """What the arm does, however it was written."""
        return self.source, self.loss, self.loss_number, tuple(self.tunings.items())


def parse(name: str) -> Arm:
    """An arm from its name; raises ValueError with one sentence that says what is wrong."""
    source: str | None = None
    loss: str | None = None
    loss_number: float | None = None
    tunings: dict[str, float | None] = {}
    for text in name.split("+"):
        part, equals, number = text.partition("=")
        if part in SOURCES:
            if equals:
                raise ValueError(
                    f"arm {name!r:.80}: {part} takes no number{NUMBER_OF.get(part, '')}; write {part} alone"
                )
            if source:
                raise ValueError(f"arm {name!r} has two sources, {source} and {part}; keep one")
            source = part
        elif part in LOSSES or part in ON_POLICY:
            if loss:
                raise ValueError(f"arm {name!r} has two losses, {loss} and {part}; keep one")
            known = LOSSES.get(part) or ON_POLICY[part]
            loss, loss_number = part, _number(name, part, known, number if equals else None)
        elif part in TUNINGS:
            if part in tunings:
                raise ValueError(f"arm {name!r} has {part} twice; keep one")
            tunings[part] = _number(name, part, TUNINGS[part], number if equals else None)
        else:
            known_parts = (*SOURCES, *LOSSES, *ON_POLICY, *TUNINGS)
            near = difflib.get_close_matches(part.strip().lower(), known_parts, n=1)
            meant = f"perhaps {near[0]} is meant" if near else f"join some of {', '.join(known_parts)} by +"
            raise ValueError(f"arm {name!r:.80}: {text!r:.40} is not a source, loss or tuning; {meant}")
    if len(name) > MAX_NAME:
        raise ValueError(f"arm {name!r:.80} is longer than {MAX_NAME} characters; leave out what is default")
    arm = Arm(name, source or "expert", loss or "nll", loss_number, {t: tunings[t] for t in TUNINGS if t in tunings})
    if SOURCES[arm.source].resampled and arm.replay:
        raise ValueError(f"arm {name!r}: {arm.source} takes new rows every epoch and cannot be mixed with replay")
    if arm.on_policy and arm.replay:
        raise ValueError(f"arm {name!r}: {arm.loss} samples its own answers and cannot be mixed with replay")
    if arm.on_policy and SOURCES[arm.source].resampled:
        raise ValueError(f"arm {name!r}: {arm.loss} samples its own answers; use self instead of {arm.source}")
    if arm.loss == "grpo" and arm.source != "expert":
        raise ValueError(f"arm {name!r}: grpo reads no targets, so a source changes nothing; write grpo without one")
    return arm


def _number(name: str, part: str, known: Part, text: str | None) -> float | None:
    if text is None:
        return known.default
    if known.number is None:
        raise ValueError(f"arm {name!r}: {part} takes no number; write {part} alone")
    value = float(text) if NUMBER.fullmatch(text) else None
    if value is None or not known.low < value < known.high or (known.whole and value != int(value)):
        kind = "a whole number" if known.whole else "a number"
        top = "" if known.high == float("inf") else f" and below {known.high:g}"
        raise ValueError(
            f"arm {name!r}: {text} is not a valid {known.number} of {part}; give {kind} above {known.low:g}{top}"
        )
    return value


def check_names(names: Iterable[str]) -> None:
    """Raises ValueError for a list of arms without `expert`, with an unknown part, or with one arm twice."""
    seen: dict[tuple, str] = {}
    for arm in map(parse, names):
        if arm.meaning in seen:
            raise ValueError(f"{seen[arm.meaning]!r} and {arm.name!r} are the same arm; keep one")
        seen[arm.meaning] = arm.name
    if "expert" not in seen.values():
        raise ValueError("must contain 'expert': every other arm is compared with it")


def sources_in_order(arms: Iterable[Arm]) -> list[str]:
    """The sources whose rows these arms need, once each, those others start from before them."""
    ordered: dict[str, None] = {}
    for arm in arms:
        if before := SOURCES[arm.data].after:
            ordered[before] = None
        ordered[arm.data] = None
    return list(ordered)


def rewriters_of(arms: Iterable[Arm]) -> list[str]:
    """The rewriters to train, once each."""
    return list(dict.fromkeys(arm.rewriter for arm in arms if arm.rewriter))

"""Prompted, best-of-k or RL? What the scan's own-style share says about each way to get rewrites, and its cost.

A rule of thumb from the nano lab, checked nowhere else. It counts rewrites to sample, which holds for any backbone;
minutes come from the speed at which the scan itself sampled.
"""

from __future__ import annotations

import math
from typing import Any

from patchrl.config.settings import StudyConfig
from patchrl.evaluation.mismatch import wilson

ENOUGH = 0.9  # share of targets in own style from which a way is good enough
MAX_K = 64  # as `rewrite.best_of_k` allows
SHOWN = 0.5  # share of GRPO groups that must hold an own-style rewrite: below it the lab's rewriter settled elsewhere
CLEARLY = 0.5  # RL's cost over best-of-k's: above it the steadier arm of the lab's runs, best-of-k, is advised
FEW_PASS = 0.5  # share of prompted rewrites that pass the gate: below it the rows themselves want a look first
NONE_PASSES = (
    "None of {} prompted rewrites passes the gate, so there is nothing to select or to reinforce: see in the playground "
    "what it refuses, then try another rewriter.instruction."
)
FEW_PASSES = (
    " But {} of {} pass the gate at all: in the lab, where 31 % of a rewriter's rewrites did, RL saved nothing. See in "
    "the playground what it refuses first."
)
ROLLOUT_COST = 3.0  # time of a rollout that is trained on, in sampled rewrites; examples/nano.toml, two cores


def advise(
    config: StudyConfig,
    found: dict[str, Any],
    rows: int,
    tokens_per_rewrite: float,
    tokens_per_second: float,
    own_right: bool = True,
) -> dict[str, Any]:
    """Which way to take for `rows` examples, and what each costs.

    Returns `choice` (prompted, best-of-k, rl, instruction; None where nothing could be checked), `why` in a sentence,
    the `hit` rate (share of prompted rewrites that pass and are in own style) with `hit_ci95`, `at_ends`, the choices
    at both ends of that interval, and `ways`: rewrites, tokens and minutes of each, and the share of own-style
    targets to expect of it.

    With hit rate q, the best of k is in own style in at most 1 − (1 − q)^k of rows: at most, because rows differ.
    For RL the same number is the share of groups that show the rewriter what to aim for; a warm start shows it first,
    at the cost of its own answers, where any of these is right (`own_right`). `found` is `mismatch.own_style`.
    """
    hits, scorable = found["own"], found["scorable"]
    hit, ends = (hits / scorable if scorable else None), wilson(hits, scorable)
    rollouts = config.rewriter.steps * config.rewriter.rollouts_per_step // config.rewriter.updates_per_rollout
    warm = rows * config.rewriter.warm_start_samples if config.rewriter.warm_start_steps else 0

    def way(name: str, rewrites: int, expected: float | None, trained_on: int = 0, **more: Any) -> dict[str, Any]:
        seconds = (rewrites + trained_on * (ROLLOUT_COST - 1)) * tokens_per_rewrite / tokens_per_second
        tokens = round(rewrites * tokens_per_rewrite)
        return {
            "way": name,
            "rewrites": rewrites,
            "tokens": tokens,
            "minutes": seconds / 60,
            "expected": expected,
        } | more

    def ways_at(hit: float | None) -> list[dict[str, Any]]:
        needed = k_for(hit) if hit else 0
        tried = sorted({config.rewrite.best_of_k, *([needed] if 1 < needed <= MAX_K else [])})
        best = [way("best-of-k", rows * k, None if hit is None else at_least_one(hit, k), k=k) for k in tried]
        shown = None if hit is None else at_least_one(hit, config.rewriter.group_size)
        return [way("prompted", rows, hit), *best, way("rl", warm + rollouts + rows, None, rollouts, shown=shown)]

    choose = _choose_warm if warm and own_right else _choose
    at_ends = [choose(end, ways_at(end))[0] for end in ends or ()]
    choice: str | None
    if scorable and not found["passed"]:
        choice, why, at_ends = "instruction", NONE_PASSES.format(scorable), []
    else:
        choice, why = choose(hit, ways_at(hit))
        if warm and not own_right and hit is not None:
            why = f"None of the backbone's own answers passes the gate, so a warm start has nothing to show. {why}"
        if scorable and found["passed"] < FEW_PASS * scorable:
            why += FEW_PASSES.format(found["passed"], scorable)
        if choice == "rl" and (colder := config.rewriter.temperature) < config.rewrite.temperature:
            why += (
                f" Rollouts are sampled at a temperature of {colder:g}, lower than here: what is rare is rarer there."
            )
    return {"choice": choice, "why": why, "hit": hit, "hit_ci95": ends, "at_ends": at_ends, "ways": ways_at(hit)}


def at_least_one(hit: float, k: int) -> float:
    """P(at least one of k independent draws hits)."""
    return 1.0 - (1.0 - hit) ** k


def k_for(hit: float) -> int:
    """Fewest draws of which one hits with probability ENOUGH."""
    return 1 if hit >= ENOUGH else math.ceil(math.log(1 - ENOUGH) / math.log(1 - hit))


def _choose_warm(hit: float | None, ways: list[dict[str, Any]]) -> tuple[str | None, str]:
    """With a warm start RL does not depend on the hit rate. On both backbones of the lab, all settings of the
    dial and five seeds together, it was ahead of best-of-8 on the target and behind it nowhere, with some 70 % of its
    sampled tokens (README)."""
    if hit is None or (hit and k_for(hit) == 1):
        return _choose(hit, ways)
    best = next((way for way in ways if hit and way.get("k") == k_for(hit)), None)
    share = f"{hit:.0%} of prompted rewrites pass in the backbone's own style; the warm start shows the rewriter its own answers"
    if best is not None and best["minutes"] <= CLEARLY * ways[-1]["minutes"]:
        return (
            "best-of-k",
            f"{hit:.0%} of prompted rewrites pass in own style: {best['k']} a row cost clearly less than RL.",
        )
    return "rl", f"{share}, so that RL need not wait to sample them."


def _choose(hit: float | None, ways: list[dict[str, Any]]) -> tuple[str | None, str]:
    if hit is None:
        return None, "No prompted rewrite could be checked: the data needs reference answers or an open task."
    if not hit:
        return "instruction", (
            "No prompted rewrite passes in the backbone's own style: there is nothing to select and nothing to reinforce. "
            "Try another rewriter.instruction, or the arm mind-the-gap, which asks the backbone without one."
        )
    needed, rl = k_for(hit), ways[-1]
    best = next((way for way in ways if way.get("k") == needed), None)
    told = f"needs {needed} rewrites a row for one that passes in own style in up to {ENOUGH:.0%} of rows"
    if needed == 1:
        return "prompted", f"{hit:.0%} of prompted rewrites pass in the backbone's own style: one a row is enough."
    if rl["shown"] < SHOWN:
        below = (
            f"{rl['shown']:.0%} of RL's groups would show one; below {SHOWN:.0%} the lab's rewriter settled elsewhere"
        )
        if best is None:
            return "instruction", (
                f"Best-of-k {told}, more than {MAX_K}, and only {below}. Try another rewriter.instruction first."
            )
        return "best-of-k", f"It {told}. Only {below}; a larger rewriter.group_size helps RL."
    if best is None or rl["minutes"] <= CLEARLY * best["minutes"]:
        return (
            "rl",
            f"{rl['shown']:.0%} of its groups show what to learn, while best-of-k {told}, at over twice the cost.",
        )
    return (
        "best-of-k",
        f"It {told}; RL does not cost clearly less on this many rows, and was the less steady of the two.",
    )

"""Prompted, best-of-k or RL? What the scan's own-style share says about each method to get rewrites, and its cost.

The thresholds come from the studies of the nano lab and were checked on no other model. Costs are counted in sampled
rewrites, which works for any backbone; minutes come from the speed at which the scan itself sampled.
"""

from __future__ import annotations

import math
from typing import Any

from patchrl.config import StudyConfig
from patchrl.evaluation.mismatch import wilson
from patchrl.text import percent

MIN_OWN_SHARE = 0.9  # share of own-style targets from which a method is good enough
MAX_K = 64  # the limit of `rewrite.best_of_k`
MIN_GROUP_HIT_RATE = 0.5  # share of GRPO groups with an own-style rewrite below which RL is not recommended
MAX_COST_RATIO = 0.5  # RL is "clearly cheaper" than best-of-k, or best-of-k than RL, up to this ratio of their costs
MIN_PASS_RATE = 0.5  # below this share of prompted rewrites that pass the gate, the advice adds a warning
ROLLOUT_COST_FACTOR = 3.0  # time of a rollout that is trained on, in sampled rewrites (nano backbone, two cores)


def advise(
    config: StudyConfig,
    own_style: dict[str, Any],
    rows: int,
    tokens_per_rewrite: float,
    tokens_per_second: float,
    own_right: bool = True,
) -> dict[str, Any]:
    """Recommend a method to rewrite `rows` examples, with the cost of each method.

    With hit rate q, the best of k rewrites is in own style in at most 1 − (1 − q)^k of rows: at most, because rows
    differ. For RL the same formula gives the share of groups that contain an example of the own style. A warm start
    shows the rewriter the own style first, at the cost of sampling own answers.

    Args:
        own_style: counts of the scan (`mismatch.own_style`).
        rows: examples to rewrite.
        own_right: whether any of the backbone's own answers passes the gate, so that a warm start can work.

    Returns:
        `choice` (prompted, best-of-k, rl, instruction; None where nothing could be checked), its `reason`, `hit_rate`
        (share of prompted rewrites that pass and are in own style) with `hit_rate_ci95`, `choices_at_ci95` (the choice
        at both ends of that interval), and `methods`: rewrites, tokens, minutes and expected own-style share of each.
    """
    hits, scorable = own_style["own"], own_style["scorable"]
    hit_rate, ci95 = (hits / scorable if scorable else None), wilson(hits, scorable)
    rewriter = config.rewriter
    rollouts = rewriter.steps * rewriter.rollouts_per_step // rewriter.updates_per_rollout
    warm = rows * rewriter.warm_start_samples if rewriter.warm_start_steps else 0

    def method(name: str, rewrites: int, own_share: float | None, trained_on: int = 0, **more: Any) -> dict[str, Any]:
        seconds = (rewrites + trained_on * (ROLLOUT_COST_FACTOR - 1)) * tokens_per_rewrite / tokens_per_second
        tokens = round(rewrites * tokens_per_rewrite)
        cost = {"rewrites": rewrites, "tokens": tokens, "minutes": seconds / 60}
        return {"method": name, **cost, "own_share": own_share, **more}

    def methods_at(hit_rate: float | None) -> list[dict[str, Any]]:
        needed = k_for(hit_rate) if hit_rate else 0
        ks = sorted({config.rewrite.best_of_k, *([needed] if 1 < needed <= MAX_K else [])})
        best = [method("best-of-k", rows * k, None if hit_rate is None else at_least_one(hit_rate, k), k=k) for k in ks]
        group_hit_rate = None if hit_rate is None else at_least_one(hit_rate, rewriter.group_size)
        rl = method("rl", warm + rollouts + rows, None, rollouts, group_hit_rate=group_hit_rate)
        return [method("prompted", rows, hit_rate), *best, rl]

    choose = _choose_warm if warm and own_right else _choose
    at_ends = [choose(end, methods_at(end))[0] for end in ci95 or ()]
    choice: str | None
    if scorable and not own_style["passed"]:
        choice, at_ends = "instruction", []
        reason = (
            f"None of {scorable} prompted rewrites passes the gate, so there is nothing to select and nothing to "
            "reinforce. Look in the playground at what the gate refuses, then try another rewriter.instruction."
        )
    else:
        choice, reason = choose(hit_rate, methods_at(hit_rate))
        if warm and not own_right and hit_rate is not None:
            reason = (
                f"None of the backbone's own answers passes the gate, so a warm start has nothing to train on. {reason}"
            )
        if scorable and own_style["passed"] < MIN_PASS_RATE * scorable:
            reason += (
                f" But only {own_style['passed']} of {scorable} prompted rewrites pass the gate: look in the playground "
                "at what it refuses before you train."
            )
        if choice == "rl" and rewriter.temperature < config.rewrite.temperature:
            reason += (
                f" Rollouts are sampled at temperature {rewriter.temperature:g}, below that of this scan, so the own "
                "style will be rarer in them."
            )
    return {
        "choice": choice,
        "reason": reason,
        "hit_rate": hit_rate,
        "hit_rate_ci95": ci95,
        "choices_at_ci95": at_ends,
        "methods": methods_at(hit_rate),
    }


def at_least_one(hit_rate: float, k: int) -> float:
    """P(at least one of k independent draws hits)."""
    return 1.0 - (1.0 - hit_rate) ** k


def k_for(hit_rate: float) -> int:
    """Fewest draws of which one hits with probability MIN_OWN_SHARE."""
    return 1 if hit_rate >= MIN_OWN_SHARE else math.ceil(math.log(1 - MIN_OWN_SHARE) / math.log(1 - hit_rate))


def _choose_warm(hit_rate: float | None, methods: list[dict[str, Any]]) -> tuple[str | None, str]:
    """With a warm start, RL does not depend on the hit rate: only prompting that suffices and a cheap k go before it."""
    if hit_rate is None or (hit_rate and k_for(hit_rate) == 1):
        return _choose(hit_rate, methods)
    share = f"{percent(hit_rate, 0)} of prompted rewrites pass the gate in the backbone's own style"
    best = next((m for m in methods if hit_rate and m.get("k") == k_for(hit_rate)), None)
    if best is not None and best["minutes"] <= MAX_COST_RATIO * methods[-1]["minutes"]:
        return "best-of-k", f"{share}: {best['k']} rewrites per row cost clearly less than RL."
    return "rl", f"{share}. The warm start shows the rewriter that style, so RL need not wait to sample it."


def _choose(hit_rate: float | None, methods: list[dict[str, Any]]) -> tuple[str | None, str]:
    if hit_rate is None:
        return None, "No prompted rewrite could be checked: the data needs reference answers or an open task."
    if not hit_rate:
        return "instruction", (
            "No prompted rewrite passes the gate in the backbone's own style: there is nothing to select and nothing to "
            "reinforce. Try another rewriter.instruction, or the arm mind-the-gap, which asks the backbone without one."
        )
    needed, rl = k_for(hit_rate), methods[-1]
    if needed == 1:
        share = percent(hit_rate, 0)
        return (
            "prompted",
            f"{share} of prompted rewrites pass the gate in the backbone's own style: one per row is enough.",
        )
    best = next((m for m in methods if m.get("k") == needed), None)
    needs = f"Best-of-k needs {needed} rewrites per row to get an own-style one in up to {percent(MIN_OWN_SHARE, 0)} of rows"
    groups = f"{percent(rl['group_hit_rate'], 0)} of RL's groups would contain an own-style rewrite"
    if rl["group_hit_rate"] < MIN_GROUP_HIT_RATE:
        if best is None:
            return "instruction", (
                f"{needs}, more than {MAX_K}, and only {groups}. Try another rewriter.instruction first."
            )
        return "best-of-k", f"{needs}. Only {groups}; a larger rewriter.group_size helps RL."
    if best is None or rl["minutes"] <= MAX_COST_RATIO * best["minutes"]:
        return "rl", f"{groups}. {needs}, at over twice the cost of RL."
    return "best-of-k", f"{needs}; RL does not cost clearly less for this many rows."

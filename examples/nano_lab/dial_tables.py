"""The dial's figures (`examples.nano_lab.dial`) as Markdown tables. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from examples.nano_lab.dial import (
    ABLATIONS,
    DIAL_ARMS,
    MIN_AVOIDED,
    RATES,
    TARGET_SLACK,
    DialSetting,
    PooledResult,
    SettingResult,
    correct_of,
)
from patchrl.evaluation.comparisons import Comparison
from patchrl.evaluation.statistics import Correct, macro
from patchrl.text import listed, points, points_interval

TABLE_ARMS = (*DIAL_ARMS, *ABLATIONS)
SCORE_NAMES = {"target": "the target", "general": "general skills"}
ARM_COLUMNS = {
    "expert": "plain SFT",
    "best-of-k": "best-of-8",
    "rl": "RL",
    "rl-mean": "RL, mean ℓ",
    "rl-paper": "RL as published",
}
SHORTFALL_NAMES = {"target": "target", "drop": "drop", "best-of-k": "behind best-of-8"}


def dial_table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each setting (`dial.dial_rows`): every arm's target and general score in per cent with 95 % intervals, the
    share of the drop that RL avoided with its own, and where RL falls short of the aim."""
    yield "| backbone, expert | dial | " + " | ".join(TABLE_ARMS) + " | drop avoided by rl, % | aim missed on |"
    yield "|---" * (4 + len(TABLE_ARMS)) + "|"
    for (backbone, expert, setting), by in _settings(rows):
        cells = [_scores(by.get(arm), by["rl"]["seeds"]) for arm in TABLE_ARMS]
        avoided = by["rl"]["avoided"]
        yield (
            f"| {backbone}, {expert} | {setting} `{by['rl']['instruction']}`, {_seeds(by['rl'])} | {' | '.join(cells)} | "
            f"{points_interval(avoided['mean'], avoided['ci95'])} | {_shortfalls(by['rl'])} |"
        )


def brief_table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The same without intervals, with the share of accepted rewrites in the own style and of the drop that was avoided."""
    yield (
        f"| expert | own style planted | {' | '.join(ARM_COLUMNS[arm] for arm in TABLE_ARMS)} | "
        "own style: published → RL, % | drop avoided %: best-of-8, RL | aim missed on |"
    )
    yield "|---" * 10 + "|"
    for (_, expert, setting), by in _settings(rows):
        seeds = by["rl"]["seeds"]
        scores = " | ".join(_short_scores(by.get(arm), seeds) for arm in TABLE_ARMS)
        styles = " → ".join(f"{100 * by[arm]['own']:.0f}" if arm in by else "–" for arm in ("rl-paper", "rl"))
        avoided = ", ".join(points(by[arm]["avoided"]["mean"]) for arm in ("best-of-k", "rl"))
        yield f"| {expert} | {setting}, {_seeds(by['rl'])} | {scores} | {styles} | {avoided} | {_shortfalls(by['rl'])} |"


def kl_table(results: Mapping[DialSetting, SettingResult]) -> Iterator[str]:
    """What a KL to the backbone changes: each source learned without and with it, each at its own best rate."""
    arms = ("best-of-k", "best-of-k+kl", "rl", "rl+kl")
    yield f"| expert | dial | {' | '.join(arms)} |"
    yield "|---" * (2 + len(arms)) + "|"
    for setting, result in sorted(results.items(), key=lambda item: item[0].order):
        cells = [
            f"{points(float(np.mean(statistics.target_per_seed)))} / {points(float(np.mean(statistics.general_per_seed)))}"
            for statistics in map(result.statistics.__getitem__, arms)
        ]
        seeds = ", ".join(map(str, result.seeds))
        yield f"| {setting.expert} | {setting.label}, seed{'s'[: len(result.seeds) > 1]} {seeds} | {' | '.join(cells)} |"


def aim_sentences(rows: Sequence[Mapping[str, Any]], own_style: Mapping[str, Any] | None = None) -> Iterator[str]:
    """What the aim is, in how many settings RL meets it, which rates were chosen, and what the
    backbone's own style alone reaches."""
    settings = list(_settings(rows))
    met = sum(not by["rl"]["short"] for _, by in settings)
    yield (
        f"The aim has three parts: a target score at most {100 * TARGET_SLACK:.0f} points below plain SFT's, at least "
        f"{points(MIN_AVOIDED, 0)} % of plain SFT's drop avoided (both as point estimates), and neither score measurably below "
        "best-of-8's, which samples more tokens."
    )
    yield f"RL meets the aim in {met} of {len(settings)} settings; the last column says what it misses in the others."
    shares = {arm: [by[arm]["avoided"]["mean"] or 0.0 for _, by in settings] for arm in ("rl", "best-of-k")}
    ranges = {
        arm: " to ".join(dict.fromkeys(points(share) for share in (min(avoided), max(avoided)))) + " %"
        for arm, avoided in shares.items()
    }
    yield f"RL avoids {ranges['rl']} of the drop; best-of-8 avoids {ranges['best-of-k']}."
    ablated = []
    for arm in ABLATIONS:
        if measured := [by[arm] for _, by in settings if arm in by]:
            ablated.append(f"{ARM_COLUMNS[arm]} in {sum(not row['short'] for row in measured)} of {len(measured)}")
    if ablated:
        yield f"Without the comparison with best-of-8, the aim is met by {listed(ablated)}."
    rates = "; ".join(_rate_counts(ARM_COLUMNS[arm], [by[arm]["rate"] for _, by in settings]) for arm in DIAL_ARMS)
    yield f"Chosen rates: {rates}."
    if own_style:
        scores = [f"{_both((at['target'], at['general']))} at {at['rate']:g}" for at in own_style["sweep"]]
        yield (
            "Plain SFT on right answers in the backbone's own style, as if every rewrite had succeeded, scores "
            f"{listed(scores)} ({_seeds(own_style)})."
        )


def _rate_counts(name: str, rates: Sequence[float]) -> str:
    """`RL 0.0005 (8 of 9), 0.001 (1 of 9)`; no numbers where there is one rate."""
    times = Counter(rates)
    if len(times) == 1:
        return f"{name} {rates[0]:g}"
    return f"{name} {', '.join(f'{rate:g} ({times[rate]} of {len(rates)})' for rate in sorted(times))}"


def arms_table(result: SettingResult, against_all: str | None = None) -> Iterator[str]:
    """A setting's arms, each at its own best rate and at the other; with `against_all` what that arm is, seen from each,
    on the target and on general skills."""
    more = [f"`{against_all}` against it: target, general"] if against_all else []
    headers = ["arm", "rate", "target %", "general %", "forgotten, points", "drop avoided %", "tokens sampled"]
    yield f"| {' | '.join([*headers, 'at the other rate', *more])} |"
    yield "|---" * (8 + len(more)) + "|"
    for arm, statistics in result.statistics.items():
        (target, general), *_ = (scores for rate, scores in result.sweep[arm].items() if rate != result.rates[arm])
        cells = [
            arm,
            f"{result.rates[arm]:g}",
            points_interval(float(np.mean(statistics.target_per_seed)), statistics.target_ci95),
            points_interval(float(np.mean(statistics.general_per_seed)), statistics.general_ci95),
            points_interval(statistics.absolute or 0.0, statistics.absolute_ci95),
            points(statistics.share_avoided, 0),
            f"{round(result.tokens[arm], -3):,.0f}",
            f"{points(target)} / {points(general)}",
        ]
        if against_all:
            cells.append(", ".join(verdict for _, _, verdict in _comparisons_of(result, against_all, arm)) or "–")
        yield f"| {' | '.join(cells)} |"


def seeds_table(lines: Sequence[dict[str, Any]], result: SettingResult) -> Iterator[str]:
    """Target / general score in per cent of a setting's arms (`lines` are its own), each rate and seed by itself."""
    by = {(line["arm"], line.get("rate"), line["seed"]): correct_of(line) for line in lines}
    yield "| target % / general %, by seed | " + " | ".join(str(seed) for seed in result.seeds) + " |"
    yield "|---" * (1 + len(result.seeds)) + "|"
    before = _scores_by_seed(by["base", None, seed] for seed in result.seeds[:1])
    yield f"| backbone, before | {before} |" + " |" * (len(result.seeds) - 1)
    for arm in result.statistics:
        for rate in result.sweep[arm]:
            yield f"| {arm} at {rate:g} | {_scores_by_seed(by[arm, rate, seed] for seed in result.seeds)} |"


def _scores_by_seed(answers: Iterable[Correct]) -> str:
    return " | ".join(f"{points(macro(a, 'target'))} / {points(macro(a, 'general'))}" for a in answers)


def pooled_table(pooled: PooledResult) -> Iterator[str]:
    """Each arm over all settings taken together, at either rate and at the rates that the rule took."""
    result = f"{pooled.settings} settings, {pooled.fine_tunes} fine-tunes an arm; target % / general %"
    yield f"| {result} | {' | '.join(ARM_COLUMNS[arm] for arm in pooled.sweep)} |"
    yield "|---" * (1 + len(pooled.sweep)) + "|"
    for rate in RATES:
        yield f"| all at {rate:g} | {' | '.join(_both(statistics[rate]) for statistics in pooled.sweep.values())} |"
    yield f"| each at its chosen rate | {' | '.join(_at_chosen_rate(pooled, arm) for arm in pooled.sweep)} |"


def summary_table(pooled_results: Mapping[str, tuple[Correct, PooledResult]]) -> Iterator[str]:
    """Target and general score of each arm at equal rates and at the chosen rates, one line for each.

    Args:
        wholes: for each backbone, by its name, its answers before fine-tuning and all its settings taken together.
    """
    arms = next(iter(pooled_results.values()))[1].sweep
    yield f"| backbone | fine-tuning rate | {' | '.join(ARM_COLUMNS[arm] for arm in arms)} |"
    yield "|---" * (2 + len(arms)) + "|"
    for name, (before, pooled) in pooled_results.items():
        labels = [f"{name}, before: {_scores_by_seed([before])}", "", ""]
        lines = [(f"{rate:g}", [_both(statistics[rate]) for statistics in pooled.sweep.values()]) for rate in RATES]
        lines.append(("chosen", [_at_chosen_rate(pooled, arm) for arm in pooled.sweep]))
        for label, (rate, scores) in zip(labels, lines, strict=True):
            yield f"| {label} | {rate} | {' | '.join(scores)} |"


def parts_table(pooled_results: Mapping[str, PooledResult]) -> Iterator[str]:
    """RL and its ablations over several choices of settings, named by the keys, and what RL is against each ablation."""
    rates = [f"all at {rate:g}" for rate in RATES]
    headers = ["settings", "target % / general %", "each at its chosen rate", *rates]
    yield f"| {' | '.join([*headers, 'RL minus it, points of the target', 'of general skills'])} |"
    yield "|---" * (2 + len(headers)) + "|"
    for name, pooled in pooled_results.items():
        for arm in [arm for arm in pooled.sweep if arm != "expert"]:
            label = f"{name}: {pooled.settings}, {pooled.fine_tunes} fine-tunes" if arm == "rl" else ""
            scores = [_at_chosen_rate(pooled, arm), *(_both(pooled.sweep[arm][rate]) for rate in RATES)]
            differences = [
                f"{difference} ({verdict})" for _, difference, verdict in _differences(pooled, "rl", arm)
            ] or [
                "",
                "",
            ]
            yield f"| {' | '.join([label, ARM_COLUMNS[arm], *scores, *differences])} |"


def pooled_sentences(pooled: PooledResult) -> Iterator[str]:
    """RL against plain SFT at equal rates, what it avoids of plain SFT's drop at the chosen rates, and RL against best-of-8."""
    rl = pooled.statistics["rl"]
    minus = {
        rate: [
            rewritten - plain
            for rewritten, plain in zip(pooled.sweep["rl"][rate], pooled.sweep["expert"][rate], strict=True)
        ]
        for rate in RATES
    }
    equal = [f"{100 * target:+z.1f} / {100 * general:+z.1f} at {rate:g}" for rate, (target, general) in minus.items()]
    yield f"RL minus plain SFT at equal rates, in points of target / general: {listed(equal)}."
    yield f"At the chosen rates RL avoids {points_interval(rl.share_avoided, rl.share_avoided_ci95)} % of plain SFT's drop."
    yield against(pooled, "rl", "best-of-k")


def _at_chosen_rate(pooled: PooledResult, arm: str) -> str:
    statistics = pooled.statistics[arm]
    return _both((float(np.mean(statistics.target_per_seed)), float(np.mean(statistics.general_per_seed))))


def _both(scores: tuple[float, float]) -> str:
    return " / ".join(map(points, scores))


def against(result: SettingResult | PooledResult, arm: str, other: str) -> str:
    """One arm less another on both counts in points, with intervals and verdicts corrected for all pairs."""
    parts = [
        f"{difference} points of {SCORE_NAMES[on]} ({verdict})"
        for on, difference, verdict in _differences(result, arm, other)
    ]
    tokens = result.tokens[arm] / result.tokens[other]
    return f"`{arm}` minus `{other}`: {', '.join(parts)}. `{arm}` samples {points(tokens, 0)} % of the tokens of `{other}`."


def _differences(result: SettingResult | PooledResult, arm: str, other: str) -> Iterator[tuple[str, str, str]]:
    """One arm less another, target first: which score, the points with their interval, and what the arm is."""
    for c, sign, verdict in _comparisons_of(result, arm, other):
        low, high = sorted(100 * sign * bound for bound in c.ci95)
        yield c.on, f"{100 * sign * c.difference:+z.1f} [{low:z.1f}, {high:z.1f}]", verdict


def _comparisons_of(
    result: SettingResult | PooledResult, arm: str, other: str
) -> Iterator[tuple[Comparison, int, str]]:
    """The comparisons of two arms, target first: each with the sign of arm − other, and what `arm` is."""
    turned = {"better": "worse", "worse": "better"}
    for c in result.comparisons:
        if {c.a, c.b} == {arm, other}:
            yield (c, 1, c.verdict) if c.a == arm else (c, -1, turned.get(c.verdict, c.verdict))


def _settings(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[tuple[str, str, str], dict[str, Mapping[str, Any]]]]:
    """Each setting's rows by arm, in the order given."""
    by: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by.setdefault((row["backbone"], row["expert"], row["setting"]), {})[row["arm"]] = row
    yield from by.items()


def _seeds(row: Mapping[str, Any]) -> str:
    return "1 seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"


def _own_seeds(row: Mapping[str, Any], seeds: int) -> str:
    """Said where an arm has fewer seeds than the setting."""
    return "" if row["seeds"] == seeds else f" ({_seeds(row)})"


def _scores(row: Mapping[str, Any] | None, seeds: int) -> str:
    if row is None:
        return "–"
    both = " / ".join(points_interval(row[kind]["mean"], row[kind]["ci95"]) for kind in ("target", "general"))
    return both + _own_seeds(row, seeds)


def _short_scores(row: Mapping[str, Any] | None, seeds: int) -> str:
    if row is None:
        return "–"
    return " / ".join(points(row[kind]["mean"]) for kind in ("target", "general")) + _own_seeds(row, seeds)


def _shortfalls(row: Mapping[str, Any]) -> str:
    return ", ".join(SHORTFALL_NAMES[reason] for reason in row["short"]) or "–"

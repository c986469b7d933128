"""A result to take elsewhere: every number as CSV, and the results table as LaTeX. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

from patchrl.config.arms import display_name
from patchrl.text import one_line, points

Result = dict[str, Any]
CSV_HEADERS = ("arm", "learning_rate", "measure", "task", "seed", "value", "ci95_low", "ci95_high")
# (heading, on which comparison the arms are told apart)
LATEX_COLUMNS = (("Target", "target"), ("General", "general"), ("Forgotten", "general"), ("Drop avoided", None))


def to_csv(result: Result) -> str:
    """Every number of `result.json` but the training curves, one a row under CSV_HEADERS.

    Scores, shares and differences are fractions; `nll` is ℓ in nats per token, cost in seconds and tokens a seed. A row
    without a seed is the mean over seeds. Comparisons have `measure` "target_minus_ARM" or "general_minus_ARM".
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEADERS)
    for row in _csv_rows(result):
        writer.writerow(["" if cell is None else _csv_cell(cell) for cell in row])
    return out.getvalue()


def _csv_cell(cell: Any) -> Any:
    """A text on one line; a float without the noise of its last bits: no -2e-16 where nothing is."""
    if isinstance(cell, str):
        return one_line(cell)
    return round(cell, 12) + 0.0 if isinstance(cell, float) else cell


def _csv_rows(result: Result) -> Iterator[Sequence[Any]]:
    base = result["base"]
    for measure in ("target", "general", "no_answer"):
        yield "base", None, measure, None, None, base[measure], *_ends(base.get(f"{measure}_ci95"))
    yield from _tasks("base", None, base)
    for arm, values in result["arms"].items():
        rate = values.get("learning_rate")
        yield from _scores(arm, rate, values, result["seeds"])
        forgotten = values["forgetting"]
        for measure, key, ci95 in (
            ("forgotten", "absolute", "ci95"),
            ("forgotten_relative", "relative", "relative_ci95"),
            ("share_avoided", "share_avoided", "share_avoided_ci95"),
        ):
            yield arm, rate, measure, None, None, forgotten[key], *_ends(forgotten.get(ci95))
        yield from _tasks(arm, rate, values)
        plain = {"no_answer": values["no_answer"], "accepted": values["data"]["accepted"]}
        plain |= {"nll_of_targets": values["data"]["nll"], "diversity_of_targets": values["data"]["diversity"]}
        plain |= {f"cost_{name}": value for name, value in values["cost"].items()}
        for measure, value in plain.items():
            yield arm, rate, measure, None, None, value, None, None
        for point in values.get("sweep", ()):
            if not point["chosen"]:
                yield from _scores(arm, point["rate"], point, result["seeds"])
    for c in result.get("comparisons", {}).get("pairs", ()):
        yield c["a"], None, f"{c['on']}_minus_{c['b']}", None, None, c["difference"], *_ends(c["ci95"])
        yield c["a"], None, f"{c['on']}_minus_{c['b']}_p_corrected", None, None, c["p_holm"], None, None


def _scores(arm: str, rate: float | None, values: Result, seeds: Sequence[int]) -> Iterator[Sequence[Any]]:
    for kind in ("target", "general"):
        yield arm, rate, kind, None, None, values[kind]["mean"], *_ends(values[kind]["ci95"])
        for seed, value in zip(seeds, values[kind]["per_seed"], strict=False):  # none where nothing was measured
            yield arm, rate, kind, None, seed, value, None, None


def _tasks(arm: str, rate: float | None, values: Result) -> Iterator[Sequence[Any]]:
    for task, value in values["by_task"].items():
        yield arm, rate, "score", task, None, value, *_ends(values.get("by_task_ci95", {}).get(task))


def _ends(ci95: Sequence[float] | None) -> Sequence[float | None]:
    return ci95 or (None, None)


def to_latex(result: Result) -> str:
    """The results table for a paper (needs booktabs): percentages with the ends of their 95 % intervals.

    The best arm of a column is bold only where the study's corrected paired test calls it better than every other.
    """
    base = result["base"]
    best = {on: clearly_best(result, on) for on in ("target", "general")}
    rows = [
        _latex_row(
            display_name("base"), [_number(base[k], base.get(f"{k}_ci95")) for k in ("target", "general")] + ["", ""]
        )
    ]
    rows.append(r"\midrule")
    for arm, values in result["arms"].items():
        forgotten = values["forgetting"]
        cells = [
            _number(values["target"]["mean"], values["target"]["ci95"]),
            _number(values["general"]["mean"], values["general"]["ci95"]),
            _number(forgotten["absolute"], forgotten["ci95"]),
            _number(forgotten["share_avoided"], forgotten.get("share_avoided_ci95"), digits=0),
        ]
        bold = [on is not None and best[on] == arm for _, on in LATEX_COLUMNS]
        bold_cells = [rf"$\mathbf{{{c[1:-1]}}}$" if b and c != "--" else c for c, b in zip(cells, bold, strict=True)]
        rows.append(_latex_row(display_name(arm), bold_cells))
    seeds = len(result["seeds"])
    caption = (
        f"{_escaped(result['backbone'])} on {_escaped(result['dataset'])}, mean over {seeds} seed{'s'[: seeds > 1]}, in \\%. "
        "Sub- and superscripts reach to the ends of the 95\\,\\% interval over items and seeds. Forgotten: "
        "points of general skill lost; drop avoided: share of plain SFT's loss. Bold: better than every other arm by a "
        "paired test, Holm-corrected over all pairs."
    )
    heads = " & ".join(("Arm", *(name for name, _ in LATEX_COLUMNS)))
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{l{'r' * len(LATEX_COLUMNS)}}}",
            r"\toprule",
            rf"{heads} \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def clearly_best(result: Result, on: str) -> str | None:
    """The arm that the paired test calls better than every other on `target` or `general`; None where none is."""
    wins: dict[str, set[str]] = {arm: set() for arm in result["arms"]}
    for c in result.get("comparisons", {}).get("pairs", ()):
        if c["on"] == on and c["verdict"] != "cannot tell":
            winner, loser = (c["a"], c["b"]) if c["verdict"] == "better" else (c["b"], c["a"])
            wins[winner].add(loser)
    return next((arm for arm, beaten in wins.items() if beaten and len(beaten) == len(wins) - 1), None)


def _number(value: float | None, ci95: Sequence[float] | None, digits: int = 1) -> str:
    if value is None:
        return "--"
    if not ci95 or ci95[0] == ci95[1]:  # plain SFT's share of its own loss
        return f"${points(value, digits)}$"
    low, high = (points(abs(end - value), digits) for end in ci95)
    return f"${points(value, digits)}_{{-{low}}}^{{+{high}}}$"


def _latex_row(name: str, cells: Sequence[str]) -> str:
    return " & ".join((_escaped(name), *cells)) + r" \\"


_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def _escaped(text: str) -> str:
    return re.sub(r"[\\~^&%$#_{}]", lambda m: _SPECIAL.get(m[0], "\\" + m[0]), text)


# Name of a format -> ending of its file, function that writes it.
RESULT_FORMATS = {"csv": ("csv", to_csv), "latex": ("tex", to_latex)}

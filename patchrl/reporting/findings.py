"""What a mismatch scan measured, as sentences and tables, for the command line, the page and the report. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from patchrl.config.arms import display_name
from patchrl.reporting import markup
from patchrl.reporting.sentences import describe_calibration, describe_coverage, describe_sentences
from patchrl.text import (
    about_minutes,
    dropped_rows,
    listed,
    number,
    number_interval,
    one_line,
    percent,
    points_interval,
)

Scan = dict[str, Any]
Rows = list[list[str]]
SMALL_GAP = 1.0  # standard deviations

TEXT_NAMES = {"own": "Backbone's own answers", "prompted": "Prompted rewrites", "expert": "Expert solutions"}
QUANTILE_HEADERS = ("ℓ, nats per token", "5 %", "25 %", "50 %", "75 %", "95 %")
DIVERGENCE_HEADERS = ("On the task, by sampling", "Nats per token", "Nats per answer")
DIVERGENCE_NAMES = {
    "expert": "Cross-entropy of expert solutions (bounds their KL)",
    "own": "Entropy of the backbone's own answers",
    "excess": "Difference (KL, if the expert varies as much)",
    "prompted": "KL of the prompted backbone from the backbone",
}
METHOD_HEADERS = ("To rewrite every example", "Rewrites", "Tokens", "Time here", "Own style expected")
TOKEN_HEADERS = ("Token", "Times", "Mean surprisal, nats", "Part of the gap", "Where it surprises most")
ROW_HEADERS = ("Row", "ℓ", "Expert solution", "Backbone's own answer")
CHOICE_NAMES = {
    "prompted": "prompted rewrites",
    "best-of-k": "best-of-k",
    "rl": "RL",
    "instruction": "another instruction",
}


def sentences(scan: Scan) -> list[str]:
    """The findings in words; what an older scan did not measure is left out."""
    rows = [_rows_sentence(scan)] if "kept" in scan else []
    if scan.get("gap") is None:
        return [*rows, "The scan found nothing it could score."]
    parts: dict[str, Callable[[Any], str]] = {
        "own_sampling": _sampling_sentence,
        "removable": _removable_sentence,
        "clipped": _clipped_sentence,
        "reasoning": reasoning_sentence,
        "open_gate": describe_calibration,
        "coverage_gate": describe_coverage,
        "sentence_gate": describe_sentences,
        "own_right": _own_right_sentence,
        "own_style": own_style_sentence,
        "repetition": repetition_sentence,
        "recommendation": recommendation_sentence,
    }
    return [*rows, _gap_sentence(scan), *(write(scan[key]) for key, write in parts.items() if scan.get(key))]


def _rows_sentence(scan: Scan) -> str:
    """How many rows the data has, how many of them are trained on, and what was dropped."""
    train = f", {scan['train']:,} of them to train on" if "train" in scan else ""
    return f"{scan['kept']:,} usable rows{train}; dropped: {dropped_rows(scan['dropped'])}."


def _gap_sentence(scan: Scan) -> str:
    sentence = (
        f"Expert solutions surprise the backbone by {number(scan['expert_mean'], 2)} nats per token, its own answers by "
        f"{number(scan['own_mean'], 2)}: {number_interval(scan['gap'], scan.get('gap_ci95'), 1)} standard deviations apart."
    )
    if scan["gap"] < SMALL_GAP:
        sentence += (
            " A small difference does not make the data harmless: plain SFT on data as likely as own answers has cost a real "
            "model most of its general skills. Only an evaluation tells."
        )
    return sentence


def _sampling_sentence(sampling: dict[str, float]) -> str:
    """How own answers were sampled."""
    top_p = f" with top-p {sampling['top_p']:g}" if sampling["top_p"] < 1 else ""
    return f"Its own answers were sampled at temperature {sampling['temperature']:g}{top_p}."


def _removable_sentence(shares: dict[str, float]) -> str:
    """What the arm `clean` would take away."""
    effects = [
        f"removing {name} {'takes away' if share >= 0 else 'adds'} {percent(abs(share), 0)}"
        for name, share in shares.items()
    ]
    return f"The arm `clean` changes the surprisal of the expert's texts: {listed(effects)}."


def _clipped_sentence(share: float) -> str:
    return (
        f"{percent(share, 0)} of the backbone's own answers were cut off: raise evaluate.max_new_tokens, or their ℓ is "
        "that of beginnings."
    )


def _own_right_sentence(right: dict[str, int]) -> str:
    return f"{right['passed']} of {right['scorable']} of its own answers that could be checked pass the gate."


def reasoning_sentence(kinds: dict[str, int]) -> str:
    """How the gate judges the reasoning of how many rows."""
    if "claims" in kinds:
        unscorable = f"; {kinds['unscorable']:,} are unscorable, as their expert says nothing beyond its answer"
        return f"Reasoning: {kinds['claims']:,} rows must say what the expert says{unscorable if kinds['unscorable'] else ''}."
    parts = [f"{kinds['derived']:,} rows must derive their answer as the expert does"]
    if kinds["covered"]:
        parts.append(f"{kinds['covered']:,} must state the results that the expert states")
    if kinds["unscorable"]:
        parts.append(f"{kinds['unscorable']:,} are unscorable, as their expert shows no steps")
    return f"Reasoning: {'; '.join(parts)}."


def own_style_sentence(own_style: dict[str, Any]) -> str:
    """How often a prompted rewrite is in the backbone's own style."""
    if not own_style["passed"]:
        return f"Of {own_style['scorable']} prompted rewrites that could be checked none passes the gate."
    low, high = own_style["range"]
    return (
        f"{own_style['passed']} of {own_style['scorable']} prompted rewrites pass the gate; "
        f"{points_interval(own_style['share'], own_style['ci95'], 0)} % of those are in the backbone's own style, judged "
        f"by ℓ (from {number(low, 2)} to {number(high, 2)}, the range of 95 % of its own answers)."
    )


def repetition_sentence(repetition: dict[str, Any]) -> str:
    """Duplicates, and the phrase that most expert solutions share."""
    duplicates = (
        f"Of {repetition['rows']} examples {percent(repetition['repeated_solutions'])} share their solution with another "
        f"and {percent(repetition['near_duplicates'])} nearly repeat another"
    )
    if not repetition["phrases"]:
        return f"{duplicates}; no phrase is in a tenth of the solutions."
    first = max(repetition["phrases"], key=lambda p: (p["share"], len(p["text"])))
    return (
        f"{duplicates}; {percent(repetition['templated'], 0)} of solutions contain one of the commonest phrases, "
        f"{percent(first['share'], 0)} contain “{first['text']}” (numbers as #)."
    )


def recommendation_sentence(recommendation: dict[str, Any]) -> str:
    """The recommendation, and whether it is a close call."""
    if recommendation["choice"] is None:
        return recommendation["reason"]
    sentence = f"Recommended, as a rule of thumb: {CHOICE_NAMES[recommendation['choice']]}. {recommendation['reason']}"
    alternatives = [CHOICE_NAMES[end] for end in recommendation["choices_at_ci95"] if end != recommendation["choice"]]
    if alternatives:
        low, high = recommendation["hit_rate_ci95"]
        sentence += (
            f" This is a close call: the hit rate of {percent(recommendation['hit_rate'], 0)} may be {percent(low, 0)} to "
            f"{percent(high, 0)}, where the recommendation would be {' or '.join(dict.fromkeys(alternatives))}."
        )
    return sentence


# --- tables ---------------------------------------------------------------------------------------


def quantile_rows(scan: Scan) -> Rows:
    """Under QUANTILE_HEADERS."""
    quantiles = scan.get("quantiles", {})
    return [[name, *map(number, quantiles[key].values())] for key, name in TEXT_NAMES.items() if quantiles.get(key)]


def divergence_rows(scan: Scan) -> Rows:
    """Under DIVERGENCE_HEADERS."""
    divergences = scan.get("divergences", {})
    return [
        [
            name,
            *(
                number_interval(divergences[key][unit]["value"], divergences[key][unit]["ci95"], digits)
                for unit, digits in (("per_token", 3), ("per_answer", 1))
            ),
        ]
        for key, name in DIVERGENCE_NAMES.items()
        if key in divergences
    ]


def method_rows(scan: Scan) -> Rows:
    """Under METHOD_HEADERS; for RL the last column is the share of groups that contain the own style at first."""
    rows = []
    for method in scan.get("recommendation", {}).get("methods", ()):
        name = display_name(method["method"]) if "k" not in method else f"Best-of-{method['k']} rewrite"
        own_share = percent(method["own_share"], 0) if method["own_share"] is not None else "not known"
        if "k" in method and method["own_share"] is not None:
            own_share = f"up to {own_share}"
        if method.get("group_hit_rate") is not None:
            own_share = f"in {percent(method['group_hit_rate'], 0)} of groups at first"
        rows.append(
            [name, f"{method['rewrites']:,}", f"{method['tokens']:,}", about_minutes(method["minutes"]), own_share]
        )
    return rows


def token_rows(scan: Scan) -> Rows:
    """Under TOKEN_HEADERS."""
    return [
        [
            repr(token["text"]),
            str(token["count"]),
            number(token["mean"], 2),
            percent(token["share"], 0),
            one_line(f"{token['before']}⟦{token['text']}⟧{token['after']}"),
        ]
        for token in scan.get("tokens", ())
    ]


def row_rows(scan: Scan) -> Rows:
    """Under ROW_HEADERS."""
    return [
        [row["id"], number(row["nll"], 2), one_line(row["expert"]), one_line(row["own"])]
        for row in scan.get("rows", ())
    ]


SCAN_TABLES = (
    ("How surprising the texts are", QUANTILE_HEADERS, quantile_rows),
    ("How far the distributions are apart", DIVERGENCE_HEADERS, divergence_rows),
    ("What each method would cost", METHOD_HEADERS, method_rows),
    ("The tokens that make the gap", TOKEN_HEADERS, token_rows),
    ("The rows furthest from the backbone", ROW_HEADERS, row_rows),
)


def tables(scan: Scan) -> list[tuple[str, Sequence[str], Rows]]:
    """Title, headers and rows of every table that has any."""
    return [(title, headers, rows) for title, headers, make in SCAN_TABLES if (rows := make(scan))]


def as_html(scan: Scan) -> str:
    """Sentences as a list; tables under titles that open."""
    items = "".join(f"<li>{markup.escape(text)}</li>" for text in sentences(scan))
    details = "".join(
        f"<details><summary>{markup.escape(title)}</summary>{markup.table(headers, rows)}</details>"
        for title, headers, rows in tables(scan)
    )
    return f'<div class="findings"><ul>{items}</ul>{details}</div>'

"""The tables and sentences of the lab's studies in Markdown files, between marks that name them, so that no figure is typed.

`<!-- dial -->` and `<!-- /dial -->` each stand on a line of their own; `run_dial --fill FILE` renews what is between.
"""

from __future__ import annotations

import functools
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from examples.nano_lab import cost_map
from examples.nano_lab.dial import (
    ABLATIONS,
    ALL_ARMS,
    DIAL_ARMS,
    EXPERT_NAMES,
    KL_ARMS,
    RATES,
    SECOND_BACKBONE,
    SHIPPED_BACKBONE,
    DialSetting,
    correct_of,
    of_backbone,
    own_style,
    pool,
    read,
    setting_results,
    shipped,
)
from examples.nano_lab.dial_tables import (
    TABLE_ARMS,
    against,
    aim_sentences,
    arms_table,
    brief_table,
    dial_table,
    kl_table,
    parts_table,
    pooled_sentences,
    pooled_table,
    seeds_table,
    summary_table,
)
from examples.real_model import results as real_model
from patchrl.errors import DataError
from patchrl.evaluation.statistics import Correct, macro
from patchrl.nano.world import OWN_SHARE
from patchrl.text import points

WIDTH = 128
NOT_MEASURED = "Not measured yet."
MAIN = DialSetting(SHIPPED_BACKBONE, "foreign", "own-words")  # what README tells first
COLLAPSE = DialSetting(SHIPPED_BACKBONE, "foreign", "polish", 0.5)  # where the published reward fails
MARKED_PART = re.compile(r"(?P<begin><!-- (?P<name>[\w-]+) -->\n).*?(?P<end><!-- /(?P=name) -->)", re.DOTALL)
MARK = re.compile(r"^<!-- /?[\w-]+ -->$", re.MULTILINE)


@functools.cache
def contents() -> dict[str, str]:
    """The text between the marks of each name, from the recorded answers."""
    every = read()
    lines = of_backbone(every)
    tables = ("\n".join(arms_table(result, "rl")) for result in setting_results(lines, ALL_ARMS).values())
    return {
        "main": _one(lines, MAIN, by_seed=True),
        "collapse": _one(lines, COLLAPSE),
        "summary": _summary({"shipped": lines, "second": of_backbone(every, SECOND_BACKBONE)}),
        "why": _why(lines),
        "whole": _pooled(lines),
        "whole-second": _pooled(of_backbone(every, SECOND_BACKBONE)),
        "parts": _parts(lines, ABLATIONS),
        "parts-second": _parts(of_backbone(every, SECOND_BACKBONE), ABLATIONS[:1]),
        "dial": _dial(shipped(), own_style()),
        "dial-second": _dial(shipped(SECOND_BACKBONE), own_style(SECOND_BACKBONE)),
        "dial-intervals": "\n".join(dial_table([*shipped(), *shipped(SECOND_BACKBONE)])),
        "kl": "\n".join(kl_table(setting_results(lines, (*DIAL_ARMS, *KL_ARMS)))),
        "cost-map": "\n".join(_bullet(sentence) for sentence in cost_map.shipped()[1]),
        "arms": next(tables, "No seed has every arm yet."),
    } | real_model.contents()


def fill_marks(text: str, contents_by_name: dict[str, str]) -> str:
    """`text` with the part between each pair of marks replaced; raises DataError for a name that is not in `contents_by_name` and for a mark that
    is not one of a pair."""
    if alone := MARK.search(MARKED_PART.sub("", text)):
        raise DataError(f"{alone[0]} is alone; a part stands between <!-- NAME --> and <!-- /NAME -->, a line each.")

    def renewed(match: re.Match[str]) -> str:
        if match["name"] not in contents_by_name:
            raise DataError(f"<!-- {match['name']} --> is not a mark; use one of {', '.join(contents_by_name)}.")
        return f"{match['begin']}\n{contents_by_name[match['name']]}\n\n{match['end']}"

    return MARKED_PART.sub(renewed, text)


def _one(lines: Sequence[dict[str, Any]], setting: DialSetting, by_seed: bool = False) -> str:
    """One setting in full: its arms and RL against the others."""
    own_lines = [line for line in lines if DialSetting.of(line) == setting]
    result = setting_results(own_lines, TABLE_ARMS)[setting]
    sentences = [_bullet(against(result, "rl", other)) for other in ("best-of-k", *ABLATIONS)]
    seeds = ["", *seeds_table(own_lines, result)] if by_seed else []
    return "\n".join([*arms_table(result), "", *sentences, *seeds])


def _summary(by_backbone: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """README's one table: every backbone's settings taken together."""
    pooled_results = {name: (_before(lines), pooled) for name, lines in by_backbone.items() if (pooled := pool(lines))}
    return "\n".join(summary_table(pooled_results)) if pooled_results else NOT_MEASURED


def _why(lines: Sequence[dict[str, Any]]) -> str:
    """The one number of README's motivation: general skills after plain SFT and after RL at the highest rate."""
    pooled = pool(lines)
    if pooled is None:
        return NOT_MEASURED
    rate = max(RATES)
    plain, rl = (points(pooled.sweep[arm][rate][1]) for arm in ("expert", "rl"))
    before = points(macro(_before(lines), "general"))
    return _paragraph(
        f"{real_model.headline()} In our lab (a model of 2 M parameters), SFT at a learning rate of {rate:g} lowers general skills from {before} to "
        f"{plain} %; SFT on rewrites at the same rate leaves {rl} %."
    )


def _before(lines: Sequence[dict[str, Any]]) -> Correct:
    """A backbone's answers before fine-tuning."""
    return correct_of(next(line for line in lines if line["arm"] == "base"))


def _pooled(lines: Sequence[dict[str, Any]]) -> str:
    pooled = pool(lines)
    return "\n".join([*pooled_table(pooled), "", *map(_bullet, pooled_sentences(pooled))]) if pooled else NOT_MEASURED


def _parts(lines: Sequence[dict[str, Any]], ablations: Sequence[str]) -> str:
    """What the recipe does without some of its parts: over all settings, by expert, and by how rare the own style is."""
    rare = min(OWN_SHARE.values())
    chosen = {
        "all": lines,
        **{f"{expert} expert": [line for line in lines if line["expert"] == expert] for expert in EXPERT_NAMES},
        f"{100 * rare:.0f} % planted": [line for line in lines if OWN_SHARE[line["instruction"]] == rare],
        "more planted": [line for line in lines if OWN_SHARE[line["instruction"]] != rare],
    }
    pooled_results = {name: pool(those, ("expert", "rl", *ablations)) for name, those in chosen.items()}
    return "\n".join(parts_table({name: pooled for name, pooled in pooled_results.items() if pooled}))


def _dial(rows: Sequence[Mapping[str, Any]], own_style: Mapping[str, Any] | None = None) -> str:
    if not rows:
        return NOT_MEASURED
    return "\n".join([*brief_table(rows), "", *map(_bullet, aim_sentences(rows, own_style))])


def _paragraph(text: str, first: str = "", further: str = "") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=further, break_on_hyphens=False)


def _bullet(sentence: str) -> str:
    return _paragraph(sentence, "- ", "  ")

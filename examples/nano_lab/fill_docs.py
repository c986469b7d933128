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
    EVERY,
    EXPERTS,
    GRID,
    RATES,
    SECOND,
    SHIPPED,
    WITH_KL,
    Cell,
    correct_of,
    found_of,
    of_backbone,
    own_style,
    read,
    shipped,
    whole,
)
from examples.nano_lab.dial_tables import (
    ARMS,
    against,
    aim_sentences,
    arms_table,
    brief_table,
    dial_table,
    kl_table,
    parts_table,
    percent,
    seeds_table,
    summary_table,
    whole_sentences,
    whole_table,
)
from patchrl.errors import DataError
from patchrl.evaluation.statistics import Correct, macro
from patchrl.nano.world import OWN_SHARE

WIDTH = 128
NOT_YET = "Not measured yet."
MAIN = Cell(SHIPPED, "foreign", "own-words")  # what README tells first
COLLAPSE = Cell(SHIPPED, "foreign", "polish", 0.5)  # where the published reward fails
MARKED = re.compile(r"(?P<begin><!-- (?P<name>[\w-]+) -->\n).*?(?P<end><!-- /(?P=name) -->)", re.DOTALL)
MARK = re.compile(r"^<!-- /?[\w-]+ -->$", re.MULTILINE)


@functools.cache
def blocks() -> dict[str, str]:
    """What stands between the marks of each name, from the answers that come with PatchRL."""
    every = read()
    lines = of_backbone(every)
    tables = ("\n".join(arms_table(found, "rl")) for found in found_of(lines, EVERY).values())
    return {
        "main": _one(lines, MAIN, by_seed=True),
        "collapse": _one(lines, COLLAPSE),
        "summary": _summary({"shipped": lines, "second": of_backbone(every, SECOND)}),
        "why": _why(lines),
        "whole": _whole(lines),
        "whole-second": _whole(of_backbone(every, SECOND)),
        "parts": _parts(lines, ABLATIONS),
        "parts-second": _parts(of_backbone(every, SECOND), ABLATIONS[:1]),
        "dial": _dial(shipped(), own_style()),
        "dial-second": _dial(shipped(SECOND), own_style(SECOND)),
        "dial-intervals": "\n".join(dial_table([*shipped(), *shipped(SECOND)])),
        "kl": "\n".join(kl_table(found_of(lines, (*GRID, *WITH_KL)))),
        "pays": "\n".join(_bullet(sentence) for sentence in cost_map.shipped()[1]),
        "arms": next(tables, "No seed has every arm yet."),
    }


def filled(text: str, made: dict[str, str]) -> str:
    """`text` with what is between marks made new; raises DataError for a name that is not in `made` and for a mark that
    is not one of a pair."""
    if alone := MARK.search(MARKED.sub("", text)):
        raise DataError(f"{alone[0]} is alone; a part stands between <!-- NAME --> and <!-- /NAME -->, a line each.")

    def renewed(match: re.Match[str]) -> str:
        if match["name"] not in made:
            raise DataError(f"<!-- {match['name']} --> is no mark; use one of {', '.join(made)}.")
        return f"{match['begin']}\n{made[match['name']]}\n\n{match['end']}"

    return MARKED.sub(renewed, text)


def _one(lines: Sequence[dict[str, Any]], cell: Cell, by_seed: bool = False) -> str:
    """One setting in full: its arms and RL against the others."""
    theirs = [line for line in lines if Cell.of(line) == cell]
    found = found_of(theirs, ARMS)[cell]
    sentences = [_bullet(against(found, "rl", other)) for other in ("best-of-k", *ABLATIONS)]
    seeds = ["", *seeds_table(theirs, found)] if by_seed else []
    return "\n".join([*arms_table(found), "", *sentences, *seeds])


def _summary(by_backbone: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """README's one table: every backbone's settings taken together."""
    wholes = {name: (_before(lines), together) for name, lines in by_backbone.items() if (together := whole(lines))}
    return "\n".join(summary_table(wholes)) if wholes else NOT_YET


def _why(lines: Sequence[dict[str, Any]]) -> str:
    """The one number of README's motivation: general skills after plain SFT and after RL at the highest rate."""
    together = whole(lines)
    if together is None:
        return NOT_YET
    rate = max(RATES)
    plain, rl = (percent(together.sweep[arm][rate][1]) for arm in ("expert", "rl"))
    before = percent(macro(_before(lines), "general"))
    return _paragraph(
        f"In our lab (a model of 2 M parameters), SFT at a learning rate of {rate:g} lowers general skills from {before} to "
        f"{plain} %; SFT on rewrites at the same rate leaves {rl} %."
    )


def _before(lines: Sequence[dict[str, Any]]) -> Correct:
    """A backbone's answers before fine-tuning."""
    return correct_of(next(line for line in lines if line["arm"] == "base"))


def _whole(lines: Sequence[dict[str, Any]]) -> str:
    together = whole(lines)
    return "\n".join([*whole_table(together), "", *map(_bullet, whole_sentences(together))]) if together else NOT_YET


def _parts(lines: Sequence[dict[str, Any]], ablations: Sequence[str]) -> str:
    """What the recipe does without some of its parts: over all settings, by expert, and by how rare the own style is."""
    rare = min(OWN_SHARE.values())
    chosen = {
        "all": lines,
        **{f"{expert} expert": [line for line in lines if line["expert"] == expert] for expert in EXPERTS},
        f"{100 * rare:.0f} % planted": [line for line in lines if OWN_SHARE[line["instruction"]] == rare],
        "more planted": [line for line in lines if OWN_SHARE[line["instruction"]] != rare],
    }
    wholes = {name: whole(those, ("expert", "rl", *ablations)) for name, those in chosen.items()}
    return "\n".join(parts_table({name: made for name, made in wholes.items() if made}))


def _dial(rows: Sequence[Mapping[str, Any]], own_style: Mapping[str, Any] | None = None) -> str:
    if not rows:
        return NOT_YET
    return "\n".join([*brief_table(rows), "", *map(_bullet, aim_sentences(rows, own_style))])


def _paragraph(text: str, first: str = "", further: str = "") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=further, break_on_hyphens=False)


def _bullet(sentence: str) -> str:
    return _paragraph(sentence, "- ", "  ")

"""The tables and sentences of the lab's studies in Markdown files, between marks that name them, so that no figure is typed.

`<!-- dial -->` and `<!-- /dial -->` each stand on a line of their own; `turn_dial --fill FILE` renews what is between.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from patchrl.errors import DataError
from patchrl.nano import pays
from patchrl.nano.dial import (
    ABLATIONS,
    EVERY,
    GRID,
    SECOND,
    SHIPPED,
    WITH_KL,
    Cell,
    found_of,
    of_backbone,
    own_style,
    read,
    shipped,
    whole,
)
from patchrl.nano.dial_tables import (
    ARMS,
    against,
    aim_told,
    arms_table,
    brief_table,
    dial_table,
    kl_table,
    seeds_table,
    whole_table,
    whole_told,
)

WIDTH = 128
MAIN = Cell(SHIPPED, "foreign", "own-words")  # what README tells first
MARKED = re.compile(r"(?P<begin><!-- (?P<name>[\w-]+) -->\n).*?(?P<end><!-- /(?P=name) -->)", re.DOTALL)


def blocks() -> dict[str, str]:
    """What stands between the marks of each name, from the answers that come with PatchRL."""
    lines = of_backbone(read())
    together = whole(lines)
    assert together is not None
    tables = ("\n".join(arms_table(found, "rl")) for found in found_of(lines, EVERY).values())
    theirs = [line for line in lines if Cell.of(line) == MAIN]
    found = found_of(theirs, ARMS)[MAIN]
    against_others = ["- " + against(found, "rl", other) for other in ("best-of-k", *ABLATIONS)]
    return {
        "main": "\n".join([*arms_table(found), "", *against_others, "", *seeds_table(theirs, found)]),
        "whole": "\n".join([*whole_table(together), "", _paragraph(whole_told(together))]),
        "dial": _dial(shipped(), own_style()),
        "dial-second": _dial(shipped(SECOND)),
        "dial-intervals": "\n".join(dial_table([*shipped(), *shipped(SECOND)])),
        "kl": "\n".join(kl_table(found_of(lines, (*GRID, *WITH_KL)))),
        "pays": "\n".join(_bullet(sentence) for sentence in pays.shipped()[1]),
        "arms": next(tables, "No seed has every arm yet."),
    }


def filled(text: str, made: dict[str, str]) -> str:
    """`text` with what is between marks made new; raises DataError for a name that is not in `made`."""

    def renewed(match: re.Match[str]) -> str:
        if match["name"] not in made:
            raise DataError(f"<!-- {match['name']} --> is no mark; use one of {', '.join(made)}.")
        return f"{match['begin']}\n{made[match['name']]}\n\n{match['end']}"

    return MARKED.sub(renewed, text)


def _dial(rows: Sequence[Mapping[str, Any]], own_style: Mapping[str, Any] | None = None) -> str:
    if not rows:
        return "Not measured yet."
    return "\n".join([*brief_table(rows), "", _paragraph(aim_told(rows, own_style))])


def _paragraph(text: str, first: str = "", further: str = "") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=further, break_on_hyphens=False)


def _bullet(sentence: str) -> str:
    return _paragraph(sentence, "- ", "  ")

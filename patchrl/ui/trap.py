"""The template trap: one figure and three sentences of the lesson, from `trap.json`.

`examples/nano_lab/trap.py` makes the file from the lab's recorded answers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from patchrl.config.arms import display_name
from patchrl.reporting.figures import Figure, arm_style, layout, significant
from patchrl.text import compact, percent

TRAP = Path(__file__).with_name("trap.json")


def load() -> dict[str, Any]:
    """The figures of the trap."""
    return json.loads(TRAP.read_text(encoding="utf-8"))


def sentences(trap: dict[str, Any]) -> list[str]:
    """What the trap is, what it costs at the hardest setting, and what ends it."""
    hardest = trap["hardest"]
    published, corrected = hardest["arms"]["rl-paper"], hardest["arms"]["rl"]
    setting = (
        f"{trap['expert']} expert, {percent(hardest['planted_share'], 0)} of prompted rewrites in the own style, rollouts "
        f"at temperature {compact(hardest['temperature'])}, {hardest['seeds']} seeds"
    )
    lower, higher = zip(published["scores"], corrected["scores"], strict=True)
    return [
        "A rewriter can only be rewarded for what it samples: if no rewrite of a group is in the backbone's own style, the "
        "reward picks the best of other templates, and training settles on one of those while gate and reward rise.",
        f"At the lab's hardest setting ({setting}) {percent(published['own_share'], 0)} of accepted rewrites end in the own "
        f"style with the reward as published and {percent(corrected['own_share'], 0)} with PatchRL; the models fine-tuned on them, in "
        f"this order, reach {_both(lower, 'target')} of the target and keep {_both(lower, 'general')} of general skills at "
        f"learning rate {compact(lower[0]['rate'])}, and {_both(higher, 'target')} with {_both(higher, 'general')} at "
        f"{compact(higher[0]['rate'])}.",
        "What ends the trap is a warm start, which PatchRL does by default: before RL, a few supervised steps show the "
        "rewriter the backbone's own answers that pass the gate.",
    ]


def _both(scores: tuple[dict[str, float], ...], kind: str) -> str:
    """The scores of the published recipe and of PatchRL, in this order."""
    return " and ".join(percent(at[kind]) for at in scores)


def figure(trap: dict[str, Any]) -> Figure:
    """Own-style share of each arm's accepted rewrites over the settings: a line of means, and a small point per seed."""
    settings, traces = trap["settings"], []
    for arm, shares in trap["own_share"].items():
        (colour, symbol), name = arm_style(arm), display_name(arm)
        common = {"type": "scatter", "legendgroup": arm, "name": name}
        traces += [
            {
                **common,
                "mode": "markers",
                "showlegend": False,
                "x": [setting for setting, seeds in zip(settings, shares, strict=True) for _ in seeds],
                "y": [significant(100 * share) for seeds in shares for share in seeds],
                "marker": {"size": 6, "color": colour, "opacity": 0.45, "symbol": symbol},
                "hovertemplate": f"%{{x}}<br>%{{y:.0f}} %, one seed<extra>{name}</extra>",
            },
            {
                **common,
                "mode": "lines+markers",
                "x": settings,
                "y": [significant(100 * sum(seeds) / len(seeds)) for seeds in shares],
                "line": {"color": colour, "width": 2},
                "marker": {"size": 10, "color": colour, "symbol": symbol},
                "hovertemplate": f"%{{x}}<br>%{{y:.0f}} %, mean<extra>{name}</extra>",
            },
        ]
    look = layout(
        "Accepted rewrites in the backbone's own style",
        "own style among prompted rewrites (T: temperature of the rollouts, 1 if not given)",
        "accepted rewrites in the own style, %",
        height=360,
        xaxis={"type": "category"},
        yaxis={"range": [-4, 104]},
    )
    return {"data": traces, "layout": look}

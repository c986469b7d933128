"""Write the figures of the lesson's last page: `python -m examples.nano_lab.trap`.

The page shows the template trap: how many accepted rewrites of each arm are in the backbone's own style, as prompted
rewrites of that style get rarer. `patchrl/ui/trap.json` is made from dial.jsonl and ships with the package.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from examples.nano_lab.dial import DialSetting, dial_rows, of_backbone, read
from patchrl.nano.world import OWN_SHARE
from patchrl.ui.trap import TRAP

EXPERT = "foreign"
TRAP_ARMS = ("rl-paper", "best-of-k", "rl")


def trap(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The trap on one expert: own-style shares per setting and seed, and the scores at the hardest setting.

    `lines` are those of one backbone. Settings run from the rarest own style to the commonest.
    """
    rows = [row for row in dial_rows(lines) if row["expert"] == EXPERT and row["arm"] in TRAP_ARMS]
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    hardest = {row["arm"]: row for row in rows if row["setting"] == settings[0]}
    return {
        "expert": EXPERT,
        "settings": settings,
        "own_share": {arm: [_own_shares(lines, setting, arm) for setting in settings] for arm in TRAP_ARMS},
        "hardest": {
            "planted_share": OWN_SHARE[hardest["rl"]["instruction"]],
            "temperature": hardest["rl"]["temperature"],
            "seeds": hardest["rl"]["seeds"],
            "arms": {
                arm: {
                    "own_share": round(hardest[arm]["own"], 4),
                    "scores": [{key: round(value, 4) for key, value in at.items()} for at in hardest[arm]["sweep"]],
                }
                for arm in ("rl-paper", "rl")
            },
        },
    }


def _own_shares(lines: Sequence[dict[str, Any]], setting: str, arm: str) -> list[float]:
    """Own-style share of the accepted rewrites, by seed; the learning rate has no influence on it."""
    shares = {
        line["seed"]: round(line["own"] / line["accepted"], 4)
        for line in lines
        if (line["arm"], line["expert"], DialSetting.of(line).label) == (arm, EXPERT, setting)
    }
    return [shares[seed] for seed in sorted(shares)]


def written() -> str:
    """The text of `trap.json`."""
    return json.dumps(trap(of_backbone(read())), ensure_ascii=False, indent=1) + "\n"


def main() -> None:
    Path(TRAP).write_text(written(), encoding="utf-8")
    print(f"{TRAP}: {TRAP.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

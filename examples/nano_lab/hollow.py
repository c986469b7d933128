"""Write the figures of the lesson's last page: `python -m examples.nano_lab.hollow RUN`.

The page shows a reward that is won without rewriting: the gate `equations` passes texts without equations, and training
finds them. RUN is the folder of such a training, in which the rewriter seldom copies a near expert right:

    python -m patchrl train nano-near --set study.seeds=[0] --set data.train_size=128 --set rewriter.temperature=1.2 \\
        --set rewriter.instruction=as-you-would --set rewriter.warm_start_steps=0 --set rewriter.steps=50 \\
        --set rewriter.prompts_per_step=6 --set rewriter.group_size=16

`patchrl/ui/hollow.json` is made from its events and ships with the package.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from patchrl.grading.verify import Verdict, verify_answer
from patchrl.runs.events import read_events
from patchrl.runs.folder import RunFolder
from patchrl.ui.hollow import HOLLOW

LAST_STEPS = 10  # whose passing rewrites are judged again
MONITORS = ("stepless", "short")  # that see a text empty


def hollow(config: dict[str, Any], events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The training's curves, its first alarm about empty texts, what the gate `derivation` says, and three rewrites."""
    rows = [event for event in events if event["kind"] == "train"]
    groups = {event["step"]: event for event in events if event["kind"] == "group"}
    alarm = next(event for event in events if event.get("monitor") in MONITORS)
    steps = [row["step"] for row in rows]
    late = [v for step in steps[-LAST_STEPS:] for c, v in derivations(groups[step]) if c["passed"]]
    return {
        "expert": config["data"]["dataset"].removeprefix("nano-"),
        "rollouts": config["rewriter"]["prompts_per_step"] * config["rewriter"]["group_size"],
        "reward": [round(row["reward"], 3) for row in rows],
        "gate": [round(row["consistency"], 3) for row in rows],
        "length": [round(row["length"], 1) for row in rows],
        "stepless": [round(row["monitor_shares"]["stepless"], 3) for row in rows],
        "alarm": alarm["step"],
        "late": {"steps": LAST_STEPS, "passed": len(late), "derived": sum(v.passed is True for v in late)},
        "texts": [text(groups[step]) for step in (steps[0], alarm["step"], steps[-1])],
    }


def derivations(group: dict[str, Any]) -> list[tuple[dict[str, Any], Verdict]]:
    """Each rewrite of a group with the verdict of the gate `derivation`; the answer is the one that the expert ends with."""
    question, solution = group["question"], group["solution"]
    reference = solution.rstrip(".").split()[-1]
    return [
        (c, verify_answer("math", reference, c["text"], reasoning="derivation", question=question, solution=solution))
        for c in group["candidates"]
    ]


def text(group: dict[str, Any]) -> dict[str, Any]:
    """The rewrite of middle length among those of a group that passed, and what `derivation` says of it."""
    passing = sorted((pair for pair in derivations(group) if pair[0]["passed"]), key=lambda pair: len(pair[0]["text"]))
    rewrite, verdict = passing[len(passing) // 2]
    return {
        "step": group["step"],
        "expert": group["solution"],
        "text": rewrite["text"],
        "reward": round(rewrite["reward"], 2),
        "derived": verdict.passed,
        "reason": verdict.reason,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    folder = RunFolder(parser.parse_args().run)
    made = hollow(json.loads(folder.config.read_text(encoding="utf-8")), read_events(folder.events))
    HOLLOW.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{HOLLOW}: {HOLLOW.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

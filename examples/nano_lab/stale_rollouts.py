"""What stale rollouts cost and what VCPO saves: `python -m examples.nano_lab.stale_rollouts LINES`.

Plain GRPO and VCPO train the rewriter with 1, 4, 8 and 16 updates a rollout, at equal updates and at equal rollouts. The
rewriter is then measured on held-out questions. Each run adds one line of JSON to the file LINES; a run that the file has is
not repeated. At the end the table is printed.
"""

from __future__ import annotations

import argparse
import itertools
import math
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from patchrl.config import StudyConfig, resolve
from patchrl.config.instructions import rewrite_prompt
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.nano import world
from patchrl.rewards.group import part_weights
from patchrl.rewards.group_score import Group, judge_completions, score_groups
from patchrl.runs.context import StageContext
from patchrl.runs.folder import RunFolder
from patchrl.runs.jsonl import read_rows, write_rows
from patchrl.training.train_rewriter import train_rewriter
from patchrl.types import Example

TRAIN_SIZE, HELD_OUT_SIZE = 256, 32
PROMPTS_PER_STEP = 2  # of 8 rewrites each
# Updates a rollout and updates in all: 32 updates, or 2 rollouts.
CELLS = ((1, 32), (4, 32), (8, 32), (16, 32), (1, 2), (4, 8), (8, 16))


class Events:
    """A recorder that keeps the events of training."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def event(self, kind: str, **fields: Any) -> None:
        self.events.append({"kind": kind, **fields})

    def progress(self, done: int, total: int, note: str = "") -> None: ...

    def stop_requested(self) -> bool:
        return False

    def values(self, kind: str, name: str) -> list[float]:
        return [event[name] for event in self.events if event["kind"] == kind and event.get(name) is not None]


def held_out_scores(config: StudyConfig, gate: Gate, examples: list[Example]) -> dict[str, float]:
    """Mean reward, gate share and length of K rewrites of each example by the rewriter on the gate's backbone."""
    rewriter, backbone = config.rewriter, gate.backbone
    prompts = [rewrite_prompt(rewriter.instruction, e.question, e.solution) for e in examples]
    generated = backbone.generate(
        prompts,
        samples=rewriter.group_size,
        temperature=rewriter.temperature,
        max_new_tokens=rewriter.max_new_tokens,
        seed=1,
    )
    groups = [
        Group(example, prompt, judge_completions(gate, [example] * len(group), group))
        for example, prompt, group in zip(examples, prompts, generated, strict=True)
    ]
    scored = score_groups(gate, config.reward, groups)
    weights = np.array(part_weights(config.reward))
    parts_3N = np.array(
        [
            [np.nan if value is None else value for score in scored for value in getattr(score.rewards, part)]
            for part in ("consistency", "alignment", "diversity")
        ]
    )
    completions = [completion for group in groups for completion in group.completions]
    return {
        "reward": float(np.nanmean(weights @ parts_3N)),
        "gate": float(np.nanmean(parts_3N[0])),
        "nll": float(np.mean([c.score.nll for c in completions if c.verdict.passed] or [np.nan])),
        "tokens": float(np.mean([len(c.generation.token_ids) for c in completions])),
    }


def measured(vcpo: bool, per_rollout: int, updates: int, rate: float, seed: int) -> dict[str, Any]:
    """One training of the rewriter, and what came of it."""
    config = resolve(
        {
            "rewriter": {
                "steps": updates,
                "updates_per_rollout": per_rollout,
                "vcpo": vcpo,
                "learning_rate": rate,
                "prompts_per_step": PROMPTS_PER_STEP,
                "warm_start_steps": 0,
            }
        }
    )
    examples = world.downstream_examples("foreign", TRAIN_SIZE + HELD_OUT_SIZE)
    events = Events()
    backbone = Backbone.load(config.backbone)
    with tempfile.TemporaryDirectory() as name, Gate(config, backbone) as gate:
        home = Path(name)
        context = StageContext(config, backbone, gate, events, RunFolder(home))
        started = time.perf_counter()
        train_rewriter(context, examples[:TRAIN_SIZE], seed, home)
        seconds = time.perf_counter() - started
        scores = held_out_scores(config, gate, examples[TRAIN_SIZE:])
    return {
        **key(vcpo, per_rollout, updates, rate, seed),
        "ess": min(events.values("staleness", "ess"), default=1.0),
        "seconds": round(seconds, 1),
        **{name: round(value, 4) for name, value in scores.items()},
    }


def key(vcpo: bool, per_rollout: int, updates: int, rate: float, seed: int) -> dict[str, Any]:
    """What tells one run from the others."""
    return {"vcpo": vcpo, "per_rollout": per_rollout, "updates": updates, "rate": rate, "seed": seed}


def table(lines: Iterable[dict[str, Any]]) -> str:
    """A row for each arm at each number of updates a rollout: reward and gate share by seed, and the smallest ESS."""
    rows: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for line in lines:
        rows.setdefault((line["rate"], line["updates"], line["per_rollout"], line["vcpo"]), []).append(line)
    text = [
        "| rate | updates a rollout | updates | rollouts | training | reward by seed | gate share by seed, % | smallest ESS |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (rate, updates, per_rollout, vcpo), runs in sorted(rows.items()):
        runs.sort(key=lambda run: run["seed"])
        cells = [f"{rate:g}", per_rollout, updates, math.ceil(updates / per_rollout), "VCPO" if vcpo else "GRPO"]
        cells += [
            ", ".join(f"{run['reward']:.2f}" for run in runs),
            ", ".join(f"{run['gate']:.0%}"[:-1] for run in runs),
        ]
        text.append("| " + " | ".join(map(str, [*cells, f"{min(run['ess'] for run in runs):.2f}"])) + " |")
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", type=Path, help="the file of results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-3])
    parser.add_argument(
        "--updates", type=int, nargs="+", help="a run's updates a rollout and its updates: only this cell"
    )
    options = parser.parse_args()
    cells = [tuple(options.updates)] if options.updates else CELLS
    for seed, rate, (per_rollout, updates) in itertools.product(options.seeds, options.rates, cells):
        for vcpo in (False, True) if per_rollout > 1 else (False,):
            run = key(vcpo, per_rollout, updates, rate, seed)
            lines = read_rows(options.lines) if options.lines.exists() else []
            if not any(run.items() <= line.items() for line in lines):
                write_rows(options.lines, [*lines, measured(**run)])
    print(table(read_rows(options.lines)))


if __name__ == "__main__":
    main()

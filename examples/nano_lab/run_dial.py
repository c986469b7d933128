"""Turn the lab's dial: `python -m examples.nano_lab.run_dial`.

A few studies for each backbone, expert, rewriting instruction, temperature and seed; every answer of every arm is added
to dial.jsonl, and the table of what is there is printed. It can be stopped at any time and started again: a study that has its lines is
not repeated. `--table` only prints.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from examples.nano_lab.cost_map import combined, compare_costs, describe, sentences
from examples.nano_lab.dial import (
    ABLATIONS,
    ALL_ARMS,
    ANSWER_MARKS,
    ANSWERS,
    BEST_OF,
    DIAL_ARMS,
    EXPERT_NAMES,
    KL_ARMS,
    OWN_EXPERT,
    RATES,
    RL_BEST_OF_K,
    SHIPPED_BACKBONE,
    DialSetting,
    dial_rows,
    read,
    setting_results,
)
from examples.nano_lab.dial_tables import arms_table, brief_table, dial_table
from examples.nano_lab.fill_docs import contents, fill_marks
from patchrl import api
from patchrl.config import StudyConfig, resolve
from patchrl.config.arms import parse
from patchrl.errors import PatchRLError
from patchrl.jobs.status import LIVE_STATES
from patchrl.nano.world import OWN_SHARE, style
from patchrl.runs.folder import RunFolder, default_runs_dir
from patchrl.runs.jsonl import read_rows

# Arms whose name here is not that of a study: best-of-k at another K than the dial's.
SOURCE = dict.fromkeys(BEST_OF, "best-of-k")
# What is run together: a study each, a quarter of an hour or less, so that little is lost where one is cut off.
SETS: dict[str, list[tuple[str, ...]]] = {
    "dial": [DIAL_ARMS, ABLATIONS],
    "grid": [DIAL_ARMS],
    "own": [("expert",)],
    "map": [(arm,) for arm in BEST_OF],
    "together": [RL_BEST_OF_K],
    "kl": [KL_ARMS],
    "arms": [
        DIAL_ARMS,
        ABLATIONS,
        KL_ARMS,
        ("prompted", "rl-drop", *RL_BEST_OF_K),
        ("rl-no-alignment", "rl-no-diversity"),
        ("mind-the-gap", "mind-the-gap+dft", "self", "self-resampled"),
        ("dft", "eaft", "kl"),
        ("replay", "wise-ft", "low-lr", "lora"),
        ("grpo", "sft-then-rl"),
        ("dypo", "sdft"),
    ],
}


def config_of(setting: DialSetting, model: str, seed: int, arms: Sequence[str]) -> StudyConfig:
    """The study of one cell and seed; arms of `dial.BEST_OF` share one K."""
    k = next((BEST_OF[arm] for arm in arms if arm in BEST_OF), 8)
    suffix = "" if arms == DIAL_ARMS else f"-{arms[0]}".replace("+", "-")
    return resolve(
        {
            "study": {
                "name": f"dial-{setting.backbone}-{setting.expert}-{setting.instruction}{suffix}"[:40],
                "seeds": [seed],
                "arms": ["expert", *(SOURCE.get(arm, arm) for arm in arms if arm != "expert")],
            },
            "backbone": {"model": model},
            "data": {"dataset": f"nano-{setting.expert}"},
            "rewriter": {"instruction": setting.instruction, "temperature": setting.temperature},
            "rewrite": {"best_of_k": k},
            "finetune": {"learning_rate": RATES, "keep_weights": False},
        }
    )


def run_setting(
    setting: DialSetting, model: str, seed: int, arms: Sequence[str], runs_dir: Path
) -> list[dict[str, Any]]:
    """Run a cell's study, or go on with the one that is there, and return its lines."""
    config = config_of(setting, model, seed, arms)
    same_study = [run for run in api.list_runs(runs_dir) if run.config == config]
    if same_study:
        run = same_study[0]
    else:
        folder = RunFolder.create(runs_dir, config)
        _take_over(folder, config, runs_dir)
        run = api.open_run(folder.path)
    if (state := run.status()["state"]) != "done":
        if state not in LIVE_STATES:
            run.resume()
        if (status := run.wait())["state"] != "done":
            raise PatchRLError(f"{run.id} {status['state']}: {status.get('error') or 'no reason was left'}")
    return list(lines_of(run, setting, seed, arms))


def _take_over(folder: RunFolder, config: StudyConfig, runs_dir: Path) -> None:
    """What does not depend on the setting is there already, where another one was run: plain SFT, and the rewriter
    where only what is sampled of it differs."""
    for run in api.list_runs(runs_dir):
        same_study = run.config
        same = (same_study.study.seeds, same_study.backbone, same_study.data) == (
            config.study.seeds,
            config.backbone,
            config.data,
        )
        if run.id == folder.id or not same or not run.result():
            continue
        copied = [Path("arms", "base")]
        if same_study.finetune == config.finetune:
            copied.append(Path("arms", "expert"))
        if (same_study.rewriter, same_study.reward) == (config.rewriter, config.reward):
            copied.append(Path("adapter"))
        for part in copied:
            if (run.path / part).is_dir() and not (folder.path / part).exists():
                shutil.copytree(run.path / part, folder.path / part)


def lines_of(run: api.Run, setting: DialSetting, seed: int, arms: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One line for the backbone and one for each arm and rate of a finished study: its score marks by task."""
    result = run.result()
    assert result is not None
    device = result["versions"].get("device", "cpu")
    where = setting.line | {"seed": seed} | ({} if device == "cpu" else {"device": device})
    if "expert" in arms:
        yield where | {"arm": "base", "answers": _answer_marks(run.folder.base() / "predictions.jsonl")}
    for name in arms:
        arm = SOURCE.get(name, name)
        fields = {"tokens": round(result["arms"][arm]["cost"]["tokens"])}
        if (samples := run.folder.samples(parse(arm).data, seed)).is_file():
            rows = [row for row in read_rows(samples) if row["decision"] == "accepted"]
            fields |= {
                "accepted": len(rows),
                "own": sum(style(row["rewrite"]) == "own" for row in rows),
                "nll": round(result["arms"][arm]["data"]["nll"], 4),
            }
        for rate in RATES:
            answers = _answer_marks(run.folder.arm(arm, seed, rate) / "predictions.jsonl")
            yield where | {"arm": name, "rate": rate} | fields | {"answers": answers}


def _answer_marks(predictions: Path) -> dict[str, str]:
    marks: dict[str, str] = defaultdict(str)
    for row in read_rows(predictions):
        marks[row["task"]] += ANSWER_MARKS[row["passed"]]
    return dict(marks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", help="0 to 4 unless given")
    parser.add_argument(
        "--experts", nargs="+", choices=(*EXPERT_NAMES, OWN_EXPERT), help="foreign and mild unless given"
    )
    parser.add_argument("--instructions", nargs="+", choices=tuple(OWN_SHARE), help="all four unless given")
    parser.add_argument("--temperatures", type=float, nargs="+", help="of the rollouts; 1 unless given")
    parser.add_argument(
        "--sets",
        nargs="+",
        choices=tuple(SETS),
        default=["dial"],
        help="which arms are run: `dial` those of the README's first table, `grid` these without the published recipe, `own` (with "
        "--experts own) plain SFT on the backbone's own style, `map` best-of-k for other k, `together` the best of the "
        "rewriter's own rewrites, `kl` RL and best-of-8 learned with a KL to the backbone, `arms` those of nano-arms.toml",
    )
    parser.add_argument(
        "--backbone",
        nargs=2,
        action="append",
        metavar=("NAME", "MODEL"),
        help="a name and its folder; nano unless given",
    )
    parser.add_argument("--runs-dir", type=Path, default=default_runs_dir(), help="where the studies are kept")
    parser.add_argument("--into", type=Path, default=ANSWERS, help="where lines are added")
    parser.add_argument("--table", action="store_true", help="only print what is there, of what is named")
    parser.add_argument(
        "--fill",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="only renew the tables and sentences of these Markdown files, from the answers that come with PatchRL",
    )
    options = parser.parse_args()
    if options.fill:
        sys.exit(fill(options.fill))
    settings = (
        (DialSetting(name, expert, instruction, temperature), model, seed)
        for name, model in options.backbone or [(SHIPPED_BACKBONE, "nano")]
        for seed in options.seeds or range(5)
        for expert in options.experts or EXPERT_NAMES
        for instruction in options.instructions or OWN_SHARE
        for temperature in options.temperatures or [1.0]
    )
    try:
        if not options.table:
            run_missing(
                settings, [arms for name in options.sets for arms in SETS[name]], options.runs_dir, options.into
            )
    except PatchRLError as error:
        sys.exit(str(error))
    named = {
        "seed": options.seeds,
        "expert": options.experts,
        "instruction": options.instructions,
        "temperature": options.temperatures,
        "backbone": [name for name, _ in options.backbone or ()],
    }
    lines = [
        line
        for line in read(options.into)
        if all(not wanted or ({"temperature": 1.0} | line)[key] in wanted for key, wanted in named.items())
    ]
    if not lines:
        sys.exit(f"{options.into} has no answers of what is named.")
    show(lines)


def fill(files: Sequence[Path]) -> str | None:
    """Renew what is between the marks of Markdown files; returns what is wrong, None where nothing is."""
    try:
        before = {path: path.read_text(encoding="utf-8") for path in files}
        by_name = contents()
        after = {path: fill_marks(text, by_name) for path, text in before.items()}
        for path, text in after.items():
            path.write_text(text, encoding="utf-8")
            print(f"{path}: {'as it was' if text == before[path] else 'renewed'}")
    except OSError as error:
        return f"{error.filename}: {error.strerror}."
    except PatchRLError as error:
        return str(error)
    return None


def show(lines: Sequence[dict[str, Any]]) -> None:
    """Print the tables of these lines, and the map."""
    rows = dial_rows(lines)
    print("\n".join([*dial_table(rows), "", *brief_table(rows)]))
    for setting, result in setting_results(lines, ALL_ARMS).items():
        print(
            "\n".join(
                [
                    "",
                    f"{setting.backbone}, {setting.expert}, {setting.label}, seeds {result.seeds}",
                    *arms_table(result),
                ]
            )
        )
    points = compare_costs(lines)
    print("", *(describe(point) for point in points), "", *sentences(points, combined(lines)), sep="\n")


def run_missing(
    settings: Iterable[tuple[DialSetting, str, int]], sets: Sequence[Sequence[str]], runs_dir: Path, into: Path
) -> None:
    """Run the arms of cells that have no lines yet, and add theirs as each study is done."""
    for setting, model, seed in settings:
        for arms in sets:
            recorded = {line["arm"] for line in read(into) if (DialSetting.of(line), line["seed"]) == (setting, seed)}
            missing = tuple(arm for arm in arms if arm not in recorded)
            if not missing:
                continue
            lines = run_setting(setting, model, seed, missing, runs_dir)
            with into.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(line) + "\n" for line in lines if line["arm"] not in recorded))
            print(f"{setting} seed {seed}: {', '.join(missing)}", file=sys.stderr)


if __name__ == "__main__":
    main()

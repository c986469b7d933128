"""Make a recording that ships with the app from a finished run: `python -m examples.nano_lab.record RUN`.

RUN has one seed. The lab's recording, which the lesson plays, is of its foreign expert and all four arms:
`python -m patchrl run examples/nano.toml --set study.seeds=[0]`. It keeps the rewriter, so that the playground can use it.
Fine-tuned weights, logs and reports stay out, and so does the larger rewriter of a real model.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from patchrl import api
from patchrl.config.arms import DEFAULT
from patchrl.errors import PatchRLError, RunError
from patchrl.nano.world import style
from patchrl.recordings import ABOUT, HOME, LAB, folders
from patchrl.runs.folder import RunFolder

MAX_BYTES, MAX_LAB_BYTES = 3_000_000, 4_000_000  # the lab's has its rewriter
RECORDED_SURPRISAL_ROWS = 24
GROUP = "group.json"
EXCLUDED_NAMES = {"log.txt", "lock", "stop", "report.html", "README.md"}


def record(run: api.Run, into: Path, about: dict[str, str]) -> int:
    """Write the recording of a run to a folder, replacing what is there; returns its size in bytes.

    No page shows the tokens of best-of-k, so they stay out.

    Args:
        about: `title` and `about`, what the recording is in one sentence.

    Raises RunError when the run is not finished or not one seed, and one of the nano lab where it lacks an arm.
    """
    config, status = run.config, run.status()
    if status["state"] != "done" or run.result() is None:
        raise RunError(f"{run.id} is {status['state']}; only a finished run can be recorded.")
    lab = config.backbone.model == "nano" and config.data.dataset == "nano-foreign"
    if len(config.study.seeds) != 1 or (lab and set(config.study.arms) != set(DEFAULT)):
        raise RunError(
            f"{run.id} must hold one seed and, of the lab, every arm; it has {config.study.seeds} and {config.study.arms}."
        )
    excluded = EXCLUDED_NAMES if lab else EXCLUDED_NAMES | {"adapter"}
    answers = {run.folder.base()} | {_compared(run, arm) for arm in config.study.arms}
    shutil.rmtree(into, ignore_errors=True)
    for source in sorted(p for p in run.path.rglob("*") if p.is_file()):
        place = source.relative_to(run.path)
        if (
            excluded.isdisjoint((place.parts[0], place.name))
            and "weights" not in place.parts
            and not ("best-of-k" in str(place) and place.name.endswith((".npz", ".surprisal.jsonl")))
            and (source.name != "predictions.jsonl" or source.parent in answers)
        ):
            copy = into / place
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(_trimmed(source))
    folder = RunFolder(into)
    folder.write_json(folder.status, status | {"pid": None, "pid_started": None})
    folder.write_json(into / ABOUT, about)
    if lab:
        folder.write_json(into / GROUP, lesson_group(run))
    return sum(path.stat().st_size for path in into.rglob("*") if path.is_file())


def _compared(run: api.Run, arm: str) -> Path:
    """The folder of an arm's one fine-tune whose answers are read: at the rate that the results compare it at."""
    result, config = run.result() or {}, run.config
    rate = result["arms"][arm]["learning_rate"] if config.finetune.sweeps else None
    return run.folder.arm(arm, config.study.seeds[0], rate)


def _trimmed(source: Path) -> bytes:
    """A file's bytes; of token surprisal only the first rows, and of an adapter's settings no folder of this machine."""
    data = source.read_bytes()
    if source.name == "adapter_config.json":
        return json.dumps(json.loads(data) | {"base_model_name_or_path": "nano"}, indent=2).encode()
    if source.name.endswith(".surprisal.jsonl"):
        return b"".join(data.splitlines(keepends=True)[:RECORDED_SURPRISAL_ROWS])
    return data


def lesson_group(run: api.Run) -> dict[str, Any]:
    """Four texts for one question, each of another kind, scored as a group of four with embeddings.

    From the first recorded group that has a right and a wrong rewrite and whose question the prompted backbone answered in
    the lab's mannered style: these three, and the expert's own text.
    """
    prompted = {
        row["question"]: row["rewrite"] for row in run.samples("prompted", run.config.study.seeds[0]) if row["passed"]
    }
    for event in run.events()[0]:
        if event["kind"] != "group" or style(mannered := prompted.get(event["question"], "")) != "mannered":
            continue
        own = next((c["text"] for c in event["candidates"] if c["passed"] and style(c["text"]) == "own"), None)
        wrong = next((c["text"] for c in event["candidates"] if c["passed"] is False), None)
        if own and wrong:
            texts = [own, mannered, event["solution"], wrong]
            break
    else:
        raise RunError(
            f"{run.id} has no group with a right and a wrong rewrite and a mannered one by the prompted backbone."
        )
    example = api.typed_example(event["question"], event["solution"])
    playground = api.Playground()
    try:
        answers = list(playground.score(api.play_settings(run.config), example, texts))
    finally:
        playground.close()
    scored = next((a for a in answers if a["kind"] == "group"), None)
    if scored is None:
        raise RunError(answers[-1].get("text", "The group could not be scored."))
    keys = ("text", "passed", "reason", "nll", "misalignment")
    candidates = [
        {key: candidate[key] for key in keys} | {"embedding": vector}
        for candidate, vector in zip(scored["candidates"], scored["embeddings"], strict=True)
    ]
    about = {key: event[key] for key in ("seed", "step", "question", "solution")}
    return about | {"reference": example.reference, "candidates": candidates}


def main(arguments: list[str] | None = None) -> int:
    """Record one run; prints how large it became."""
    parser = argparse.ArgumentParser(prog="examples.nano_lab.record", description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a finished run: its id, or its folder")
    parser.add_argument("--id", default=LAB, help=f"the recording's id (default: {LAB})")
    parser.add_argument("--title", help="how lists call it (default: as before)")
    parser.add_argument("--about", help="one sentence on what it is (default: as before)")
    options = parser.parse_args(arguments)
    into = HOME / options.id
    given = {key: value for key in ("title", "about") if (value := getattr(options, key))}
    about = (json.loads((into / ABOUT).read_text(encoding="utf-8")) if options.id in folders() else {}) | given
    if about.keys() != {"title", "about"}:
        parser.error(f"{options.id} is new: give its --title and what it is --about.")
    try:
        size = record(api.open_run(Path(options.run) if "/" in options.run else options.run), into, about)
    except PatchRLError as error:
        print(f"record: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"folder": str(into), "bytes": size}))
    if size > (largest := MAX_LAB_BYTES if options.id == LAB else MAX_BYTES):
        print(f"record: {size:,} bytes; the package takes at most {largest:,}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

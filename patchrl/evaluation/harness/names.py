"""Which evaluation names are harness tasks, and whether such tasks exist. Imports no lm-eval: a process of its own does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from patchrl.config import StudyConfig
from patchrl.config.eval_tasks import TASK_SETS, expand, harness_names
from patchrl.errors import ConfigError

TASK_FOLDER = Path(__file__).parent / "task_files"
INDEX = Path(__file__).with_name("index.py")
INDEX_TIMEOUT = 300.0  # seconds; 14,000 task files are read in about 5
INSTALL = 'pip install "patchrl[harness]" (in a checkout: pip install -e ".[harness]")'


def task_folders(folder: str) -> list[str]:
    """Where task files lie beside the harness's own; a person's folder comes last and wins."""
    return [str(TASK_FOLDER), *([folder] if folder else [])]


def name_problems(config: StudyConfig) -> list[str]:
    """Why names in `evaluate.target` and `evaluate.general` cannot be measured; a sentence for each."""
    section, problems = config.evaluate, []
    if twice := [name for name in expand(section.target) if name in expand(section.general)]:
        problems.append(
            f"evaluate.general: {', '.join(twice)} is in evaluate.target too; what is trained for cannot show "
            "forgetting. Leave it out of one of them."
        )
    if section.tasks_folder and not Path(section.tasks_folder).is_dir():
        problems.append(f"evaluate.tasks_folder: {section.tasks_folder} is not a folder; give one with task files.")
    requested = {kind: harness_names(getattr(section, kind)) for kind in ("target", "general")}
    if not any(requested.values()):
        return problems
    if find_spec("lm_eval") is None:
        first = (*requested["target"], *requested["general"])[0]
        return [*problems, f"evaluate: {first!r} is a task of lm-evaluation-harness, which is missing: {INSTALL}."]
    try:
        unknown = unknown_names((*requested["target"], *requested["general"]), section.tasks_folder)
    except ConfigError as error:
        return [*problems, str(error)]
    for kind, names in requested.items():
        for name in names:
            if name in unknown:
                nearest = [*get_close_matches(name, TASK_SETS, 1), *unknown[name]]
                near = f"near names are {', '.join(nearest)}" if nearest else "no name is near"
                problems.append(
                    f"evaluate.{kind}: harness task {name!r} does not exist; {near}. Task sets are {', '.join(TASK_SETS)}; "
                    "a data file must be JSON, CSV or Parquet."
                )
    return problems


def unknown_names(names: Iterable[str], folder: str) -> dict[str, list[str]]:
    """The names that no task, group or tag has, each with up to three near ones.

    Raises ConfigError where the harness cannot be asked.
    """
    question = json.dumps({"names": list(names), "folders": task_folders(folder)})
    # -P keeps this package's folder off the path of the other process.
    command = [sys.executable, "-P", str(INDEX)]
    failed = "evaluate: lm-evaluation-harness could not list its tasks"
    try:
        process = subprocess.run(command, input=question, capture_output=True, text=True, timeout=INDEX_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{failed} within {INDEX_TIMEOUT:.0f} s; try again on a less busy machine.") from None
    if process.returncode:
        error_lines = process.stderr.strip().splitlines() or ["it ended without a word"]
        raise ConfigError(f"{failed} ({error_lines[-1]}); mend it with {INSTALL}.")
    return json.loads(process.stdout.splitlines()[-1])

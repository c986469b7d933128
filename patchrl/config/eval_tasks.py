"""What the names in `evaluate.target` and `evaluate.general` mean."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

# Instruction-tuned backbones answer in prose. The harness's own string matches on GSM8K and MATH miss such answers, and
# the harness has no SVAMP: the set `math` therefore uses task files of PatchRL, which its verifier judges.
TASK_SETS = {
    "general-lite": ("mmlu", "arc_challenge", "hellaswag", "truthfulqa_mc1", "ifeval"),
    "paper": ("mmlu", "mmlu_pro", "agieval"),
    "math": ("patchrl_gsm8k", "patchrl_svamp", "patchrl_math500"),
}
DATA_ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".gz")
BUILT_IN = ("held-out", "nano", "everyday")  # measured without the harness


def names_a_file(name: str) -> bool:
    """Whether a name is the path of a data file."""
    return "/" in name or "\\" in name or Path(name).suffix.lower() in DATA_ENDINGS


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """The names with each task set replaced by its tasks, without repetition."""
    return tuple(dict.fromkeys(task for name in names for task in TASK_SETS.get(name, (name,))))


def harness_names(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the names that are tasks, groups or tags of the harness, task sets expanded."""
    return tuple(name for name in expand(names) if name not in BUILT_IN and not names_a_file(name))

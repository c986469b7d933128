"""What the names in `evaluate.target` and `evaluate.general` stand for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

# An instruction-tuned backbone answers in prose, which the harness's own string matches on GSM8K and MATH miss, and
# it has no SVAMP: these three are task files of PatchRL, judged by its verifier.
PRESETS = {
    "general-lite": ("mmlu", "arc_challenge", "hellaswag", "truthfulqa_mc1", "ifeval"),
    "paper": ("mmlu", "mmlu_pro", "agieval"),
    "math": ("patchrl_gsm8k", "patchrl_svamp", "patchrl_math500"),
}
OWN = ("held-out", "nano")  # judged without the harness


def names_a_file(name: str) -> bool:
    """Whether a name stands for a data file."""
    return "/" in name or "\\" in name or Path(name).suffix.lower() in (".jsonl", ".json", ".csv", ".parquet")


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """The names with presets replaced by what is in them, each once."""
    return tuple(dict.fromkeys(part for name in names for part in PRESETS.get(name, (name,))))


def harness_names(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the names that are tasks, groups or tags of the harness, presets expanded."""
    return tuple(name for name in expand(names) if name not in OWN and not names_a_file(name))

"""The studies on SmolLM2-135M-Instruct, and their data made from the public files of SVAMP and GSM8K."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from patchrl.config import StudyConfig, resolve

TRAIN_SIZE = 512
EVAL_SIZES = {"svamp": 250, "gsm8k": 500}
ROWS = {"svamp": 1000, "gsm8k": 2000}  # a quarter of a file at most is held out
RATES = (1e-5, 5e-5, 3e-4)


def svamp_rows(file: Path) -> Iterator[dict[str, str]]:
    """SVAMP with the tersest of experts: its equation, then `#### answer`."""
    for row in json.loads(file.read_text(encoding="utf-8")):
        equation = without_outer_brackets(re.sub(r"(\d)\.0\b", r"\1", row["Equation"]))
        equation = re.sub(r"\(\s+|\s+\)", lambda match: match[0].strip(), equation)
        body = row["Body"].strip()
        yield {
            "question": f"{body}{'' if body[-1] in '.,!?' else '.'} {row['Question'].strip()}",
            "solution": f"{equation} = {row['Answer']:g}\n#### {row['Answer']:g}",
        }


def without_outer_brackets(equation: str) -> str:
    """`( 6 - ( 3 + 2 ) )` as `6 - ( 3 + 2 )`; brackets that do not hold the whole are left."""
    text, depth = equation.strip(), 0
    if not text.startswith("("):
        return text
    for position, sign in enumerate(text):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if not depth:
            return text[1:-1].strip() if position == len(text) - 1 else text
    return text


def gsm8k_rows(file: Path) -> Iterator[dict[str, str]]:
    """GSM8K as it comes, with its calculator marks."""
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield {"question": row["question"], "solution": row["answer"]}


READERS = {"svamp": ("svamp.json", svamp_rows), "gsm8k": ("gsm8k_train.jsonl", gsm8k_rows)}


def write_data(source: Path, folder: Path) -> None:
    """`svamp.jsonl` and `gsm8k.jsonl` in `folder`, as many rows as the studies read, in the order of the public files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (file, read) in READERS.items():
        rows = list(read(source / file))[: ROWS[name]]
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def study(
    name: str, file: Path, model: str, seeds: Sequence[int], arms: Sequence[str], **changes: dict[str, Any]
) -> StudyConfig:
    """One study on a file of `write_data`, whose settings are those of all others but for `changes` by section."""
    sections: dict[str, dict[str, Any]] = {
        "study": {"name": name, "seeds": list(seeds), "arms": ["expert", *arms]},
        "backbone": {"model": model},
        "data": {"dataset": str(file), "task": "math", "train_size": TRAIN_SIZE, "eval_size": EVAL_SIZES[file.stem]},
        "gate": {"reasoning": "derivation"},
        "reward": {"kind": "gain"},
        "rewriter": {
            "instruction": "as-you-would",
            "steps": 40,
            "prompts_per_step": 16,
            "group_size": 8,
            "microbatch_size": 64,
            "learning_rate": 4e-4,
            "warm_start_steps": 0,
            "temperature": 0.5,
            "max_new_tokens": 128,
        },
        "rewrite": {"temperature": 0.5, "best_of_k": 4},
        "finetune": {
            "learning_rate": list(RATES),
            "epochs": 3,
            "max_length": 512,
            "keep_weights": False,
            "replay_data": "",
        },
        "evaluate": {"general": ["everyday"], "general_size": 350, "max_new_tokens": 160},
    }
    for section, values in changes.items():
        sections[section] = sections.get(section, {}) | values
    if not sections["finetune"]["replay_data"]:
        del sections["finetune"]["replay_data"]
    return resolve(sections)

"""The studies on SmolLM2-135M-Instruct, and their data made from the public files of SVAMP and GSM8K."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from patchrl.config import StudyConfig, resolve
from patchrl.runs.folder import RunFolder

TRAIN_SIZE = 512
EVAL_SIZES = {"svamp": 250, "gsm8k": 500}
ROWS = {"svamp": 1000, "gsm8k": 2000}  # a quarter of a file at most is held out
RATES = (5e-6, 2e-5, 1e-4, 3e-4)
ARMS = ("clean", "prompted", "best-of-k", "mind-the-gap", "kl", "rl-paper", "rl")


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
        "backbone": {"model": model, "dtype": "bfloat16"},
        "data": {"dataset": str(file), "task": "math", "train_size": TRAIN_SIZE, "eval_size": EVAL_SIZES[file.stem]},
        "gate": {"reasoning": "derivation"},
        "reward": {"kind": "gain"},
        "rewriter": {
            "instruction": "as-you-would",
            "steps": 24,
            "prompts_per_step": 16,
            "group_size": 8,
            "microbatch_size": 32,
            "learning_rate": 3e-4,
            "warm_start_steps": 20,
            "warm_start_rate": 2e-4,
            "temperature": 0.5,
            "max_new_tokens": 96,
        },
        "rewrite": {"temperature": 0.5, "best_of_k": 4},
        "finetune": {
            "learning_rate": list(RATES),
            "epochs": 3,
            "max_length": 512,
            "keep_weights": False,
        },
        "evaluate": {"general": ["everyday"], "general_size": 350, "max_new_tokens": 160},
    }
    for section, values in changes.items():
        sections[section] = sections.get(section, {}) | values
    return resolve(sections)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("public", type=Path, help="folder with svamp.json and gsm8k_train.jsonl")
    parser.add_argument("runs", type=Path, help="folder for the runs")
    parser.add_argument("--model", default="smollm2-135m")
    options = parser.parse_args()
    data = (options.runs / ".data").resolve()
    write_data(options.public, data)
    for name in READERS:
        made = RunFolder.create(options.runs, study(name, data / f"{name}.jsonl", options.model, (0, 1, 2), ARMS))
        print(made.path)


if __name__ == "__main__":
    main()

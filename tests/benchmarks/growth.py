"""`python -m tests.benchmarks.growth [SMOLLM2_FOLDER]`: how the cost grows with the rows, with K and with the model.

Seconds of one thread of the processor, each point in a process of its own: rewriting by prompting (rows), and a GRPO step with
the gated reward in which every rewrite is scored (K, parameters). Adds a line to `growth.jsonl` here for each point;
`python -m examples.take_pictures --lab` draws them. Without a folder of SmolLM2-135M the largest model is a random one of 54 M parameters.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.update import memory_mb, train

MEASURED = Path(__file__).with_name("growth.jsonl")
ROWS, GROUPS, WIDTHS = (250, 1000, 4000, 16_000), (4, 8, 16, 32), (384, 640)
PROMPTS, STEP = 4, {"steps": 3, "prompt_tokens": 120, "new_tokens": 40}  # of a step's measurement
# What a point is named by: the quantity that grows, its words on the axis, and a panel's title.
PANELS = {
    "rows": ("rows to rewrite", "Rewriting by prompting, nano"),
    "K": ("K, rewrites of a group", f"A GRPO step of {PROMPTS} groups, nano"),
    "parameters": ("parameters", "A GRPO step of 2 groups of 8"),
}


def rewrite(rows: int) -> dict[str, float]:
    """Sample one rewrite of each row with the nano backbone, judge it and measure its ℓ."""
    import torch
    from helpers.contexts import SilentRecorder

    from patchrl.config import resolve
    from patchrl.pipeline.study import run_study
    from patchrl.runs.folder import RunFolder

    torch.set_num_threads(1)
    began: list[float] = []
    took: list[float] = []

    class Recorder(SilentRecorder):
        def event(self, kind: str, **fields: Any) -> None:
            if kind == "stage" and fields["stage"] == "rewrite":
                (began if fields["state"] == "start" else took).append(time.process_time())

    config = resolve(
        {"study": {"seeds": [0], "arms": ["expert", "prompted"]}, "data": {"train_size": rows, "eval_size": 8}}
    )
    with tempfile.TemporaryDirectory() as home:
        run_study(config, RunFolder.create(Path(home), config, "growth"), Recorder(), upto="rewrite")
    return {"rows": rows, "seconds": took[-1] - began[-1], "peak_mb": memory_mb()}


def step(model: str, prompts: int, group: int) -> dict[str, float]:
    """A GRPO step of a model: nano, a folder, or the width of a random one of nano's kind."""
    from patchrl.config import BackboneSection
    from patchrl.models.backbone import Backbone

    with tempfile.TemporaryDirectory() as folder:
        if model.isdigit():
            save_random(int(model), Path(folder))
            model = folder
        measured = train("ours", model, rollouts=prompts * group, group=group, **STEP)
        weights = sum(p.numel() for p in Backbone.load(BackboneSection(model=model)).model.parameters())
    return {"K": group, "parameters": weights, "seconds": measured["seconds"], "peak_mb": measured["peak_mb"]}


def save_random(width: int, folder: Path) -> None:
    """A randomly initialised Llama with nano's tokenizer; as deep as models of its size are."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

    from patchrl.models.backbone import NANO_FOLDER

    words = AutoTokenizer.from_pretrained(NANO_FOLDER)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=width, intermediate_size=3 * width, num_hidden_layers=width // 64,
        num_attention_heads=width // 64, eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    words.save_pretrained(folder)


def panels() -> dict[str, Any]:
    """A figure of the seconds for each quantity that grows."""
    from patchrl.reporting.figures import layout

    lines = [json.loads(line) for line in MEASURED.read_text(encoding="utf-8").splitlines()]
    drawn = {}
    for name, (words, title) in PANELS.items():
        found = sorted((line for line in lines if line["grows"] == name), key=lambda line: line[name])
        trace = {
            "type": "scatter", "mode": "lines+markers+text", "textposition": "top left", "cliponaxis": False,
            "line": {"color": "#009E73"},
            "x": [line[name] for line in found], "y": [line["seconds"] for line in found],
            "text": [f"{line['seconds']:,.{0 if line['seconds'] > 100 else 1}f} s" for line in found],
        }  # fmt: skip
        ticks = {"type": "log", "tickvals": trace["x"], "tickformat": ".3~s"}
        axes = layout(title, words, "seconds of one core", xaxis=ticks, yaxis={"type": "log", "dtick": 1}, height=300)
        axes["margin"] = axes["margin"] | {"l": 76}
        drawn[name] = {"data": [trace], "layout": axes}
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("smollm2", nargs="?", help="a folder of SmolLM2-135M")
    parser.add_argument("--point", nargs="+", help="measure this one in this process")
    options = parser.parse_args()
    if options.point:
        grows, *what = options.point
        with contextlib.redirect_stdout(sys.stderr):  # TRL prints its logs
            point = rewrite(int(what[0])) if grows == "rows" else step(what[0], int(what[1]), int(what[2]))
        print(json.dumps({"grows": grows, **point}))
        return
    models = ["nano", *map(str, WIDTHS), *([options.smollm2] if options.smollm2 else [])]
    points = [["K", "nano", str(PROMPTS), str(k)] for k in GROUPS] + [["parameters", m, "2", "8"] for m in models]
    for point in [*points, *(["rows", str(rows)] for rows in ROWS)]:
        command = [sys.executable, "-m", "tests.benchmarks.growth", "--point", *point]
        line = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
        print(line, end="", flush=True)
        with MEASURED.open("a", encoding="utf-8") as file:
            file.write(line)


if __name__ == "__main__":
    main()

"""`python -m tests.benchmarks.rewards`: what scoring costs, every ratio measured side by side in one run."""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from peft import LoraConfig, get_peft_model
from scipy.stats import kendalltau
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers import tiny
from helpers.contexts import context_of

from patchrl.config import BackboneSection, resolve
from patchrl.config.instructions import rewrite_prompt
from patchrl.grading.gate import Gate
from patchrl.models.backbone import NANO_FOLDER, Backbone
from patchrl.nano import world
from patchrl.training.train_rewriter import train_rewriter

PROMPTS, GROUP, REPEATS = 16, 8, 5


def sequential_score(backbone: Backbone, question: str, ids: list[int]) -> tuple[float, np.ndarray]:
    """As the published code works: one forward a sample for ℓ over all logits, another for the embedding."""
    prompt = backbone.prompt_ids(question)
    tokens = torch.tensor([prompt + list(ids)])
    with backbone.frozen() as model:
        logp = model(tokens).logits[0].float().log_softmax(-1)
        hidden = model(tokens, output_hidden_states=True).hidden_states[-1][0]
    picked = logp[len(prompt) - 1 : -1].gather(1, torch.tensor(ids)[:, None])
    return -picked.mean().item(), hidden[len(prompt) :].float().mean(0).numpy()


def nano() -> Backbone:
    return Backbone.load(BackboneSection(model=str(NANO_FOLDER)))


def llama_54m() -> Backbone:
    """A randomly initialised Llama of about 54 M parameters with the nano tokenizer."""
    words = AutoTokenizer.from_pretrained(NANO_FOLDER)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=640, intermediate_size=1920, num_hidden_layers=10, num_attention_heads=10
    )
    return Backbone(AutoModelForCausalLM.from_config(config).eval(), words)


def rollouts() -> tuple[list[str], list[list[int]]]:
    """16 questions × 8 prompted rewrites of the nano backbone."""
    backbone = nano()
    examples = world.downstream_examples("foreign", PROMPTS, seed=5)
    prompts = [rewrite_prompt("own-words", e.question, e.solution) for e in examples]
    groups = backbone.generate(prompts, samples=GROUP, temperature=1.0, max_new_tokens=96)
    pairs = [(e.question, list(g.token_ids)) for e, group in zip(examples, groups, strict=True) for g in group]
    return [q for q, _ in pairs], [ids for _, ids in pairs]


def timed(work) -> tuple[float, object]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def kendall_tau(a: np.ndarray, b: np.ndarray) -> float:
    """Mean Kendall's tau-b over groups of K (ties, which identical rewrites are, must stay ties)."""
    pairs = zip(a.reshape(-1, GROUP), b.reshape(-1, GROUP), strict=True)
    return float(np.nanmean([kendalltau(x, y).statistic for x, y in pairs]))


def scoring(name: str, backbone: Backbone, questions, completions) -> dict:
    """(a): batched float32 and bf16 against sequential, alternating so that drift hits all alike."""
    work = {
        "sequential": lambda: [
            sequential_score(backbone, q, c)[0] for q, c in zip(questions, completions, strict=True)
        ],
        "float32": lambda: [s.nll for s in backbone.score(questions, completions)],
        "bf16": lambda: [s.nll for s in backbone.score(questions, completions, bf16=True)],
    }
    seconds: dict[str, list[float]] = {key: [] for key in work}
    nll: dict[str, np.ndarray] = {}
    for _ in range(REPEATS):
        for key, run in work.items():
            took, values = timed(run)
            seconds[key].append(took)
            nll[key] = np.array(values)
    ratio = {k: statistics.median(s / f for s, f in zip(seconds["sequential"], seconds[k], strict=True)) for k in work}
    return {
        "model": name,
        "sequential_s": round(statistics.median(seconds["sequential"]), 3),
        "float32_s": round(statistics.median(seconds["float32"]), 3),
        "bf16_s": round(statistics.median(seconds["bf16"]), 3),
        "float32_speedup": round(ratio["float32"], 2),
        "bf16_speedup": round(ratio["bf16"], 2),
        "max_abs_dnll": float(np.abs(nll["sequential"] - nll["float32"]).max()),
        "bf16_kendall_tau": round(kendall_tau(nll["sequential"], nll["bf16"]), 4),
    }


def peak_memory(work) -> float:
    """Highest resident memory above the start while `work` runs, in MiB (sampled every 2 ms)."""
    process, stop, peak = psutil.Process(), threading.Event(), [0]
    start = process.memory_info().rss

    def watch() -> None:
        while not stop.is_set():
            peak[0] = max(peak[0], process.memory_info().rss)
            time.sleep(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    work()
    stop.set()
    thread.join()
    return (peak[0] - start) / 2**20


def large_vocabulary() -> dict:
    """(d): 32 × 512 tokens with a 150,000-entry vocabulary against full float32 logits."""
    words = tiny.tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=150_000, hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=4
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    ids = [[7] * 500 for _ in range(32)]
    backbone = Backbone(model, words)
    ours = peak_memory(lambda: backbone.score(["Hi"] * 32, ids))
    tokens = torch.tensor([backbone.prompt_ids("Hi") + i for i in ids])

    def full() -> None:
        with torch.no_grad():
            model(tokens).logits.float().log_softmax(-1)

    theirs = peak_memory(full)
    return {"ours_mib": round(ours), "full_logits_mib": round(theirs), "ratio": round(ours / theirs, 3)}


class Steps:
    """A Recorder that keeps the train events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def event(self, kind: str, **fields: Any) -> None:
        if kind == "train":
            self.events.append(fields)

    def progress(self, done: int, total: int, note: str = "") -> None: ...

    def stop_requested(self) -> bool:
        return False


def share_of_step(name: str, make: Callable[[], Backbone], steps: int, alignment: str, bf16: bool) -> dict:
    """(b): seconds in the reward over seconds of the whole GRPO step, medians after the first step."""
    recorder, backbone = Steps(), make()
    settings = {"steps": steps, "prompts_per_step": PROMPTS, "group_size": GROUP, "microbatch_size": 16}
    config = resolve({"rewriter": settings, "reward": {"alignment": alignment, "bf16_scoring": bf16}})
    with tempfile.TemporaryDirectory() as folder, Gate(config, backbone) as gate:
        context = context_of(config, gate, Path(folder), recorder)
        train_rewriter(context, world.downstream_examples("foreign", 64), 0, Path(folder))
    shares = [e["reward_seconds"] / e["step_seconds"] for e in recorder.events[1:]]
    return {
        "model": name,
        "alignment": alignment,
        "scoring": "bf16" if bf16 else "float32",
        "reward_s": round(statistics.median(e["reward_seconds"] for e in recorder.events[1:]), 3),
        "step_s": round(statistics.median(e["step_seconds"] for e in recorder.events[1:]), 3),
        "share": round(statistics.median(shares), 4),
    }


def _scoring_memory(pipe, name: str, scorer: str, questions: list[str], completions: list[list[int]]) -> None:
    """Child: peak memory of policy and scorer together, from before the first weight is loaded.

    What libraries load on first use is no scorer's, so a small model is scored before.
    """

    def work(name: str = name) -> None:
        policy = MODELS[name]()
        lora = LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM")
        policy.model = get_peft_model(policy.model, lora)
        if scorer == "shared":
            policy.score(questions, completions)
        elif scorer == "own copy":
            MODELS[name]().score(questions, completions)
        else:
            copy = MODELS[name]()
            for question, ids in zip(questions, completions, strict=True):
                sequential_score(copy, question, ids)

    work("nano")
    gc.collect()
    pipe.send(peak_memory(work))


def shared_backbone(name: str, questions: list[str], completions: list[list[int]]) -> dict:
    """(c): one model for policy and scorer, against a scorer with its own copy, each in a fresh process."""
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # freed blocks go back at once: resident memory is live memory
    context, peaks = multiprocessing.get_context("spawn"), {}
    for scorer in ("shared", "own copy", "own copy, sequential"):
        ours, theirs = context.Pipe()
        child = context.Process(target=_scoring_memory, args=(theirs, name, scorer, questions, completions))
        child.start()
        peaks[scorer] = ours.recv()
        child.join()
    del os.environ["MALLOC_MMAP_THRESHOLD_"]
    return (
        {"model": name}
        | {f"{scorer} MiB": round(peak) for scorer, peak in peaks.items()}
        | {f"shared / {other}": round(peaks["shared"] / peaks[other], 3) for other in list(peaks)[1:]}
    )


MODELS = {"nano": nano, "llama-54M": llama_54m}
TRAIN_STEPS = {"nano": 8, "llama-54M": 3}


def measurements() -> Iterator[tuple[str, Callable[[], dict]]]:
    """Title and work of every measurement."""
    questions, completions = rollouts()
    for name, make in MODELS.items():
        yield "(a) scoring", partial(scoring, name, make(), questions, completions)
    for name, make in MODELS.items():
        for alignment, bf16 in itertools.product(("mean", "kl"), (False, True)):
            yield "(b) share of a GRPO step", partial(share_of_step, name, make, TRAIN_STEPS[name], alignment, bf16)
    for name in MODELS:
        yield "(c) one backbone", partial(shared_backbone, name, questions, completions)
    yield "(d) 150k vocabulary, 32 × 512 tokens", large_vocabulary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="abcd", help="letters of the measurements to make, for example ac")
    wanted = parser.parse_args().only
    for title, measure in measurements():
        if title[1] in wanted:
            with contextlib.redirect_stdout(sys.stderr):  # TRL prints its logs
                measured = measure()
            print(title, json.dumps(measured, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()

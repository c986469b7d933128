"""`python -m tests.benchmarks.rewards`: what scoring costs, every ratio measured side by side in one run."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny

from patchrl.backbone import NANO, Backbone
from patchrl.config import BackboneSection
from patchrl.instructions import rewrite_prompt
from patchrl.nano import world

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
    return Backbone.load(BackboneSection(model=str(NANO)))


def llama_54m() -> Backbone:
    """A randomly initialised Llama of about 54 M parameters with the nano tokenizer."""
    words = nano().tokenizer
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
    """Mean Kendall's tau over groups of K."""
    taus = []
    for x, y in zip(a.reshape(-1, GROUP), b.reshape(-1, GROUP), strict=True):
        upper = np.triu_indices(GROUP, 1)
        signs = np.sign(x[:, None] - x[None])[upper] * np.sign(y[:, None] - y[None])[upper]
        taus.append(signs.mean())
    return float(np.mean(taus))


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    questions, completions = rollouts()
    figures = {
        "scoring": [scoring(n, m, questions, completions) for n, m in (("nano", nano()), ("llama-54M", llama_54m()))],
        "memory_150k_vocabulary": large_vocabulary(),
    }
    if arguments.json:
        print(json.dumps(figures, indent=1))
        return
    for row in figures["scoring"]:
        print("  ".join(f"{k}={v}" for k, v in row.items()))
    print("150k vocabulary, 32 × 512:", figures["memory_150k_vocabulary"])


if __name__ == "__main__":
    main()

"""`python -m tests.gpu [sampling] [step]`: what sampling and a step of GRPO cost on this GPU, side by side in one run.

Prints JSON lines: for each shape tokens per second of each way to sample, then seconds and memory of our step and of TRL's
with a constant reward. Weights are random.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from types import SimpleNamespace
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

from patchrl.models.engines.interface import SampleRequest
from patchrl.models.engines.transformers import TransformersEngine
from patchrl.nano import BACKBONE_FOLDER
from tests.benchmarks.update import train

ROLLOUTS = 64  # a step
PROMPTS, SAMPLES, PROMPT_TOKENS, NEW_TOKENS = 32, 8, 200, 128
SHAPES = {
    "SmolLM2-135M": LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
    ),
    "Qwen2.5-0.5B": Qwen2Config(
        vocab_size=151936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    ),
}


def adapted(model: Any) -> Any:
    """The model with a LoRA adapter that is not zero, as in the middle of training."""
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(model, lora).eval()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                weights.normal_(std=0.02)
    return model


def measure(name: str, model: Any, static: bool) -> dict[str, Any]:
    """Tokens per second, and the memory that sampling takes beside the weights."""
    vocabulary = model.config.vocab_size
    draw = torch.Generator().manual_seed(0)
    prompts = torch.randint(0, vocabulary - 8, (PROMPTS, PROMPT_TOKENS), generator=draw).tolist()
    sampler = TransformersEngine(model, SimpleNamespace(pad_token_id=0), {vocabulary - 1}, "shared prompts")
    sampler.static = static
    request = SampleRequest(SAMPLES, 1.0, 1.0, NEW_TOKENS, True, None)
    sampler.sample(prompts, SampleRequest(SAMPLES, 1.0, 1.0, 4, True, None), 0)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before, started = torch.cuda.memory_allocated(), time.time()
    groups = sampler.sample(prompts, request, 1)
    torch.cuda.synchronize()
    seconds = time.time() - started
    tokens = sum(len(ids) for group in groups for ids, _ in group)
    peak = torch.cuda.max_memory_allocated() - before
    return {"tokens_per_second": round(tokens / seconds), "seconds": round(seconds, 2), "peak_gb": round(peak / 1e9, 2)}


def same_greedy(model: Any) -> float:
    """The share of greedy tokens, in float32, that both ways agree on."""
    vocabulary = model.config.vocab_size
    draw = torch.Generator().manual_seed(1)
    prompts = [torch.randint(0, vocabulary - 8, (n,), generator=draw).tolist() for n in (20, 60, 200)]
    rows = []
    for static in (False, True):
        sampler = TransformersEngine(model, SimpleNamespace(pad_token_id=0), {vocabulary - 1}, "shared prompts")
        sampler.static = static
        groups = sampler.sample(prompts, SampleRequest(1, 0.0, 1.0, 64, True, None), 0)
        rows.append([token for ((ids, _),) in groups for token in ids])
    return sum(a == b for a, b in zip(*rows, strict=True)) / len(rows[0])


def sampling(name: str, config: Any) -> None:
    torch.manual_seed(0)
    model = adapted(AutoModelForCausalLM.from_config(config).float().cuda())
    line: dict[str, Any] = {"shape": name, "same_greedy_tokens_float32": round(same_greedy(model), 4)}
    model = model.to(torch.bfloat16)
    line["transformers"] = measure(name, model, static=False)
    line["static"] = measure(name, model, static=True)
    print(json.dumps(line), flush=True)


def step(name: str, config: Any) -> None:
    """Three steps of each; the first is not counted. Real weights would cost the same: every completion has one length."""
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).to(torch.bfloat16).save_pretrained(folder)
        for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(BACKBONE_FOLDER / file, folder)
        for kind in ("ours", "TRL"):
            cost = train(kind, folder, 3, ROLLOUTS, PROMPT_TOKENS, NEW_TOKENS, microbatch=32)
            print(json.dumps({"shape": name, "step": kind} | cost), flush=True)
            torch.cuda.empty_cache()


def main() -> None:
    parts = {"sampling": sampling, "step": step}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=parts, default=list(parts))
    print(torch.cuda.get_device_name(), "torch", torch.__version__, flush=True)
    for part in parser.parse_args().parts:
        for name, config in SHAPES.items():
            parts[part](name, config)
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()

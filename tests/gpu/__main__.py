"""`python -m tests.gpu [MODEL_FOLDER]`: tokens per second of each way to sample on this GPU, side by side in one run.

Prints one JSON line for each shape. Without a folder SmolLM2-135M's shape has random weights.
"""

from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

from patchrl.models.engines.interface import SampleRequest
from patchrl.models.engines.transformers import TransformersEngine

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


def main() -> None:
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    for name, config in SHAPES.items():
        real = folder if name == "SmolLM2-135M" else None
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_pretrained(real) if real else AutoModelForCausalLM.from_config(config)
        model = adapted(model.float().cuda())
        line: dict[str, Any] = {"shape": name, "weights": "real" if real else "random"}
        line["same_greedy_tokens_float32"] = round(same_greedy(model), 4)
        model = model.to(torch.bfloat16)
        line["transformers"] = measure(name, model, static=False)
        line["static"] = measure(name, model, static=True)
        print(json.dumps(line | {"device": torch.cuda.get_device_name()}), flush=True)
        del model
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()

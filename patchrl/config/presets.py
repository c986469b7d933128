"""Studies one can start without writing a config. `examples/*.toml` hold the same settings as files."""

from __future__ import annotations

from typing import Any

# Own-style targets are learned at the lower rate already, the expert's only at the higher: each arm is compared at its
# own best.
RATES = {"learning_rate": [5e-4, 1e-3]}

# Real backbones need a GPU and the Hub. Nothing was measured with these settings: those of the rewriter follow the
# published code (arXiv 2602.11220), those of fine-tuning common practice, and the recipe is the one the lab settled on.
GSM8K: dict[str, dict[str, Any]] = {
    "backbone": {"model": "Qwen/Qwen2.5-1.5B-Instruct", "dtype": "bfloat16"},
    "data": {"dataset": "openai/gsm8k", "config": "main", "train_size": 2000, "eval_size": 600},
    "rewriter": {
        "steps": 100,
        "prompts_per_step": 16,
        "learning_rate": 1e-5,
        "warm_start_rate": 1e-4,
        "microbatch_size": 16,
        "max_new_tokens": 512,
        "lora_rank": 64,
    },
    "finetune": {"learning_rate": [5e-6, 1e-5, 2e-5], "epochs": 3, "max_length": 1024, "keep_weights": False},
    "evaluate": {"general": ["general-lite"], "max_new_tokens": 512},
}

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "Nano lab: foreign expert": {
        "study": {"name": "nano"},
        "data": {"dataset": "nano-foreign"},
        "finetune": RATES,
    },
    "Nano lab: mild expert": {
        "study": {"name": "nano-mild"},
        "data": {"dataset": "nano-mild"},
        "finetune": RATES,
    },
    "Nano lab: near expert": {
        "study": {"name": "nano-near"},
        "data": {"dataset": "nano-near"},
        "finetune": RATES,
    },
    "Nano lab: one seed": {
        "study": {"name": "nano-one", "seeds": [0]},
        "data": {"dataset": "nano-foreign"},
        "finetune": RATES,
    },
    "Nano lab: the template trap, published against ours": {
        "study": {"name": "nano-trap", "seeds": [0], "arms": ["expert", "best-of-k", "rl-paper", "rl"]},
        "data": {"dataset": "nano-foreign"},
        "rewriter": {"instruction": "polish", "temperature": 0.5},
        "finetune": RATES,
    },
    "Nano lab: every arm, takes hours": {
        "study": {
            "name": "nano-arms",
            "seeds": [0, 1, 2, 3, 4],
            "arms": [
                *("expert", "prompted", "best-of-k", "best-of-k+kl", "rl", "rl+kl"),
                *("rl-paper", "rl-mean", "rl-no-alignment", "rl-no-diversity", "rl-drop", "rl-best-of-k"),
                *("mind-the-gap", "mind-the-gap+dft", "self", "self-resampled"),
                *("dft", "eaft", "kl", "replay", "wise-ft", "low-lr", "lora"),
                *("grpo", "sft-then-rl", "dypo", "sdft"),
            ],
        },
        "data": {"dataset": "nano-foreign"},
        "finetune": RATES,
    },
    "Quick look: under a minute, too short for the effect": {
        "study": {"name": "nano-quick", "seeds": [0], "arms": ["expert", "rl"]},
        "data": {"dataset": "nano-foreign", "train_size": 64, "eval_size": 40},
        "rewriter": {"steps": 3, "prompts_per_step": 4, "group_size": 4, "warm_start_steps": 4},
        "finetune": {"epochs": 2},
        "evaluate": {"general_size": 100},
    },
    "Real backbone on GSM8K: needs a GPU, settings not measured": GSM8K
    | {"study": {"name": "gsm8k", "seeds": [0], "arms": ["expert", "prompted", "best-of-k", "rl"]}},
    "Real backbone, the template trap: needs a GPU, settings not measured": GSM8K
    | {"study": {"name": "gsm8k-trap", "seeds": [0], "arms": ["expert", "best-of-k", "rl-paper", "rl"]}},
}
EXAMPLE_FILES = {
    "nano-arms.toml": "Nano lab: every arm, takes hours",
    "nano.toml": "Nano lab: foreign expert",
    "nano-mild.toml": "Nano lab: mild expert",
    "nano-near.toml": "Nano lab: near expert",
    "nano-trap.toml": "Nano lab: the template trap, published against ours",
    "gsm8k.toml": "Real backbone on GSM8K: needs a GPU, settings not measured",
    "gsm8k-trap.toml": "Real backbone, the template trap: needs a GPU, settings not measured",
    "nano-quick.toml": "Quick look: under a minute, too short for the effect",
}

"""Studies one can start without writing a config. `examples/*.toml` hold the same settings as files."""

from __future__ import annotations

from typing import Any

# Own-style targets are learned at the lower rate already, the expert's only at the higher: each arm is compared at its
# own best.
RATES = {"learning_rate": [5e-4, 1e-3]}

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
    "Nano lab: the template trap, reward as published": {
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
                *("expert", "prompted", "best-of-k", "rl", "rl-paper", "rl-no-alignment", "rl-no-diversity", "rl-drop"),
                "rl-best-of-k",
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
}
EXAMPLE_FILES = {
    "nano-arms.toml": "Nano lab: every arm, takes hours",
    "nano.toml": "Nano lab: foreign expert",
    "nano-mild.toml": "Nano lab: mild expert",
    "nano-near.toml": "Nano lab: near expert",
    "nano-trap.toml": "Nano lab: the template trap, reward as published",
    "nano-quick.toml": "Quick look: under a minute, too short for the effect",
}

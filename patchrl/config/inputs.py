"""What a study works on: its arms and seeds, the backbone and where it is sampled, and the data."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import field_validator, model_validator

from patchrl.config import arms
from patchrl.config.fields import FileName, Section, setting
from patchrl.errors import ConfigError
from patchrl.types import Task

SMOLLM2 = "smollm2-135m"
NAMED_BACKBONES = ("nano", SMOLLM2)  # a name of these is never a path or a Hub id
MAX_ROWS = 2_000_000  # of a dataset
SERVER_ADDRESS = re.compile(
    r"https?://[\w.\-]+(:\d{1,5})?(/[\w.\-/]*)?|https?://\[[0-9a-fA-F:.]+\](:\d{1,5})?(/[\w.\-/]*)?"
)


class StudySection(Section):
    """What is compared, and how often."""

    name: str = setting(
        "study",
        "Name",
        "A short name. The id of the run begins with it.",
        basic=True,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,40}$",
    )
    seeds: tuple[int, ...] = setting(
        (0, 1, 2),
        "Seeds",
        "Each seed trains its own rewriter and its own fine-tuned models.",
        basic=True,
        min_length=1,
        max_length=20,
    )
    arms: tuple[str, ...] = setting(
        arms.DEFAULT,
        "Arms",
        "The methods to compare. An arm is a source of targets + a loss + tunings, such as rl, expert+dft, rl+lora or "
        "wise-ft=0.3; `patchrl arms` lists the parts. Plain SFT, `expert`, is required: every arm is compared with it.",
        basic=True,
        min_length=1,
        max_length=40,
    )

    @field_validator("seeds")
    @classmethod
    def _seeds_are_distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if repeated := [seed for seed in dict.fromkeys(seeds) if seeds.count(seed) > 1]:
            raise ValueError(f"seed {repeated[0]} is named twice, and would count as two; name each once")
        if invalid := [seed for seed in seeds if not 0 <= seed < 2**32]:
            raise ValueError(f"seed {invalid[0]} is outside 0 … 2³² − 1; use small whole numbers")
        return seeds

    @field_validator("arms")
    @classmethod
    def _arms_are_known_and_distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        arms.check_names(names)
        return names


class BackboneSection(Section):
    """The model that is fine-tuned, and in whose style the data is rewritten."""

    model: FileName = setting(
        "nano",
        "Backbone",
        "`nano` (ships with PatchRL), `smollm2-135m` (after `patchrl fetch smollm2-135m`), a local folder, a GGUF file, or a "
        "Hugging Face Hub id.",
        basic=True,
    )
    revision: str | None = setting(None, "Revision", "Hub branch, tag or commit. Empty means the default branch.")
    dtype: Literal["float32", "bfloat16"] = setting(
        "float32",
        "Precision",
        "Number format of the backbone's weights and of its computation. Weights in bfloat16 are fine-tuned from a "
        "float32 copy.",
        basic=True,
    )
    thoughts: bool = setting(
        False,
        "Thoughts in answers",
        "Whether the text of a think block is part of an answer. If not, thinking models answer without it, and it is cut "
        "from the data.",
    )
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = setting(
        "auto",
        "Attention",
        "How attention is computed: `auto` is what Transformers chooses for the model; `flash_attention_2` needs its package, a GPU "
        "and bfloat16.",
    )
    gradient_checkpointing: bool = setting(
        False,
        "Gradient checkpointing",
        "Whether activations are computed a second time on the way back and not kept. This takes less memory and more time; an "
        "update then reads a prompt once for each of its rollouts.",
    )
    device: str = setting(
        "auto",
        "Device",
        "`auto`, `cpu`, `cuda`, `cuda:0` or `mps`.",
        basic=True,
        pattern=r"^(auto|cpu|mps|cuda(:\d{1,2})?)$",
    )


class EngineSection(Section):
    """What samples when data is scanned and rewritten and the backbone is evaluated (docs/engines.md)."""

    kind: Literal["auto", "transformers", "server"] = setting(
        "auto",
        "Engine",
        "`transformers`: in the run's own process. `server`: the servers of `engine.url`, for all that they can sample. "
        "`auto`: the servers where one is named, and Transformers for what they cannot do.",
    )
    url: str = setting(
        "",
        "Servers",
        "Addresses of servers of the backbone that speak the OpenAI-compatible completions protocol, such as "
        "http://localhost:8000; several with commas share the work.",
    )

    @field_validator("url")
    @classmethod
    def _addresses_are_plain(cls, value: str) -> str:
        for url in filter(None, (part.strip() for part in value.split(","))):
            if not SERVER_ADDRESS.fullmatch(url):
                raise ValueError(
                    f"{url!r:.80} is not an address such as http://localhost:8000; a token belongs into the environment"
                )
        return value

    @model_validator(mode="after")
    def _a_server_is_named(self) -> EngineSection:
        if self.kind == "server" and not self.urls:
            raise ConfigError(
                "engine.url: engine.kind is server and no server is named; name one, such as http://localhost:8000."
            )
        return self

    @property
    def urls(self) -> tuple[str, ...]:
        """The servers that sample; none for Transformers."""
        parts = () if self.kind == "transformers" else self.url.split(",")
        return tuple(dict.fromkeys(filter(None, (part.strip() for part in parts))))


class DataSection(Section):
    """The expert data."""

    dataset: FileName = setting(
        "nano-foreign",
        "Dataset",
        "A JSONL, CSV or Parquet file, a Hub id, or a dataset of the nano lab: `nano-foreign`, `nano-mild`, "
        "`nano-near`, or `nano-own` (correct answers in the backbone's own style); or `word-problems` (made here, in plain "
        "English, for real backbones).",
        basic=True,
    )
    config: str | None = setting(
        None, "Hub config", "Name of the dataset's configuration on the Hub, if it has several."
    )
    split: str = setting("train", "Split", "Split to read from a Hub dataset.")
    task: Task | None = setting(
        None, "Task type", "How answers are checked. Empty means that the data decides.", basic=True
    )
    question_column: str | None = setting(None, "Question column", "Empty means detect it.")
    solution_column: str | None = setting(None, "Solution column", "Empty means detect it.")
    answer_column: str | None = setting(
        None,
        "Answer column",
        "Reference answers. Empty means detect the column, or extract answers from the solutions.",
    )
    choices_column: str | None = setting(None, "Choices column", "Answer options of multiple-choice data.")
    train_size: int = setting(
        512, "Training examples", "Examples to rewrite and fine-tune on.", "examples", basic=True, ge=8, le=MAX_ROWS
    )
    eval_size: int = setting(
        300,
        "Held-out examples",
        "Examples kept out of training to measure the target task.",
        "examples",
        basic=True,
        ge=8,
        le=100_000,
    )

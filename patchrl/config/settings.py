"""Settings of a study: one frozen model per stage. Titles, help and bounds feed form, CLI and docs."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from patchrl.config import arms
from patchrl.config.eval_tasks import names_a_file
from patchrl.config.instructions import INSTRUCTIONS, check_instruction
from patchrl.errors import ConfigError
from patchrl.types import Task

MAX_ROWS = 2_000_000  # of a dataset


def setting(default: Any, title: str, help: str, unit: str = "", **bounds: Any) -> Any:
    """A config field with its label, one-line help and unit."""
    return Field(default, title=title, description=help, json_schema_extra={"unit": unit}, **bounds)


def _one_or_several(value: Any) -> Any:
    """A number alone is a list of one."""
    return (value,) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StudySection(Section):
    name: str = setting(
        "study", "Name", "A short name; the run's id begins with it.", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,40}$"
    )
    seeds: tuple[int, ...] = setting(
        (0, 1, 2), "Seeds", "Each seed trains its own rewriter and its own fine-tunes.", min_length=1, max_length=20
    )
    arms: tuple[str, ...] = setting(
        arms.DEFAULT,
        "Arms",
        "What is compared: a source of targets, + a loss, + tunings, such as rl, expert+dft, rl+lora, wise-ft=0.3 "
        "(`patchrl arms` lists them). Plain SFT, `expert`, is always among them.",
        min_length=1,
        max_length=40,
    )

    @field_validator("seeds")
    @classmethod
    def _seeds_are_distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if twice := [seed for seed in dict.fromkeys(seeds) if seeds.count(seed) > 1]:
            raise ValueError(f"seed {twice[0]} is named twice, and would count as two; name each once")
        if odd := [seed for seed in seeds if not 0 <= seed < 2**32]:
            raise ValueError(f"seed {odd[0]} is outside 0 … 2³² − 1; use small whole numbers")
        return seeds

    @field_validator("arms")
    @classmethod
    def _arms_are_known_and_distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        arms.check_names(names)
        return names


class BackboneSection(Section):
    model: str = setting("nano", "Backbone", "`nano` (ships with PatchRL), a local folder, or a Hugging Face Hub id.")
    revision: str | None = setting(None, "Revision", "Hub branch, tag or commit; empty means the default branch.")
    dtype: Literal["float32", "bfloat16"] = setting(
        "float32",
        "Precision",
        "Number format of the backbone's weights and of computing; bfloat16 weights are fine-tuned from a float32 copy.",
    )
    device: str = setting("auto", "Device", "`auto`, `cpu`, `cuda` or `cuda:0`.")


class DataSection(Section):
    dataset: str = setting(
        "nano-foreign",
        "Dataset",
        "`nano-foreign`, `nano-mild`, `nano-near`, `nano-own` (right answers in the backbone's own style), a "
        "JSONL/CSV/Parquet file, or a Hub id.",
    )
    config: str | None = setting(
        None, "Hub config", "Name of the dataset's configuration on the Hub, if it has several."
    )
    split: str = setting("train", "Split", "Split to read from a Hub dataset.")
    task: Task | None = setting(None, "Task type", "How answers are checked; empty means detect it from the data.")
    question_column: str | None = setting(None, "Question column", "Empty means detect it.")
    solution_column: str | None = setting(None, "Solution column", "Empty means detect it.")
    answer_column: str | None = setting(
        None, "Answer column", "Reference answers; empty means detect it or read them out of the solution."
    )
    choices_column: str | None = setting(None, "Choices column", "Answer options of multiple-choice data.")
    train_size: int = setting(
        512, "Training examples", "Examples to rewrite and fine-tune on.", "examples", ge=8, le=MAX_ROWS
    )
    eval_size: int = setting(
        300,
        "Held-out examples",
        "Examples kept out of training to measure the target task.",
        "examples",
        ge=8,
        le=100_000,
    )


class GateSection(Section):
    reasoning: Literal["equations", "judge", "equations+judge", "none"] = setting(
        "equations",
        "Reasoning check",
        "`equations`: every written equality must hold; `judge`: the frozen backbone must say that the steps are "
        "valid; `none`: only the final answer counts. Open-ended answers are judged unless this is `none`.",
    )
    judge_threshold: float = setting(0.5, "Judge threshold", "P(yes) from which the judge is content.", ge=0, le=1)
    timeout: float = setting(
        2.0, "Verifier deadline", "A check that takes more processor time is unscorable.", "s", gt=0
    )


class RewardSection(Section):
    lambda_dist: float = setting(0.35, "λ alignment", "Weight of QA-style alignment in the reward.", ge=0)
    alignment: Literal["mean", "total", "excess", "worst", "ratio", "kl"] = setting(
        "kl",
        "Alignment of",
        "What counts as near to the backbone: `kl` of the rewriter to the backbone's own answers, which keeps their "
        "variety, `mean` surprisal per token (the paper's ℓ), `total` of the whole text, `excess` over its own entropy, "
        "the `worst` tokens, or `ratio` to the rewriting prompt.",
    )
    alignment_scale: Literal["group", "own"] = setting(
        "group",
        "Alignment scale",
        "`group`: standardised among a question's rewrites (the paper); `own`: absolute, full where a rewrite is as "
        "likely as the backbone's own sampled answers (`ratio` and `kl`: as the rewriter finds it).",
    )
    lambda_div: float = setting(0.5, "λ diversity", "Weight of diversity in the reward.", ge=0)
    diversity_scale: Literal["paper", "group"] = setting(
        "paper", "Diversity scale", "`paper`: raw marginal diversity; `group`: divided by the group's own diversity."
    )
    bf16_scoring: bool = setting(
        False,
        "bfloat16 scoring",
        "Score rollouts under bfloat16: about three times faster and within 0.01 nats, which can swap near ties. "
        "Weights loaded in bfloat16 are scored so anyway.",
    )
    embedder: str = setting(
        "backbone",
        "Embeddings",
        "What diversity and meaning are measured with: `backbone` (costs nothing more), or a sentence-transformers "
        "model by folder or Hub id.",
    )


class RewriterSection(Section):
    instruction: str = setting(
        "own-words",
        "Rewriting instruction",
        f"{', '.join(INSTRUCTIONS)}, or a sentence of your own.",
    )
    more_instructions: tuple[str, ...] = setting(
        (),
        "More instructions",
        "Further instructions, named or your own text, that training takes turns with; rewriting uses the first alone.",
        max_length=16,
    )
    steps: int = setting(40, "Steps", "GRPO updates.", "steps", ge=1)
    prompts_per_step: int = setting(8, "Prompts per step", "Questions sampled for each update.", ge=1)
    group_size: int = setting(8, "Group size K", "Rewrites sampled for each question.", ge=2, le=64)
    learning_rate: float = setting(1e-3, "Learning rate", "Constant after warm-up.", gt=0, le=1)
    warmup_steps: int = setting(2, "Warm-up", "Steps of linear warm-up.", "steps", ge=0)
    updates_per_rollout: int = setting(
        1, "Updates per rollout", "GRPO updates on the same rollouts; from the second on they are stale.", ge=1, le=16
    )
    ess_scaling: bool = setting(
        False,
        "ESS-scaled learning rate",
        "Lower the rate of stale updates by the root of their effective sample size (VCPO, arXiv 2602.17616).",
    )
    warm_start_steps: int = setting(
        40,
        "Warm start",
        "Supervised steps on the backbone's own verified answers before GRPO; 0 means none.",
        "steps",
        ge=0,
    )
    warm_start_rate: float | None = setting(
        None,
        "Warm start's learning rate",
        "Of those supervised steps; empty means the rewriter's own. Where that is small (1e-5), ten times as much serves.",
        gt=0,
        le=1,
    )
    warm_start_samples: int = setting(
        4, "Own answers per question", "Sampled for the warm start; those that pass the gate serve.", ge=1, le=64
    )
    beta: float = setting(0.0, "KL coefficient β", "Weight of the KL penalty to the backbone.", ge=0)
    temperature: float = setting(
        1.0,
        "Temperature",
        "Sampling temperature of rollouts. Below 1, what is rare is hardly sampled at all.",
        gt=0,
        le=4,
    )
    microbatch_size: int | None = setting(
        None,
        "Microbatch",
        "Rollouts in one forward and backward pass; empty means the whole step. Smaller takes less memory.",
        "rollouts",
        ge=1,
    )
    max_new_tokens: int = setting(96, "Rewrite length limit", "Longest rewrite sampled.", "tokens", ge=4)
    lora_rank: int = setting(16, "LoRA rank", "Rank of the adapter on all linear layers.", ge=1)
    lora_alpha: int = setting(32, "LoRA alpha", "Scale of the adapter.", ge=1)

    @property
    def rollouts_per_step(self) -> int:
        return self.prompts_per_step * self.group_size

    def rollouts_per_process(self, processes: int = 1) -> int:
        """Rollouts of one step that each of `processes` samples and scores, in whole groups.

        Raises ConfigError naming the setting to change where a group would be split.
        """
        if self.prompts_per_step % processes:
            raise ConfigError(
                f"rewriter.prompts_per_step: {self.prompts_per_step} prompts cannot be shared evenly by {processes} "
                f"processes, which would split a group; use a multiple of {processes}."
            )
        rollouts = self.rollouts_per_step // processes
        if self.microbatch_size and rollouts % self.microbatch_size:
            whole = ", ".join(str(n) for n in range(1, rollouts + 1) if rollouts % n == 0)
            raise ConfigError(
                f"rewriter.microbatch_size: {self.microbatch_size} does not divide the {rollouts} rollouts of a step "
                f"(prompts_per_step × group_size, on each process), which would split a group; use one of {whole}."
            )
        return rollouts

    @field_validator("instruction", "more_instructions")
    @classmethod
    def _instructions_can_be_followed(cls, given: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for instruction in (given,) if isinstance(given, str) else given:
            check_instruction(instruction)
        return given

    @model_validator(mode="after")
    def _no_group_is_split(self) -> RewriterSection:
        self.rollouts_per_process()
        return self


class RewriteSection(Section):
    attempts: int = setting(1, "Attempts", "Verified tries per example before falling back.", ge=1, le=16)
    temperature: float = setting(1.0, "Temperature", "Sampling temperature of rewrites.", gt=0, le=4)
    best_of_k: int = setting(8, "Best-of-K", "Prompted rewrites per example in the best-of-k arm.", ge=1, le=64)
    fallback: Literal["expert", "drop"] = setting(
        "expert", "Fallback", "What a failed rewrite becomes: the expert solution, or nothing."
    )


class FinetuneSection(Section):
    learning_rate: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], BeforeValidator(_one_or_several)] = (
        setting(
            (1e-3,),
            "Learning rate",
            "Peak, with warm-up and linear decay; the same for every arm. Several (3e-4, 1e-3): each arm at its own best.",
            min_length=1,
            max_length=8,
        )
    )
    epochs: int = setting(8, "Epochs", "Passes over the training examples.", ge=1, le=1000)
    batch_size: int = setting(16, "Batch size", "Examples per update.", ge=1)
    max_length: int = setting(512, "Length limit", "Longer examples are truncated.", "tokens", ge=16)
    replay_data: str = setting(
        "nano",
        "Replay questions",
        "For arms with replay: `nano` (the lab's own skills), or a JSONL file with a question column. The backbone "
        "answers them itself.",
    )
    keep_weights: bool = setting(True, "Keep weights", "Keep every tuned model in the run's folder.")

    @field_validator("learning_rate")
    @classmethod
    def _rates_are_distinct(cls, rates: tuple[float, ...]) -> tuple[float, ...]:
        if twice := [rate for rate in dict.fromkeys(rates) if rates.count(rate) > 1]:
            raise ValueError(f"{twice[0]:g} is named twice; name each rate once")
        return rates

    @property
    def sweeps(self) -> bool:
        """Whether every arm is tuned at several learning rates."""
        return len(self.learning_rate) > 1


class OnPolicySection(Section):
    group_size: int = setting(
        4,
        "Answers per question",
        "Sampled for each of the batch size's questions of an update by grpo, sft-then-rl and dypo; sdft samples one.",
        ge=2,
        le=64,
    )
    rate_factor: float = setting(
        0.1,
        "Share of the learning rate",
        "On-policy updates take this share of the fine-tuning's learning rate; sft-then-rl's SFT takes all of it.",
        gt=0,
        le=1,
    )


class EvaluateSection(Section):
    target: tuple[str, ...] = setting(
        ("held-out",),
        "Target tasks",
        "What fine-tuning is for: `held-out` (the examples kept out of training), or names as in general tasks.",
        min_length=1,
    )
    general: tuple[str, ...] = setting(
        ("nano",),
        "General tasks",
        "`nano`; JSONL files with question and answer; tasks of lm-evaluation-harness by name (mmlu, hellaswag); "
        "its presets general-lite, paper, math. Empty means forgetting is not measured.",
    )
    limit: int = setting(
        200, "Items per harness task", "Spread evenly over the task or group; 0 means all of them.", "items", ge=0
    )
    tasks_folder: str = setting(
        "", "Own harness tasks", "A folder with task files (YAML) of your own; trusted as code."
    )
    general_size: int = setting(600, "General items", "Items over the lab's general tasks.", "items", ge=10, le=20_000)
    max_new_tokens: int = setting(
        96,
        "Answer length limit",
        "Longest answer generated; a harness task that asks for more gets more.",
        "tokens",
        ge=1,
    )
    bootstrap: int = setting(2000, "Bootstrap resamples", "For the tests that compare two arms.", ge=100)


class StudyConfig(Section):
    """Everything a study needs; a run restarts from this alone."""

    study: StudySection = StudySection()
    backbone: BackboneSection = BackboneSection()
    data: DataSection = DataSection()
    gate: GateSection = GateSection()
    reward: RewardSection = RewardSection()
    rewriter: RewriterSection = RewriterSection()
    rewrite: RewriteSection = RewriteSection()
    finetune: FinetuneSection = FinetuneSection()
    onpolicy: OnPolicySection = OnPolicySection()
    evaluate: EvaluateSection = EvaluateSection()


WANTED = {
    "greater_than": "it must be more than {gt:g}",
    "greater_than_equal": "it must be at least {ge:g}",
    "less_than": "it must be less than {lt:g}",
    "less_than_equal": "it must be at most {le:g}",
    "finite_number": "a finite number is needed",
    "literal_error": "it must be {expected}",
    "too_short": "at least {min_length} must be given",
    "too_long": "at most {max_length} are taken",
    "string_pattern_mismatch": "use letters, digits, - and _ only, at most 40",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number is needed"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number is needed"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false is needed"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list is needed: [ … ] with commas between its values"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "a section of settings is needed"),
    "string_type": "a text is needed",
}


def _problems(error: ValidationError) -> str:
    parts = []
    places = [item["loc"] for item in error.errors()]
    for item in error.errors():
        # A list is also called too short where one of its values is wrong: that value says it all.
        if any(len(place) > len(item["loc"]) and place[: len(item["loc"])] == item["loc"] for place in places):
            continue
        where = ".".join(str(p) for p in item["loc"] if not isinstance(p, int)) or "config"
        told = item["type"] in ("missing", "extra_forbidden", "value_error")
        found = "" if told else f" (found {item['input']!r:.60})"
        what = _unknown(item["loc"]) if item["type"] == "extra_forbidden" else _wanted(item)
        parts.append(f"{where}: {what}{found}" if where != "config" else what)
    return "; ".join(parts)


def _wanted(item: Any) -> str:
    """What a setting must be, in the words of a person; pydantic's own where there are none."""
    kind, limits = item["type"], item.get("ctx", {})
    if kind in WANTED:
        return WANTED[kind].format(**limits)
    return item["msg"].removeprefix("Value error, ")


def _unknown(loc: Sequence[Any]) -> str:
    """That a name is none, and which was meant."""
    names = list(StudyConfig.model_fields)
    if len(loc) > 1:
        names = list(StudyConfig.model_fields[str(loc[0])].annotation.model_fields)  # type: ignore[union-attr]
    close = difflib.get_close_matches(str(loc[-1]), names, n=1)
    meant = f"perhaps {close[0]} is meant" if close else f"there are {', '.join(names)}"
    return f"no such {'setting' if len(loc) > 1 else 'section'}; {meant}"


def resolve(values: dict[str, Any]) -> StudyConfig:
    """A validated config from nested values; raises ConfigError naming each bad field."""
    try:
        return StudyConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_problems(error) + ".") from None


def _parse_value(text: str) -> Any:
    if text == "null":  # which TOML lacks: a setting that may be empty, emptied
        return None
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def apply_overrides(values: dict[str, Any], overrides: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """`values` with `section.key=value` settings put in; the value is TOML, `null`, or else plain text."""
    merged = {section: dict(fields) for section, fields in values.items()}
    for override in overrides:
        path, separator, text = override.partition("=")
        section, dot, key = path.strip().partition(".")
        if not (separator and dot and key):
            raise ConfigError(f"--set {override!r}: write it as section.key=value, for example rewriter.steps=20.")
        merged.setdefault(section, {})[key] = _parse_value(text.strip())
    return merged


def load_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> StudyConfig:
    """Read a TOML (or a run's config.json) file into a StudyConfig.

    Raises ConfigError when the file is missing or malformed, or names the field that is wrong.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"Config file {path}: it is not text in UTF-8; save it again with that encoding.") from None
    except OSError as error:
        advice = " Check the path; examples/ has some to start from." if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(f"Config file {path}: {error.strerror or error}.{advice}") from None
    try:
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"Config file {path}: {error}.") from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"Config file {path}: it holds a {type(values).__name__} and no sections such as [study]; data belongs into "
            "data.dataset."
        )
    flat = [name for name, fields in values.items() if not isinstance(fields, dict)]
    if flat:
        raise ConfigError(
            f"Config file {path}: {flat[0]!r} stands outside a section; put it under one such as [study]."
        )
    return resolve(apply_overrides(values, overrides))


def absolute_paths(config: StudyConfig) -> StudyConfig:
    """The config with every file and folder it names, and that is there, by its absolute path."""

    def found(name: str) -> str:
        path = Path(name)
        return str(path.resolve()) if path.exists() and not path.is_absolute() else name

    named = {
        "backbone": ("model",) if config.backbone.model != "nano" else (),
        "data": ("dataset",),
        "reward": ("embedder",),
        "finetune": ("replay_data",),
    }
    sections = {
        name: getattr(config, name).model_copy(update={key: found(getattr(getattr(config, name), key)) for key in keys})
        for name, keys in named.items()
    }
    evaluate: dict[str, Any] = {
        kind: tuple(found(name) if names_a_file(name) else name for name in getattr(config.evaluate, kind))
        for kind in ("target", "general")
    }
    if config.evaluate.tasks_folder:
        evaluate["tasks_folder"] = found(config.evaluate.tasks_folder)
    return config.model_copy(update=sections | {"evaluate": config.evaluate.model_copy(update=evaluate)})


def to_toml(config: StudyConfig) -> str:
    """The config as TOML with only what differs from the defaults; `load_config` reads it back."""
    lines: list[str] = []
    defaults = StudyConfig()
    for section in StudyConfig.model_fields:
        current, default = getattr(config, section), getattr(defaults, section)
        changed = [k for k in type(current).model_fields if getattr(current, k) != getattr(default, k)]
        changed = [k for k in changed if getattr(current, k) is not None]
        if changed:
            lines += [f"[{section}]", *(f"{k} = {_toml_value(getattr(current, k))}" for k in changed), ""]
    return "\n".join(lines)


def differences(first: StudyConfig, second: StudyConfig) -> list[tuple[str, str, str]]:
    """Settings in which two configs differ: `section.key` and both values as TOML (– where empty)."""
    rows = []
    for section in StudyConfig.model_fields:
        a, b = getattr(first, section), getattr(second, section)
        for key in type(a).model_fields:
            values = [getattr(a, key), getattr(b, key)]
            if values[0] != values[1]:
                told = ["–" if value is None else _toml_value(value) for value in values]
                rows.append((f"{section}.{key}", told[0], told[1]))
    return rows


def _toml_value(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)

"""The card of what is pushed to the Hub: what it is, how it was made, what was measured. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from patchrl.config import SMOLLM2, StudyConfig, arms, to_toml
from patchrl.models.model_cache import SMOLLM2_REPOSITORY
from patchrl.reporting import tables
from patchrl.runs.samples import SampleRow
from patchrl.text import printable
from patchrl.types import HUB_ID
from patchrl.version import __version__

PAPER = "[arXiv 2602.11220](https://arxiv.org/abs/2602.11220)"
DECISIONS = {"accepted": "accepted", "fallback": "fell back to the expert's text", "dropped": "dropped"}
LICENSE_COMMENT = "# license: yours to choose; see below"


def without_folders(config: StudyConfig) -> StudyConfig:
    """The config with every absolute path cut to its last name: folders of a machine are nobody else's business."""

    def public_value(value: Any) -> Any:
        if isinstance(value, list):
            return [public_value(part) for part in value]
        return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value

    dumped = config.model_dump(mode="json")
    return StudyConfig.model_validate(
        {section: {key: public_value(value) for key, value in values.items()} for section, values in dumped.items()}
    )


def hub_id(config: StudyConfig) -> str | None:
    """The backbone's id on the Hub; None for the nano backbone and for a folder, which have none."""
    model = config.backbone.model
    if model == SMOLLM2:
        return SMOLLM2_REPOSITORY
    return model if model != "nano" and HUB_ID.fullmatch(model) else None


def dataset_card(
    config: StudyConfig, source: str, seed: int, rows: Sequence[SampleRow], result: dict[str, Any] | None
) -> str:
    """README.md of a rewritten dataset. `rows`: all of its source's, dropped ones included; `result`: result.json."""
    public_config = without_folders(config)
    header = {
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "train.parquet"}]}],
        "pretty_name": f"{' '.join(public_config.data.dataset.split())}, rewritten by PatchRL",
        "task_categories": ["text-generation"],
        "tags": ["patchrl", "sft"],
    }
    body = [
        f"# {plain(public_config.data.dataset)}, rewritten for {plain(public_config.backbone.model)}",
        "Fine-tuning data restated the way the backbone itself answers, so that fine-tuning on it forgets less; made by "
        f"PatchRL ({PAPER}). `train.jsonl` and `train.parquet` hold the same rows; the columns are TRL's conversational "
        "format (`messages`) and, of each row, `source` (`rewrite` or `expert`: which text its answer is) and the mean "
        "surprisal of the expert's text and of the rewrite under the backbone, in nats per token (`nll_expert`, "
        "`nll_rewrite`).",
        _facts(public_config, source, seed, rows, result),
    ]
    return _card(header, body, public_config, source, result)


def adapter_card(
    config: StudyConfig, rewriter: str, seed: int, rows: Sequence[SampleRow], result: dict[str, Any] | None
) -> str:
    """README.md of a rewriter's adapter. `rows`: those it rewrote, none before that; `result`: result.json."""
    public_config, base = without_folders(config), hub_id(config)
    header: dict[str, Any] = {"library_name": "peft", "pipeline_tag": "text-generation", "tags": ["patchrl", "lora"]}
    if base:  # the Hub refuses a card whose base_model is not an id of its own
        header = {"base_model": base} | header
    loaded = json.dumps(base or "folder of the backbone")
    body = [
        f"# Rewriter of {plain(public_config.data.dataset)} for {plain(public_config.backbone.model)}",
        "A LoRA adapter on the backbone, trained by GRPO to restate an expert's solution the way the backbone itself answers; "
        f"made by PatchRL ({PAPER}). It reads the question, the expert's solution and the rewriting instruction, and is no "
        "model of the task itself.",
        _fenced(
            "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n"
            f"backbone = AutoModelForCausalLM.from_pretrained({loaded})\n"
            'rewriter = PeftModel.from_pretrained(backbone, "this repository")',
            "python",
        ),
        _facts(public_config, rewriter, seed, rows, result),
    ]
    return _card(header, body, public_config, rewriter, result)


def _card(
    header: dict[str, Any], body: list[str], config: StudyConfig, source: str, result: dict[str, Any] | None
) -> str:
    from huggingface_hub.utils import yaml_dump

    toml = to_toml(config).strip() or "# every setting has its default value"
    sections = [
        *body,
        f"## Measured\n\n{_measured(result, source)}",
        "## How to make it again\n\nSave as `study.toml`, then run `python -m patchrl run study.toml`. "
        "Files are given by their names; they are not part of this repository.\n\n" + _fenced(toml, "toml"),
        "## License\n\nNone is set. The text derives from the dataset and from the backbone: see what their licenses "
        "allow, then add `license:` at the head of this card. Another push replaces the card.",
    ]
    return f"---\n{yaml_dump(header, sort_keys=False)}{LICENSE_COMMENT}\n---\n\n" + "\n\n".join(sections) + "\n"


def _facts(
    config: StudyConfig, source: str, seed: int, rows: Sequence[SampleRow], result: dict[str, Any] | None
) -> str:
    data, counts = config.data, Counter(str(row["decision"]) for row in rows)
    version = (result or {}).get("versions", {}).get("patchrl", __version__)
    parts = [f"{counts[name]} {words}" for name, words in DECISIONS.items()]
    facts = [
        ("Backbone", config.backbone.model),
        ("Dataset", ", ".join(filter(None, (data.dataset, data.config)))),
        ("Arm", f"{source}: {arms.SOURCES[source].help}"),
        ("Seed", str(seed)),
        ("Rows", f"{len(rows)}: {', '.join(parts)}" if rows else "not rewritten yet"),
        ("PatchRL", version),
    ]
    return _table(("What", "Value"), facts)


def _measured(result: dict[str, Any] | None, source: str) -> str:
    if result is None:
        return "Nothing yet: the arms of this study were not evaluated when this was pushed."
    own = {name: arm for name, arm in result["arms"].items() if name == "expert" or arms.parse(name).data == source}
    rows = tables.result_rows(result | {"arms": own})
    seeds = result["seeds"]
    of = f"mean over seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]}"
    return (
        f"The backbone before fine-tuning, after plain SFT on the expert's text, and after fine-tuning on these rewrites; {of}, "
        "in brackets the 95 % interval over items and seeds. Forgotten: general skill lost.\n\n"
        + _table(tables.RESULT_HEADERS, rows)
    )


# --- Markdown -------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """Text on one line, escaped so that Markdown, HTML, links and control characters in it have no effect."""
    return re.sub(r"([\\`*_\[\]<>|~&$!#@{}]|:(?=//))", r"\\\1", printable(" ".join(str(text).split())))


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *([plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _fenced(text: str, language: str) -> str:
    """A code block whose fence is longer than any run of backticks in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"

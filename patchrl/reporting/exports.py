"""The files that a run exports: its report, rewritten rows in TRL's format, the rewriter's adapter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from patchrl.config import StudyConfig
from patchrl.errors import RunError
from patchrl.evaluation.changes import ArmChanges
from patchrl.recordings import is_recording
from patchrl.reporting import cards, changed
from patchrl.runs.folder import RunFolder
from patchrl.runs.samples import SampleRow


def conversation(row: SampleRow) -> dict[str, Any]:
    """A rewritten row in TRL's conversational format, with where its target came from."""
    turns = [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["target"]}]
    source = "rewrite" if row["decision"] == "accepted" else "expert"
    return {"messages": turns, "source": source, "nll_expert": row["nll_expert"], "nll_rewrite": row["nll_rewrite"]}


def write_rows(rows: Sequence[SampleRow], path: Path) -> Path:
    """Write the rows that have a target as conversations, to a .jsonl or a .parquet file."""
    records = [conversation(row) for row in rows if row["target"] is not None]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    else:
        import pandas as pd

        pd.DataFrame(records).to_parquet(path)
    return path


def write_changed(changes: Sequence[ArmChanges], path: Path) -> Path:
    """Write the questions that fine-tuning changed, a row each, to a .jsonl or a .csv file; RunError before any evaluation."""
    if not changes:
        raise RunError("No arm is evaluated yet, so no question has changed; finish the run with `patchrl report RUN`.")
    rows = [row for one in changes for row in one.questions]
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(lines if path.suffix == ".jsonl" else changed.to_csv(rows), encoding="utf-8")
    return path


def write_report(config: StudyConfig, folder: RunFolder, path: Path) -> Path:
    """A copy of the report; one that was not kept is built from what the run recorded. RunError before its end."""
    if folder.report.is_file():
        return Path(shutil.copy(folder.report, path))
    result = folder.read_json(folder.result)
    if result is None:
        raise RunError(f"{folder.id} has no report yet; it is written when every arm is evaluated.")
    from patchrl.reporting.report import report_of

    path.write_text(report_of(config, folder, result), encoding="utf-8")
    return path


def dataset_folder(
    config: StudyConfig, folder: RunFolder, source: str, seed: int, rows: Sequence[SampleRow], into: Path
) -> None:
    """Write train.jsonl, train.parquet and the card of a rewritten dataset."""
    write_rows(rows, into / "train.jsonl")
    write_rows(rows, into / "train.parquet")
    card = cards.dataset_card(config, source, seed, rows, folder.read_json(folder.result))
    (into / "README.md").write_text(card, encoding="utf-8")


def adapter_folder(
    config: StudyConfig, folder: RunFolder, rewriter: str, seed: int, rows: Sequence[SampleRow], into: Path
) -> None:
    """Write a trained rewriter's weights, its settings and its card; RunError where the run has not trained it.

    The settings name the backbone by its Hub id or its last name, and no folder of this machine.
    """
    home = folder.adapter(seed, rewriter)
    if is_recording(folder.path) and not (home / "adapter_model.safetensors").is_file():
        raise RunError(f"{folder.id} is a recording without weights; start a run of your own to get an adapter.")
    if not (home / "done.json").is_file():
        raise RunError(f"{folder.id} has no trained rewriter {rewriter!r} for seed {seed} yet.")
    settings = json.loads((home / "adapter_config.json").read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = cards.without_folders(config).backbone.model
    folder.write_json(into / "adapter_config.json", settings)
    shutil.copyfile(home / "adapter_model.safetensors", into / "adapter_model.safetensors")
    card = cards.adapter_card(config, rewriter, seed, rows, folder.read_json(folder.result))
    (into / "README.md").write_text(card, encoding="utf-8")

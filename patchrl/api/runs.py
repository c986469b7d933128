"""One run, seen from outside: its state, what it made, and what one can do to it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from patchrl import recordings as shipped
from patchrl.config import StudyConfig, load_config
from patchrl.config.arms import REWRITERS, Arm, parse, sources_in_order
from patchrl.errors import ConfigError, RunError
from patchrl.evaluation.changes import ArmChanges, read_changes
from patchrl.jobs import deletion, launch, webhook
from patchrl.jobs.status import LIVE_STATES, log_tail, resolve_status
from patchrl.playground.requests import calibrated, chat_models, chat_problem, writers_of
from patchrl.reporting import exports, hub
from patchrl.reporting.result_formats import RESULT_FORMATS
from patchrl.runs.damage import damage
from patchrl.runs.events import read_new_events
from patchrl.runs.folder import RunFolder, name_problem
from patchrl.runs.jsonl import read_rows, row_by_id
from patchrl.runs.samples import SampleRow
from patchrl.runs.timeline import Timeline
from patchrl.text import compact, one_line
from patchrl.types import ChatModel, Writer

POLL_SECONDS = 0.2
EXPORTS = ("report", "json", "csv", "latex", "changed-csv", "changed-jsonl", "jsonl", "parquet", "adapter")


class Run:
    """One run: its settings, its state, and what it has made so far. Reading does not disturb the worker.

    Example:
        >>> run = patchrl.open_run("recorded-nano")
        >>> run.config.study.arms
        ('expert', 'prompted', 'best-of-k', 'rl')
        >>> run.samples("rl", 0)[0]["rewrite"]
        '99 - 24 = 75 and 75 + 21 = 96. The answer is 96.'
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.id = folder.id
        self.path = folder.path
        try:
            self.config: StudyConfig = load_config(folder.config)
        except ConfigError as error:
            raise RunError(f"{self.id} is damaged: {str(error).replace(f'{self.path}/', '')}") from None
        self._offset = 0

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    @property
    def name(self) -> str:
        """What somebody called the run; its id unless somebody did."""
        return self.folder.read_name() or self.id

    # --- its state --------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """State, stage, progress and estimated seconds left; a dead worker is reported as failed."""
        return resolve_status(self.folder)

    def events(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Events from a byte offset on, and the offset for the next call."""
        return read_new_events(self.folder.events, offset)

    def timeline(self) -> Timeline:
        """A reader of the run's events that keeps what a page draws, in bounded memory."""
        return Timeline(self.folder.events)

    @property
    def about(self) -> str:
        """One sentence on what a recording is; empty for any other run."""
        return shipped.about(self.path).get("about", "")

    def stamp(self) -> dict[str, str]:
        """What changes when the run does: status, events, rewrites, answers, result. Cheap; meant for polling."""
        status = {k: v for k, v in self.status().items() if k != "updated"}
        return {
            "status": json.dumps(status, sort_keys=True),
            "events": _stamp(self.folder.events),
            "samples": ",".join(_stamp(path) for path in sorted(self.folder.samples_dir.glob("*"))),
            "predictions": ",".join(_stamp(path) for path in sorted(self.folder.arms.glob("**/predictions.jsonl"))),
            "embeddings": ",".join(_stamp(self.folder.embeddings(source)) for source in ("scan", "rl")),
            "result": _stamp(self.folder.result),
        }

    def log_tail(self, lines: int = 20) -> list[str]:
        """The last lines of the worker's log."""
        return log_tail(self.folder, lines)

    def wait(
        self, timeout: float | None = None, on_event: Callable[[dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """Wait until the run ends or `timeout` seconds passed; returns the status then.

        `on_event` sees every event once, those of earlier waits on this object excepted.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            status = self.status()  # before the events, so that none is missed after the end
            events, self._offset = self.events(self._offset)
            if on_event is not None:
                for event in events:
                    on_event(event)
            if status["state"] not in LIVE_STATES or (deadline is not None and time.monotonic() >= deadline):
                return status
            time.sleep(POLL_SECONDS)

    # --- what it made -----------------------------------------------------------------------------

    def sources(self) -> list[str]:
        """The rewritten datasets of the study, made yet or not: every source of its arms but the expert's text."""
        return [s for s in sources_in_order(map(parse, self.config.study.arms)) if s != "expert"]

    def _data(self, arm: str, seed: int) -> str:
        """The source of an arm's targets; raises RunError for an arm or a seed that the study does not have."""
        self._has_seed(seed)
        data, sources = _parse(arm).data, sources_in_order(map(parse, self.config.study.arms))
        if data not in sources:
            raise RunError(f"{self.id} has no targets of arm {arm!r}; those it has are of {', '.join(sources)}.")
        return data

    def _has_seed(self, seed: int) -> None:
        if seed not in self.config.study.seeds:
            seeds = ", ".join(map(str, self.config.study.seeds))
            raise RunError(f"{self.id} has no seed {seed!r}; its seeds are {seeds}.")

    def samples_path(self, arm: str, seed: int) -> Path:
        """Where the rewritten rows of an arm lie, once made; arms of one source share them."""
        return self.folder.samples(self._data(arm, seed), seed)

    def samples(self, arm: str, seed: int) -> list[SampleRow]:
        """The rewritten rows of an arm; none before they are made, RunError for an arm or seed not of this study."""
        return cast(list[SampleRow], _rows(self.samples_path(arm, seed), "sample"))

    def predictions(self, arm: str, seed: int | None = None, rate: float | None = None) -> list[dict[str, Any]]:
        """The answers an arm gave when it was evaluated; none before it is.

        Args:
            arm: A name in `study.arms`, or `base`: the backbone before fine-tuning, which has no seed.
            seed: One of the study's seeds.
            rate: In a study of several learning rates, which one; without it the rate that the results compare the arm
                at, which is known once the report is written.

        Raises RunError for an arm, a seed or a rate that the study does not have.
        """
        if arm == "base":
            return _rows(self.folder.base() / "predictions.jsonl", "prediction")
        if seed is None or arm not in self.config.study.arms:
            raise RunError(f"Predictions need a seed and an arm: base or one of {', '.join(self.config.study.arms)}.")
        self._has_seed(seed)
        self._has_rate(rate)
        compared = rate or self._compared_rate(arm)
        if compared is None:
            return []
        home = self.folder.arm(arm, seed, compared if self.config.finetune.sweeps else None)
        return _rows(home / "predictions.jsonl", "prediction")

    def _has_rate(self, rate: float | None) -> None:
        rates = self.config.finetune.learning_rate
        if rate is not None and rate not in rates:
            listed = ", ".join(map(compact, rates))
            raise RunError(f"{self.id} has no learning rate {compact(rate)}; its rates are {listed}.")

    def _compared_rate(self, arm: str) -> float | None:
        """The learning rate that the results compare an arm at; None before they choose among several."""
        if not self.config.finetune.sweeps:
            return self.config.finetune.learning_rate[0]
        result = self.result()
        return result["arms"][arm]["learning_rate"] if result else None

    def changes(self, arm: str | None = None, seed: int | None = None, rate: float | None = None) -> list[ArmChanges]:
        """The questions that fine-tuning turned from right to wrong or back, for each arm and seed that is evaluated.

        Args:
            arm: One of the study's arms; all of them unless given.
            seed: One of the study's seeds; all of them unless given.
            rate: As in `predictions`.

        Raises RunError for an arm, a seed or a rate that the study does not have, and for answers that are damaged.

        Example:
            >>> (expert,) = patchrl.open_run("recorded-nano").changes("expert")
            >>> expert.counts["general"].right, expert.counts["general"].right_to_wrong
            (463, 181)
        """
        arms, seeds = self.config.study.arms, self.config.study.seeds
        if arm is not None and arm not in arms:
            raise RunError(f"{self.id} has no arm {arm!r:.80}; its arms are {', '.join(arms)}.")
        if seed is not None:
            self._has_seed(seed)
        self._has_rate(rate)
        rates = {name: rate or self._compared_rate(name) for name in (arms if arm is None else [arm])}
        compared = {name: value for name, value in rates.items() if value is not None}
        return read_changes(self.config, self.folder, compared, seeds if seed is None else [seed])

    def surprisals(self, arm: str, seed: int) -> list[dict[str, Any]]:
        """Token surprisal of an arm's rows, expert and rewrite: [text, nats, alternatives] per token."""
        return _rows(self.folder.surprisal(self._data(arm, seed), seed))

    def surprisal(self, arm: str, seed: int, row_id: str) -> dict[str, Any] | None:
        """The same of one row; None where it is not recorded."""
        return row_by_id(self.folder.surprisal(self._data(arm, seed), seed), row_id)

    def embedding_map(self) -> dict[str, Any] | None:
        """Where a sample of texts lies, by source (expert, own, prompted, rl); None before the scan."""
        from patchrl.runs.embeddings import embedding_map

        return embedding_map(self.folder)

    def scan(self) -> dict[str, Any] | None:
        """What the mismatch scan found (`patchrl.evaluation.scan.scan`), None before it."""
        return self.folder.read_shaped(self.folder.scan, "scan")

    def result(self) -> dict[str, Any] | None:
        """result.json, None before the report stage or where it is damaged (see `damage`)."""
        return self.folder.read_shaped(self.folder.result, "result")

    def damage(self) -> list[str]:
        """Files of the run that cannot be used, each with what is wrong; the others are read as ever."""
        return damage(self.folder)

    @property
    def report_path(self) -> Path | None:
        """report.html, None before it is written."""
        return self.folder.report if self.folder.report.is_file() else None

    def table(self, kind: str) -> str:
        """The results as text: json (result.json), csv (every number, one a row) or latex (a table with booktabs).

        Raises RunError for another kind, and before every arm is evaluated.
        """
        if kind not in ("json", *RESULT_FORMATS):
            raise RunError(f"Table {kind!r}: choose one of {', '.join(('json', *RESULT_FORMATS))}.")
        result = self.result()
        if result is None:
            if self.folder.result.exists():
                raise RunError(
                    f"{self.id}: {'; '.join(self.damage()) or 'result.json is damaged'}; delete result.json and resume."
                )
            raise RunError(f"{self.id} has no results yet; finish it with `patchrl report {self.id}`.")
        if kind == "json":
            return json.dumps(result, ensure_ascii=False, indent=1) + "\n"
        return RESULT_FORMATS[kind][1](result)

    def export(self, kind: str, into: Path | str, *, arm: str | None = None, seed: int | None = None) -> Path:
        """Write one file a person takes home into a folder, and return its path.

        `kind`: report, json, csv or latex (the results, see `table`), changed-csv or changed-jsonl (the questions whose
        verdict fine-tuning changed, see `changes`; of all arms and seeds unless given), jsonl or parquet (the rewritten
        dataset in TRL's conversational format), or adapter (zip); the last three of arm rl unless given. Raises RunError
        when the run has not made it yet, or the folder cannot be written.
        """
        if kind not in EXPORTS:
            raise RunError(f"Export {kind!r}: choose one of {', '.join(EXPORTS)}.")
        try:
            if kind.startswith("changed-"):
                return exports.write_changed(
                    self.changes(arm, seed), Path(into) / f"{self.id}-{kind.replace('-', '.')}"
                )
            return self._export(kind, Path(into), arm or "rl", self.config.study.seeds[0] if seed is None else seed)
        except OSError as error:
            raise RunError(
                f"{error.filename or into}: {error.strerror or error}. Name a folder that can be written."
            ) from None

    def _export(self, kind: str, into: Path, arm: str, seed: int) -> Path:
        into.mkdir(parents=True, exist_ok=True)
        if kind == "report":
            return exports.write_report(self.config, self.folder, into / f"{self.id}.html")
        if kind in ("json", *RESULT_FORMATS):
            path = into / f"{self.id}.{'json' if kind == 'json' else RESULT_FORMATS[kind][0]}"
            path.write_text(self.table(kind), encoding="utf-8")
            return path
        if kind == "adapter":
            with tempfile.TemporaryDirectory(prefix="patchrl-") as folder:
                rewriter = self._write_adapter(arm, seed, Path(folder))
                return Path(shutil.make_archive(str(into / f"{self.id}-{rewriter}-adapter-seed{seed}"), "zip", folder))
        return exports.write_rows(self._targets(arm, seed), into / f"{self.id}-{arm}-seed{seed}.{kind}")

    def push(
        self,
        kind: str,
        repo: str,
        *,
        arm: str = "rl",
        seed: int | None = None,
        token: str | None = None,
        private: bool = True,
        on_step: Callable[[str], None] = lambda step: None,
    ) -> str:
        """Publish an arm's rewritten dataset, or its rewriter's adapter, with a card, and return the address.

        `kind`: dataset or adapter; `repo`: OWNER/NAME, made where it is missing; `token`: without one the login of this
        machine's owner, which on Spaces is never used. `on_step` hears what is being done. One commit, whole or not at
        all. Raises RunError when the run has not made it yet, HubError for everything the Hub does not allow.
        """
        seed = self.config.study.seeds[0] if seed is None else seed
        hub.check_request(kind, repo)
        with tempfile.TemporaryDirectory(prefix="patchrl-") as folder:
            if kind == "adapter":
                self._write_adapter(arm, seed, Path(folder))
            else:
                rows, source = self._targets(arm, seed), self._data(arm, seed)
                exports.dataset_folder(self.config, self.folder, source, seed, rows, Path(folder))
            return hub.upload(kind, repo, Path(folder), token=hub.token_of(token), private=private, on_step=on_step)

    def _targets(self, arm: str, seed: int) -> list[SampleRow]:
        """An arm's rewritten rows. Raises RunError if the arm has none."""
        if self._data(arm, seed) == "expert":
            raise RunError(f"Arm {arm!r} learns from the expert's text as it is and has no rewrites to export.")
        rows = self.samples(arm, seed)
        if all(row["target"] is None for row in rows):
            raise RunError(f"{self.id} has no rewrites of arm {arm!r}, seed {seed} yet.")
        return rows

    def _write_adapter(self, arm: str, seed: int, into: Path) -> str:
        """Write the adapter of an arm's rewriter into a folder; returns the rewriter's name."""
        rewriter, rows = _parse(arm).rewriter, self.samples(arm, seed)
        if rewriter is None:
            raise RunError(f"Arm {arm!r} trains no rewriter; those with an adapter are {', '.join(REWRITERS)}.")
        exports.adapter_folder(self.config, self.folder, rewriter, seed, rows, into)
        return rewriter

    def writers(self) -> list[Writer]:
        """Who can rewrite in the playground: the prompted backbone, and the newest rewriter of every seed."""
        return writers_of(self.folder, self.config)

    def chat_models(self) -> list[ChatModel]:
        """Who can be asked in the chat: the backbone, and every fine-tuned model whose weights the run kept."""
        return chat_models(self.folder, self.config)

    def chat_problem(self) -> str:
        """Why no fine-tuned model can be asked, in one sentence; empty where one can."""
        return chat_problem(self.folder, self.config)

    @property
    def thresholds(self) -> dict[str, Any]:
        """From where on the gate takes a text to say what the expert says, as its scan measured it."""
        return calibrated(self.folder)

    # --- what one can do to it --------------------------------------------------------------------

    def stop(self) -> None:
        """Ask it to stop within a minute; what is done is kept."""
        launch.request_stop(self.folder)

    def cancel(self) -> None:
        """End it now; what the last minute did is lost."""
        launch.cancel(self.folder)

    def rename(self, name: str) -> None:
        """Call the run something. Its id stays; an empty name takes the name away.

        Raises RunError for a name of more than 80 characters and for a recording.
        """
        require_own(self.folder)
        name = one_line(name)
        if problem := name_problem(name):
            raise RunError(f"Name of {self.id}: {problem} (found {name!r:.60}).")
        try:
            self.folder.write_json(self.folder.name, {"name": name})
            os.utime(self.path.parent)  # pages list the runs again
        except OSError as error:
            raise RunError(f"{self.id} cannot be renamed: {error.strerror or error}.") from None

    def delete(self) -> None:
        """Delete the run whole, or raise RunError for one that is going on or a recording."""
        require_own(self.folder)
        deletion.delete(self.folder)

    def resume(self, upto: str | None = None, *, queue: bool = False, webhook_url: str | None = None) -> None:
        """Continue the run up to a stage; finished steps are not repeated.

        Without `upto`: to the stage that was asked for before or, where that was reached, to the report. With
        `queue` it waits until runs of its folder that were started earlier are over. `webhook_url` is as in `start`.
        """
        require_own(self.folder)
        status = self.status()
        before = "report" if status["state"] == "done" else status.get("upto", "report")
        launch.launch(self.folder, upto or before, queue, webhook.address(webhook_url))


def require_own(folder: RunFolder) -> None:
    """Raise RunError for a recording."""
    if shipped.is_recording(folder.path):
        raise RunError(f"{folder.id} is a recording that ships with PatchRL; start a run of your own instead.")


def _parse(arm: str) -> Arm:
    try:
        return parse(arm)
    except ValueError as error:
        raise RunError(f"{error}.") from None


def _stamp(path: Path) -> str:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return ""
    return f"{path.name}:{stat.st_mtime_ns}:{stat.st_size}"


def _rows(path: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The rows of a file; none before the file exists."""
    try:
        return read_rows(path, kind)
    except FileNotFoundError:
        return []

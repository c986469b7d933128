"""The one door behind command line and pages: start runs, follow them, read what they made. No torch."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from patchrl import recordings as shipped
from patchrl.config import StudyConfig, absolute_paths, load_config, to_toml
from patchrl.config.arms import REWRITERS, Arm, parse, sources_in_order
from patchrl.errors import ConfigError, PatchRLError, RunError
from patchrl.evaluation.changes import ArmChanges, read_changes
from patchrl.grading.verify import verify_answer
from patchrl.jobs import deletion, launch, webhook
from patchrl.jobs.owners import HOST, Visitor, may_use, set_owner
from patchrl.jobs.probe import probe
from patchrl.jobs.public import uploads_folder
from patchrl.jobs.status import LIVE_STATES, log_tail, resolve_status
from patchrl.playground.client import Answer, Playground
from patchrl.playground.requests import (
    Caps,
    calibrated,
    chat_models,
    chat_problem,
    lab_example,
    play_settings,
    prompted,
    typed_example,
    typed_text,
    writers_of,
)
from patchrl.reporting import exports, hub
from patchrl.reporting.result_formats import RESULT_FORMATS
from patchrl.reporting.run_summary import RunSummary, summarise
from patchrl.runs.damage import damage
from patchrl.runs.events import read_new_events
from patchrl.runs.folder import UPLOADS, RunFolder, default_runs_dir, keep_file, name_problem, run_folders
from patchrl.runs.jsonl import read_rows, row_by_id
from patchrl.runs.samples import SampleRow
from patchrl.runs.timeline import Timeline
from patchrl.text import compact, one_line
from patchrl.types import ChatModel, Writer

__all__ = [
    "RECORDED_ID",
    "Answer",
    "Caps",
    "ChatModel",
    "Playground",
    "Run",
    "Writer",
    "check",
    "delete_run",
    "keep_upload",
    "lab_example",
    "list_runs",
    "open_run",
    "play_settings",
    "prompted",
    "recorded_group",
    "recordings",
    "require_ready",
    "run",
    "start",
    "summaries",
    "summary",
    "typed_example",
    "typed_text",
    "verify_answer",
    "visible_folders",
]
POLL_SECONDS = 0.2
EXPORTS = ("report", "json", "csv", "latex", "changed-csv", "changed-jsonl", "jsonl", "parquet", "adapter")
RECORDED_ID = shipped.LAB


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
        """What changes when the run does: its status, events, rewrites, answers and result. Cheap; meant for polling."""
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
        return (
            json.dumps(result, ensure_ascii=False, indent=1) + "\n"
            if kind == "json"
            else RESULT_FORMATS[kind][1](result)
        )

    def export(self, kind: str, into: Path | str, *, arm: str | None = None, seed: int | None = None) -> Path:
        """Write one file a person takes home into a folder, and return its path.

        `kind`: report, json, csv or latex (the results, see `table`), changed-csv or changed-jsonl (the questions whose verdict
        fine-tuning changed, see `changes`; of all arms and seeds unless given), jsonl or parquet (the rewritten dataset in TRL's
        conversational format), or adapter (zip); the last three of arm rl unless given. Raises RunError when the run has not made it yet, or the folder cannot be written.
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
        _require_own(self.folder)
        name = one_line(name)
        if problem := name_problem(name):
            raise RunError(f"Name of {self.id}: {problem} (found {name!r:.60}).")
        try:
            self.folder.write_json(self.folder.name, {"name": name})
            os.utime(self.path.parent)  # pages list the runs again
        except OSError as error:
            raise RunError(f"{self.id} cannot be renamed: {error.strerror or error}.") from None

    def delete(self) -> None:
        """Delete the run with everything that it made, or nothing: RunError for a run that is going on or a recording."""
        delete_run(self.path)

    def resume(self, upto: str | None = None, *, queue: bool = False, webhook_url: str | None = None) -> None:
        """Continue the run up to a stage; finished steps are not repeated.

        Without `upto`: to the stage that was asked for before or, where that was reached, to the report. With
        `queue` it waits until runs of its folder that were started earlier are over. `webhook_url` is as in `start`.
        """
        _require_own(self.folder)
        status = self.status()
        before = "report" if status["state"] == "done" else status.get("upto", "report")
        launch.launch(self.folder, upto or before, queue, webhook.address(webhook_url))


def _require_own(folder: RunFolder) -> None:
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


def _settings(config: StudyConfig | str | Path, overrides: Sequence[str] = ()) -> StudyConfig:
    """Settings as they are, or those of a file or a preset's name."""
    return config if isinstance(config, StudyConfig) else load_config(config, overrides)


def start(
    config: StudyConfig | str | Path,
    runs_dir: Path | str | None = None,
    name: str | None = None,
    upto: str = "report",
    queue: bool = False,
    owner: str | None = None,
    webhook_url: str | None = None,
) -> Run:
    """Start a study in a process of its own and return at once.

    Nothing is written before the settings are checked. What the settings leave out is chosen for the backbone and the data. Paths in them are kept absolute, because the worker runs elsewhere.

    Args:
        config: the settings of the study, a file of them, or a preset's name.
        runs_dir: where the run's folder is made; your data folder unless given.
        name: the run's id begins with it; `study.name` unless given.
        upto: the last stage: scan, train, rewrite, finetune, evaluate or report.
        queue: begin when the runs of the same folder that were started earlier are over.
        owner: the visitor of a public page whose run it is; its worker then keeps to the limits of such a page.
        webhook_url: where the worker posts a message when the run ends or a monitor warns: https, or http on this machine.
            PATCHRL_WEBHOOK unless given; never for a run that has an owner.

    Raises:
        ConfigError: a setting cannot work.

    Example:
        >>> run = patchrl.start(patchrl.load_config("nano-quick"), upto="scan")
        >>> run.cancel()
        >>> run.wait()["state"]
        'cancelled'
    """
    from patchrl.pipeline.defaults import fitted

    config, hook = _settings(config), webhook.address(webhook_url)
    require_ready(config)
    config, _ = fitted(config)
    folder = RunFolder.create(runs_dir or default_runs_dir(), absolute_paths(config), name)
    if owner is not None:
        set_owner(folder, owner)
    launch.launch(folder, upto, queue, hook)
    return Run(folder)


def run(
    config: StudyConfig | str | Path,
    *,
    overrides: Sequence[str] = (),
    runs_dir: Path | str | None = None,
    name: str | None = None,
    upto: str = "report",
    queue: bool = False,
    wait: bool = True,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    webhook_url: str | None = None,
) -> Run:
    """Run a study to its end and return it.

    Args:
        config: settings, a TOML file, or the name of a preset.
        overrides: settings to change, each `section.key=value`.
        wait: False returns as soon as the study is started or queued.
        on_event: called with each event while waiting.
        runs_dir, name, upto, queue, webhook_url: as in `start`.

    Raises:
        ConfigError: a setting cannot work; nothing was written.
        RunError: the study was waited for and did not finish; says why.

    Example:
        >>> run = patchrl.run("nano-quick", upto="scan")
        >>> round(run.scan()["expert_mean"], 1)  # ℓ of the expert's text, nats per token
        2.0
    """
    settings = _settings(config, overrides)
    study = start(settings, runs_dir, name, upto, queue, webhook_url=webhook_url)
    if not wait:
        return study
    status = study.wait(on_event=on_event)
    if status["state"] != "done":
        raise RunError(f"{study.id} {status['state']}: {status.get('error') or 'no reason was left'}")
    return study


def open_run(run_id: str | Path, runs_dir: Path | str | None = None) -> Run:
    """Open an existing run by its id (text) or by its folder (a Path).

    Text is never read as a path, so that what a visitor types cannot leave the runs folder. The ids of the recordings
    that ship with PatchRL (`recordings`) open those.

    Raises:
        RunError: no run has this id.

    Example:
        >>> patchrl.open_run("recorded-nano").status()["state"]
        'done'
    """
    return Run(_folder(run_id, runs_dir))


def _folder(run_id: str | Path, runs_dir: Path | str | None) -> RunFolder:
    """The folder of a run by its id or its path; raises RunError where there is none."""
    if isinstance(run_id, Path):
        return RunFolder.at(run_id)
    if not isinstance(run_id, str):
        raise RunError(f"open_run: {run_id!r:.40} is not the id of a run, which is text; list_runs names them.")
    if run_id in shipped.folders():
        return RunFolder(shipped.folders()[run_id])
    return RunFolder.find(runs_dir or default_runs_dir(), run_id)


def recordings() -> dict[str, str]:
    """The runs that ship with PatchRL: their titles by id, the one that a page shows first in front.

    Example:
        >>> list(patchrl.api.recordings())[-1]
        'recorded-nano'
    """
    return {run_id: shipped.about(path)["title"] for run_id, path in shipped.folders().items()}


def recorded_group() -> dict[str, Any]:
    """Four candidates of the lab's recorded training, with ℓ and embeddings, for the walkthrough."""
    return json.loads((shipped.folders()[RECORDED_ID] / "group.json").read_text(encoding="utf-8"))


def list_runs(runs_dir: Path | str | None = None, *, visitor: Visitor = HOST) -> list[Run]:
    """List all runs that a visitor may see, newest first. Runs whose settings are damaged are left out (see `summaries`).

    Args:
        runs_dir: Where the runs are; your data folder unless given.
        visitor: Of a public page; without one, all runs are listed.

    Example:
        >>> [run.id for run in patchrl.list_runs("an-empty-folder")]
        []
    """
    runs = []
    for folder in visible_folders(runs_dir, visitor):
        try:
            runs.append(Run(folder))
        except PatchRLError:
            continue
    return runs


def summaries(runs_dir: Path | str | None = None, *, visitor: Visitor = HOST) -> list[RunSummary]:
    """What a list shows of all runs that a visitor may see, damaged ones included, newest first."""
    return [summary(folder) for folder in visible_folders(runs_dir, visitor)]


def summary(folder: RunFolder) -> RunSummary:
    """What a list shows of one run."""
    return summarise(folder, resolve_status(folder))


def visible_folders(runs_dir: Path | str | None, visitor: Visitor) -> list[RunFolder]:
    """Folders of all runs that a visitor may see, newest first."""
    home = Path(runs_dir or default_runs_dir())
    paths = [path for path in run_folders(home) if visitor.host or may_use(visitor, home, path.name)]
    dated = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            dated.append(((path / "config.json").stat().st_mtime, path))
    return [RunFolder(path) for _, path in sorted(dated, reverse=True)]


def delete_run(run_id: str | Path, runs_dir: Path | str | None = None) -> None:
    """Delete a run by its id or its folder, also one that is damaged: with everything that it made, or not at all.

    Raises RunError for a run that is going on or a recording.
    """
    folder = _folder(run_id, runs_dir)
    _require_own(folder)
    deletion.delete(folder)


def keep_upload(path: Path | str, runs_dir: Path | str | None = None, owner: str | None = None) -> Path:
    """Copy a data file to where runs find it again when they are resumed, and return the copy.

    Inside the runs folder, hidden from its list: under a digest of its bytes, so that another file of the same
    name does not take its place. With an `owner`, a visitor of a public page, it is among that visitor's files.
    """
    home = Path(runs_dir or default_runs_dir())
    return keep_file(uploads_folder(home, owner) if owner else home / UPLOADS, Path(path))


def check(config: StudyConfig | str | Path, *, model: bool = False) -> dict[str, Any]:
    """Say what a study would do and what in it cannot work. Loads the data.

    Args:
        config: The settings of the study, a file of them, or a preset's name.
        model: Whether to load the backbone too, in a process of its own, and read the first example once. The nano lab's
            ships with PatchRL and is not read.

    Returns:
        `ok`, `problems` (sentences), `chosen` (settings left out, with the value chosen for this backbone and why), rows kept and dropped, columns, minutes, memory, and the settings as TOML.

    Example:
        >>> patchrl.check(patchrl.load_config("nano-quick"))["problems"]
        []
    """
    from patchrl.pipeline.defaults import fitted
    from patchrl.pipeline.preflight import preflight

    config = _settings(config)
    try:
        config, choices = fitted(config)
    except PatchRLError:  # of the data; the preflight names it
        choices = []
    card = (
        preflight(config)
        | {"chosen": [vars(choice) for choice in choices]}
        | {"toml": to_toml(config), "command": "python -m patchrl run study.toml"}
    )
    if model and card["ok"] and config.backbone.model != "nano":
        first = card["first"]
        reading = probe(config, first["question"], first["solution"])
        card |= {"first_nll": reading.get("nll"), "device": reading.get("device")}
        card["problems"] += reading["problems"]
        card["warnings"] += [reading["note"]] if reading.get("note") else []
        card["ok"] = not card["problems"]
    return card


def require_ready(config: StudyConfig) -> None:
    """Raise ConfigError with every problem the preflight finds, before anything is started."""
    problems = check(config)["problems"]
    if problems:
        raise ConfigError(" ".join(problems))

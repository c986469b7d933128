"""Check the settings of a study, and start it in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from patchrl.api.runs import Run
from patchrl.config import StudyConfig, absolute_paths, load_config, to_toml
from patchrl.errors import ConfigError, PatchRLError, RunError
from patchrl.jobs import launch, webhook
from patchrl.jobs.owners import set_owner
from patchrl.jobs.probe import probe
from patchrl.runs.folder import RunFolder, default_runs_dir


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

    Nothing is written before the settings are checked. What the settings leave out is chosen for the backbone and the
    data. Paths in them are kept absolute, because the worker runs elsewhere.

    Args:
        config: the settings of the study, a file of them, or a preset's name.
        runs_dir: where the run's folder is made; your data folder unless given.
        name: the run's id begins with it; `study.name` unless given.
        upto: the last stage: scan, train, rewrite, finetune, evaluate or report.
        queue: begin when the runs of the same folder that were started earlier are over.
        owner: the visitor of a public page whose run it is; its worker then keeps to the limits of such a page.
        webhook_url: where the worker posts a message when the run ends or a monitor warns: https, or http on this
            machine. PATCHRL_WEBHOOK unless given; never for a run that has an owner.

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


def check(config: StudyConfig | str | Path, *, model: bool = False) -> dict[str, Any]:
    """Say what a study would do and what in it cannot work. Loads the data.

    Args:
        config: The settings of the study, a file of them, or a preset's name.
        model: Whether to load the backbone too, in a process of its own, and read the first example once. The nano
            lab's ships with PatchRL and is not read.

    Returns:
        `ok`, `problems` (sentences), `chosen` (settings left out, with the value chosen for this backbone and why), rows
        kept and dropped, columns, minutes, memory, and the settings as TOML.

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


def _settings(config: StudyConfig | str | Path, overrides: Sequence[str] = ()) -> StudyConfig:
    """Settings as they are, or those of a file or a preset's name."""
    return config if isinstance(config, StudyConfig) else load_config(config, overrides)

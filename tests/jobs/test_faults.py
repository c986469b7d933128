"""A full disk, a folder that cannot be written, servers that start at once: one sentence each, and nothing half-written."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.synthetic import GrowingRun
from helpers.workers import make

from patchrl.errors import RunError
from patchrl.jobs import launch, status, worker
from patchrl.jobs.owners import SECRET_FILE, server_secret
from patchrl.jobs.status import resolve_status
from patchrl.runs.events import read_events
from patchrl.runs.folder import RunFolder

FULL_DISK = "/dev/full"  # whoever writes to it finds no space
with_full_disk = pytest.mark.skipif(not Path(FULL_DISK).exists(), reason="no /dev/full here")


@with_full_disk
def test_an_event_that_finds_no_space_ends_the_run_with_a_way_out_and_resume_goes_on(runs_dir, monkeypatch):
    def run_study(config, folder, recorder, *others):
        recorder.event("message", level="info", text="It went on.")

    monkeypatch.setitem(sys.modules, "patchrl.pipeline.study", SimpleNamespace(run_study=run_study))
    run = make(runs_dir, Path("rows.jsonl"))
    run.events.symlink_to(FULL_DISK)
    assert worker.work(run, "report") == worker.FAILED
    assert resolve_status(run)["error"].endswith("The disk is full: free some space, then Resume.")
    run.events.unlink()
    assert worker.work(run, "report") == 0 and resolve_status(run)["state"] == "done"
    assert [event["text"] for event in read_events(run.events)] == ["It went on."]


@with_full_disk
def test_a_status_that_finds_no_space_leaves_the_old_one_and_no_part_of_the_new(runs_dir):
    run = GrowingRun(runs_dir)
    before = run.folder.read_status()
    part = run.folder.path / f".{run.folder.status.name}.{os.getpid()}.part"
    part.symlink_to(FULL_DISK)
    with pytest.raises(OSError, match="No space left"):
        run.finish()
    assert run.folder.read_status() == before and not part.is_symlink()


def test_a_worker_that_died_of_a_full_disk_could_not_say_so_and_the_status_does(runs_dir, monkeypatch):
    run = GrowingRun(runs_dir)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    run.folder.write_json(run.folder.status, run.folder.read_status() | {"pid": gone.pid})
    assert "disk" not in resolve_status(run.folder)["error"]
    monkeypatch.setattr(status, "FULL_DISK_BYTES", 1 << 62)
    assert resolve_status(run.folder)["error"].endswith("The disk is full: free some space, then Resume.")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_what_cannot_be_written_is_one_sentence_and_leaves_nothing_behind(runs_dir, monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    run = GrowingRun(runs_dir)
    before = sorted(runs_dir.rglob("*"))
    monkeypatch.setattr(Path, "touch", refuse)
    monkeypatch.setattr(RunFolder, "write_json", refuse)
    with pytest.raises(RunError, match=f"cannot be stopped: {os.strerror(number)}"):
        launch.request_stop(run.folder)
    with pytest.raises(RunError, match=f"{os.strerror(number)}; choose another with --runs-dir"):
        make(runs_dir, Path("rows.jsonl"))
    with pytest.raises(RunError, match=f"{os.strerror(number)}; choose another with --runs-dir"):
        server_secret(runs_dir)
    assert sorted(runs_dir.rglob("*")) == before


def test_servers_that_start_at_once_on_one_folder_sign_with_one_key(tmp_path):
    (tmp_path / SECRET_FILE).touch()  # as a full disk may have left it
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(server_secret, [tmp_path] * 8))
    assert len(keys) == 1 and len(keys.pop()) > 40
    assert (tmp_path / SECRET_FILE).stat().st_mode & 0o077 == 0

"""Runs are renamed, listed and deleted: a run is deleted whole or not at all."""

import fcntl
import io
import json
import os
import shutil

import pytest
from helpers.synthetic import GrowingRun, finished_run

from patchrl import api
from patchrl.cli import main
from patchrl.errors import RunError
from patchrl.jobs.launch import launch
from patchrl.runs.folder import TRASH


@pytest.fixture
def run(runs_dir):
    return api.open_run(finished_run(runs_dir, 3), runs_dir)


@pytest.mark.parametrize("name", ["Ana's study", "<b>Ünïcode</b> 🚀", "x" * 80, "=1+1", "../../etc"])
def test_a_name_is_any_short_text_and_the_id_stays(run, name):
    before = run.id
    run.rename(name)
    assert (run.name, run.id, api.open_run(run.path).name) == (name, before, name)
    run.rename(" \n ")
    assert run.name == run.id


@pytest.mark.parametrize("name", ["x" * 81, "a\0b", "\udcff"])
def test_a_name_that_cannot_be_kept_is_refused(run, name):
    with pytest.raises(RunError, match=f"Name of {run.id}"):
        run.rename(name)
    assert run.name == run.id


@pytest.mark.parametrize("content", ["{", "[]", '{"name": 3}', '{"name": "' + "x" * 81 + '"}', ""])
def test_a_damaged_name_is_no_name(run, content):
    run.folder.name.write_text(content)
    assert run.name == run.id and api.summaries(run.path.parent)[0].name == run.id


def test_a_run_that_is_going_on_and_a_recording_stay(runs_dir):
    growing = GrowingRun(runs_dir)
    with pytest.raises(RunError, match="is going on; stop or cancel it first"):
        api.open_run(growing.id, runs_dir).delete()
    recording = api.open_run(api.RECORDED_ID)
    for change in (recording.delete, lambda: recording.rename("x"), lambda: api.delete_run(api.RECORDED_ID)):
        with pytest.raises(RunError, match="recording"):
            change()
    assert growing.folder.config.is_file() and recording.folder.config.is_file()


def test_a_damaged_run_is_deleted_unless_its_worker_lives(runs_dir):
    growing = GrowingRun(runs_dir)
    growing.folder.status.write_text("{")
    growing.folder.config.write_text("{")
    with growing.folder.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="going on"):
            api.delete_run(growing.id, runs_dir)
    api.delete_run(growing.id, runs_dir)
    assert not growing.folder.path.exists()


def test_a_deletion_that_fails_deletes_nothing_and_one_that_is_interrupted_is_finished_by_the_next(
    run, runs_dir, monkeypatch
):
    other = finished_run(runs_dir, 3, "other")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        with pytest.raises(RunError, match="cannot be deleted: Permission denied"):
            run.delete()
    assert len(run.samples("rl", 0)) == 3
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # it dies before it has removed anything
        run.delete()
    assert [r.id for r in api.list_runs(runs_dir)] == [other] and list((runs_dir / TRASH).iterdir())
    api.delete_run(other, runs_dir)
    assert not list((runs_dir / TRASH).iterdir()) and api.summaries(runs_dir) == []


def test_a_launch_that_comes_after_a_deletion_brings_nothing_back(run):
    run.folder.config.unlink()  # as `launch` finds it, which opened the folder before
    with pytest.raises(RunError, match="was deleted"):
        launch(run.folder)


def test_the_command_line_names_lists_compares_and_deletes(runs_dir, capsys, monkeypatch):
    first, second = finished_run(runs_dir, 3, "first"), finished_run(runs_dir, 3, "second")
    shutil.copy(api.open_run(api.RECORDED_ID).folder.result, runs_dir / first / "result.json")
    config = json.loads((runs_dir / second / "config.json").read_text())
    config["rewriter"]["steps"] = 77
    (runs_dir / second / "config.json").write_text(json.dumps(config))

    def patchrl(*arguments):
        code = main.main([*arguments, "--runs-dir", str(runs_dir)])
        return code, capsys.readouterr().out

    assert patchrl("rename", first, "with \x1b[31m colour")[0] == 0
    listed = patchrl("list")[1]
    assert "with \\x1b[31m colour" in listed and "\x1b" not in listed
    compared = patchrl("diff", first, second, api.RECORDED_ID)[1]
    assert "rewriter.steps" in compared and "77" in compared and compared.count("RL rewrite (PatchRL)") == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert patchrl("delete", first, second)[0] == 0 and len(api.list_runs(runs_dir)) == 2
    assert patchrl("delete", "--yes", first, second)[0] == 0 and api.list_runs(runs_dir) == []
    assert patchrl("delete", "--yes", first)[0] == 2

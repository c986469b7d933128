"""A run that queues behind the runs of its folder, with a real worker."""

import os

import pytest
from helpers.synthetic import GrowingRun
from helpers.workers import make, state, until

from patchrl import api
from patchrl.jobs import launch, status
from patchrl.jobs.queue import runs_ahead
from patchrl.reporting import run_status


@pytest.fixture
def waiting(runs_dir, tmp_path):
    """A run queued behind one that goes on, and that one."""
    first = GrowingRun(runs_dir, "first")
    fifo = tmp_path / "rows.jsonl"
    os.mkfifo(fifo)
    folder = make(runs_dir, fifo)
    launch.launch(folder, "scan", queue=True)
    until(lambda: (folder.read_json(folder.status) or {}).get("queued_behind") == [first.id])
    yield folder, first
    child = status.children.pop(folder.id, None)
    if child is not None and child.poll() is None:
        child.kill()
        child.wait()


def test_it_waits_says_for_whom_and_begins_by_itself(waiting):
    folder, first = waiting
    assert state(folder) == "queued"
    assert run_status.describe_status(api.Run(folder).status()) == f"queued behind {first.id}; it starts by itself"
    first.finish()
    until(lambda: state(folder) == "running")
    assert folder.read_json(folder.status)["queued_behind"] == []


def test_it_can_be_stopped_before_it_began_and_is_resumed_to_what_was_asked_for(waiting):
    folder, first = waiting
    launch.request_stop(folder)
    until(lambda: state(folder) == "stopped")
    assert run_status.describe_status(api.Run(folder).status()) == "stopped"
    first.finish()
    api.Run(folder).resume()
    until(lambda: state(folder) == "running")
    assert folder.read_json(folder.status)["upto"] == "scan"


def test_it_can_be_cancelled_before_it_began(waiting):
    folder, _ = waiting
    launch.cancel(folder)
    assert state(folder) == "cancelled"


def test_only_live_runs_that_were_asked_for_earlier_are_ahead(runs_dir):
    over, first, own = (GrowingRun(runs_dir, name) for name in ("over", "first", "own"))
    over.finish()
    later = GrowingRun(runs_dir, "later")
    dead = GrowingRun(runs_dir, "dead")
    dead.folder.write_json(dead.folder.status, dead.recorder.status | {"pid": 2**22 + 1, "queued_at": 1.0})
    assert runs_ahead(own.folder) == [first.id]
    assert runs_ahead(later.folder) == [first.id, own.id]


@pytest.mark.parametrize("damage", ["[1]", '{"state": "runn'])
def test_a_neighbour_whose_status_is_damaged_holds_nobody_up(runs_dir, damage):
    broken, own = GrowingRun(runs_dir, "broken"), GrowingRun(runs_dir, "own")
    broken.folder.status.write_text(damage)
    assert runs_ahead(own.folder) == []

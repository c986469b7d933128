"""Starting studies from the page: one press, two presses, and behind somebody else's run."""

import pytest
from helpers.synthetic import GrowingRun

from patchrl import api
from patchrl.config import resolve
from patchrl.errors import ConfigError
from patchrl.jobs.owners import HOST, NOBODY, Visitor, set_owner
from patchrl.ui.session import Limits, Session


@pytest.fixture
def started(runs_dir, monkeypatch):
    """What was started; every start is a run that goes on until it is told to finish."""
    runs: list[GrowingRun] = []

    def start(config, runs_dir, upto, queue, owner):
        assert queue
        runs.append(GrowingRun(runs_dir, f"run-{len(runs)}"))
        return api.open_run(runs[-1].id, runs_dir)

    monkeypatch.setattr(api, "start", start)
    return runs


def test_a_second_press_starts_nothing_until_the_first_is_over(runs_dir, started):
    session, config = Session(runs_dir, Limits()), resolve({})
    first, message = session.begin(HOST, config, "report")
    assert message.startswith("Started.")
    again, message = session.begin(HOST, config, "report")
    assert again.id == first.id and "already runs" in message and len(started) == 1
    started[0].finish()
    after, _ = session.begin(HOST, config, "report")
    assert after.id != first.id


def test_the_page_stays_with_what_was_asked_for_behind_another_run(runs_dir, started):
    other = GrowingRun(runs_dir, "from-the-command-line")
    run, message = Session(runs_dir, Limits()).begin(HOST, resolve({}), "report")
    assert run.id == started[0].id != other.id
    assert message == f"Queued behind {other.id}; it starts by itself. The page shows it."


def test_a_public_page_has_a_bounded_queue(runs_dir, started):
    session = Session(runs_dir, Limits(public=True, max_queue=3))
    for number in range(4):
        session.begin(Visitor((f"visitor-{number}",)), resolve({}), "report")
    with pytest.raises(ConfigError, match="4 studies are going on or waiting"):
        session.begin(Visitor(("visitor-4",)), resolve({}), "report")


def test_a_visitor_has_one_run_that_goes_on_and_one_that_waits(runs_dir, started):
    session, visitor = Session(runs_dir, Limits(public=True)), Visitor(("visitor",))
    for steps in (1, 2):
        run, _ = session.begin(visitor, resolve({"rewriter": {"steps": steps}}), "report")
        set_owner(run.folder, "visitor")
    with pytest.raises(ConfigError, match="one study may run and one may wait"):
        session.begin(visitor, resolve({}), "report")
    session.begin(Visitor(("another",)), resolve({}), "report")
    with pytest.raises(ConfigError, match="no cookie"):
        session.begin(NOBODY, resolve({}), "report")

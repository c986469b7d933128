"""Starting studies from the page: one press, two presses, and behind somebody else's run."""

import pytest
from helpers.synthetic import GrowingRun

from patchrl import api
from patchrl.config import resolve
from patchrl.errors import ConfigError
from patchrl.ui.session import Limits, Session


@pytest.fixture
def started(runs_dir, monkeypatch):
    """What was started; every start is a run that goes on until it is told to finish."""
    runs: list[GrowingRun] = []

    def start(config, runs_dir, upto, queue):
        assert queue
        runs.append(GrowingRun(runs_dir, f"run-{len(runs)}"))
        return api.open_run(runs[-1].id, runs_dir)

    monkeypatch.setattr(api, "start", start)
    return runs


def test_a_second_press_starts_nothing_until_the_first_is_over(runs_dir, started):
    session, config = Session(runs_dir, Limits()), resolve({})
    first, message = session.begin(config, "report")
    assert message.startswith("Started.")
    again, message = session.begin(config, "report")
    assert again.id == first.id and "already runs" in message and len(started) == 1
    started[0].finish()
    after, _ = session.begin(config, "report")
    assert after.id != first.id


def test_the_page_stays_with_what_was_asked_for_behind_another_run(runs_dir, started):
    other = GrowingRun(runs_dir, "from-the-command-line")
    run, message = Session(runs_dir, Limits()).begin(resolve({}), "report")
    assert run.id == started[0].id != other.id
    assert message == f"Queued behind {other.id}; it starts by itself. The page shows it."


def test_a_public_page_has_a_bounded_line(runs_dir, started):
    session = Session(runs_dir, Limits(public=True))
    for number in range(session.limits.max_queue + 1):
        session.begin(resolve({"rewriter": {"steps": number + 1}}), "report")
    with pytest.raises(ConfigError, match="4 studies are going on or waiting"):
        session.begin(resolve({}), "report")

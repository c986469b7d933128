"""Files of a run damaged by shape: the run is shown with what is readable, and other runs are unaffected."""

import contextlib
import json
import os
import shutil
import types
import warnings
from pathlib import Path

import pytest
from helpers.synthetic import finished_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patchrl import api
from patchrl.cli import main
from patchrl.errors import PatchRLError
from patchrl.jobs.owners import HOST
from patchrl.recordings import LAB, folders
from patchrl.runs.checkpoints import mark_whole, newest_checkpoint
from patchrl.runs.journal import Journal
from patchrl.ui import app
from patchrl.ui.reader import Reader
from patchrl.ui.session import Limits, Session

REQUEST = types.SimpleNamespace(query_params={}, session_hash="page", state=types.SimpleNamespace())
RUN_ID = "damaged-20260101-000000-aaaa"
CHECKPOINT = "adapter/seed-0/checkpoints/checkpoint-2"
JSON_FILES = (
    "status.json",
    "scan.json",
    "result.json",
    "config.json",
    "name.json",
    "samples/rl-seed0.summary.json",
    f"{CHECKPOINT}/whole.json",
)
LINE_FILES = (
    "events.jsonl",
    "samples/rl-seed0.jsonl",
    "samples/rl-seed0.surprisal.jsonl",
    "arms/base/predictions.jsonl",
    "arms/rl/seed-0/lr-0.0005/predictions.jsonl",
    "journals/rewrite-rl-0.jsonl",
)
FILES = (*JSON_FILES, *LINE_FILES, "embeddings/scan.npz", "embeddings/rl.npz", f"{CHECKPOINT}/weights")  # fmt: skip
WRONG = (None, True, -1, 0, 1e300, "", "x", [], {}, [None], {"a": None}, float("nan"), 10**30, [[1]], "\ud800")


class Place:
    """A folder with one run to damage and one that is whole, and the page over both."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run = folder, folder / RUN_ID
        self.whole = finished_run(folder, 5, "whole")
        self.restore()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.page = app.build(Session(str(folder), Limits()))
        self.update = next(fn for fn in self.page.fns.values() if fn.name == "update")

    def restore(self) -> None:
        shutil.rmtree(self.run, ignore_errors=True)
        skipped = shutil.ignore_patterns(
            "expert", "group.json", "recording.json", "result.csv", "*best-of-k*", "*prompted*"
        )
        shutil.copytree(folders()[LAB], self.run, ignore=skipped)
        self.run.joinpath("name.json").write_text('{"name": "Ana"}')
        recorder = types.SimpleNamespace(stop_requested=lambda: False)
        Journal(self.run / "journals" / "rewrite-rl-0.jsonl", recorder).keep("a row", lambda: {"text": "x"})
        (self.run / CHECKPOINT).mkdir(parents=True)
        (self.run / CHECKPOINT / "weights").write_bytes(b"weights")
        mark_whole(self.run / CHECKPOINT, {})
        for name in LINE_FILES:
            lines = (self.run / name).read_bytes().splitlines(keepends=True)
            (self.run / name).write_bytes(b"".join(lines[:6] + lines[-6:]))

    def shown(self, run_id: str) -> list:
        """What the page shows of a run."""
        values = [getattr(part, "value", None) for part in self.update.inputs]
        values[:2] = [run_id, {}]
        return self.update.fn(REQUEST, *values)

    def commands(self) -> None:
        for arguments in (
            ["show", RUN_ID],
            ["show", RUN_ID, "--json"],
            ["tail", RUN_ID],
            ["report", RUN_ID, "--csv"],
            ["diff", self.whole, RUN_ID],
        ):
            assert main.main([*arguments, "--runs-dir", str(self.folder)]) in (0, 1, 2)

    def look(self) -> None:
        """Look at both runs through command line, Python and page: nothing but a PatchRLError may be raised."""
        assert main.main(["list", "--runs-dir", str(self.folder)]) == 0
        self.commands()
        assert {self.whole, RUN_ID} == {run.id for run in api.summaries(self.folder)}
        assert {self.whole, RUN_ID} <= {run_id for _, run_id in Reader(self.folder).choices(HOST)}
        self.shown(RUN_ID)
        self.shown(self.whole)
        try:
            run = api.open_run(RUN_ID, self.folder)
        except PatchRLError:
            assert RUN_ID in [run.id for run in api.summaries(self.folder) if run.state == "damaged"]
            return
        for read in (
            run.status,
            run.scan,
            run.result,
            run.events,
            run.damage,
            run.embedding_map,
            run.writers,
            run.log_tail,
            lambda: newest_checkpoint(run.path / CHECKPOINT / ".."),
            lambda: Journal(run.path / "journals" / "rewrite-rl-0.jsonl", None),
        ):
            read()
        for read in (run.samples, run.surprisals, run.predictions, run.changes):
            with contextlib.suppress(PatchRLError):
                read("rl", 0)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("runs"))


def paths(value, path=()):
    """The path of every part of a JSON value, of lists the first and the last element's."""
    yield path
    keys = (
        value if isinstance(value, dict) else sorted({0, len(value) - 1}) if isinstance(value, list) and value else ()
    )
    for key in keys:
        yield from paths(value[key], (*path, key))


def damaged(text: str, draw) -> str:
    """A JSON text with one part left out or replaced."""
    value = json.loads(text)
    path = draw(st.sampled_from(sorted(paths(value), key=str)))
    if not path:
        return json.dumps(draw(st.sampled_from(WRONG)))
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    if draw(st.booleans()):
        del parent[path[-1]]
    else:
        parent[path[-1]] = draw(st.sampled_from(WRONG))
    return json.dumps(value)


@st.composite
def content(draw, name: str, before: bytes) -> bytes:
    """What a damaged file of a run holds."""
    kind = draw(st.sampled_from(("shape", "shape", "shape", "cut", "bytes")))
    if kind == "cut":
        return before[: draw(st.integers(0, len(before)))]
    if kind == "bytes" or name not in (*JSON_FILES, *LINE_FILES):
        return draw(
            st.sampled_from((b"", b"\0" * 64, b"[" * 5000, b"9" * 6000, b"\xff\xfe", b"null\n", b"{}\n", b"PK\x03\x04"))
        )
    if name in JSON_FILES:
        return damaged(before.decode(), draw).encode()
    lines = before.decode().splitlines()
    number = draw(st.integers(0, len(lines) - 1))
    lines[number] = damaged(lines[number], draw)
    return "\n".join(lines).encode() + b"\n"


def damage_and_look(place, data, capsys):
    place.restore()
    name = data.draw(st.sampled_from(FILES))
    path = place.run / name
    path.write_bytes(data.draw(content(name, path.read_bytes())))
    place.look()
    capsys.readouterr()


EXAMPLES = int(os.environ.get("PATCHRL_FUZZ", "15"))  # many are tried by hand: 600 take two minutes


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_damaged_file_takes_nothing_else_down(place, capsys, data):
    damage_and_look(place, data, capsys)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_place_of_a_file(place, capsys, name):
    place.restore()
    (place.run / name).unlink()
    (place.run / name).mkdir()
    place.look()


def test_damage_is_named_and_the_rest_is_shown(place, capsys):
    place.restore()
    result = json.loads((place.run / "result.json").read_text())
    (place.run / "result.json").write_text(json.dumps(result | {"version": 2}))
    assert main.main(["list", "--runs-dir", str(place.folder)]) == 0
    assert "result.json is damaged: a newer PatchRL wrote it (version 2)" in capsys.readouterr().out
    assert main.main(["show", RUN_ID, "--runs-dir", str(place.folder)]) == 0
    shown = capsys.readouterr().out
    assert "standard deviations apart" in shown and "newer PatchRL" in shown
    assert main.main(["report", RUN_ID, "--csv", "--runs-dir", str(place.folder)]) == 2
    del result["base"]["target"]
    (place.run / "result.json").write_text(json.dumps(result))
    assert api.open_run(RUN_ID, place.folder).damage() == ["result.json is damaged: base.target is missing"]


DAMAGE = {
    "events.jsonl": (b"{}\n", "line 1: it is not an event"),
    "samples/rl-seed0.jsonl": (b"{}\n[]\n", "line 1: id is missing and 1 more lines"),
    "samples/rl-seed0.surprisal.jsonl": (b"", "it is empty"),
    "arms/rl/seed-0/lr-0.0005/predictions.jsonl": (b"[]\n", "line 1: it is not an object"),
    "journals/rewrite-rl-0.jsonl": (b"{\n", "line 1: it is not JSON"),
    "embeddings/rl.npz": (b"PK", "it is not an archive of embeddings"),
    "samples/rl-seed0.summary.json": (b"{}", "accepted is missing"),
    "status.json": (b"", "it is not JSON"),
}


def test_every_kind_of_file_is_named_with_what_is_wrong_and_a_whole_run_has_none(place):
    place.restore()
    run = api.open_run(RUN_ID, place.folder)
    assert run.damage() == [] and api.open_run(api.RECORDED_ID).damage() == []
    for name, (data, problem) in DAMAGE.items():
        before = (run.path / name).read_bytes()
        (run.path / name).write_bytes(data)
        assert run.damage() == [f"{name} is damaged: {problem}"]
        (run.path / name).unlink()
        (run.path / name).mkdir()
        assert run.damage() == [f"{name} is damaged: it is a folder"]
        (run.path / name).rmdir()
        (run.path / name).write_bytes(before)
    (run.path / CHECKPOINT / "weights").write_bytes(b"cut")
    assert run.damage() == [f"{CHECKPOINT} is damaged: its files are not those that whole.json names"]


def test_events_are_checked_on_from_where_the_last_look_ended(place):
    place.restore()
    run = api.open_run(RUN_ID, place.folder)
    assert run.damage() == []
    with run.folder.events.open("ab") as file:
        file.write(b'{"t": 1, "kind"')
        file.flush()
        assert run.damage() == []  # it is being written
        file.write(b": 3}\n")
    assert run.damage() == ["events.jsonl is damaged: line 13: it is not an event"]


def test_a_piece_of_a_journal_that_was_cut_is_made_again(tmp_path):
    recorder = types.SimpleNamespace(stop_requested=lambda: False)
    path = tmp_path / "journal.jsonl"
    Journal(path, recorder).keep("a", lambda: "before")
    path.write_bytes(path.read_bytes().replace(b'"before"}', b'"bef'))
    assert Journal(path, recorder).keep("a", lambda: "again") == "again"
    path.write_bytes(path.read_bytes().replace(b'"again"}', b'"aga??'))
    assert Journal(path, recorder).keep("a", lambda: "once more") == "once more"
    assert Journal(path, recorder).keep("a", lambda: "not made") == "once more"


def test_a_run_without_readable_settings_is_listed_as_damaged(place, capsys):
    place.restore()
    (place.run / "config.json").write_text("{")
    assert main.main(["list", "--runs-dir", str(place.folder)]) == 0
    assert f"{RUN_ID}" in (shown := capsys.readouterr().out) and "damaged: Config file" in shown

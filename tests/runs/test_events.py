"""Events of runs that earlier versions wrote."""

import json

import pytest

from patchrl.runs.events import append_event, end_torn_line, parse_event, read_events
from patchrl.runs.timeline import Timeline

FORMER = {"step": 1, "signs": {"copied": 0.5}, "largest": 4.0, "total": 20.0, "own_share": 0.25, "nll": 0.5}
PRESENT = {
    "step": 1,
    "monitor_shares": {"copied": 0.5},
    "max_token_nll": 4.0,
    "text_nll": 20.0,
    "own_style_share": 0.25,
    "nll": 0.5,
}


@pytest.mark.parametrize("read", [read_events, lambda path: Timeline(path).update()])
def test_training_steps_of_earlier_versions_are_read_by_the_present_names(tmp_path, read):
    path = tmp_path / "events.jsonl"
    append_event(path, "train", {"seed": 0, "step": 1, **FORMER})
    append_event(path, "train", {"seed": 1, "step": 1, **PRESENT})
    append_event(path, "loss", {"seed": 2, "total": 3})  # of another kind of event
    former, present, other = sorted(read(path), key=lambda event: event["seed"])
    for seed, event in enumerate((former, present)):
        del event["t"]
        assert event == {"kind": "train", "seed": seed, **PRESENT}
    assert other["total"] == 3


@pytest.mark.parametrize("read", [read_events, lambda path: Timeline(path).update()])
def test_a_step_that_was_repeated_after_a_death_counts_once(tmp_path, read):
    path = tmp_path / "events.jsonl"
    for seed, step, reward in [
        (0, 1, 0.1),
        (1, 1, 0.5),
        (0, 2, 0.2),
        (0, 3, 0.3),
        (0, 2, 0.4),
        (0, 3, 0.6),
        (0, 4, 0.7),
    ]:
        append_event(path, "train", {"seed": seed, "step": step, "reward": reward})
    curve = [(event["step"], event["reward"]) for event in read(path) if event["seed"] == 0]
    assert curve == [(1, 0.1), (2, 0.4), (3, 0.6), (4, 0.7)] and len(read(path)) == 5


@pytest.mark.parametrize("line", [b"{", b"[1]", b'{"t": 1}', b"\xff"])
def test_a_damaged_line_is_no_event(line):
    assert parse_event(line) is None


def test_a_torn_last_line_does_not_swallow_the_next_event(tmp_path):
    path = tmp_path / "events.jsonl"
    end_torn_line(path)
    append_event(path, "message", {"level": "info", "text": "first"})
    path.write_bytes(path.read_bytes() + b'{"t": 1.0, "ki')
    for _ in range(2):
        end_torn_line(path)
    append_event(path, "message", {"level": "info", "text": "second"})
    assert [event["text"] for event in read_events(path)] == ["first", "second"]
    assert path.read_bytes().count(b"\n") == 3


def test_an_event_is_one_line(tmp_path):
    append_event(tmp_path / "events.jsonl", "message", {"text": "two\nlines"})
    (line,) = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["text"] == "two\nlines"

import json
import tracemalloc

import pytest
from helpers.synthetic import GrowingRun, long_events

from patchrl.runs.events import append_event, read_events
from patchrl.runs.timeline import MAX_EVENTS, Timeline


def steps(events):
    return [e["step"] for e in events if e["kind"] == "train"]


def test_a_short_run_is_kept_whole(runs_dir):
    run = GrowingRun(runs_dir)
    run.grow(20)
    kept = Timeline(run.folder.events).update()
    assert sorted(map(json.dumps, kept)) == sorted(map(json.dumps, read_events(run.folder.events)))


def test_new_events_are_added_and_nothing_new_returns_the_same_list(runs_dir):
    run = GrowingRun(runs_dir, seeds=(0,))
    timeline = Timeline(run.folder.events)
    run.grow(3)
    first = timeline.update()
    assert timeline.update() is first
    run.grow()
    assert steps(timeline.update()) == [1, 2, 3, 4]


def test_a_long_run_is_thinned_within_bounded_memory(tmp_path):
    path = tmp_path / "events.jsonl"
    long_events(path, 20_000)
    timeline = Timeline(path)
    tracemalloc.start()
    kept = timeline.update()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 30e6
    assert peak < 20e6
    shown = steps(kept)
    assert MAX_EVENTS <= len(shown) <= 2 * MAX_EVENTS + 1
    assert (shown[0], shown[-1]) == (1, 20_000)
    assert [e["step"] for e in kept if e["kind"] == "group"] == [20_000]


def test_steps_repeated_after_a_resume_replace_the_lost_ones(tmp_path):
    path = tmp_path / "events.jsonl"
    for step in [1, 2, 3, 4, 3, 4, 5]:
        append_event(path, "train", {"seed": 0, "step": step})
    assert steps(Timeline(path).update()) == [1, 2, 3, 4, 5]


def test_curves_of_two_rewriters_and_of_two_rates_are_kept_apart(tmp_path):
    path = tmp_path / "events.jsonl"
    for step in (1, 2):
        append_event(path, "train", {"seed": 0, "step": step})
    for step in (1, 2):
        append_event(path, "train", {"rewriter": "rl-no-alignment", "seed": 0, "step": step})
    for rate in (1e-3, 3e-5):
        append_event(path, "finetune", {"seed": 0, "arm": "rl+lora", "rate": rate, "step": 4, "loss": 1.0})
    kept = Timeline(path).update()
    assert [e.get("rewriter", "rl") for e in kept] == ["rl"] * 2 + ["rl-no-alignment"] * 2 + ["rl"] * 2
    assert [e["rate"] for e in kept[4:]] == [1e-3, 3e-5]


def test_a_half_written_line_waits_and_a_damaged_one_is_skipped(tmp_path):
    path = tmp_path / "events.jsonl"
    append_event(path, "train", {"seed": 0, "step": 1})
    with path.open("ab") as file:
        file.write(b"no event\n" + b'{"t": 9e9, "kind": "tr')
    timeline = Timeline(path)
    assert steps(timeline.update()) == [1]
    with path.open("ab") as file:
        file.write(b'ain", "seed": 0, "step": 2}\n')
    assert steps(timeline.update()) == [1, 2]


def test_a_file_that_was_replaced_is_read_from_its_start(tmp_path):
    path = tmp_path / "events.jsonl"
    for step in range(1, 6):
        append_event(path, "train", {"seed": 0, "step": step})
    timeline = Timeline(path)
    timeline.update()
    path.unlink()
    append_event(path, "train", {"seed": 0, "step": 9})
    assert steps(timeline.update()) == [9]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("stage", {"stage": "scan", "state": "start"}),
        ("scan", {"expert_nll": [], "own_nll": []}),
        ("evaluation", {"target": 0.5, "general": None}),
        ("rewrite", {}),
    ],
)
def test_events_without_steps_are_all_kept(tmp_path, kind, fields):
    path = tmp_path / "events.jsonl"
    for number in range(5):
        append_event(path, kind, {"seed": number, "arm": "rl", "value": number, **fields})
    assert [e["value"] for e in Timeline(path).update()] == list(range(5))


def test_lines_as_the_recorder_writes_them_are_recognised(runs_dir):
    run = GrowingRun(runs_dir)
    run.recorder.event("message", level="warning", text="ℓ rose")
    kinds = [json.loads(line)["kind"] for line in run.folder.events.read_text(encoding="utf-8").splitlines()]
    assert [e["kind"] for e in Timeline(run.folder.events).update()] == kinds

"""A training that was stopped and resumed ends with the weights of one that never was; a torn checkpoint does not count."""

from pathlib import Path

import pytest
from helpers.answering import Recorder
from helpers.contexts import context_of
from safetensors.torch import load_file

from patchrl.config import apply_overrides, resolve
from patchrl.errors import StopRequested
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.nano import world
from patchrl.runs.checkpoints import MARK_FILE, mark_whole, newest_checkpoint, resumable_checkpoint
from patchrl.training.train_rewriter import train_rewriter

# Two steps are one pass over the eight examples, so that a resumed run goes on in its second or third order of them.
SIZES = [
    "rewriter.warm_start_steps=2",
    "rewriter.steps=6",
    "rewriter.prompts_per_step=4",
    "rewriter.group_size=4",
    "rewriter.max_new_tokens=72",
]


def train_until_done(home: Path, stop_after: list[int], overrides: list[str]) -> tuple[int, list[Recorder]]:
    """Train in as many sessions as it takes, each stopped after so many events; returns the tokens and the recorders."""
    config, recorders = resolve(apply_overrides({}, [*SIZES, *overrides])), []
    for count in [*stop_after, None]:
        recorders.append(Recorder(stop_after=count))
        with Gate(config, Backbone.load(config.backbone)) as gate:
            context = context_of(config, gate, home, recorders[-1])
            try:
                return train_rewriter(context, world.downstream_examples("foreign", 8), 0, home), recorders
            except StopRequested:
                assert count is not None
    raise AssertionError("the last session is not stopped")


def rewards(recorders: list[Recorder]) -> list[tuple[int, float]]:
    """Step and mean reward of every training event."""
    return [(e["step"], e["reward"]) for recorder in recorders for e in recorder.events if e["kind"] == "train"]


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [[], ["rewriter.updates_per_rollout=2"]])
def test_a_stopped_rewriter_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, overrides):
    tokens, whole = train_until_done(tmp_path / "whole", [], overrides)
    tokens_in_parts, parts = train_until_done(tmp_path / "parts", [3, 3, 1], overrides)
    whole_weights, weights = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "parts"))
    assert whole_weights.keys() == weights.keys()
    assert all(weights[name].equal(whole_weights[name]) for name in weights)
    assert tokens_in_parts == tokens
    assert rewards(parts) == rewards(whole) and len({reward for _, reward in rewards(whole)}) > 1


def checkpoint(folder: Path, step: int, marked: bool = True) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "weights").write_bytes(b"x" * step)
    if marked:
        mark_whole(path, {"tokens": step})
    return path


def test_a_checkpoint_without_its_mark_or_with_a_shorter_file_does_not_count(tmp_path):
    for step in (9, 20):
        checkpoint(tmp_path, step)
    (checkpoint(tmp_path, 30) / "weights").write_bytes(b"x" * 29)
    checkpoint(tmp_path, 100, marked=False)
    assert newest_checkpoint(tmp_path).step == 20
    recorder = Recorder()
    assert resumable_checkpoint(tmp_path, recorder).progress == {"tokens": 20}
    assert [event["text"].partition(" was")[0] for event in recorder.events] == [
        "The checkpoint of step 100",
        "The checkpoint of step 30",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-20", "checkpoint-9"]


def test_an_old_checkpoint_that_was_half_deleted_needs_no_word(tmp_path):
    checkpoint(tmp_path, 20)
    (checkpoint(tmp_path, 10) / "weights").unlink()
    recorder = Recorder()
    assert resumable_checkpoint(tmp_path, recorder).step == 20 and not recorder.events


def test_without_a_whole_checkpoint_training_starts_anew(tmp_path):
    (checkpoint(tmp_path, 10) / MARK_FILE).write_text("{")
    recorder = Recorder()
    assert resumable_checkpoint(tmp_path, recorder) is None and "from its start" in recorder.events[0]["text"]
    assert resumable_checkpoint(tmp_path / "absent", recorder) is None

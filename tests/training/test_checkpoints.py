"""A training that was stopped and resumed ends with the weights of one that never was; a torn checkpoint does not count."""

import itertools
import math
from pathlib import Path

import pytest
from helpers import tiny
from helpers.answering import Recorder
from helpers.contexts import SilentRecorder, context_of
from helpers.on_policy_runs import EXAMPLES, FIXED, train_on_policy
from safetensors.torch import load_file

from patchrl.config import FinetuneSection, apply_overrides, resolve
from patchrl.errors import StopRequested, TrainingError
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.nano import world
from patchrl.runs.checkpoints import MARK_FILE, TRAINER, mark_whole, newest_checkpoint, resumable_checkpoint
from patchrl.training import checkpoints
from patchrl.training.callbacks import FinetuneCallback
from patchrl.training.supervised import supervised
from patchrl.training.train_rewriter import _RewriterCallback, train_rewriter

# Two steps are one pass over the eight examples, so that a resumed run goes on in its second order of them.
SIZES = [
    "rewriter.warm_start_steps=2",
    "rewriter.steps=4",
    "rewriter.prompts_per_step=4",
    "rewriter.group_size=2",
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


class StopAtSecondLook(SilentRecorder):
    """Asks to stop at the second look, or at another."""

    def __init__(self, looks: int = 2) -> None:
        self.looks = looks

    def stop_requested(self) -> bool:
        self.looks -= 1
        return self.looks <= 0


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


@pytest.mark.slow
def test_a_stop_inside_a_long_step_loses_that_step_alone(tmp_path, monkeypatch):
    """Each step takes longer than a stop may wait: it ends while rollouts are sampled, after the checkpoint of the step before."""
    monkeypatch.setattr(checkpoints, "STOP_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)
    recorder, config = Recorder(), resolve(apply_overrides({}, [*SIZES, "rewriter.warm_start_steps=0"]))
    monkeypatch.setattr(_RewriterCallback, "on_step_end", lambda self, args, state, control, **_: None)
    recorder.stop_requested = lambda: any(event["kind"] == "train" for event in recorder.events)
    with Gate(config, Backbone.load(config.backbone)) as gate, pytest.raises(StopRequested, match="inside a long step"):
        train_rewriter(
            context_of(config, gate, tmp_path, recorder), world.downstream_examples("foreign", 8), 0, tmp_path
        )
    assert newest_checkpoint(tmp_path / "checkpoints").step == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["expert", "expert+eaft+lora=4", "grpo", "sft-then-rl=0.5", "dypo", "sdft"])
def test_a_stopped_fine_tune_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, name):
    with FIXED:
        whole, _, cost = train_on_policy(name, tmp_path / "whole", steps=8)
        for _ in range(8):
            try:
                parts, _, cost_of_parts = train_on_policy(
                    name, tmp_path / "parts", steps=8, recorder=StopAtSecondLook()
                )
                break
            except StopRequested:
                continue
    assert (tmp_path / "parts" / TRAINER).is_dir()
    weights = parts.model.state_dict()
    assert all(weights[key].equal(value) for key, value in whole.model.state_dict().items())
    assert cost_of_parts.tokens == cost.tokens


@pytest.mark.slow
def test_a_resumed_epoch_keeps_the_pairs_that_were_sampled_for_it(tmp_path):
    def fine_tune(folder: Path, recorder) -> tuple[Backbone, list[int]]:
        words, epochs = tiny.tokenizer(), []
        backbone = Backbone(tiny.model("qwen2", len(words)), words)

        def resample(epoch: int) -> list[tuple[str, str]]:
            """Pairs that depend on the weights."""
            epochs.append(epoch)
            return [(q, f"{t} {backbone.score([q], [t])[0].nll:.9f}") for q, t in pairs]

        pairs = [(e.question, e.solution) for e in EXAMPLES]
        callback = FinetuneCallback(recorder, {}, 6)
        section = FinetuneSection(batch_size=2, epochs=3, max_length=64)
        supervised(section, backbone, pairs, 6, 0, folder, callback, rate=1e-2, resample=resample)
        return backbone, epochs

    whole, epochs = fine_tune(tmp_path / "whole", SilentRecorder())
    assert epochs == [1, 2]
    resampled = []
    for _ in range(6):
        parts, epochs = fine_tune(tmp_path / "parts", StopAtSecondLook(looks=1))
        resampled += epochs
    assert resampled == [1, 2]
    weights = parts.model.state_dict()
    assert all(weights[key].equal(value) for key, value in whole.model.state_dict().items())


def test_a_step_whose_gradient_is_no_number_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "MAX_SAVING_SHARE", 1e9)
    words, steps = tiny.tokenizer(), itertools.count(1)
    backbone = Backbone(tiny.model("qwen2", len(words)), words)
    weight = backbone.model.get_input_embeddings().weight
    weight.register_hook(lambda gradient: gradient * math.nan if next(steps) == 3 else gradient)
    pairs = [(e.question, e.solution) for e in EXAMPLES]
    callback = FinetuneCallback(SilentRecorder(), {"seed": 0, "arm": "expert"}, 6)
    section = FinetuneSection(batch_size=2, epochs=3, max_length=64)
    with pytest.raises(TrainingError, match="seed 0, arm expert: the gradient of step 3 is not finite"):
        supervised(section, backbone, pairs, 6, 0, tmp_path, callback, rate=1e-2)
    assert newest_checkpoint(tmp_path).step == 2
    assert all(values.isfinite().all() for values in backbone.model.parameters())


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

"""The chat with fine-tuned models: which can be asked, and what the playground's process answers."""

import pytest

from patchrl.config import resolve
from patchrl.playground.client import Playground
from patchrl.playground.requests import chat_models, chat_problem, play_settings
from patchrl.recordings import HOME, LAB
from patchrl.runs.folder import RunFolder
from patchrl.types import ChatModel

QUESTION = "What is 2 + 3?"


def tuned_run(tmp_path, **finetune):
    """A run whose plain SFT is done for its first seed."""
    config = resolve({"study": {"seeds": [3, 4]}, "finetune": finetune})
    folder = RunFolder.create(tmp_path, config)
    home = folder.arm("expert", 3)
    (home / "weights").mkdir(parents=True)
    folder.write_json(home / "finetuned.json", {})
    return folder, config


def test_models_can_be_asked_whose_weights_are_kept(tmp_path):
    folder, config = tuned_run(tmp_path)
    backbone, expert = chat_models(folder, config)
    assert backbone.weights is None and expert.name == "Expert (plain SFT), seed 3" and expert.arm == "expert"
    assert chat_problem(folder, config) == ""
    (folder.arm("expert", 3) / "finetuned.json").unlink()  # its weights may be half written
    assert len(chat_models(folder, config)) == 1 and "as soon as the first" in chat_problem(folder, config)


def test_a_run_without_weights_says_how_to_keep_them(tmp_path):
    assert "finetune.keep_weights = true" in chat_problem(*tuned_run(tmp_path, keep_weights=False))
    assert "recording" in chat_problem(RunFolder(HOME / LAB), resolve({}))


@pytest.mark.slow
def test_the_backbone_and_a_fine_tuned_model_answer_the_same_question(tmp_path):
    from patchrl.models.backbone import Backbone

    config = play_settings(resolve({}))
    tuned = Backbone.load(config.backbone)
    for weights in tuned.model.parameters():
        weights.data = weights.data.roll(1, 0)
    tuned.model.save_pretrained(tmp_path / "weights")
    tuned.tokenizer.save_pretrained(tmp_path / "weights")
    models = [ChatModel("backbone", "Backbone"), ChatModel("tuned", "Tuned", "expert", str(tmp_path / "weights"))]
    playground = Playground()
    try:
        events = list(playground.chat(config, QUESTION, [*models, models[0]], max_new_tokens=16))
        first, other, again = [event["text"] for event in events if event["kind"] == "answer"]
        assert first == again != other
        assert events[-1]["kind"] == "done" and {"loading"} <= {event["kind"] for event in events}
        gone = ChatModel("gone", "Gone", "expert", str(tmp_path / "none"))
        (error,) = [e for e in playground.chat(config, QUESTION, [gone]) if e["kind"] == "error"]
        assert error["text"].startswith("Gone: its weights are gone")
        (error,) = [e for e in playground.chat(config, "Why? " * 700, models[:1]) if e["kind"] == "error"]
        assert "no room for an answer" in error["text"]
    finally:
        playground.close()

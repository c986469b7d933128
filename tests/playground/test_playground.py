"""The playground's process as a page and a terminal use it, on the real nano backbone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict

import psutil
import pytest

from patchrl import group_rewards
from patchrl.config import resolve
from patchrl.errors import ConfigError, RunError
from patchrl.playground.client import Playground
from patchrl.playground.requests import Caps, lab_example, play_settings, prompted, typed_example, writers_of
from patchrl.runs.checkpoints import mark_whole
from patchrl.runs.folder import RunFolder
from patchrl.types import Writer

pytestmark = pytest.mark.slow

SETTINGS = play_settings(resolve({}), group_size=4)
LONG = play_settings(
    resolve({}), group_size=32, max_new_tokens=400, temperature=4.0
)  # gibberish does not end by itself
EXAMPLE = lab_example(0)


def until(fact: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def first(answer, kind: str) -> dict:
    """The first event of a kind; the rest stays to be read."""
    return next(event for event in answer if event["kind"] == kind)


@pytest.fixture(scope="module")
def playground():
    playing = Playground(waiting=1)
    yield playing
    playing.close()


def test_an_answer_holds_the_expert_and_a_scored_group_for_each_writer(playground):
    writers = [prompted(), Writer("again", "The same again")]
    events = list(playground.rewrite(SETTINGS, EXAMPLE, writers, seed=3))
    kinds = [event["kind"] for event in events if event["kind"] not in ("loading", "writing", "waiting")]
    assert kinds == ["ready", "expert", "group", "group", "done"]
    one, two = [event for event in events if event["kind"] == "group"]
    assert (one["writer"], two["writer"]) == ("backbone", "again")
    assert one["candidates"] == two["candidates"]  # the seed fixes the sampling
    expert = next(event for event in events if event["kind"] == "expert")
    assert expert["passed"] is True and expert["nll"] > 1.0  # the foreign expert surprises the nano backbone
    assert len(one["candidates"]) == 4
    for candidate in one["candidates"]:
        assert {"text", "passed", "reason", "nll", "tokens", "reward", "alignment", "diversity"} <= candidate.keys()
        assert candidate["reward"] == 0 or candidate["passed"]


def test_texts_a_person_wrote_get_the_real_group_rewards(playground):
    texts = ["11 + 13 = 24, then 24 - 10 = 14. The answer is 14.", EXAMPLE.solution, "The answer is 15.", ""]
    group = first(playground.score(SETTINGS, EXAMPLE, texts), "group")
    members = group["candidates"]
    assert [c["passed"] for c in members] == [True, True, False, False]
    figures = [float("nan") if c["misalignment"] is None else c["misalignment"] for c in members]
    expected = asdict(group_rewards([c["passed"] for c in members], figures, group["embeddings"]))
    for name, values in expected.items():
        assert [c[name] for c in members] == pytest.approx(values, abs=1e-4)
    assert members[0]["nll"] < members[1]["nll"] and members[0]["misalignment"] < members[1]["misalignment"]


def test_a_typed_text_that_the_backbone_would_not_write_is_less_aligned(playground):
    """Under `kl` it was more aligned: the prompted backbone would not write it either."""
    own = "11 + 13 = 24, then 24 - 10 = 14. The answer is 14."
    group = first(playground.score(SETTINGS, EXAMPLE, [own, f"Most assuredly and verily, {own}"]), "group")
    one, other = (candidate["alignment"] for candidate in group["candidates"])
    assert SETTINGS.reward.alignment == "kl" and one > other


def test_an_adapter_writes_and_the_frozen_backbone_scores(playground, tmp_path):
    from peft import LoraConfig, get_peft_model

    from patchrl.models.backbone import Backbone

    model = Backbone.load(SETTINGS.backbone).model
    lora = LoraConfig(r=4, lora_alpha=64, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    get_peft_model(model, lora).save_pretrained(tmp_path / "adapter" / "seed-0")
    writers = [prompted(), Writer("seed-0", "Random", str(tmp_path / "adapter" / "seed-0")), prompted()]
    events = list(playground.rewrite(SETTINGS, EXAMPLE, writers))
    before, adapted, after = [[c["text"] for c in e["candidates"]] for e in events if e["kind"] == "group"]
    assert before == after != adapted
    plain = first(playground.rewrite(SETTINGS, EXAMPLE, [prompted()]), "expert")
    assert next(e for e in events if e["kind"] == "expert")["nll"] == plain["nll"]


def test_an_adapter_that_is_gone_is_one_sentence(playground, tmp_path):
    error = first(playground.rewrite(SETTINGS, EXAMPLE, [Writer("seed-0", "Gone", str(tmp_path))]), "error")
    assert "adapter could not be loaded" in error["text"] and "Traceback" not in error["text"]


def test_a_cancelled_request_stops_midway_and_the_process_stays_warm(playground):
    list(playground.warm(SETTINGS))
    process = playground._process.pid
    answer = playground.rewrite(LONG, EXAMPLE, [prompted()])
    first(answer, "writing")
    answer.cancel()
    assert [event["kind"] for event in answer][-1] == "cancelled"
    assert list(playground.rewrite(SETTINGS, EXAMPLE, [prompted()]))[-1]["kind"] == "done"
    assert playground._process.pid == process


def test_the_queue_is_bounded_and_says_how_long_it_is(playground):
    running = playground.rewrite(LONG, EXAMPLE, [prompted()])
    first(running, "ready")
    waiting = playground.rewrite(SETTINGS, EXAMPLE, [prompted()])
    assert waiting.take(5.0)[0] == {"kind": "waiting", "ahead": 1}
    with pytest.raises(RunError, match="busy: 2 requests are in line"):
        playground.rewrite(SETTINGS, EXAMPLE, [prompted()])
    waiting.cancel()
    another = playground.rewrite(SETTINGS, EXAMPLE, [prompted()])  # a cancelled one gives its place away
    running.cancel()
    assert list(another)[-1]["kind"] == "done"


def test_who_comes_while_the_backbone_loads_is_told_that_it_loads(playground):
    playground.warm(SETTINGS)
    answer = playground.rewrite(SETTINGS, EXAMPLE, [prompted()])
    events = list(answer)
    assert {"kind": "loading", "model": "nano"} in events or events[0]["kind"] == "ready"
    assert "waiting" not in [event["kind"] for event in events] and events[-1]["kind"] == "done"


def test_a_killed_process_is_one_sentence_and_the_next_question_starts_another(playground):
    answer = playground.rewrite(LONG, EXAMPLE, [prompted()])
    first(answer, "writing")
    os.kill(playground._process.pid, signal.SIGKILL)
    error = first(answer, "error")
    assert "exit code -9" in error["text"] and "memory" in error["text"] and "\n" not in error["text"]
    assert list(playground.score(SETTINGS, EXAMPLE, ["The answer is 14."]))[-1]["kind"] == "done"


def test_a_backbone_that_cannot_be_loaded_is_one_sentence(playground, tmp_path):
    broken = resolve({"backbone": {"model": str(tmp_path)}})
    error = first(playground.warm(play_settings(broken)), "error")
    assert error["text"].startswith("backbone.model:")
    assert list(playground.warm(SETTINGS))[-1]["kind"] == "done"


def test_texts_beyond_the_context_are_refused_with_the_numbers(playground):
    long = typed_example("Why? " * 700, EXAMPLE.solution)
    error = first(playground.rewrite(SETTINGS, long, [prompted()]), "error")
    assert "this backbone holds 1,024" in error["text"]


def test_a_process_ends_at_a_deadline_or_idle_and_starts_again_when_asked():
    playground = Playground(deadline=0.3, idle_seconds=0.2)
    try:
        error = first(playground.rewrite(LONG, EXAMPLE, [prompted()]), "error")
        assert "took longer" in error["text"]
        playground.deadline = 60.0
        assert list(playground.warm(SETTINGS))[-1]["kind"] == "done"
        process = playground._process
        until(lambda: process.poll() is not None)
        assert process.poll() == 0 and not playground.warmed
        assert list(playground.score(SETTINGS, EXAMPLE, ["The answer is 14."]))[-1]["kind"] == "done"
    finally:
        playground.close()


def test_the_process_does_not_outlive_whoever_asked():
    code = (
        "from patchrl.config import resolve; from patchrl.playground.client import Playground; import time\n"
        "playground = Playground(); list(playground.warm(resolve({})))\n"
        "print(playground._process.pid, flush=True); time.sleep(120)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        (("", "4"), "Question"),
        (("2 + 2?", "  "), "Solution"),
        (("x" * 101, "4"), "Question: 101 characters; at most 100"),
        (("2 + 2?", "x" * 201), "Solution: 201 characters; at most 200"),
        (("2 + 2?", "4", "", "poetry"), "Task: 'poetry'"),
    ],
)
def test_what_is_typed_is_checked_before_anything_starts(typed, named):
    with pytest.raises(ConfigError, match=named):
        typed_example(*typed, caps=Caps(question=100, solution=200))


def test_an_empty_reference_is_read_out_of_the_solution():
    assert typed_example("2 + 2?", "2 + 2 = 4. The answer is 4.").reference == "4"
    assert typed_example("Why?", "Because.", task="open").reference is None


@pytest.mark.parametrize(
    "settings",
    [{"group_size": 9}, {"group_size": 1}, {"max_new_tokens": 129}, {"temperature": 5.0}, {"instruction": "x" * 501}],
)
def test_settings_beyond_the_caps_or_bounds_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        play_settings(resolve({}), caps=Caps(group=8, new_tokens=128), **settings)


def test_the_newest_whole_checkpoint_of_each_seed_can_write(tmp_path):
    config = resolve({"study": {"seeds": [0, 1, 2]}})
    folder = RunFolder.create(tmp_path, config, "half")
    for step, whole in ((10, True), (20, True), (30, False)):
        checkpoint = folder.adapter(1) / "checkpoints" / f"checkpoint-{step}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "adapter.safetensors").write_bytes(b"weights")
        if whole:
            mark_whole(checkpoint, {})
    folder.write_json(folder.adapter(0) / "done.json", {})
    members = writers_of(folder, config)
    assert [w.key for w in members] == ["backbone", "seed-0", "seed-1"]
    assert members[1].adapter == str(folder.adapter(0).resolve())
    assert members[2].adapter.endswith("checkpoint-20") and "step 20" in members[2].name

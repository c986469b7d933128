"""The playground's page without a browser: limits, and what becomes of an answer nobody reads."""

import gradio as gr
import pytest

from patchrl import api
from patchrl.config import resolve
from patchrl.errors import ConfigError
from patchrl.jobs.owners import HOST
from patchrl.runs.folder import RunFolder
from patchrl.ui import playground
from patchrl.ui.answers import AnswerCards
from patchrl.ui.session import Limits, Session

PAGE = (HOST, "a page")
TYPED = {
    "question": "2 + 2?",
    "solution": "2 + 2 = 4.",
    "reference": "",
    "task": "math",
    "instruction": "polish",
    "k": 32,
    "temperature": 1.0,
    "length": 1024,
    "seed": 0,
    "writers": ["backbone"],
}


@pytest.fixture
def requests(monkeypatch):
    """What reaches the process, which is not started."""
    seen = []

    def keep(self, request, config, thresholds):
        seen.append((request, config))
        return api.Answer(len(seen), request)

    monkeypatch.setattr(api.Playground, "_enqueue", keep)
    return seen


def bench(tmp_path, public: bool) -> playground.Requests:
    return playground.Requests(Session(str(tmp_path), Limits(public=public)))


def test_a_public_page_clamps_group_and_length(tmp_path, requests):
    bench(tmp_path, public=True).ask(PAGE, None, TYPED)
    (_, config), limits = requests[0], Limits(public=True)
    assert config.rewriter.group_size == limits.max_group
    assert config.rewriter.max_new_tokens == limits.max_new_tokens
    bench(tmp_path, public=False).ask(PAGE, None, TYPED)
    assert requests[1][1].rewriter.group_size == 32


def test_a_public_page_plays_with_the_nano_lab_only(tmp_path, requests):
    run = RunFolder.create(tmp_path, resolve({"backbone": {"model": "org/other"}}), "other")
    with pytest.raises(ConfigError, match="nano lab only"):
        bench(tmp_path, public=True).ask(PAGE, run.id, TYPED)
    assert requests == []


def test_long_texts_are_refused_on_the_server(tmp_path, requests):
    with pytest.raises(ConfigError, match="Question: 1,001 characters"):
        bench(tmp_path, public=True).ask(PAGE, None, TYPED | {"question": "x" * 1001})


def test_only_writers_of_the_run_write(tmp_path, requests):
    with pytest.raises(ConfigError, match="choose at least one writer"):
        bench(tmp_path, public=False).ask(PAGE, None, TYPED | {"writers": ["../../etc"]})


def test_a_second_question_of_a_visitor_drops_the_first(tmp_path, requests):
    mine = bench(tmp_path, public=False)
    first, _ = mine.ask(PAGE, None, TYPED)
    other, _ = mine.ask("somebody else", None, TYPED)
    mine.ask(PAGE, None, TYPED)
    assert first.cancelled and not other.cancelled


def test_a_closed_page_cancels_its_answer(tmp_path, requests):
    session = Session(str(tmp_path), Limits())
    with gr.Blocks() as demo:
        session.run = gr.Dropdown([])
        playground.build(session)
    handler = next(fn.fn for fn in demo.fns.values() if fn.fn is not None and fn.fn.__name__ == "play")
    request = gr.Request(session_hash="visitor")
    answers = []
    ask = session.playground.rewrite
    session.playground.rewrite = lambda *a, **k: answers.append(ask(*a, **k)) or answers[-1]
    generator = handler(request, None, *(TYPED[name] for name in playground.INPUT_NAMES))
    next(generator)
    generator.close()  # what Gradio does when a page goes away
    assert answers[0].cancelled


def test_model_text_is_escaped():
    view = AnswerCards({"backbone": "Backbone <b>"})
    row = {
        "text": "<img src=x>",
        "passed": True,
        "reason": "<em>",
        "nll": 1.0,
        "tokens": [["<u>x", 1.0, [["<s>", 0.5]]]],
    }
    view.add({"kind": "expert", **row})
    parts = dict.fromkeys(("reward", "consistency", "alignment", "diversity"), 1.0)
    view.add({"kind": "group", "writer": "backbone", "candidates": [row | parts]})
    for tag in ("<img", "<em>", "<u>x", "<s>", "Backbone <b>"):
        assert tag not in view.body()
    view.add({"kind": "error", "text": "<script>"})
    assert "<script>" not in view.status(1.0) and view.ended


def test_a_rewriter_that_writes_what_the_prompted_backbone_does_is_said_to():
    parts = dict.fromkeys(("reward", "consistency", "alignment", "diversity", "nll"), 1.0) | {
        "passed": True,
        "reason": "",
    }
    own, trained = ([{"text": f"{who} {n}", **parts} for n in range(4)] for who in ("own", "trained"))
    view = AnswerCards({"backbone": "Backbone", "seed-0": "Rewriter"})
    view.add({"kind": "expert", "text": "x", **parts})
    view.add({"kind": "group", "writer": "backbone", "candidates": own})
    view.add({"kind": "group", "writer": "seed-0", "candidates": [*own[:3], trained[0]]})
    assert "3 of 4 are word for word the prompted backbone" in view.body()
    view.add({"kind": "group", "writer": "seed-0", "candidates": trained})
    assert "word for word" not in view.body()


def test_what_is_refused_leaves_no_older_answers_on_the_page(tmp_path, requests):
    session = Session(str(tmp_path), Limits())
    with gr.Blocks() as demo:
        session.run = gr.Dropdown([])
        playground.build(session)
    handler = next(fn.fn for fn in demo.fns.values() if fn.fn is not None and fn.fn.__name__ == "play")
    typed = TYPED | {"question": ""}
    shown = next(handler(gr.Request(session_hash="visitor"), None, *(typed[name] for name in playground.INPUT_NAMES)))
    assert "Question: it is empty" in shown[0] and shown[1] == ""

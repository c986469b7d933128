"""What a page's poll costs: a page gets what changed, and the more pages ask, the longer each waits."""

import gradio as gr
from helpers.synthetic import GrowingRun

from patchrl.jobs.owners import HOST
from patchrl.ui import session
from patchrl.ui.session import Limits, Session


def test_an_output_that_did_not_change_is_what_gradio_sends_for_a_skip(runs_dir):
    pages, run = Session(str(runs_dir), Limits()), GrowingRun(runs_dir)
    with gr.Blocks():
        pages.live(lambda snapshot: len(snapshot.events), [gr.HTML()])
        pages.live(lambda snapshot: "text", [gr.Textbox()])
    seen, _, first, text = pages.update(None, run.id, {})
    assert text == "text"
    seen, _, events, text = pages.update(None, run.id, seen)
    assert events.model_dump() == text == gr.skip()
    run.grow()
    _, _, events, text = pages.update(None, run.id, seen)
    assert events == first + len(run.seeds) and text == gr.skip()


def test_many_pages_of_a_live_run_ask_less_often(runs_dir, monkeypatch):
    pages, run, now = Session(str(runs_dir), Limits()), GrowingRun(runs_dir), [1000.0]
    monkeypatch.setattr(session.time, "monotonic", lambda: now[0])

    def wait() -> float:
        return pages.pulse(HOST, {"run": run.id})["wait"]

    assert [wait() for _ in range(5)] == [1.0] * 5
    assert [wait() for _ in range(46)][-1] == 12.5
    assert [wait() for _ in range(51)][-1] == session.IDLE_SECONDS
    now[0] += 60
    assert wait() == 1.0

import gradio as gr

from patchrl import api
from patchrl.config import load_config, resolve
from patchrl.jobs.public import CHANGEABLE
from patchrl.ui.forms import Form
from patchrl.ui.setup import _changeable, preflight_card


def test_the_card_says_what_the_backbone_read_or_that_it_is_still_reading():
    card = api.check(load_config("nano-quick"))
    assert "Ready to run" in preflight_card(card) and "nats per token" not in preflight_card(card)
    assert "Ready to run" not in preflight_card(card, reading=True) and "is loading" in preflight_card(
        card, reading=True
    )
    assert "its ℓ is 1.250 nats per token, read on cpu" in preflight_card(card | {"first_nll": 1.25, "device": "cpu"})


def test_a_public_page_restores_what_can_be_changed_and_no_data_file_of_others(tmp_path):
    form = Form(resolve({}), CHANGEABLE)
    with gr.Blocks():
        for section in ("data", "rewriter"):
            for key in form.left(section):
                form.field(section, key)
    own = tmp_path / "own"

    def restored(dataset):
        values = dict(zip(form.widgets, form.values(resolve({})), strict=True))
        values |= {("data", "dataset"): dataset, ("rewriter", "steps"): 7, ("rewriter", "beta"): 9.0}
        _, *kept = _changeable(form, ["nano-one", *values.values()], own)
        return dict(zip(form.widgets, kept, strict=True))

    kept = restored("nano-mild")
    assert kept["data", "dataset"] == "nano-mild" and kept["rewriter", "steps"] == 7
    assert kept["rewriter", "beta"] == gr.skip()
    assert restored(str(own / "rows.jsonl"))["data", "dataset"] == str(own / "rows.jsonl")
    for foreign in (str(tmp_path / "other" / "rows.jsonl"), str(own / ".." / "other" / "rows.jsonl"), 7):
        assert restored(foreign)["data", "dataset"] == gr.skip()

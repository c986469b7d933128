import gradio as gr
import pytest

from patchrl.config import SECTIONS, presets, resolve, settings
from patchrl.errors import ConfigError
from patchrl.ui import app
from patchrl.ui.forms import Form, problems_by_field
from patchrl.ui.session import Limits, Session


@pytest.fixture(scope="module")
def form():
    built = Form(resolve({}))
    with gr.Blocks():
        for section in SECTIONS:
            for key in built.left(section):
                built.field(section, key)
    return built


def test_every_setting_has_a_widget_with_label_and_help(form):
    assert set(form.widgets) == {(setting.section, setting.key) for setting in settings()}
    for widget in form.widgets.values():
        assert widget.label
        assert widget.info


@pytest.mark.parametrize("preset", presets())
def test_what_the_form_shows_is_the_config_it_gives_back(form, preset):
    config = resolve(presets()[preset].values)
    assert form.config(form.values(config)) == config


def test_composed_arms_and_several_rates_go_through_the_form(form):
    config = resolve({"study": {"arms": ["expert", "rl+lora=8"]}, "finetune": {"learning_rate": [3e-4, 1e-3]}})
    assert form.config(form.values(config)) == config


def test_a_number_that_may_be_left_out_is_read_from_text_and_is_no_zero(form):
    optional = [("rewriter", "microbatch_size"), ("rewriter", "warm_start_rate")]
    for values, wanted in ((("", " "), (None, None)), (("16", "1e-4"), (16, 1e-4))):
        given = dict(zip(form.widgets, form.values(resolve({})), strict=True)) | dict(
            zip(optional, values, strict=True)
        )
        built = form.config(list(given.values())).rewriter
        assert (built.microbatch_size, built.warm_start_rate) == wanted
    assert all(isinstance(form.widgets[name], gr.Textbox) for name in optional)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (("study", "seeds"), "0, x", "study.seeds"),
        (("study", "seeds"), "", "study.seeds"),
        (("rewriter", "steps"), None, "rewriter.steps"),
        (("rewriter", "steps"), 0, "rewriter.steps"),
        (("rewriter", "steps"), 1.5, "rewriter.steps: a whole number is needed"),
        (("finetune", "learning_rate"), -1, "finetune.learning_rate"),
        (("finetune", "learning_rate"), "1e-3, fast", "finetune.learning_rate"),
        (("study", "arms"), ["expert", "expert+sgd"], "study.arms"),
        (("rewriter", "microbatch_size"), "0", "rewriter.microbatch_size: it must be at least 1"),
        (("rewriter", "warm_start_rate"), "fast", "rewriter.warm_start_rate: a number is needed"),
    ],
)
def test_a_wrong_field_is_named(form, name, value, words):
    widget = form.widgets[name]
    value = widget.preprocess(value) if isinstance(widget, gr.Number) else value
    values = dict(zip(form.widgets, form.values(resolve({})), strict=True)) | {name: value}
    with pytest.raises(ConfigError, match=words):
        form.config(list(values.values()))


def test_the_page_of_every_tab_belongs_to_the_one_form(runs_dir):
    demo = app.build(Session(str(runs_dir), Limits()))
    (start,) = [fn for fn in demo.fns.values() if fn.name == "preflight"]
    assert len(start.inputs) == len(list(settings()))


def test_every_widget_accepts_what_the_form_shows_in_it(form):
    for widget, value in zip(form.inputs(), form.values(resolve({})), strict=True):
        widget.postprocess(value)


def test_every_bad_field_has_its_own_words(form):
    bad = {("study", "seeds"): "0, x", ("rewriter", "steps"): 0, ("gate", "timeout"): None}
    values = dict(zip(form.widgets, form.values(resolve({})), strict=True)) | bad
    with pytest.raises(ConfigError) as refused:
        form.config(list(values.values()))
    problems = {problem["field"]: problem for problem in problems_by_field(str(refused.value))}
    assert set(problems) == {"study-seeds", "rewriter-steps", "gate-timeout"}
    assert problems["rewriter-steps"] | {} == {
        "field": "rewriter-steps",
        "section": "rewriter",
        "title": "Steps",
        "words": "It must be at least 1 (found 0).",
    }


def test_a_sentence_that_names_no_setting_is_kept_whole():
    (of_a_file,) = problems_by_field("data.dataset: rows.jsonl has no rows")
    assert of_a_file["words"] == "rows.jsonl has no rows."
    assert problems_by_field("Your browser sent no cookie; allow it.") == [
        {"field": "", "section": "", "title": "", "words": "Your browser sent no cookie; allow it."}
    ]

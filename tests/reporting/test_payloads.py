"""Texts of models, datasets and people are shown as text and run nowhere: in HTML, the report, the terminal, cards and spreadsheets."""

import csv
import io
import itertools
import json
import re
import types

import pytest
from helpers.payloads import PAYLOADS, Skeleton, harmless, hostile_run

from patchrl import api
from patchrl.cli import main
from patchrl.reporting import cards, changed, findings, markup
from patchrl.reporting.result_formats import to_csv, to_latex
from patchrl.text import json_line
from patchrl.ui import app, runs
from patchrl.ui.answers import AnswerCards
from patchrl.ui.session import Limits, Session

VERDICT = {"passed": False, "nll": 1.0, "reward": 1.0, "consistency": 1.0, "alignment": 0.5, "diversity": 0.1}


def sample(text):
    numbers = {"nll_expert": 1.0, "nll_rewrite": 2.0}
    texts = dict.fromkeys(("question", "expert", "rewrite", "reason", "extracted", "reference", "decision"), text)
    return texts | VERDICT | numbers


def answers(text):
    view = AnswerCards({"backbone": text})
    view.add({"kind": "expert", "text": text, "reason": text, **VERDICT, "tokens": [[text, 1.0, [[text, 0.5]]]]})
    view.add({"kind": "group", "writer": "backbone", "candidates": [{"text": text, "reason": text, **VERDICT}]})
    return view.body()


def changed_row(text):
    texts = dict.fromkeys(("question", "reference", "backbone_answer", "answer"), text)
    row = {"arm": "rl", "seed": 0, "rate": 0.1, "task": f"general/{text}", "id": text, "change": "right_to_wrong"}
    return {**row, **texts, "passed": False, "no_answer": False}


def scan(text):
    row = {"id": text, "question": text, "expert": text, "own": text, "nll": 1.0}
    token = {"text": text, "count": 1, "mean": 1.0, "share": 0.1, "before": text, "after": text}
    return {"rows": [row], "tokens": [token], "kept": 1, "train": 1, "dropped": {}, "gap": 1.0, "expert_nll": [1.0], "own_nll": [0.5],
            "expert_mean": 1.0, "own_mean": 0.5}  # fmt: skip


MAKERS = {
    "table": lambda text: markup.table([text], [[text, text]]),
    "sample": lambda text: markup.sample_detail(sample(text), {"expert": [[text, 1.0, [[text, 0.5]]]], "rewrite": [[text, 7.0, []]]}),
    "group": lambda text: markup.group_cards({"seed": 0, "step": 1, "question": text, "solution": text, "candidates": [sample(text) | VERDICT | {"text": text}]}),
    "messages": lambda text: markup.messages([{"kind": "message", "level": "warning", "text": text, **more} for more in ({}, {"monitor": "x"})]),
    "error": lambda text: markup.error(text) + markup.note(text),
    "bar": lambda text: markup.bar(text, 0.5, 1.0),
    "changed": lambda text: changed.detail(changed_row(text), {"answer": text, "passed": True, "no_answer": False}, "rl"),
    "findings": lambda text: findings.as_html(scan(text)),
    "playground": answers,
}  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_markup_of_a_payload_has_the_tags_of_a_harmless_text_and_shows_it(maker):
    for payload in PAYLOADS:
        html, plain = maker(payload), Skeleton(maker(harmless(payload)))
        page = Skeleton(html)
        assert page.tags == plain.tags, payload
        assert "${" not in html and "{{" not in html, payload
        shown = " ".join(payload.split())[:80]
        assert shown in " ".join(page.text.split()) or shown.encode("unicode_escape").decode() in page.text, payload


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A run full of payloads, and one like it whose texts are harmless."""
    home = tmp_path_factory.mktemp("runs")
    run = api.open_run(hostile_run(home), home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("helpers.payloads.PAYLOADS", [harmless(payload) for payload in PAYLOADS])
        twin = api.open_run(hostile_run(home, "harmless-20260101-000000-aaaa"), home)
    return run, twin


def test_the_report_and_a_comparison_of_hostile_runs_have_no_tags_but_those_of_harmless_ones(hostile, tmp_path):
    pages = [Skeleton(run.export("report", tmp_path / run.id).read_text(encoding="utf-8")) for run in hostile]
    assert set(pages[0].tags) - set(pages[1].tags) <= {("del",), ("ins",)}  # a word diff of each text
    compared = Skeleton(runs.comparison([*hostile]))
    assert {tag for tag, *_ in compared.tags} <= {
        *("h3", "div", "table", "thead", "tbody", "tr", "th", "td", "span", "p")
    }
    assert hostile[0].name in compared.text


def test_the_page_over_a_hostile_run_has_no_tags_but_those_of_a_harmless_one(hostile):
    page = app.build(Session(str(hostile[0].path.parent), Limits()))
    update = next(fn for fn in page.fns.values() if fn.name == "update")
    request = types.SimpleNamespace(query_params={}, session_hash="page", state=types.SimpleNamespace())
    shown = []
    for run in hostile:
        values = [getattr(part, "value", None) for part in update.inputs]
        values[:2] = [run.id, {}]
        texts = [text for text in texts_of(update.fn(request, *values)) if text.lstrip().startswith("<")]
        shown.append([Skeleton(text) for text in texts])
    tags = [{tag for part in parts for tag in part.tags} for parts in shown]
    assert tags[0] - tags[1] <= {("del",), ("ins",), ("mark", "class"), ("br",)} and len(tags[0]) > 10
    assert any("window.pwned" in part.text for part in shown[0])


def texts_of(value):
    """Every text inside lists and dicts, but those of charts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)) or (isinstance(value, dict) and "layout" not in value):
        for part in value.values() if isinstance(value, dict) else value:
            yield from texts_of(part)


def test_the_terminal_obeys_no_payload(hostile, capsys):
    run = hostile[0]
    for arguments in (
        ["list"],
        ["show", run.id],
        ["show", run.id, "--changed"],
        ["tail", run.id],
        ["diff", run.id, api.RECORDED_ID],
        ["rename", run.id, "\x1b]0;x\x07"],
    ):
        assert main.main([*arguments, "--runs-dir", str(run.path.parent)]) == 0
        shown = "".join(capsys.readouterr())
        assert all(character.isprintable() or character == "\n" for character in shown), arguments
    for payload in PAYLOADS:
        assert json.loads(json_line({"text": payload})) == {"text": payload} and json_line(payload).isprintable()


def test_no_cell_of_an_exported_table_is_a_formula(hostile):
    number = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?")
    for text in (changed.to_csv([changed_row(payload) for payload in PAYLOADS]), to_csv(hostile[0].result())):
        cells = list(itertools.chain(*csv.reader(io.StringIO(text, newline=""))))
        assert [
            cell for cell in cells if cell.startswith(tuple("=+-@\t\r\n＝＋－＠")) and not number.fullmatch(cell)
        ] == []
        assert len(cells) > 100


def test_cards_and_latex_show_payloads_as_text(hostile):
    for payload in PAYLOADS:
        shown = cards.plain(payload)
        assert (
            not re.search(r"(?<!\\)[|`\[\]<*_~&@$]|(?<!\\):(?=//)", re.sub(r"\\\\", "", shown)) and shown.isprintable()
        ), payload
        latex = to_latex(hostile[0].result() | {"backbone": payload})
        caption = latex.partition(" on ")[0].partition("\\caption{")[2]
        assert not re.search(r"(?<!\\)[&%$#_]|\\(?!textbackslash\{\}|textascii\w+\{\}|[&%$#_{}])", caption), payload

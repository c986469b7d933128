"""Tables and sentences between the marks of the READMEs."""

from pathlib import Path

import pytest

from examples.nano_lab.fill_docs import contents, fill_marks
from examples.nano_lab.run_dial import fill
from patchrl.errors import DataError

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "marks"),
    [
        ("README.md", "why summary"),
        ("docs/results.md", "whole main dial collapse parts whole-second dial-second parts-second cost-map arms"),
        ("examples/nano_lab/README.md", "dial-intervals kl"),
    ],
)
def test_the_pages_say_what_the_lab_measured(name, marks):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert fill_marks(text, contents()) == text, f"renew it: python -m examples.nano_lab.run_dial --fill {name}"
    for mark in marks.split():
        assert f"<!-- {mark} -->" in text and f"<!-- /{mark} -->" in text


def test_only_what_is_between_marks_changes():
    text = "before\n<!-- one -->\nold\n\nold\n<!-- /one -->\nafter <!-- /two -->"
    blocks = {"one": "| new |"}
    assert fill_marks(text, blocks) == "before\n<!-- one -->\n\n| new |\n\n<!-- /one -->\nafter <!-- /two -->"
    assert fill_marks(fill_marks(text, blocks), blocks) == fill_marks(text, blocks)


def test_a_mark_without_its_other_is_named():
    for text in ("<!-- one -->\nold\n", "old\n<!-- /one -->", "<!-- one -->\nold\n<!-- /two -->"):
        with pytest.raises(DataError, match=r"<!-- /?one --> is alone; a part stands between"):
            fill_marks(text, {"one": "new"})


@pytest.mark.slow
def test_a_mark_that_nothing_fills_is_named_and_no_file_is_touched(tmp_path):
    good, bad = tmp_path / "good.md", tmp_path / "bad.md"
    good.write_text("<!-- cost-map -->\n<!-- /cost-map -->")
    bad.write_text("<!-- pay -->\n<!-- /pay -->")
    assert (
        fill([good, bad])
        == "<!-- pay --> is not a mark; use one of main, collapse, summary, why, whole, whole-second, parts, parts-second, dial, dial-second, dial-intervals, kl, cost-map, arms, real, real-low, real-whole, real-group, real-gsm8k, real-against."
    )
    assert good.read_text() == "<!-- cost-map -->\n<!-- /cost-map -->"
    with pytest.raises(DataError):
        fill_marks(bad.read_text(), {})
    assert fill([good, tmp_path / "none.md"]) == f"{tmp_path / 'none.md'}: No such file or directory."

"""What the table of changed questions answers to a page's queries."""

import json

import pytest
from helpers.predictions import prediction

from patchrl.config import resolve
from patchrl.jobs.owners import HOST
from patchrl.runs.folder import RunFolder
from patchrl.ui import changed
from patchrl.ui.rows import Query
from patchrl.ui.session import Limits, Session

RATES = [0.001, 0.002]


def write(home, verdicts, **fields):
    home.mkdir(parents=True)
    rows = [prediction(n, passed, **fields) for n, passed in enumerate(verdicts)]
    rows.append(prediction(9, verdicts[0], task="target/held-out"))
    (home / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def table(tmp_path, monkeypatch):
    """The table over a study of two learning rates: at the first an arm forgets one question, at the second two."""
    folder = RunFolder.create(tmp_path, resolve({"finetune": {"learning_rate": RATES}, "study": {"seeds": [0]}}))
    write(folder.base(), [True, True, False])
    for rate, verdicts in zip(RATES, ([False, True, False], [False, False, True]), strict=True):
        write(folder.arm("expert", 0, rate), verdicts)
    write(folder.arm("rl", 0, RATES[0]), [False, True, True], answer="RL says so.")
    monkeypatch.setattr(changed, "paged_table", lambda session, table: table)
    table = changed.changed_table(Session(str(tmp_path), Limits()))
    return lambda name, **query: getattr(table, name)(HOST, Query({"run": folder.id, **query}))


def test_general_questions_come_first_and_every_filter_says_what_it_is_at(table):
    shown = table("choose")
    assert [(row["arm"], row["id"]) for row in shown.rows] == [("expert", "add-0"), ("rl", "add-0"), ("rl", "add-2")]
    assert shown.filters == {"task": "general/", "arm": "", "seed": "", "rate": "0.001", "change": "", "beside": "rl"}
    assert all(shown.filters[name] in options for name, options in shown.options.items() if options)
    assert "1 of 2 right answers went wrong, 0 wrong" in shown.head
    assert len(table("choose", task="general/", rate="0.002").rows) == 3
    assert (
        len(table("choose", task="", arm="nobody", rate="none of these").rows) == 5
    )  # what no filter offers is not one


def test_an_address_finds_a_question_of_any_kind_at_its_rate(table):
    shown = table("choose", find={"question": "target/held-out/add-9", "rate": "0.002"})
    assert shown.filters["rate"] == "0.002" and shown.filters["task"] == ""
    assert "target/held-out/add-9" in {changed.changed.address(row)["question"] for row in shown.rows}


def test_an_opened_question_stands_beside_another_arm_where_that_was_evaluated(table):
    opened = {"arm": "expert", "question": "general/add/add-0"}
    assert "</mark> says so." in table("detail", **opened)
    assert table("detail", **opened, beside="none").count("<article") == 2
    assert table("detail", **opened, rate="0.002").count("<article") == 2  # RL has no answers at this rate
    assert "did not change here" in table("detail", arm="expert", question="general/add/add-1")

"""What the chat takes and shows; the answers themselves are tested in tests/playground."""

import pytest
from helpers.results import HOSTILE

from patchrl import api
from patchrl.errors import ConfigError
from patchrl.jobs.owners import HOST
from patchrl.runs.folder import RunFolder
from patchrl.ui import chat
from patchrl.ui.answers import ChatCards
from patchrl.ui.playground import Requests
from patchrl.ui.session import Limits, Session


def test_answers_stand_side_by_side_and_are_marked_where_they_leave_the_backbones():
    cards = ChatCards({"backbone": "Backbone", "tuned": HOSTILE})
    cards.add({"kind": "answer", "writer": "backbone", "text": "It is 4.", "clipped": False})
    cards.add({"kind": "writing", "writer": "tuned", "texts": [HOSTILE]})
    assert "<mark" not in cards.body() and "<img" not in cards.body()
    cards.add({"kind": "answer", "writer": "tuned", "text": f"It is {HOSTILE}", "clipped": True})
    assert cards.body().count("<mark") == 1 and "Cut off" in cards.body() and "<img" not in cards.body()


@pytest.mark.parametrize(
    ("run_id", "typed", "sentence"),
    [
        (api.RECORDED_ID, ("What is 2 + 3?", ["expert/0/0.001"], 0), "A recording ships without fine-tuned weights"),
        (None, ("What is 2 + 3?", [], 0), "Choose a run above first"),
        ("own", ("  ", ["expert/0/0.001"], 0), "Question: it is empty"),
        ("own", ("x" * 5_000, ["expert/0/0.001"], 0), "Question: 5,000 characters"),
        ("own", ("What is 2 + 3?", ["rl/0/0.001"], 0), "Beside the backbone: choose at least one"),
        ("own", ("What is 2 + 3?", ["expert/0/0.001"], 7), "Temperature: a number from 0 to 2"),
        ("own", (None, "expert", "hot"), "Question: it is empty"),
    ],
)
def test_what_is_typed_is_checked_before_anything_starts(tmp_path, run_id, typed, sentence):
    config = api.play_settings(api.open_run(api.RECORDED_ID).config)
    folder = RunFolder.create(tmp_path, config)
    home = folder.arm("expert", 0, 0.001)
    (home / "weights").mkdir(parents=True)
    folder.write_json(home / "finetuned.json", {})
    requests = Requests(Session(str(tmp_path), Limits()))
    with pytest.raises(ConfigError, match=sentence.replace("+", r"\+")):
        chat.ask(requests, (HOST, None), folder.id if run_id == "own" else run_id, *typed)

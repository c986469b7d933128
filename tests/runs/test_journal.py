"""A journal gives back what was finished, forgets a torn line, and stops between pieces."""

import pytest
from helpers.contexts import SilentRecorder

from patchrl.errors import StopRequested
from patchrl.runs.journal import Journal


class Stopping(SilentRecorder):
    def stop_requested(self) -> bool:
        return True


def fail():
    raise AssertionError("it was there already")


def test_a_finished_piece_is_not_made_again(tmp_path):
    path = tmp_path / "journals" / "scan.jsonl"
    piece = [["so ¾", 0.1 + 0.2], None]
    assert Journal(path, SilentRecorder()).keep(["sample", 1], lambda: piece) == piece
    again = Journal(path, Stopping())
    assert again.keep(["sample", 1], fail) == piece
    with pytest.raises(StopRequested):
        again.keep(["sample", 2], fail)


@pytest.mark.parametrize("cut", [1, 2, 30, 60])
def test_a_torn_last_line_is_made_again_and_spoils_nothing(tmp_path, cut):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, SilentRecorder())
    for number in range(3):
        journal.keep(number, lambda number=number: f"piece {number}")
    path.write_bytes(path.read_bytes()[:-cut])
    made = []
    for _ in range(2):
        journal = Journal(path, SilentRecorder())
        pieces = [
            journal.keep(number, lambda number=number: made.append(number) or f"new {number}") for number in range(3)
        ]
        assert pieces == ["piece 0", "piece 1", "new 2"]
    assert made == [2]


def test_its_clock_counts_pieces_of_an_earlier_session(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("patchrl.runs.journal.time.monotonic", lambda: now[0])

    def work():
        now[0] += 5

    path = tmp_path / "journal.jsonl"
    Journal(path, SilentRecorder()).keep("first", work)
    journal = Journal(path, SilentRecorder())
    journal.keep("first", fail)
    journal.keep("second", work)
    assert (journal.seconds_before, journal.seconds) == (5.0, 10.0)

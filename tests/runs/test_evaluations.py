"""What earlier evaluations answered is found again by exactly the same key."""

from patchrl.runs.evaluations import Evaluations

KEY = {"weights": "ab" * 32, "task": "group::leaf 1", "max_new_tokens": 96, "config": {"b": 1, "a": [2]}}
ROWS = [{"text": "7", "clipped": False}]


def test_rows_come_back_for_the_same_key_in_any_order_and_for_no_other(tmp_path):
    store = Evaluations(tmp_path)
    assert store.get(KEY) is None
    store.put(KEY, ROWS)
    assert Evaluations(tmp_path).get(dict(reversed(KEY.items()))) == ROWS
    for changed in ({"weights": "cd" * 32}, {"task": "group::leaf 2"}, {"max_new_tokens": 97}, {"config": {"b": 1}}):
        assert store.get(KEY | changed) is None, changed
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [
        store.path(KEY).name
    ]  # nothing half-written beside it


def test_a_damaged_file_is_made_again(tmp_path):
    store = Evaluations(tmp_path)
    store.put(KEY, ROWS)
    store.path(KEY).write_text("[{", encoding="utf-8")
    assert store.get(KEY) is None
    store.put(KEY, ROWS)
    assert store.get(KEY) == ROWS


def test_a_task_name_is_no_path(tmp_path):
    assert Evaluations(tmp_path).path(KEY | {"task": "../../etc/x"}).parent == tmp_path / ("ab" * 8)

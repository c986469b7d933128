import json

from patchrl.runs.lines import row_by_id


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def test_a_row_is_found_by_its_id_whatever_the_id_holds(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"id": name, "n": i} for i, name in enumerate(["a", 'b"', "ℓ\\", "7"])]
    write(path, rows)
    for row in rows:
        assert row_by_id(path, row["id"]) == row
    assert row_by_id(path, "none") is None


def test_a_file_that_changed_is_read_anew_and_a_missing_one_has_no_rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert row_by_id(path, "a") is None
    write(path, [{"id": "a", "n": 1}])
    assert row_by_id(path, "a")["n"] == 1
    write(path, [{"id": "x"}, {"id": "a", "n": 2}])
    assert row_by_id(path, "a")["n"] == 2

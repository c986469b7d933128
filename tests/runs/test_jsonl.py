from patchrl.runs.jsonl import read_rows, row_by_id, write_rows


def test_a_row_is_found_by_its_id_whatever_the_id_holds(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"id": name, "n": i} for i, name in enumerate(["a", 'b"', "ℓ\\", "7"])]
    write_rows(path, rows)
    assert read_rows(path) == rows
    for row in rows:
        assert row_by_id(path, row["id"]) == row
    assert row_by_id(path, "none") is None


def test_a_file_that_changed_is_read_anew_and_a_missing_one_has_no_rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert row_by_id(path, "a") is None
    write_rows(path, [{"id": "a", "n": 1}])
    assert row_by_id(path, "a")["n"] == 1
    write_rows(path, [{"id": "x"}, {"id": "a", "n": 2}])
    assert row_by_id(path, "a")["n"] == 2

import codecs
import gzip
import io
import json

import pandas as pd
import pytest

from patchrl.data import readers
from patchrl.data.readers import read_file
from patchrl.errors import DataError

ROWS = [{"question": f"{n} + é?", "answer": f"It is, {n}; so\n#### {n}"} for n in range(3)]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}


def table(separator):
    return pd.DataFrame(ROWS).to_csv(index=False, sep=separator)


def parquet():
    file = io.BytesIO()
    pd.DataFrame(ROWS).to_parquet(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", LINES),
        ("a.json", LINES),
        ("a.ndjson", LINES.replace("\n", "\r\n\r\n")),
        ("bom.jsonl", codecs.BOM_UTF8 + LINES.encode()),
        ("utf16.jsonl", LINES.encode("utf-16")),
        ("utf16.csv", table(",").encode("utf-16")),
        ("utf16-no-mark.csv", table(",").encode("utf-16-le")),
        ("array.jsonl", json.dumps(ROWS, indent=1)),
        ("array.json", "\n " + json.dumps(ROWS)),
        ("wrapped.json", json.dumps({"version": "1", "data": ROWS})),
        ("wrapped-deep.json", json.dumps({"meta": {}, "data": {"train": ROWS}})),
        ("wrapped.jsonl", json.dumps({"pages": ROWS}, indent=1)),
        ("hub-viewer.json", json.dumps({"rows": [{"row_idx": 0, "row": row} for row in ROWS]})),
        ("columns.json", json.dumps(COLUMNS)),
        ("objects.json", "\n".join(json.dumps(row, indent=1) for row in ROWS)),
        ("comma.csv", table(",")),
        ("semicolon.csv", table(";")),
        ("tab.tsv", table("\t")),
        ("tab.csv", table("\t")),
        ("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)),
        ("a.csv.gz", gzip.compress(table(";").encode(), mtime=0)),
        ("packed.json", gzip.compress(json.dumps(ROWS).encode(), mtime=0)),
        ("a.parquet", parquet()),
        ("a.parquet.gz", gzip.compress(parquet(), mtime=0)),
    ],
)
def test_every_file_format_gives_the_same_rows(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert [row for _, row in read_file(path)] == ROWS


def test_parquet_keeps_nested_cells(tmp_path):
    rows = [{"question": "q", "choices": {"text": ["red", "blue"], "label": ["A", "B"]}}]
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    assert list(read_file(tmp_path / "a.parquet")) == [(1, rows[0])]


def test_a_folder_of_save_to_disk_is_read_with_its_split(tmp_path):
    import datasets

    rows = datasets.Dataset.from_list(ROWS)
    rows.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": rows, "test": rows.select([0])}).save_to_disk(tmp_path / "two")
    assert [row for _, row in read_file(tmp_path / "one")] == ROWS
    assert [row for _, row in read_file(tmp_path / "two", "test")] == ROWS[:1]
    with pytest.raises(DataError, match=r"two: split 'dev' does not exist; data\.split can be train, test"):
        list(read_file(tmp_path / "two", "dev"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", '{"question": "a"}\n\n{"question": "b"},\n', r"a\.jsonl: row 3 is not valid JSON \(Extra data"),
        ("a.jsonl", '{"question": "a",}\n', r"a\.jsonl: row 1 is not valid JSON"),
        ("a.json", '[{"question": "a"},\n {"question": "b"},\n]', r"a\.json: row [23] is not valid JSON"),
        (
            "a.jsonl",
            '{"question": "a"}\n' + '{"question": ' + "[" * 100_000 + "\n",
            "row 2 is not valid JSON \\(it is nested too deeply",
        ),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", '["a", "b"]', "row 1 is not an object such as"),
        ("a.jsonl", b'{"question": "a"}\n{"question": "\xe9"}\n', "row 2 is not text in UTF-8; save"),
        ("a.csv", "question,question\na,b\n", "two columns are named 'question'"),
        ("a.csv", 'question,answer\n"a" b,c\n', "row 1 is not valid CSV"),
        ("a.parquet", "PAR1 no parquet", r"a\.parquet: cannot be read as PARQUET"),
        ("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)[:20], "cannot be read"),
        ("a.zip", "PK", r"files ending in \.zip are not read"),
        ("a.jsonl", "\n\n", "the file has no rows"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_row(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=words):
        list(read_file(path))


def test_a_packed_file_that_is_too_large_unpacked_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "MAX_BYTES", 1000)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(LINES.encode() * 100, mtime=0))
    with pytest.raises(DataError, match="when unpacked"):
        list(read_file(tmp_path / "a.jsonl.gz"))

"""Files, folders and Hub datasets become raw rows: (row number, cells by column name)."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from patchrl.config import MAX_ROWS, DataSection
from patchrl.data.columns import WRAPPERS, known_names
from patchrl.errors import DataError, first_line
from patchrl.models.hub_access import hub_access
from patchrl.text import parse_json, printable
from patchrl.types import HUB_ID

FILE_KINDS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt", ".parquet")
MAX_BYTES = 200 * 2**20  # of a file, after unpacking
SEPARATORS = ",;\t|"
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WHITE_SPACE = re.compile(r"\s*")
BATCH_ROWS = 1000
MAX_COLUMNS = 1000
MAX_MARKS = 40_000_000  # brackets and commas of a JSON text: each of its values takes 60 bytes of memory or more

RawRow = tuple[int, dict[str, Any]]


def is_data_file(name: str) -> bool:
    """Whether a name ends like a data file, packed with gzip or not."""
    return _kind(Path(name)) in FILE_KINDS


def read_dataset(section: DataSection) -> Iterator[RawRow]:
    """The raw rows of `data.dataset`, a file, a folder or a Hub id. Raises DataError with what to do."""
    path = Path(section.dataset)
    if is_data_file(section.dataset) or path.exists():
        return read_file(path, section.split)
    if not HUB_ID.fullmatch(section.dataset):
        raise DataError(
            f"{section.dataset!r} is neither a dataset of the lab, a file, nor a Hub id such as org/name; "
            "check the spelling."
        )
    import datasets

    try:
        with hub_access():
            loaded = datasets.load_dataset(section.dataset, name=section.config, split=section.split)
    except Exception as error:  # the hub client raises a dozen unrelated types
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{section.dataset!r} could not be loaded from the Hub: {reason}; check its name and the connection, or "
            "name a file."
        ) from error
    return numbered(loaded.select(range(min(len(loaded), MAX_ROWS))))


def numbered(rows: Iterable[Any]) -> Iterator[RawRow]:
    """Rows with their numbers, from 1."""
    return ((number, dict(row)) for number, row in enumerate(rows, 1))


def read_file(path: Path, split: str = "train") -> Iterator[RawRow]:
    """The raw rows of a data file or of a folder written by `save_to_disk`, one at a time.

    What a file contains decides how it is read: Parquet, JSON lines, a JSON array, an object around one, or a table with
    `,` `;` `|` or tab between cells; packed with gzip or not; UTF-8, UTF-16 or UTF-32.

    Args:
        path: the file or folder.
        split: the split to read where the folder has several.

    Raises DataError with the file, the row (the line, in a file of JSON lines) and what to do.
    """
    count = 0
    try:
        for count, row in enumerate(_rows(path, split), 1):
            if count > MAX_ROWS:
                raise DataError(f"{path.name}: more than {MAX_ROWS:,} rows; give a smaller file.")
            yield row
    except OSError as error:
        advice = (
            "Check the path, or upload the file again." if isinstance(error, FileNotFoundError) else "Check the file."
        )
        raise DataError(f"{path}: {error.strerror or printable(first_line(error)[:200])}. {advice}") from None
    except (ValueError, EOFError, zlib.error) as error:
        reason = printable(first_line(error)[:200])
        raise DataError(f"{path.name}: cannot be read as {_kind(path)[1:].upper()}: {reason}; save it again.") from None
    if not count:
        raise DataError(f"{path.name}: the file has no rows; give one object or line per example.")


def _kind(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return "".join(suffixes[-2:-1] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def _rows(path: Path, split: str) -> Iterator[RawRow]:
    if path.is_dir():
        yield from _saved_folder(path, split)
        return
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise DataError(f"{path.name}: {size / 2**20:.0f} MiB; at most {MAX_BYTES >> 20} MiB are read.")
    if _kind(path) not in FILE_KINDS:
        kind = _kind(path) or "nothing"
        raise DataError(f"{path.name}: files ending in {kind} are not read; use JSONL, CSV or Parquet.")
    with path.open("rb") as source:
        raw: Any = source if source.seekable() else io.BytesIO(source.read(MAX_BYTES))  # a pipe is read once
        file: Any = raw
        if raw.read(2) == b"\x1f\x8b":
            raw.seek(0)
            file = io.BytesIO(gzip.GzipFile(fileobj=raw).read(MAX_BYTES + 1))
            if file.getbuffer().nbytes > MAX_BYTES:
                raise DataError(f"{path.name}: more than {MAX_BYTES >> 20} MiB when unpacked; give a smaller file.")
        file.seek(0)
        start = file.read(4)
        file.seek(0)
        if start == b"PAR1":
            yield from numbered(_parquet(file, path.name))
            return
        if _kind(path) == ".parquet":
            raise DataError(f"{path.name}: cannot be read as PARQUET: it is another kind of file; save it again.")
        text = io.TextIOWrapper(file, encoding=_encoding(start), newline="")
        try:
            yield from (_table if _kind(path) in (".csv", ".tsv", ".txt") else _json)(text, path.name)
        except UnicodeDecodeError as error:
            file.seek(0)
            line = next((n for n, line in enumerate(file, 1) if not _decodes(line, error.encoding)), 1)
            raise DataError(
                f"{path.name}: row {line} is not text in {error.encoding.upper()}; save the file again in UTF-8."
            ) from None


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _encoding(start: bytes) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return encoding
    if len(start) == 4 and start[1] == 0 == start[3]:
        return "utf-16-le"
    return "utf-16-be" if len(start) == 4 and start[0] == 0 == start[2] else "utf-8"


def _parquet(file: Any, name: str) -> Iterator[dict[str, Any]]:
    """Rows of a Parquet file. Raises DataError for more than MAX_BYTES of them."""
    import pyarrow.parquet as parquet

    source = parquet.ParquetFile(file)
    groups = [source.metadata.row_group(i) for i in range(source.metadata.num_row_groups)]
    largest = max(
        (group.column(i).total_uncompressed_size for group in groups for i in range(group.num_columns)), default=0
    )
    if max(largest, sum(group.total_byte_size for group in groups)) > MAX_BYTES:
        raise DataError(f"{name}: more than {MAX_BYTES >> 20} MiB when unpacked; give a smaller file.")
    # A dictionary holds a text once that stands in every row: no batch may have more such texts than can be read.
    unpacked = 0
    for batch in source.iter_batches(max(1, min(BATCH_ROWS, MAX_BYTES // max(1, largest)))):
        unpacked += batch.nbytes
        if unpacked > MAX_BYTES:
            raise DataError(f"{name}: more than {MAX_BYTES >> 20} MiB when unpacked; give a smaller file.")
        yield from batch.to_pylist()


def _saved_folder(path: Path, split: str) -> Iterator[RawRow]:
    if not any((path / name).is_file() for name in ("dataset_dict.json", "state.json")):
        raise DataError(f"{path.name}: a folder that save_to_disk did not write; name one data file.")
    import datasets

    saved = datasets.load_from_disk(str(path))
    if isinstance(saved, datasets.DatasetDict):
        if split not in saved and len(saved) > 1:
            raise DataError(
                f"{path.name}: split {split!r} does not exist; data.split can be {', '.join(map(str, saved))}."
            )
        saved = saved[split] if split in saved else next(iter(saved.values()))
    yield from numbered(saved)


# --- tables -------------------------------------------------------------------------------------


def _table(text: io.TextIOWrapper, name: str) -> Iterator[RawRow]:
    """Rows of a table whose first line names the columns. Blank lines do not count as rows."""
    csv.field_size_limit(MAX_BYTES)
    head = text.readline()
    text.seek(0)
    separator = max(SEPARATORS, key=lambda mark: _header_quality(head, mark))
    records = csv.reader(text, delimiter=separator, strict=True)
    header: list[str] = []
    number = 0
    try:
        for cells in records:
            if not cells:
                continue
            if not header:
                header = [cell.strip() or f"column {position}" for position, cell in enumerate(cells, 1)]
                if len(header) > MAX_COLUMNS:
                    raise DataError(f"{name}: it has {len(header):,} columns; at most {MAX_COLUMNS:,} are read.")
                if twice := [column for column in header if header.count(column) > 1]:
                    raise DataError(f"{name}: two columns are named {twice[0]!r:.60}; rename one.")
                continue
            number += 1
            if len(cells) > len(header):
                raise DataError(
                    f"{name}: row {number} has {len(cells)} cells where the header has {len(header)}; mend or remove it."
                )
            yield number, dict(zip(header, cells + [""] * (len(header) - len(cells)), strict=True))
    except csv.Error as error:
        problem = (
            "opens a quotation mark that never closes" if "end of data" in str(error) else f"is not valid CSV ({error})"
        )
        raise DataError(f"{name}: row {number + 1} {problem}; mend or remove it.") from None


def _header_quality(head: str, separator: str) -> tuple[int, int]:
    """How many known column names a separator makes of a header line, and how many columns."""
    cells = next(csv.reader([head], delimiter=separator), [])
    return known_names(cells), len(cells)


# --- JSON ---------------------------------------------------------------------------------------


def _json(text: io.TextIOWrapper, name: str) -> Iterator[RawRow]:
    """Rows of JSON lines, of an array, of an object around one, or of objects one behind the other."""
    first = next((line for line in text if line.strip()), "")
    text.seek(0)
    try:
        value = parse_json(_countable(first, name)) if first else None
    except ValueError:
        yield from _json_document(text.read(), name)
        return
    if isinstance(value, list) or (isinstance(value, dict) and _wrapped(value) is not None):
        yield from _json_document(text.read(), name)
        return
    for number, line in enumerate(text, 1):
        if line.strip():
            try:
                row = parse_json(_countable(line, name))
            except ValueError as error:
                raise DataError(
                    f"{name}: row {number} is not valid JSON ({_reason(error)}); mend or remove it."
                ) from None
            yield number, _object(row, number, name)


def _json_document(text: str, name: str) -> Iterator[RawRow]:
    decoder = json.JSONDecoder()
    _countable(text, name)
    values: list[Any] = []
    position = _next_value(text, 0)
    while position < len(text):
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            row = error.lineno if isinstance(error, json.JSONDecodeError) else len(values) + 1
            raise DataError(f"{name}: row {row} is not valid JSON ({_reason(error)}); mend or remove it.") from None
        values.append(value)
        position = _next_value(text, position)
    rows = values
    if len(values) == 1:
        rows = values[0] if isinstance(values[0], list) else _wrapped(values[0]) or values
    if all(isinstance(row, dict) and isinstance(row.get("row"), dict) and "row_idx" in row for row in rows):
        rows = [row["row"] for row in rows]  # as the Hub's dataset viewer gives them
    yield from ((number, _object(row, number, name)) for number, row in enumerate(rows, 1))


def _next_value(text: str, position: int) -> int:
    """The place of the next character that is not white space."""
    match = WHITE_SPACE.match(text, position)
    return match.end() if match else position


def _wrapped(value: Any) -> list[Any] | None:
    """The rows inside an object: a list of objects under one key, or columns of one length; None for a plain row."""
    if not isinstance(value, dict):
        return None
    lists = {key: rows for key, rows in value.items() if isinstance(rows, list) and rows and isinstance(rows[0], dict)}
    for key in WRAPPERS:
        rows = lists.get(key, _wrapped(value.get(key)))
        if rows is not None:
            return rows
    columns = list(value.values())
    if known_names(value) and len(columns) > 1:
        if all(isinstance(column, dict) and column.keys() == columns[0].keys() for column in columns):
            columns = [list(column.values()) for column in columns]
        same = all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns)
        if same and not lists:
            return [dict(zip(value, cells, strict=True)) for cells in zip(*columns, strict=True)]
    return None if known_names(value) or len(lists) != 1 else next(iter(lists.values()))


def _object(row: Any, number: int, name: str) -> dict[str, Any]:
    if isinstance(row, dict):
        return row
    raise DataError(
        f'{name}: row {number} is not an object such as {{"question": "…", "solution": "…"}} '
        f"(found {json.dumps(row)!r:.60}); mend or remove it."
    )


def _countable(text: str, name: str) -> str:
    """The text; raises DataError where it states more values than fit into memory."""
    if sum(map(text.count, "{[,")) > MAX_MARKS:
        raise DataError(f"{name}: it has more than {MAX_MARKS:,} brackets and commas; give a smaller file.")
    return text


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else str(error)

"""Input that no door may accept: settings, config files, data files, command lines, ids and form values."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

HUGE = 10**13
DIGITS = "9" * 6000
DEEP = "[" * 5000 + "]" * 5000
NUL = "a\0b"
SURROGATE = "a\udcffb"  # what a byte of a command line that is not UTF-8 becomes

WHOLE_NUMBERS = (
    "data.train_size", "data.eval_size", "rewriter.steps", "rewriter.prompts_per_step", "rewriter.group_size",
    "rewriter.warmup_steps", "rewriter.warm_start_steps", "rewriter.warm_start_samples", "rewriter.max_new_tokens",
    "rewriter.lora_rank", "rewriter.lora_alpha", "rewriter.updates_per_rollout", "rewriter.microbatch_size", "rewrite.attempts",
    "rewrite.best_of_k", "finetune.epochs", "finetune.batch_size", "finetune.max_length", "onpolicy.group_size",
    "evaluate.limit", "evaluate.general_size", "evaluate.max_new_tokens", "evaluate.bootstrap",
)  # fmt: skip
NUMBERS = (
    "gate.judge_threshold", "gate.timeout", "reward.lambda_dist", "reward.lambda_div", "rewriter.learning_rate",
    "rewriter.warm_start_rate", "rewriter.beta", "rewriter.temperature", "rewriter.top_p", "rewrite.temperature",
    "rewrite.top_p", "onpolicy.rate_factor",
)  # fmt: skip
TEXTS = (
    "study.name", "backbone.model", "backbone.device", "backbone.revision", "data.dataset", "data.split", "data.config",
    "data.question_column", "reward.embedder", "rewriter.instruction", "finetune.replay_data", "evaluate.tasks_folder",
)  # fmt: skip
LISTS = ("study.seeds", "study.arms", "rewriter.more_instructions", "evaluate.target", "evaluate.general")

SETTINGS: list[tuple[str, Any]] = [
    *((name, value) for name in WHOLE_NUMBERS for value in (HUGE, True, -1, 1.5, "many")),
    *((name, value) for name in NUMBERS for value in (1e300, True, -1.0, float("nan"), float("inf"), "much")),
    *((name, value) for name in TEXTS for value in (NUL, SURROGATE, 7)),
    *((name, value) for name in LISTS for value in (7, [NUL], {"a": 1}, [[]])),
    ("study.name", "../escape"), ("study.name", ""), ("study.name", "a" * 100), ("study.name", "a\n"),
    ("study.seeds", [True]), ("study.seeds", []), ("study.seeds", [-1]), ("study.seeds", [0, 0]), ("study.seeds", [2**40]),
    ("study.seeds", list(range(100))), ("study.seeds", [HUGE]), ("study.arms", []), ("study.arms", ["rl"]),
    ("study.arms", ["expert", "expert"]), ("study.arms", ["expert", "rl+rl"]), ("study.arms", ["expert", "wise-ft=2"]),
    ("study.arms", ["expert", "lora=1e9"]), ("study.arms", ["expert", "../rl"]), ("study.arms", ["expert", "a" * 500]),
    ("study.arms", ["expert", "kl=inf"]), ("study.arms", ["expert", "kl=1e999"]), ("study.arms", ["expert", "kl=1e300"]),
    ("backbone.device", "tpu"), ("backbone.device", "cuda:999"), ("backbone.device", ""), ("backbone.dtype", "int3"),
    ("backbone.model", ""), ("backbone.model", "./nowhere"), ("backbone.model", "a b"), ("backbone.model", "nowhere.gguf"),
    ("backbone.model", "/etc"), ("backbone.model", "/etc/passwd"), ("backbone.model", "x" * 5000), ("backbone.thoughts", 7),
    ("data.dataset", ""), ("data.dataset", "nowhere.jsonl"), ("data.dataset", "/etc"), ("data.dataset", "nano-foreig"),
    ("data.dataset", "x" * 5000), ("data.dataset", "a b/c d"), ("data.task", "poetry"), ("data.question_column", "nowhere"),
    ("gate.reasoning", "always"), ("gate.judge_threshold", 1.01), ("reward.kind", "gold"), ("reward.embedder", ""),
    ("reward.embedder", "/etc"), ("reward.embedder", "/etc/passwd"), ("reward.embedder", "./nowhere"),
    ("reward.embedder", "x" * 5000), ("rewriter.instruction", ""), ("rewriter.instruction", "polsh"),
    ("rewriter.microbatch_size", 3), ("rewriter.microbatch_size", 0), ("rewriter.group_size", 1), ("rewriter.top_p", 0),
    ("rewriter.more_instructions", ["polish"] * 17), ("finetune.learning_rate", []), ("finetune.learning_rate", [True]),
    ("finetune.learning_rate", [1e-3, 1e-3]), ("finetune.learning_rate", True), ("finetune.learning_rate", [2.0]),
    ("finetune.learning_rate", float("nan")), ("finetune.keep_weights", "maybe"), ("evaluate.target", []),
    ("evaluate.target", ["nowhere.jsonl"]), ("evaluate.general", ["nowhere/x.json"]), ("evaluate.general", ["held-out"]),
    ("evaluate.general", [""]), ("evaluate.tasks_folder", "./nowhere"), ("evaluate.tasks_folder", "/etc/passwd"),
    ("rewriter.instruction", "x y" * 100_000), ("no.such", 1), ("rewriter.stepps", 1), ("rewriter.", 1),
]  # fmt: skip

CONFIG_FILES: dict[str, bytes] = {
    "empty.json": b"",
    "null.json": b"null",
    "list.json": b"[]",
    "text.json": b'"nano"',
    "number.json": DIGITS.encode(),
    "digits.json": f'{{"rewriter": {{"steps": {DIGITS}}}}}'.encode(),
    "deep.json": DEEP.encode(),
    "deep-object.json": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "nan.json": b'{"rewriter": {"beta": NaN}}',
    "flat.json": b'{"steps": 3}',
    "torn.json": b'{"rewriter": {"steps": 3',
    "surrogate.json": b'{"study": {"name": "\\udcff"}}',
    "nul.json": b'{"backbone": {"model": "a\\u0000b"}}',
    "latin.json": '{"study": {"name": "é"}}'.encode("latin-1"),
    "flat.toml": b"steps = 3",
    "text.toml": b"[backbone]\nmodel = nano",
    "twice.toml": b"[data]\ntrain_size = 8\n[data]\neval_size = 8",
    "key-twice.toml": b"[data]\ntrain_size = 8\ntrain_size = 9",
    "digits.toml": f"[rewriter]\nsteps = {DIGITS}".encode(),
    "float-digits.toml": f"[rewriter]\nbeta = {DIGITS}.0".encode(),
    "deep.toml": b"[rewriter]\nsteps = " + DEEP.encode(),
    "deep-table.toml": b"[" + b".".join([b"a"] * 5000) + b"]\nx = 1",
    "nul.toml": b'[study]\nname = "a\0b"',
    "escaped-nul.toml": b'[backbone]\nmodel = "a\\u0000b"',
    "latin.toml": '[study]\nname = "é"'.encode("latin-1"),
    "binary.toml": bytes(range(256)),
    "bom-16.toml": "[study]\nname = 'a'".encode("utf-16"),
    "true.toml": b"[rewriter]\nsteps = true",
    "date.toml": b"[rewriter]\nsteps = 1979-05-27",
    "array.toml": b"[[rewriter]]\nsteps = 3",
    "inline.toml": b"rewriter = 3",
    "nested.toml": b"[rewriter.steps]\nx = 3",
    "unknown.toml": b"[rewrter]\nsteps = 3",
    "preset-only.toml": b"preset = 3\nx = 1",
}


def _rows(count: int = 40, **fields: Any) -> list[dict[str, Any]]:
    return [
        {"question": f"What is {n} + 1?", "solution": f"{n} + 1 = {n + 1}. #### {n + 1}"} | fields for n in range(count)
    ]


def _lines(*rows: Any) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def parquet_bomb(megabytes: int, rows: int) -> bytes:
    """A small Parquet file of one long text in every row, which its dictionary holds once."""
    import pyarrow
    import pyarrow.parquet as parquet

    text = pyarrow.array(["1 " * (megabytes << 19)])
    column = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * rows, pyarrow.int32()), text)
    table = pyarrow.table({"question": column, "solution": column})
    file = io.BytesIO()
    parquet.write_table(table, file, compression="zstd")
    return file.getvalue()


def gzip_bomb(start: bytes, unit: bytes, megabytes: int) -> bytes:
    """A small packed file of one unit many times."""
    return gzip.compress(start + unit * ((megabytes << 20) // len(unit)), 1)


DATA_FILES: dict[str, bytes] = {
    "empty.jsonl": b"", "blank.jsonl": b"\n\n \n", "null.jsonl": b"null", "torn.jsonl": _lines(*_rows())[:-20] + b"\n{",
    "list.jsonl": b"[1, 2]\n[3]", "numbers.jsonl": b"1\n2\n3", "text.jsonl": b'"a"\n"b"', "few.jsonl": _lines(*_rows(3)),
    "no-columns.jsonl": _lines(*[{"a": 1, "b": 2}] * 40), "no-solution.jsonl": _lines(*[{"question": "What?"}] * 40),
    "empty-cells.jsonl": _lines(*_rows(question="")), "null-cells.jsonl": _lines(*_rows(solution=None)),
    "number-cells.jsonl": _lines(*[{"question": n, "solution": n} for n in range(3)]),
    "object-cells.jsonl": _lines(*[{"question": {"a": n}, "solution": [n]} for n in range(40)]),
    "deep-cell.jsonl": b'{"question": ' + DEEP.encode() + b', "solution": "1"}',
    "deep.jsonl": DEEP.encode(), "deep.json": DEEP.encode(), "deep-object.json": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "digits.jsonl": f'{{"question": "a", "solution": {DIGITS}}}'.encode(), "digits.json": f"[{DIGITS}]".encode(),
    "surrogates.jsonl": _lines(*_rows(question="\udcff?")), "nul.jsonl": _lines(*_rows())[:50] + b"\0" * 50,
    "binary.jsonl": bytes(range(256)) * 10, "latin.jsonl": '{"question": "é"}'.encode("latin-1"),
    "cut-utf16.jsonl": "question".encode("utf-16")[:-1], "long-cell.jsonl": _lines(*_rows(question="1 " * 60_000)),
    "empty.json": b"", "null.json": b"null", "object.json": b"{}", "list.json": b"[]", "list-of-lists.json": b"[[], []]",
    "wrapped.json": b'{"data": {"data": {}}}', "two.json": b"[][]", "torn.json": b'[{"question": "a"', "nan.json": b"[NaN, NaN]",
    "columns.json": b'{"question": ["a"], "solution": ["a", "b"]}',
    "empty.csv": b"", "header.csv": b"question,solution\n", "twice.csv": b"question,question\na,b\n",
    "quote.csv": b'question,solution\n"a,b\n', "cells.csv": b"question,solution\na,b,c\n", "nul.csv": b"question,solution\na\0,b\n",
    "wide.csv": b"," * 1_000_000 + b"\n", "wide-names.csv": ",".join(f"c{n}" for n in range(200_000)).encode() + b"\na\n",
    "binary.csv": bytes(range(256)) * 10, "return.csv": b"question,solution\ra,b\rc\n", "empty.tsv": b"", "x.txt": b"hello",
    "empty.parquet": b"", "text.parquet": b"PAR1", "torn.parquet": b"PAR1" + b"\0" * 100 + b"PAR1",
    "length.parquet": b"PAR1" + b"\xff\xff\xff\x7f" + b"PAR1", "json.parquet": b'{"question": "a"}',
    "empty.jsonl.gz": b"", "text.jsonl.gz": b"hello", "torn.jsonl.gz": gzip.compress(_lines(*_rows()))[:60],
    "header.jsonl.gz": b"\x1f\x8b", "flags.jsonl.gz": b"\x1f\x8b\x08\xff" + b"\0" * 20, "crc.jsonl.gz": gzip.compress(_lines(*_rows()))[:-6] + b"\0" * 6,
    "a.exe": b"MZ", "a.zip": b"PK\x03\x04", "a.xlsx": b"PK\x03\x04", "no-ending": b"hello", "a.pkl": b"\x80\x04N.",
}  # fmt: skip

IDS: list[str] = [
    "", ".", "..", "../escape", "/etc", "a/b", "a\\b", "no-such-run", "-x", "a b", "a\n", NUL, SURROGATE, "x" * 5000, "é", "a.b", "~",
    "%2e%2e", "recorded-nano/", "RECORDED-NANO", "*", "\n", "a;b", "$HOME", "\u202e", "con", "a:b",
]  # fmt: skip

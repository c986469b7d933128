"""150 texts that try to be more than text, and runs whose every text is one of them. A script that runs sets `pwned`."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from patchrl.recordings import folders

RUN = "window.pwned=1"
HTML = [
    f"<script>{RUN}</script>", f"<SCRIPT SRC=data:,{RUN}></SCRIPT>", f"</script><script>{RUN}</script>", f"<scr<script>ipt>{RUN}</script>",
    f"<img src=x onerror={RUN}>", f'"><img src=x onerror={RUN}>', f"'><img src=x onerror={RUN}>", f"<img/src=x/onerror={RUN}>",
    f"<svg onload={RUN}>", f"<svg><script>{RUN}</script></svg>", f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<body onload={RUN}>", f"<iframe srcdoc='<script>parent.{RUN}</script>'>", f"<iframe src='javascript:parent.{RUN}'>",
    f"<input autofocus onfocus={RUN}>", f"<select autofocus onfocus={RUN}>", f"<video><source onerror={RUN}>", f"<audio src=x onerror={RUN}>",
    f"<details open ontoggle={RUN}>", f"<marquee onstart={RUN}>", f"<math><mtext><img src=x onerror={RUN}>", f"<object data='javascript:{RUN}'>",
    f"<embed src='javascript:{RUN}'>", f"<form action='javascript:{RUN}'><button>x", f"<a href='javascript:{RUN}'>x</a>", "<base href='//evil.example/'>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>", "<link rel=stylesheet href=//evil.example/x.css>", "<style>*{display:none}</style>",
    f"<style>@import 'javascript:{RUN}';</style>", f"<div style='background:url(javascript:{RUN})'>x", "<!--", "--><b>x</b>", "]]><b>x</b>", "</textarea><b>x",
    "</title><b>x", "</pre></td></table><h1>x</h1>", "<plaintext>", f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>", "<template><b>x</b></template>",
    f'" onmouseover="{RUN}', f"' autofocus onfocus='{RUN}", f"` onmouseover=`{RUN}`", "&lt;b&gt;", "&#60;b&#62;", "&amp;lt;", f"%3Cscript%3E{RUN}%3C/script%3E",
    f"\\u003cscript\\u003e{RUN}\\u003c/script\\u003e", f"\\x3cimg src=x onerror={RUN}\\x3e", f"<<img src=x onerror={RUN}>>", f"<img src=x onerror={RUN}//", "<b", "</",
]  # fmt: skip
SCRIPTS = [
    f"{RUN}", f"';{RUN};//", f'";{RUN};//', f"`;{RUN};//", f"\\';{RUN};//", f"</script>{RUN}", f"${{{RUN}}}", f"`${{{RUN}}}`", f"{{{{{RUN}}}}}",
    f"{{{{constructor.constructor('{RUN}')()}}}}", "{{{value}}}", "{{#each value}}{{this}}{{/each}}", "{{> partial}}", "{% for x in y %}", "<%= 7*7 %>", "#{7*7}",
    "${7*7}", "{{7*7}}", "{0.__class__}", "%s%n%x", "{{config.items()}}", "__proto__", "constructor", "{\"__proto__\": {\"x\": 1}}", "]}';", "eval('1')",
]  # fmt: skip
MARKDOWN = [
    f"[x](javascript:{RUN})", f"![x](x' onerror='{RUN})", "![x](//evil.example/x.png)", "[x]: //evil.example", "# Title", "- - -", "* item", "> quote", "| a | b |",
    "| a |\n| --- |", "```\ncode\n```", "~~~", "`code`", "**bold** _it_", "~~gone~~", "<https://evil.example>", "@someone #1", "$x^2$", r"\(x\)", "---\nlicense: mit\n---",
    "[ ] task", "[^1]: note", "\\*not\\*", "a  \nb",
]  # fmt: skip
SPREADSHEET = [
    "=1+1", "=cmd|' /C calc'!A0", '=HYPERLINK("http://evil.example","x")', "+1+1", "-1+1", "@SUM(1+1)", "\t=1+1", "\r=1+1", "\n=1+1", "＝1+1", "=IMPORTXML(1)", "=1+1;x",
    "+cmd", "-2+3+cmd|' /C calc'!A0", "%0A=1+1", '","=1+1', '"\n=1+1',
]  # fmt: skip
TERMINAL = [
    "\x1b[31mred", "\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]8;;http://evil.example\x1b\\link", "\x1b[8mhidden", "\x1bc", "\x9b31m", "\x1b[1A\x1b[2Kgone", "a\rb",
    "a\bb", "\a", "\x7f", "\x00", "a\x00b", "\x01\x02\x1f", "\x85", "\x0b\x0c",
]  # fmt: skip
DIRECTION = [
    "\u202egnp.exe", "\u202a\u202b\u202c\u202d", "\u2066\u2067\u2068\u2069", "\u200e\u200f\u061c", "\u200b\u200c\u200d", "\ufeffx", "שלום abc", "x\u2028y\u2029z",
    "\ufff9\ufffb", "a" + "\u0301" * 200,
]  # fmt: skip
NAMES = ["../../etc/passwd", f"javascript:{RUN}", "data:text/html,<b>x"]
PAYLOADS = [*HTML, *SCRIPTS, *MARKDOWN, *SPREADSHEET, *TERMINAL, *DIRECTION, *NAMES]
TEXT_FIELDS = {
    *("question", "expert", "reference", "rewrite", "reason", "extracted", "target", "solution", "text", "answer", "own", "before", "after", "backbone", "dataset"),
}  # fmt: skip


def harmless(text: str) -> str:
    """A text of the same length with its white space, and an x for every other character."""
    return re.sub(r"\S", "x", text)


class Skeleton(HTMLParser):
    """The tags of some HTML with the names of their attributes, and its text; labels count as text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, ...]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))
        self.text += "".join(f" {value} " for name, value in attrs if name in ("aria-label", "title"))

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile_run(runs_dir: Path, run_id: str = "hostile-20260101-000000-aaaa") -> str:
    """A copy of the lab's recording in which every text is a payload, and its name, dataset and columns are; returns its id."""
    run, payloads = runs_dir / run_id, itertools.cycle(PAYLOADS)
    shutil.copytree(
        folders()["recorded-nano"], run, ignore=shutil.ignore_patterns("recording.json", "*prompted*", "*best-of-k*")
    )
    config = json.loads((run / "config.json").read_text())
    config["study"]["arms"] = ["expert", "rl"]
    config["data"] |= {"dataset": HTML[4], "question_column": HTML[0], "config": MARKDOWN[0]}
    config["rewriter"]["instruction"] = "".join(HTML[:8])
    (run / "config.json").write_text(json.dumps(config))
    (run / "name.json").write_text(json.dumps({"name": HTML[4]}))
    for path in (run / "scan.json", run / "result.json"):
        path.write_text(json.dumps(poisoned(json.loads(path.read_text()), payloads)))
    for path in (*run.rglob("*.jsonl"),):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(poisoned(row, payloads)) + "\n" for row in rows))
    return run_id


def poisoned(value: Any, payloads: Iterator[str], key: str = "") -> Any:
    """A JSON value with a payload for every text that a model, a dataset or a person wrote."""
    if isinstance(value, dict):
        return {name: poisoned(part, payloads, name) for name, part in value.items()}
    if isinstance(value, list):
        is_token = len(value) == 3 and isinstance(value[0], str)
        return [next(payloads), *value[1:]] if is_token else [poisoned(part, payloads, key) for part in value]
    return next(payloads) if isinstance(value, str) and key in TEXT_FIELDS else value

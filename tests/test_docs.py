"""README and docs: links lead somewhere, commands and code run as written, settings and arms exist.

A code block is run as its fence says. Words after the language change that:
`slow` starts a study, a smaller one in place of the quick study except on README; `no-run` only checks that the command line
accepts its `patchrl` commands. A command runs on one page: where another page or another test runs it, it is `no-run`.
The blocks of a page run in order in one folder, and its Python blocks share their names.
"""

import contextlib
import doctest
import io
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.small import SMALL

import patchrl
from patchrl.cli.main import parser
from patchrl.config import SECTIONS, apply_overrides, arms, presets, resolve
from patchrl.config.toml import to_toml

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples/nano_lab/README.md"]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]
MAX_LINES, MAX_BYTES = 200, 12_000  # of README
BLOCK = re.compile(r"^```(\w+) ?([\w -]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
SETTING = re.compile(rf"`({'|'.join(SECTIONS)})\.([a-z0-9_]+)[^`]*`")
QUICK_STUDY = re.compile(r"\b(examples/nano-quick\.toml|nano-quick)\b")
LANGUAGES = {"bash", "python", "toml", "text"}


@dataclass(frozen=True)
class Block:
    language: str
    marks: frozenset[str]
    code: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    matches = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(language, frozenset(marks.split()), code) for language, marks, code in matches]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    titles = (re.sub(r"[^\w\- ]", "", title.lower()) for title in HEADING.findall(prose(page)))
    return {title.strip().replace(" ", "-") for title in titles}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def runs(block: Block) -> bool:
    """Whether a block is run."""
    return block.language in ("bash", "python") and "no-run" not in block.marks


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_every_link_leads_somewhere(page):
    for link in LINK.findall(prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        if anchor:
            assert anchor in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_what_it_is(page):
    fences = page.read_text(encoding="utf-8").count("\n```")
    assert fences == 2 * len(blocks(page)), "a fence is open, or names no language"
    for block in blocks(page):
        assert block.language in LANGUAGES and block.marks <= {"slow", "no-run"}


def test_readme_is_short():
    text = (ROOT / "README.md").read_bytes()
    assert text.count(b"\n") <= MAX_LINES and len(text) <= MAX_BYTES


def test_every_picture_is_shown():
    shown = {(page.parent / link).resolve() for page in LINKED for link in LINK.findall(prose(page))}
    assert set((ROOT / "examples/pictures").iterdir()) <= shown


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_every_path_and_module_exists(page):
    for path in re.findall(r"`((?:examples|tests|docs|patchrl)/[\w./-]+)`", prose(page)):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"`python -m ((?:examples|tests)\.[\w.]+)", prose(page)):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
    for name in re.findall(r"`(patchrl\.[\w.]+)`", prose(page)):
        pkgutil.resolve_name(name)


def commands(page: Path) -> Iterator[list[str]]:
    """The arguments of every `patchrl` command in the bash blocks and the inline code of a page."""
    inline = re.findall(r"`((?:python -m )?patchrl [^`]+)`", prose(page))
    for block in blocks(page):
        if block.language == "bash":
            inline += block.code.replace("\\\n", " ").splitlines()
    for line in inline:
        for part in re.split(r"&&|\|", line):
            words = shlex.split(part, comments=True)
            if words[:3] == ["python", "-m", "patchrl"]:
                words = words[2:]
            if words[:1] == ["patchrl"] and words[1:2] != ["COMMAND"]:
                yield words[1:]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_command_line_accepts_every_command(page, capsys):
    for arguments in commands(page):
        try:
            parser().parse_args(arguments)
        except SystemExit as end:
            assert not end.code, f"patchrl {shlex.join(arguments)}: {capsys.readouterr().err}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_setting_exists(page):
    for section, key in SETTING.findall(prose(page)):
        assert key == "toml" or key in SECTIONS[section].model_fields, f"{section}.{key}"
    for block in blocks(page):
        if block.language == "toml":
            resolve(tomllib.loads(block.code))


def test_every_part_of_an_arm_is_described_and_every_described_arm_exists():
    text = (ROOT / "docs/arms.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))
    assert rows == {*arms.SOURCES, *arms.LOSSES, *arms.ON_POLICY, *arms.TUNINGS}
    for example in re.findall(r"`([\w.-]+(?:[+=][\w.-]+)+)`", prose(ROOT / "docs/arms.md")):
        arms.parse(example)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder with the examples in it, a runs folder of its own, and `patchrl` and `python` as commands."""
    folder, tools = tmp_path / "work", tmp_path / "bin"
    folder.mkdir()
    tools.mkdir()
    (folder / "examples").symlink_to(ROOT / "examples")
    config = resolve(apply_overrides(presets()["nano-quick"].values, SMALL))
    (folder / "small.toml").write_text(to_toml(config), encoding="utf-8")
    for name, arguments in (("patchrl", "-m patchrl "), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable} {arguments}"$@"\n')
        (tools / name).chmod(0o755)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATCHRL_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield folder
    for run in patchrl.list_runs():  # those that a block started and left
        if run.status()["state"] in ("queued", "running", "stopping"):
            run.cancel()


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if any(map(runs, blocks(page)))], ids=name_of)
def test_blocks_run_as_written(page, workplace):
    """A `text` block after an unmarked one holds lines of its output; `print(x)  # value` prints the value. Both count up to
    an ellipsis."""
    names: dict = {}
    printed = ""
    for block in blocks(page):
        if block.language == "text" and printed:
            missing = [line for line in block.code.splitlines() if line.partition("…")[0].strip() not in printed]
            assert not missing, f"not in the output: {missing}"
        printed = ""
        if not runs(block):
            continue
        shrunk = "slow" in block.marks and page.name != "README.md"
        code = QUICK_STUDY.sub("small.toml", block.code) if shrunk else block.code
        if block.language == "bash":
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", code], capture_output=True, text=True)
            assert done.returncode == 0, f"{code}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            printed = done.stdout if not block.marks else ""
        elif block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(code, name_of(page), "exec"), names)
            for value in re.findall(r"print\(.*\)\s+# (.+)$", block.code, re.MULTILINE):
                assert value.partition("…")[0].strip() in output.getvalue()


@pytest.mark.parametrize("name", [name for name in patchrl.__all__ if name not in ("__version__", "run")])
def test_every_public_name_has_an_example_that_runs(name, workplace):
    run_examples(name)


@pytest.mark.slow
def test_the_example_of_run_runs(workplace):
    run_examples("run")


def run_examples(name: str) -> None:
    """Run the examples in a public name's docstring."""
    documented = getattr(patchrl, name)
    (examples,) = doctest.DocTestFinder(recurse=False).find(
        documented, name, globs={"patchrl": patchrl, name: documented}
    )
    assert examples.examples, f"patchrl.{name} has no example"
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples).failed == 0


@pytest.mark.parametrize("page", ["README.md", "docs/design.md"])
def test_the_map_names_every_package(page):
    packages = {path.parent.name for path in (ROOT / "patchrl").glob("*/__init__.py")}
    rows = [line for line in (ROOT / page).read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert packages <= {name for row in rows for name in re.findall(r"`(?:patchrl\.)?(\w+)`", row.split("|")[1])}

"""Bad input through every door: one sentence, exit code 2, and nothing is written or started."""

import json

import gradio as gr
import pytest
from helpers import bad_input

from patchrl import api
from patchrl.cli import main
from patchrl.config import SECTIONS, load_config, resolve
from patchrl.data.readers import read_file
from patchrl.errors import ConfigError, DataError, PatchRLError, RunError
from patchrl.jobs import launch
from patchrl.ui.forms import Form

RUN_COMMANDS = (["show"], ["diff", api.RECORDED_ID], ["stop"], ["try"], ["run"], ["fetch"])
OTHER_COMMANDS = [
    [], ["nowhere"], ["run"], ["run", "nano", "--sat", "a"], ["export", api.RECORDED_ID, "exe"], ["push", api.RECORDED_ID, "dataset", "x"],
    ["push", api.RECORDED_ID, "model", "a/b"], ["ui", "--port", "x"], ["ui", "--port", "9" * 6000], ["try", "-k", "1"],
    ["try", "-k", "x"], ["try", "--temperature", "nan"], ["try", "--question", "a"], ["try", "--task", "poetry"], ["try", "--seed", "9" * 6000],
    ["try", "--question", "", "--solution", ""], ["run", "nano", "--set", "steps"], ["run", "nano", "--set", "=1"],
    ["run", "nano", "--set", "rewriter.steps=1\nx=2"], ["run", "nano", "--name", "../x"], ["run", "nano", "--name", "a" * 99],
    ["run", "nano", "--set", "rewriter.steps=" + bad_input.DIGITS], ["run", "nano", "--set", "study.seeds=" + bad_input.DEEP],
    ["report", api.RECORDED_ID, "--json", "--csv"], ["resume", api.RECORDED_ID], ["export", api.RECORDED_ID, "jsonl", "--seed", "7"],
    ["export", api.RECORDED_ID, "jsonl", "--arm", "expert"], ["export", api.RECORDED_ID, "jsonl", "--arm", "../x"],
    ["export", api.RECORDED_ID, "report", "--into", "/dev/null/x"], ["list", "--runs-dir", "a\0b"], ["show", "a" * 999],
    ["run", "nano-quick", "--runs-dir", "/dev/null/x"],
]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch):
    def fail(folder, *args):
        raise AssertionError(f"{folder.id} was started")

    monkeypatch.setattr(launch, "launch", fail)


def assert_refused(arguments, runs_dir, capsys):
    """The command is refused in at most three lines, with exit code 2, and leaves no run."""
    try:
        code = main.main(arguments)
    except SystemExit as exit:
        code = exit.code
    error = capsys.readouterr().err.strip()
    assert code == 2, (arguments, code, error)
    assert 1 <= len(error.splitlines()) <= 3 and len(error) < 2000, (arguments, error)
    assert not runs_dir.exists() or not list(runs_dir.iterdir()), arguments


ON_DISK = {"backbone.model", "data.dataset", "data.question_column", "reward.embedder"} | {
    "evaluate.target", "evaluate.general", "evaluate.tasks_folder"
}  # fmt: skip


def refused(name, value):
    """The sentence that refuses a setting; None where its value alone tells nothing."""
    section, _, key = name.partition(".")
    try:
        resolve({section: {key: value}})
    except ConfigError as error:
        return str(error)


def test_no_setting_takes_a_value_that_cannot_work():
    assert len(bad_input.SETTINGS) > 300
    for name, value in bad_input.SETTINGS:
        sentence = refused(name, value)
        assert sentence or name in ON_DISK, f"{name} = {value!r:.60} was taken"
        assert sentence is None or (len(sentence) < 1500 and len(sentence.splitlines()) == 1)


@pytest.mark.slow
def test_names_of_what_is_not_on_disk_are_refused_before_a_start():
    for name, value in bad_input.SETTINGS:
        section, _, key = name.partition(".")
        if not refused(name, value):
            with pytest.raises(PatchRLError):
                api.require_ready(resolve({section: {key: value}}))
                pytest.fail(f"{name} = {value!r:.60} would start")


def test_the_form_refuses_what_a_config_refuses():
    form = Form(resolve({}))
    with gr.Blocks():
        for section in SECTIONS:
            for key in form.left(section):
                form.field(section, key)
    shown = dict(zip(form.widgets, form.values(resolve({})), strict=True))
    for name, value in bad_input.SETTINGS:
        section, _, key = name.partition(".")
        if (section, key) in form.widgets and (isinstance(value, bool) or value in (bad_input.HUGE, bad_input.NUL)):
            with pytest.raises(ConfigError):
                form.config(list((shown | {(section, key): value}).values()))
                pytest.fail(f"{name} = {value!r:.60} was taken")


def test_malformed_config_files(tmp_path, runs_dir, capsys):
    for name, data in bad_input.CONFIG_FILES.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert_refused(["run", str(path)], runs_dir, capsys)
        with pytest.raises(ConfigError):
            load_config(path)


def test_malformed_data_files(tmp_path, runs_dir):
    for name, data in bad_input.DATA_FILES.items():
        path = tmp_path / name
        path.write_bytes(data)
        report = api.check(resolve({"data": {"dataset": str(path)}}))
        assert report["problems"], name
        assert all(len(text) < 1000 and len(text.splitlines()) == 1 for text in report["problems"]), name


def test_ids_that_are_none(runs_dir, capsys):
    for run_id in bad_input.IDS:
        for command in RUN_COMMANDS:
            assert_refused([*command, "--", run_id], runs_dir, capsys)
        with pytest.raises(RunError):
            api.open_run(run_id)


@pytest.mark.parametrize("arguments", OTHER_COMMANDS, ids=lambda arguments: " ".join(arguments)[:50].replace("\0", "0"))
def test_commands_that_cannot_be_done(arguments, runs_dir, capsys):
    assert_refused(arguments, runs_dir, capsys)


def test_a_folder_with_a_config_and_no_weights_is_no_embedder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    problems = api.check(resolve({"reward": {"embedder": str(tmp_path)}}))["problems"]
    assert any("has no model" in problem for problem in problems)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("long-texts.parquet", lambda: bad_input.parquet_bomb(40, 1000)),
        ("rows.jsonl.gz", lambda: bad_input.gzip_bomb(b"", b'{"question": "a"}\n', 400)),
        ("lists.json.gz", lambda: bad_input.gzip_bomb(b"[", b"[],", 190)),
        ("numbers.json.gz", lambda: bad_input.gzip_bomb(b"[", b"1,", 190)),
        ("brackets.json.gz", lambda: bad_input.gzip_bomb(b"", b"[", 190)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_decompression_bomb_is_refused(name, make, tmp_path):
    path = tmp_path / name
    path.write_bytes(make())
    assert path.stat().st_size < 2**22
    with pytest.raises(DataError, match="give a smaller file"):
        sum(1 for _ in read_file(path))

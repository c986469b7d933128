import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers import small
from helpers.loopback import TOKEN
from helpers.synthetic import GrowingRun

from patchrl import api
from patchrl.cli import main
from patchrl.cli.terminal import Progress
from patchrl.config import resolve
from patchrl.runs.folder import RunFolder

ROOT = Path(__file__).parents[2]
QUICK = str(ROOT / "examples" / "nano-quick.toml")


def patchrl(*arguments, runs_dir, **kwargs):
    command = [sys.executable, "-m", "patchrl", *arguments, "--runs-dir", str(runs_dir)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, **kwargs)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """One real study with two steps, run as a person would."""
    runs_dir = tmp_path_factory.mktemp("runs")
    return runs_dir, patchrl(
        "run", QUICK, "--name", "first", *small.options("rewriter.steps=2", "finetune.batch_size=2"), runs_dir=runs_dir
    )


@pytest.mark.slow
def test_run_ends_with_a_table_every_arm_and_the_time(quick):
    _, done = quick
    assert done.returncode == 0, done.stderr
    for text in ("Backbone", "Expert (plain SFT)", "RL rewrite (PatchRL)", "Time: scan", "report "):
        assert text in done.stdout


@pytest.mark.slow
def test_result_holds_what_its_readers_are_promised(quick):
    runs_dir, _ = quick
    (folder,) = [p for p in runs_dir.iterdir() if p.name.startswith("first-")]
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert {"version", "backbone", "dataset", "seeds", "base", "arms", "curve"} <= result.keys()
    assert result["version"] == 1
    assert {"target", "general", "by_task"} <= result["base"].keys()
    for arm in result["arms"].values():
        assert {"target", "general", "forgetting", "data", "no_answer", "cost"} <= arm.keys()
        assert {"mean", "per_seed", "ci95"} <= arm["target"].keys()
        assert {"absolute", "relative", "share_avoided", "ci95"} <= arm["forgetting"].keys()
        assert {"nll", "diversity", "accepted"} <= arm["data"].keys()
        assert {"seconds", "tokens"} <= arm["cost"].keys()
    assert [point["step"] for point in result["curve"]] == [1, 2]
    for name in ("config.json", "status.json", "events.jsonl", "log.txt", "report.html", "samples", "adapter", "arms"):
        assert (folder / name).exists()
    samples = (folder / "samples" / "rl-seed0.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(samples) == 16


@pytest.mark.slow
def test_list_show_and_tail_know_the_run(quick):
    runs_dir, _ = quick
    listed = patchrl("list", runs_dir=runs_dir)
    run_id = listed.stdout.splitlines()[2].split()[0]
    assert run_id.startswith("first-")
    shown = json.loads(patchrl("show", run_id, "--json", runs_dir=runs_dir).stdout)
    assert shown["status"]["state"] == "done"
    events = [json.loads(line) for line in patchrl("tail", run_id, "-f", runs_dir=runs_dir).stdout.splitlines()]
    assert {"stage", "scan", "train", "group", "rewrite", "finetune", "evaluation"} <= {e["kind"] for e in events}


@pytest.mark.slow
def test_a_trained_run_is_exported_and_pushed(quick, fake_hub, tmp_path):
    runs_dir, _ = quick
    run_id = patchrl("list", runs_dir=runs_dir).stdout.splitlines()[2].split()[0]
    for kind, ending in (("jsonl", ".jsonl"), ("adapter", ".zip"), ("csv", ".csv")):
        done = patchrl("export", run_id, kind, "--into", str(tmp_path / "home"), runs_dir=runs_dir)
        assert done.returncode == 0 and Path(done.stdout.strip()).suffix == ending, done.stderr
    with zipfile.ZipFile(next((tmp_path / "home").glob("*.zip"))) as adapter:
        assert set(adapter.namelist()) == {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    env = os.environ | {"HF_ENDPOINT": fake_hub.url, "HF_HUB_OFFLINE": "0", "HF_TOKEN": TOKEN}
    for kind, of in (("dataset", "dataset"), ("adapter", "model")):
        done = patchrl("push", run_id, kind, f"alice/{kind}", "--seed", "0", runs_dir=runs_dir, env=env)
        assert done.returncode == 0 and done.stdout.strip().endswith(f"alice/{kind}"), done.stderr
        assert fake_hub.repos[of, f"alice/{kind}"]["private"]
        card = (fake_hub.files(of, f"alice/{kind}", tmp_path / kind) / "README.md").read_text(encoding="utf-8")
        assert "Expert (plain SFT)" in card and "16: " in card
    public = patchrl("push", run_id, "dataset", "alice/dataset", "--public", runs_dir=runs_dir, env=env)
    assert public.returncode == 2 and "exists and is private" in public.stderr and "Traceback" not in public.stderr
    everything = [path.read_bytes() for path in runs_dir.rglob("*") if path.is_file()]
    assert not any(TOKEN.encode() in data for data in everything)


@pytest.mark.slow
def test_a_finished_run_resumes_into_nothing_to_do(quick):
    runs_dir, _ = quick
    run_id = patchrl("list", runs_dir=runs_dir).stdout.splitlines()[2].split()[0]
    again = patchrl("report", run_id, runs_dir=runs_dir)
    assert again.returncode == 0, again.stderr
    assert "report " in again.stdout


def test_check_as_json_names_rows_and_problems(tmp_path):
    done = patchrl("check", QUICK, "--json", runs_dir=tmp_path)
    report = json.loads(done.stdout)
    assert report["ok"]
    assert report["rows"] == {"train": 64, "eval": 40}
    bad = patchrl("check", QUICK, "--json", "--set", "data.dataset=missing.jsonl", runs_dir=tmp_path)
    assert bad.returncode == 2
    assert "missing.jsonl" in json.loads(bad.stdout)["problems"][0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "missing.toml"], "missing.toml"),
        (["run", QUICK, "--set", "rewriter.stepps=3"], "rewriter.stepps"),
        (["run", QUICK, "--set", "rewriter.steps=0"], "rewriter.steps"),
        (["run", QUICK, "--set", "steps"], "section.key=value"),
        (["run", QUICK, "--set", "backbone.model=./nowhere"], "nowhere"),
        (["show", "no-such-run"], "no-such-run"),
        (["stop", "../escape"], "escape"),
    ],
)
def test_wrong_use_is_one_sentence_and_leaves_nothing_behind(arguments, words, tmp_path, capsys):
    assert main.main([*arguments, "--runs-dir", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_training_step_says_whose_it_is_and_what_the_reward_does_not_see(capsys):
    step = {"kind": "train", "seed": 1, "step": 10, "reward": 1.1, "consistency": 0.98, "nll": 0.5}
    Progress().event(step | {"rewriter": "rl-paper", "own_style_share": 0.02, "own_distance": 0.6})
    Progress().event(step | {"own_style_share": None})
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == (
        "  rl-paper seed 1 step 10: reward 1.100, gate 98 %, ℓ 0.500; outside the reward: as likely as own answers 2 %, "
        "distance to their wording 0.60"
    )
    assert shown[1].startswith("  rl seed 1 step 10:") and shown[1].endswith(
        "own answers –, distance to their wording –"
    )


def test_show_repeats_the_warnings_of_a_run(tmp_path, capsys):
    folder = RunFolder.create(tmp_path, resolve({}))
    events = [{"t": 1.0, "kind": "message", "level": level, "text": f"a {level}"} for level in ("info", "warning")]
    folder.events.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    assert main.main(["show", folder.path.name, "--runs-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "warning: a warning" in shown and "a info" not in shown


def test_settings_lists_the_basic_ones_first_within_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert main.main(["settings"]) == 0
    out = capsys.readouterr().out
    basic, advanced = out.split("# Advanced settings")
    for name in ("rewriter.group_size", "reward.kind", "finetune.learning_rate", "evaluate.general"):
        assert f"\n{name} = " in basic and f"\n{name} = " not in advanced
    assert len(re.findall(r"^\w+\.\w+ = ", basic, re.M)) <= 25
    assert 'reward.alignment = "kl"\n    How closeness' in advanced and max(map(len, out.splitlines())) <= 100


def test_arms_lists_sources_losses_and_tunings_with_their_numbers(capsys):
    assert main.main(["arms"]) == 0
    out = capsys.readouterr().out
    for text in ("mind-the-gap", "arXiv 2509.15157", "eaft", "wise-ft", "=0.5 (α)"):
        assert text in out


@pytest.mark.slow
def test_try_prints_a_group_with_every_reward(runs_dir):
    done = patchrl("try", "-k", "3", "--json", runs_dir=runs_dir)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    group = next(event for event in events if event["kind"] == "group")
    assert len(group["candidates"]) == 3 and events[-1]["kind"] == "done"


@pytest.mark.slow
def test_try_lets_a_runs_rewriter_write_too_and_takes_a_typed_question(quick):
    runs_dir, _ = quick
    run_id = next(p.name for p in runs_dir.iterdir() if p.name.startswith("first-"))
    typed = ["--question", "2 + 2?", "--solution", "2 + 2 = 4. The answer is 4."]
    done = patchrl("try", run_id, "-k", "2", *typed, runs_dir=runs_dir)
    assert "Backbone, prompted" in done.stdout and "Rewriter of seed 0" in done.stdout, done.stderr
    assert done.stdout.count("alignment") == 4 and "answer    4" in done.stdout


def test_try_without_a_solution_is_refused(runs_dir):
    done = patchrl("try", "--question", "2 + 2?", runs_dir=runs_dir)
    assert done.returncode == 2 and "give both --question and --solution" in done.stderr


def test_diff_names_the_settings_in_which_two_runs_differ(runs_dir, capsys):
    first, second = GrowingRun(runs_dir, "first", seeds=(0,)), GrowingRun(runs_dir, "second", seeds=(0, 1))
    assert main.main(["diff", first.id, second.id]) == 0
    shown = capsys.readouterr().out
    assert "study.seeds" in shown
    assert "[0, 1]" in shown
    assert main.main(["diff", first.id, first.id]) == 0
    assert "same settings" in capsys.readouterr().out


@pytest.mark.slow
def test_a_finished_run_is_printed_as_json_csv_and_latex(quick):
    runs_dir, _ = quick
    run_id = patchrl("list", runs_dir=runs_dir).stdout.splitlines()[2].split()[0]
    (folder,) = [p for p in runs_dir.iterdir() if p.name == run_id]
    printed = {
        kind: patchrl("report", run_id, f"--{kind}", runs_dir=runs_dir).stdout for kind in ("json", "csv", "latex")
    }
    assert json.loads(printed["json"]) == json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert printed["csv"] == (folder / "result.csv").read_text(encoding="utf-8") and "rl,0.001,target" in printed["csv"]
    assert r"\toprule" in printed["latex"] and "RL rewrite" in printed["latex"]


def test_a_table_of_an_unfinished_run_is_one_sentence(runs_dir, capsys):
    run = GrowingRun(runs_dir)
    assert main.main(["report", run.id, "--latex", "--runs-dir", str(runs_dir)]) == 2
    assert "has no results yet" in capsys.readouterr().err


@pytest.mark.slow
def test_a_bare_file_is_scanned_and_its_findings_are_printed(tmp_path, runs_dir):
    from patchrl.nano import world

    rows = [{"question": e.question, "solution": e.solution} for e in world.downstream_examples("foreign", 24)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    done = patchrl("scan", str(tmp_path / "mine.jsonl"), "--set", "data.eval_size=8", runs_dir=runs_dir)
    assert done.returncode == 0, done.stderr
    for text in ("standard deviations apart", "let n denote the tally", "The tokens that make the gap"):
        assert text in done.stdout


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_a_bar_on_a_terminal_and_one_line_a_stage_elsewhere(terminal, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    view = Progress()
    queued = {
        "state": "queued",
        "queued_behind": ["first"],
        "stage": None,
        "arm": None,
        "seed": None,
        "total": 0,
        "done": 0,
    }
    for _ in range(2):
        view.status(queued)
    assert capsys.readouterr().err.count("queued behind first; it starts by itself") == 1
    running = {"state": "running", "stage": "train", "seed": 0, "total": 40, "done": 3, "study_eta_seconds": 600.0}
    for done in (3, 4):
        view.status(queued | running | {"queued_behind": [], "done": done})
    view.close()
    text = capsys.readouterr().err
    assert ("about 10 minutes left of the study" in text) == terminal
    assert terminal or text == "train seed 0\n"


def test_queue_is_passed_on(runs_dir, monkeypatch, capsys):
    requests = []
    run = GrowingRun(runs_dir)
    monkeypatch.setattr(api, "start", lambda config, queue, **_: requests.append(queue) or api.open_run(run.id))
    assert main.main(["run", QUICK, "--queue", "--detach"]) == 0
    assert main.main(["run", QUICK, "--detach"]) == 0
    assert requests == [True, False]


def test_a_folder_without_runs_is_named(tmp_path, capsys):
    assert main.main(["list", "--runs-dir", str(tmp_path)]) == 0
    assert f"No runs in {tmp_path} yet" in capsys.readouterr().out


def test_check_takes_rows_and_settings_alike(tmp_path, capsys):
    rows = [{"question": f"What is {n} + 1?", "answer": f"It is {n + 1}. #### {n + 1}"} for n in range(40)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "config.json").write_text(json.dumps({"data": {"dataset": str(tmp_path / "rows.json")}}))
    (tmp_path / "rows.csv").write_bytes("question,answer\n".encode("utf-16"))
    for name in ("rows.json", "config.json"):
        assert main.main(["check", str(tmp_path / name)]) == 0, name
        assert "math" in capsys.readouterr().out
    for name, said in (("rows.csv", "has no rows"), ("gone.jsonl", "gone.jsonl: No such file")):
        assert main.main(["check", str(tmp_path / name)]) != 0
        shown = capsys.readouterr()
        assert said in shown.out + shown.err
    assert main.main(["scan", str(tmp_path / "gone.jsonl")]) != 0
    assert "gone.jsonl: No such file" in capsys.readouterr().err

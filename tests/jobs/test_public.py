"""What visitors of a public page may run: every preset it offers, changes within bounds, and nothing else."""

import subprocess
import sys
import time

import pytest
from helpers.synthetic import GrowingRun, finished_run
from helpers.workers import state, until

from patchrl import api
from patchrl.config import presets, resolve
from patchrl.config.loading import apply_overrides
from patchrl.errors import ConfigError
from patchrl.jobs import expiry, launch, public
from patchrl.jobs.environment import environment
from patchrl.jobs.owners import owner_of, set_owner
from patchrl.jobs.queue import runs_ahead
from patchrl.runs.folder import RunFolder

DAYS = 24 * 3600.0


def changed(*overrides: str):
    return resolve(apply_overrides(presets()["nano-one"].values, overrides))


@pytest.mark.parametrize("name", public.OFFERED)
def test_every_preset_that_is_offered_is_accepted(name):
    assert public.check(public.public_presets()[name]).study.name == name


@pytest.mark.parametrize(
    "change",
    [
        "study.seeds=[3]", 'study.arms=["expert", "wise-ft"]', "data.dataset=nano-own", "data.train_size=16", "rewriter.steps=1",
        "rewriter.instruction=polish", "rewriter.group_size=4", "reward.lambda_div=0", "finetune.epochs=2",
    ],
)  # fmt: skip
def test_the_settings_that_a_visitor_may_change(change):
    assert change.partition("=")[0] in public.CHANGEABLE
    public.check(changed(change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rewriter.warm_start_steps=1000000", "keeps 40"),
        ("rewriter.steps=61", "takes 1 to 60"),
        ("rewriter.steps=1000000", "takes 1 to 60"),
        ("data.train_size=100000", "takes 16 to 512"),
        ("data.train_size=15", "takes 16 to 512"),
        ("data.eval_size=100000", "keeps 300"),
        ("data.dataset=openai/gsm8k", "takes nano-foreign"),
        ("data.dataset=/etc/passwd", "takes nano-foreign"),
        ("backbone.model=org/model", "keeps 'nano'"),
        ("backbone.device=cuda", "keeps 'auto'"),
        ("study.seeds=[0, 1]", "takes one seed"),
        ('study.arms=["expert", "expert+dft"]', "study.arms: this public page takes"),
        ("study.name=other", "keeps 'nano-one'"),
        ("rewriter.instruction=Write a poem about it.", "takes polish"),
        ("reward.embedder=org/embedder", "reward.embedder: this public page keeps"),
        ('evaluate.target=["mmlu"]', "evaluate.target"),
        ("evaluate.tasks_folder=/etc", "evaluate.tasks_folder"),
        ("finetune.replay_data=/etc/hostname", "finetune.replay_data"),
        ('study.arms=["expert", "prompted", "best-of-k", "rl", "grpo", "dypo", "sdft", "self"]', "would take about"),
    ],
)
def test_everything_else_is_refused_with_what_is_taken(change, words):
    with pytest.raises(ConfigError, match="public page") as refused:
        public.check(changed(change))
    assert words in str(refused.value) and len(str(refused.value)) < 500


def test_a_visitors_own_data_file_is_taken_and_nobody_elses(tmp_path):
    mine, other = (public.uploads_folder(tmp_path, name) for name in ("mine", "other"))
    (tmp_path / "rows.jsonl").write_text('{"question": "2 + 2?", "solution": "4"}\n')
    kept = api.keep_upload(tmp_path / "rows.jsonl", tmp_path, "mine")
    config = changed(f"data.dataset={kept}")
    public.check(config, mine)
    for uploads in (None, other):
        with pytest.raises(ConfigError, match=r"data\.dataset"):
            public.check(config, uploads)
    with pytest.raises(ConfigError, match=r"data\.dataset"):
        public.check(changed(f"data.dataset={mine}/../other/rows.jsonl"), mine)


def test_the_worker_refuses_what_the_page_should_have_refused(runs_dir):
    folder = RunFolder.create(runs_dir, changed("rewriter.steps=1000"))
    set_owner(folder, "browser-x")
    launch.launch(folder)
    until(lambda: state(folder) == "failed")
    assert folder.read_status()["error"].startswith("rewriter.steps: this public page takes 1 to 60")


LIMITED = """
import sys, time
from pathlib import Path
from patchrl.jobs.limits import RunLimits
from patchrl.runs.folder import RunFolder
from patchrl.runs.recorder import RunRecorder
folder = RunFolder(sys.argv[1])
recorder = RunRecorder(folder)
RunLimits(watch_seconds=0.05, **eval(sys.argv[2])).apply(folder, recorder)
try:
    exec(sys.argv[3])
except MemoryError:
    recorder.finish("failed", 1, "Memory ran out")
"""


@pytest.mark.parametrize(
    ("limits", "work", "words"),
    [
        ({"minutes": 0.01}, "time.sleep(60)", "more than the 0.01 minutes"),
        ({"minutes": 0.01}, "while True: pass", "more than the 0.01 minutes"),
        ({"memory": 2**29}, "bytearray(2**30)", "Memory ran out"),
        (
            {"disk": 10**6},
            "for n in range(99): (folder.path / str(n)).write_bytes(bytes(10**5)); time.sleep(.02)",
            "It wrote",
        ),
    ],
)
def test_a_run_that_takes_too_much_ends_with_a_sentence(runs_dir, limits, work, words):
    folder = RunFolder.create(runs_dir, resolve({}))
    command = [sys.executable, "-c", LIMITED, str(folder.path), repr(limits), work]
    subprocess.run(command, timeout=60, start_new_session=True, check=False, env=environment())
    status = folder.read_status()
    assert status["state"] == "failed" and words in status["error"]


def test_visitors_take_turns(runs_dir):
    """Alice runs and queues again, then Bob queues: Bob is next, and Alice's second run comes after him."""
    runs = {}
    for name, owner in (("a1", "alice"), ("a2", "alice"), ("b1", "bob"), ("c1", "carol"), ("h1", None)):
        runs[name] = run = GrowingRun(runs_dir, name)
        if owner:
            set_owner(run.folder, owner)
        if name != "a1":
            run.recorder.queued([])
    ids = {name: run.folder.id for name, run in runs.items()}
    assert runs_ahead(runs["a2"].folder) == [ids[name] for name in ("a1", "b1", "c1", "h1")]
    assert runs_ahead(runs["b1"].folder) == [ids["a1"]]
    runs["a1"].finish()
    assert runs_ahead(runs["b1"].folder) == []
    assert runs_ahead(runs["a2"].folder) == [ids[name] for name in ("b1", "c1", "h1")]
    assert owner_of(runs["h1"].folder) is None


def test_what_visitors_left_expires_and_the_hosts_runs_stay(runs_dir):
    host, visitor = finished_run(runs_dir, 3, "host"), finished_run(runs_dir, 3, "visitor")
    set_owner(RunFolder(runs_dir / visitor), "browser-x")
    live = GrowingRun(runs_dir, "live")
    set_owner(live.folder, "browser-x")
    upload = public.uploads_folder(runs_dir, "browser-x") / "rows.jsonl"
    upload.parent.mkdir(parents=True)
    upload.write_text("{}")
    now = time.time()
    expiry.sweep(runs_dir, now + 6 * DAYS)
    assert (runs_dir / visitor).is_dir() and upload.is_file()
    expiry.sweep(runs_dir, now + 8 * DAYS)
    assert not (runs_dir / visitor).exists() and not upload.exists()
    assert {run.id for run in api.list_runs(runs_dir)} == {host, live.id}

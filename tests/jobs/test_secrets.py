"""Secrets of the server's environment: they reach no worker, file, log, card, page or process list; a Hub token is handed over."""

import json
import os

import psutil
import pytest
from helpers.loopback import LoopbackHub
from helpers.small import SMALL
from helpers.visitors import Browser, serve
from helpers.workers import state, until

from patchrl import api
from patchrl.config import load_config, presets, resolve
from patchrl.config.loading import apply_overrides
from patchrl.errors import ConfigError
from patchrl.jobs import launch, public
from patchrl.jobs.environment import environment, is_passed_on, server_token
from patchrl.jobs.owners import set_owner
from patchrl.models.engines.interface import TOKEN_VARIABLE
from patchrl.models.hub_access import hand_over, hub_access
from patchrl.runs.folder import RunFolder

SECRETS = {
    name: f"canary-{number}-of-the-tests"
    for number, name in enumerate(
        ("HF_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "GITHUB_TOKEN", "OAUTH_CLIENT_SECRET")
    )
}


@pytest.fixture
def secrets(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return [value.encode() for value in SECRETS.values()]


@pytest.mark.parametrize(
    ("name", "passed"),
    [
        ("PATH", True), ("HOME", True), ("LC_ALL", True), ("OMP_NUM_THREADS", True), ("HF_HUB_OFFLINE", True), ("https_proxy", True),
        ("TOKENIZERS_PARALLELISM", True), ("CUDA_VISIBLE_DEVICES", True), ("XDG_CACHE_HOME", True), ("WORLD_SIZE", True),
        ("HF_TOKEN", False), ("HF_HUB_TOKEN", False), ("PYTHON_SECRET", False), ("PATCHRL_PASSWORD", False),
        ("PATCHRL_ADMIN_TOKEN", False), ("DATABASE_URL", False), ("ANYTHING_ELSE", False), ("SSH_AUTH_SOCK", False),
    ],
)  # fmt: skip
def test_a_worker_gets_what_it_needs_and_nothing_else(name, passed):
    assert is_passed_on(name) is passed


def test_a_token_for_servers_reaches_workers_of_the_host_only(monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "canary")
    assert server_token() == {TOKEN_VARIABLE: "canary"}
    assert TOKEN_VARIABLE not in environment() and not is_passed_on(TOKEN_VARIABLE)
    with pytest.raises(ConfigError, match=r"engine\.url: this public page keeps"):
        public.check(load_config("nano-one", ["study.seeds=[0]", "engine.url=http://10.0.0.1:8000"]))


def test_a_token_is_there_while_something_loads_and_gone_after(monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    hand_over("canary")
    try:
        with pytest.raises(OSError), hub_access():
            assert os.environ["HF_TOKEN"] == "canary"
            raise OSError("no such model")
        assert "HF_TOKEN" not in os.environ
    finally:
        hand_over("")
    with hub_access():
        assert "HF_TOKEN" not in os.environ


@pytest.mark.slow
@pytest.mark.parametrize("owner", [None, "browser-x"])
def test_a_gated_model_is_loaded_with_the_hosts_token_and_never_for_a_visitor(
    runs_dir, monkeypatch, tmp_path, secrets, owner
):
    gate = LoopbackHub()
    monkeypatch.setenv("HF_ENDPOINT", gate.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    folder = RunFolder.create(runs_dir, resolve({"backbone": {"model": "org/gated"}}))
    if owner:
        set_owner(folder, owner)
    launch.launch(folder, "scan")
    until(lambda: state(folder) == "failed", 120)
    tokens = {token for path, token in gate.asked if "org/gated" in path}
    gate.close()
    assert tokens == (set() if owner else {SECRETS["HF_TOKEN"]})
    assert not [path for path in runs_dir.rglob("*") if path.is_file() and any(s in path.read_bytes() for s in secrets)]


@pytest.mark.slow
def test_no_secret_of_the_server_is_in_any_file_page_card_or_process(runs_dir, tmp_path, secrets):
    run = api.start(resolve(apply_overrides(presets()["nano-quick"].values, SMALL)), runs_dir)
    processes: set[str] = set()
    while run.wait(0.5)["state"] in ("queued", "running"):
        for child in psutil.Process().children(recursive=True):
            try:
                processes.add(json.dumps([child.cmdline(), child.environ()]))
            except psutil.Error:
                continue
    assert run.status()["state"] == "done" and processes
    found = [text for text in processes if any(secret.decode() in text for secret in secrets)]
    for kind in ("report", "json", "csv", "latex", "jsonl", "parquet", "adapter"):
        run.export(kind, tmp_path / "exports")
    demo, url = serve(runs_dir)
    browser = Browser(url)
    pages = [browser.visit().text, json.dumps(browser.config())]
    update = next(f for f in browser.config()["dependencies"] if f["api_name"] == "update")
    parts = {part["id"]: part["props"] for part in browser.config()["components"]}
    inputs = [run.id if parts[n].get("elem_id") == "run" else parts[n].get("value") for n in update["inputs"]]
    pages.append(browser.call(update["id"], inputs))
    demo.close()
    assert run.id in pages[-1]
    texts = [*pages, *run.log_tail(1000)]
    found += [text for text in texts if any(secret.decode() in text for secret in secrets)]
    files = [path for folder in (runs_dir, tmp_path) for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    found += [str(path) for path in files if any(secret in path.read_bytes() for secret in secrets)]
    assert not found
    assert not set(SECRETS) & set(environment())

"""A public page over raw HTTP: every function that its config lists, called by nobody, by another visitor and by the owner."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers.predictions import add_answers
from helpers.synthetic import finished_run
from helpers.visitors import Browser, serve
from starlette.requests import Request

from patchrl import api
from patchrl.errors import ConfigError
from patchrl.jobs import launch
from patchrl.jobs.owners import HOST, set_owner
from patchrl.runs.folder import RunFolder
from patchrl.ui.visitors import Cookies

pytestmark = pytest.mark.slow

CANARY, CONFIG_CANARY = "Vera has", "victims-column"  # in every row of the run, and in its settings
ADMIN_TOKEN = "an-admin-token-for-the-tests"
# What the server may look at for any visitor's start: whose a run is, whether it is going on, and why not.
SHARED_FILES = {"owner.json", "status.json", "log.txt"}
resumed: list[str] = []
opened: list[Path] = []  # files that this process opened
sys.addaudithook(
    lambda event, args: opened.append(Path(args[0])) if event == "open" and isinstance(args[0], (str, Path)) else None
)


class Victim:
    """A visitor's run: it has results, and goes on."""

    def __init__(self, runs_dir: Path, owner: str) -> None:
        self.run = RunFolder.find(runs_dir, finished_run(runs_dir, 10, "victims-study"))
        add_answers(self.run, 3, CANARY)
        self.run.report.write_text(CANARY)
        self.run.log.write_text(CANARY)
        config = self.run.read_json(self.run.config)
        self.run.write_json(self.run.config, config | {"data": config["data"] | {"question_column": CONFIG_CANARY}})
        self.worker = subprocess.Popen(["sleep", "600"], start_new_session=True)
        process = {"pid": self.worker.pid, "pid_started": psutil.Process(self.worker.pid).create_time()}
        status = {"state": "running", "finished": None, "exit_code": None}
        self.run.write_json(self.run.status, self.run.read_status() | process | status)
        set_owner(self.run, owner)

    def touched(self) -> set[str]:
        """Names of the run's files that this process opened since the last look."""
        paths, opened[:] = list(opened), []
        return {path.name for path in paths if self.run.path in path.parents}

    def contents(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.run.path.rglob("*") if path.is_file()}

    def restore(self, contents: dict[Path, bytes]) -> None:
        for path in set(self.contents()) - set(contents):
            path.unlink()
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A public page; no worker and no playground process starts."""
    runs_dir = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:

        def start(config, runs_dir, upto, queue, owner):
            folder = RunFolder.create(runs_dir, config)
            set_owner(folder, owner)
            return api.Run(folder)

        def answer(self, request, config, thresholds=None):
            reply = api.Answer(1, request)
            reply.put("done")
            return reply

        patch.setattr(api, "start", start)
        patch.setattr(launch, "launch", lambda folder, upto, queue, webhook: resumed.append(folder.id))
        patch.setattr(api.Playground, "_enqueue", answer)
        patch.setenv("PATCHRL_ADMIN_TOKEN", ADMIN_TOKEN)
        patch.delenv("SPACE_ID", raising=False)
        demo, url = serve(runs_dir, public=True)
        yield runs_dir, url
        demo.close()


@pytest.fixture
def owner(page):
    browser = Browser(page[1])
    browser.visit()
    return browser


@pytest.fixture
def victim(page, owner):
    made = Victim(page[0], owner.id)
    yield made
    made.worker.kill()
    made.worker.wait()


def calls(config: dict, run_id: str) -> dict[int, list]:
    """The inputs of every function as the page opens, with a run chosen."""
    parts = {part["id"]: part["props"] for part in config["components"]}

    def value(number: int):
        return run_id if parts[number].get("elem_id") == "run" else parts[number].get("value")

    return {f["id"]: [value(number) for number in f["inputs"]] for f in config["dependencies"] if f["backend_fn"]}


def server_functions(config: dict):
    for part in config["components"]:
        for name in part["props"].get("server_fns") or ():
            yield part["id"], name


def everything(browser: Browser, victim: Victim, config: dict, but: str = "") -> dict[str, str]:
    """What each function, `but` one, answers when it is called about the victim's run."""
    names = {function["id"]: function["api_name"] for function in config["dependencies"]}
    inputs = calls(config, victim.run.id)
    answers = dict(zip([names[number] for number in inputs], browser.call_all(list(inputs.items())), strict=True))
    for part, name in server_functions(config):
        if name != but:  # two tables have functions of the same names
            key = name if name not in answers else f"another {name}"
            answers[key] = browser.serve(part, name, query(victim))
    return answers


def query(victim: Victim) -> dict:
    """What a script of the page may ask of the server, about the victim's run."""
    row = {
        "run": victim.run.id,
        "arm": "rl",
        "seed": 0,
        "start": 0,
        "count": 5,
        "row": "row00001",
        "question": "general/add/add-1",
    }
    return row | {"runs": [victim.run.id, api.RECORDED_ID], "name": "renamed"}


def test_no_function_of_the_page_reads_changes_or_names_anybody_elses_run(page, owner, victim):
    config = owner.config()
    before = victim.contents()
    # First, so that what the server keeps in memory is tried too.
    shown = everything(owner, victim, config, but="delete_run")
    assert all(CANARY in shown[name] for name in ("read_page", "read_row", "another read_page", "another read_row"))
    assert all(CONFIG_CANARY in shown[name] for name in ("update", "copy", "compare_runs"))
    assert ".html" in shown["prepare"] and victim.run.id in shown["read_runs"]
    assert victim.run.read_status()["state"] == "cancelled" and victim.run.stop_flag.exists()
    assert victim.run.read_name() == "renamed"
    part = next(part for part, name in server_functions(config) if name == "delete_run")
    assert owner.serve(part, "delete_run", query(victim)) == '""' and not victim.run.path.exists()
    resumed.clear()
    victim.restore(before)
    assert victim.touched() >= {"config.json", "events.jsonl", "status.json"}
    nobody, stranger = Browser(page[1]), Browser(page[1])
    stranger.visit()
    for visitor in (nobody, stranger):
        opened.clear()
        answers = everything(visitor, victim, config)
        assert {name: answer for name, answer in answers.items() if CANARY in answer or CONFIG_CANARY in answer} == {}
        assert victim.touched() <= SHARED_FILES
        assert victim.contents() == before
    assert not resumed


def test_a_strangers_page_lists_own_runs_and_the_recording_only(page, owner, victim):
    stranger = Browser(page[1])
    stranger.visit()
    config = owner.config()
    opening = next(f for f in config["dependencies"] if f["api_name"].startswith("opened"))
    assert victim.run.id in owner.call(opening["id"], [])
    answer = stranger.call(opening["id"], [])
    assert victim.run.id not in answer and api.RECORDED_ID in answer
    assert victim.run.id not in json.dumps(stranger.config())


@pytest.mark.parametrize("cookie", ["", "browser-x", "{id}", "{id}.AAAA", "{other}.{signature}"])
def test_a_forged_cookie_is_nobodys(page, owner, victim, cookie):
    forger = Browser(page[1])
    signature = owner.http.cookies["patchrl-visitor"].rpartition(".")[2]
    forger.http.cookies["patchrl-visitor"] = cookie.format(id=owner.id, other="browser-other", signature=signature)
    config = owner.config()
    component, name = next((c, n) for c, n in server_functions(config) if n == "read_page")
    query = {"run": victim.run.id, "arm": "rl", "seed": 0, "start": 0, "count": 5}
    assert CANARY in owner.serve(component, name, query)
    assert CANARY not in forger.serve(component, name, query)


def test_the_host_sees_all_runs_with_the_admin_token_only(page, owner, victim):
    host = Browser(page[1])
    host.visit()
    component, name = next((c, n) for c, n in server_functions(owner.config()) if n == "read_page")
    query = {"run": victim.run.id, "arm": "rl", "seed": 0, "start": 0, "count": 5}
    assert host.http.post("/host", data={"token": "guessed"}).status_code == 403
    assert CANARY not in host.serve(component, name, query)
    assert host.http.post("/host", data={"token": ADMIN_TOKEN}).status_code == 200
    assert CANARY in host.serve(component, name, query)


def test_at_home_there_is_one_user_and_no_cookie(tmp_path):
    run_id = finished_run(tmp_path, 10)
    demo, url = serve(tmp_path)
    try:
        browser = Browser(url)
        assert "set-cookie" not in browser.visit().headers
        component, name = next((c, n) for c, n in server_functions(browser.config()) if n == "read_page")
        assert CANARY in browser.serve(component, name, {"run": run_id, "arm": "rl", "seed": 0, "count": 5})
        assert run_id in {run.id for run in api.list_runs(tmp_path, visitor=HOST)}
    finally:
        demo.close()


def request(session: dict | None = None, **cookies: str) -> Request:
    """A request as it comes to the page, with its cookies and what a sign-in left in Gradio's session."""
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return Request(
        {"type": "http", "headers": [(b"cookie", header.encode())], "server": ("x", 80), "path": "/", "scheme": "http"}
        | ({"session": session} if session else {})
    )


def test_a_visitor_who_signed_in_owns_by_account_and_keeps_what_the_browser_started():
    cookies = Cookies("secret")
    header = cookies.new_visitor(request()).partition(";")[0].partition("=")[2]
    browser = cookies.visitor(request(**{"patchrl-visitor": header}))
    info = {"userinfo": {"sub": "8a7b"}, "expires_at": time.time() + 60}
    signed_in = cookies.visitor(request({"oauth_info": info}, **{"patchrl-visitor": header}))
    assert signed_in.ids == ("user-8a7b", *browser.ids) and not signed_in.host
    expired = cookies.visitor(request({"oauth_info": info | {"expires_at": time.time() - 1}}))
    assert expired.ids == () and Cookies("other").visitor(request(**{"patchrl-visitor": header})).ids == ()


def test_the_cookie_of_an_embedded_page_is_sent_inside_another_sites_page():
    assert Cookies("secret", embedded=True).new_visitor(request()).endswith("SameSite=None; Secure; Partitioned")
    assert Cookies("secret").new_visitor(request()).endswith("HttpOnly; SameSite=Lax")


def test_an_admin_token_that_can_be_guessed_is_refused():
    with pytest.raises(ConfigError, match="PATCHRL_ADMIN_TOKEN is short"):
        Cookies("secret", "hunter2")

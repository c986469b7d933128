"""The webhook: what it is sent, what it may be, and that its address lands nowhere."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest
from helpers.synthetic import GrowingRun
from helpers.workers import state, until

from patchrl.config import resolve
from patchrl.errors import ConfigError
from patchrl.jobs import launch, webhook
from patchrl.jobs.owners import set_owner
from patchrl.recordings import folders
from patchrl.runs.folder import RunFolder

CANARY = "canary-in-the-address"


class Listener:
    """A server of this machine; `status` is what it answers next, and 200 after the list ends."""

    def __init__(self) -> None:
        self.messages: list[dict] = []
        self.statuses: list[int] = []
        self.delay = 0.0
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                listener.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                time.sleep(listener.delay)
                self.send_response(listener.statuses.pop(0) if listener.statuses else 200)
                self.send_header("Location", f"{listener.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/{CANARY}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def listener():
    made = Listener()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1/x", "http://example.org/x", "http://127.0.0.1.example.org", "https://", "x", "http://[::1", "https://a:x/", "https://a b/", "https://a/\n"],
)  # fmt: skip
def test_an_address_that_is_neither_https_nor_of_this_machine_is_refused_and_not_repeated(url, monkeypatch):
    with pytest.raises(
        ConfigError,
        match=r"^--webhook: an address that begins with https:// is needed, or with http:// on this machine\.$",
    ):
        webhook.address(url)
    monkeypatch.setenv(webhook.VARIABLE, url)
    with pytest.raises(ConfigError, match=webhook.VARIABLE):
        webhook.address(None)


def test_an_address_is_that_of_the_argument_else_of_the_environment(monkeypatch):
    monkeypatch.delenv(webhook.VARIABLE, raising=False)
    assert webhook.address(None) == ""
    monkeypatch.setenv(webhook.VARIABLE, "https://example.org/x")
    assert webhook.address(None) == "https://example.org/x" and webhook.address("http://[::1]:8/") == "http://[::1]:8/"
    assert webhook.address("") == ""  # none for this run


def test_a_message_is_sent_twice_at_most_follows_no_redirect_and_its_failure_does_not_name_the_address(
    listener, monkeypatch
):
    listener.statuses = [500]
    assert webhook.post(listener.url, {"n": 1}) == "" and len(listener.messages) == 2
    listener.statuses = [302, 307]
    assert webhook.post(listener.url, {"n": 2}) in ("HTTP 302", "HTTP 307") and len(listener.messages) == 4
    monkeypatch.setattr(webhook, "POST_TIMEOUT", 0.2)
    listener.delay = 0.6
    assert webhook.post(listener.url, {}) == "TimeoutError"
    listener.server.server_close()
    assert CANARY not in webhook.post("http://127.0.0.1:9/" + CANARY, {})


def test_a_warning_of_a_monitor_and_the_end_are_posted(runs_dir, listener, capsys):
    growing = GrowingRun(runs_dir)
    growing.folder.write_json(growing.folder.name, {"name": "Ana's"})
    recorder = webhook.PostingRecorder(growing.folder, listener.url)
    recorder.event("message", level="warning", text="not of a monitor")
    recorder.event("message", level="warning", monitor="copied", text="60 % are copies")
    until(lambda: len(listener.messages) == 1)
    growing.folder.result.write_bytes((folders()["recorded-nano"] / "result.json").read_bytes())
    recorder.finish("done", 0)
    alarm, end = listener.messages
    assert (alarm["run"], alarm["name"], alarm["state"]) == (growing.id, "Ana's", "running")
    assert alarm["sentence"] == "60 % are copies" and alarm["result"] is None
    assert end["state"] == "done" and end["sentence"].startswith("done after") and "That avoids" in end["result"]
    listener.statuses = [500, 500]
    recorder.finish("failed", 1, "no space")
    assert capsys.readouterr().out == "The webhook did not take the message: HTTP 500.\n"
    assert listener.messages[-1]["sentence"] == "failed: no space"


@pytest.mark.slow
@pytest.mark.parametrize("owner", [None, "browser-x"])
def test_a_worker_posts_its_end_unless_it_is_a_visitors_and_the_address_is_nowhere(runs_dir, listener, owner):
    growing = GrowingRun(runs_dir)  # the worker waits behind it
    folder = RunFolder.create(runs_dir, resolve({"study": {"name": "waits"}}))
    if owner:
        set_owner(folder, owner)
    launch.launch(folder, "scan", True, listener.url)
    until(lambda: (folder.read_status() or {}).get("queued_behind") == [growing.id])
    worker = psutil.Process(folder.read_status()["pid"])
    assert CANARY not in json.dumps([worker.cmdline(), worker.environ()])
    launch.request_stop(folder)
    until(lambda: state(folder) == "stopped")
    worker.wait(30)
    assert [message["state"] for message in listener.messages] == ([] if owner else ["stopped"])
    files = [path for path in runs_dir.rglob("*") if path.is_file()]
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]

"""The page over raw HTTP: a public server in this process, and visitors that call any of its functions."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import httpx

from patchrl.ui.serving import launch


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(runs_dir: Path, **options: Any) -> tuple[gr.Blocks, str]:
    """The page on a free port of this machine, and its address."""
    port = free_port()
    demo = launch(str(runs_dir), port, prevent_thread_lock=True, quiet=True, **options)
    return demo, f"http://127.0.0.1:{port}"


class Browser:
    """One visitor; without `visit` the server has never seen it."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60, follow_redirects=True)
        self.session = secrets.token_hex(8)

    def visit(self, path: str = "/") -> httpx.Response:
        return self.http.get(path, headers={"accept": "text/html"})

    @property
    def id(self) -> str:
        """The id in the browser's cookie."""
        return self.http.cookies["patchrl-visitor"].rpartition(".")[0]

    def config(self) -> dict[str, Any]:
        return self.http.get("/config").json()

    def call(self, function: int, data: list[Any]) -> str:
        """Everything that the server sends for one call of a function."""
        return self.call_all([(function, data)])[0]

    def call_all(self, calls: Sequence[tuple[int, list[Any]]]) -> list[str]:
        """Everything that the server sends for each of several calls at once, as from one freshly opened page."""
        self.session = secrets.token_hex(8)
        answers: dict[str, str] = {}
        for number, (function, data) in enumerate(calls):
            body = {"fn_index": function, "data": data, "session_hash": self.session, "event_data": None}
            joined = self.http.post("/gradio_api/queue/join", json=body)
            refused = joined.status_code != 200
            answers[f"refused {number}" if refused else joined.json()["event_id"]] = joined.text if refused else ""
        waiting = {event for event in answers if not event.startswith("refused")}
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines() if waiting else ():
                message = json.loads(line[5:]) if line.startswith("data:") else {}
                if (event := message.get("event_id")) in answers:
                    answers[event] += line
                if message.get("msg") == "process_completed":
                    waiting.discard(event)
                if not waiting:
                    break
        return list(answers.values())

    def serve(self, component: int, function: str, query: Any) -> str:
        """What a function answers that a component's script calls."""
        body = {"session_hash": self.session, "component_id": component, "fn_name": function, "data": query}
        return self.http.post("/gradio_api/component_server", json=body).text

"""A Hub of this machine: as much of its API as a push uses, with tokens, owners, and every commit kept."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

TOKEN, READ_ONLY = "hf_writesforalice", "hf_mayonlyread"
CREATE, VALIDATE = "/api/repos/create", "/api/validate-yaml"


class LoopbackHub:
    """`repos`: (kind, id) -> private, commits (one dict of files each); `asked`: path and token of every request."""

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], dict[str, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.taken: set[str] = set()  # by something that is neither model nor dataset
        self.fails: dict[str, int] = {}  # end of a path -> status
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(b"")

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers["Content-Length"])))

            def _answer(self, body: bytes) -> None:
                path = self.path.partition("?")[0]
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                hub.asked.append((path, token))
                status, answer, headers = hub.answer(path, token, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(data))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str, token: str, body: bytes) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, JSON and headers of one request."""
        failing = next((status for end, status in self.fails.items() if path.endswith(end)), None)
        if failing:
            return failing, {"error": "the reason"}, {"X-Error-Message": "the reason"}
        if path == VALIDATE:
            header = json.loads(body)["content"].split("---\n")[1]
            return (
                (200, {"warnings": []}, {}) if isinstance(yaml.safe_load(header), dict) else (400, {"errors": []}, {})
            )
        if token not in (TOKEN, READ_ONLY):
            return (
                401,
                {"error": "Invalid credentials"},
                {"X-Error-Message": "Invalid credentials in Authorization header"},
            )
        if path == CREATE:
            return self._create(json.loads(body), token)
        _, _, kind, owner, name, *rest = path.split("/")
        repo = self.repos.get((kind.removesuffix("s"), f"{owner}/{name}"))
        if repo is None:
            return 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
        if not rest:
            return 200, {"id": f"{owner}/{name}", "private": repo["private"], "siblings": []}, {}
        if rest[0] == "preupload":
            paths = [file["path"] for file in json.loads(body)["files"]]
            return 200, {"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in paths]}, {}
        lines = [json.loads(line) for line in body.splitlines()]
        files = {x["value"]["path"]: base64.b64decode(x["value"]["content"]) for x in lines if x["key"] == "file"}
        repo["commits"].append(files)
        return 200, {"success": True, "commitOid": "0" * 40, "commitUrl": f"{self.url}/{owner}/{name}/commit/0"}, {}

    def _create(self, request: dict[str, Any], token: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        kind, repo = request.get("type", "model"), f"{request['organization']}/{request['name']}"
        if token != TOKEN or request["organization"] != "alice":
            return 403, {"error": "forbidden"}, {"X-Error-Message": "You don't have the rights"}
        url = f"{self.url}/{'datasets/' if kind == 'dataset' else ''}{repo}"
        if repo in self.taken or (kind, repo) in self.repos:
            return 409, {"error": "You already created this repo", "url": url}, {}
        self.repos[kind, repo] = {"private": request["visibility"] == "private", "commits": []}
        return 200, {"url": url, "name": repo}, {}

    def files(self, kind: str, repo: str, into: Path) -> Path:
        """Write the files of a repository's only commit to a folder."""
        (files,) = self.repos[kind, repo]["commits"]
        into.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (into / name).write_bytes(data)
        return into

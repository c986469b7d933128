"""A message to a webhook when a run ends or a monitor warns. The address is a secret: it is in no file, log or process list."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import threading
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from patchrl.errors import ConfigError
from patchrl.reporting import sentences
from patchrl.reporting.run_status import describe_status
from patchrl.runs.folder import RunFolder
from patchrl.runs.recorder import RunRecorder

VARIABLE = "PATCHRL_WEBHOOK"
POST_TIMEOUT, TRIES = 5.0, 2


def address(url: str | None) -> str:
    """The address to post to: as given, else of the environment, else empty.

    Raises ConfigError for one that is neither https nor http on this machine. The sentence does not repeat it.
    """
    source, text = ("--webhook", url) if url is not None else (VARIABLE, os.environ.get(VARIABLE, ""))
    try:
        parts = urlsplit(text)
        allowed = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        usable = allowed and bool(parts.hostname) and text.isprintable() and " " not in text and parts.port != 0
    except ValueError:  # of brackets or of the port
        usable = False
    if text and not usable:
        raise ConfigError(f"{source}: an address that begins with https:// is needed, or with http:// on this machine.")
    return text


def is_loopback(host: str) -> bool:
    """Whether a name or an address can be reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A message goes to the address that was given and nowhere else."""

    def redirect_request(self, *args: Any) -> None:
        return None


def post(url: str, message: dict[str, Any]) -> str:
    """Post a message as JSON, a second time where the first fails; returns why it was not taken, empty where it was."""
    opener = urllib.request.build_opener(
        _NoRedirect, *([urllib.request.ProxyHandler({})] if url.startswith("http:") else [])
    )
    data, problem = json.dumps(message).encode(), ""
    for _ in range(TRIES):
        try:
            request = urllib.request.Request(url, data, {"Content-Type": "application/json", "User-Agent": "patchrl"})
            with opener.open(request, timeout=POST_TIMEOUT):
                return ""
        except urllib.error.HTTPError as error:
            problem = f"HTTP {error.code}"
        # Their texts may repeat the address.
        except (OSError, ValueError, http.client.HTTPException) as error:
            problem = type(getattr(error, "reason", error)).__name__
    return problem


class PostingRecorder(RunRecorder):
    """A recorder that also posts: a monitor's warning, and the end of the run."""

    def __init__(self, folder: RunFolder, url: str) -> None:
        self._url = url
        super().__init__(folder)

    def event(self, kind: str, **fields: Any) -> None:
        super().event(kind, **fields)
        if kind == "message" and "monitor" in fields:  # training does not wait for it
            threading.Thread(target=self._post, args=("running", fields["text"]), daemon=True).start()

    def finish(self, state: str, exit_code: int, error: str | None = None) -> None:
        super().finish(state, exit_code, error)
        self._post(state, describe_status(self.status))

    def _post(self, state: str, sentence: str) -> None:
        result = self.folder.read_shaped(self.folder.result, "result")
        name = self.folder.read_name() or self.folder.id
        message = {"run": self.folder.id, "name": name, "state": state, "sentence": sentence}
        problem = post(self._url, message | {"result": sentences.headline(result) if result else None})
        if problem:
            print(f"The webhook did not take the message: {problem}.", flush=True)

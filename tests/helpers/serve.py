"""The app as a person starts it, `python app.py`, in a process of its own; and the browser that is here."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The first, a Chromium without windows, takes a quarter less of the processor for a page.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def browser_path() -> str | None:
    """The program of an installed browser; None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class Server:
    """The app on a free port, over its own runs folder; `env` is added to this process's environment."""

    def __init__(self, runs_dir: Path, **env: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.runs_dir = runs_dir
        self.url = f"http://127.0.0.1:{self.port}/"
        self.env = os.environ | {"PATCHRL_RUNS_DIR": str(runs_dir), "GRADIO_SERVER_PORT": str(self.port)}
        self.env |= {"GRADIO_ANALYTICS_ENABLED": "False"} | env
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.stdout.read().decode()
            try:
                urllib.request.urlopen(self.url, timeout=2).read()
                return
            except OSError:
                time.sleep(0.2)
        raise AssertionError("the app did not answer within 90 s")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

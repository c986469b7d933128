"""Offline, one torch thread, and the real evaluation data where it lies beside the checkout."""

import os
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("noisy machine", deadline=None)
hypothesis.settings.load_profile("noisy machine")
# Before torch loads: two processes with two threads each stall one another, and tests start processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


LONGEST = {"browser", "pipeline", "test_docs.py", "test_run_dial.py", "test_together.py"}


def pytest_collection_modifyitems(items):
    """What takes longest comes first, so that no file is left alone at the end where several run at once."""
    items.sort(key=lambda item: LONGEST.isdisjoint(item.path.parts))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real evaluation data (../shared/data) is not here")
    return folder


@pytest.fixture
def runs_dir(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "runs"
    monkeypatch.setenv("PATCHRL_RUNS_DIR", str(folder))
    return folder


@pytest.fixture
def fake_hub(monkeypatch, tmp_path):
    """A loopback Hub that huggingface_hub of this process talks to; nobody is signed in."""
    from helpers.loopback import LoopbackHub
    from huggingface_hub import constants

    hub = LoopbackHub()
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "SPACE_ID"):
        monkeypatch.delenv(name, raising=False)
    yield hub
    hub.close()

"""Offline, one torch thread, and the real evaluation data where it lies beside the checkout."""

import os
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("noisy machine", deadline=None)
hypothesis.settings.load_profile("noisy machine")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


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

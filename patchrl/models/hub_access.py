"""The Hub token of a process that loads models: handed over when it starts, and used while something is loaded only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

TOKEN_VARIABLE = "HF_TOKEN"  # where Hugging Face's libraries look for it
_handed_over: list[str] = []


def hand_over(token: str) -> None:
    """Keep a token for `hub_access`; an empty one ends its use."""
    _handed_over[:] = [token] if token else []


@contextlib.contextmanager
def hub_access() -> Iterator[None]:
    """Within it, Hugging Face's libraries load what the token opens. Processes that are started outside it never see it."""
    before = os.environ.get(TOKEN_VARIABLE)
    if not _handed_over:
        yield
        return
    os.environ[TOKEN_VARIABLE] = _handed_over[0]
    try:
        yield
    finally:
        del os.environ[TOKEN_VARIABLE]
        if before is not None:
            os.environ[TOKEN_VARIABLE] = before

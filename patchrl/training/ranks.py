"""Processes that train together. Outside a training each is by itself, and all but the first wait for the next one."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, TypeVar

import torch
from accelerate.state import AcceleratorState, GradientState
from torch import distributed

T = TypeVar("T")
MAX_WAIT = timedelta(days=365)  # of the others for the first, which may be at any other stage
# What a launcher tells its processes of one another. It is hidden outside a training, so that whatever runs there runs alone.
VARIABLES = (
    *("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    *("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"),
)


class Ranks:
    """The processes that a launcher started, as one of them sees them; `ALONE` where there is one.

    Args:
        rank: This one's number, from 0 on.
        count: How many there are.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count
        self._store: Any = None
        self._variables: dict[str, str] = {}
        self._messages = self._groups = 0

    @classmethod
    def launched(cls) -> Ranks:
        """Those of the launcher that started this process, whose variables are hidden from here on."""
        store, rank, count = next(distributed.rendezvous("env://"))
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        ranks = cls(rank, count)
        ranks._store = store
        ranks._variables = {name: os.environ.pop(name) for name in VARIABLES if name in os.environ}
        return ranks

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def send(self, message: Any) -> None:
        """Hand plain data to all the others."""
        if self.count > 1:
            self._store.set(self._next_key(), json.dumps(message))

    def receive(self, wait: timedelta = MAX_WAIT) -> Any:
        """The next message of the first; raises DistStoreError where none comes in time."""
        key = self._next_key()
        self._store.wait([key], wait)
        return json.loads(self._store.get(key))

    def _next_key(self) -> str:
        self._messages += 1
        return f"patchrl/{self._messages}"

    @contextlib.contextmanager
    def together(self, device: torch.device) -> Iterator[None]:
        """Inside, they are one process group, for models on a kind of device."""
        if self.count == 1:
            yield
            return
        _forget_group()
        os.environ.update(self._variables)
        self._groups += 1
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        store = distributed.PrefixStore(f"training {self._groups}", self._store)
        distributed.init_process_group(backend, store=store, rank=self.rank, world_size=self.count)
        try:
            yield
        finally:
            distributed.destroy_process_group()
            for name in self._variables:
                del os.environ[name]
            _forget_group()

    def share(self, value: T) -> T:
        """What the first has as `value`, for all; inside `together`."""
        if self.count == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]


ALONE = Ranks()


def _forget_group() -> None:
    """Accelerate keeps whom it trained with for as long as a process lives."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()

"""A key-value cache with room to grow: Transformers' own copies all keys and values for every new token."""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

GROWTH = 1.5


class _PreallocatedLayer(DynamicLayer):
    """Keys and values as views into larger tensors; whatever else replaces them is copied once and grown from there."""

    keys: torch.Tensor
    values: torch.Tensor
    _room: tuple[torch.Tensor, torch.Tensor] | None = None
    _ours: torch.Tensor | None = None  # the keys as this layer left them

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any):
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._room is None or self.keys is not self._ours or end > self._room[0].shape[-2]:
            self._room = self._larger(key_states, self.keys, end), self._larger(value_states, self.values, end)
        keys, values = self._room
        keys[..., start:end, :] = key_states
        values[..., start:end, :] = value_states
        self.keys, self.values = keys[..., :end, :], values[..., :end, :]
        self._ours = self.keys
        return self.keys, self.values

    @staticmethod
    def _larger(new: torch.Tensor, cached: torch.Tensor, end: int) -> torch.Tensor:
        room = new.new_empty((*new.shape[:-2], int(end * GROWTH), new.shape[-1]))
        if cached.numel():
            room[..., : cached.shape[-2], :] = cached
        return room


def preallocated_cache(config: Any) -> DynamicCache:
    """An empty cache for a model of this config; layers with a sliding window keep Transformers' own kind."""
    cache = DynamicCache(config=config)
    cache.layers = [_PreallocatedLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache

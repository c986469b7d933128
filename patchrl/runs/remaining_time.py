"""How long a study will still take, from what was expected of its steps and what they took."""

from __future__ import annotations


class RemainingTime:
    """How long a study will still take: what is expected of its steps, at the pace of those measured so far."""

    MIN_SECONDS = 5.0  # seconds that must have been expected of what was done before the pace means anything

    def __init__(self) -> None:
        self._took = self._expected = 0.0  # of the steps that are done
        self._step = self._after = 0.0  # of the current one, and of those after it

    def begin(self, step: float, after: float) -> None:
        """A step begins: the seconds expected of it and of all steps after it."""
        self._step, self._after = step, after

    def resumed(self, share: float) -> None:
        """Set the share of the current step that was done before; only the rest of it is expected."""
        self._step *= 1 - share

    def end(self, seconds: float) -> None:
        """The step ended, and took this long."""
        self._took, self._expected = self._took + seconds, self._expected + self._step

    def left(self, elapsed: float, share: float) -> float | None:
        """Seconds left of the study, `share` of the current step done after `elapsed`; None before one can tell."""
        took, expected = self._took, self._expected
        if share > 0:
            took, expected = took + elapsed, expected + share * self._step
        if expected < self.MIN_SECONDS:
            return None
        pace = took / expected
        step = pace * (1 - share) * self._step if share > 0 else max(0.0, pace * self._step - elapsed)
        return step + pace * self._after

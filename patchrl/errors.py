"""Errors a person is meant to read: one sentence that says what, where, and what to do."""


class PatchRLError(Exception):
    """Base of every error that PatchRL raises on purpose. Its text is shown to people as it is.

    Example:
        >>> try:
        ...     patchrl.open_run("no-such-run")
        ... except patchrl.PatchRLError as error:
        ...     print(error)
        Run 'no-such-run' is not in ...
    """


class ConfigError(PatchRLError):
    """A setting that cannot work, named as `section.key`."""


class DataError(PatchRLError):
    """A dataset, column or row that cannot be used."""


class BackboneError(PatchRLError):
    """A backbone or tokenizer that cannot be loaded or used."""


class EngineError(PatchRLError):
    """A server that samples and cannot be reached or used."""


class RunError(PatchRLError):
    """A run that is missing, busy, or not far enough for what was asked."""


class TrainingError(PatchRLError):
    """A training that cannot go on."""


class HubError(PatchRLError):
    """A push that the Hub, the network or the token does not allow."""


class StopRequested(PatchRLError):
    """Raised by a stage after its work so far was saved, because a person asked to stop."""


def first_line(error: Exception) -> str:
    """The first line of another library's error, or its kind where it has no text."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)

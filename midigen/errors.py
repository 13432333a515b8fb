"""One tree of errors. Every message is one line: the value, what is allowed, and the cure."""

from importlib.util import find_spec


class MidigenError(Exception):
    """Anything a user can put right. The command line prints it as one line and exits with ``exit_code``."""

    exit_code = 2


class BadRequest(MidigenError):
    """A value the user asked for is outside what is allowed."""


class BadFile(MidigenError):
    """A file given to midigen is missing, broken, or of another kind."""


class OutputError(MidigenError):
    """The place to write to is full, read-only, or taken."""


class MissingTool(MidigenError):
    """A library or program that this step needs is not installed."""


def need_for_training(*libraries: str) -> None:
    """Raise :class:`MissingTool` where a library of the extra ``train`` is not installed."""
    for name in libraries:
        if find_spec(name) is None:
            raise MissingTool(f"{name} is not installed: training needs it; pip install '.[train]'")


class CheckpointError(MidigenError):
    """A checkpoint cannot be used: broken, of another format, or not there."""


class CorpusError(MidigenError):
    """A corpus or prepared folder cannot be used."""


class TrainingError(MidigenError):
    """Training cannot go on (for example: the loss is not a number)."""

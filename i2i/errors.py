"""Errors with a message for the user: where, what was expected, what was found, and the nearest fix."""

from __future__ import annotations

from typing import ClassVar


class I2IError(Exception):
    """A mistake of input or set-up; the command line prints it without a traceback and exits with its `status`."""

    status: ClassVar[int] = 2
    """Exit status: 2 for errors that the user can fix before starting again, 1 for failures during the work."""


class RegistryError(I2IError):
    """A component's name is unknown, taken twice, or its plugin failed to load."""


class OptionError(I2IError, ValueError):
    """An option of a component has an illegal value.

    Args:
        option: the option's name, so that a recipe check can point at its line.
        message: what was expected and what came.
    """

    def __init__(self, option: str, message: str) -> None:
        super().__init__(f"{option}: {message}")
        self.option = option
        self.message = message

    def __reduce__(self) -> tuple[type, tuple[str, str]]:  # raised in a worker process, it must survive pickling
        return type(self), (self.option, self.message)


class ShapeError(I2IError, ValueError):
    """A tensor has a shape that a component cannot take."""


class DataError(I2IError):
    """An image or a folder of images cannot be used."""


class SourceError(DataError):
    """A source cannot be read now, which says nothing about its images: they are not passed over as damaged."""


class CheckpointError(I2IError):
    """A run folder or a checkpoint is missing, damaged, or of another kind than expected."""


class TrainingError(I2IError):
    """Training cannot continue; the message says why."""

    status = 1


_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory did not suffice, of the process or of a device; torch's errors about a CPU's have no own type."""
    typed = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # torch is not imported here
    return typed or (isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY))

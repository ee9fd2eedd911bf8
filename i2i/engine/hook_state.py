"""State of hooks that survives a resume, as JSON in each checkpoint."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from i2i.errors import I2IError

MAX_CHARACTERS = 2**18
"""Largest size of one state as JSON; larger data does not belong in a file that every checkpoint rewrites."""
log = logging.getLogger("i2i")


class Stateful(Protocol):
    """Protocol of hooks with state that a resumed run restores, such as training diagnostics."""

    def state(self) -> Any:
        """Return the state as JSON types."""

    def load(self, state: Any) -> None:
        """Restore what `state` returned; for any other value, raise an exception and change nothing."""


class HookState:
    """States of a run's hooks by name; errors in saving or loading one are logged and never stop the run."""

    def __init__(self) -> None:
        self.stateful: dict[str, Stateful] = {}
        self.last: dict[str, Any] = {}
        """States of the checkpoint that the run resumed from; those of absent plugins are copied to new checkpoints."""

    def keep(self, name: str, stateful_hook: Stateful) -> None:
        """Save a hook's state in each checkpoint, and load its state of the resumed one; called in `training_started`.

        Args:
            name: unique name of the hook.
            stateful_hook: the hook.
        """
        self.stateful[name] = stateful_hook
        self._load_hook(name)

    def state(self) -> dict[str, Any]:
        """Return the states of all hooks for a checkpoint."""
        states = {name: state for name, state in self.last.items() if name not in self.stateful}
        for name, stateful_hook in self.stateful.items():
            try:
                state = stateful_hook.state()
                if (size := len(json.dumps(state))) > MAX_CHARACTERS:
                    raise ValueError(f"{size} characters, expected at most {MAX_CHARACTERS}")
                states[name] = state
            except I2IError:
                raise
            except Exception as error:  # any error of a plugin: losing its state is better than losing a long run
                log.warning("%s: its state is not saved in this checkpoint: %s: %s", name, type(error).__name__, error)
        return states

    def load(self, state: object) -> None:
        """Restore what `state` returned, also in hooks that are registered already."""
        if not isinstance(state, dict):
            log.warning(
                "the states of hooks in the checkpoint are damaged: expected a table, got %s", type(state).__name__
            )
        self.last = state if isinstance(state, dict) else {}
        for name in self.stateful:
            self._load_hook(name)

    def _load_hook(self, name: str) -> None:
        if name not in self.last:
            return
        try:
            self.stateful[name].load(self.last[name])
        except I2IError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            log.warning(
                "%s starts from scratch, because its state in the checkpoint is damaged: %s", name, reason[:200]
            )


def truncate_lines(lines: Sequence[str]) -> list[str]:
    """Return the first lines that together fit into a checkpoint's state file."""
    room, kept = 4 * MAX_CHARACTERS, []
    for line in lines:
        room -= 6 * len(line) + 8  # JSON escapes a character with up to six
        if room < 0:
            break
        kept.append(line)
    return kept

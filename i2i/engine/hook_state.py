"""What watches a run may keep something over a resume: small states as JSON in each checkpoint."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from i2i.errors import I2IError

LARGEST = 2**18
"""Characters of one state; what is larger does not belong into a file that every checkpoint rewrites."""
log = logging.getLogger("i2i")


class Stateful(Protocol):
    """Something that a resumed run should go on with, such as the training doctor."""

    def state(self) -> Any:
        """What it knows, in JSON's types."""

    def load(self, state: Any) -> None:
        """Takes back what `state` gave; raises where it cannot be that, and has changed nothing then."""


class HookState:
    """The states of a run's keepers, by name; one that fails is told and begins anew, and never stops the run."""

    def __init__(self) -> None:
        self.stateful: dict[str, Stateful] = {}
        self.last: dict[str, Any] = {}
        """Of the checkpoint from which the run went on; of a plugin that is gone it is passed on."""

    def keep(self, name: str, stateful_hook: Stateful) -> None:
        """Keeps something from here on, and gives it what the checkpoint knew of it; called in `training_started`."""
        self.stateful[name] = stateful_hook
        self._give(name)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of all keepers."""
        found = {name: state for name, state in self.last.items() if name not in self.stateful}
        for name, stateful_hook in self.stateful.items():
            try:
                state = stateful_hook.state()
                if (size := len(json.dumps(state))) > LARGEST:
                    raise ValueError(f"{size} characters, expected at most {LARGEST}")
                found[name] = state
            except I2IError:
                raise
            except Exception as error:  # a plugin's; a run of days is worth more
                log.warning("%s keeps nothing in this checkpoint: %s: %s", name, type(error).__name__, error)
        return found

    def load(self, state: object) -> None:
        """Goes back to what `state` gave, also where keepers are there already."""
        if not isinstance(state, dict):
            log.warning("what extras had kept is damaged: expected a table, got %s", type(state).__name__)
        self.last = state if isinstance(state, dict) else {}
        for name in self.stateful:
            self._give(name)

    def _give(self, name: str) -> None:
        if name not in self.last:
            return
        try:
            self.stateful[name].load(self.last[name])
        except I2IError:
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            log.warning("%s begins anew, for what the checkpoint kept of it is damaged: %s", name, what[:200])


def some(lines: Sequence[str]) -> list[str]:
    """As many of some sentences as a checkpoint has room for."""
    room, found = 4 * LARGEST, []
    for line in lines:
        room -= 6 * len(line) + 8  # as JSON writes the strangest letters
        if room < 0:
            break
        found.append(line)
    return found

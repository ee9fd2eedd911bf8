"""Calling hooks while training: an extra that fails is named and counted, and never stops the run."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from i2i.core.plugins import Plugins
from i2i.errors import I2IError

LIMIT = 3
log = logging.getLogger("i2i")


class Notifier:
    """Calls a hook in every plugin, the run's extras last and in their order.

    An implementation that has failed `LIMIT` times is no longer called.

    Args:
        plugins: the process's plugins.
        extras: objects with hook implementations of this run alone, such as its progress bar.
    """

    def __init__(self, plugins: Plugins, extras: list[Any]) -> None:
        self.plugins, self.extras = plugins, extras
        self.failures: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> Notifier:
        for extra in self.extras:
            self.plugins.manager.register(extra)
        return self

    def __exit__(self, *error: object) -> None:
        for extra in self.extras:
            self.plugins.manager.unregister(extra)

    def __call__(self, hook: str, **arguments: Any) -> None:
        for implementation in list(getattr(self.plugins.hook, hook).get_hookimpls()):
            own = implementation.plugin in self.extras
            name = type(implementation.plugin).__name__ if own else implementation.plugin_name
            if self.failures[hook, name] >= LIMIT:
                continue
            try:
                implementation.function(*(arguments[argument] for argument in implementation.argnames))
            except I2IError:
                raise
            except Exception as error:  # whatever it is, a run of days is worth more than an extra
                self.failures[hook, name] += 1
                count = self.failures[hook, name]
                off = "; it is switched off for this run" if count >= LIMIT else ""
                what = f"{type(error).__name__}: {error}{off}"
                log.warning("%s failed in %s (%d of %d): %s", name, hook, count, LIMIT, what)

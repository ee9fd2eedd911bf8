"""Calls of hooks during training; a failing hook is logged and never stops the run."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from i2i.core.plugins import Plugins
from i2i.errors import I2IError

LIMIT = 3
"""Number of failures after which a hook implementation is disabled."""
log = logging.getLogger("i2i")


class Notifier:
    """Callable that calls a hook in every plugin and then in the run's extras, in their order.

    An implementation that has failed `LIMIT` times is no longer called.

    Args:
        plugins: plugins of the process.
        extras: objects with hook implementations for this run only, such as its progress bar.
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
            is_extra = implementation.plugin in self.extras
            name = type(implementation.plugin).__name__ if is_extra else implementation.plugin_name
            if self.failures[hook, name] >= LIMIT:
                continue
            try:
                implementation.function(*(arguments[argument] for argument in implementation.argnames))
            except I2IError:
                raise
            except Exception as error:  # any error of a hook: losing its effect is better than losing a long run
                self.failures[hook, name] += 1
                count = self.failures[hook, name]
                disabled = "; it is disabled for this run" if count >= LIMIT else ""
                reason = f"{type(error).__name__}: {error}{disabled}"
                log.warning("%s failed in %s (%d of %d): %s", name, hook, count, LIMIT, reason)

"""For the tests of i2i and of its plugins: trainings of one recipe rehearse it once."""

from __future__ import annotations

import atexit
import gc
import json
from collections.abc import Iterator

import pytest


def pytest_collection_finish() -> None:
    """Imported modules and collected tests live to the end: `gc.collect`, which a plan calls, need not see them."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # at the very end libraries complain of what is not taken down


@pytest.fixture(scope="session", autouse=True)
def _rehearsed_once() -> Iterator[None]:
    """A rehearsal takes as long as the steps of a test's training; what passed it before passes it again."""
    from i2i.core.plugins import default_registry
    from i2i.engine import trainer
    from i2i.recipe.recipe import Recipe

    dry_run, passed = trainer.dry_run, set()

    def once(recipe: Recipe) -> None:
        networks = {name: table for name, table in recipe.resolved().items() if name in ("translator", "losses")}
        registry = recipe.translator.registry or default_registry()
        components = frozenset((entry.kind.name, entry.name, entry.target) for entry in registry)
        known = (components, recipe.image_size, json.dumps(networks))
        if known not in passed:
            dry_run(recipe)
            passed.add(known)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "dry_run", once)
        yield

"""Names that a recipe gives to losses and discriminators, which become names of submodules."""

from __future__ import annotations

import re

from i2i.recipe.writing import shown


def name_problem(name: str) -> str:
    """What is wrong with a name; empty where nothing is."""
    if not re.fullmatch(r"[\w-]+", name):
        return f"expected a name of letters, digits, _ and -, got {shown(name)}"
    from torch.nn import ModuleDict  # what the components will be kept in; torch is here already if there are any

    if hasattr(ModuleDict(), name):
        return f"expected a name of your own, got {name!r}, which torch uses for something else"
    return ""

"""The documentation names everything that there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from i2i.builtin import COMPONENTS
from i2i.core import hookspecs, kinds
from i2i.core.plugins import Plugins

DOCS = Path(__file__).parents[1] / "docs"
HOOKS = [name for name, value in vars(hookspecs).items() if hasattr(value, "i2i_spec")]


def in_backticks(page: str) -> str:
    """All code of a page: what stands in backticks, in fences or indented."""
    text = (DOCS / page).read_text(encoding="utf-8")
    fences = re.findall(r"```.*?```", text, re.DOTALL)
    words = re.findall(r"`[^`\n]+`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return "\n".join([*fences, *words])


def missing(names: list[str], page: str) -> list[str]:
    code = in_backticks(page)
    return [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", code)]


@pytest.mark.parametrize("kind", list(COMPONENTS), ids=str)
def test_every_component_is_documented(kind: kinds.Kind[object]) -> None:
    assert missing(list(COMPONENTS[kind]), "components.md") == []


def test_every_kind_is_documented() -> None:
    assert missing(list(kinds.KINDS), "components.md") == []


def test_every_hook_is_documented() -> None:
    assert missing(HOOKS, "plugins.md") == []


def commands(group: click.Group, path: str = "i2i") -> Iterator[str]:
    for name, command in group.commands.items():
        yield f"{path} {name}"
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def test_every_command_and_option_is_documented() -> None:
    own = click.Group()  # and not the process's, to which a plugin's tests may have added commands
    Plugins({}).register_commands(own)
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert [name for name in commands(own) if name not in page] == []
    flags = {
        flag
        for command in own.commands.values()
        for parameter in command.params
        for flag in parameter.opts
        if flag.startswith("--")
    }
    assert missing(sorted(flags), "commands.md") == []


def test_every_option_of_train_is_documented() -> None:
    from i2i.core.signature import options
    from i2i.recipe.tables import TABLES, TrainOptions

    assert missing([f"[{table}]" for table in ("translator", "schedule", "data", "train")], "recipes.md") == []
    assert missing([table for table in TABLES if table not in ("losses", "optimizers")], "recipes.md") == []
    assert missing(list(options(TrainOptions)), "recipes.md") == []

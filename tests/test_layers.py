"""The layers: a file imports only from rows above it, so that each part can be read without those below."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from i2i.builtin import COMPONENTS
from i2i.core import kinds

PACKAGE = Path(__file__).parents[1] / "i2i"

ROWS = [
    ["errors"],
    ["core"],
    ["recipe"],
    ["nn"],
    ["data"],
    ["methods"],
    ["engine"],
    ["evaluation"],
    ["use"],
    ["demo"],
    ["cli"],
    ["builtin"],
    ["i2i"],  # the package's root: what users and plugins import; nothing in i2i does
    ["__main__"],
]
ROW = {part: number for number, row in enumerate(ROWS) for part in row}

EXCEPTIONS: dict[tuple[str, str], str] = {}

FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 400


def part_of(file: Path) -> str:
    """The row's name for a file: its folder, or the file itself where it lies in the package's root."""
    inside = file.relative_to(PACKAGE)
    return "i2i" if inside.name == "__init__.py" and len(inside.parts) == 1 else inside.parts[0].removesuffix(".py")


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def imports(file: Path) -> list[tuple[int, str]]:
    """Line and module of every import of i2i: at the top, inside functions, and under TYPE_CHECKING."""
    return list(_imports(file))


def _imports(file: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] == "i2i")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            module = node.module or ""
            if module.split(".")[0] == "i2i":
                for alias in node.names:
                    inner = PACKAGE.parent / Path(*module.split("."), alias.name)
                    is_module = inner.is_dir() or inner.with_suffix(".py").is_file()
                    yield node.lineno, f"{module}.{alias.name}" if is_module else module


def target_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "i2i"


def test_every_part_has_a_row() -> None:
    assert {part_of(file) for file in FILES} == set(ROW)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_imports_only_from_rows_above(file: Path) -> None:
    part = part_of(file)
    for line, module in imports(file):
        target = target_of(module)
        if target != part and (part, target) not in EXCEPTIONS:
            assert ROW[target] < ROW[part], f"{file}:{line}: {part} may not import {module}"


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def reachable(module: str, graph: dict[str, set[str]]) -> set[str]:
    """All modules that a module imports, directly or through others."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        new = graph.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def test_no_import_circle_type_only_imports_included() -> None:
    graph = {module_of(file): {module for _, module in imports(file)} for file in FILES}
    assert {module for module in graph if module in reachable(module, graph)} == set()


def test_no_exception_is_left_over() -> None:
    used = {(part_of(file), target_of(module)) for file in FILES for _, module in imports(file)}
    assert set(EXCEPTIONS) <= used


def test_nobody_but_its_neighbours_imports_a_concrete_component() -> None:
    """`builtin` names components in words; all others meet them through a registry.

    Importers are the exception: each knows the one method whose weights it reads.
    """
    targets = {target.partition(":")[0] for named in COMPONENTS.values() for target in named.values()}
    concrete = {module for module in targets if module.startswith("i2i.")}
    for file in [file for file in FILES if "weights" not in file.parts]:
        for line, module in imports(file):
            if module in concrete:
                assert target_of(module) == part_of(file), f"{file}:{line} names the component in {module}"


def test_no_file_is_long() -> None:
    lines = {str(file.relative_to(PACKAGE)): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {name: count for name, count in lines.items() if count > LONGEST} == {}


def test_every_file_says_in_one_sentence_what_it_is() -> None:
    for file in FILES:
        text = ast.get_docstring(tree(file))
        assert text, f"{file} has no docstring"
        assert text.partition("\n\n")[0].rstrip().endswith((".", "?")), file


def test_what_is_around_the_methods_knows_none_by_name() -> None:
    """Commands, trainer, loader and inference; `quickstart` is where people begin, whatever it trains."""
    names = {path.stem for path in (PACKAGE.parent / "recipes").glob("*.toml")} - {"quickstart"}
    names |= COMPONENTS[kinds.IMPORTER].keys()
    around = [
        *PACKAGE.glob("cli/*.py"),
        *(PACKAGE / f for f in ("engine/trainer.py", "data/loader.py", "use/loaded.py")),
    ]
    words = {file.name: set(re.findall(r"[\w-]+", file.read_text(encoding="utf-8"))) for file in around}
    assert {name: found & names for name, found in words.items() if found & names} == {}

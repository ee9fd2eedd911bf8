"""Write the generated lists of the documentation: commands, options, hooks, components, outputs, recipes.

    uv run python docs/generate.py            # rewrite what has changed
    uv run python docs/generate.py --check    # exit with status 1 and name the pages that are out of date

A list stands in a page between `<!-- generated: NAME -->` and `<!-- end -->`. `tests/test_documented.py` fails while a
page differs from what this program would write.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any

import click

import i2i
from i2i import builtin
from i2i.core import hookspecs
from i2i.core.factory import Factory
from i2i.core.kinds import KINDS
from i2i.core.plugins import Plugins
from i2i.core.registry import Entry
from i2i.core.signature import options
from i2i.recipe.tables import TrainOptions
from i2i.recipe.wiring import output_names
from i2i.recipe.writing import shown

DOCS = Path(__file__).parent
BLOCK = re.compile(r"(<!-- generated: ([\w.-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Format rows as a Markdown table."""
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def summary(documented: object) -> str:
    """Return the first paragraph of a docstring on one line, without its full stop."""
    paragraph = (inspect.getdoc(documented) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).removesuffix(".")


def section(documented: object, title: str) -> str:
    """Return the paragraph of a docstring that begins with `title:`, without the title."""
    text = inspect.getdoc(documented) or ""
    found = re.search(rf"^{title}:\s*(.*?)(?=\n\n|\n\w+:\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def arguments(documented: object) -> dict[str, str]:
    """Return the descriptions of the arguments in a docstring."""
    text = textwrap.dedent("    " + section(documented, "Args"))
    parts = re.split(r"^(\w+):[ ]*", text, flags=re.MULTILINE)
    return {name: " ".join(body.split()).removesuffix(".") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def default(value: Any) -> str:
    """Return a default as a recipe would write it, or an empty text for a required option."""
    if value is inspect.Parameter.empty:
        return "required"
    if isinstance(value, Factory):
        inner = ", ".join(f"{key} = {default(option)}" for key, option in value.options.items())
        return f"{value.name} ({inner})" if inner else str(value.name)
    if value is None:
        return "none"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {default(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(default, value)) + "]"
    return value if isinstance(value, str) else shown(value)


def components(kind: Any) -> str:
    """Return the table of a kind's built-in components."""
    rows = []
    for name, target in builtin.COMPONENTS.get(kind, {}).items():
        component = Entry(kind, name, target, "builtin").load()
        hidden = {*kind.passed, *kind.offered}
        shown_options = (
            f"`{option.name}` ({default(option.default)})"
            for option in options(component).values()
            if option.name not in hidden
        )
        ours = component.__module__.startswith("i2i")
        source = " ".join(section(component, "Source").split()).removesuffix(".") if ours else component.__module__
        rows.append(
            (
                f"`{name}`",
                summary(component),
                ", ".join(shown_options) if ours else "those of PyTorch",
                source,
            )
        )
    return table(("name", "description", "options (defaults)", "source"), rows)


def kinds() -> str:
    """Return the table of all kinds."""
    rows = [
        (
            f"`{name}`",
            f"`i2i.{next(key for key, value in vars(i2i).items() if value is kind)}`",
            summary(kind.contract),
            ", ".join(f"`{argument}`" for argument in kind.passed),
            ", ".join(f"`{argument}`" for argument in kind.offered),
            ", ".join(f"`{argument}`" for argument in getattr(kind, "suggested", ())),
            ", ".join(f"`{module}`" for module in kind.namespaces),
        )
        for name, kind in KINDS.items()
    ]
    return table(("kind", "in Python", "contract", "passed", "offered", "suggested", "also any class of"), rows)


def hooks() -> str:
    """Return the table of the hooks."""
    specifications = {name: value for name, value in vars(hookspecs).items() if hasattr(value, "i2i_spec")}
    rows = [
        (
            f"`{name}`",
            ", ".join(f"`{argument}`" for argument in inspect.signature(value).parameters),
            " ".join((inspect.getdoc(value) or "").split()),
        )
        for name, value in specifications.items()
    ]
    return table(("hook", "arguments", "description"), rows)


def train_options() -> str:
    """Return the table of `[train]`."""
    described = arguments(TrainOptions)
    rows = [
        (f"`{name}`", f"`{default(option.default)}`" if not option.required else "required", described[name])
        for name, option in options(TrainOptions).items()
    ]
    assert {field.name for field in fields(TrainOptions)} == set(described)
    return table(("key", "default", "description"), rows)


def commands() -> dict[str, click.Command]:
    """Return the built-in commands, those of groups included, by what a user types."""
    group = click.Group("i2i")
    Plugins({}).register_commands(group)

    def of(command: click.Command, path: str) -> dict[str, click.Command]:
        if not isinstance(command, click.Group):
            return {path: command}
        return {
            name: found for key, inner in command.commands.items() for name, found in of(inner, f"{path} {key}").items()
        }

    return of(group, "i2i")


def command(path: str) -> str:
    """Return a command's usage and the table of its options."""
    found = commands()[path]
    context = click.Context(found, info_name=path, help_option_names=["-h", "--help"])
    usage = found.get_usage(context).removeprefix("Usage: ")
    rows = []
    for parameter in found.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None and "--help" not in parameter.opts:
            rows.append((f"`{record[0]}`", " ".join(record[1].split())))
    text = f"```\n{usage}\n```\n"
    return f"{text}\n{table(('option', 'description'), rows)}" if rows else text


def outputs(name: str) -> str:
    """Return the table of the outputs that losses may ask a built-in translator for."""
    kind = KINDS["translator"]
    translator = Entry(kind, name, builtin.COMPONENTS[kind][name], "builtin").load()
    rows = []
    for output in sorted(output_names(translator.Outputs)):
        value = inspect.getattr_static(translator.Outputs, output)
        reuse = getattr(
            value,
            "reuse",
            "step" if type(value) is cached_property else "view" if isinstance(value, property) else "phase",
        )
        function = getattr(value, "func", None) or getattr(value, "fget", value)
        rows.append((f"`{output}`", reuse, " ".join((inspect.getdoc(function) or "").split()).removesuffix(".")))
    return table(("output", "reuse", "description"), rows)


def recipes() -> str:
    """Return the table of the shipped recipes."""
    folder = DOCS.parent / "recipes"
    rows = []
    for path in sorted(folder.glob("*.toml")):
        first = path.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("#").strip()
        rows.append((f"`{path.stem}`", first.removesuffix(".")))
    return table(("recipe", "description"), rows)


def public_names() -> str:
    """Return the table of what `import i2i` offers."""
    rows = []
    for name in i2i.__all__:
        value = getattr(i2i, name)
        if name.startswith("__") or isinstance(value, type(i2i.NORM)):
            continue
        rows.append((f"`i2i.{name}`", summary(value)))
    return table(("name", "description"), rows)


def reference() -> str:
    """Return the directives of every built-in component of i2i, by kind; the site replaces them by its docstring."""
    text = ""
    for kind, targets in builtin.COMPONENTS.items():
        ours = {name: target.replace(":", ".") for name, target in targets.items() if target.startswith("i2i.")}
        if ours:
            text += f"## {kind.name}\n\n" + "".join(f"`{name}`\n\n::: {target}\n\n" for name, target in ours.items())
    return text.rstrip("\n") + "\n"


def plugin_reference() -> str:
    """Return the directives of what each plugin of this repository registers, and of what examples import from it.

    The sources are read and not imported, so that the list is the same whichever plugins are installed.
    """
    root = DOCS.parent
    pages = sorted([*DOCS.rglob("*.md"), *root.glob("plugins/*/README.md")])
    examples = "".join(page.read_text(encoding="utf-8") for page in pages)
    text = ""
    for folder in sorted(root.glob("plugins/*")):
        module = folder.name.replace("-", "_")
        source = (folder / module / "__init__.py").read_text(encoding="utf-8")
        calls = re.findall(r'registry\.add\((?:i2i\.)?(\w+), "([\w-]+)", "([\w.]+):(\w+)"\)', source)
        assert len(calls) == source.count("registry.add("), f"{module}: a component that is registered in another way"
        components = {f"{place}.{attribute}": (kind.lower(), name) for kind, name, place, attribute in calls}
        imported = re.findall(rf"^\s*from ({module}\.[\w.]+) import (.+)$", examples, re.MULTILINE)
        used = {f"{place}.{name.strip()}" for place, names in imported for name in names.split(",")}
        blocks = [f"`{kind}` `{name}`\n\n::: {target}\n" for target, (kind, name) in components.items()]
        blocks += [f"::: {target}\n" for target in sorted(used - set(components))]
        text += f"## {folder.name}\n\n{chr(10).join(blocks) or 'It brings commands only.' + chr(10)}\n"
    return text.rstrip("\n") + "\n"


def gallery() -> str:
    """Return the table of the gallery's trainings."""
    measured = json.loads((DOCS / "gallery" / "measured.json").read_text("utf-8"))
    rows = [(f"`{name}`", str(run["steps"]), str(run["seconds"])) for name, run in measured.items()]
    return table(("recipe", "steps", "CPU seconds, start included"), rows)


def exports() -> str:
    """Return the table of the recipes whose exported files were compared with i2i, and of those that are refused."""
    rows = []
    for name, found in json.loads((DOCS / "exports.json").read_text("utf-8")).items():
        if "refused" in found:
            rows.append((f"`{name}`", "", "", "", "", f"refused: {found['refused']}"))
            continue
        noted = [f"dropout {found['dropout']}"] * (found["dropout"] != "none")
        noted += [f"noise {found['noise']}"] * (found["noise"] != "none")
        inputs = ", ".join(f"`{name}`" for name in found["inputs"])
        rows.append((f"`{name}`", inputs, found["sizes"], found["compared"], f"{found['error']:.0e}", ", ".join(noted)))
    text = table(("recipe", "inputs", "height and width", "compared", "error", "note"), rows)
    folders = [DOCS.parent / "recipes", *DOCS.parent.glob("plugins/*/*/recipes")]
    shipped = {f"`{path.stem}`" for folder in folders for path in folder.glob("*.toml")}
    rest = sorted(shipped - {row[0] for row in rows})
    return f"{text}\nNot compared yet: {', '.join(rest)}.\n" if rest else text


def generators() -> dict[str, Callable[[], str]]:
    """Return every generated list by the name that its block has."""
    translators = builtin.COMPONENTS[KINDS["translator"]]
    return {
        "kinds": kinds,
        "hooks": hooks,
        "train": train_options,
        "recipes": recipes,
        "python": public_names,
        "api": reference,
        "api.plugins": plugin_reference,
        "gallery": gallery,
        "exports": exports,
        **{f"components.{name}": (lambda kind=kind: components(kind)) for name, kind in KINDS.items()},
        **{
            f"command.{path.removeprefix('i2i ').replace(' ', '-')}": (lambda path=path: command(path))
            for path in commands()
        },
        **{f"outputs.{name}": (lambda name=name: outputs(name)) for name in translators},
    }


def written(page: str) -> str:
    """Return a page with its generated lists as they should be."""
    known = generators()
    return BLOCK.sub(lambda found: f"{found[1]}\n{known[found[2]]()}\n{found[3]}", page)


def main() -> int:
    """Write the pages, or check them; return the exit status."""
    changed = []
    for path in sorted(DOCS.rglob("*.md")):
        page = path.read_text(encoding="utf-8")
        if (new := written(page)) != page:
            changed.append(path.relative_to(DOCS.parent))
            if "--check" not in sys.argv:
                path.write_text(new, encoding="utf-8")
    print(
        "\n".join(f"{'out of date' if '--check' in sys.argv else 'written'}: {path}" for path in changed)
        or "up to date"
    )
    return 1 if changed and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())

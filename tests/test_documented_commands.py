"""Every command of the documentation exists with its options and recipes; the tutorials run as they are written."""

from __future__ import annotations

import importlib
import re
import runpy
import shlex
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

import i2i
from i2i.cli import run as run_command
from i2i.core.plugins import Plugins
from i2i.data.images import to_image
from i2i.demo.portraits import Portraits
from i2i.recipe.files import read as read_source
from i2i.recipe.files import shipped
from i2i.recipe.source import RecipeError

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", *sorted(ROOT.glob("plugins/*/README.md"))]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = ("", "bash", "sh", "console")
NOT_RUN = {
    "serve": "runs until it is stopped; tests/use/serving starts the same server",
    "train": "of recipes other than a tutorial's: hours; the recipe and its settings are checked",
    "accelerate": "needs several GPUs; torchrun with two processes is run by tests/engine/test_two_processes.py",
    "torchrun": "starts processes; tests/engine/test_two_processes.py and tests/cli/test_bulk.py run the same",
    "pip": "changes the environment; .ci/run installs the package with its first line",
    "uv": "as pip; the README's two commands are run by .ci/run and tests/slow/test_quickstart.py",
    "python": "a program of benchmarks or docs, or another code's command line, for `i2i import-command`",
    "find": "lists files that a training has written",
    "curl": "needs a running server; tests/use/serving sends the same requests",
    "other": "translate, evaluate and the like of runs that a reader has; their tests lie next to their sources",
}
"""Why commands are parsed and not run, in one place. Those of tutorials are run, but for the ones named here."""
SMALL: dict[str, list[str]] = {
    "best_unpaired": [
        "data.size=32",
        "train.steps=4",
        "translator.generator.channels=8",
        "translator.generator.levels=3",
    ],
    "pix2pix": ["data.size=32", "train.steps=4", "train.epochs=none", "translator.generator.levels=5"],
}
"""Settings that shorten the trainings of tutorials to seconds."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def shell_lines(text: str) -> Iterator[str]:
    """Yield the command lines of a page: of fenced and of indented blocks, without prompts, outputs and comments."""
    blocks = [body for language, body in FENCE.findall(text) if language in SHELL]
    indented = re.findall(r"(?:^    .*\n)+", FENCE.sub("", text), re.MULTILINE)
    blocks += [re.sub("^    ", "", block, flags=re.MULTILINE) for block in indented]
    for block in blocks:
        lines = block.replace("\\\n", " ").splitlines()
        prompted = [line[2:] for line in lines if line.startswith("$ ")]
        yield from prompted or [line for line in lines if line.split(" ")[0] in PROGRAMS]


PROGRAMS = ("i2i", "pip", "uv", "python", "torchrun", "accelerate", "curl")


def parts(line: str) -> Iterator[list[str]]:
    """Yield the words of each command of a line."""
    words: list[str] = []
    for word in [*shlex.split(line, comments=True), ";"]:
        if word in (";", "&&", "|", "&"):
            if words:
                yield words
            words = []
        else:
            words.append(word)


def of_i2i(words: list[str]) -> list[str] | None:
    """Return the arguments of `i2i` in a command, also where a launcher starts it; None if it is another program."""
    if words[0] == "i2i":
        return words[1:]
    if words[0] in ("torchrun", "accelerate", "python", "uv") and "i2i" in words:
        return words[words.index("i2i") + 1 :]
    return None


@cache
def plugins() -> Plugins:
    """All installed plugins, which the other tests do without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("I2I_PLUGINS", raising=False)
        return Plugins()


@cache
def commands() -> click.Group:
    group = click.Group("i2i")
    plugins().register_commands(group)
    return group


COMMANDS = sorted(
    {(name(page), *words) for page in PAGES for line in shell_lines(page.read_text("utf-8")) for words in parts(line)}
)


ELSEWHERE = {
    "demo": "of i2i-demo, whose tests need gradio",
    "translate-bands": "of the plugin that docs/plugins.md builds; tests/test_documented.py registers it",
}
"""Commands of plugins that are not installed with the tests."""


NAMED = sorted({words[0] for words in COMMANDS})


def test_commands_are_found() -> None:
    assert len(COMMANDS) > 250
    assert len(NAMED) > 40


def parsed(page: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the commands of a page, parsed."""
    named = []
    for _, *words in (command for command in COMMANDS if command[0] == page):
        arguments = of_i2i(words)
        if arguments is None:
            assert words[0] in NOT_RUN or words[0] in PROGRAMS, words
            continue
        command: click.Command = commands()
        path = "i2i"
        while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
            if arguments[0].isupper() or arguments[0] in ELSEWHERE:
                break
            assert arguments[0] in command.commands, f"{path} {arguments[0]}"
            path, command, arguments = f"{path} {arguments[0]}", command.commands[arguments[0]], arguments[1:]
        if isinstance(command, click.Group):
            continue
        context = click.Context(command, info_name=path, **command.context_settings)
        given = [word for word in arguments if word not in ("...", "[OPTIONS]")]
        if "--help" in given or any(word.startswith("[") for word in given):
            continue
        values, _, _ = command.make_parser(context).parse_args(given)
        for parameter in command.params:
            value = values.get(parameter.name)
            if isinstance(parameter.type, click.Choice | click.types.IntParamType | click.types.FloatParamType):
                for one in value if isinstance(value, list) else [value]:
                    if isinstance(one, str) and not one.isupper():
                        parameter.type.convert(one, parameter, context)
        named.append((path, {key: value for key, value in values.items() if isinstance(value, str | list | tuple)}))
    return named


@pytest.mark.parametrize("page", NAMED)
def test_every_command_exists(page: str) -> None:
    """Programs, commands and options exist; choices and numbers are legal."""
    parsed(page)


@pytest.mark.slow
@pytest.mark.parametrize("page", NAMED)
def test_every_recipe_of_a_command_is_valid(page: str) -> None:
    """The settings that commands give to shipped recipes are legal, or the page shows the message."""
    shown = (ROOT / page).read_text("utf-8")
    for path, values in parsed(page):
        assert [problem for problem in problems(path, values) if problem not in shown] == []


def problems(path: str, values: dict[str, Any]) -> list[str]:
    """Return what is wrong with a command's recipe."""
    try:
        check_recipe(path, values)
    except RecipeError as error:
        return [problem.message for problem in error.problems]
    return []


def check_recipe(path: str, values: dict[str, Any]) -> None:
    """Check the shipped recipe that a command names, with the command's settings."""
    named = values.get("recipe")
    if path not in ("i2i train", "i2i check", "i2i plan") or not named:
        return
    for recipe in [named] if isinstance(named, str) else named:
        stem = recipe.removesuffix(".toml")
        if stem not in shipped(plugins().recipe_folders()):
            assert recipe.endswith(".toml") or recipe.isupper() or recipe == "my_recipe" or "/" in recipe, recipe
            continue
        settings = [one for one in values.get("settings") or () if "..." not in one]
        short = {
            "lr": "optimizers.*.lr",
            "batch_size": "train.batch_size",
            "steps": "train.steps",
            "epochs": "train.epochs",
        }
        settings += [f"{key}={values[option]}" for option, key in short.items() if values.get(option)]
        i2i.Recipe.check(read_source(stem, settings, plugins().recipe_folders()), plugins().registry)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders that tutorials begin with, filled with drawn portraits, as the working directory."""
    drawn = Portraits(size=48, count=24)
    for folder, domain in (
        ("photos/selfie", "a"),
        ("photos/anime", "b"),
        ("pairs/sketch", "a"),
        ("pairs/drawing", "b"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(20):
            to_image(drawn[number][domain]).save(tmp_path / folder / f"{number:03}.png")
    to_image(drawn[20]["a"]).save(tmp_path / "selfie.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def tutorial(page: Path) -> Any:
    return pytest.param(page, id=page.stem, marks=() if page.stem == "norm" else pytest.mark.slow)


@pytest.mark.parametrize("page", [tutorial(page) for page in TUTORIALS])
def test_tutorials_run(page: Path, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every block of a tutorial, in order, in one folder: files are written, Python runs, commands succeed."""
    ran = 0
    for language, text in FENCE.findall(page.read_text("utf-8")):
        file = re.match(r"# ([\w/]+\.(?:py|toml))\n", text)
        if file is not None:
            Path(file[1]).write_text(text, encoding="utf-8")
            if language == "toml":
                tomllib.loads(text)
        elif language == "python":
            importlib.invalidate_caches()
            script = workplace / "script.py"
            script.write_text(text, encoding="utf-8")
            runpy.run_path(str(script), run_name="__main__")
            ran += 1
        elif language == "bash":
            for line in shell_lines(f"```bash\n{text}```\n"):
                for words in parts(line):
                    ran += run(words)
    assert ran > 0 or page.stem == "gpus"
    for module in [module for module in sys.modules if module.startswith("i2i_")]:
        if Path(str(sys.modules[module].__file__)).is_relative_to(workplace):
            del sys.modules[module]


def run(words: list[str]) -> bool:
    """Run a command of a tutorial, trainings shortened; return whether it was run."""
    arguments = of_i2i(words)
    if words[0] != "i2i" or arguments is None or arguments[0] == "serve":
        assert words[0] in NOT_RUN or (arguments and arguments[0] in NOT_RUN)
        return False
    if arguments[0] == "train":
        recipe = arguments[1] if not arguments[1].startswith("-") else "best_unpaired"
        dropped = {"--size", "--steps", "--epochs"}
        arguments = [
            word
            for position, word in enumerate(arguments)
            if word not in dropped and arguments[position - 1] not in dropped
        ]
        longer = ["train.steps=6"] if "--resume" in arguments else []  # the run before was not interrupted
        for setting in [*SMALL[recipe], "train.workers=0", "data.min_images=2", *longer]:
            arguments += ["--set", setting]
    assert run_command(arguments) == 0, words
    return True

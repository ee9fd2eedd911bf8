"""Finding and loading plugins: isolation, restriction, and clashes."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import packaging.requirements  # noqa: F401  # the tests hide site-packages from later imports
import pytest

import i2i
from i2i.core import hookspecs, kinds
from i2i.core.plugins import PluginInfo, Plugins
from i2i.errors import RegistryError

WHOLE = """
import i2i

class PONO: ...

@i2i.hookimpl
def register_components(registry):
    registry.add(i2i.NORM, "pono", PONO)
    registry.add(i2i.NORM, "late", "PLUGIN:PONO")
"""

Install = Callable[..., None]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("I2I_PLUGINS", raising=False)
    monkeypatch.delenv("I2I_TRACEBACK", raising=False)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed distributions, in place of the environment's own ones."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *(path for path in sys.path if "site-packages" not in path)])
    return folder


@pytest.fixture
def install(site: Path) -> Iterator[Install]:
    made: list[str] = []

    def install(module: str, code: str, name: str = "", distribution: str = "", requires: str = "i2i>=0.1") -> None:
        made.append(module)
        (site / f"{module}.py").write_text(code.replace("PLUGIN", module))
        distribution = distribution or f"i2i-{name or module}"
        info = site / f"{distribution.replace('-', '_')}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\nRequires-Dist: {requires}\n"
        )
        (info / "entry_points.txt").write_text(f"[i2i]\n{name or module} = {module}\n")

    yield install
    for module in made:
        sys.modules.pop(module, None)


def module_of(**functions: object) -> types.ModuleType:
    module = types.ModuleType("stranger")
    vars(module).update(functions)
    return module


def problem(plugins: Plugins, name: str) -> str:
    return next(info.problem for info in plugins.found if info.name == name)


def test_the_built_in_components_come_as_a_plugin() -> None:
    plugins = Plugins({})
    assert plugins.found == [PluginInfo("builtin", "i2i", i2i.__version__)]
    assert plugins.registry.get(kinds.NORM, "in").plugin == "builtin"


def test_an_installed_distribution_is_found(install: Install) -> None:
    install("strange_plugin", WHOLE, "strange")
    plugins = Plugins()
    assert plugins.found[1:] == [PluginInfo("strange", "i2i-strange", "1.5")]
    entry = plugins.registry.get(kinds.NORM, "pono")
    assert entry.plugin == "strange"
    assert entry.load() is plugins.registry.get(kinds.NORM, "late").load()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("raise RuntimeError('no\\n  licence')", "RuntimeError: no licence"),
        ("import sys; sys.exit('goodbye')", "SystemExit: goodbye"),
        ("def (", "SyntaxError: invalid syntax (broken_plugin.py, line 1)"),
        ("class Odd(Exception): ...\nraise Odd", "Odd:"),
        ("", "it implements no hook; are its functions marked with @i2i.hookimpl?"),
        (
            "def register_components(registry): ...",
            "it implements no hook; are its functions marked with @i2i.hookimpl?",
        ),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_skipped_and_said(install: Install, code: str, reason: str) -> None:
    install("broken_plugin", code, "broken")
    install("strange_plugin", WHOLE, "strange")
    plugins = Plugins()
    assert problem(plugins, "broken") == reason
    assert [info.loaded for info in plugins.found if info.name == "broken"] == [False]
    assert (kinds.NORM, "pono") in plugins.registry
    with pytest.raises(RegistryError) as caught:
        plugins.registry.get(kinds.NORM, "pond")
    assert str(caught.value).endswith(f"It may belong to a plugin that failed to load: broken of i2i-broken ({reason})")


@pytest.mark.parametrize(
    ("requires", "said"),
    [
        ("i2i>=99.1", f". It requires i2i>=99.1, and this is {i2i.__version__}"),
        ("I2I[features]<0.0.1", f". It requires i2i<0.0.1, and this is {i2i.__version__}"),
        ("i2i>=0.0.1", ""),
        ("torch", ""),
        ("i2i ~~ 3", ""),
    ],
)
def test_a_plugin_for_another_i2i_is_said_to_be_one(install: Install, requires: str, said: str) -> None:
    install("broken_plugin", "import i2i\ni2i.FUTURE", "broken", requires=requires)
    assert problem(Plugins(), "broken") == f"AttributeError: module 'i2i' has no attribute 'FUTURE'{said}"


def test_an_interrupt_while_loading_is_not_the_plugins() -> None:
    @i2i.hookimpl
    def register_components(registry: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Plugins({"stranger": module_of(register_components=register_components)})


def test_nothing_stays_of_a_plugin_that_fails_while_registering() -> None:
    @i2i.hookimpl
    def register_components(registry: object) -> None:
        assert hasattr(registry, "add")
        registry.add(i2i.NORM, "first", int)
        raise ZeroDivisionError("division by zero")

    @i2i.hookimpl
    def recipe_folders() -> Path:
        raise AssertionError("a plugin that was not loaded has been called")

    module = module_of(register_components=register_components, recipe_folders=recipe_folders)
    plugins = Plugins({"stranger": module})
    assert problem(plugins, "stranger") == "ZeroDivisionError: division by zero"
    assert (kinds.NORM, "first") not in plugins.registry
    assert len(plugins.recipe_folders()) == 1


def test_a_clash_of_names_names_both_and_leaves_the_first() -> None:
    @i2i.hookimpl
    def register_components(registry: object) -> None:
        assert hasattr(registry, "add")
        registry.add(i2i.NORM, "new", int)
        registry.add(i2i.NORM, "in", int)

    plugins = Plugins({"stranger": module_of(register_components=register_components)})
    assert problem(plugins, "stranger") == (
        "norm 'in' is registered twice: by plugin 'builtin' and by plugin 'stranger'. "
        "Rename one of them, or load only one with I2I_PLUGINS."
    )
    assert plugins.registry.get(kinds.NORM, "in").plugin == "builtin"
    assert (kinds.NORM, "new") not in plugins.registry


def test_arguments_are_matched_by_name_and_may_be_left_away() -> None:
    called = []

    @i2i.hookimpl
    def register_components() -> None:
        called.append(True)

    assert problem(Plugins({"stranger": module_of(register_components=register_components)}), "stranger") == ""
    assert called == [True]


def test_a_misspelt_hook_is_said() -> None:
    @i2i.hookimpl
    def register_componets(registry: object) -> None: ...

    plugins = Plugins({"stranger": module_of(register_componets=register_componets)})
    assert problem(plugins, "stranger") == (
        "no hook 'register_componets'. Did you mean 'register_components'? Hooks: register_components, "
        "register_commands, recipe_folders, training_started, step_finished, images_sampled, evaluate_checkpoint, "
        "evaluation_finished, checkpoint_saved, training_finished"
    )


def test_a_misspelt_argument_is_said_with_plugin_and_hook() -> None:
    @i2i.hookimpl
    def register_components(registery: object) -> None: ...

    said = problem(Plugins({"stranger": module_of(register_components=register_components)}), "stranger")
    assert said.startswith("Plugin 'stranger' for hook 'register_components'")
    assert "Argument(s) {'registery'} are declared in the hookimpl but can not be found in the hookspec" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("restriction", "loaded"),
    [(None, {"one", "two"}), ("one", {"one"}), (" one , two,", {"one", "two"}), ("", set()), (" ", set())],
)
def test_the_environment_restricts_loading(
    install: Install, monkeypatch: pytest.MonkeyPatch, restriction: str | None, loaded: set[str]
) -> None:
    install("plugin_one", WHOLE, "one")
    install("plugin_two", WHOLE.replace("pono", "ponu").replace("late", "later"), "two")
    if restriction is not None:
        monkeypatch.setenv("I2I_PLUGINS", restriction)
    assert {info.name for info in Plugins().found} == {"builtin", *loaded}
    assert ("plugin_one" in sys.modules) == ("one" in loaded), "a plugin that is not wanted is not even imported"


def test_a_plugin_that_the_environment_misspells_is_said(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("plugin_pono", WHOLE, "pono")
    monkeypatch.setenv("I2I_PLUGINS", "pno")
    plugins = Plugins()
    assert plugins.found[1:] == [
        PluginInfo(
            "pno", "(none)", "", "I2I_PLUGINS names it, but it is not installed. Did you mean 'pono'?", loaded=False
        )
    ]
    with pytest.raises(RegistryError, match="I2I_PLUGINS names it"):
        plugins.registry.get(kinds.NORM, "pono")


def test_two_plugins_of_one_name_are_told_apart(install: Install) -> None:
    install("plugin_one", WHOLE, "same", "dist-one")
    install("plugin_two", WHOLE.replace("pono", "ponu").replace("late", "later"), "same", "dist-two")
    plugins = Plugins()
    assert sorted((info.distribution, info.loaded) for info in plugins.found[1:]) in (
        [("dist-one", True), ("dist-two", False)],
        [("dist-one", False), ("dist-two", True)],
    )
    refused = next(info for info in plugins.found if not info.loaded)
    first = next(info for info in plugins.found[1:] if info.loaded)
    assert refused.problem == f"a plugin 'same' is loaded already, from {first.distribution}; rename one of them"


def test_one_module_under_two_names_stays_loaded_once() -> None:
    @i2i.hookimpl
    def recipe_folders() -> Path:
        return Path("theirs")

    module = module_of(recipe_folders=recipe_folders)
    plugins = Plugins({"one": module, "two": module})
    assert [info.loaded for info in plugins.found] == [True, True, False]
    assert plugins.recipe_folders()[1:] == [Path("theirs")]


def test_shipped_recipes_come_first_and_a_failing_folder_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    @i2i.hookimpl
    def recipe_folders() -> Path:
        return Path("theirs")

    @i2i.hookimpl(specname="recipe_folders")
    def broken() -> Path:
        raise OSError("no disk")

    @i2i.hookimpl(specname="recipe_folders")
    def nonsense() -> int:
        return 3

    plugins = Plugins(
        {
            "theirs": module_of(recipe_folders=recipe_folders),
            "broken": module_of(recipe_folders=broken),
            "nonsense": module_of(recipe_folders=nonsense),
        }
    )
    folders = plugins.recipe_folders()
    assert [folder.name for folder in folders] == ["recipes", "theirs"]
    assert (folders[0] / "ugatit.toml").is_file()
    assert problem(plugins, "broken") == "recipe_folders failed: OSError: no disk"
    assert problem(plugins, "nonsense").startswith("recipe_folders failed: TypeError:")
    assert caplog.messages[0] == "plugin 'broken': recipe_folders failed: OSError: no disk"


def commands(**named: str) -> types.ModuleType:
    @i2i.hookimpl
    def register_commands(cli: click.Group) -> None:
        for name, said in named.items():

            @cli.command(name)
            def command(said: str = said) -> None:
                click.echo(said)

    return module_of(register_commands=register_commands)


def test_a_plugin_adds_commands_and_may_do_so_again() -> None:
    plugins, cli = Plugins({"theirs": commands(hello="there")}), click.Group()
    for _ in range(2):  # a process that runs the command line twice
        plugins.register_commands(cli)
    assert {"hello", "train", "check"} <= set(cli.commands)
    assert problem(plugins, "theirs") == ""


def test_commands_that_clash_are_said_and_none_of_them_added(caplog: pytest.LogCaptureFixture) -> None:
    cli = click.Group()
    plugins = Plugins(
        {"one": commands(hello="one"), "two": commands(bye="two", hello="two"), "three": commands(train="3")}
    )
    plugins.register_commands(cli)
    assert cli.commands["train"].callback is not None
    assert cli.commands["train"].callback.__module__ == "i2i.cli.train"
    assert "bye" not in cli.commands
    assert caplog.messages == [
        "plugin 'two': register_commands failed: "
        "the command 'hello' is registered twice: by plugin 'one' and by plugin 'two'",
        "plugin 'three': register_commands failed: "
        "the command 'train' is registered twice: by plugin 'builtin' and by plugin 'three'",
    ]


def test_with_a_wish_for_tracebacks_a_plugins_author_sees_his_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @i2i.hookimpl
    def register_components(registry: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setenv("I2I_TRACEBACK", "1")
    Plugins({"stranger": module_of(register_components=register_components)})
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "test_plugins.py" in said


def test_every_hook_is_documented() -> None:
    hooks = [value for name, value in vars(hookspecs).items() if hasattr(value, "i2i_spec")]
    assert len(hooks) == 10
    assert all(inspect.getdoc(hook) for hook in hooks)


FAST = """
import sys
import i2i, i2i.core.registry, i2i.core.factory, i2i.core.signature, i2i.core.kinds
import i2i.core.contracts, i2i.core.hookspecs, i2i.core.plugins
from i2i.cli import run
for arguments in (["--help"], ["--version"], ["list"], ["list", "norm"], ["plugins"], ["recipes", "list"],
                  ["recipes", "show", "ugatit"], ["train", "--help"], ["translate", "--help"], ["check", "--help"],
                  ["plan", "--help"]):
    assert run(arguments) == 0, arguments
slow = {"torch", "numpy", "kornia", "timm", "accelerate", "PIL", "pydantic"} & set(sys.modules)
assert not slow, slow
"""


def test_help_and_lists_do_not_import_torch() -> None:
    environment = {**os.environ, "I2I_PLUGINS": ""}
    done = subprocess.run([sys.executable, "-c", FAST], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_another_process_finds_an_installed_plugin(install: Install, site: Path) -> None:
    install("strange_plugin", WHOLE, "strange")
    install("broken_plugin", "1 / 0", "broken")
    command = [sys.executable, "-m", "i2i", "plugins"]
    environment = {**os.environ, "PYTHONPATH": str(site), "I2I_PLUGINS": "strange,broken"}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert sorted(" ".join(line.split()) for line in said) == [
        "broken i2i-broken 1.5 not loaded: ZeroDivisionError: division by zero",
        f"builtin i2i {i2i.__version__} loaded",
        "strange i2i-strange 1.5 loaded",
    ]


def test_commands_with_all_plugins_start_without_torch() -> None:
    """Options are refused, and help is shown, before seconds are spent on imports."""
    code = "import sys; from i2i.cli import run; run(['sample', 'x', '--count', '0']); print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().splitlines()[-1] == "False"

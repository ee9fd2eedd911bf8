"""The commands that only look: check, list, describe, plugins, recipes and schema."""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import i2i
from i2i.cli import cli, run
from i2i.core.plugins import Plugins, default_plugins
from i2i.core.registry import Registry
from i2i.nn.discriminators.patch import Patch
from i2i.recipe.recipe import Recipe

RECIPES = Path(__file__).parents[2] / "recipes"
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("I2I_TRACEBACK", raising=False)
    default_plugins.cache_clear()
    yield
    default_plugins.cache_clear()


def said(capsys: Captured, *arguments: str, status: int = 0) -> str:
    """What a command prints: on standard output where it goes well, else on standard error."""
    assert run([*arguments]) == status
    captured = capsys.readouterr()
    if status == 0:
        assert captured.err == ""
        return captured.out
    assert "Traceback" not in captured.err
    return captured.err


# check


def test_check_counts_parameters_of_several_recipes(capsys: Captured) -> None:
    lines = said(capsys, "check", "pix2pix", "pix2pix_small").splitlines()
    assert lines[0] == "pix2pix: ok (256 px; parameters: discriminators 2.77 M, generator 54.41 M)"
    assert re.fullmatch(
        r"pix2pix_small: ok \(\d+ px; parameters: discriminators [\d.]+ M, generator [\d.]+ M\)", lines[1]
    )


def test_check_says_all_that_is_wrong_with_all_recipes(capsys: Captured) -> None:
    Path("first.toml").write_text("extends = 'ugatit_small'\n[train]\nstep = 3\n")
    Path("second.toml").write_text(
        "extends = 'ugatit'\n[losses.cam]\ntype = 'cma'\n[translator.generator]\nlight = 1\n"
    )
    Path("third.toml").write_text("extends = 'pix2pix_small'\n\nlosses.cam.type = 'cam'\n")
    assert run(["check", "first.toml", "pix2pix_small", "second.toml", "third.toml", "fourth.toml"]) == 2
    captured = capsys.readouterr()
    assert captured.out.startswith("pix2pix_small: ok (")
    assert captured.out.count("\n") == 1
    places = [": ".join(line.split(": ")[:2]) for line in captured.err.splitlines()]
    assert places == [
        "first.toml:3: train.step",
        "second.toml:3: losses.cam.type",
        "second.toml:5: translator.generator.light",
        "third.toml:3: losses.cam",
        "fourth.toml: no such recipe file, nor a recipe of that name. Shipped recipes",
    ]


def test_check_takes_settings_and_prints_the_resolved_recipe(capsys: Captured) -> None:
    written = said(capsys, "check", "pix2pix_small", "--set", "train.steps=7", "--resolved")
    Path("written.toml").write_text(written)
    assert "steps = 7\n" in written
    assert said(capsys, "check", "written.toml", "--resolved") == written
    assert said(capsys, "check", "pix2pix_small", "--set", "train.stesp=7", status=2).startswith(
        "--set train.stesp=7: train.stesp: train has no option 'stesp'. Did you mean 'steps'? Options: steps, "
    )


def test_check_refuses_a_metric_without_ground_truth(capsys: Captured) -> None:
    Path("kept.toml").write_text("extends = 'cyclegan_small'\n[train]\nkeep_best = 'ssim'\n[data]\ntype = 'folders'\n")
    assert said(capsys, "check", "kept.toml", status=2).startswith(
        "kept.toml:3: train.keep_best: 'ssim' needs a data set with held-out pairs, which 'folders' has not; name"
    )


def test_check_wants_a_recipe(capsys: Captured) -> None:
    assert "Missing argument 'RECIPE...'" in said(capsys, "check", status=2)


# list


def test_list_names_every_component_of_every_kind(capsys: Captured) -> None:
    printed = said(capsys, "list")
    for entry in Plugins({}).registry:
        assert re.search(rf"^  {re.escape(entry.name)} +builtin$", printed, re.MULTILINE), entry
    for kind in i2i.core.kinds.KINDS:
        assert f"{kind}:\n" in printed


def test_list_of_one_kind(capsys: Captured) -> None:
    names = Plugins({}).registry.names(i2i.SCHEDULE)
    assert said(capsys, "list", "schedule") == "schedule:\n" + "".join(f"  {name:<16} builtin\n" for name in names)
    assert said(capsys, "list", "activation").endswith("  and any class of torch.nn, by its full name\n")
    assert said(capsys, "list", "norms", status=2).startswith(
        "error: no kind 'norms'. Did you mean 'norm'? Kinds: norm, "
    )


# describe


def test_describe_tells_options_source_and_documentation(capsys: Captured) -> None:
    printed = said(capsys, "describe", "patch")
    lines = printed.splitlines()
    assert lines[0] == "discriminator patch (plugin builtin)"
    assert re.fullmatch(r"source: .*i2i/nn/discriminators/patch\.py:\d+", lines[1])
    assert "  norm: norm or 'none' = 'in'" in lines
    assert "  padding: 'zeros' or 'reflect' or 'reflect_same' = 'zeros'" in lines
    assert "  activation: activation = { type = 'leaky_relu', negative_slope = 0.2 }" in lines
    documentation = inspect.getdoc(Patch)
    assert documentation is not None
    assert documentation.partition("\n")[0] in lines
    assert "Source: Isola et al., CVPR 2017" in printed


def test_describe_shows_all_components_of_a_name_or_the_one_of_a_kind(capsys: Captured) -> None:
    both = said(capsys, "describe", "cam")
    assert "attention cam (plugin builtin)" in both
    assert "loss cam (plugin builtin)" in both
    one = said(capsys, "describe", "loss.cam")
    assert "attention cam" not in one
    assert "options:\n  none\n" in one
    assert one.strip() in both


def test_describe_words_what_a_recipe_may_say(capsys: Captured) -> None:
    assert "  order: array of 'discriminator' or 'generator' = ['discriminator', 'generator']" in said(
        capsys, "describe", "cyclic"
    )
    cyclic = said(capsys, "describe", "cyclic")
    assert "  discriminators: table of discriminator, required" in cyclic
    assert "  pool: integer >= 0 = 0" in cyclic
    assert "image_size" not in cyclic.partition("options:")[2].partition("A generator")[0]
    assert "  start: number >= 0 and <= 1 = 0.5" in said(capsys, "describe", "linear_decay")
    assert "  a: string or path or 'none' = 'none'" in said(capsys, "describe", "folders")
    assert "  betas: array of number" in said(capsys, "describe", "adam")


def test_describe_takes_a_class_named_in_full(capsys: Captured) -> None:
    printed = said(capsys, "describe", "torch.nn.SmoothL1Loss")
    assert printed.startswith("activation or loss torch.nn.SmoothL1Loss (plugin torch)\nsource: ")
    assert "  reduction: string = 'mean'" in printed
    assert said(capsys, "describe", "loss.torch.nn.SmoothL1Loss").startswith(
        "loss torch.nn.SmoothL1Loss (plugin torch)"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ptach", "error: no component 'ptach'. Did you mean 'patch'? `i2i list` lists all\n"),
        ("loss.camm", "error: unknown loss 'camm'. Did you mean 'cam'? Registered: "),
        ("torch.nn.L1Los", "error: torch.nn has no class 'L1Los'. Did you mean 'torch.nn.L1Loss'?\n"),
        ("os.system", "error: no component 'os.system'. "),
    ],
)
def test_describe_of_what_does_not_exist(capsys: Captured, name: str, message: str) -> None:
    assert said(capsys, "describe", name, status=2).startswith(message)


def test_every_component_can_be_described(capsys: Captured) -> None:
    for entry in Plugins({}).registry:
        printed = said(capsys, "describe", f"{entry.kind.name}.{entry.name}")
        assert printed.startswith(f"{entry.kind.name} {entry.name} (plugin builtin)\nsource: ")
        assert "FieldInfo" not in printed
        assert "typing." not in printed


# plugins


def stranger(fails: bool = False) -> types.ModuleType:
    module = types.ModuleType("stranger")

    @i2i.hookimpl
    def register_components(registry: Registry) -> None:
        if fails:
            raise ImportError("no licence")
        registry.add(i2i.NORM, "strange", "nowhere:Norm")  # type: ignore[call-arg]

    vars(module)["register_components"] = register_components
    return module


def test_plugins_are_listed_with_what_is_wrong(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = Plugins({"good": stranger(), "bad": stranger(fails=True)})
    monkeypatch.setattr("i2i.cli.components.default_plugins", lambda: plugins)
    assert [re.split(" {2,}", line.strip()) for line in said(capsys, "plugins").splitlines()] == [
        ["builtin", f"i2i {i2i.__version__}", "loaded"],
        ["good", "good", "loaded"],
        ["bad", "bad", "not loaded: ImportError: no licence"],
    ]
    assert "  strange          good\n" in said(capsys, "list", "norm")
    assert said(capsys, "describe", "strange", status=2) == (
        "error: norm 'strange' of plugin 'good' cannot be loaded from nowhere:Norm: "
        "ModuleNotFoundError: No module named 'nowhere'\n"
    )
    assert said(capsys, "describe", "norm.odd", status=2).endswith(
        "It may belong to a plugin that failed to load: bad of bad (ImportError: no licence)\n"
    )


# recipes


def test_recipes_are_listed_with_their_first_line(capsys: Captured) -> None:
    printed = said(capsys, "recipes", "list").splitlines()
    assert [line.split()[0] for line in printed] == sorted(path.stem for path in RECIPES.glob("*.toml"))
    assert any(line.startswith("cyclegan  ") and "CycleGAN: Zhu et al." in line for line in printed)


def test_a_recipe_is_shown_as_it_is(capsys: Captured) -> None:
    text = (RECIPES / "cyclegan.toml").read_text(encoding="utf-8")
    assert said(capsys, "recipes", "show", "cyclegan") == said(capsys, "recipes", "show", "cyclegan.toml") == text
    assert said(capsys, "recipes", "show", "cylcegan", status=2).startswith(
        "error: no recipe 'cylcegan'. Did you mean 'cyclegan'? Recipes: "
    )


@pytest.mark.parametrize(
    ("target", "made"),
    [
        ([], "ugatit_light.toml"),
        (["mine.toml"], "mine.toml"),
        (["new/deep/mine.toml"], "new/deep/mine.toml"),
        (["new"], "new/ugatit_light.toml"),
    ],
)
def test_a_copied_recipe_still_finds_what_it_extends(capsys: Captured, target: list[str], made: str) -> None:
    assert said(capsys, "recipes", "copy", "ugatit_light", *target) == f"{made}\n"
    assert Path(made).read_text(encoding="utf-8") == (RECIPES / "ugatit_light.toml").read_text(encoding="utf-8")
    assert Recipe.read(made).resolved() == Recipe.read("ugatit_light").resolved()


def test_a_copy_writes_over_nothing(capsys: Captured) -> None:
    Path("ugatit.toml").write_text("mine")
    assert said(capsys, "recipes", "copy", "ugatit", status=2) == "error: ugatit.toml exists; choose another file\n"
    assert Path("ugatit.toml").read_text() == "mine"


# schema


def test_schema_is_printed_or_written(capsys: Captured) -> None:
    printed = json.loads(said(capsys, "schema"))
    assert printed["title"] == "i2i recipe"
    assert said(capsys, "schema", "--output", "folder/recipe.schema.json") == "folder/recipe.schema.json\n"
    assert json.loads(Path("folder/recipe.schema.json").read_text(encoding="utf-8")) == printed


# the command line itself


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    default_plugins().register_commands(cli)
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


def test_every_command_has_help(capsys: Captured) -> None:
    known = list(commands())
    assert {("train",), ("translate",), ("check",), ("recipes", "copy"), ("import",), ("list",)} <= set(known)
    for path in known:
        for flag in ("--help", "-h"):
            printed = said(capsys, *path, flag)
            assert printed.startswith(f"Usage: i2i {' '.join(path)}".rstrip())
            assert len(printed.splitlines()) > 4, f"i2i {' '.join(path)} says nothing about itself"


def test_the_version(capsys: Captured) -> None:
    assert said(capsys, "--version") == f"i2i, version {i2i.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["chekc"],
        ["check"],
        ["list", "a", "b"],
        ["describe"],
        ["recipes"],
        ["recipes", "shwo"],
        ["schema", "--outptu", "x"],
    ],
)
def test_a_mistake_of_usage_has_status_2(capsys: Captured, arguments: list[str]) -> None:
    assert "Usage: i2i" in said(capsys, *arguments, status=2)


def test_a_traceback_on_demand(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_TRACEBACK", "1")
    assert run(["describe", "ptach"]) == 2
    printed = capsys.readouterr().err
    assert "Traceback (most recent call last)" in printed
    assert printed.endswith("error: no component 'ptach'. Did you mean 'patch'? `i2i list` lists all\n")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (FileNotFoundError(2, "No such file or directory", "x"), 1, "error: No such file or directory: x"),
        (i2i.I2IError("a mistake"), 2, "error: a mistake"),
        (ZeroDivisionError("a bug"), 1, "ZeroDivisionError: a bug"),
        (
            type("OutOfMemoryError", (RuntimeError,), {})("no room"),
            1,
            "error: out of memory: no room. To translate, choose a smaller --size",
        ),
    ],
)
def test_exit_statuses(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, message: str
) -> None:
    def raising() -> None:
        raise error

    monkeypatch.setattr("i2i.cli.components.default_plugins", raising)
    assert run(["plugins"]) == status
    assert message in capsys.readouterr().err


def test_the_package_lists_what_it_offers() -> None:
    assert {"train", "load", "Recipe", "Stepper", "Translator", *i2i.__all__} <= set(dir(i2i))

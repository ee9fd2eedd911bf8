"""The check of whole recipes: what a user is told, all of it at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from torch import Tensor, nn

from i2i.core import kinds
from i2i.core.contracts import Norm
from i2i.core.factory import Factory
from i2i.core.plugins import Plugins
from i2i.core.registry import Registry
from i2i.recipe.files import read, shipped
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError, Source

Said = Callable[..., list[str]]
HERE = Path(__file__).parent
RECIPES = Path(__file__).parents[2] / "recipes"
LISTS = re.compile(r" (Registered: |Options: |Outputs: |one of )(?:(?!, got ).)*")
"""What grows with each new component; `test_the_lists_that_messages_end_with` looks at them."""


def test_a_mistake_in_every_section_is_said_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    with pytest.raises(RecipeError) as caught:
        Recipe.read("broken.toml")
    seen = [LISTS.sub(r" \1...", line) for line in str(caught.value).splitlines()]
    assert seen == (HERE / "broken.txt").read_text(encoding="utf-8").splitlines()


def test_the_lists_that_messages_end_with(said: Said) -> None:
    names = ", ".join(Plugins({}).registry.names(kinds.SCHEDULE))
    (line,) = said("extends = 'ugatit_small'\n[schedule]\ntype = 'cosin'\n")
    assert line == f"mine.toml:3: schedule.type: unknown schedule 'cosin'. Did you mean 'cosine'? Registered: {names}"
    (line,) = said("extends = 'ugatit_small'\n[schedule]\ntype = 3\n")
    assert line == f"mine.toml:3: schedule.type: expected one of {names}, got 3"
    (line,) = said("extends = 'ugatit_small'\n[schedule]\nstrat = 0.5\n")
    lacks = "schedule 'linear_decay' has no option 'strat'. Did you mean 'start'? Options: start"
    assert line == f"mine.toml:3: schedule.strat: {lacks}"
    (line,) = said("extends = 'ugatit_small'\n[schedule]\ntype = 'constant'\nstart = 0.5\n")
    other = "With type = 'epoch_decay' or 'linear_decay' there is one."
    assert line == f"mine.toml:4: schedule.start: schedule 'constant' has no option 'start'. {other} It has none"
    line, _ = said("extends = 'cyclegan_small'\n[data]\na = 'photos'\nb = 'paintings'\n")
    types = "'class_pairs', 'folders', 'label_pairs', 'masked_folders', 'paired' or 'single_image'"
    other = f"With type = {types} there is one."
    assert line.startswith(f"mine.toml:3: data.a: dataset 'shapes' has no option 'a'. {other} Options: size, ")
    line, *_ = said("extends = 'ugatit_small'\n[data]\nroot = 'photos'\n")
    assert line.startswith(
        "mine.toml:3: data.root: dataset 'portraits' has no option 'root'. With type = 'class_pairs', "
    )
    (line,) = said("extends = 'ugatit_small'\n[losses.cycle.inputs]\nprediction = 'cycel'\n")
    assert line.startswith(
        "mine.toml:3: losses.cycle.inputs.prediction: no output 'cycel'. Did you mean 'cycle'? "
        "Outputs: background, cycle, "
    )


@pytest.mark.parametrize("name", sorted(shipped([RECIPES])))
def test_a_shipped_recipe_is_the_same_recipe_when_written_and_read_again(name: str, tmp_path: Path) -> None:
    recipe = Recipe.read(RECIPES / f"{name}.toml")
    (tmp_path / "written.toml").write_text(recipe.to_toml(), encoding="utf-8")
    again = Recipe.read(tmp_path / "written.toml")
    assert again.resolved() == recipe.resolved()
    assert again.to_toml() == recipe.to_toml()


def test_an_empty_recipe_is_told_what_it_lacks(said: Said) -> None:
    assert said("") == [
        "mine.toml: the table [data] is missing",
        "mine.toml: the table [translator] is missing",
        "mine.toml: train: train needs the option 'steps'",
    ]


def test_a_misspelt_table_is_checked_as_what_it_looks_like(said: Said) -> None:
    text = (RECIPES / "cyclegan.toml").read_text(encoding="utf-8").replace("[data]", "[dta]").replace("flip", "flp")
    assert [re.sub(r":\d+|\. .*", "", line) for line in said(text)] == [
        "mine.toml: dta: no table 'dta'",
        "mine.toml: dta.flp: dataset 'folders' has no option 'flp'",
    ]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        # values
        ("data.size", "true", ": expected an integer or an array, got true"),
        ("data.size", "64.0", ": expected an integer or an array, got 64.0. Write 64"),
        ("data.size", "'64'", ": expected an integer or an array, got '64'. Write 64 without quotes"),
        ("data.size", "[64]", ": expected an integer or a longer array, got [64]"),
        ("data.size", "1979-05-27", ": no option takes a date or a time, got 1979-05-27"),
        ("train.steps", "0", ": expected a number > 0, got 0"),
        ("train.steps", "18446744073709551616", ": expected a number of 64 bits, got a number too large for TOML"),
        ("train.ema", "1", ": expected a number < 1 or a table or 'none', got 1"),
        ("train.seed", "'x'", ": expected an integer, got 'x'"),
        (
            "train.trackers",
            "['tensorbord']",
            "[0]: expected 'tensorboard', 'wandb', 'trackio', 'aim' or 'mlflow', got 'tensorbord'. Did "
            "you mean 'tensorboard'?",
        ),
        ("train", "3", ": expected a table, got 3"),
        ("optimizers.generator.betas", "[0.5]", ": expected a longer array, got [0.5]"),
        ("optimizers.generator.betas", "[0.5, 'x']", "[1]: expected a number, got 'x'"),
        ("optimizers.generator.lr", "'fast'", ": expected a number, got 'fast'"),
        # weights
        ("losses.cycle.weight", "-1", ": expected a number >= 0 or a table, got -1"),
        ("losses.cycle.weight", "nan", ": expected a finite number or a table, got nan"),
        ("losses.cycle.weight", "true", ": expected a number or a table, got true"),
        ("losses.gan.weight.generator", "inf", ": expected a finite number or a table, got inf"),
        (
            "losses.gan.weight.generatr",
            "1",
            ": the loss has no phase and no domain 'generatr'. Did you mean 'generator'? "
            "Its phases: discriminator, generator; domains: a, b",
        ),
        # components
        ("translator", "3", ": expected the name of a component (translator), or a table, got 3"),
        ("losses", "3", ": expected a table for each, [losses.NAME], got 3"),
        ("losses.cycle", "[1]", ": expected the name of a component (loss), or a table, got [1]"),
        ("optimizers", "'adam'", ": expected a table for each, [optimizers.PHASE], got 'adam'"),
        (
            "translator.discriminators",
            "'patch'",
            ": expected a table for each, [translator.discriminators.NAME], got 'patch'",
        ),
        ("translator.generator.norm", "3", ": expected the name of a component (norm), or a table, got 3"),
        ("translator.generator.attention.type", "3", ": expected one of ..., got 3"),
        ("data.seed", "3", ": cannot be set here: the rest of the recipe decides it"),
        ("schedule.steps", "3", ": cannot be set here: the rest of the recipe decides it"),
        ("translator.streams", "3", ": cannot be set here: the rest of the recipe decides it"),
        # wiring
        (
            "losses.cycle.phase",
            "'generater'",
            ": no phase 'generater'. Did you mean 'generator'? Phases: discriminator, generator",
        ),
        (
            "losses.cycle.phase",
            "['generator', 'generater']",
            ": no phase 'generater'. Did you mean 'generator'? Phases: discriminator, generator",
        ),
        (
            "losses.gan.phase",
            "'generator'",
            ": cannot be set here: 'lsgan' itself says what it does in which phase (discriminator, generator)",
        ),
        (
            "losses.cycle.inputs.traget",
            "'real'",
            ": the loss has no input 'traget'. Did you mean 'target'? Inputs: prediction, target",
        ),
        ("losses.cycle.inputs.target", "3", ": expected a string, got 3"),
        # sizes
        (
            "data.size",
            "50",
            ": expected a multiple of 4, at least 8, got 50; try 48 or 52 (because of translator.generator)",
        ),
        # names
        ("losses.'a.b'", "'none'", ": expected a name of letters, digits, _ and -, got 'a.b'"),
        ("losses.keys", "'none'", ": expected a name of your own, got 'keys', which torch uses for something else"),
        (
            "losses.forward",
            "'none'",
            ": expected a name of your own, got 'forward', which torch uses for something else",
        ),
        (
            "losses.training",
            "'none'",
            ": expected a name of your own, got 'training', which torch uses for something else",
        ),
        ("losses.''", "'none'", ": expected a name of letters, digits, _ and -, got ''"),
        (
            "translator.discriminators.items",
            "'none'",
            ": expected a name of your own, got 'items', which torch uses for something else",
        ),
    ],
)
def test_one_mistake_gives_one_message(said: Said, key: str, value: str, message: str) -> None:
    seen = [LISTS.sub(r" \1...", line) for line in said(f"extends = 'ugatit_small'\n{key} = {value}\n")]
    assert seen == [f"mine.toml:2: {key}{message}"]


def test_a_discriminator_too_deep_for_its_images_is_told_what_would_do(said: Said) -> None:
    assert said("extends = 'ugatit_small'\n\n[translator.discriminators.global_]\nlayers = 7\n", "data.size=64") == [
        "mine.toml:4: translator.discriminators.global_.layers: 7 layers need images of at least 96 px, got 64 px; "
        "at most 6 layers work at 64 px"
    ]


def test_images_too_small_for_a_discriminator_are_found_without_any_line_for_its_layers(said: Said) -> None:
    lines = said("extends = 'cyclegan'\n[translator.discriminators.other]\ntype = 'patch'\n", "data.size=16")
    assert lines[0].startswith(
        "mine.toml:2: translator.discriminators.other.layers: 5 layers need images of at least 24 px"
    )


def test_both_outputs_that_are_missing_are_asked_for_at_once(said: Said) -> None:
    (line,) = said("extends = 'ugatit_small'\n[losses.extra]\ntype = 'torch.nn.SmoothL1Loss'\n")
    assert line.startswith(
        "mine.toml:2: losses.extra: 'torch.nn.SmoothL1Loss' needs 'input' and 'target': "
        "say which outputs feed it, inputs = { input = '...', target = '...' }. Outputs: background, cycle, "
    )


def test_options_that_a_criterion_needs_are_asked_for(said: Said) -> None:
    text = "extends = 'ugatit_small'\n[losses.ssim]\ntype = 'kornia.losses.SSIMLoss'\n"
    text += "inputs = { img1 = 'cycle', img2 = 'real' }\n"
    assert said(text) == ["mine.toml:2: losses.ssim: loss 'kornia.losses.SSIMLoss' needs the option 'window_size'"]
    assert said(text + "window_size = 11\n") == []


@pytest.mark.parametrize("name", ["torch.nn.Module", "torch.nn.Parameter", "torch.nn.ParameterDict"])
def test_a_class_that_computes_nothing_is_no_loss(said: Said, name: str) -> None:
    lines = said("extends = 'ugatit_small'\n", f"losses.odd.type={name}")
    assert lines
    assert "has neither forward nor a method for a phase. Phases: discriminator, generator" in lines[0]


def test_a_phase_needs_a_loss_and_an_optimizer(said: Said) -> None:
    silent = [f"losses.{name}.weight=0" for name in ("cycle", "identity", "cam")]
    (line,) = said("extends = 'ugatit'\n", "losses.gan.weight={ generator = 0 }", *silent)
    assert line.endswith(": losses: no loss plays in the phase 'generator': it would train nothing")


def test_a_phase_without_optimizer_is_said(said: Said) -> None:
    text = (RECIPES / "cyclegan.toml").read_text(encoding="utf-8")
    without = re.sub(r"\[optimizers.discriminator\](.|\n)*?\n\n", "", text)
    (line,) = said(without)
    assert re.fullmatch(
        r"mine.toml:\d+: optimizers: the phase 'discriminator' has no optimizer: add \[optimizers.discriminator\]", line
    )
    misspelt = said(text.replace("[optimizers.discriminator]", "[optimizers.discriminater]"))
    assert len(misspelt) == 1
    assert "no phase 'discriminater'. Did you mean 'discriminator'?" in misspelt[0]


def test_a_weight_of_0_switches_an_inherited_loss_off(write: Callable[..., Path]) -> None:
    recipe = Recipe.read(write("extends = 'ugatit'\n[losses.cam]\nweight = 0\n"))
    assert recipe.losses["cam"].calls == ()
    assert Recipe.read(write("extends = 'ugatit'\n[losses.cam.weight]\ngenerator = 0\n")).losses["cam"].calls == ()
    only = Recipe.read(write("extends = 'ugatit'\n[losses.gan.weight]\ngenerator = 0\n"))
    assert [call.phase for call in only.losses["gan"].calls] == ["discriminator"]


def test_a_criterion_may_play_in_several_phases(write: Callable[..., Path]) -> None:
    text = "extends = 'cyclegan'\n[losses.cycle]\nphase = ['discriminator', 'generator']\nweight = { generator = 3 }\n"
    recipe = Recipe.read(write(text))
    assert [(call.phase, call.method, call.weight.factor) for call in recipe.losses["cycle"].calls] == [
        ("discriminator", "forward", 1),
        ("generator", "forward", 3),
    ]
    assert "phase = [" in recipe.to_toml()


def test_none_switches_components_off(write: Callable[..., Path]) -> None:
    text = """
        extends = "ugatit"
        losses.cam = "none"
        translator.generator.attention = "none"
        translator.discriminators.global_ = "none"
        translator.discriminators.local.attention = "none"
    """
    recipe = Recipe.read(write(text))
    assert sorted(recipe.losses) == ["cycle", "gan", "identity"]
    options: Any = recipe.translator.options
    assert options["generator"].options["attention"] is None
    assert list(options["discriminators"]) == ["local"]


def test_what_is_not_optional_cannot_be_switched_off(said: Said) -> None:
    assert said("extends = 'ugatit'\ntranslator.generator = 'none'\n")[0].startswith(
        "mine.toml:2: translator.generator: no generator is called 'none'; this generator cannot be switched off"
    )
    (line,) = said("extends = 'cyclegan'\ntranslator.discriminators.local = 'none'\n")
    assert line == "mine.toml:2: translator.discriminators: expected at least one discriminator, got none"


def test_names_that_torch_cannot_export(said: Said) -> None:
    (line,) = said("extends = 'cyclegan_small'\n\n[translator.discriminators.lambda]\ntype = 'patch'\n")
    assert line == (
        "mine.toml:3: translator.discriminators: 'lambda' is a keyword of Python, which torch.export cannot take; "
        "try 'lambda_'"
    )


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        (["optimizers.generator.lr=1"], 1.0),
        (["optimizers.generator.lr=1e-3"], 1e-3),
    ],
)
def test_an_integer_will_do_for_a_number(settings: list[str], value: float) -> None:
    assert Recipe.read(RECIPES / "ugatit_small.toml", settings).optimizers["generator"].factory.options["lr"] == value


def test_paths_become_absolute_so_that_a_run_resumes_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = Recipe.read(
        RECIPES / "ugatit.toml", ["data.a=photos/../selfie", "data.b=~/anime", f"data.test_a={tmp_path}"]
    )
    assert recipe.data.options["a"] == tmp_path / "selfie"
    assert recipe.data.options["b"] == Path("~/anime").expanduser()
    assert recipe.data.resolved()["a"] == str(tmp_path / "selfie")
    with pytest.raises(RecipeError, match=r"^--set data.a=: data.a: expected a path, got ''$"):
        Recipe.read(RECIPES / "ugatit.toml", ["data.a="])


def test_settings_may_be_a_mapping_of_python_values(tmp_path: Path) -> None:
    changes = {"train.steps": 7, "train.ema": None, "data.a": tmp_path, "losses.gan": {"type": "hinge", "weight": 2}}
    recipe = Recipe.read(RECIPES / "ugatit.toml", changes)
    assert (recipe.train.steps, recipe.train.ema, recipe.data.options["a"]) == (7, None, tmp_path)
    assert (recipe.losses["gan"].factory.name, recipe.losses["gan"].wiring.weight) == ("hinge", 2.0)


class Strange(nn.Module):
    """A component with whatever a stranger may write."""

    def __init__(  # type: ignore[no-untyped-def]
        self, num_features: int, inner: Factory[Norm] | None = None, extra=None, kind="none"
    ) -> None:
        super().__init__()

    @classmethod
    def check(cls, extra: Any, missing: int = 3) -> None:
        return 1 / extra if extra is not None else None  # type: ignore[return-value]


class NoKind(nn.Module):
    def __init__(self, part: Factory[Tensor]) -> None:  # type: ignore[type-var]
        super().__init__()


def problems(registry: Registry, values: dict[str, Any]) -> list[str]:
    source = read(RECIPES / "ugatit_small.toml")
    source.values["translator"]["generator"] |= values
    try:
        Recipe.check(Source("mine", source.values, {}), registry)
    except RecipeError as error:
        return str(error).splitlines()
    return []


def test_strangers_components_cannot_break_the_check(registry: Registry) -> None:
    registry.add(kinds.NORM, "strange", Strange)
    registry.add(kinds.NORM, "nokind", NoKind)
    registry.add(kinds.NORM, "lost", "nowhere:Norm")
    assert problems(registry, {"norm": {"type": "strange", "inner": {"type": "strange", "extra": 2}, "kind": 3}}) == []
    assert problems(registry, {"norm": {"type": "strange", "extra": 0}}) == [
        "mine: translator.generator.norm: cannot be checked: ZeroDivisionError: division by zero"
    ]
    assert problems(registry, {"norm": {"type": "nokind", "part": "x"}}) == [
        "mine: translator.generator.norm.part: Factory[Tensor] asks for no kind of component: expected the "
        "contract of a kind, such as i2i.Norm; a plugin adds a kind for Tensor with registry.add_kind"
    ]
    assert problems(registry, {"norm": "lost"}) == [
        "mine: translator.generator.norm: norm 'lost' of plugin '(none)' cannot be loaded from nowhere:Norm: "
        "ModuleNotFoundError: No module named 'nowhere'"
    ]


def test_a_translator_and_a_data_set_that_keep_no_contract_are_said(registry: Registry) -> None:
    registry.add(kinds.TRANSLATOR, "bare", nn.Module)
    registry.add(kinds.DATASET, "sizeless", nn.Module)
    source = read(RECIPES / "ugatit_small.toml")
    values = {**source.values, "translator": "bare", "data": "sizeless"}
    with pytest.raises(RecipeError) as caught:
        Recipe.check(Source("mine", values, {}), registry)
    assert str(caught.value).splitlines() == [
        "mine: data: dataset 'sizeless' has no declare_streams and no __len__ and no __getitem__ and no preview, which "
        "i2i.core.contracts.Dataset asks for",
        "mine: translator: translator 'bare' has no Outputs and no phases and no default_phase",
    ]


def test_a_loss_that_is_a_function_or_takes_nothing_is_said(registry: Registry) -> None:
    def function(strength: float = 1.0) -> Tensor:
        raise NotImplementedError

    class Nothing(nn.Module):
        def forward(self) -> Tensor:
            raise NotImplementedError

    class Optional(nn.Module):
        def forward(self, strength: float = 1.0) -> Tensor:
            raise NotImplementedError

    for name, component in (("function", function), ("nothing", Nothing), ("optional", Optional)):
        registry.add(kinds.LOSS, name, component)
    source = read(RECIPES / "ugatit_small.toml")
    source.values["losses"] |= {name: name for name in ("function", "nothing", "optional")}
    with pytest.raises(RecipeError) as caught:
        Recipe.check(Source("mine", source.values, {}), registry)
    said = [LISTS.sub("", line) for line in str(caught.value).splitlines()]
    assert said == [
        "mine: losses.function: 'function' has neither forward nor a method for a phase. "
        "Phases: discriminator, generator",
        "mine: losses.nothing: 'nothing' takes no output, so it would be wired to nothing.",
        "mine: losses.optional: 'optional' takes no output, so it would be wired to nothing.",
    ]


def test_options_that_toml_cannot_hold_do_not_spoil_a_written_recipe(registry: Registry) -> None:
    registry.add(kinds.NORM, "strange", Strange)
    source = read(RECIPES / "ugatit_small.toml", ["translator.generator.norm=strange"])
    recipe = Recipe.check(source, registry)
    again = Recipe.check(Source("again", tomllib.loads(recipe.to_toml())), registry)
    assert again.resolved() == recipe.resolved()
    options: Any = again.translator.options
    assert options["generator"].options["norm"].options == {"inner": None, "extra": None, "kind": "none"}


def test_the_own_option_of_a_criterion_gives_way_to_the_wiring() -> None:
    """`torch.nn.BCEWithLogitsLoss` has an option `weight` of its own, a tensor, which no recipe could say anyway."""
    loss = {"type": "torch.nn.BCEWithLogitsLoss", "weight": 2, "inputs": {"input": "fake", "target": "real"}}
    recipe = Recipe.read(RECIPES / "ugatit_small.toml", {"losses.own": loss})
    assert recipe.losses["own"].factory.options == {}
    resolved = recipe.losses["own"].resolved()
    assert (resolved["weight"], resolved["inputs"]) == (2.0, {"input": "fake", "target": "real"})
    assert tomli_w.dumps(resolved)

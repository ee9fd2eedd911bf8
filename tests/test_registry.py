"""The registry: names, duplicates, unknown names, and classes named in full."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from i2i.core import kinds
from i2i.core.factory import Kind
from i2i.core.registry import PluginRegistry, Registry
from i2i.errors import RegistryError


class Norm:
    """Anything that can be registered."""


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    for name in ("in", "iln"):
        registry.add(kinds.NORM, name, Norm, plugin="ours")
    registry.add(kinds.ADAPTIVE_NORM, "adalin", "collections:OrderedDict", plugin="ours")
    return registry


def message(call: object, *arguments: object) -> str:
    assert callable(call)
    with pytest.raises(RegistryError) as caught:
        call(*arguments)
    return str(caught.value)


def test_a_class_comes_back_as_it_was_registered(registry: Registry) -> None:
    entry = registry.get(kinds.NORM, "in")
    assert entry.load() is Norm
    assert (entry.kind, entry.name, entry.plugin) == (kinds.NORM, "in", "ours")


def test_a_target_in_words_is_imported_when_it_is_used(registry: Registry) -> None:
    from collections import OrderedDict

    assert registry.get(kinds.ADAPTIVE_NORM, "adalin").load() is OrderedDict


def test_one_name_may_stand_in_two_kinds(registry: Registry) -> None:
    registry.add(kinds.LOSS, "in", Norm)
    assert registry.get(kinds.LOSS, "in").kind == kinds.LOSS
    assert (kinds.LOSS, "in") in registry
    assert (kinds.LOSS, "iln") not in registry


def test_a_duplicate_names_both_plugins(registry: Registry) -> None:
    theirs = PluginRegistry(registry, "theirs")
    assert message(theirs.add, kinds.NORM, "in", Norm) == (
        "norm 'in' is registered twice: by plugin 'ours' and by plugin 'theirs'. "
        "Rename one of them, or load only one with I2I_PLUGINS."
    )


def test_what_a_plugin_has_added_can_be_removed(registry: Registry) -> None:
    theirs = PluginRegistry(registry, "theirs")
    theirs.add(kinds.NORM, "pono", Norm)
    theirs.add(kinds.LOSS, "l3", Norm)
    registry.remove("theirs")
    assert registry.names(kinds.NORM) == ["iln", "in"]
    assert set(registry.kinds) == {"norm", "adaptive_norm"}


@pytest.mark.parametrize("name", ["", "none", "torch.nn.L1Loss", "two words", "a/b", 3, None])
def test_a_name_that_no_recipe_could_say_is_refused(registry: Registry, name: object) -> None:
    assert message(PluginRegistry(registry, "theirs").add, kinds.NORM, name, Norm) == (
        f"norm {name!r} of plugin 'theirs': "
        "expected a name of letters, digits, _ and -, and not 'none', which switches off"
    )


@pytest.mark.parametrize("component", ["i2i_pono.norm", "i2i_pono:a.b", "", None, 3])
def test_what_is_no_component_is_refused(registry: Registry, component: object) -> None:
    assert message(PluginRegistry(registry, "theirs").add, kinds.NORM, "pono", component) == (
        f"norm 'pono' of plugin 'theirs': expected a class, a function or \"module:attribute\", got {component!r}"
    )


def test_a_kind_is_an_object_not_its_name(registry: Registry) -> None:
    assert message(PluginRegistry(registry, "theirs").add, "norm", "pono", Norm) == (
        "expected a kind such as i2i.NORM, got 'norm' for 'pono' of plugin 'theirs'"
    )


def test_an_unknown_name_gets_the_nearest_and_all(registry: Registry) -> None:
    assert message(registry.get, kinds.NORM, "ilm") == ("unknown norm 'ilm'. Did you mean 'iln'? Registered: iln, in")
    assert message(registry.get, kinds.NORM, "spectral") == "unknown norm 'spectral'. Registered: iln, in"
    assert message(registry.get, kinds.METRIC, "fid") == "unknown metric 'fid'. Registered: none"


def test_names_do_not_depend_on_the_case(registry: Registry) -> None:
    assert registry.get(kinds.ADAPTIVE_NORM, "AdaLIN").name == "adalin"
    assert "Did you mean 'adalin'?" in message(registry.get, kinds.ADAPTIVE_NORM, "AdaLIM")


def test_where_two_kinds_will_do_both_are_listed(registry: Registry) -> None:
    either = [kinds.ADAPTIVE_NORM, kinds.NORM]
    assert registry.find(either, "iln").kind == kinds.NORM
    assert message(registry.find, either, "adalim") == (
        "unknown adaptive norm or norm 'adalim'. Did you mean 'adalin'? "
        "Registered: adalin (adaptive norm); iln, in (norm)"
    )


def test_an_unknown_name_may_belong_to_a_plugin_that_failed(registry: Registry) -> None:
    registry.failed["pono of i2i-pono"] = "ImportError: no module named 'i2i_pono'"
    assert message(registry.get, kinds.NORM, "pono") == (
        "unknown norm 'pono'. Registered: iln, in. It may belong to a plugin that failed to load: "
        "pono of i2i-pono (ImportError: no module named 'i2i_pono')"
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kinds.LOSS, "torch.nn.L1Loss"),
        (kinds.LOSS, "kornia.losses.SSIMLoss"),
        (kinds.ACTIVATION, "torch.nn.Mish"),
        (kinds.OPTIMIZER, "torch.optim.NAdam"),
        (kinds.AUGMENTATION, "kornia.augmentation.RandomErasing"),
    ],
)
def test_a_class_of_the_kinds_namespaces_may_be_named_in_full(
    registry: Registry, kind: Kind[object], name: str
) -> None:
    entry = registry.get(kind, name)
    assert entry.load().__name__ == name.rpartition(".")[2]
    assert entry.plugin == name.partition(".")[0]


@pytest.mark.parametrize(
    "name",
    [
        "torch.nn.functional.l1_loss",  # another module
        "torch.nn.modules.loss.L1Loss",
        "torch.nn.factory_kwargs",  # a function
        "torch.nn.functional",  # a module
        "torch.nn._reduction",
        "torch.nn.",
        "os.system",
        "builtins.eval",
        "subprocess.Popen",
        "kornia.losses.torch.nn.L1Loss",
        ".L1Loss",
        "L1Loss",
    ],
)
def test_nothing_else_can_be_named_in_full(registry: Registry, name: str) -> None:
    with pytest.raises(RegistryError):
        registry.get(kinds.LOSS, name)


def test_a_private_class_cannot_be_named_in_full(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn, "_Hidden", nn.L1Loss, raising=False)
    with pytest.raises(RegistryError):
        registry.get(kinds.LOSS, "torch.nn._Hidden")


def test_naming_an_unknown_module_imports_nothing(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    def forbidden(name: str) -> object:
        raise AssertionError(f"a recipe had {name} imported")

    monkeypatch.setattr(importlib, "import_module", forbidden)
    with pytest.raises(RegistryError):
        registry.get(kinds.LOSS, "antigravity.Flight")


def test_a_misspelt_class_gets_the_nearest_class(registry: Registry) -> None:
    assert message(registry.get, kinds.LOSS, "torch.nn.L1Los") == (
        "torch.nn has no class 'L1Los'. Did you mean 'torch.nn.L1Loss'?"
    )
    assert message(registry.get, kinds.LOSS, "torch.nn.Qqqqqqqqqqqqqqqq") == "torch.nn has no class 'Qqqqqqqqqqqqqqqq'"
    assert message(registry.get, kinds.LOSS, "l3").endswith("or any class named in full from torch.nn, kornia.losses")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("i2i.nowhere:Norm", "ModuleNotFoundError: No module named 'i2i.nowhere'"),
        ("i2i.core.kinds:Norms", "AttributeError: module 'i2i.core.kinds' has no attribute 'Norms'"),
    ],
)
def test_a_component_that_cannot_be_imported_says_whose_it_is(registry: Registry, target: str, reason: str) -> None:
    registry.add(kinds.NORM, "lost", target, plugin="theirs")
    assert message(registry.get(kinds.NORM, "lost").load) == (
        f"norm 'lost' of plugin 'theirs' cannot be loaded from {target}: {reason}"
    )


def test_a_module_that_raises_anything_is_an_error_of_the_registry(
    registry: Registry, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    (Path(str(tmp_path)) / "explosive_module.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.add(kinds.NORM, "lost", "explosive_module:Norm", plugin="theirs")
    assert message(registry.get(kinds.NORM, "lost").load).endswith("ZeroDivisionError: division by zero")


def test_a_kind_called_names_a_component_and_builds_nothing() -> None:
    factory = kinds.ACTIVATION("leaky_relu", negative_slope=0.2)
    assert (factory.kind, factory.name, factory.options) == (kinds.ACTIVATION, "leaky_relu", {"negative_slope": 0.2})
    assert isinstance(factory(), torch.nn.LeakyReLU)

"""The built-in kinds: one line each, each with a contract of its own."""

from __future__ import annotations

import inspect
import typing

import i2i
from i2i.builtin import COMPONENTS
from i2i.core import contracts, kinds
from i2i.core.factory import Factory
from i2i.core.plugins import Plugins
from i2i.recipe.annotations import kinds_of


def test_every_kind_stands_in_the_table_under_its_name() -> None:
    constants = {name: value for name, value in vars(kinds).items() if isinstance(value, kinds.Kind)}
    assert {kind.name for kind in constants.values()} == set(kinds.KINDS)
    assert all(name == kind.name.upper() for name, kind in constants.items())


def test_every_kind_has_a_documented_contract_of_its_own() -> None:
    assert len({kind.contract for kind in kinds.KINDS.values()}) == len(kinds.KINDS)
    for kind in kinds.KINDS.values():
        assert vars(contracts)[kind.contract.__name__] is kind.contract
        assert inspect.getdoc(kind.contract), kind


def test_every_kind_is_public() -> None:
    for kind in kinds.KINDS.values():
        assert getattr(i2i, kind.name.upper()) is kind
        assert kind.name.upper() in i2i.__all__


def test_an_annotation_asks_for_its_kind() -> None:
    registry = Plugins({}).registry
    for kind in kinds.KINDS.values():
        contract: typing.Any = kind.contract
        assert kinds_of(Factory[contract], registry) == [kind]
        assert kinds_of(typing.Optional[Factory[contract]], registry) == [kind]  # noqa: UP045


def test_a_kind_reads_as_words() -> None:
    assert str(kinds.ADAPTIVE_NORM) == "adaptive norm"


def test_every_built_in_component_is_of_a_known_kind_and_can_be_imported() -> None:
    registry = Plugins({}).registry
    entries = list(registry)
    assert {(entry.kind, entry.name) for entry in entries} == {
        (kind, name) for kind, components in COMPONENTS.items() for name in components
    }
    for entry in entries:
        assert entry.plugin == "builtin"
        assert callable(entry.load()), entry
        assert inspect.getdoc(entry.load()), f"{entry.kind} {entry.name} has no docstring"

"""JSON Schema of recipes, made from the signatures of all installed components."""

from __future__ import annotations

import inspect
import math
import types
from typing import Any

from pydantic import PydanticUserError
from pydantic.errors import PydanticInvalidForJsonSchema

from i2i.core import kinds
from i2i.core.factory import Factory, Kind, is_plain, plain
from i2i.core.registry import Entry, Registry
from i2i.core.signature import Option, options
from i2i.errors import RegistryError
from i2i.recipe.annotations import container_of, holds_factory, is_optional, kinds_of, members
from i2i.recipe.tables import TrainOptions
from i2i.recipe.values import adapter
from i2i.recipe.wiring import Wiring

Schema = dict[str, Any]
_UNSAID = (None, math.inf, -math.inf)
"""Defaults that JSON cannot hold, or that go without saying."""


def schema(registry: Registry) -> Schema:
    """The schema of a recipe file; every key is optional, since a recipe may extend another."""
    definitions: Schema = {}
    for kind in (kinds.TRANSLATOR, kinds.LOSS, kinds.OPTIMIZER, kinds.SCHEDULE, kinds.DATASET):
        _define(kind, registry, definitions)
    reference = {
        "translator": _choice([kinds.TRANSLATOR]),
        "losses": {"type": "object", "additionalProperties": _any([_choice([kinds.LOSS]), {"const": "none"}])},
        "optimizers": {"type": "object", "additionalProperties": _choice([kinds.OPTIMIZER])},
        "schedule": _choice([kinds.SCHEDULE]),
        "data": _choice([kinds.DATASET]),
        "train": _table(options(TrainOptions), TrainOptions.__doc__ or "", registry, definitions),
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "i2i recipe",
        "type": "object",
        "properties": {
            "extends": {
                "type": "string",
                "description": "A recipe file next to this one, or a shipped recipe by name.",
            },
            **reference,
        },
        "additionalProperties": False,
        "definitions": definitions,
    }


def _define(kind: Kind[Any], registry: Registry, definitions: Schema) -> None:
    """Adds a kind: its name alone, or a table whose `type` decides which options there are."""
    if kind.name in definitions:
        return
    definitions[kind.name] = {}  # set before the components are walked: a kind may hold itself
    entries = [entry for entry in registry if entry.kind == kind]
    rules = []
    for entry in entries:
        key = f"{kind.name}.{entry.name}"
        try:
            definitions[key] = _component(entry, registry, definitions)
        except RegistryError:
            continue  # a plugin whose module cannot be imported; the recipe check says so when it is named
        rules.append(
            {
                "if": {"properties": {"type": {"const": entry.name}}, "required": ["type"]},
                "then": {"$ref": f"#/definitions/{key}"},
            }
        )
    names: list[Schema] = [{"enum": [entry.name for entry in entries]}] if entries else []
    if kind.namespaces:
        pattern = "|".join(space.replace(".", r"\.") for space in kind.namespaces)
        names.append({"type": "string", "pattern": rf"^({pattern})\.[A-Za-z0-9_]+$"})
    name = _any(names) if names else {"type": "string"}
    table = {"type": "object", "properties": {"type": name}, **({"allOf": rules} if rules else {})}
    definitions[kind.name] = {"anyOf": [name, table]}


def _component(entry: Entry, registry: Registry, definitions: Schema) -> Schema:
    component = entry.load()
    hidden = {*entry.kind.passed, *entry.kind.offered}
    settable = {name: option for name, option in options(component).items() if name not in hidden}
    if entry.kind == kinds.LOSS:
        settable |= options(Wiring)
    table = _table(settable, inspect.getdoc(component) or "", registry, definitions)
    if entry.kind == kinds.OPTIMIZER:
        names = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        group = {"properties": {"modules": names, **table["properties"]}, "required": ["modules"]}
        items = {"type": "object", "additionalProperties": False, **group}
        table["properties"] = {**table["properties"], "groups": {"type": "array", "items": items}}
    table["properties"]["type"] = {"const": entry.name}
    return table


def _table(settable: dict[str, Option], text: str, registry: Registry, definitions: Schema) -> Schema:
    properties = {}
    for name, option in settable.items():
        properties[name] = _annotation(option.annotation, registry, definitions)
        if is_plain(option.default) and option.default not in _UNSAID and not isinstance(option.default, Factory):
            properties[name] = {**properties[name], "default": plain(option.default)}
    return {
        "type": "object",
        "description": text.partition("\n")[0],
        "properties": properties,
        "additionalProperties": False,
    }


def _annotation(annotation: Any, registry: Registry, definitions: Schema) -> Schema:
    alternatives = [member for member in members(annotation) if member is not types.NoneType]
    none: list[Schema] = [{"const": "none"}] if is_optional(annotation) else []
    if not holds_factory(annotation):
        leaves = [_leaf(member, definitions) for member in alternatives]
        sayable = [leaf for leaf in leaves if leaf is not None]  # a tensor may occur next to what a recipe can say
        return _any([*sayable, *none]) if sayable or none else {}
    chosen = kinds_of(annotation, registry)
    if chosen:
        for kind in chosen:
            _define(kind, registry, definitions)
        return _any([_choice(chosen), *none])
    in_table, item = container_of(annotation)
    one = _annotation(item, registry, definitions)
    if in_table:
        return _any([{"type": "object", "additionalProperties": _any([one, {"const": "none"}])}, *none])
    return _any([{"type": "array", "items": one}, *none])


def _choice(chosen: list[Kind[Any]]) -> Schema:
    return _any([{"$ref": f"#/definitions/{kind.name}"} for kind in chosen])


def _any(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _leaf(annotation: Any, definitions: Schema) -> Schema | None:
    """A plain value's schema; None for a type that only Python knows."""
    try:
        written = adapter(annotation).json_schema(ref_template="#/definitions/{model}")
    except (PydanticInvalidForJsonSchema, PydanticUserError):
        return None
    leaf: Schema = _draft_7(written)
    definitions |= leaf.pop("$defs", {})
    return leaf


def _draft_7(schema: Any) -> Any:
    """pydantic writes a newer dialect, which calls the items of a tuple otherwise."""
    if isinstance(schema, dict):
        return {"items" if key == "prefixItems" else key: _draft_7(value) for key, value in schema.items()}
    return [_draft_7(item) for item in schema] if isinstance(schema, list) else schema

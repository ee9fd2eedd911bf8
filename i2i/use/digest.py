"""A digest of a model and of options, which says whether earlier results are those of the same work."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from torch import Tensor

from i2i.use.loaded import Loaded


def digest_of(loaded: Loaded, *options: object) -> str:
    """Return a digest of everything that translations depend on.

    Args:
        loaded: the model, with recipe, step and weights.
        options: options of the work, such as domain and size.
    """
    digest = hashlib.sha256(repr([loaded.recipe.to_toml(), loaded.step, *map(_described, options)]).encode())
    for name, value in sorted(loaded.translator.state_dict().items()):
        digest.update(name.encode() + str(value.float().sum().item()).encode())
    return digest.hexdigest()


def _described(option: object) -> object:
    if isinstance(option, Tensor):
        return option.tolist()
    if isinstance(option, Mapping):
        return [(name, _described(value)) for name, value in option.items()]
    if isinstance(option, list | tuple):
        return [_described(value) for value in option]
    return option

"""Which frozen networks a method looks through, so that it can be said beside every result."""

from __future__ import annotations

from torch import nn

from i2i.nn.layers.frozen import Frozen


def extractors(module: nn.Module) -> dict[str, str]:
    """Feature extractors inside a module, those held by losses too: their `source` by the name of the submodule.

    A network is one if it has the members of `i2i.core.contracts.FeatureExtractor`: `num_features`, `source` and
    `load_weights_`.
    """
    found = {}
    for name, inner in module.named_modules():
        held = inner.module if isinstance(inner, Frozen) else inner
        source = getattr(held, "source", None)
        extracts = isinstance(getattr(held, "num_features", None), tuple) and hasattr(held, "load_weights_")
        if extracts and isinstance(source, str):
            found[name] = source
    return found


def told(found: dict[str, str]) -> dict[str, str]:
    """What is written into an image: each network once."""
    sources = "; ".join(dict.fromkeys(found.values()))
    return {"feature extractor": sources} if sources else {}

"""i2i: image-to-image translation from recipes and plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from i2i.core import plugins as _plugins  # noqa: F401  # sets where factories look names up
from i2i.core.contracts import (
    Activation,
    AdaptiveNorm,
    Attention,
    AttentionOutput,
    Batch,
    Discriminator,
    DiscriminatorOutput,
    FeatureExtractor,
    Generator,
    GeneratorOutput,
    Imported,
    Norm,
    Phase,
    Stream,
)
from i2i.core.factory import Factory, Kind
from i2i.core.hookspecs import hookimpl
from i2i.core.kinds import (
    ACTIVATION,
    ADAPTIVE_NORM,
    ATTENTION,
    AUGMENTATION,
    DATASET,
    DECODER,
    DISCRIMINATOR,
    DISCRIMINATOR_AUGMENTATION,
    FEATURE_EXTRACTOR,
    GENERATOR,
    IMPORTER,
    LOSS,
    METRIC,
    NORM,
    OPTIMIZER,
    PANEL,
    SCHEDULE,
    STAGE,
    TRANSLATOR,
)
from i2i.core.version import __version__
from i2i.errors import I2IError, OptionError

if TYPE_CHECKING:
    from i2i.engine.stepper import Stepper
    from i2i.engine.trainer import train
    from i2i.methods.outputs import GANOutputs, Outputs, output
    from i2i.methods.translator import Translator
    from i2i.recipe.recipe import Recipe
    from i2i.use.loaded import Loaded, load


# These import torch, which takes seconds, so they are imported at their first use.
_LAZY = {
    "GANOutputs": "i2i.methods.outputs",
    "Loaded": "i2i.use.loaded",
    "Outputs": "i2i.methods.outputs",
    "Recipe": "i2i.recipe.recipe",
    "Stepper": "i2i.engine.stepper",
    "Translator": "i2i.methods.translator",
    "load": "i2i.use.loaded",
    "output": "i2i.methods.outputs",
    "train": "i2i.engine.trainer",
}

__all__ = [
    "ACTIVATION",
    "ADAPTIVE_NORM",
    "ATTENTION",
    "AUGMENTATION",
    "DATASET",
    "DECODER",
    "DISCRIMINATOR",
    "DISCRIMINATOR_AUGMENTATION",
    "FEATURE_EXTRACTOR",
    "GENERATOR",
    "IMPORTER",
    "LOSS",
    "METRIC",
    "NORM",
    "OPTIMIZER",
    "PANEL",
    "SCHEDULE",
    "STAGE",
    "TRANSLATOR",
    "Activation",
    "AdaptiveNorm",
    "Attention",
    "AttentionOutput",
    "Batch",
    "Discriminator",
    "DiscriminatorOutput",
    "Factory",
    "FeatureExtractor",
    "GANOutputs",
    "Generator",
    "GeneratorOutput",
    "I2IError",
    "Imported",
    "Kind",
    "Loaded",
    "Norm",
    "OptionError",
    "Outputs",
    "Phase",
    "Recipe",
    "Stepper",
    "Stream",
    "Translator",
    "__version__",
    "hookimpl",
    "load",
    "output",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'i2i' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})

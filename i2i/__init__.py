"""i2i: image-to-image translation from recipes and plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from i2i.contracts import (
    Activation,
    AdaptiveNorm,
    Attended,
    Attention,
    Discriminator,
    Generator,
    Imported,
    Judgement,
    Norm,
    Translation,
)
from i2i.errors import I2IError, OptionError
from i2i.factory import Factory
from i2i.hookspecs import hookimpl
from i2i.kinds import (
    ACTIVATION,
    ADAPTIVE_NORM,
    ATTENTION,
    AUGMENTATION,
    DATASET,
    DISCRIMINATOR,
    GENERATOR,
    IMPORTER,
    LOSS,
    METRIC,
    NORM,
    OPTIMIZER,
    SCHEDULE,
    TRANSLATOR,
)

if TYPE_CHECKING:
    from i2i.inference import Loaded, load
    from i2i.recipe.recipe import Recipe
    from i2i.training.stepper import Stepper
    from i2i.training.trainer import train

__version__ = "0.1.0"

# These import torch, which takes seconds, so they are imported when first asked for.
_LAZY = {
    "Loaded": "i2i.inference",
    "Recipe": "i2i.recipe.recipe",
    "Stepper": "i2i.training.stepper",
    "load": "i2i.inference",
    "train": "i2i.training.trainer",
}

__all__ = [
    "ACTIVATION",
    "ADAPTIVE_NORM",
    "ATTENTION",
    "AUGMENTATION",
    "DATASET",
    "DISCRIMINATOR",
    "GENERATOR",
    "IMPORTER",
    "LOSS",
    "METRIC",
    "NORM",
    "OPTIMIZER",
    "SCHEDULE",
    "TRANSLATOR",
    "Activation",
    "AdaptiveNorm",
    "Attended",
    "Attention",
    "Discriminator",
    "Factory",
    "Generator",
    "I2IError",
    "Imported",
    "Judgement",
    "Loaded",
    "Norm",
    "OptionError",
    "Recipe",
    "Stepper",
    "Translation",
    "hookimpl",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'i2i' has no attribute {name!r}")

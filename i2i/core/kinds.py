"""The built-in kinds of components; `contracts.py` says what each must do.

Plugins add kinds of their own with `registry.add_kind`.
"""

from __future__ import annotations

from typing import Any

from i2i.core import contracts
from i2i.core.factory import Kind
from i2i.core.panels import Panel
from i2i.core.stages import Stage

NORM: Kind[contracts.Norm] = Kind("norm", contracts.Norm, passed=("num_features",))
ADAPTIVE_NORM: Kind[contracts.AdaptiveNorm] = Kind("adaptive_norm", contracts.AdaptiveNorm, passed=("num_features",))
ACTIVATION: Kind[contracts.Activation] = Kind("activation", contracts.Activation, namespaces=("torch.nn",))
ATTENTION: Kind[contracts.Attention] = Kind(
    "attention", contracts.Attention, passed=("num_features",), offered=("activation", "spectral_norm")
)
GENERATOR: Kind[contracts.Generator] = Kind(
    "generator",
    contracts.Generator,
    offered=("image_size", "first_size", "num_classes"),
    suggested=("in_channels", "out_channels"),
)
DISCRIMINATOR: Kind[contracts.Discriminator] = Kind(
    "discriminator",
    contracts.Discriminator,
    offered=("image_size", "first_size", "num_features", "num_classes"),
    suggested=("in_channels",),
)
DECODER: Kind[contracts.Decoder] = Kind(
    "decoder", contracts.Decoder, passed=("num_features",), offered=("image_size",), suggested=("out_channels",)
)
FEATURE_EXTRACTOR: Kind[contracts.FeatureExtractor] = Kind(
    "feature_extractor", contracts.FeatureExtractor, passed=("taps",)
)
LOSS: Kind[contracts.Loss] = Kind(
    "loss",
    contracts.Loss,
    namespaces=("torch.nn", "kornia.losses"),
    # Criteria of kornia that assume images in [0, 1] get images in [-1, 1] rescaled.
    adapters=tuple(
        (f"kornia.losses.{name}", f"i2i.nn.losses.unit_range:{name}")
        for name in ("SSIMLoss", "SSIM3DLoss", "MS_SSIMLoss", "PSNRLoss", "InverseDepthSmoothnessLoss")
    ),
)
TRANSLATOR: Kind[contracts.Translator] = Kind("translator", contracts.Translator, offered=("streams",))
OPTIMIZER: Kind[contracts.Optimizer] = Kind(
    "optimizer", contracts.Optimizer, passed=("params",), namespaces=("torch.optim", "timm.optim")
)
SCHEDULE: Kind[contracts.Schedule] = Kind("schedule", contracts.Schedule, offered=("steps",))
DATASET: Kind[contracts.Dataset] = Kind("dataset", contracts.Dataset, offered=("seed",))
AUGMENTATION: Kind[contracts.Augmentation] = Kind(
    "augmentation", contracts.Augmentation, namespaces=("kornia.augmentation",)
)
DISCRIMINATOR_AUGMENTATION: Kind[contracts.DiscriminatorAugmentation] = Kind(
    "discriminator_augmentation", contracts.DiscriminatorAugmentation
)
METRIC: Kind[contracts.Metric] = Kind("metric", contracts.Metric)
IMPORTER: Kind[contracts.Importer] = Kind("importer", contracts.Importer, passed=("path",))
STAGE: Kind[Stage] = Kind("stage", Stage)
PANEL: Kind[Panel] = Kind("panel", Panel, passed=("model",))

KINDS: dict[str, Kind[Any]] = {value.name: value for value in list(globals().values()) if isinstance(value, Kind)}
"""The built-in kinds by name; `registry.kinds` has those of plugins too."""

"""What each kind of component must do, and the small results that components hand each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from i2i.core.augmentations import Augmentation as Augmentation
from i2i.core.augmentations import DiscriminatorAugmentation as DiscriminatorAugmentation
from i2i.core.panels import Panel as Panel
from i2i.core.stages import Stage as Stage

if TYPE_CHECKING:  # this file stays free of torch, so that `i2i --help` is fast
    from pathlib import Path

    from torch import Tensor
    from torch.nn import Parameter
    from torch.optim import Optimizer as TorchOptimizer


@dataclass(frozen=True)
class Stream:
    """Specification of one named stream of a data set.

    Args:
        role: `image` (floats in `range`), `mask` (floats in `range`, follows its image), `label` (integer class
            numbers, one per sample or one per pixel) or `raw` (anything else, handed through unchanged).
        channels: number of channels C of each sample [C, H, W]; for a `label` stream the number of classes, or 0 where
            only the files say it.
        size: height and width (H, W) in pixels; None where sizes vary or where samples have no height and width.
        range: smallest and largest value of an image or mask.
        names: names of the classes of a `label` stream, in the order of their numbers; empty where they have none.
        colors: red, green and blue (0 to 255) of the classes of an image that is a label map: its channel k is 1 where
            a pixel has class k, and 0 elsewhere. Empty for other images.
    """

    role: Literal["image", "mask", "label", "raw"] = "image"
    channels: int = 3
    size: tuple[int, int] | None = None
    range: tuple[float, float] = (-1.0, 1.0)
    names: tuple[str, ...] = ()
    colors: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class Phase:
    """One phase of a training step: one call of the translator, one backward pass, one optimizer step.

    Args:
        modules: names of the submodules that the phase trains, such as `("discriminators",)`.
        every: the phase runs in every n-th step only.
        optimizer: name of another phase whose optimizer is used; that phase must train all of `modules`. None for an
            optimizer of its own.
        alias: name of another phase whose loss methods are used by losses that have no method of this phase's name.
    """

    modules: tuple[str, ...]
    every: int = 1
    optimizer: str | None = None
    alias: str | None = None


@dataclass
class Batch:
    """The tensors of one micro-batch, and what has been computed from them in the current step.

    Args:
        streams: tensors by stream name: images [B, C, H, W] in the stream's range, labels [B], masks [B, C, H, W].
        seed: seed of everything that is drawn for this batch.
        step: number of steps taken before this one; losses with `every = n` are computed where n divides it.
        upcoming: phases that follow in this step and use images generated earlier in it, so that their graph is kept.
            Empty under gradient accumulation, where the graphs of all micro-batches would have to be kept at once. None
            for all phases that follow in the translator's order.
        outputs: the outputs computed so far in this step; managed by `Translator.start_phase`.
    """

    streams: Mapping[str, Tensor]
    seed: int = 0
    step: int = 0
    upcoming: Sequence[str] | None = None
    outputs: Any = None


class AttentionOutput(NamedTuple):
    """What an attention gives.

    Args:
        features: [B, C, H, W], weighted.
        logits: [B, n], the classifier's logit for each of its n pools, or None where nothing is classified.
        heatmap: [B, 1, H, W], where the attention looked, or None.
    """

    features: Tensor
    logits: Tensor | None = None
    heatmap: Tensor | None = None


class GeneratorOutput(NamedTuple):
    """What a generator gives: an image [B, 3, H, W] in [-1, 1], and the attention's logits and heat map if any."""

    image: Tensor
    cam: Tensor | None = None
    heatmap: Tensor | None = None


class DiscriminatorOutput(NamedTuple):
    """What a discriminator gives: logits by head (`patch` [B, 1, h, w], `cam` [B, n]), and a heat map if any.

    One whose first layers serve as an encoder also gives their features, the image's `code` [B, C, h, w].
    """

    logits: dict[str, Tensor]
    heatmap: Tensor | None = None
    code: Tensor | None = None


class Norm(Protocol):
    """Normalizes features [B, C, H, W]."""

    def __call__(self, x: Tensor) -> Tensor: ...


class AdaptiveNorm(Protocol):
    """Normalizes features [B, C, H, W], with a scale and a shift [B, C] that come from outside."""

    def __call__(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor: ...


class Activation(Protocol):
    """An elementwise function."""

    def __call__(self, x: Tensor) -> Tensor: ...


class Attention(Protocol):
    """Weights features [B, C, H, W]; may classify them on the way."""

    def __call__(self, x: Tensor) -> AttentionOutput: ...


class Generator(Protocol):
    """Generates an image [B, C, H, W] from an image."""

    def __call__(self, image: Tensor) -> GeneratorOutput: ...


class TappedGenerator(Generator, Protocol):
    """A generator that also gives the features between its layers.

    Layers are named, such as `down.0.conv`, or numbered from 0. With `capture_features(image, taps)`, a context
    that captures the features of a call (`i2i.nn.layers.stages`), they need not be computed again.
    """

    def features(self, image: Tensor, taps: Sequence[int | str]) -> tuple[Tensor, ...]:
        """Features [B, C, h, w] after the layers `taps`."""

    def tapped_channels(self, taps: Sequence[int | str]) -> tuple[int, ...]:
        """C of each of them."""


class Discriminator(Protocol):
    """Discriminates real from generated images [B, C, H, W]."""

    def __call__(self, image: Tensor) -> DiscriminatorOutput: ...


class EncodingDiscriminator(Discriminator, Protocol):
    """A discriminator whose first layers are an encoder; its outputs contain the code.

    `num_features` are the code's channels C.
    """

    num_features: int

    def encode(self, image: Tensor) -> AttentionOutput: ...


class Decoder(Protocol):
    """Generates an image [B, C, H, W] from the features [B, F, h, w] of an encoder."""

    def __call__(self, features: Tensor) -> GeneratorOutput: ...


class FeatureExtractor(Protocol):
    """Frozen features of images [B, 3, H, W] in [-1, 1], made for certain taps.

    Args:
        num_features: channels of each tap.
        source: which network with which weights, as it is recorded with every result.
    """

    num_features: tuple[int, ...]
    source: str

    def __call__(self, image: Tensor) -> tuple[Tensor, ...]:
        """Features [B, C, h, w] for each tap; gradients flow through them to the image."""

    def load_weights_(self) -> None:
        """Takes weights that come from elsewhere; called once before training, not when a checkpoint brings them."""


class Loss(Protocol):
    """A module whose methods are named after phases and whose parameters are named after outputs.

    A class that has `forward` alone, such as any criterion of torch.nn, plays in the generator phase.
    """


class Translator(Protocol):
    """Says which images exist for a batch; see `i2i.methods.translator.Translator`, which all of them extend."""

    def __call__(self, batch: Any, phase: str) -> dict[str, Tensor]: ...


class Optimizer(Protocol):
    """Builds an optimizer over parameters."""

    def __call__(self, params: Iterable[Parameter]) -> TorchOptimizer: ...


class Schedule(Protocol):
    """The factor of the learning rate at a step, counted from 0."""

    def __call__(self, step: int) -> float: ...


class Dataset(Protocol):
    """An endless sequence of numbered samples, each a function of its number and of the seed alone.

    `i2i.data.base.ImageDataset` is a base class for data sets of images, which declares their streams.

    A sample maps the names in `streams` to tensors that match their specifications. It may also hold `skipped`, a list
    of one line for each damaged file that was passed over.

    A data set with a method `device_transform(batch, seeds)` leaves work to the device that trains: its samples also
    hold `seeds`, integers in a tensor, and each batch goes through `device_transform` there, before the step.

    Where it holds images back from training, `held_out(split)`, for `val` or `test`, maps domains to sequences of
    images as `preview` shows them; with the attribute `paired`, equal indices are a pair. Lines in `summary` are
    printed and logged before the first step; `overlap()` and `too_few()` return why a run is refused, or None.
    """

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the image domains."""

    @property
    def streams(self) -> Mapping[str, Stream]:
        """Specification of each stream of a sample, by name; the names of the domains are among them."""

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> Mapping[str, Stream]:
        """The same specifications, from the constructor's options alone.

        The recipe check and a loaded model need them on machines without the data, so no file may be opened.

        Args:
            options: every option of the constructor by name, defaults included.
        """

    def __len__(self) -> int:
        """Samples of one epoch."""

    def __getitem__(self, number: int) -> Mapping[str, Any]:
        """Sample `number` >= 0; numbers do not end with the epoch."""

    def preview(self, count: int) -> Mapping[str, Tensor]:
        """At most `count` fixed images of each domain, [n, C, H, W], for sample grids, and labels of them."""


class Metric(Protocol):
    """Compares images by one figure; `better` is `lower` or `higher`, `compares` is `pairs` (the default) or `sets`.

    Of pairs, `update(image, target)` takes images [B, C, H, W] in [-1, 1], and a function `metric(image, target)` will
    do; of sets, `update(generated=..., real=...)` takes features [n, d]. `compute` gives a number or an `Estimate`.
    """

    better: str

    def update(self, *images: Tensor, **sets: Tensor) -> None: ...
    def compute(self) -> Any: ...


class Imported(NamedTuple):
    """An official checkpoint, converted.

    Args:
        recipe: name of the recipe that it belongs to.
        settings: values for that recipe by key path, as `--set` takes them.
        weights: the translator's state dict.
        summary: method, recipe and sizes, in one line.
        step: number of training steps that the weights have seen, as far as the checkpoint tells.
        untrained: submodules of the translator that the checkpoint has no weights for; they start from scratch.
        notes: what was taken, renamed, ignored and missing, one line each.
        optimizer_state: state of the optimizers by the name of the parameter, as torch.optim keeps it, such as
            `exp_avg`; empty where they start from scratch.
    """

    recipe: str
    settings: dict[str, Any]
    weights: dict[str, Tensor]
    summary: str
    step: int = 0
    untrained: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    optimizer_state: Mapping[str, Mapping[str, Tensor]] = {}


class Importer(Protocol):
    """Converts an official checkpoint; raises `CheckpointError` where a file is something else or damaged."""

    def __call__(self, path: Path) -> Imported: ...


class Stateful(Protocol):
    """State that a hook keeps in checkpoints, so that a resumed run continues with it."""

    def state(self) -> Any:
        """The state as JSON types."""

    def load(self, state: Any) -> None:
        """Restores what `state` returned; raises before changing anything if the state cannot be read."""


class HookState(Protocol):
    """The states of all hooks of a run."""

    def keep(self, name: str, stateful_hook: Stateful) -> None:
        """Saves a hook's state in each checkpoint from now on, and restores it; called in `training_started`."""


class Run(Protocol):
    """A training run, as hooks are given it.

    `recipe`, `stepper` and `translator` are i2i's classes, which this file, free of torch, does not import.

    Args:
        folder: folder of the resolved recipe, the log, the samples and the checkpoints.
        recipe: the checked recipe.
        stepper: translator, optimizers and device.
        dataset: the data set.
        start: step at which this process began: 0, or the step of the checkpoint that it resumed.
        samples: number of samples that all processes have drawn so far.
        rollbacks: how often the run has gone back to a checkpoint after losses or weights were NaN or Inf.
        unwritten: number of checkpoints since the last successful one that could not be written.
        changes: what has changed since the checkpoint, one sentence each.
        findings: what the training diagnostics have reported, one sentence each.
        skipped: samples that could not be read, one sentence each.
        hook_state: states that hooks keep in checkpoints.
        metrics: metrics measured since the last checkpoint, by name.
        waited: seconds that steps have waited for data since the process started.
        interrupted: whether the run was asked to stop, for instance by a hook that sets `stop_requested`.
    """

    folder: Path
    recipe: Any
    stepper: Any
    dataset: Any
    start: int
    samples: int
    rollbacks: int
    unwritten: int
    changes: list[str]
    findings: list[str]
    skipped: list[str]
    metrics: dict[str, float]
    waited: float
    interrupted: bool
    stop_requested: bool

    @property
    def hook_state(self) -> HookState: ...

    @property
    def step(self) -> int:
        """Number of steps taken so far."""

    @property
    def steps(self) -> int:
        """Number of steps in all."""

    @property
    def samples_per_step(self) -> int:
        """Number of samples that all processes together draw for a step."""

    @property
    def translator(self) -> Any:
        """The translator that is trained."""

    @property
    def feature_extractors(self) -> dict[str, str]:
        """Source of the weights of each frozen feature extractor, by submodule."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints."""

    def translated(self, images: Tensor, to: str) -> Tensor:
        """Translations of images [n, C, H, W] to a domain, with averaged weights if any; float32, on the CPU."""

"""The tables of a recipe: `[train]`, and the parameter groups of `[optimizers]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from i2i.core.bounds import Count, Positive
from i2i.core.contracts import Optimizer
from i2i.core.factory import Factory, plain

TABLES = ("translator", "losses", "optimizers", "schedule", "data", "train")

Norm = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Switch = bool | Literal["auto"] | None
"""On, off, what has been measured, or torch's own choice."""
Fraction = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Averaging:
    """Exponential moving average of weights, as a table `train.ema`.

    Args:
        half_life: number of images, of all processes, after which a weight counts half; either this or `decay`.
        decay: per step.
        rampup: the half-life is at most this share of the images seen before the step, so that early weights are
            forgotten faster; 0.05 in StyleGAN2-ADA. None for none.
        start: first step whose weights are averaged; before it they are copied.
        buffers: whether buffers, such as running statistics, are copied or averaged too.

    Source: NVlabs/stylegan2-ada-pytorch d72cc7d for the half-life and its ramp-up; ajbrock/BigGAN-PyTorch 9845943 for
    the start and averaged buffers.
    """

    half_life: Norm | None = None
    decay: Fraction | None = None
    rampup: Norm | None = None
    start: Count = 0
    buffers: Literal["copy", "average"] = "copy"

    __pydantic_config__: ClassVar[Any] = ConfigDict(extra="forbid")

    def decay_at(self, step: int, batch: int) -> float:
        """Return the decay at a step.

        Args:
            step: number of steps taken before.
            batch: number of images of a step, of all processes.

        Example:
            >>> Averaging(half_life=10_000, rampup=0.05).decay_at(20, 32)
            0.5
        """
        if step < self.start:
            return 0.0
        if self.decay is not None:
            return self.decay
        images = self.half_life or 1.0
        if self.rampup is not None:
            images = min(images, step * batch * self.rampup)
        return float(0.5 ** (batch / max(images, 1e-8)))


@dataclass(frozen=True)
class AdapterOptions:
    """The table `[train.adapter]`: low-rank adapters (LoRA) on convolutions and linear layers with frozen weights.

    Args:
        rank: rank of the change of each weight.
        alpha: factor of the change, divided by `rank`.
        modules: names or patterns of the modules that get adapters and are frozen otherwise, such as `generators`; all
            other networks are trained, and saved, as a whole.
    """

    rank: Positive = 8
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 8.0
    modules: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)

    __pydantic_config__: ClassVar[Any] = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class EvaluateOptions:
    """The table `train.evaluate`: what is measured while training.

    Args:
        every: steps between evaluations; at checkpoints if None.
        metrics: names of metrics, such as `kid`, of the protocol `i2i`.
        split: images that are translated: `val` or `test`. Without validation images these are the test images.
        count: largest number of images of each domain; all when None.
        features: network of the features, such as `mobilenetv2_100`; Inception if its weights are there, and else
            `tf_efficientnet_lite0`, when None.
    """

    every: Positive | None = None
    metrics: tuple[str, ...] = ("kid",)
    split: Literal["val", "test"] = "val"
    count: Annotated[int, Field(ge=2)] | None = None
    features: str | None = None

    __pydantic_config__: ClassVar[Any] = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class TrainOptions:
    """The table `[train]`.

    Args:
        steps: how many steps in all.
        epochs: how many times all samples are seen, from which a run computes `steps` when it opens its data; `none`
            for `steps` itself.
        batch_size: images of each domain per step, process and micro-batch.
        accumulate: micro-batches whose gradients are summed before a step.
        batches: whether all phases of a step train on the same samples (`shared`), or each on new ones (`per_phase`).
        precision: of the computation; weights stay float32 (float64 with `fp64`).
        init: weights that a new run starts from: a run folder, one of its checkpoints, or `FORMAT:FILE` with an
            official checkpoint. Tensors are taken by name and shape; the rest starts from `seed`.
        init_include: names or patterns of the tensors that `init` may replace, such as `generators.b.encoder` or
            `*.norm.*`; all of them when empty.
        init_exclude: names or patterns of tensors that `init` leaves as `seed` gives them.
        freeze: names or patterns of parameters that are not trained, such as `generators.b.encoder`.
        adapter: low-rank adapters that are trained in place of the weights that `init` gives.
        seed: of everything that is drawn: weights, pairing, augmentation, latent codes.
        clip_grad_norm: largest norm of a phase's gradients, or one for each of some phases.
        ema: decay per step of the averaged weights that `translate` then uses, such as 0.999; or a table of
            `Averaging`.
        checkpoint_every: steps between checkpoints.
        keep_last: checkpoints that are kept.
        keep_every: checkpoints whose step it divides are kept for good.
        evaluate: what is measured while training, such as `{ every = 5000, metrics = ["kid"], split = "val" }`.
        keep_best: what the best checkpoint is kept by, too: a logged term such as `generator/cycle`, whose mean since
            the last checkpoint should be low; a metric of sets such as `kid`, on any data; or a metric of pairs such as
            `ssim`, where the data set has ground truth.
        patience: number of comparisons for `keep_best` without a better value after which training ends early.
        rollbacks: how often a run returns to its last checkpoint and continues with other samples when losses or
            weights are NaN or Inf.
        reference: switches off all optimizations of the computation, for comparison; results are equal up to rounding.
        fuse: on a GPU, norms with the activation, sum and padding after them are one compiled operation each way; their
            first use takes seconds, later runs find them on disk. Without effect on a CPU.
        compile: networks go through torch's compiler, which takes minutes before the first step and makes later ones
            faster; `blocks` compiles their blocks alone, each kind once, which takes less; `reduce-overhead` also
            captures CUDA graphs. Results round differently.
        graph: on a GPU, the whole step is captured as CUDA graphs, one for each set of active phases, and replayed: the
            same numbers, with learning rates in float32, without the cost of launching operations one by one. Where
            that is not possible, a line says why and the step runs as it is.
        tf32: whether float32 matrix products and convolutions of a GPU round to 10 bits (TF32): `auto` takes what
            `benchmarks/gpu.py` has measured for the method on this GPU; none leaves torch's choice, which is
            convolutions alone.
        cudnn_benchmark: whether cuDNN measures its algorithms for each shape; `auto` as for `tf32`.
        channels_last: whether weights and images of a GPU are stored with channels last; `auto` as for `tf32`.
        weight_copies: with bf16 and fp16, the weights of convolutions and linear layers are cast all together and not
            layer by layer: the same numbers with fewer launches on a GPU, for half as much memory again as the weights
            take. In one process, without `compile`.
        gradient_checkpointing: features inside of blocks are computed again in the backward pass and not kept: less
            memory for about a third more work.
        deterministic: only operations that give the same bits each time; slower on GPUs.
        sample_every: steps between sample grids; 0 for none.
        sample_count: images of each domain in a sample grid.
        log_every: steps between log lines.
        workers: processes that read images; 0 reads in the training process.
        threads: of torch in the training process on a CPU; torch's own choice when none.
        process_timeout: seconds that one of several processes waits for the others before it ends; torch's own choice
            when none: 600 on GPUs, 1800 on CPUs.
        trackers: Accelerate's trackers to report to, such as `tensorboard`.
    """

    steps: Positive
    epochs: Positive | None = None
    batch_size: Positive = 1
    accumulate: Positive = 1
    batches: Literal["shared", "per_phase"] = "shared"
    precision: Literal["fp32", "bf16", "fp16", "fp64"] = "fp32"
    seed: Count = 0
    init: str | None = None
    init_include: tuple[str, ...] = ()
    init_exclude: tuple[str, ...] = ()
    freeze: tuple[str, ...] = ()
    adapter: AdapterOptions | None = None
    clip_grad_norm: Norm | dict[str, Norm] | None = None
    ema: Fraction | Averaging | None = None
    checkpoint_every: Positive = 1000
    keep_last: Positive = 3
    keep_every: Positive | None = None
    evaluate: EvaluateOptions | None = None
    keep_best: str | None = None
    patience: Positive | None = None
    rollbacks: Count = 0
    reference: bool = False
    fuse: bool = True
    compile: bool | Literal["blocks", "reduce-overhead", "max-autotune"] = False
    graph: bool = False
    tf32: Switch = None
    cudnn_benchmark: Switch = None
    channels_last: Switch = None
    weight_copies: bool = False
    gradient_checkpointing: bool = False
    deterministic: bool = False
    sample_every: Count = 500
    sample_count: Positive = 4
    log_every: Positive = 10
    workers: Count = 2
    threads: Positive | None = None
    process_timeout: Positive | None = None
    trackers: tuple[Literal["tensorboard", "wandb", "trackio", "aim", "mlflow"], ...] = ()

    def clip_in(self, phase: str) -> float | None:
        """The largest norm of one phase's gradients."""
        return self.clip_grad_norm.get(phase) if isinstance(self.clip_grad_norm, dict) else self.clip_grad_norm


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with options of their own within an optimizer: a table `[[optimizers.PHASE.groups]]`.

    Args:
        modules: submodules whose parameters belong to the group, by the last parts of their names: `heads` means
            `generators.a.heads` and `generators.b.heads`.
        options: options of the optimizer that differ for the group, such as `lr`.
    """

    modules: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OptimizerPlan:
    """The optimizer of a phase, chosen but not built yet.

    Args:
        factory: builds it.
        groups: parameters with options of their own.
    """

    factory: Factory[Optimizer]
    groups: tuple[ParameterGroup, ...] = ()

    def resolved(self) -> dict[str, Any]:
        """The table that a recipe writes."""
        groups = [{"modules": list(group.modules), **plain(group.options)} for group in self.groups]
        return {**self.factory.resolved(), **({"groups": groups} if groups else {})}

"""One training step of any recipe: phases in the outer loop, micro-batches in the inner one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from numbers import Real
from typing import Any, cast

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import Tensor, nn
from torch.optim import Optimizer

from i2i.core.contracts import Batch
from i2i.core.randomness import seed_of
from i2i.engine.ema import EMA
from i2i.engine.graphs import StepGraphs
from i2i.engine.launcher import PRECISIONS, check_environment, explain_environment
from i2i.engine.private_accelerate import forget_precision
from i2i.engine.switches import apply, resolve
from i2i.engine.weight_copies import WeightCopies
from i2i.errors import DataError, I2IError, OptionError
from i2i.methods.assembly import build, make_optimizer
from i2i.methods.compilation import begin_step, compile_networks
from i2i.methods.networks import trained_networks
from i2i.methods.recomputing import recompute_blocks
from i2i.methods.translator import Translator
from i2i.nn.functional.fused import fuse_operations
from i2i.nn.functional.optimizations import disable_optimizations
from i2i.recipe.recipe import Recipe

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
FUSED = ("cpu", "cuda", "mps", "xpu")


def make_accelerator(precision: str, device: str | None = None, timeout: int | None = None, **more: Any) -> Accelerator:
    """Set up Accelerate for adversarial training.

    Args:
        precision: `train.precision` of the recipe.
        device: device to use, such as `cpu` or `cuda:1`; the machine's accelerator when None.
        timeout: `train.process_timeout` of the recipe.
        more: further arguments of `Accelerator`.

    Raises:
        OptionError: fp16 on a device without gradient scaling.
        I2IError: the machine has no such device, or the launcher's environment contradicts the recipe or requests what
            i2i does not support.
    """
    check_environment(precision)
    forget_precision(PRECISIONS[precision])  # one process may train several recipes, of several precisions
    # Each phase trains some networks and leaves others out, so parameters go unused in every forward. Buffers
    # (spectral norm's vectors) follow from the weights alike in all processes; broadcasting them between the two
    # forwards of one phase would change what the first one's backward needs.
    ddp = DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
    handlers: list[Any] = [ddp]
    if timeout is not None:
        # Accelerate drops a value that equals its own default, which is not that of each backend.
        handlers.append(InitProcessGroupKwargs(timeout=timedelta(seconds=timeout, microseconds=1)))
    # Without `cpu=True`, Accelerate on a machine without accelerator runs several processes as independent ones.
    cpu = device == "cpu" or not torch.accelerator.is_available()
    if device is not None and device != "cpu":
        place = torch.device(device)
        present = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        if present is None or place.type != present.type:
            raise I2IError(f"device {device!r}: expected cpu{f' or {present.type}' if present else ''} on this machine")
        if place.index is not None:
            torch.accelerator.set_device_index(place.index)  # Accelerate takes the current device
    with explain_environment():
        accelerator = Accelerator(mixed_precision=PRECISIONS[precision], kwargs_handlers=handlers, cpu=cpu, **more)
    if precision == "fp16" and accelerator.scaler is None:
        message = f"fp16 needs gradient scaling, which {accelerator.device} lacks; use bf16"
        raise OptionError("train.precision", message)
    return accelerator


class Stepper:
    """A recipe's translator with its optimizers, ready to take training steps.

    Args:
        recipe: the recipe to train.
        accelerator: device, precision and processes; created from the recipe when None.
        translator: built from the recipe when None.
    """

    def __init__(
        self, recipe: Recipe, accelerator: Accelerator | None = None, translator: Translator | None = None
    ) -> None:
        self.recipe = recipe
        self.accelerator = accelerator or make_accelerator(recipe.train.precision)
        if recipe.train.weight_copies:
            self._check_weight_copies()
        self.translator = translator or build(recipe)
        if recipe.train.precision == "fp64":
            self.translator.double()
        self.translator.train()
        switches = resolve(recipe, self.accelerator.device)
        apply(switches)
        self._channels_last = bool(switches["channels_last"])
        if self._channels_last:
            self.translator.to(memory_format=torch.channels_last)
        if recipe.train.gradient_checkpointing:
            for network in trained_networks(self.translator):
                recompute_blocks(network)
        compile_networks(self.translator, recipe.train.compile)
        self.schedule = recipe.schedule(steps=recipe.train.steps)
        first: object = self.schedule(0)
        if not isinstance(first, Real):
            what = f"{recipe.schedule.name!r}: expected a number for each step, got {first!r} for step 0"
            raise OptionError("schedule", what)
        self.step_number = 0
        self.model = self.accelerator.prepare(self.translator)
        self.optimizers: dict[str, Optimizer] = {
            name: self.accelerator.prepare(self._optimizer(name))
            for name, phase in self.translator.phases.items()
            if phase.optimizer is None
        }
        self._base_rates = {
            phase: [group["lr"] for group in optimizer.param_groups] for phase, optimizer in self.optimizers.items()
        }
        self.ema = EMA(self.translator, recipe.train.ema) if recipe.train.ema else None
        self.graphs = None
        self.copies = None
        if recipe.train.weight_copies:
            self.copies = WeightCopies(self.translator, HALF[recipe.train.precision])
            self.translator.weight_copies = self.copies  # whose `start_phase_` is then called
        if recipe.train.graph:
            self.graphs = StepGraphs(self.translator, self.optimizers, self.accelerator, recipe.train)

    @property
    def batches_per_step(self) -> int:
        """Number of micro-batches that the next step takes: of each phase if `train.batches` is `per_phase`."""
        train = self.recipe.train
        phases = len(self.translator.active_phases(self.step_number)) if train.batches == "per_phase" else 1
        return train.accumulate * phases

    def step(self, *micro_batches: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Take one training step.

        Each active phase computes its losses on every micro-batch, accumulates their gradients and steps its optimizer.
        Images are generated once per micro-batch and shared by the phases (see `i2i.output`).

        Args:
            micro_batches: for each one a mapping from the translator's streams to tensors, such as images [B, C, H, W].
                If `train.batches` is `per_phase`, those of the first active phase come first.

        Returns:
            The weighted loss terms by `phase/name`, means over the micro-batches, detached.
        """
        train, step, rank = self.recipe.train, self.step_number, self.accelerator.process_index
        begin_step(train.compile)
        # Dropout and noise draw from torch's global generator. Seeding it from the step makes a resumed run exact.
        torch.manual_seed(seed_of(train.seed, "step", step, rank))
        factor = self.schedule(step)
        for phase, optimizer in self.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self._base_rates[phase], strict=True):
                group["lr"] = rate * factor
        self.translator.at_step_(step)
        for phase in self.translator.reset_optimizers(step):
            self.optimizers[phase].state.clear()
            if self.graphs is not None:
                self.graphs.forget()
        phases = self.translator.active_phases(step)
        batches = [
            Batch(self._to_device(streams), seed_of(train.seed, "batch", step, rank, index), step)
            for index, streams in enumerate(micro_batches)
        ]
        if self.graphs is not None:
            terms = self.graphs.run(phases, batches, self._run_phases)
        else:
            terms = self._run_phases(phases, batches)
        if self.ema is not None:
            images = train.batch_size * train.accumulate * self.accelerator.num_processes
            self.ema.update(step, images)
        self.step_number += 1
        return terms

    def _run_phases(self, phases: Sequence[str], batches: Sequence[Batch]) -> dict[str, Tensor]:
        """Run the phases of a step one after another; return their terms."""
        train = self.recipe.train
        terms: dict[str, Tensor] = {}
        share = len(batches) // len(phases) if train.batches == "per_phase" else 0
        copied = self.copies.step() if self.copies is not None else nullcontext()
        with disable_optimizations(train.reference), fuse_operations(train.fuse), copied:
            for index, phase in enumerate(phases):
                own = batches[index * share : (index + 1) * share] if share else batches
                for batch in own:
                    # With several micro-batches, keeping images for a later phase would keep the graphs of all of them.
                    batch.upcoming = phases[index + 1 :] if len(batches) == 1 else ()
                terms |= {f"{phase}/{name}": value for name, value in self._run_phase(phase, own).items()}
        for batch in batches:
            batch.outputs = None  # outputs refer to their batch: the cycle would keep images until garbage collection
        return terms

    def _run_phase(self, phase: str, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """Compute losses, gradients and one optimizer step of a phase; return its terms."""
        optimizer = self.optimizers[self.translator.phases[phase].optimizer or phase]
        sums: dict[str, Tensor] = {}
        for index, batch in enumerate(batches):
            is_last = index == len(batches) - 1
            # DDP exchanges gradients in the backward pass of the last micro-batch only.
            copied = self.copies.in_place(phase) if self.copies is not None else nullcontext()
            with nullcontext() if is_last else self.accelerator.no_sync(self.model), copied:
                terms = cast("dict[str, Tensor]", self.model(batch, phase))
                if not terms:
                    return {}  # all losses of the phase are skipped at this step
                self.accelerator.backward(sum(terms.values()) / len(batches))
            for name, value in terms.items():
                mean = value.detach() / len(batches)
                sums[name] = sums[name] + mean if name in sums else mean
        max_norm = self.recipe.train.clip_in(phase)
        if max_norm is not None:
            self.accelerator.unscale_gradients(optimizer)
            torch.nn.utils.clip_grad_norm_(self.phase_parameters(phase), max_norm)
        optimizer.step()
        optimizer.zero_grad()
        self._constrain_(phase)
        if self.copies is not None:
            self.copies.mark_changed(self.phase_parameters(phase))
        return sums

    @torch.no_grad()
    def _constrain_(self, phase: str) -> None:
        """Put parameters back into their legal range, such as AdaLIN's rho into [0, 1], where modules ask for it."""
        for name in self.translator.phases[phase].modules:
            for module in self.translator.get_submodule(name).modules():
                constrain_ = getattr(module, "constrain_", None)
                if constrain_ is not None:
                    constrain_()

    def phase_parameters(self, phase: str) -> list[nn.Parameter]:
        """Return the parameters that a phase trains."""
        return [p for name in self.translator.phases[phase].modules for p in self.translator.trainable[name]]

    def mean_over_processes(self, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return loss terms as means over all processes, in one exchange; every process must call it.

        A term that is NaN in one process is NaN in the mean.
        """
        if self.accelerator.num_processes == 1 or not terms:
            return dict(terms)
        means = cast(Tensor, self.accelerator.reduce(torch.stack(list(terms.values())), "mean"))
        return dict(zip(terms, means.unbind(), strict=True))

    @contextmanager
    def eval_mode(self) -> Iterator[Translator]:
        """Provide the translator as `translate` uses it: in evaluation mode, with averaged weights if there are any."""
        self.translator.eval()
        try:
            with self.ema.applied() if self.ema is not None else nullcontext():
                yield self.translator
        finally:
            self.translator.train()

    def learning_rates(self) -> dict[str, float]:
        """Return the learning rates of the last step, by phase with its own optimizer."""
        return {phase: optimizer.param_groups[0]["lr"] for phase, optimizer in self.optimizers.items()}

    def _optimizer(self, phase: str) -> Optimizer:
        optimizer = make_optimizer(self.recipe, self.translator, phase)
        # torch's fused kernels compute the same update in one launch; the recipe may still choose another variant.
        for group in optimizer.param_groups:
            supported = all(parameter.device.type in FUSED for parameter in group["params"])
            if supported and "fused" in group and group["fused"] is None and not group.get("foreach"):
                group["fused"] = not (group.get("differentiable") or self.recipe.train.reference) or None
        return optimizer

    def _check_weight_copies(self) -> None:
        train = self.recipe.train
        if train.precision not in HALF:
            raise OptionError("train.weight_copies", "needs train.precision = bf16 or fp16")
        if train.compile:
            raise OptionError("train.weight_copies", f"cannot be combined with train.compile = {train.compile!r}")
        if self.accelerator.num_processes > 1:
            only = "works in one process only, since processes exchange gradients of full precision"
            raise OptionError("train.weight_copies", only)

    def _to_device(self, streams: Mapping[str, Tensor]) -> dict[str, Tensor]:
        needed = self.translator.required_streams
        if missing := [stream for stream in needed if stream not in streams]:
            available = f"dataset {self.recipe.data.name!r} has {', '.join(streams) or 'no streams'}"
            raise DataError(f"{available}; the translator also needs {', '.join(missing)}")
        dtype = torch.float64 if self.recipe.train.precision == "fp64" else torch.float32
        device = self.accelerator.device

        def placed(x: Tensor) -> Tensor:
            last = self._channels_last and x.ndim == 4
            layout = torch.channels_last if last else torch.preserve_format
            return x.to(device, dtype if x.is_floating_point() else None, non_blocking=True, memory_format=layout)

        return {name: placed(streams[name]) for name in needed}

"""One step of any recipe: phases outside, micro-batches inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from numbers import Real
from typing import Any, cast

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import Tensor
from torch.optim import Optimizer

from i2i.core.randomness import seed_of
from i2i.engine.ema import EMA
from i2i.errors import DataError, OptionError
from i2i.methods.assembly import build
from i2i.methods.compilation import begin_step, compile_networks
from i2i.methods.outputs import Batch
from i2i.methods.recomputing import recompute_blocks
from i2i.methods.translator import Translator
from i2i.nn.functional.optimizations import disable_optimizations
from i2i.recipe.recipe import Recipe

FUSED = ("cpu", "cuda", "mps", "xpu")
MIXED = {"fp32": "no", "fp64": "no", "bf16": "bf16", "fp16": "fp16"}


def make_accelerator(precision: str, cpu: bool = False, **more: Any) -> Accelerator:
    """Accelerate set up for adversarial training.

    Args:
        cpu: whether to leave other devices alone.

    Raises:
        OptionError: fp16 on a device without gradient scaling.
    """
    known = AcceleratorState._shared_state.get("_mixed_precision")
    if known not in (None, MIXED[precision]):
        AcceleratorState._reset_state()  # one process may train several recipes, of several precisions
    # Each phase trains some networks and leaves others out, so parameters go unused in every forward. Buffers
    # (spectral norm's vectors) follow from the weights alike in all processes; broadcasting them between the two
    # forwards of one phase would change what the first one's backward needs.
    ddp = DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
    # Unless told that there is no other device, Accelerate takes several processes on a CPU for as many single ones.
    cpu = cpu or not torch.accelerator.is_available()
    accelerator = Accelerator(mixed_precision=MIXED[precision], kwargs_handlers=[ddp], cpu=cpu, **more)
    if precision == "fp16" and accelerator.scaler is None:
        message = f"fp16 needs gradient scaling, which {accelerator.device} lacks; use bf16"
        raise OptionError("train.precision", message)
    return accelerator


class Stepper:
    """A recipe's translator with its optimizers, ready to take steps.

    Args:
        recipe: what to train.
        accelerator: device, precision and processes; made from the recipe when None.
        translator: built from the recipe when None.
    """

    def __init__(
        self, recipe: Recipe, accelerator: Accelerator | None = None, translator: Translator | None = None
    ) -> None:
        self.recipe = recipe
        self.accelerator = accelerator or make_accelerator(recipe.train.precision)
        self.translator = translator or build(recipe)
        if recipe.train.precision == "fp64":
            self.translator.double()
        self.translator.train()
        if recipe.train.gradient_checkpointing:
            recompute_blocks(self.translator)
        compile_networks(self.translator, recipe.train.compile)
        self.schedule = recipe.schedule(steps=recipe.train.steps)
        first: object = self.schedule(0)
        if not isinstance(first, Real):
            what = f"{recipe.schedule.name!r}: expected a number for each step, got {first!r} for step 0"
            raise OptionError("schedule", what)
        self.step_number = 0
        self.model = self.accelerator.prepare(self.translator)
        self.optimizers: dict[str, Optimizer] = {
            phase: self.accelerator.prepare(self._optimizer(phase))
            for phase in self.translator.phases
            if phase not in self.translator.shares
        }
        self._rates = {
            phase: [group["lr"] for group in optimizer.param_groups] for phase, optimizer in self.optimizers.items()
        }
        self.ema = EMA(self.translator, recipe.train.ema) if recipe.train.ema else None

    def step(self, *micro: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Trains one step.

        Args:
            micro: one mapping for each micro-batch, from the translator's streams to tensors: images [B, 3, H, W] in
                [-1, 1] by domain, and what else the method looks at.

        Returns:
            The weighted loss terms by `phase/name`, means over the micro-batches, detached.
        """
        begin_step(self.recipe.train.compile)
        seed, rank = self.recipe.train.seed, self.accelerator.process_index
        torch.manual_seed(seed_of(seed, "step", self.step_number, rank))  # dropout, noise: the same after a resume
        self._set_rates()
        self.translator.at_step_(self.step_number)
        for phase in self.translator.reset_optimizers(self.step_number):
            self.optimizers[phase].state.clear()
        phases = self.translator.active(self.step_number)
        keep_graph = len(micro) == 1 and len(phases) > 1  # a phase that is alone leaves nothing to a later one
        batches = [
            Batch(
                self._placed(images),
                seed_of(seed, "batch", self.step_number, rank, index),
                keep_graph,
                step=self.step_number,
            )
            for index, images in enumerate(micro)
        ]
        terms: dict[str, Tensor] = {}
        with disable_optimizations(self.recipe.train.reference):
            for phase in phases:
                for name, value in self._phase(phase, batches).items():
                    terms[f"{phase}/{name}"] = value
        for batch in batches:
            batch.outputs = None  # outputs know their batch: without this, images would wait for the garbage collector
        if self.ema is not None:
            self.ema.update()
        self.step_number += 1
        return terms

    def shared(self, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Loss terms as means over all processes, in one exchange; every process must call it.

        A term that is no number in one process is none in the mean either.
        """
        if self.accelerator.num_processes == 1 or not terms:
            return dict(terms)
        means = cast(Tensor, self.accelerator.reduce(torch.stack(list(terms.values())), "mean"))
        return dict(zip(terms, means.unbind(), strict=True))

    def _optimizer(self, phase: str) -> Optimizer:
        """The phase's optimizer, in one kernel for all of its work where torch has one and the recipe allows it."""
        factory = self.recipe.optimizers[phase]
        optimizer = factory(self.translator.trained(phase))
        if not isinstance(optimizer, Optimizer):
            what = f"{factory.name!r}: expected a torch.optim.Optimizer, got {type(optimizer).__name__}"
            raise OptionError(f"optimizers.{phase}", what)
        for group in optimizer.param_groups:
            known = all(parameter.device.type in FUSED for parameter in group["params"])
            if known and "fused" in group and group["fused"] is None and not group.get("foreach"):
                group["fused"] = not (group.get("differentiable") or self.recipe.train.reference) or None
        return optimizer

    @contextmanager
    def eval_mode(self) -> Iterator[Translator]:
        """The translator as `translate` will use it: averaged weights if there are any, in evaluation mode."""
        self.translator.eval()  # spectral norm's vectors rest, dropout is off
        try:
            with self.ema.applied() if self.ema is not None else nullcontext():
                yield self.translator
        finally:
            self.translator.train()

    def learning_rates(self) -> dict[str, float]:
        """The learning rate of each phase that has its own optimizer in the last step."""
        return {phase: optimizer.param_groups[0]["lr"] for phase, optimizer in self.optimizers.items()}

    def _phase(self, phase: str, batches: list[Batch]) -> dict[str, Tensor]:
        optimizer = self.optimizers[self.translator.shares.get(phase, phase)]
        sums: dict[str, Tensor] = {}
        for index, batch in enumerate(batches):
            last = index == len(batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                terms = cast("dict[str, Tensor]", self.model(batch, phase))
                if not terms:
                    return {}  # all of its losses rest at this step
                self.accelerator.backward(sum(terms.values()) / len(batches))
            for name, value in terms.items():
                mean = value.detach() / len(batches)
                sums[name] = sums[name] + mean if name in sums else mean
        clip = self.recipe.train.clip_in(phase)
        if clip is not None:
            self.accelerator.unscale_gradients(optimizer)
            torch.nn.utils.clip_grad_norm_(self.translator.trained(phase), clip)
        optimizer.step()
        optimizer.zero_grad()
        self.translator.constrain_(phase)
        return sums

    def _placed(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if missing := [stream for stream in self.translator.streams if stream not in images]:
            found = f"dataset {self.recipe.data.name!r} gives {', '.join(images) or 'nothing'}"
            raise DataError(f"{found}; the translator needs {', '.join(missing)} too")
        dtype = torch.float64 if self.recipe.train.precision == "fp64" else torch.float32
        device = self.accelerator.device
        return {
            stream: images[stream].to(device, dtype if images[stream].is_floating_point() else None, non_blocking=True)
            for stream in self.translator.streams
        }

    def _set_rates(self) -> None:
        factor = self.schedule(self.step_number)
        for phase, optimizer in self.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self._rates[phase], strict=True):
                group["lr"] = rate * factor

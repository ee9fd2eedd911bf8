"""Whole training steps as graphs: recorded once for each set of active phases and losses, and then replayed.

A replayed step launches everything at once. What changes from step to step must therefore lie at fixed addresses: the
images, the draws and the learning rates are copied into buffers before each replay, and Adam counts its steps on the
device. A step that decides anything on the host, such as which image of a pool is exchanged, cannot be captured; the
reason is logged once, and the step runs as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer

from i2i.core.contracts import Batch
from i2i.methods.compilation import CAPTURING
from i2i.methods.drawing import CapturedSeed, NotCapturableError, StaticDraws, StaticSeed, static_draws
from i2i.methods.translator import Translator
from i2i.recipe.tables import TrainOptions

WARM_UP = 3
"""Steps of each kind that run as they are before one is captured: they create states and choose algorithms."""
MOST = 8
"""Graphs beyond which capturing costs more than it saves."""
Compute = Callable[[Sequence[str], Sequence[Batch]], dict[str, Tensor]]
log = logging.getLogger("i2i")


class Recorder(Protocol):
    """Records operations of a device."""

    def warm_up(self, function: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """Run a function as it is, where it would be captured."""

    def capture(self, function: Callable[[], dict[str, Tensor]]) -> tuple[dict[str, Tensor], Callable[[], None]]:
        """Record a function without running it; return its results, and a function that replays it."""


class CUDARecorder:
    """Records CUDA graphs, all of which share one memory pool, on a stream of their own."""

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self.pool = torch.cuda.graph_pool_handle()

    def warm_up(self, function: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            found = function()
        torch.cuda.current_stream().wait_stream(self.stream)
        return found

    def capture(self, function: Callable[[], dict[str, Tensor]]) -> tuple[dict[str, Tensor], Callable[[], None]]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            found = function()
        return found, graph.replay


@dataclass
class _Captured:
    inputs: list[dict[str, Tensor]]
    draws: StaticDraws
    terms: dict[str, Tensor] = field(default_factory=dict)
    replay: Callable[[], None] = lambda: None


class StepGraphs:
    """Captures and replays the steps of a `Stepper`.

    Args:
        translator: the translator that is trained.
        optimizers: the optimizer of each phase.
        accelerator: device and processes.
        train: options of the recipe.
        recorder: records operations; CUDA graphs when None.

    Attributes:
        reason: why steps run as they are; empty while they are captured.
    """

    def __init__(
        self,
        translator: Translator,
        optimizers: Mapping[str, Optimizer],
        accelerator: Accelerator,
        train: TrainOptions,
        recorder: Recorder | None = None,
    ) -> None:
        self.translator, self.optimizers = translator, optimizers
        self.reason = _refusal(translator, optimizers, accelerator, train, recorder is None)
        self.recorder: Recorder | None = None
        if self.reason:
            self._tell()
        else:
            self.recorder = recorder or CUDARecorder()
        self._captured: dict[object, _Captured] = {}
        self._seen: dict[object, int] = {}
        self._rates: dict[tuple[str, int], Tensor] = {}

    def forget(self) -> None:
        """Forget all graphs, because states that they refer to have been replaced."""
        self._captured.clear()
        self._seen.clear()

    def run(self, phases: Sequence[str], batches: Sequence[Batch], compute: Compute) -> dict[str, Tensor]:
        """Take a step: replay it, or compute it where there is no graph of its kind.

        Args:
            phases: active phases.
            batches: micro-batches on the device.
            compute: computes the step.
        """
        if self.recorder is None:
            return compute(phases, batches)
        kind = self._kind(phases, batches)
        if kind not in self._captured:
            self._seen[kind] = self._seen.get(kind, 0) + 1
            if self._seen[kind] <= WARM_UP:
                return self.recorder.warm_up(lambda: compute(phases, batches))
            return self._capture(kind, phases, batches, compute)
        captured = self._captured[kind]
        for static, batch in zip(captured.inputs, batches, strict=True):
            for name, value in batch.streams.items():
                static[name].copy_(value, non_blocking=True)
        captured.draws.fill_([batch.seed for batch in batches])
        self._fill_rates()
        captured.replay()
        return {name: value.clone() for name, value in captured.terms.items()}  # the next replay overwrites them

    def _capture(
        self, kind: object, phases: Sequence[str], batches: Sequence[Batch], compute: Compute
    ) -> dict[str, Tensor]:
        """Run a step once more as it is, which makes the buffers of its draws, and capture it for the next ones."""
        assert self.recorder is not None
        recorder = self.recorder
        inputs = [{name: value.clone() for name, value in batch.streams.items()} for batch in batches]
        captured = _Captured(inputs, StaticDraws())

        def step(seed: type[StaticSeed]) -> dict[str, Tensor]:
            repeated = [
                Batch(static, seed(batch.seed, index), batch.step)
                for index, (static, batch) in enumerate(zip(inputs, batches, strict=True))
            ]
            with static_draws(captured.draws):
                return compute(phases, repeated)

        self._fill_rates()
        with self._rates_on_the_device():
            terms = {name: value.clone() for name, value in recorder.warm_up(lambda: step(StaticSeed)).items()}
            captured.draws.reuse_()
            try:
                if len(self._captured) >= MOST:
                    raise NotCapturableError(f"phases, losses or their weights have changed {MOST} times")
                captured.terms, captured.replay = recorder.capture(lambda: step(CapturedSeed))
                self._captured[kind] = captured
            except Exception as error:  # whatever a device refuses to capture: the step itself has been taken
                self.reason = " ".join(str(error).split())[:300] or type(error).__name__
                self.recorder = None
                self.forget()
                self._tell()
        return terms

    def _kind(self, phases: Sequence[str], batches: Sequence[Batch]) -> object:
        """Return what a graph depends on besides the values of tensors."""
        shapes = [(name, tuple(x.shape), x.dtype) for batch in batches for name, x in batch.streams.items()]
        calls = self.translator.calls.items()
        step = batches[0].step
        weights = [
            (name, index, repr(call.weight.at(step)))
            for name, of_loss in calls
            for index, call in enumerate(of_loss)
            if step % call.every == 0
        ]
        return tuple(phases), tuple(shapes), tuple(weights)

    def _fill_rates(self) -> None:
        for (phase, index), rate in self._device_rates().items():
            rate.fill_(float(_torch(self.optimizers[phase]).param_groups[index]["lr"]))

    def _device_rates(self) -> dict[tuple[str, int], Tensor]:
        if not self._rates:
            for phase, optimizer in self.optimizers.items():
                for index, group in enumerate(optimizer.param_groups):
                    device = group["params"][0].device
                    # torch's fused kernels of a GPU read a learning rate in float32 alone.
                    dtype = torch.float32 if device.type == "cuda" else torch.float64
                    self._rates[phase, index] = torch.zeros((), dtype=dtype, device=device)
        return self._rates

    def _rates_on_the_device(self) -> _Rates:
        return _Rates({phase: _torch(one) for phase, one in self.optimizers.items()}, self._device_rates())

    def _tell(self) -> None:
        log.warning("train.graph: steps are not captured, and run as they are: %s", self.reason)


class _Rates:
    """Context in which optimizers read their learning rates, and count their steps, on the device."""

    def __init__(self, optimizers: Mapping[str, Optimizer], rates: Mapping[tuple[str, int], Tensor]) -> None:
        self.groups = [(optimizers[phase].param_groups[index], rate) for (phase, index), rate in rates.items()]
        self.before = [(group["lr"], group["capturable"]) for group, _ in self.groups]

    def __enter__(self) -> None:
        for group, device_rate in self.groups:
            group["lr"] = device_rate
            group["capturable"] = device_rate.device.type == "cuda"

    def __exit__(self, *error: object) -> None:
        for (group, _), (host_rate, capturable) in zip(self.groups, self.before, strict=True):
            group["lr"], group["capturable"] = host_rate, capturable


def _torch(optimizer: Any) -> Optimizer:
    """Return torch's optimizer inside of Accelerate's."""
    inner: Optimizer = getattr(optimizer, "optimizer", optimizer)
    return inner


def _refusal(
    translator: Translator,
    optimizers: Mapping[str, Optimizer],
    accelerator: Accelerator,
    train: TrainOptions,
    needs_gpu: bool,
) -> str:
    """Return why steps cannot be captured; empty if they may be."""
    if needs_gpu and accelerator.device.type != "cuda":
        return f"graphs need a CUDA device, got {accelerator.device.type}"
    if accelerator.num_processes > 1:
        return f"{accelerator.num_processes} processes exchange gradients while a step runs"
    if accelerator.scaler is not None:
        return "fp16's gradient scaler decides on the host whether a step is taken; use train.precision=bf16"
    if train.compile in CAPTURING:
        return f"train.compile={train.compile} captures graphs of its own; use train.compile=true"
    others = [type(_torch(one)).__name__ for one in optimizers.values() if type(_torch(one)) not in (Adam, AdamW)]
    if others:
        return f"{others[0]} computes with numbers of the host; use adam or adamw"
    changing = [name for name, module in translator.named_modules() if name and hasattr(module, "at_step_")]
    if len(translator.structure_changes) > 1 or changing:
        return f"{changing[0] if changing else type(translator).__name__} changes with the step"
    observing = [name for name, module in translator.named_modules() if hasattr(module, "observe_real_")]
    return f"{observing[0]} adapts to what it has seen, on the host" if observing else ""

"""Predict what training a recipe needs on a device, by taking steps on tensors without memory."""

from __future__ import annotations

import dataclasses
import gc
import sys
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import convert_outputs_to_fp32
from torch import Tensor, nn
from torch.utils.flop_counter import flop_registry

from i2i.core.bounds import ImageSize, height_width
from i2i.core.factory import Factory
from i2i.core.kinds import GENERATOR
from i2i.core.signature import options
from i2i.engine.stepper import Stepper, make_accelerator
from i2i.errors import I2IError
from i2i.methods.assembly import count_parameters, example_input, parameters_of
from i2i.nn.functional.optimizations import assume_device
from i2i.nn.private_torch import VALUE_NEEDED, TorchDispatchMode, fake_tensors, tree_leaves
from i2i.recipe.recipe import Recipe

Settings = tuple[str, ...]
"""Settings as `--set` takes them, `key=value` each."""
COUNTED = 3
"""Micro-batches that are counted; each further one adds as much as the last of them."""
GROWING = ("activations", "peak", "flops", "launches", "traffic", "product_traffic")
"""What each further micro-batch adds to."""
FREE = {"detach", "alias", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view"}
"""Operations that move no bytes, next to the views."""
PRODUCTS = {"convolution", "convolution_backward", "mm", "bmm", "addmm", "baddbmm"}
"""Matrix products and convolutions, whose bytes are counted apart."""
LIGHTER = 0.75
"""A switch of a generator saves memory if it leaves less than this fraction of the recipe's parameters."""


@dataclass(frozen=True)
class Plan:
    """What one training process needs on its device.

    Args:
        parameters: number of parameters by trained submodule.
        weights: bytes of all networks with their buffers and averages.
        optimizer: bytes of the optimizers' state.
        gradients: bytes of the gradients that exist at the peak.
        activations: bytes of everything else that exists at the peak, above all features kept for the backward pass.
        peak: largest number of bytes that exist at one time in a step, the sum of the four.
        flops: floating point operations of matrix products and convolutions in a step; a multiply-add counts as two.
        launches: operations that run on the device in a step; see `Tracker`.
        traffic: bytes that these operations read and write, those of matrix products and convolutions left out.
        product_traffic: bytes that matrix products and convolutions read and write.
    """

    parameters: dict[str, int]
    weights: int
    optimizer: int
    gradients: int
    activations: int
    peak: int
    flops: int
    launches: int
    traffic: int
    product_traffic: int


@dataclass
class _Block:
    born: int
    died: float
    size: int
    label: str = ""


class Tracker(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has not typed it
    """Count the bytes of all storages that exist, and the operations, while they run.

    Operations are those that torch's dispatcher sees in the forward and backward passes and the optimizers. Views and
    operations that only allocate or describe tensors are not counted; an operation on a list of tensors, such as a
    fused optimizer's step, counts once, and so does one of i2i's own. An operation may be several kernels of a device.

    `torch.utils.flop_counter.FlopCounterMode` installs hooks that keep graphs alive, so only its formulas are used.

    Attributes:
        flops: floating point operations so far.
        launches: operations so far.
        traffic: bytes that operations other than matrix products and convolutions have read and written.
        product_traffic: bytes that matrix products and convolutions have read and written.
        now: bytes that exist.
        peak: largest value of `now` so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = self.launches = self.traffic = self.product_traffic = self.now = self.peak = 0
        self._clock = self._peak_at = 0
        self._blocks: list[_Block] = []
        self._known: weakref.WeakKeyDictionary[Any, _Block] = weakref.WeakKeyDictionary()

    def reset(self) -> None:
        """Start counting operations and the peak again."""
        self.reset_counts()
        self.peak, self._peak_at = self.now, self._clock

    def reset_counts(self) -> None:
        """Start counting operations again."""
        self.flops = self.launches = self.traffic = self.product_traffic = 0

    def label(self, tensors: Iterable[Tensor], label: str) -> int:
        """Label the storages of tensors; return their bytes."""
        blocks = {id(block): block for block in map(self._track, tensors)}
        for block in blocks.values():
            block.label = label
        return sum(block.size for block in blocks.values())

    def label_rest(self, label: str) -> int:
        """Label all storages that have no label; return their bytes."""
        rest = [block for block in self._known.values() if not block.label]
        for block in rest:
            block.label = label
        return sum(block.size for block in rest)

    def at_peak(self) -> dict[str, int]:
        """Return the bytes that existed at the peak, by label."""
        sizes: dict[str, int] = defaultdict(int)
        for block in self._blocks:
            if block.born <= self._peak_at < block.died:
                sizes[block.label] += block.size
        return sizes

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        """Run an operation and count it."""
        out = func(*args, **(kwargs or {}))
        if func is torch.ops.prim.device.default:  # fake tensors call it all the time, and it makes nothing
            return out
        made = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        for leaf in made:
            self._track(leaf)
        name = func.name().partition("::")[2].partition(".")[0]
        if not (func.is_view or name in FREE):
            self.launches += 1
            used = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            moved = sum(leaf.numel() * leaf.element_size() for leaf in (*used, *made))
            if name in PRODUCTS:
                self.product_traffic += moved
            else:
                self.traffic += moved
        formula = flop_registry.get(getattr(func, "_overloadpacket", None))
        if formula is not None:
            self.flops += int(formula(*args, **(kwargs or {}), out_val=out))
        return out

    def _track(self, tensor: Tensor) -> _Block:
        storage = tensor.untyped_storage()
        block = self._known.get(storage)
        if block is None:
            self._clock += 1
            block = self._known[storage] = _Block(self._clock, float("inf"), storage.nbytes())
            self._blocks.append(block)
            self.now += block.size
            if self.now > self.peak:
                self.peak, self._peak_at = self.now, self._clock
            weakref.finalize(storage, self._free, block).atexit = False
        return block

    def _free(self, block: _Block) -> None:
        self._clock += 1
        block.died = self._clock
        self.now -= block.size


class _FakeAccelerator:
    """What `Stepper` uses of Accelerate's `Accelerator`, without the state that belongs to the whole process."""

    num_processes, process_index = 1, 0

    def __init__(self, device: torch.device, half: bool) -> None:
        self.device, self.half = device, half

    def prepare(self, value: Any) -> Any:
        if isinstance(value, nn.Module) and self.half:
            forward = value.forward

            def autocast(*args: Any, **kwargs: Any) -> Any:
                with torch.autocast(self.device.type, torch.bfloat16):
                    return forward(*args, **kwargs)

            value.forward = convert_outputs_to_fp32(autocast)  # as Accelerate does it
        return value

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    def no_sync(self, model: nn.Module) -> AbstractContextManager[None]:
        return nullcontext()

    def unscale_gradients(self, optimizer: object) -> None:
        pass


def predict(recipe: Recipe, device: torch.device | str | None = None) -> Plan:
    """Predict memory and work of a step: two steps are taken on fake tensors wherever the networks change.

    Networks are counted without compilation and graphs, and fp16 as bf16, which is as large. What a driver, an
    allocator or a convolution's workspace needs is not counted.

    Args:
        recipe: what would be trained.
        device: where it would be trained; the machine's accelerator when None. It need not exist: the operations that
            i2i chooses for this type of device are then counted on the CPU.

    Raises:
        RecipeError: components refuse their options.
        I2IError: a component depends on values of tensors.
    """
    train = recipe.train
    if train.accumulate > COUNTED:
        fewer = [dataclasses.replace(train, accumulate=count) for count in (COUNTED - 1, COUNTED)]
        plans = [predict(dataclasses.replace(recipe, train=options), device) for options in fewer]
        grown = {name: [getattr(plan, name) for plan in plans] for name in GROWING}
        more = train.accumulate - COUNTED
        return dataclasses.replace(
            plans[1], **{name: last + more * max(0, last - first) for name, (first, last) in grown.items()}
        )
    place = torch.device(device) if device is not None else default_device()
    present = place.type == "cpu" or (torch.accelerator.is_available() and place == default_device())
    half = train.precision in ("bf16", "fp16")
    counted = dataclasses.replace(train, precision="bf16" if half else train.precision, compile=False, graph=False)
    fake = _FakeAccelerator(place if present else torch.device("cpu"), half)
    try:
        with fake_tensors(), Tracker() as tracker, fake.device, assume_device(place.type):
            stepper = Stepper(dataclasses.replace(recipe, train=counted), cast(Accelerator, fake))
            gc.collect()
            return _count(stepper, tracker)
    except VALUE_NEEDED as error:
        raise I2IError(
            f"{recipe.name}: cannot be predicted, since a component depends on values of tensors "
            f"({type(error).__name__}); measure it instead, with i2i plan --measure"
        ) from error


def _count(stepper: Stepper, tracker: Tracker) -> Plan:
    weights = tracker.label_rest("weights")

    def label_gradients(optimizer: Any, *_: object) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        tracker.label([p.grad for p in parameters if p.grad is not None], "gradients")

    for optimizer in stepper.optimizers.values():
        optimizer.register_step_pre_hook(label_gradients)
    tracker.reset()
    for start in stepper.translator.structure_changes:
        stepper.step_number = start
        for _ in range(2):  # optimizers have their state from the first step on
            tracker.reset_counts()
            stepper.step(*example_batches(stepper))
    states = [leaf for one in stepper.optimizers.values() for leaf in tree_leaves(dict(one.state))]
    optimizer_bytes = tracker.label([leaf for leaf in states if isinstance(leaf, Tensor)], "optimizer")
    parts = tracker.at_peak()
    return Plan(
        parameters=parameters_of(stepper.translator),
        weights=weights,
        optimizer=optimizer_bytes,
        gradients=parts["gradients"],
        activations=tracker.peak - parts["weights"] - parts["optimizer"] - parts["gradients"],
        peak=tracker.peak,
        flops=tracker.flops,
        launches=tracker.launches,
        traffic=tracker.traffic,
        product_traffic=tracker.product_traffic,
    )


def example_batches(stepper: Stepper) -> list[dict[str, Tensor]]:
    """Return the micro-batches of one step, of which only shapes and types matter."""
    recipe, translator = stepper.recipe, stepper.translator
    count = recipe.train.batch_size
    batch = {name: example_input(translator.streams[name], count) for name in translator.required_streams}
    return [batch] * stepper.batches_per_step


def default_device() -> torch.device:
    """Return the machine's accelerator, or the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def measure(recipe: Recipe, steps: int = 3) -> tuple[float, int | None]:
    """Take real steps on random data on this machine's device.

    Returns:
        seconds: of the last step.
        peak: largest number of bytes that the process held beyond those before, or that tensors filled on a GPU; None
            where the system does not report it.
    """
    accelerator = make_accelerator(recipe.train.precision)
    device = accelerator.device
    before = _peak_bytes(device, reset=True)
    stepper = Stepper(recipe, accelerator)
    seconds = 0.0
    for _ in range(steps):
        batches = [{name: _random(x) for name, x in batch.items()} for batch in example_batches(stepper)]
        _synchronize(device)
        start = time.perf_counter()
        stepper.step(*batches)
        _synchronize(device)
        seconds = time.perf_counter() - start
    peak = _peak_bytes(device)
    return seconds, None if peak is None or before is None else peak - before


def _random(example: Tensor) -> Tensor:
    return torch.rand_like(example) * 2 - 1 if example.is_floating_point() else torch.zeros_like(example)


def _synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _peak_bytes(device: torch.device, reset: bool = False) -> int | None:
    if device.type == "cuda":
        if reset:
            torch.cuda.reset_peak_memory_stats(device)
        return int(torch.cuda.max_memory_allocated(device))
    if device.type != "cpu" or sys.platform not in ("linux", "darwin"):
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1024 if sys.platform == "linux" else 1)


def memory_switches(recipe: Recipe, changed: Callable[[Settings], Recipe]) -> list[Settings]:
    """Return settings that may make a recipe need less memory, alone and combined, those with the least effect first.

    Gradient checkpointing changes nothing but time; bf16 rounds; smaller micro-batches change what batch norms see; a
    lighter generator and smaller images are another training.

    Args:
        recipe: the recipe as it is.
        changed: returns the recipe with further settings.
    """
    train = recipe.train
    checkpointing: Settings = () if train.gradient_checkpointing else ("train.gradient_checkpointing=true",)
    rounding: Settings = ("train.precision=bf16",) if train.precision in ("fp32", "fp64") else ()
    samples = train.batch_size * train.accumulate
    split: Settings = ("train.batch_size=1", f"train.accumulate={samples}") if train.batch_size > 1 else ()
    load_size = recipe.data.options.get("load_size")
    smaller: Settings = (f"data.size={_halved(recipe.image_size)}",)
    smaller += () if load_size is None else (f"data.load_size={_halved(load_size)}",)
    lighter: Settings = next(lighter_generators(recipe, changed), ())
    harmless = (*checkpointing, *rounding)
    found = [checkpointing, rounding, harmless]
    found += [split, (*harmless, *split), lighter, (*harmless, *split, *lighter)]
    found += [smaller, (*harmless, *split, *smaller), (*harmless, *split, *lighter, *smaller)]
    return [settings for settings in dict.fromkeys(found) if settings]


def _halved(size: ImageSize) -> int | list[int]:
    height, width = height_width(size)
    return height // 2 if height == width else [height // 2, width // 2]


def lighter_generators(recipe: Recipe, changed: Callable[[Settings], Recipe]) -> Iterator[Settings]:
    """Yield the boolean options of generators that make the networks much smaller, such as U-GAT-IT's `light`."""
    whole = sum(count_parameters(recipe).values())
    for factory in _generators(recipe.translator.options):
        for name, option in options(factory.component).items():
            if option.annotation is not bool or not factory.path:
                continue
            value = not factory.options.get(name, option.default)
            setting = f"{'.'.join(map(str, factory.path))}.{name}={str(value).lower()}"
            try:
                count = sum(count_parameters(changed((setting,))).values())
            except I2IError:
                continue  # the option does not fit the rest of the recipe
            if count < LIGHTER * whole:
                yield (setting,)


def _generators(value: Any) -> Iterator[Factory[Any]]:
    if isinstance(value, Factory):
        if value.kind == GENERATOR:
            yield value
        yield from _generators(value.options)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _generators(inner)

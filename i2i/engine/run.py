"""State of a training run, its checkpoints and what hooks may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.engine import checkpoint
from i2i.engine.adapters import adapter_state, base_weights, without_base
from i2i.engine.checkpoint import Checkpoint
from i2i.engine.elastic import check_networks, recipe_changes, surroundings, what_changes
from i2i.engine.faults import check_weights
from i2i.engine.hook_state import HookState, truncate_lines
from i2i.engine.hooks.best import Best
from i2i.engine.optimizer_state import join_optimizer, split_optimizer
from i2i.engine.pruning import prune
from i2i.engine.stepper import Stepper
from i2i.errors import CheckpointError
from i2i.methods.networks import image_constraints
from i2i.methods.translator import Translator
from i2i.nn.layers.frozen import extractor_sources
from i2i.recipe.recipe import Recipe

COMPUTATION_OPTIONS = ("foreach", "fused", "capturable", "differentiable")
"""Boolean options of torch's optimizers that change how a step is computed but not the optimizer's state."""


@dataclass
class Run:
    """A training run, started from scratch or resumed from a checkpoint.

    Args:
        folder: folder of the resolved recipe, the log, samples and checkpoints.
        recipe: the recipe.
        stepper: translator, optimizers and device.
        dataset: data set that provides the batches.
        start: step from which this process started.
        samples: number of samples that all processes together have drawn.
        rollbacks: number of returns to a checkpoint because training diverged (NaN or Inf).
        unwritten: number of failed attempts to write a checkpoint since the last written one.
        changes: changes since the checkpoint, a sentence each; empty for a new run.
        findings: messages of the training diagnostics.
        skipped: images that could not be read, a sentence each.
        hook_state: state of hooks that survives a resume: `run.hook_state.keep("name", hook)` in `training_started`.
        metrics: results of evaluations by name of the metric.
        metric_labels: label in `metrics` of each metric that has another there, such as `kid (mobilenetv2_100)`.
        evaluated: step of the last evaluation.
        waited: seconds that steps have waited for data since the process started.
        interrupted: whether the run was asked to stop.
        stop_requested: whether a hook asks the run to save and stop after this step.
    """

    folder: Path
    recipe: Recipe
    stepper: Stepper
    dataset: Any
    start: int = 0
    samples: int = 0
    rollbacks: int = 0
    unwritten: int = 0
    changes: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    hook_state: HookState = field(default_factory=HookState)
    metrics: dict[str, float] = field(default_factory=dict)
    metric_labels: dict[str, str] = field(default_factory=dict)
    evaluated: int = -1
    waited: float = 0.0
    interrupted: bool = False
    stop_requested: bool = False

    def __post_init__(self) -> None:
        name = self.recipe.train.keep_best
        self.best = Best(name) if name is not None else None
        self._adapter: dict[str, Any] | None = None  # the same for all checkpoints

    @property
    def step(self) -> int:
        """Number of training steps taken so far."""
        return self.stepper.step_number

    @property
    def steps(self) -> int:
        """Total number of training steps."""
        return self.recipe.train.steps

    @property
    def ended_early(self) -> bool:
        """Whether `train.patience` comparisons have passed without a better value."""
        patience = self.recipe.train.patience
        return patience is not None and self.best is not None and self.best.stale >= patience

    @property
    def evaluation_is_due(self) -> bool:
        """Whether this step is evaluated: by `train.evaluate`, or for a checkpoint that `train.keep_best` compares."""
        options, last = self.recipe.train, self.step == self.steps
        evaluate = options.evaluate
        if evaluate is None and not (self.best and self.best.by_metric):
            return False
        every = options.checkpoint_every if evaluate is None or evaluate.every is None else evaluate.every
        return last or self.step % every == 0

    @property
    def samples_per_step(self) -> int:
        """Number of samples that all processes together draw for the next step."""
        return (
            int(self.stepper.accelerator.num_processes) * self.recipe.train.batch_size * self.stepper.batches_per_step
        )

    @property
    def translator(self) -> Translator:
        """The trained translator."""
        return self.stepper.translator

    @property
    def feature_extractors(self) -> dict[str, str]:
        """Sources of the frozen feature extractors of the method and its losses, by submodule."""
        return extractor_sources(self.translator)

    @property
    def is_main(self) -> bool:
        """Whether this is the main process, which writes files and prints."""
        return bool(self.stepper.accelerator.is_main_process)

    @torch.no_grad()
    def translated(self, images: Tensor, to: str, batch_size: int = 8, **condition: Any) -> Tensor:
        """Translate images in evaluation mode, with averaged weights if there are any.

        Args:
            images: [n, 3, H, W] in [-1, 1].
            to: target domain.
            batch_size: images that are translated together.
            condition: further inputs of the translator, such as a style.

        Returns:
            The translations [n, 3, H, W] on the CPU in float32.
        """
        weight = next(self.translator.parameters())
        with self.stepper.eval_mode() as translator:
            batch_size = 1 if image_constraints(translator).batch_dependent else batch_size
            batches = [
                translator.translate(batch.to(weight), to, **condition).image
                for batch in torch.split(images, batch_size)
            ]
        return torch.cat(batches).float().cpu()

    def gather_skipped(self) -> None:
        """Merge the skipped images of all processes; every process must call it."""
        self.skipped = sorted({line for skipped in self._gathered(self.skipped) for line in skipped})

    def save(self) -> Path:
        """Write a checkpoint; every process must call it.

        Returns:
            The checkpoint's folder.

        Raises:
            WriteError: the checkpoint cannot be written.
            NonFiniteError: a weight contains NaN or Inf.
        """
        accelerator = self.stepper.accelerator
        check_weights(self.translator.state_dict(), self.step)
        due = self.step % self.recipe.train.checkpoint_every == 0 or self.step == self.steps
        if self.best is not None and due:
            # A checkpoint that a stop requests must not split the interval over which a run without the stop averages.
            label = self.metric_labels.get(self.best.name, self.best.name)
            measured = {self.best.name: self.metrics[label]} if label in self.metrics else {}
            self.best.close(self.step, measured if self.evaluated == self.step else {}, accelerator)
        best = {"best": self.best.state(self._gathered(self.best.opened()))} if self.best else {}
        self.gather_skipped()
        local = self._local_states()
        target = self.folder / "checkpoints" / f"step-{self.step:07d}"
        failure: checkpoint.WriteError | None = None
        if accelerator.is_main_process:
            try:
                self._write(target.parent, local, best)
            except checkpoint.WriteError as error:
                failure = error  # the other processes wait in the reduction below
        failed = torch.tensor([float(failure is not None)], device=accelerator.device)
        if accelerator.num_processes > 1:
            failed = accelerator.reduce(failed, "sum")
        if failed.item():
            raise failure or checkpoint.WriteError(f"the main process cannot write the checkpoint of step {self.step}")
        return target

    def _write(self, folder: Path, local: Mapping[str, Mapping[str, Tensor]], best: Mapping[str, Any]) -> None:
        accelerator, options = self.stepper.accelerator, self.recipe.train
        files = {checkpoint.WEIGHTS: without_base(self.translator, self.translator.state_dict()), **local}
        if self.stepper.ema is not None:
            files[checkpoint.AVERAGE] = self.stepper.ema.average
        optimizers = {}
        for phase, optimizer in self.stepper.optimizers.items():
            files[f"optimizer-{phase}.safetensors"], plain = split_optimizer(optimizer)
            optimizers[phase] = {**plain, "options": self.recipe.optimizers[phase].resolved()}
        state = {
            "recipe": self.recipe.name,
            "optimizers": optimizers,
            "scaler": accelerator.scaler.state_dict() if accelerator.scaler else None,
            "samples": self.samples,
            "rollbacks": self.rollbacks,
            "feature_extractors": self.feature_extractors,
            "streams": {name: asdict(stream) for name, stream in self.translator.streams.items()},
            **self._surroundings(),
            "findings": truncate_lines(self.findings),
            "skipped": truncate_lines(self.skipped),
            "data": truncate_lines(list(getattr(self.dataset, "summary", ()))),
            "extras": self.hook_state.state(),
            **best,
        }
        self._adapter = self._adapter or adapter_state(self.translator, self.recipe)
        if self._adapter is not None:
            state["adapter"] = self._adapter
        checkpoint.write(folder, self.step, files, state, self.recipe.to_toml())
        kept = {self.best.step} if self.best and self.best.step is not None else set()
        prune(self.folder, options.keep_last, self.step, options.keep_every, kept)

    def load(self, saved: Checkpoint) -> None:
        """Restore the state of a checkpoint.

        Args:
            saved: the checkpoint.

        Raises:
            CheckpointError: the checkpoint is damaged or belongs to another recipe.
        """
        try:
            self._restore(saved)
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
            lines = str(error).splitlines()
            reason = "; ".join(line.strip() for line in lines[:3]) + (f" ... ({len(lines)} lines)" if lines[3:] else "")
            raise CheckpointError(f"{saved.folder} does not fit the recipe: {reason}") from error

    def _restore(self, saved: Checkpoint) -> None:
        stepper = self.stepper
        weights = saved.weights() | base_weights(saved)
        check_networks(weights, self.translator.state_dict(), saved.folder)
        self.translator.load_state_dict(weights)
        for phase, plain in saved.state["optimizers"].items():
            self._check_optimizer(saved, phase, plain)
            tensors = saved.tensors(f"optimizer-{phase}.safetensors")
            join_optimizer(stepper.optimizers[phase], tensors, plain)
        if stepper.graphs is not None:
            stepper.graphs.forget()  # the optimizers' states have been replaced
        if stepper.ema is not None:
            # A run that starts to average now starts from the trained weights, not from the initial ones.
            stepper.ema.load(saved.tensors(checkpoint.AVERAGE) or stepper.ema.weights())
        if stepper.accelerator.scaler is not None and saved.state.get("scaler"):
            stepper.accelerator.scaler.load_state_dict(saved.state["scaler"])
        load_local_state(self.translator, saved.tensors(self._local_name(stepper.accelerator.process_index)))
        stepper.step_number = self.start = saved.step
        self.samples = saved.count("samples", saved.step * self.samples_per_step)
        self.rollbacks = saved.count("rollbacks", 0)
        if self.best is not None:
            self.best.load(saved.state.get("best", {}), stepper.accelerator)
        self.findings, self.skipped = saved.lines("findings"), saved.lines("skipped")
        self.hook_state.load(saved.state.get("extras", {}))
        pools = len(list(saved.folder.glob("process-*.safetensors")))
        self.changes = what_changes(saved.state, self._surroundings(), pools)
        self.changes += recipe_changes(saved.recipe(), self.recipe.to_toml())
        before, now = saved.lines("data"), list(getattr(self.dataset, "summary", ()))
        if before and before != now:  # files that came or went, or another revision on a hub: the order is another one
            self.changes.append(f"data: {'; '.join(now)} instead of {'; '.join(before)}")

    def _check_optimizer(self, saved: Checkpoint, phase: str, plain: dict[str, Any]) -> None:
        """Check that a resumed run only changes options that do not change the optimizer's state."""
        now = self.recipe.optimizers[phase].resolved()
        for name, before in plain.get("options", {}).items():
            structural = name == "type" or (isinstance(before, bool) and name not in COMPUTATION_OPTIONS)
            if structural and now.get(name) != before:
                raise CheckpointError(
                    f"optimizers.{phase}.{name}: {saved.folder} has {before!r}, got {now.get(name)!r}; the "
                    f"optimizer's state differs, so this option can only be changed in a new run"
                )

    def _surroundings(self) -> dict[str, Any]:
        accelerator, options = self.stepper.accelerator, self.recipe.train
        return surroundings(
            accelerator.num_processes,
            str(accelerator.device.type),
            options.batch_size,
            options.accumulate,
            options.precision,
        )

    def _local_states(self) -> dict[str, dict[str, Tensor]]:
        """Return the local state of each process by file name."""
        gathered = self._gathered({name: value.cpu() for name, value in local_state(self.translator).items()})
        return {self._local_name(rank): state for rank, state in enumerate(gathered)}

    def _gathered(self, value: Any) -> list[Any]:
        """Return the value of each process in the order of their ranks."""
        values = [value] * int(self.stepper.accelerator.num_processes)
        if len(values) > 1:
            torch.distributed.all_gather_object(values, value)
        return values

    @staticmethod
    def _local_name(rank: int) -> str:
        return f"process-{rank}.safetensors"


def local_state(translator: Translator) -> dict[str, Tensor]:
    """Return the state of this process that must survive a resume, such as image pools.

    Modules provide it by methods `local_state` and `load_local_state`; keys are `module.key`.
    """
    return {
        f"{name}.{key}": value
        for name, module in translator.named_modules()
        if hasattr(module, "local_state")
        for key, value in module.local_state().items()
    }


def load_local_state(translator: Translator, state: Mapping[str, Tensor]) -> None:
    """Restore what `local_state` returned."""
    for name, module in translator.named_modules():
        if hasattr(module, "load_local_state"):
            prefix = f"{name}."
            module.load_local_state({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})

"""Training steps of the authors' code, from a clone of it, as it is."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from rows import ROWS, images

Between = Callable[[], None]
"""Called before each of the official steps, and after the last one."""


def run(row: str, code: Path, steps: int, between: Between) -> None:
    """Takes a row's steps with the official code, whose prints are dropped."""
    sys.path.insert(0, str(code))
    recipe, settings = ROWS[row]
    with contextlib.redirect_stdout(io.StringIO()):
        if recipe.startswith("ugatit"):
            _ugatit(settings, recipe == "ugatit_light", steps, between)
        else:
            _cut(recipe, settings, steps, between)


def _ugatit(settings: dict[str, Any], light: bool, steps: int, between: Between) -> None:
    """znxlwm/UGATIT-pytorch: its training loop with our batches. OpenCV and SciPy are not needed for it."""
    for name in ("cv2", "scipy", "scipy.misc"):
        sys.modules[name] = ModuleType(name)
    sys.modules["scipy"].misc = sys.modules["scipy.misc"]  # type: ignore[attr-defined]
    code = importlib.import_module("UGATIT")
    size = settings["data.size"]

    class Loader:
        """Loaders are made for trainA, trainB, testA and testB; the first is asked first in every step."""

        made = 0

        def __init__(self, *_: object, **__: object) -> None:
            self.number = Loader.made
            Loader.made += 1

        def __iter__(self) -> Loader:
            return self

        def next(self) -> tuple[Any, int]:
            if self.number == 0:
                between()
            return images(size)["ab"[self.number]], 0

        __next__ = next

    code.ImageFolder = lambda *_: None  # type: ignore[attr-defined]
    code.DataLoader = Loader  # type: ignore[attr-defined]
    never = steps + 1
    channels = settings.get("translator.generator.channels", 64)
    paper = {"lr": 1e-4, "weight_decay": 1e-4, "adv_weight": 1, "cycle_weight": 10, "identity_weight": 10}
    shape = {"ch": channels, "n_res": 4, "n_dis": 6, "img_size": size, "img_ch": 3, "batch_size": 1, "light": light}
    run = {"iteration": steps, "decay_flag": False, "print_freq": never, "save_freq": never, "resume": False}
    rest = {"result_dir": "", "dataset": "", "device": "cpu", "benchmark_flag": False, "cam_weight": 1000}
    translator = code.UGATIT(SimpleNamespace(**paper, **shape, **run, **rest))
    translator.build_model()
    translator.train()
    between()


def _cut(recipe: str, settings: dict[str, Any], steps: int, between: Between) -> None:
    """taesungp/contrastive-unpaired-translation: CUT, and CycleGAN with the layers of the original code."""
    with tempfile.TemporaryDirectory() as folder:  # for its file of options
        sys.argv = ["train.py", "--dataroot", ".", "--gpu_ids", "-1", "--checkpoints_dir", folder]
        if recipe == "cyclegan":
            sys.argv += ["--model", "cycle_gan", "--no_antialias", "--no_antialias_up"]
        options = importlib.import_module("options.train_options").TrainOptions().parse()
    options.amp = False  # asked for, and never set
    model = importlib.import_module("models").create_model(options)
    size = settings["data.size"]
    batch = images(size)
    data = {"A": batch["a"], "B": batch["b"], "A_paths": [""], "B_paths": [""]}
    if recipe == "cut":
        model.data_dependent_initialize(data)
    model.setup(options)
    for _ in range(steps):
        between()
        model.set_input(data)
        model.optimize_parameters()
    between()

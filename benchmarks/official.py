"""Training steps of the official implementations, from clones of them, as they are."""

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


def run(row: str, code: Path, count: int, between: Between) -> None:
    """Take `count` steps of a row of `rows.py` on the CPU."""
    recipe, settings = ROWS[row]
    method = {"ugatit": "U-GAT-IT", "ugatit_light": "U-GAT-IT light", "cyclegan": "CycleGAN", "cut": "CUT"}[recipe]
    channels = settings.get("translator.generator.channels", 64)
    steps(method, code, settings["data.size"], count, between, "cpu", channels)


def steps(
    method: str, code: Path, size: int, count: int, between: Between, device: str = "cpu", channels: int = 64
) -> None:
    """Take training steps with the official code; what it prints is dropped.

    Args:
        method: `U-GAT-IT`, `U-GAT-IT light`, `CycleGAN`, `CUT` or `pix2pix`.
        code: a clone of the method's repository.
        size: side of the images in pixels.
        count: number of steps, of one random image of each domain.
        between: called before each step and after the last one.
        device: `cpu` or `cuda`.
        channels: of U-GAT-IT's networks; the others have their own defaults.
    """
    sys.path.insert(0, str(code))
    with contextlib.redirect_stdout(io.StringIO()):
        if method.startswith("U-GAT-IT"):
            _ugatit(size, channels, method.endswith("light"), count, between, device)
        else:
            _models(method, size, count, between, device)


def _ugatit(size: int, channels: int, light: bool, count: int, between: Between, device: str) -> None:
    """znxlwm/UGATIT-pytorch: its training loop with our batches. OpenCV and SciPy are not needed for it."""
    for name in ("cv2", "scipy", "scipy.misc"):
        sys.modules[name] = ModuleType(name)
    sys.modules["scipy"].misc = sys.modules["scipy.misc"]  # type: ignore[attr-defined]
    code = importlib.import_module("UGATIT")

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
    never = count + 1
    paper = {"lr": 1e-4, "weight_decay": 1e-4, "adv_weight": 1, "cycle_weight": 10, "identity_weight": 10}
    shape = {"ch": channels, "n_res": 4, "n_dis": 6, "img_size": size, "img_ch": 3, "batch_size": 1, "light": light}
    run = {"iteration": count, "decay_flag": False, "print_freq": never, "save_freq": never, "resume": False}
    rest = {"result_dir": "", "dataset": "", "device": device, "benchmark_flag": False, "cam_weight": 1000}
    translator = code.UGATIT(SimpleNamespace(**paper, **shape, **run, **rest))
    translator.build_model()
    translator.train()
    between()


def _models(method: str, size: int, count: int, between: Between, device: str) -> None:
    """taesungp/contrastive-unpaired-translation (CUT, and CycleGAN with the layers of the original code), and pix2pix
    of junyanz/pytorch-CycleGAN-and-pix2pix, whose programs have the same shape."""
    with tempfile.TemporaryDirectory() as folder:  # for its file of options
        sys.argv = ["train.py", "--dataroot", ".", "--checkpoints_dir", folder]
        sys.argv += ["--gpu_ids", "0" if device == "cuda" else "-1"]
        if method == "CycleGAN":
            sys.argv += ["--model", "cycle_gan", "--no_antialias", "--no_antialias_up"]
        elif method == "pix2pix":
            sys.argv += ["--model", "pix2pix"]
        options = importlib.import_module("options.train_options").TrainOptions().parse()
    options.amp = False  # the code reads it and has no option for it
    model = importlib.import_module("models").create_model(options)
    batch = images(size)
    data = {"A": batch["a"], "B": batch["b"], "A_paths": [""], "B_paths": [""]}
    if method == "CUT":
        model.data_dependent_initialize(data)
    model.setup(options)
    for _ in range(count):
        between()
        model.set_input(data)
        model.optimize_parameters()
    between()

"""Computes the figures in this folder with the official code, which is not part of this repository.

    python tests/golden/compute.py --official FOLDER [METHOD ...]

FOLDER holds one checkout a repository, under the names of `REPOSITORIES`. The official classes run unmodified on the
CPU with one thread; modules that they import without need here (OpenCV, SciPy, data sets, profilers) are replaced by
empty ones, and `.cuda()` returns its tensor. README.md says what each file holds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from official_figures import Draws, write
from torch import Tensor, nn

HERE = Path(__file__).parent
REPOSITORIES = {
    "cyclegan": "pytorch-CycleGAN-and-pix2pix",
    "pix2pix": "pytorch-CycleGAN-and-pix2pix",
    "cut": "contrastive-unpaired-translation",
    "ugatit": "UGATIT-pytorch",
    "nicegan": "NICE-GAN-pytorch",
    "munit": "MUNIT",
    "unit": "UNIT",
    "animegan2": "animegan2-pytorch",
    "cartoongan": "CartoonGAN-Test-Pytorch-Torch",
}

Outputs = dict[str, Tensor]


class _Empty(ModuleType):
    """A module any of whose names is a function that returns nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **options: None


def official(folder: Path, module: str, empty: Iterable[str] = ()) -> ModuleType:
    """Import `module` of the checkout `folder`; its names hide those of other checkouts."""
    for name in list(sys.modules):
        origin = getattr(sys.modules[name], "__file__", None) or ""
        if origin.startswith(str(folder.parent)) or isinstance(sys.modules[name], _Empty):
            del sys.modules[name]
    for name in empty:
        sys.modules[name] = _Empty(name)
    sys.path[:] = [str(folder), *(path for path in sys.path if not path.startswith(str(folder.parent)))]
    importlib.invalidate_caches()
    return importlib.import_module(module)


def fill(draws: Draws, net: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Draw a network's state and load it."""
    state = {name: draws(prefix + name, tuple(value.shape)) for name, value in net.state_dict().items()}
    net.load_state_dict(state)
    return state


def component(
    path: Path,
    seed: int,
    config: Mapping[str, Any],
    net: nn.Module,
    shapes: Mapping[str, tuple[int, ...]],
    call: Callable[[Mapping[str, Tensor]], Outputs],
    after: bool = False,
) -> None:
    """Forward and gradients of one network; the scalar is the sum over outputs of `out64` times `cot`.

    Args:
        shapes: of the inputs, by key.
        call: from the inputs in float64 to the outputs, by what follows `out64`.
        after: whether to keep the buffers after the forward.
    """
    draws = Draws(seed)
    fill(draws, net, "param/")
    net.double()
    inputs = {key: draws(key, shape).double().requires_grad_() for key, shape in shapes.items()}
    outputs = call(inputs)
    expected = {f"out64{key}": value for key, value in outputs.items()}
    scalar = sum((value * draws(f"cot{key}", tuple(value.shape))).sum() for key, value in outputs.items())
    if after:
        expected |= {f"after64/{name}": value.clone() for name, value in net.named_buffers()}
    scalar.backward()  # type: ignore[union-attr]
    expected |= {f"grad64/{key}": value.grad for key, value in inputs.items() if value.grad is not None}
    expected |= {f"grad64/param/{name}": p.grad for name, p in net.named_parameters() if p.grad is not None}
    write(path.with_suffix(".json"), config, draws, seed, expected)


class Recorder:
    """Gradients before each network's first optimizer step.

    Args:
        nets: by official name.
        optimizers: whose steps are watched.
    """

    def __init__(self, nets: Mapping[str, nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> None:
        self.gradients: dict[str, Tensor] = {}
        self.nets = nets
        for optimizer in optimizers:
            optimizer.register_step_pre_hook(self._keep)

    def _keep(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        stepped = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        for net, module in self.nets.items():
            for name, parameter in module.named_parameters():
                if id(parameter) in stepped and f"{net}/{name}" not in self.gradients:
                    gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                    self.gradients[f"{net}/{name}"] = gradient.detach().clone()


Run = Callable[[dict[str, Any], torch.dtype, Draws, "dict[str, Tensor]"], "Result"]


class Result(Namespace):
    """What one run of an official trainer left: `nets`, `losses`, `recorded`, `fakes`, `recorder`."""


def trajectory(folder: Path, tag: str, seed: int, config: dict[str, Any], make: Callable[..., Any]) -> None:
    """Consecutive training steps in float64 and float32 from drawn weights and batches.

    Args:
        make: from `config` to a runner with `nets`, `optimizers`, `batch_shapes()`, and `step(number, batches)`, which
            returns the losses, the random decisions and the generated images.
    """
    weights, streams = Draws(seed), Draws(seed + 1)
    losses: dict[torch.dtype, list[dict[str, float]]] = {}
    state: dict[str, dict[str, Tensor]] = {}
    batches: dict[str, Tensor] = {}
    for dtype in (torch.float64, torch.float32):
        torch.manual_seed(0)
        np.random.seed(seed)
        random.seed(seed)
        runner = make(config)
        for name, net in runner.nets.items():
            if name not in state:
                state[name] = fill(weights, net, f"{name}/")
            net.load_state_dict(state[name])
            net.to(dtype)
        for criterion in getattr(runner, "criteria", ()):
            criterion.to(dtype)  # Its targets are buffers.
        if not batches:
            for step in range(config["steps"]):
                for key, shape in runner.batch_shapes().items():
                    batches[f"{key}/{step}"] = streams(f"{key}/{step}", shape)

        def noise(key: str, shape: tuple[int, ...], dtype: torch.dtype = dtype) -> Tensor:
            if key not in batches:
                batches[key] = streams(key, shape)
            return batches[key].to(dtype)

        recorder = Recorder(runner.nets, runner.optimizers)
        # The trainer's seeds begin again after what building it drew.
        np.random.seed(seed)
        random.seed(seed)
        taken = []
        for step in range(config["steps"]):
            given = {key: batches[f"{key}/{step}"].to(dtype) for key in runner.batch_shapes()}
            taken.append(runner.step(step, given, noise))
        losses[dtype] = [
            {key: float(torch.as_tensor(value).detach()) for key, value in one["losses"].items()} for one in taken
        ]
        if dtype == torch.float64:
            gradients = recorder.gradients
            largest = {
                net: max(float(value.norm()) for key, value in gradients.items() if key.startswith(f"{net}/"))
                for net in runner.nets
            }
            zero = [key for key, value in gradients.items() if float(value.norm()) < 1e-12 * largest[key.split("/")[0]]]
            fakes = taken[0]["fakes"]
            final = {
                f"{n}/{key}": value.clone() for n, net in runner.nets.items() for key, value in net.state_dict().items()
            }
            recorded = [one["recorded"] for one in taken]
    write(folder / f"{tag}_init.json", config, weights, seed, {})
    write(folder / f"{tag}_batches.json", config, streams, seed + 1, {})
    write(folder / f"{tag}_grad_step0.json", config, None, 0, gradients)
    write(folder / f"{tag}_final_f64.json", config, None, 0, final)
    write(folder / f"{tag}_fakes_step0.json", config, None, 0, fakes)
    content = {
        "config": config,
        "recorded": recorded,
        "losses_f32": losses[torch.float32],
        "losses_f64": losses[torch.float64],
        "zero_gradient_tensors": sorted(zero),
    }
    lines = ",\n ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    (folder / f"{tag}_losses.json").write_text(f"{{\n {lines}\n}}\n")


def plain_options(config: Mapping[str, Any]) -> Namespace:
    """The options of CycleGAN's lineage that are the same in all runs, and those of `config`."""
    fixed = {
        "gpu_ids": [],
        "isTrain": True,
        "checkpoints_dir": "",
        "name": "",
        "preprocess": "resize",
        "no_dropout": True,
        "init_type": "normal",
        "init_gain": 0.02,
        "direction": "AtoB",
        "input_nc": 3,
        "output_nc": 3,
        "netD": "basic",
        "n_layers_D": 3,
        "beta1": 0.5,
        "beta2": 0.999,
        "gan_mode": "lsgan",
    }
    return Namespace(**{**fixed, **config})


class PlainRunner:
    """One of the models with `set_input` and `optimize_parameters`."""

    def __init__(self, model: Any, config: Mapping[str, Any], images: Iterable[str]) -> None:
        self.model, self.config, self.images = model, config, images
        self.nets = {name: getattr(model, f"net{name}") for name in model.model_names}
        self.optimizers, self.criteria = model.optimizers, [model.criterionGAN]

    def batch_shapes(self) -> dict[str, tuple[int, ...]]:
        size = self.config["img_size"]
        return dict.fromkeys(("real_A", "real_B"), (self.config["batch_size"], 3, size, size))

    def losses(self) -> dict[str, Any]:
        return {name: getattr(self.model, f"loss_{name}") for name in [*self.model.loss_names, "G"]}

    def step(self, number: int, batches: Mapping[str, Tensor], noise: Any) -> dict[str, Any]:
        paths = {"A_paths": [], "B_paths": []}
        self.model.set_input({"A": batches["real_A"], "B": batches["real_B"], **paths})
        recorded = self.optimize()
        fakes = {name: getattr(self.model, name).detach().clone() for name in self.images}
        return {"losses": self.losses(), "recorded": recorded, "fakes": fakes}

    def optimize(self) -> Any:
        self.model.optimize_parameters()


class Recorded:
    """The module `random` as an image pool sees it; keeps what is drawn."""

    def __init__(self) -> None:
        self.draws: list[tuple[str, float]] = []

    def uniform(self, low: float, high: float) -> float:
        self.draws.append(("uniform", random.uniform(low, high)))
        return self.draws[-1][1]

    def randint(self, low: int, high: int) -> int:
        self.draws.append(("randint", random.randint(low, high)))
        return int(self.draws[-1][1])


def cyclegan(folder: Path, out: Path) -> None:
    model = official(folder, "models.cycle_gan_model")
    networks = sys.modules["models.networks"]
    pool = sys.modules["util.image_pool"]
    norm = networks.get_norm_layer("instance")
    for name, seed, options, shape in (
        ("gen_resnet9", 11, {"netG": "resnet_9blocks", "ngf": 2, "use_dropout": False}, (2, 3, 20, 28)),
        ("gen_resnet6", 12, {"netG": "resnet_6blocks", "ngf": 3, "use_dropout": False}, (1, 3, 28, 24)),
        (
            "gen_resnet6_dropout_layout_eval",
            13,
            {"netG": "resnet_6blocks", "ngf": 2, "use_dropout": True, "train": False},
            (2, 3, 24, 24),
        ),
    ):
        config = {**options, "norm": "instance", "input_nc": 3, "output_nc": 3}
        net = networks.ResnetGenerator(3, 3, options["ngf"], norm, options["use_dropout"], int(options["netG"][7]))
        net.train(config.get("train", True))
        component(out / name, seed, config, net, {"input": shape}, lambda inputs, net=net: {"": net(inputs["input"])})
    for name, seed, kind, layers, ndf, shape in (
        ("dis_n3", 14, "basic", 3, 4, (2, 3, 48, 40)),
        ("dis_n2", 15, "n_layers", 2, 3, (1, 3, 28, 36)),
        ("dis_pixel", 16, "pixel", 3, 5, (2, 3, 9, 14)),
    ):
        config = {"netD": kind, "n_layers_D": layers, "ndf": ndf, "norm": "instance", "input_nc": 3}
        net = networks.define_D(3, ndf, kind, layers, "instance")
        component(out / name, seed, config, net, {"input": shape}, lambda inputs, net=net: {"": net(inputs["input"])})
    draws = Draws(17)
    logits = draws("pred", (2, 1, 4, 6)).double().requires_grad_()
    figures: dict[str, Tensor] = {}
    for mode in ("lsgan", "vanilla", "wgangp"):
        for kind in ("real", "fake"):
            loss = networks.GANLoss(mode).double()(logits, kind == "real")
            figures[f"{mode}/{kind}/loss"] = loss.detach()
            (figures[f"{mode}/{kind}/grad64"],) = torch.autograd.grad(loss, logits)
    write(out / "ganloss.json", {}, draws, 17, figures)

    random.seed(18)
    cases = []
    for size in (0, 2, 5):
        drawn = pool.random = Recorded()
        images, queries, number = pool.ImagePool(size), [], 0
        for count in (1, 2, 1, 3, 2, 1, 4):
            given = list(range(number, number + count))
            number += count
            drawn.draws = []
            returned = images.query(torch.tensor(given, dtype=torch.float32).view(-1, 1, 1, 1))
            queries.append({"given": given, "draws": drawn.draws, "returned": returned.flatten().int().tolist()})
        cases.append({"pool_size": size, "queries": queries})
    lines = ",\n ".join(json.dumps(case) for case in cases)
    (out / "image_pool.json").write_text(f"[\n {lines}\n]\n")

    cases = []
    for policy, constant, decay, first, lr, every in (
        ("linear", 4, 3, 1, 3e-4, 2),
        ("linear", 2, 4, 3, 1e-4, 2),
        ("step", 5, 4, 1, 2e-4, 2),
        ("cosine", 5, 3, 1, 1e-4, 2),
    ):
        case = {
            "lr_policy": policy,
            "n_epochs": constant,
            "n_epochs_decay": decay,
            "epoch_count": first,
            "lr": lr,
            "lr_decay_iters": every,
        }
        optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=lr)
        scheduler = networks.get_scheduler(optimizer, Namespace(**case))
        rates = [optimizer.param_groups[0]["lr"]]
        for _ in range(constant + decay - first + 1):
            optimizer.step()
            scheduler.step()
            rates.append(optimizer.param_groups[0]["lr"])
        cases.append({**case, "lr_before_first_then_after_each_scheduler_step": rates})
    lines = ",\n ".join(json.dumps(case) for case in cases)
    (out / "lr_schedule.json").write_text(f"[\n {lines}\n]\n")

    class Runner(PlainRunner):
        def __init__(self, config: Mapping[str, Any]) -> None:
            images = ["fake_B", "rec_A", "fake_A", "rec_B", *(["idt_A", "idt_B"] if config["lambda_identity"] else [])]
            super().__init__(model.CycleGANModel(plain_options({**config, "norm": "instance"})), config, images)
            self.pool = pool.random = Recorded()

        def optimize(self) -> Any:
            self.pool.draws = []
            self.model.optimize_parameters()
            return {"pool_draws": self.pool.draws}

    shared = {"input_nc": 3, "output_nc": 3, "netD": "basic", "n_layers_D": 3, "beta1": 0.5}
    trajectory(
        out,
        "traj",
        20,
        {
            **shared,
            "gan_mode": "lsgan",
            "netG": "resnet_9blocks",
            "ngf": 2,
            "ndf": 3,
            "batch_size": 2,
            "pool_size": 50,
            "lr": 3e-4,
            "lambda_A": 8.0,
            "lambda_B": 12.0,
            "lambda_identity": 0.4,
            "img_size": 32,
            "steps": 2,
        },
        Runner,
    )
    trajectory(
        out,
        "traj_small_pool",
        22,
        {
            **shared,
            "gan_mode": "vanilla",
            "netG": "resnet_6blocks",
            "ngf": 2,
            "ndf": 2,
            "batch_size": 1,
            "pool_size": 1,
            "lr": 1e-4,
            "beta1": 0.4,
            "lambda_A": 5.0,
            "lambda_B": 10.0,
            "lambda_identity": 0.5,
            "img_size": 28,
            "steps": 4,
        },
        Runner,
    )
    default_sizes(
        out,
        {
            **{
                f"resnet_{blocks}blocks {'use_dropout ' if dropout else ''}ngf=64 instance": networks.ResnetGenerator(
                    3, 3, 64, norm, dropout, blocks
                )
                for blocks in (9, 6)
                for dropout in (False, True)
            },
            "basic ndf=64 instance": networks.define_D(3, 64, "basic", 3, "instance"),
            "pixel ndf=64 instance": networks.define_D(3, 64, "pixel", 3, "instance"),
        },
    )


def default_sizes(out: Path, nets: Mapping[str, nn.Module]) -> None:
    """Names, shapes and types of the state at the default sizes."""
    entries = []
    for key, net in nets.items():
        state = {
            name: [list(value.shape), str(value.dtype).removeprefix("torch.")]
            for name, value in net.state_dict().items()
        }
        count = sum(parameter.numel() for parameter in net.parameters())
        entries.append(f"{json.dumps(key)}: {json.dumps({'parameters': count, 'state_dict': state})}")
    (out / "state_dict_names_default_size.json").write_text("{\n " + ",\n ".join(entries) + "\n}\n")


def pix2pix(folder: Path, out: Path) -> None:
    model = official(folder, "models.pix2pix_model")
    networks = sys.modules["models.networks"]
    norm = networks.get_norm_layer("batch")
    for name, seed, levels, ngf, channels, dropout, train, shape in (
        ("unet5_train", 31, 5, 2, 3, False, True, (3, 3, 32, 32)),
        ("unet5_eval", 32, 5, 2, 3, False, False, (2, 3, 32, 64)),
        ("unet6_dropout_layout_eval", 33, 6, 2, 2, True, False, (1, 3, 64, 64)),
        ("unet7_batch1_train", 34, 7, 1, 3, False, True, (1, 3, 128, 128)),
    ):
        config = {
            "ngf": ngf,
            "use_dropout": dropout,
            "input_nc": 3,
            "output_nc": channels,
            "norm": "batch",
            "num_downs": levels,
            "train": train,
        }
        net = networks.UnetGenerator(3, channels, levels, ngf, norm, dropout).train(train)
        component(
            out / name, seed, config, net, {"input": shape}, lambda inputs, net=net: {"": net(inputs["input"])}, train
        )
    for name, seed, ndf, train, shape in (
        ("dis6ch_train", 35, 3, True, (2, 6, 32, 48)),
        ("dis6ch_eval", 36, 4, False, (2, 6, 40, 32)),
    ):
        config = {"input_nc": 6, "ndf": ndf, "n_layers_D": 3, "train": train, "norm": "batch"}
        net = networks.NLayerDiscriminator(6, ndf, 3, norm).train(train)
        component(
            out / name, seed, config, net, {"input": shape}, lambda inputs, net=net: {"": net(inputs["input"])}, train
        )

    class Runner(PlainRunner):
        def __init__(self, config: Mapping[str, Any]) -> None:
            super().__init__(model.Pix2PixModel(plain_options({**config, "norm": "batch"})), config, ["fake_B"])

        def losses(self) -> dict[str, Any]:
            return {**super().losses(), "D": self.model.loss_D}

    trajectory(
        out,
        "traj",
        40,
        {
            "input_nc": 3,
            "output_nc": 3,
            "netG": "unet_128",
            "ngf": 1,
            "netD": "basic",
            "ndf": 3,
            "n_layers_D": 2,
            "gan_mode": "vanilla",
            "beta1": 0.6,
            "lr": 1e-4,
            "lambda_L1": 80.0,
            "batch_size": 2,
            "img_size": 128,
            "steps": 2,
        },
        Runner,
    )
    default_sizes(
        out,
        {
            "unet_256 use_dropout ngf=64 batch": networks.UnetGenerator(3, 3, 8, 64, norm, True),
            "unet_128 use_dropout ngf=64 batch": networks.UnetGenerator(3, 3, 7, 64, norm, True),
            "basic ndf=64 6 channels batch": networks.NLayerDiscriminator(6, 64, 3, norm),
        },
    )


def contiguous_instance_norm() -> None:
    """Work around a wrong gradient of instance norm on CPUs (batch 1, channels_last gradients)."""
    original = torch.nn.functional.instance_norm

    def wrapped(*args: Any, **options: Any) -> Tensor:
        result = original(*args, **options)
        if result.requires_grad:
            result.register_hook(lambda gradient: gradient.contiguous())
        return result

    torch.nn.functional.instance_norm = wrapped


def cut(folder: Path, out: Path) -> None:
    model = official(folder, "models.cut_model")
    networks, nce = sys.modules["models.networks"], sys.modules["models.patchnce"]
    contiguous_instance_norm()
    norm = networks.get_norm_layer("instance")
    for name, seed, blocks, ngf, plain, plain_up, layers, shape in (
        ("gen_antialias_resnet9", 51, 9, 2, False, False, [0, 4, 8, 12, 16], (1, 3, 24, 28)),
        ("gen_antialias_down_only_resnet6", 52, 6, 2, False, True, [0, 4, 8, 11, 16], (2, 3, 24, 20)),
        ("gen_plain_resnet6", 53, 6, 3, True, True, [0, 4, 7, 11], (1, 3, 24, 24)),
    ):
        config = {
            "netG": f"resnet_{blocks}blocks",
            "ngf": ngf,
            "no_antialias": plain,
            "no_antialias_up": plain_up,
            "nce_layers": layers,
        }
        net = networks.ResnetGenerator(3, 3, ngf, norm, False, blocks, no_antialias=plain, no_antialias_up=plain_up)
        draws = Draws(seed)
        fill(draws, net, "param/")
        net.double()
        image = draws("input", shape).double().requires_grad_()
        generated, features = net(image), net(image, layers, encode_only=True)
        scalar = (generated * draws("cot", tuple(generated.shape))).sum()
        figures = {"out64": generated}
        for layer, feature in zip(layers, features, strict=True):
            figures[f"feat64/{layer}"] = feature
            scalar = scalar + (feature * draws(f"cot_feat/{layer}", tuple(feature.shape))).sum()
        scalar.backward()
        figures |= {"grad64/input": image.grad, **{f"grad64/param/{key}": p.grad for key, p in net.named_parameters()}}
        write(out / f"{name}.json", config, draws, seed, figures)
    for name, seed, ndf, plain, shape in (
        ("dis_antialias", 54, 4, False, (2, 3, 40, 40)),
        ("dis_plain", 55, 3, True, (1, 3, 32, 48)),
    ):
        net = networks.define_D(3, ndf, "basic", 3, "instance", no_antialias=plain)
        component(
            out / name,
            seed,
            {"ndf": ndf, "no_antialias": plain},
            net,
            {"input": shape},
            lambda inputs, net=net: {"": net(inputs["input"])},
        )

    draws, figures = Draws(56), {}
    for sides, shape in (("even", (1, 2, 6, 10)), ("odd", (2, 3, 9, 5))):
        image = draws(f"input_{sides}", shape).double()
        for name, layer in (("down", networks.Downsample(shape[1])), ("up", networks.Upsample(shape[1]))):
            x = image.clone().requires_grad_()
            y = layer.double()(x)
            y.square().sum().backward()
            figures |= {f"{name}/{sides}/out64": y, f"{name}/{sides}/grad64_of_sum_of_squares": x.grad}
    write(
        out / "blur.json",
        {"down_filt_size": 3, "down_pad": "reflect", "up_filt_size": 4, "up_pad": "replicate", "stride": 2},
        draws,
        56,
        figures,
    )

    for name, seed, mlp, width, patches in (("netF_mlp_sample", 57, True, 6, 8), ("netF_sample", 58, False, 5, 9)):
        draws, figures = Draws(seed), {}
        features = [
            draws(f"feat/{i}", shape).double().requires_grad_() for i, shape in enumerate(((2, 4, 6, 7), (2, 5, 4, 4)))
        ]
        net = networks.PatchSampleF(use_mlp=mlp, nc=width)
        if mlp:
            net.create_mlp(features)
            fill(draws, net, "param/")
        net.double()
        np.random.seed(seed)
        vectors, ids = net(features, patches, None)
        scalar = torch.zeros((), dtype=torch.float64)
        for i, (vector, places) in enumerate(zip(vectors, ids, strict=True)):
            figures |= {f"out64/{i}": vector, f"ids/{i}": places}
            scalar = scalar + (vector * draws(f"cot/{i}", tuple(vector.shape))).sum()
        scalar.backward()
        figures |= {f"grad64/feat/{i}": feature.grad for i, feature in enumerate(features)}
        figures |= {f"grad64/param/{key}": p.grad for key, p in net.named_parameters()}
        write(
            out / f"{name}.json",
            {"use_mlp": mlp, "netF_nc": width, "num_patches": patches, "n_layers": 2},
            draws,
            seed,
            figures,
        )

    draws, figures = Draws(59), {}
    cases = [
        ("batch1", 1, False),
        ("batch2", 2, False),
        ("batch2_all_negatives", 2, True),
        ("large_temperature", 1, False),
    ]
    config = {"large_nce_T": 3.0, "nce_T": 0.11, "cases": cases}
    queries, keys = (draws(key, (18, 5)).double() for key in ("feat_q", "feat_k"))
    for tag, size, whole in cases:
        temperature = config["large_nce_T" if tag == "large_temperature" else "nce_T"]
        options = Namespace(nce_includes_all_negatives_from_minibatch=whole, batch_size=size, nce_T=temperature)
        given = queries.clone().requires_grad_()
        loss = nce.PatchNCELoss(options)(given, keys)
        loss.mean().backward()
        figures |= {f"{tag}/loss64": loss, f"{tag}/mean_loss64": loss.mean(), f"{tag}/grad64_mean/feat_q": given.grad}
    write(out / "patchnce.json", config, draws, 59, figures)

    class Runner(PlainRunner):
        def __init__(self, config: Mapping[str, Any]) -> None:
            options = plain_options(
                {
                    **config,
                    "netF": "mlp_sample",
                    "nce_layers": "0,4,8,12,16",
                    "lambda_GAN": 1.0,
                    "normG": "instance",
                    "normD": "instance",
                    "no_antialias": False,
                    "no_antialias_up": False,
                    "nce_includes_all_negatives_from_minibatch": False,
                    "init_type": "xavier",
                }
            )
            built = model.CUTModel(options)
            shape = (config["batch_size"], 3, config["img_size"], config["img_size"])
            built.data_dependent_initialize(
                {"A": torch.zeros(shape), "B": torch.zeros(shape), "A_paths": [], "B_paths": []}
            )
            for net in (built.netG, built.netD, built.netF):
                net.zero_grad()
            super().__init__(built, config, ["fake_B", *(["idt_B"] if config["nce_idt"] else [])])
            self.ids: list[list[int]] = []
            sample = built.netF.forward

            def forward(features: Any, patches: int, ids: Any = None) -> Any:
                vectors, places = sample(features, patches, ids)
                if ids is None:
                    self.ids += [place.tolist() for place in places]
                return vectors, places

            built.netF.forward = forward

        def losses(self) -> dict[str, Any]:
            return {**super().losses(), "D": self.model.loss_D}

        def optimize(self) -> Any:
            self.ids, flips, draw = [], [], np.random.random

            def flip() -> float:
                flips.append(draw())
                return flips[-1]

            np.random.random = flip  # type: ignore[assignment]
            try:
                self.model.optimize_parameters()
            finally:
                np.random.random = draw  # type: ignore[assignment]
            flipped = bool(self.model.opt.flip_equivariance and self.model.flipped_for_equivariance)
            return {"patch_ids": self.ids, "flip_draw": flips, "flipped": flipped}

    trajectory(
        out,
        "traj_cut",
        60,
        {
            "tag": "traj_cut",
            "netG": "resnet_9blocks",
            "ngf": 2,
            "ndf": 3,
            "netF_nc": 8,
            "num_patches": 10,
            "nce_T": 0.09,
            "lambda_NCE": 1.5,
            "nce_idt": True,
            "flip_equivariance": False,
            "batch_size": 2,
            "img_size": 28,
            "lr": 1e-4,
            "steps": 2,
        },
        Runner,
    )
    trajectory(
        out,
        "traj_fastcut",
        62,
        {
            "tag": "traj_fastcut",
            "netG": "resnet_9blocks",
            "ngf": 2,
            "ndf": 2,
            "netF_nc": 6,
            "num_patches": 12,
            "nce_T": 0.06,
            "lambda_NCE": 8.0,
            "nce_idt": False,
            "flip_equivariance": True,
            "batch_size": 1,
            "img_size": 24,
            "lr": 3e-4,
            "steps": 3,
        },
        Runner,
    )
    default = {
        "G resnet_9blocks ngf=64 antialias": (False, False),
        "G resnet_9blocks ngf=64 no_antialias no_antialias_up": (True, True),
    }
    default_sizes(
        out,
        {
            key: networks.ResnetGenerator(3, 3, 64, norm, False, 9, no_antialias=down, no_antialias_up=up)
            for key, (down, up) in default.items()
        },
    )


class Images:
    """A loader as the loops of U-GAT-IT and NICE-GAN use one: its iterator has the method `next`."""

    def __init__(self) -> None:
        self.image = torch.zeros(0)

    def __iter__(self) -> Images:
        return self

    def next(self) -> tuple[Tensor, None]:
        return self.image, None

    __next__ = next


class LoopRunner:
    """A trainer whose loop is one long method: it is run for one iteration a step, and its variables are read in it."""

    LOSSES = ("Discriminator_loss", "Generator_loss", "D_", "G_")

    def __init__(self, module: ModuleType, trainer: type, nets: Iterable[str], config: Mapping[str, Any]) -> None:
        module.ImageFolder = lambda *args: None  # type: ignore[attr-defined]
        module.DataLoader = lambda *args, **options: Images()  # type: ignore[attr-defined]
        fixed = {
            "result_dir": "",
            "dataset": "",
            "iteration": 1,
            "decay_flag": False,
            "print_freq": 10**9,
            "save_freq": 10**9,
            "img_ch": 3,
            "device": "cpu",
            "benchmark_flag": False,
            "resume": False,
            "n_dis": 6,
        }
        self.trainer, self.config = trainer(Namespace(**{**fixed, **config})), config
        self.trainer.build_model()
        self.nets = {name: getattr(self.trainer, name) for name in nets}
        self.optimizers = [self.trainer.D_optim, self.trainer.G_optim]
        self.values: dict[str, Any] = {}
        self.rates: list[float] = []
        for optimizer in self.optimizers:
            optimizer.register_step_pre_hook(self._look)

    def _look(self, *_: Any) -> None:
        frame = sys._getframe()
        while (
            frame.f_code.co_name != "train"
            or "self" not in frame.f_locals
            or frame.f_locals["self"] is not self.trainer
        ):
            assert frame.f_back is not None
            frame = frame.f_back
        self.values.update({key: value for key, value in frame.f_locals.items() if isinstance(value, Tensor)})
        self.rates.append(self.trainer.G_optim.param_groups[0]["lr"])

    def batch_shapes(self) -> dict[str, tuple[int, ...]]:
        size = self.config["img_size"]
        return dict.fromkeys(("real_A", "real_B"), (self.config["batch_size"], 3, size, size))

    def step(self, number: int, batches: Mapping[str, Tensor], noise: Any) -> dict[str, Any]:
        self.trainer.trainA_loader.image, self.trainer.trainB_loader.image = batches["real_A"], batches["real_B"]
        self.values.clear()
        self.trainer.train()
        values = self.values
        losses = {key: value.detach() for key, value in values.items() if "_loss" in key}
        fakes = {
            key: value.detach().clone()
            for key, value in values.items()
            if key.startswith("fake_") and value.dim() == 4 and value.shape[1] == 3
        }
        return {"losses": losses, "recorded": None, "fakes": fakes}


def ugatit(folder: Path, out: Path) -> None:
    module = official(folder, "UGATIT", ("cv2", "scipy", "dataset"))
    networks = sys.modules["networks"]
    for name, seed, light, ch, blocks, batch in (("gen_light", 71, True, 3, 3, 2), ("gen_full", 72, False, 2, 2, 1)):
        config = {
            "light": light,
            "img_size": 24,
            "ch": ch,
            "n_res": blocks,
            "batch": batch,
            "input_nc": 3,
            "output_nc": 3,
        }
        net = networks.ResnetGenerator(3, 3, ch, blocks, 24, light)
        keys = ("/image", "/cam_logit", "/heatmap")
        component(
            out / name,
            seed,
            config,
            net,
            {"input": (batch, 3, 24, 24)},
            lambda inputs, net=net, keys=keys: dict(zip(keys, net(inputs["input"]), strict=True)),
        )
    for name, seed, layers, ch, size, batch in (("dis_local", 73, 5, 3, 40, 2), ("dis_global", 74, 7, 2, 96, 1)):
        config = {"n_layers": layers, "img_size": size, "ch": ch, "batch": batch, "input_nc": 3}
        net = networks.Discriminator(3, ch, layers)
        two_calls(out / name, seed, config, net, (batch, 3, size, size), ("logit", "cam_logit", "heatmap"))
    draws, figures = Draws(75), {}
    for name, norm in (("adailn", networks.adaILN(4)), ("iln", networks.ILN(4))):
        vector = (3, 4) if name == "adailn" else (1, 4, 1, 1)
        shapes = {"input": (3, 4, 5, 7), "rho": (1, 4, 1, 1), "gamma": vector, "beta": vector}
        given = {key: draws_of(draws, f"{name}/{key}", shape) for key, shape in shapes.items()}
        norm.double()
        for key, parameter in norm.named_parameters():
            parameter.data.copy_(given[key].data)
        y = norm(given["input"], given["gamma"], given["beta"]) if name == "adailn" else norm(given["input"])
        (y * draws(f"{name}/cot", tuple(y.shape))).sum().backward()
        figures[f"{name}/output64"] = y
        leaves = {**given, **dict(norm.named_parameters())}
        figures |= {f"{name}/grad64/{key}": leaf.grad for key, leaf in leaves.items()}
    write(out / "layers.json", {"eps": 1e-5}, draws, 75, figures)

    nets = ("genA2B", "genB2A", "disGA", "disGB", "disLA", "disLB")
    weights = {
        "lr": 2e-4,
        "weight_decay": 3e-4,
        "adv_weight": 2,
        "cycle_weight": 8,
        "identity_weight": 6,
        "cam_weight": 500,
    }
    for tag, seed, options in (
        ("traj_light", 80, {"light": True, "ch": 2, "n_res": 2, "batch_size": 2}),
        ("traj_full", 82, {"light": False, "ch": 2, "n_res": 4, "batch_size": 1}),
    ):
        config = {**options, **weights, "img_size": 96, "betas": [0.5, 0.999], "adam_eps": 1e-8, "steps": 2}
        trajectory(out, tag, seed, config, lambda config: LoopRunner(module, module.UGATIT, nets, config))

    cases = []
    for iterations, lr in ((8, 2e-4), (7, 1e-4)):
        tiny = {"light": True, "ch": 1, "n_res": 1, "batch_size": 1, "img_size": 96, **weights}
        runner = LoopRunner(
            module, module.UGATIT, nets, {**tiny, "lr": lr, "iteration": iterations, "decay_flag": True}
        )
        image = torch.zeros(1, 3, 96, 96)
        runner.step(0, {"real_A": image, "real_B": image}, None)
        cases.append({"iteration": iterations, "lr": lr, "lr_at_step_1_to_N": runner.rates[1::2]})
    lines = ",\n ".join(json.dumps(case) for case in cases)
    (out / "lr_schedule.json").write_text(f"[\n {lines}\n]\n")
    ugatit_images(out)


def draws_of(draws: Draws, key: str, shape: tuple[int, ...]) -> Tensor:
    """A drawn leaf in float64."""
    return draws(key, shape).double().requires_grad_()


def ugatit_images(out: Path) -> None:
    """Preprocessing by torchvision's transforms in the official order, and heat maps by OpenCV."""
    sys.modules.pop("cv2", None)  # Until here an empty one stood in for it.
    import cv2  # type: ignore[import-not-found]
    from PIL import Image
    from torchvision.transforms import functional as F  # type: ignore[import-untyped]

    size, crop = 10, {"top": 7, "left": 19}
    pixels = np.random.RandomState(76).randint(0, 256, (23, 37, 3)).astype(np.uint8)
    image = Image.fromarray(pixels)

    def normalized(part: Image.Image) -> Tensor:
        return F.normalize(F.to_tensor(part), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

    train = F.crop(F.resize(F.hflip(image), [size + 30, size + 30]), crop["top"], crop["left"], size, size)
    whole = {
        "src_hwc_uint8": torch.from_numpy(pixels),
        "test": normalized(F.resize(image, [size, size])),
        "train_flip_crop": normalized(train),
    }
    whole_tensors(out / "preprocess.json", {"size": size, "crop": crop}, whole)
    heatmap = np.random.RandomState(77).standard_normal((5, 7, 1))
    scaled = heatmap - heatmap.min()
    levels = np.uint8(255 * (scaled / scaled.max()))
    drawn = cv2.applyColorMap(cv2.resize(levels, (19, 14)), cv2.COLORMAP_JET) / 255.0
    lut = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_JET)[:, 0]
    maps = {"heatmap_hw1": heatmap, "cam_bgr": np.rint(drawn * 255).astype(np.uint8), "lut_bgr": lut}
    whole_tensors(out / "heatmap_cam.json", {}, {key: torch.from_numpy(value) for key, value in maps.items()})


def whole_tensors(path: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write tensors whole, for comparisons to the bit."""
    given = {
        key: [list(value.shape), str(value.dtype).removeprefix("torch."), value.flatten().tolist()]
        for key, value in tensors.items()
    }
    entries = ",\n  ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in given.items())
    path.write_text(f'{{\n "config": {json.dumps(config)},\n "given": {{\n  {entries}\n }}\n}}\n')


def two_calls(
    path: Path, seed: int, config: Mapping[str, Any], net: nn.Module, shape: tuple[int, ...], keys: tuple[str, ...]
) -> None:
    """Two forwards in train mode, one in eval mode after them; spectral norm advances in the first two."""
    draws = Draws(seed)
    fill(draws, net, "param/")
    net.double().train()
    inputs = {f"input{call}": draws_of(draws, f"input{call}", shape) for call in (1, 2)}
    figures: dict[str, Tensor] = {}
    scalar = torch.zeros((), dtype=torch.float64)
    for call, image in enumerate(inputs.values(), 1):
        outputs = dict(zip(keys, net(image), strict=True))
        for key, value in outputs.items():
            figures[f"train{call}_64/{key}"] = value
            scalar = scalar + (value * draws(f"cot{call}/{key}", tuple(value.shape))).sum()
        vectors = {name: value.clone() for name, value in net.named_buffers() if name.endswith(("_u", "_v"))}
        figures |= {f"train{call}_buf/{name}": value for name, value in vectors.items()}
    net.eval()
    figures |= {f"eval/{key}": value for key, value in zip(keys, net(inputs["input1"]), strict=True)}
    net.train()
    scalar.backward()
    figures |= {f"grad64/param/{name}": p.grad for name, p in net.named_parameters() if p.grad is not None}
    figures["grad64/input2"] = inputs["input2"].grad  # type: ignore[assignment]
    write(path.with_suffix(".json"), config, draws, seed, figures)


def nicegan(folder: Path, out: Path) -> None:
    module = official(folder, "NICE", ("cv2", "scipy", "dataset", "thop"))
    module.profile = lambda *args, **options: (0, 0)  # type: ignore[attr-defined]
    module.clever_format = lambda *args, **options: (0, 0)  # type: ignore[attr-defined]
    networks = sys.modules["networks"]
    for name, seed, light, ch, blocks, batch in (("gen_light", 91, True, 2, 6, 2), ("gen_full", 92, False, 2, 3, 1)):
        config = {"light": light, "img_size": 24, "ch": ch, "n_res": blocks}
        net = networks.ResnetGenerator(3, 3, ch, blocks, 24, light)
        component(
            out / name,
            seed,
            config,
            net,
            {"input": (batch, 2 * ch, 6, 6)},
            lambda inputs, net=net: {"": net(inputs["input"])},
        )
    keys = ("local_logit", "global_logit", "cam_logit", "heatmap", "z")
    for name, seed, layers, ch, size, batch in (("dis_n7", 93, 7, 1, 96, 2), ("dis_n6", 94, 6, 2, 64, 1)):
        net = networks.Discriminator(3, ch, layers)
        two_calls(out / name, seed, {"ch": ch, "n_dis": layers}, net, (batch, 3, size, size), keys)
    draws, figures = Draws(95), {}
    shapes = {
        "input": (2, 4, 5, 7),
        "rho": (1, 4, 2),
        "gamma": (2, 4),
        "beta": (2, 4),
        "iln_gamma": (1, 4, 1, 1),
        "iln_beta": (1, 4, 1, 1),
    }
    given = {key: draws(key, shape).double() for key, shape in shapes.items()}
    cotangent = draws("cot", shapes["input"])
    for name, norm in (("adailn", networks.adaILN(4)), ("iln", networks.ILN(4))):
        norm.double()
        own = {"rho": given["rho"], "gamma": given["iln_gamma"], "beta": given["iln_beta"]}
        for key, parameter in norm.named_parameters():
            parameter.data.copy_(own[key])
        leaves = {
            key: given[key].clone().requires_grad_()
            for key in (("input", "gamma", "beta") if name == "adailn" else ("input",))
        }
        y = norm(*leaves.values())
        (y * cotangent).sum().backward()
        figures[f"{name}/out64"] = y
        figures |= {
            f"{name}/grad64/{key}": leaf.grad for key, leaf in {**leaves, **dict(norm.named_parameters())}.items()
        }
    write(out / "layers.json", {"eps": 1e-5}, draws, 95, figures)
    nets = ("gen2B", "gen2A", "disA", "disB")
    config = {
        "light": True,
        "ch": 1,
        "n_res": 3,
        "n_dis": 7,
        "img_size": 96,
        "batch_size": 2,
        "lr": 2e-4,
        "weight_decay": 2e-4,
        "adv_weight": 2,
        "cycle_weight": 8,
        "recon_weight": 6,
        "steps": 2,
    }
    trajectory(out, "traj", 96, config, lambda config: LoopRunner(module, module.NICE, nets, config))


class LatentRunner:
    """MUNIT's and UNIT's trainers, in the order of the official loop."""

    def __init__(self, trainer: type, config: Mapping[str, Any]) -> None:
        self.parameters = config["hyperparameters"]
        self.config = config
        self.trainer = trainer(self.parameters)
        self.nets = {name: getattr(self.trainer, name) for name in ("gen_a", "gen_b", "dis_a", "dis_b")}
        self.optimizers = [self.trainer.dis_opt, self.trainer.gen_opt]

    def batch_shapes(self) -> dict[str, tuple[int, ...]]:
        size = self.config["img_size"]
        return dict.fromkeys(("x_a", "x_b"), (self.parameters["batch_size"], 3, size, size))

    def step(self, number: int, batches: Mapping[str, Tensor], noise: Any) -> dict[str, Any]:
        names = {
            "dis": ["a", "b"],
            "gen": ["a", "b"] if "style_dim" in self.parameters["gen"] else ["a", "b", "b_recon", "a_recon"],
        }
        letter = "s" if "style_dim" in self.parameters["gen"] else "n"
        self.trainer.update_learning_rate()
        randn = torch.randn
        for phase in ("dis", "gen"):
            left = list(names[phase])

            def draw(*size: Any, phase: str = phase, left: list[str] = left) -> Tensor:
                shape = tuple(size[0]) if isinstance(size[0], torch.Size) else size
                return noise(f"noise/{number}/{phase}/{letter}_{left.pop(0)}", shape)

            torch.randn = draw  # type: ignore[assignment]
            try:
                getattr(self.trainer, f"{phase}_update")(batches["x_a"], batches["x_b"], self.parameters)
            finally:
                torch.randn = randn
            assert not left
        losses = {
            name.removeprefix("loss_"): value for name, value in vars(self.trainer).items() if name.startswith("loss_")
        }
        return {"losses": losses, "recorded": {"lr": self.trainer.gen_opt.param_groups[0]["lr"]}, "fakes": {}}


def latent(folder: Path, out: Path, kind: str) -> None:
    torch.Tensor.cuda = lambda self, *args, **options: self  # type: ignore[assignment, method-assign]
    stubs = ("torch.utils.serialization", "data", "torchvision.utils", "yaml", "torchvision.models")
    trainers = official(folder, "trainer", stubs)
    networks = sys.modules["networks"]
    munit = kind == "munit"
    seed = 110 if munit else 140
    for batch, shape in ((2, (2, 3, 32, 28)), (1, (1, 3, 40, 32))):
        gen = {"dim": 3, "n_downsample": 2, "n_res": 1, "activ": "relu", "pad_type": "reflect"}
        gen |= {"style_dim": 4, "mlp_dim": 7} if munit else {}
        if munit:
            net = networks.AdaINGen(3, gen)

            def call(inputs: Mapping[str, Tensor], net: Any = net) -> Outputs:
                content, style = net.encode(inputs["input"])
                outputs = {"/content": content, "/style": style, "/recon": net.decode(content, style)}
                return {**outputs, "/random": net.decode(content, inputs["style"])}

            component(
                out / f"gen_adain_batch{batch}",
                seed + batch,
                {"gen": gen},
                net,
                {"input": shape, "style": (batch, 4, 1, 1)},
                call,
            )
        else:
            net = networks.VAEGen(3, gen)

            def call(inputs: Mapping[str, Tensor], net: Any = net) -> Outputs:
                hidden, _ = net.encode(inputs["input"])
                outputs = {"/hidden": hidden, "/recon_mean": net.decode(hidden)}
                return {**outputs, "/recon_noise": net.decode(hidden + inputs["noise"])}

            code = (batch, 12, shape[2] // 4, shape[3] // 4)
            component(
                out / f"gen_vae_batch{batch}", seed + batch, {"gen": gen}, net, {"input": shape, "noise": code}, call
            )
    for name, number, gan, layers, scales, shape in (
        ("dis_lsgan", 3, "lsgan", 2, 3, (2, 3, 32, 40)),
        ("dis_nsgan", 4, "nsgan", 3, 2, (1, 3, 36, 32)),
    ):
        dis = {
            "dim": 3,
            "norm": "none",
            "activ": "lrelu",
            "n_layer": layers,
            "gan_type": gan,
            "num_scales": scales,
            "pad_type": "reflect",
        }
        draws, net = Draws(seed + number), networks.MsImageDis(3, dis)
        fill(draws, net, "param/")
        net.double()
        real, fake = (draws_of(draws, key, shape) for key in ("real", "fake"))
        figures = {f"out64/{scale}": value for scale, value in enumerate(net(real))}
        figures["dis_loss64"] = net.calc_dis_loss(fake, real)
        figures["dis_loss64"].backward()
        figures |= {"grad64_dis/fake": fake.grad.clone(), "grad64_dis/real": real.grad.clone()}  # type: ignore[dict-item]
        figures |= {f"grad64_dis/param/{key}": p.grad.clone() for key, p in net.named_parameters()}
        fake.grad = None
        figures["gen_loss64"] = net.calc_gen_loss(fake)
        figures["gen_loss64"].backward()
        figures["grad64_gen/fake"] = fake.grad  # type: ignore[assignment]
        write(out / f"{name}.json", {"dis": dis}, draws, seed + number, figures)
    draws, figures = Draws(seed + 5), {}
    norm = networks.LayerNorm(4).double()
    given = {key: draws(key, (4,)).double() for key in ("gamma", "beta")}
    for key, parameter in norm.named_parameters():
        parameter.data.copy_(given[key])
    for case, shape in (("b1", (1, 4, 3, 7)), ("b3", (3, 4, 5, 2))):
        norm.zero_grad()
        x = draws_of(draws, f"input_{case}", shape)
        y = norm(x)
        (y * draws(f"cot_{case}", shape)).sum().backward()
        figures |= {f"{case}/out64": y, f"{case}/grad64/input": x.grad}  # type: ignore[dict-item]
        figures |= {f"{case}/grad64/{key}": p.grad.clone() for key, p in norm.named_parameters()}
    write(out / "layernorm.json", {"eps": 1e-5, "unbiased_std": True, "eps_added_to": "std"}, draws, seed + 5, figures)

    gen = {"dim": 3, "n_downsample": 2, "n_res": 1, "activ": "relu", "pad_type": "reflect"}
    gen |= {"style_dim": 4, "mlp_dim": 7} if munit else {}
    dis = {
        "dim": 3,
        "norm": "none",
        "activ": "lrelu",
        "n_layer": 2,
        "gan_type": "nsgan" if munit else "lsgan",
        "num_scales": 2,
        "pad_type": "reflect",
    }
    own = {"recon_s_w": 2, "recon_c_w": 3} if munit else {"recon_h_w": 0, "recon_kl_w": 0.05, "recon_kl_cyc_w": 0.02}
    parameters = {
        "batch_size": 2,
        "weight_decay": 2e-4,
        "beta1": 0.4,
        "beta2": 0.99,
        "init": "kaiming",
        "lr": 3e-4,
        "lr_policy": "step",
        "step_size": 2,
        "gamma": 0.5,
        "gan_w": 2,
        "vgg_w": 0,
        "display_size": 1,
        "input_dim_a": 3,
        "input_dim_b": 3,
        "gen": gen,
        "dis": dis,
        "recon_x_w": 8,
        "recon_x_cyc_w": 6,
        **own,
    }
    trainer = trainers.MUNIT_Trainer if munit else trainers.UNIT_Trainer
    config = {"hyperparameters": parameters, "img_size": 32, "steps": 3}
    trajectory(out, "traj", seed + 6, config, lambda config: LatentRunner(trainer, config))


def munit(folder: Path, out: Path) -> None:
    latent(folder, out, "munit")


def unit(folder: Path, out: Path) -> None:
    latent(folder, out, "unit")


def animegan2(folder: Path, out: Path) -> None:
    net = official(folder, "model").Generator()
    for name, seed, align, shape in (
        ("gen_0", 171, True, (1, 3, 32, 32)),
        ("gen_1", 172, True, (1, 3, 20, 28)),
        ("gen_1_no_align_corners", 173, False, (1, 3, 20, 28)),
        ("gen_2", 174, True, (1, 3, 22, 30)),
    ):
        config = {"seed": seed, "batch": shape[0], "height": shape[2], "width": shape[3], "align_corners": align}
        net.zero_grad()
        net.float()
        component(
            out / name,
            seed,
            config,
            net,
            {"input": shape},
            lambda inputs, align=align: {"": net(inputs["input"], align)},
        )


def cartoongan(folder: Path, out: Path) -> None:
    net = official(folder, "network.Transformer").Transformer()
    for name, seed, shape in (("gen_0", 181, (1, 3, 20, 20)), ("gen_1", 182, (1, 3, 16, 24))):
        config = {"seed": seed, "batch": shape[0], "height": shape[2], "width": shape[3]}
        net.zero_grad()
        net.float()
        component(out / name, seed, config, net, {"input": shape}, lambda inputs: {"": net(inputs["input"])})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", type=Path, required=True)
    parser.add_argument("methods", nargs="*", default=list(REPOSITORIES))
    given = parser.parse_args()
    torch.set_num_threads(1)
    for method in given.methods:
        out = HERE / method
        out.mkdir(exist_ok=True)
        globals()[method](given.official.resolve() / REPOSITORIES[method], out)
        print(method, sum(file.stat().st_size for file in out.iterdir()), "bytes")


if __name__ == "__main__":
    main()

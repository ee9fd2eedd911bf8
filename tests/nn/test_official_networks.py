"""Generators and discriminators against the official ones: forward, gradients, buffers, and names at full size.

Sizes and options come from the figures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from official_figures import Figures, OfficialNames, norm, read, relative_error
from official_networks import to_ours
from torch import Tensor, nn

from i2i.core.kinds import ATTENTION, NORM
from i2i.nn.discriminators.encoder_patch import EncoderPatch
from i2i.nn.discriminators.multiscale import Multiscale
from i2i.nn.discriminators.patch import Patch
from i2i.nn.discriminators.pixel import Pixel
from i2i.nn.generators.adalin_decoder import AdaLINDecoder
from i2i.nn.generators.content_style import ContentStyle
from i2i.nn.generators.resnet import Resnet
from i2i.nn.generators.resnet_adalin import ResnetAdaLIN
from i2i.nn.generators.shared_latent import SharedLatent
from i2i.nn.generators.unet import Unet
from i2i.nn.losses.adversarial import BCEGAN, LSGAN

Outputs = dict[str, Tensor]
Inputs = Mapping[str, Tensor]
EXACT, SINGLE = 1e-10, 1e-5
SMALL_SET = Path(__file__).parents[1] / "golden"


def build_resnet(config: Any) -> nn.Module:
    down, up = config.get("no_antialias", True), config.get("no_antialias_up", True)
    return Resnet(
        config["ngf"],
        int(config["netG"].removeprefix("resnet_").removesuffix("blocks")),
        dropout=0.5 if config.get("use_dropout") else 0.0,
        down="strided" if down else "blur",
        upsample="transposed" if up else "blur",
    )


def build_patch(config: Any) -> nn.Module:
    if config.get("netD") == "pixel":
        return Pixel(config["ndf"], config["input_nc"])
    batch_norm = {"norm": NORM("bn"), "bias": False} if config.get("norm") == "batch" else {}
    layers = config.get("n_layers_D", 3) + 2
    down = "strided" if config.get("no_antialias", True) else "blur"
    return Patch(config["ndf"], layers, config.get("input_nc", 3), down=down, **batch_norm)


def build_unet(config: Any) -> nn.Module:
    return Unet(
        config["ngf"],
        config["num_downs"],
        norm=NORM("bn"),
        dropout=0.5 if config["use_dropout"] else 0.0,
        dropout_at_inference=False,
        in_channels=config["input_nc"],
        out_channels=config["output_nc"],
    )


def build_ugatit_patch(config: Any) -> nn.Module:
    return Patch(
        config["ch"],
        config["n_layers"],
        norm=None,
        spectral_norm=True,
        padding="reflect",
        max_multiplier=None,
        attention=ATTENTION("cam"),
        final_bias=False,
        init="default",
    )


def build_munit(config: Any) -> nn.Module:
    gen = config["gen"]
    return ContentStyle(gen["dim"], gen["n_downsample"], gen["n_res"], gen["style_dim"], mlp_channels=gen["mlp_dim"])


def image_of(model: Any, inputs: Inputs) -> Outputs:
    return {"": model(inputs["input"]).image}


def logits_of(model: Any, inputs: Inputs) -> Outputs:
    return {"": model(inputs["input"]).logits["patch"]}


def attended(model: Any, inputs: Inputs) -> Outputs:
    output = model(inputs["input"])
    return {"/image": output.image, "/cam_logit": output.cam, "/heatmap": output.heatmap}


def munit_outputs(model: Any, inputs: Inputs) -> Outputs:
    content, style = model.encode_content(inputs["input"]), model.encode_style(inputs["input"])
    random = model.decode(content, inputs["style"].flatten(1))
    outputs = {"/content": content, "/style": style[..., None, None], "/recon": model.decode(content, style)}
    assert torch.equal(model(inputs["input"]).image, outputs["/recon"])
    return {**outputs, "/random": random}


def unit_outputs(model: Any, inputs: Inputs) -> Outputs:
    hidden = model.encode(inputs["input"])
    outputs = {"/hidden": hidden, "/recon_mean": model.decode(hidden)}
    assert torch.equal(model(inputs["input"]).image, outputs["/recon_mean"])
    return {**outputs, "/recon_noise": model.decode(hidden + inputs["noise"])}


@dataclass(frozen=True)
class Case:
    """One kind of network.

    Args:
        method: folder of its figures.
        network: its official name, of which there may be twins.
        files: with its figures; a trailing `*` stands for all that begin so.
        build: from the figures' `config`.
        call: outputs by what follows `out64` in the figures' keys.
        inputs: keys of the inputs.
    """

    method: str
    network: str
    files: tuple[str, ...]
    build: Callable[[Any], nn.Module]
    call: Callable[[Any, Inputs], Outputs]
    inputs: tuple[str, ...] = ("input",)


CASES = [
    Case("cyclegan", "G_A", ("gen_resnet9", "gen_resnet6", "gen_resnet6_dropout_layout_eval"), build_resnet, image_of),
    Case("cyclegan", "D_A", ("dis_n2", "dis_n3", "dis_pixel"), build_patch, logits_of),
    Case(
        "pix2pix",
        "G",
        ("unet5_train", "unet5_eval", "unet6_dropout_layout_eval", "unet7_batch1_train"),
        build_unet,
        image_of,
    ),
    Case("pix2pix", "D", ("dis6ch_train", "dis6ch_eval"), build_patch, logits_of),
    Case("cut", "D", ("dis_antialias", "dis_plain"), build_patch, logits_of),
    Case(
        "ugatit",
        "genA2B",
        ("gen_light", "gen_full"),
        lambda config: ResnetAdaLIN(config["ch"], config["n_res"], config["light"], image_size=config["img_size"]),
        attended,
    ),
    Case(
        "nicegan",
        "gen2B",
        ("gen_light", "gen_full"),
        # Codes have twice the channels of the first layer.
        lambda config: AdaLINDecoder(
            2 * config["ch"], config["ch"], config["n_res"], config["light"], image_size=config["img_size"]
        ),
        image_of,
    ),
    Case(
        "munit",
        "gen_a",
        ("gen_adain_batch1", "gen_adain_batch2"),
        build_munit,
        munit_outputs,
        inputs=("input", "style"),
    ),
    Case(
        "unit",
        "gen_a",
        ("gen_vae_batch1", "gen_vae_batch2"),
        lambda config: SharedLatent(*(config["gen"][name] for name in ("dim", "n_downsample", "n_res"))),
        unit_outputs,
        inputs=("input", "noise"),
    ),
]
FILES = [pytest.param(case, file, id=f"{case.method}-{file}") for case in CASES for file in case.files]


class Compared:
    """Our network with official weights.

    Args:
        build: from the figures' `config`.
        parameters: prefix of the keys of the weights.
    """

    def __init__(self, method: str, network: str, figures: Figures, build: Callable[[Any], nn.Module]) -> None:
        self.figures = figures
        self.model = build(figures.config).train(figures.config.get("train", True))
        self.state = figures.tensors("param/")
        self._to_ours = partial(to_ours, method, network)
        self.names = OfficialNames(self._to_ours, self.state)

    def load(self, dtype: torch.dtype) -> nn.Module:
        """The network in `dtype`, as it was before any forward."""
        self.model.to(dtype).load_state_dict(self._to_ours(self.state))
        self.model.zero_grad()
        return self.model

    def tolerance(self, key: str, dtype: torch.dtype) -> float:
        """Some figures are stored in single precision."""
        value = self.figures[key]
        single = isinstance(value, Tensor) and value.dtype == torch.float32
        return SINGLE if dtype == torch.float32 else 1e-6 if single else EXACT

    def check(self, found: Tensor | None, key: str, dtype: torch.dtype = torch.float64, slack: float = 1) -> None:
        assert relative_error(found, self.figures[key]) <= slack * self.tolerance(key, dtype), key

    def check_gradients(self, prefix: str = "grad64/param/") -> None:
        """All of them, of which the figures may lack those of a large network."""
        ours = self.names({name: p.grad for name, p in self.model.named_parameters() if p.grad is not None})
        expected = self.figures.part(prefix)
        assert expected.keys() <= ours.keys()
        for name in expected:
            self.check(ours[name], prefix + name)


@pytest.mark.parametrize(("case", "file"), FILES)
def test_forward_and_gradients(golden: Path, case: Case, file: str) -> None:
    figures = read(golden / case.method, file)
    compared = Compared(case.method, case.network, figures, case.build)
    for dtype in (torch.float32, torch.float64):
        model = compared.load(dtype)
        inputs = {key: figures.tensor(key).detach().clone().to(dtype).requires_grad_() for key in case.inputs}
        outputs = case.call(model, inputs)
        for key, value in outputs.items():
            compared.check(value, f"out64{key}", dtype)
        if dtype == torch.float64 or "munit" not in case.method:
            after = compared.names(dict(model.named_buffers()))
            for name, value in figures.part("after64/").items():
                assert relative_error(after[name], value) <= compared.tolerance(f"after64/{name}", dtype), name
    if not any(key.startswith("cot") for key in figures):
        return  # The deepest network of the larger set has only an output and the gradient of its input.
    torch.stack([(value * figures.tensor(f"cot{key}")).sum() for key, value in outputs.items()]).sum().backward()
    for key, value in inputs.items():
        if f"grad64/{key}" in figures:
            compared.check(value.grad, f"grad64/{key}")
    compared.check_gradients()


@pytest.mark.parametrize("file", ["gen_antialias_resnet9", "gen_antialias_down_only_resnet6", "gen_plain_resnet6"])
def test_features_of_cuts_generator(golden: Path, file: str) -> None:
    figures = read(golden / "cut", file)
    compared = Compared("cut", "G", figures, build_resnet)
    layers = figures.config["nce_layers"]
    for dtype in (torch.float32, torch.float64):
        model: Any = compared.load(dtype)
        image = figures.tensor("input").detach().clone().to(dtype).requires_grad_()
        outputs = {"out64": model(image).image}
        outputs |= {f"feat64/{n}": value for n, value in zip(layers, model.features(image, layers), strict=True)}
        for key, value in outputs.items():
            compared.check(value, key, dtype)
    cotangents = {key: figures.tensor(key.replace("out64", "cot").replace("feat64", "cot_feat")) for key in outputs}
    torch.stack([(value * cotangents[key]).sum() for key, value in outputs.items()]).sum().backward()
    compared.check(image.grad, "grad64/input")
    compared.check_gradients()


def ugatit_logits(output: Any) -> Outputs:
    return {"logit": output.logits["patch"], "cam_logit": output.logits["cam"], "heatmap": output.heatmap}


def nicegan_logits(output: Any) -> Outputs:
    logits = {f"{key.rstrip('_')}_logit": value for key, value in output.logits.items()}
    return {**logits, "heatmap": output.heatmap, "z": output.code}


@pytest.mark.parametrize(
    ("method", "network", "file", "build", "outputs_of"),
    [
        ("ugatit", "disLA", "dis_local", build_ugatit_patch, ugatit_logits),
        ("ugatit", "disGA", "dis_global", build_ugatit_patch, ugatit_logits),
        ("nicegan", "disA", "dis_n7", lambda config: EncoderPatch(config["ch"], config["n_dis"]), nicegan_logits),
        ("nicegan", "disA", "dis_n6", lambda config: EncoderPatch(config["ch"], config["n_dis"]), nicegan_logits),
    ],
)
def test_spectral_norm_over_two_calls(
    golden: Path, method: str, network: str, file: str, build: Any, outputs_of: Callable[[Any], Outputs]
) -> None:
    figures = read(golden / method, file)
    compared = Compared(method, network, figures, build)
    for dtype in (torch.float32, torch.float64):
        model = compared.load(dtype)
        images = [figures.tensor(f"input{call}").detach().clone().to(dtype).requires_grad_() for call in (1, 2)]
        scalar = torch.zeros((), dtype=dtype)
        # Both forwards come before the backward, as those of real and fake in a discriminator's step.
        for call, image in enumerate(images, 1):
            outputs = outputs_of(model(image))
            assert outputs.keys() == figures.part(f"train{call}_64/").keys()
            for key, value in outputs.items():
                compared.check(value, f"train{call}_64/{key}", dtype, slack=2 if dtype == torch.float32 else 1)
                scalar = scalar + (value * figures.tensor(f"cot{call}/{key}").to(dtype)).sum()
            vectors = compared.names(dict(model.named_buffers()))
            for name in figures.part(f"train{call}_buf/"):
                compared.check(vectors[name], f"train{call}_buf/{name}", dtype)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        # The figures of eval mode belong to the vectors after both forwards.
        for key, value in outputs_of(model.eval()(images[0])).items():
            compared.check(value, f"eval/{key}", dtype, slack=2 if dtype == torch.float32 else 20)
        assert all(torch.equal(value, before[key]) for key, value in model.train().state_dict().items())
    scalar.backward()
    if "grad64/input2" in figures:
        compared.check(images[1].grad, "grad64/input2")
    compared.check_gradients()


@pytest.mark.parametrize("method", ["munit", "unit"])
@pytest.mark.parametrize(("file", "loss"), [("dis_lsgan", LSGAN()), ("dis_nsgan", BCEGAN())])
def test_losses_of_the_multiscale_discriminator(golden: Path, method: str, file: str, loss: Any) -> None:
    figures = read(golden / method, file)

    def build(config: Any) -> nn.Module:
        return Multiscale(*(config["dis"][name] for name in ("dim", "n_layer", "num_scales")))

    compared = Compared(method, "dis_a", figures, build)
    for dtype in (torch.float32, torch.float64):
        model = compared.load(dtype)
        for key, logits in model(figures.tensor("real").to(dtype)).logits.items():
            compared.check(logits, f"out64/{key.removeprefix('scale_')}", dtype)
    real, fake = (figures.tensor(key).double().requires_grad_() for key in ("real", "fake"))
    pairs = zip(model(real).logits.values(), model(fake).logits.values(), strict=True)
    total = torch.stack([loss.discriminator(of_real, of_fake) for of_real, of_fake in pairs]).sum()
    compared.check(total, "dis_loss64")
    total.backward()
    compared.check(real.grad, "grad64_dis/real")
    compared.check(fake.grad, "grad64_dis/fake")
    compared.check_gradients("grad64_dis/param/")
    fake.grad = None
    total = torch.stack([loss.generator(logits) for logits in model(fake).logits.values()]).sum()
    compared.check(total, "gen_loss64")
    total.backward()
    compared.check(fake.grad, "grad64_gen/fake")


def test_figures_are_not_trivial(golden: Path) -> None:
    """A figure of zeros would compare nothing."""
    for case in CASES:
        figures = read(golden / case.method, case.files[0])
        assert all(norm(value) > 0 for key, value in figures.items() if key.startswith("out64"))


def names_at_full_size(golden: Path, method: str) -> dict[str, Any]:
    """Names of official tensors, which a set may lack: then those of the set of this repository."""
    name = "state_dict_names_default_size.json"
    path = golden / method / name
    text = (path if path.is_file() else SMALL_SET / method / name).read_text()
    tables: dict[str, Any] = json.loads(text)
    return tables


@pytest.mark.parametrize("method", ["cyclegan", "pix2pix"])
def test_names_and_shapes_at_full_size(golden: Path, method: str) -> None:
    tables = names_at_full_size(golden, method)
    assert len(tables) >= 3
    for title, table in tables.items():
        entries = next(value for value in table.values() if isinstance(value, dict | list))
        with torch.device("meta"):
            state = {
                name: torch.empty(shape, dtype=getattr(torch, dtype)) for name, (shape, dtype) in dict(entries).items()
            }
        generator = title.startswith(("unet", "resnet"))
        options = {
            "ngf": 64,
            "ndf": 64,
            "netG": title.split()[0],
            "num_downs": {"unet_256": 8, "unet_128": 7}.get(title.split()[0]),
            "netD": title.split()[0],
            "use_dropout": "use_dropout" in title,
            "norm": title.split()[-1],
            "input_nc": 6 if "6 channels" in title else 3,
            "output_nc": 3,
        }
        build = (build_unet if "unet" in title else build_resnet) if generator else build_patch
        with torch.device("meta"):
            model = build(options)
        ours = to_ours(method, {"cyclegan": ("G_A", "D_A"), "pix2pix": ("G", "D")}[method][not generator], state)
        expected = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
        assert {name: (value.shape, value.dtype) for name, value in ours.items()} == expected
        assert sum(parameter.numel() for parameter in model.parameters()) == table["parameters"], title


@pytest.mark.parametrize(
    ("antialias", "title"),
    [(True, "G resnet_9blocks ngf=64 antialias"), (False, "G resnet_9blocks ngf=64 no_antialias no_antialias_up")],
)
def test_names_and_shapes_of_cuts_generator_at_full_size(golden: Path, antialias: bool, title: str) -> None:
    table = names_at_full_size(golden, "cut")[title]
    with torch.device("meta"):
        plain = {"no_antialias": not antialias, "no_antialias_up": not antialias}
        model = build_resnet({"ngf": 64, "netG": "resnet_9blocks", **plain})
    assert sum(parameter.numel() for parameter in model.parameters()) == table["parameters"]
    shapes = {name: tuple(shape) for name, (shape, _) in table["state_dict"].items() if not name.endswith(".filt")}
    assert sorted(shapes.values()) == sorted(tuple(value.shape) for value in model.state_dict().values())

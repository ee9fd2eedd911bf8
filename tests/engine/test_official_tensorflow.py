"""U-GAT-IT's TensorFlow code: training steps through importer, recipe and `Stepper`, and its checkpoint."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from official_figures import distance, read, relative_error, total
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from i2i.core.contracts import Imported
from i2i.data.pixels import to_tensor
from i2i.data.transforms import FlipCrop, SampleTransform
from i2i.engine import checkpoint
from i2i.engine.importing import write_run
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.methods.weights.ugatit_tf import FOLDER, GANS, UGATIT_TF, networks, options_of, ugatit_tensorflow
from i2i.nn.losses.penalized import Penalized
from i2i.nn.tensorflow_bundle import read_bundle
from i2i.recipe.recipe import Recipe

Losses = dict[str, float]
PHASES = {"discriminator": "D", "generator": "G"}
pytestmark = pytest.mark.golden


def imported(variables: Mapping[str, Tensor], folder: Path) -> Imported:
    save_file({name: value.contiguous() for name, value in variables.items()}, folder / "official.safetensors")
    return ugatit_tensorflow(folder / "official.safetensors")


def settings(config: Mapping[str, Any], gan: str, precision: str) -> dict[str, Any]:
    """The recipe's settings for official options; the folder's name says most of them."""
    weights = "_".join(str(config[f"{loss}_weight"]) for loss in ("adv", "cycle", "identity", "cam"))
    smoothing = "_smoothing" if config["smoothing"] else ""
    name = f"UGATIT_x_{gan}_4resblock_{config['n_dis']}dis_{config['n_critic']}_{weights}_sn{smoothing}"
    found = options_of(FOLDER.fullmatch(name))
    penalized = {"dragan": "losses.penalty.penalty", "wgan-gp": "losses.gan.penalty", "wgan-lp": "losses.gan.penalty"}
    return {
        **found,
        **({penalized[gan]: config["GP_ld"]} if gan in penalized else {}),
        **{f"optimizers.{phase}.lr": config["lr"] for phase in PHASES},
        "schedule.type": "constant",
        "data.size": config["img_size"],
        "train.batch_size": config["batch_size"],
        "train.precision": precision,
    }


class Recorder:
    """Our losses of one step under official names, and the gradients that its optimizers were given."""

    def __init__(self, stepper: Stepper, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stepper, self.values, self.gradients = stepper, dict[tuple[str, str, str], float](), dict[str, Tensor]()
        loss_values = stepper.translator.loss_values
        names = {id(parameter): name for name, parameter in stepper.translator.named_parameters()}

        def watch(batch: Any, phase: str) -> dict[str, dict[str, Tensor]]:
            values = loss_values(batch, phase)
            self.values.update({(phase, n, k): float(v.detach()) for n, d in values.items() for k, v in d.items()})
            return values

        def keep(optimizer: Any, *_: Any) -> None:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    # The reference's weight decay is part of its losses, so of its gradients, too.
                    decayed = parameter.grad + group["weight_decay"] * parameter
                    self.gradients[names[id(parameter)]] = decayed.detach().clone()

        monkeypatch.setattr(stepper.translator, "loss_values", watch)
        for optimizer in stepper.optimizers.values():
            getattr(optimizer, "optimizer", optimizer).register_step_pre_hook(keep)

    def regularizers(self) -> dict[str, float]:
        """Values of the weight decay as a loss, at the present weights."""
        values = {}
        for phase, official in (("discriminator", "reg_discriminator"), ("generator", "reg_generator")):
            groups = self.stepper.optimizers[phase].param_groups
            sums = [float(g["weight_decay"] / 2 * p.detach().square().sum()) for g in groups for p in g["params"]]
            values[official] = sum(sums)
        return values

    def losses(self, config: Mapping[str, Any]) -> Losses:
        """Sums and terms that both codes have."""
        found: Losses = {}
        for letter in "AB":
            ours = {key: value for key, value in self.values.items() if key[2][0] == letter.lower()}
            weight = config["adv_weight"]
            if adversarial := [v for (phase, _, _), v in ours.items() if phase == "discriminator"]:
                found[f"D_{letter}_loss"] = weight * sum(adversarial)
            generated = {(name, key): v for (phase, name, key), v in ours.items() if phase == "generator"}
            if generated:
                found[f"G_{letter}_gan"] = weight * sum(v for (name, _), v in generated.items() if name == "gan")
                for name in ("identity", "cam"):
                    found[f"G_{letter}_{name}"] = config[f"{name}_weight"] * generated[name, letter.lower()]
                other = "AB".replace(letter, "")  # the cycle of B belongs to the sum of generator_A
                found[f"G_{other}_cycle"] = config["cycle_weight"] * generated["cycle", letter.lower()]
        return found


class Draws:
    """Stands in for `Penalized.uniform`: the recorded draws in the order in which the reference makes them."""

    def __init__(self, recorded: Sequence[Tensor], of_fakes: bool) -> None:
        self.recorded, self.of_fakes = list(recorded), of_fakes

    def __call__(self, shape: Sequence[int], seed: int) -> Tensor:
        value = self.recorded.pop(0).double()
        # WGAN-GP: the reference multiplies the fake image by the number, ours the real one.
        return (1 - value if self.of_fakes else value).reshape(*shape)


def images(figures: Any, key: str) -> Tensor:
    return figures.tensor(key).double() / 127.5 - 1


TAGS = ("traj_light", "traj_full", "traj_wgan")


@pytest.mark.parametrize("tag", TAGS)
def test_float64_steps_gradients_and_weights(
    golden: Path, tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = golden / "ugatit_tf"
    if "I2I_GOLDEN" not in os.environ and not (folder / f"{tag}_losses.json").is_file():
        pytest.skip("this trajectory is in the larger set only; set I2I_GOLDEN")
    figures = json.loads((folder / f"{tag}_losses.json").read_text())
    config, initial = figures["config"], read(folder, f"{tag}_init").tensors()
    batches = read(folder, f"{tag}_batches")
    official = imported(initial, tmp_path)
    recipe = Recipe.read("ugatit_tf", official.settings | settings(config, config["gan_type"], "fp64"))
    stepper = Stepper(recipe)
    stepper.translator.load_state_dict(official.weights)
    recorder = Recorder(stepper, monkeypatch)
    for number, expected in enumerate(figures["losses_f64"]):
        phases = [PHASES[phase] for phase in stepper.translator.active_phases(number)]
        assert ("all_G_loss" in expected) == ("G" in phases)
        micro = [{d.lower(): images(batches, f"{phase}/real_{d}/{number}") for d in "AB"} for phase in phases]
        draws = Draws([batches.tensor(f"uniform/{number}/D/{i}") for i in range(2)] if tag == "traj_wgan" else [], True)
        monkeypatch.setattr(Penalized, "uniform", lambda self, shape, seed, draws=draws: draws(shape, seed))
        for phase, base in stepper._base_rates.items():
            stepper._base_rates[phase] = [config["lrs"][number]] * len(base)
        assert stepper.batches_per_step == len(micro)
        recorder.values.clear()
        before = recorder.regularizers()
        terms = stepper.step(*micro)
        assert not draws.recorded
        losses = recorder.losses(config)
        assert losses.keys() >= {name for name in expected if name.endswith(("_gan", "_cycle", "_identity", "_cam"))}
        for name, value in losses.items():
            assert value == pytest.approx(expected[name], rel=1e-10), name
        for phase in phases:
            ours = sum(
                float(v) for name, v in terms.items() if name.startswith({v: k for k, v in PHASES.items()}[phase])
            )
            name = {"D": "reg_discriminator", "G": "reg_generator"}[phase]
            assert before[name] == pytest.approx(expected[name], rel=1e-10)
            assert ours + before[name] == pytest.approx(expected[f"all_{phase}_loss"], rel=1e-10)
        if number == 0 and any(folder.glob(f"{tag}_grad_step0_f64as32.*")):
            compare_gradients(
                read(folder, f"{tag}_grad_step0_f64as32").tensors("grad0/"), recorder.gradients, figures, initial
            )
    if config["steps"] > 1:  # the small set has one step, and no weights after it
        compare_weights(read(folder, f"{tag}_final_f64").tensors(), initial, stepper, figures)


def ours(variables: Mapping[str, Tensor], of: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official variables, or gradients by the same names, by our names.

    Args:
        variables: some of the variables.
        of: all variables, whose names decide on the layers.
    """
    missing = {name: torch.full_like(value, torch.nan) for name, value in of.items() if name not in variables}
    converted = UGATIT_TF.convert(networks({**missing, **variables}))
    stored = {name: value for name, value in converted.items() if not name.endswith(".v")}
    return {name: value for name, value in stored.items() if not value.isnan().any()}


def zero_gradients(figures: Any, initial: Mapping[str, Tensor]) -> set[str]:
    """Our names of the biases before instance norms, whose gradients are rounding errors."""
    return set(ours({name: torch.zeros_like(initial[name]) for name in figures["zero_gradient_tensors"]}, initial))


def compare_gradients(
    official: Mapping[str, Tensor], found: Mapping[str, Tensor], figures: Any, initial: Mapping[str, Tensor]
) -> None:
    expected = ours(official, initial)
    assert len(expected) == len(official) > 20
    for name in expected.keys() - zero_gradients(figures, initial):
        assert relative_error(found[name], expected[name]) <= 1e-6, name


def compare_weights(
    official: Mapping[str, Tensor], initial: Mapping[str, Tensor], stepper: Stepper, figures: Any
) -> None:
    final, start, found = ours(official, initial), ours(initial, initial), stepper.translator.state_dict()
    assert len(final) == len(official)
    moved, wrong = {}, {}
    for name in final.keys() - zero_gradients(figures, initial):
        moved[name] = distance(start[name].double(), final[name])
        wrong[name] = distance(found[name], final[name])
        assert wrong[name] <= (1e-10 if name.endswith(".u") else 1e-8 * moved[name]), name
    weights = [name for name in wrong if not name.endswith(".u")]
    assert total([wrong[name] for name in weights]) <= 1e-10 * total([moved[name] for name in weights])


def test_images(golden_tensorflow: Path) -> None:
    """Preprocessing of training images, without and with its random part."""
    figures = read(golden_tensorflow, "preprocess")
    size, larger = (figures.config[name] for name in ("size", "augment_size"))
    image = Image.fromarray(figures.tensor("src_hwc_uint8").numpy())
    transform = SampleTransform((size, size), (larger, larger), resample="bilinear_tf1")
    resized = transform.resized(image)
    torch.testing.assert_close(to_tensor(resized), figures.tensor("train_no_augmentation"), rtol=0, atol=1e-6)
    sample = to_tensor(transform.cut(resized, FlipCrop(True, figures.config["top"], figures.config["left"])))
    torch.testing.assert_close(sample, figures.tensor("train_flip_resize_crop"), rtol=0, atol=1e-6)


@pytest.mark.parametrize("gan", [*GANS, "dragan"])
def test_gan_types(golden_tensorflow: Path, gan: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One phase of each type from the same weights, without an update."""
    figures = json.loads((golden_tensorflow / "gantypes_losses.json").read_text())
    values = read(golden_tensorflow, "gantypes")
    official = imported(values.tensors("param/"), tmp_path)
    config = figures["config"] | {"n_critic": 1}
    recipe = Recipe.read("ugatit_tf", official.settings | settings(config, gan, "fp64"))
    expected = figures["losses"][f"{gan}_f64"]
    for phase in PHASES:
        stepper = Stepper(recipe)
        stepper.translator.load_state_dict(official.weights)
        recorder = Recorder(stepper, monkeypatch)
        draws = Draws(list(values.tensors(f"{gan}/uniform/").values()), gan.startswith("wgan"))
        if gan == "dragan":  # the reference draws the noise of A, the share of A, and then those of B
            assert len(draws.recorded) == 4
        monkeypatch.setattr(Penalized, "uniform", lambda self, shape, seed, draws=draws: draws(shape, seed))
        monkeypatch.setattr(stepper.translator, "active_phases", lambda step, phase=phase: [phase])
        stepper.step({domain.lower(): images(values, f"real_{domain}") for domain in "AB"})
        losses = recorder.losses(config)
        assert losses
        for name, value in losses.items():
            assert value == pytest.approx(expected[name], rel=1e-10), (phase, name)
        gradients = ours(values.tensors(f"{gan}/grad64/"), values.tensors("param/"))
        compared = [name for name in gradients if name in recorder.gradients]
        assert compared
        for name in compared:
            scale = float(gradients[name].norm())
            assert scale < 1e-6 or relative_error(recorder.gradients[name], gradients[name]) <= 1e-6, name


def test_the_official_checkpoint(golden_tensorflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable to the bit; and the imported run continues with Adam's moments and number of updates."""
    folder = next((golden_tensorflow / "checkpoint").iterdir())
    recorded = json.loads((golden_tensorflow / "checkpoint_sha256.json").read_text())
    variables = read_bundle(folder / next(folder.glob("*.index")).stem)
    assert variables.keys() == recorded.keys()
    for name, value in variables.items():
        assert list(value.shape) == recorded[name]["shape"]
        assert hashlib.sha256(value.numpy().tobytes()).hexdigest() == recorded[name]["sha256"], name
    official = ugatit_tensorflow(folder)
    assert official.step == 3
    assert "starts from scratch" not in " ".join(official.notes)
    write_run(official, tmp_path / "run", ["data.size=48", "train.steps=5"])
    saved = checkpoint.find(tmp_path / "run")
    recipe = Recipe.read(tmp_path / "run" / checkpoint.RECIPE)
    run = Run(tmp_path / "run", recipe, Stepper(recipe), dataset=None)
    run.load(saved)
    assert run.step == 3
    assert not run.changes
    moments = {name.removesuffix("/Adam_1"): v for name, v in variables.items() if name.endswith("/Adam_1")}
    expected = ours(moments, moments)
    names = {parameter: name for name, parameter in run.translator.named_parameters()}
    compared = 0
    for optimizer in run.stepper.optimizers.values():
        for parameter, state in optimizer.state.items():
            assert float(state["step"]) == 3
            torch.testing.assert_close(state["exp_avg_sq"], expected[names[parameter]], rtol=0, atol=0)
            compared += 1
    assert compared == len(expected) == 240

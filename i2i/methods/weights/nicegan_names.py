"""What the official NICE-GAN calls its tensors (alpc91/NICE-GAN-pytorch 1b114f1), and what we do."""

from __future__ import annotations

SPECTRAL = {"weight_orig": "weight", "weight_u": "u", "weight_v": "v"}


def table(network: str, repeated: int) -> dict[str, str]:
    """Official name: our name, of every tensor of a network with this many blocks or common halvings."""
    return _generator_names(repeated) if network.startswith("gen") else _discriminator_names(repeated)


def _generator_names(blocks: int) -> dict[str, str]:
    names = {f"UpBlock0.1.{part}": f"stem.conv.{part}" for part in ("weight", "bias")}
    norms = {"UpBlock0.2": "stem.norm"}
    names |= {"FC.0.weight": "modulation.first.weight", "FC.2.weight": "modulation.second.weight"}
    names |= {f"{name}.weight": f"modulation.{name}.weight" for name in ("gamma", "beta")}
    for i in range(blocks):
        for official, half in ((1, "first"), (2, "second")):
            names[f"UpBlock1_{i + 1}.conv{official}.weight"] = f"decoder.{i}.{half}.conv.weight"
            names[f"UpBlock1_{i + 1}.norm{official}.rho"] = f"decoder.{i}.{half}.norm.rho"
    for i in range(2):
        first = 1 + 8 * i
        names[f"UpBlock2.{first}.weight"] = f"image_decoder.up.{i}.conv.weight"
        norms[f"UpBlock2.{first + 1}"] = f"image_decoder.up.{i}.norm"
        names |= {
            f"UpBlock2.{first + 3}.{part}": f"image_decoder.up.{i}.shuffle.conv.{part}" for part in ("weight", "bias")
        }
        norms[f"UpBlock2.{first + 5}"] = f"image_decoder.up.{i}.shuffle.norm"
    names |= {
        f"{official}.{part}": f"{ours}.{part}" for official, ours in norms.items() for part in ("rho", "gamma", "beta")
    }
    return {**names, "UpBlock2.17.weight": "image_decoder.head.weight"}


def _discriminator_names(common: int) -> dict[str, str]:
    blocks = {"model.1": "encoder.0", "model.4": "encoder.1"}
    blocks |= {f"Dis0_0.{1 + 3 * i}": f"common.{i}" for i in range(common)}
    blocks |= {"Dis0_1.1": "heads.local.blocks.0"}
    blocks |= {"Dis1_0.1": "heads.global_.blocks.0", "Dis1_0.4": "heads.global_.blocks.1"}
    blocks |= {"Dis1_1.1": "heads.global_.blocks.2"}
    names = {f"{official}.bias": f"{ours}.conv.bias" for official, ours in blocks.items()}
    layers = {official: f"{ours}.conv" for official, ours in blocks.items()}
    layers |= {"fc": "attention.classifier", "conv0": "heads.local.final", "conv1": "heads.global_.final"}
    names |= {f"{at}.{part}": f"{ours}.{mine}" for at, ours in layers.items() for part, mine in SPECTRAL.items()}
    names |= {f"conv1x1.{part}": f"attention.mix.{part}" for part in ("weight", "bias")}
    return {**names, "lamda": "attention.scale"}

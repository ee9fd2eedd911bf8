"""The translator `super_resolution`: paired translation whose losses may compare with a sharpened truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from i2i.methods.outputs import Outputs
from i2i.methods.paired import Paired, PairedOutputs


class SuperResolutionOutputs(PairedOutputs):
    """Outputs of `paired`, and the sharpened target."""

    @property
    def sharpened(self) -> dict[str, Tensor]:
        """Target images after unsharp masking, [B, C, H, W]: what L1 and perceptual loss compare with."""
        return {self.translator.target: self.batch.streams["sharpened"]}


class SuperResolution(Paired):
    """`paired` with one more stream, the sharpened target; discriminators see the target as it is.

    Args:
        options: those of `paired`.

    Source: Wang et al., Real-ESRGAN, arXiv:2107.10833, section 3.5.
    """

    Outputs: ClassVar[type[Outputs]] = SuperResolutionOutputs
    required_streams: Mapping[str, str] = {"a": "image", "b": "image", "sharpened": "image"}

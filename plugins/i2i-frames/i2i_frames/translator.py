"""Interpolation of frames: the translator `frame_interpolation`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

import i2i
from i2i.core.contracts import Phase, Stream
from i2i.methods import networks
from i2i.methods.outputs import Outputs, output
from i2i_frames.kinds import FRAME_NETWORK, FrameNetwork

DEPTHS = ("depth_first", "depth_last")


def to_unit(image: Tensor) -> Tensor:
    """Map [-1, 1] to [0, 1]."""
    return (image + 1) / 2


class InterpolationOutputs(Outputs):
    """Outputs for the frame between; all have the domain `between` but depths, which have `first` and `last`."""

    translator: FrameInterpolation

    @output(reuse="step")
    def _result(self) -> tuple[Any, Any]:
        streams = self.batch.streams
        first, last, truth = (to_unit(streams[name]) for name in ("first", "last", "between"))
        return self.translator.frame_network.supervise(first, last, streams["time"], truth)

    @property
    def target(self) -> dict[str, Tensor]:
        """True frames [B, 3, H, W] in [-1, 1]."""
        return {"between": self.batch.streams["between"]}

    @property
    def fake(self) -> dict[str, Tensor]:
        """Generated frames [B, 3, H, W] in [-1, 1]."""
        return {"between": 2 * self._result[0].image - 1}

    @property
    def taught(self) -> dict[str, Tensor]:
        """Frames of the teacher, which sees the true ones, [B, 3, H, W] in [-1, 1]."""
        teacher = self._result[1]
        return {} if teacher is None else {"between": 2 * teacher.image - 1}

    @property
    def distillation(self) -> dict[str, Tensor]:
        """Distance of the flows from the teacher's where its frame is better, a scalar."""
        teacher = self._result[1]
        return {} if teacher is None else {"between": teacher.distillation}

    @property
    def inverse_depth(self) -> dict[str, Tensor]:
        """Inverse depth that the network finds in both frames, [B, 1, H, W]."""
        depths = getattr(self._result[0], "inverse_depth", None)
        return {} if depths is None else dict(zip(("first", "last"), depths.split(1, 1), strict=True))

    @property
    def true_inverse_depth(self) -> dict[str, Tensor]:
        """Inverse depth of both frames that the data know, [B, 1, H, W] in [0, 1]."""
        streams = self.batch.streams
        return {name.removeprefix("depth_"): streams[name] for name in DEPTHS if name in streams}


class FrameInterpolation(i2i.Translator):
    """Generation of the frame between two frames of a clip, trained on frames that are known.

    Args:
        network: factory of the network: `ifnet`, `rife4` or `depth_aware`.
        streams: specifications of the data's streams; depths are used where the data have them.

    Source: Huang et al., RIFE, ECCV 2022, arXiv:2011.06294; Bao et al., DAIN, CVPR 2019, arXiv:1904.00830.
    """

    Outputs = InterpolationOutputs
    phases: Mapping[str, Phase] = {"generator": Phase(("network",))}
    generator_modules: ClassVar[tuple[str, ...]] = ("network",)
    domains: ClassVar[tuple[str, ...]] = ("first", "last", "between")
    required_streams: Mapping[str, str] = {"first": "image", "last": "image", "between": "image", "time": "image"}

    def __init__(
        self,
        network: i2i.Factory[FrameNetwork] = FRAME_NETWORK("ifnet"),
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        self.required_streams = type(self).required_streams | {name: "image" for name in DEPTHS if name in self.streams}
        self.network = networks.network(network())

    @property
    def frame_network(self) -> FrameNetwork:
        """The network with its methods, which torch's modules do not declare."""
        return cast(FrameNetwork, self.network)

    def translate(self, image: Tensor, to: str, last: Tensor, time: float = 0.5) -> i2i.GeneratorOutput:
        """Return the frame between two frames.

        Args:
            image: first frames, [B, 3, H, W] in [-1, 1].
            to: `between`.
            last: frame after it, [1 or B, 3, H, W].
            time: between 0 and 1.
        """
        if to != "between":
            raise i2i.I2IError(f"this translator generates the domain between only, got {to!r}")
        if not 0 <= time <= 1:
            raise i2i.I2IError(f"time: expected a number from 0 to 1, got {time}")
        if time != 0.5 and not self.frame_network.any_time:
            raise i2i.I2IError(f"time: this run generates the frame in the middle only, at 0.5, got {time}")
        plane = torch.full_like(image[:, :1], time)
        result = self.frame_network.interpolate(to_unit(image), to_unit(last.expand_as(image)), plane)
        return i2i.GeneratorOutput(2 * result.image - 1)

    @property
    def not_exportable(self) -> str:
        """Why `i2i export` refuses such runs; empty where it does not."""
        reason: str = getattr(self.frame_network, "not_exportable", "")
        return reason

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return both frames, the generated one and the true one."""
        first, last, truth = images["first"], images["last"], images["between"]
        time = images.get("time", torch.full_like(first[:, :1], 0.5)).to(first)
        found = self.frame_network.interpolate(to_unit(first), to_unit(last), time)
        rows = {"first": first, "last": last, "interpolated": 2 * found.image - 1, "truth": truth}
        return {caption: {"first": row} for caption, row in rows.items()}

    @property
    def targets(self) -> tuple[str, ...]:
        return ("between",)

    @property
    def requires_condition(self) -> bool:
        return True

    def discriminators_of(self, domain: str) -> Mapping[str, i2i.Discriminator]:
        """Return none: there are no discriminators."""
        return {}

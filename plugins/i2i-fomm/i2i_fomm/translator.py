"""Motion transfer between two frames of a video: the translator `first_order_motion`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

import i2i
from i2i.core.bounds import Positive
from i2i.core.contracts import Phase, Stream
from i2i.methods.networks import network
from i2i.methods.outputs import Outputs, output
from i2i_fomm import kinds
from i2i_fomm.equivariance import ThinPlateSpline, random_spline
from i2i_fomm.geometry import Keypoints, antialias, normalized_motion
from i2i_fomm.kinds import KEYPOINT_DETECTOR, MOTION_DISCRIMINATOR, MOTION_GENERATOR
from i2i_fomm.networks import Animated


def to_unit(image: Tensor) -> Tensor:
    """Map [-1, 1] to [0, 1]."""
    return (image + 1) / 2


class MotionOutputs(Outputs):
    """Outputs for the frame that is reconstructed; all have the domain `driving` only."""

    translator: FirstOrderMotion

    @output(reuse="step")
    def _source_points(self) -> Keypoints:
        return self.translator.keypoints(to_unit(self.batch.streams["source"]))

    @output(reuse="step")
    def _driving_points(self) -> Keypoints:
        return self.translator.keypoints(to_unit(self.batch.streams["driving"]))

    @output(reuse="step")
    def _animated(self) -> Animated:
        source = to_unit(self.batch.streams["source"])
        # The official code finds the source's keypoints first: the running statistics of batch norm depend on it.
        source_points, driving_points = self._source_points, self._driving_points
        return cast(Animated, self.translator.generator(source, driving_points, source_points))

    @property
    def target(self) -> dict[str, Tensor]:
        """Driving frames [B, C, H, W] in [-1, 1], which the generator should reconstruct."""
        return {"driving": self.batch.streams["driving"]}

    @property
    def fake(self) -> dict[str, Tensor]:
        """Sources moved as the driving frames, [B, C, H, W] in [-1, 1]."""
        return {"driving": 2 * self._animated.image - 1}

    @output(reuse="phase")
    def _spline(self) -> ThinPlateSpline:
        translator, frame = self.translator, self.batch.streams["driving"]
        shape = (len(frame), 6 + translator.spline_points**2)
        normal = self.randn("spline", "driving", frame, shape)
        return random_spline(normal, translator.spline_points, translator.sigma_affine, translator.sigma_spline)

    @output(reuse="phase")
    def _moved_points(self) -> Keypoints:
        frame = to_unit(self.batch.streams["driving"])
        moved = self._spline.warp_images(frame, self.translator.align_corners)
        return self.translator.keypoints(moved)

    @property
    def keypoints(self) -> dict[str, Tensor]:
        """Keypoints of the driving frames, [B, K, 2]."""
        return {"driving": self._driving_points.value}

    @property
    def expected_keypoints(self) -> dict[str, Tensor]:
        """Keypoints found in randomly transformed driving frames, transformed back, [B, K, 2]."""
        return {"driving": self._spline.warp_points(self._moved_points.value)}

    @property
    def jacobian_ratio(self) -> dict[str, Tensor]:
        r"""Product :math:`J_d^{-1}\, T'(p_t)\, J_t` of both frames' Jacobians, which should be the identity."""
        driving, moved = self._driving_points.jacobian, self._moved_points
        if driving is None or moved.jacobian is None:
            return {}
        expected = self._spline.jacobian(moved.value) @ moved.jacobian
        return {"driving": torch.inverse(driving) @ expected}

    @property
    def identity_matrix(self) -> dict[str, Tensor]:
        """The identity, [1, 1, 2, 2]."""
        frame = self.batch.streams["driving"]
        return {"driving": torch.eye(2, dtype=frame.dtype, device=frame.device).view(1, 1, 2, 2)}


class FirstOrderMotion(i2i.Translator):
    """Transfer of motion by unsupervised keypoints: one frame of a video is reconstructed from another one.

    Args:
        keypoints: number of keypoints K.
        detector: factory of the keypoint detector.
        generator: factory of the generator.
        spline_points: control points in a row of the random transform for equivariance.
        sigma_affine: standard deviation of its affine part.
        sigma_spline: standard deviation of its spline's weights.
        align_corners: how the transform samples images; `fomm_generator` has an option of the same name.
        streams: specifications of the data's streams.

    Source: Siarohin et al., NeurIPS 2019, arXiv:2003.00196; AliaksandrSiarohin/first-order-model c027484.
    """

    Outputs = MotionOutputs
    phases: Mapping[str, Phase] = {"generator": Phase(("detector", "generator"))}
    generator_modules: ClassVar[tuple[str, ...]] = ("detector", "generator")
    domains: ClassVar[tuple[str, ...]] = ("source", "driving")
    required_streams: ClassVar[Mapping[str, str]] = {"source": "image", "driving": "image"}

    def __init__(
        self,
        keypoints: Positive = 10,
        detector: i2i.Factory[kinds.KeypointDetector] = KEYPOINT_DETECTOR("fomm_keypoints"),
        generator: i2i.Factory[kinds.MotionGenerator] = MOTION_GENERATOR("fomm_generator"),
        spline_points: Positive = 5,
        sigma_affine: float = 0.05,
        sigma_spline: float = 0.005,
        align_corners: bool = True,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        self.spline_points, self.sigma_affine, self.sigma_spline = spline_points, sigma_affine, sigma_spline
        self.num_keypoints, self.align_corners = keypoints, align_corners
        channels = self.streams["source"].channels
        self.detector = network(detector(keypoints=keypoints, in_channels=channels))
        self.generator = network(generator(keypoints=keypoints, in_channels=channels))

    def keypoints(self, image: Tensor) -> Keypoints:
        """Return the keypoints of images [B, C, H, W] in [0, 1]."""
        return cast(Keypoints, self.detector(image))

    def translate(
        self, image: Tensor, to: str, driving: Tensor, initial: Tensor | None = None, adapt_scale: bool = False
    ) -> i2i.GeneratorOutput:
        """Animate images [B, C, H, W] as a driving frame.

        Args:
            image: sources, in [-1, 1].
            to: `driving`.
            driving: a frame of the driving video, [1 or B, C, H, W].
            initial: the video's first frame: the source moves as the frame against this one. Without it the source's
                keypoints are put where the driving frame's are.
            adapt_scale: whether movements are scaled by the ratio of the sizes of both objects.
        """
        if to != "driving":
            raise i2i.I2IError(f"this translator animates towards the domain driving only, got {to!r}")
        source, points = to_unit(image), self.keypoints(to_unit(image))
        target = self.keypoints(to_unit(driving))
        if initial is not None:
            target = normalized_motion(points, target, self.keypoints(to_unit(initial)), adapt_scale=adapt_scale)
        animated = cast(Animated, self.generator(source, target, points))
        return i2i.GeneratorOutput(2 * animated.image - 1)

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return sources, driving frames and reconstructions."""
        source, driving = images["source"], images["driving"]
        points = self.keypoints(to_unit(source)), self.keypoints(to_unit(driving))
        animated = cast(Animated, self.generator(to_unit(source), points[1], points[0]))
        rows = {"source": source, "driving": driving, "reconstruction": 2 * animated.image - 1}
        return {caption: {"source": row} for caption, row in rows.items()}

    @property
    def targets(self) -> tuple[str, ...]:
        return ("driving",)

    @property
    def requires_condition(self) -> bool:
        return True

    def discriminators_of(self, domain: str) -> Mapping[str, i2i.Discriminator]:
        """Return none: the discriminator sees several scales and keypoints."""
        return {}


class AdversarialOutputs(MotionOutputs):
    """Outputs with those of the discriminator, by `driving/scale`."""

    translator: AdversarialMotion

    @output(reuse="phase")
    def _fake_layers(self) -> dict[float, list[Tensor]]:
        image = self._animated.image
        return self._discriminate(image.detach() if self.trains("discriminator") else image)

    @output(reuse="phase")
    def _real_layers(self) -> dict[float, list[Tensor]]:
        _ = self._fake_layers  # spectral norm advances in each forward pass; the official code sees the fake first
        return self._discriminate(to_unit(self.batch.streams["driving"]))

    def _discriminate(self, image: Tensor) -> dict[float, list[Tensor]]:
        images = {
            scale: reduce(image) for scale, reduce in zip(self.translator.scales, self.translator.reduced, strict=True)
        }
        discriminator = cast(kinds.MotionDiscriminator, self.translator.discriminator)
        return discriminator(images, self._driving_points.detach())

    @property
    def fake_logits(self) -> dict[str, Tensor]:
        """Logits [B, 1, h, w] of the fake, by `driving/scale`; the fake is detached where the discriminator trains."""
        return {f"driving/{scale:g}": layers[-1] for scale, layers in self._fake_layers.items()}

    @property
    def real_logits(self) -> dict[str, Tensor]:
        """Logits [B, 1, h, w] of the driving frames, by `driving/scale`."""
        return {f"driving/{scale:g}": layers[-1] for scale, layers in self._real_layers.items()}

    @property
    def fake_features(self) -> dict[str, list[Tensor]]:
        """The discriminator's features of the fake in each layer, by `driving/scale`."""
        return {f"driving/{scale:g}": layers[:-1] for scale, layers in self._fake_layers.items()}

    @property
    def real_features(self) -> dict[str, list[Tensor]]:
        """The discriminator's features of the driving frames in each layer, by `driving/scale`."""
        return {f"driving/{scale:g}": layers[:-1] for scale, layers in self._real_layers.items()}


class AdversarialMotion(FirstOrderMotion):
    """`first_order_motion` with a discriminator, which may see the keypoints.

    Args:
        discriminator: factory of the discriminator.
        options: those of `first_order_motion`.

    Source: AliaksandrSiarohin/first-order-model c027484, configurations with a GAN weight of 1.
    """

    Outputs = AdversarialOutputs
    phases: Mapping[str, Phase] = {
        "generator": Phase(("detector", "generator")),
        "discriminator": Phase(("discriminator",)),
    }

    def __init__(
        self,
        discriminator: i2i.Factory[kinds.MotionDiscriminator] = MOTION_DISCRIMINATOR("fomm_discriminator"),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        channels = self.streams["source"].channels
        self.discriminator = network(discriminator(keypoints=self.num_keypoints, in_channels=channels))
        self.scales = cast(kinds.MotionDiscriminator, self.discriminator).scales
        self.reduced = nn.ModuleList(antialias(channels, scale, saved=False) for scale in self.scales)

"""The translator `cips3d`: images from noise and the pose of a camera, with an auxiliary discriminator."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Le
from i2i_stylegan.outputs import IMAGE, StyleOutputs
from i2i_stylegan.style_translators import StyleGAN
from i2i_stylegan.translators import PREVIEW_SEED
from torch import Tensor, nn

import i2i
from i2i.core.bounds import Count, finite
from i2i.core.contracts import Discriminator, Generator, Stream
from i2i.core.factory import Factory
from i2i.core.randomness import seed_of
from i2i.errors import I2IError, OptionError
from i2i.methods.growth import GrowthStage, downsample
from i2i.methods.outputs import output
from i2i.nn.functional.precision import to_like
from i2i_cips3d.camera import FRONT
from i2i_cips3d.generator import Draws, View

AUXILIARY = "auxiliary"
"""Name of the discriminator of images that are predicted from the NeRF's features alone."""
Share = Annotated[float, Ge(0), Le(1)]
STEEPEST = math.pi / 2 - 0.1
"""Largest angle above or below the object at which a camera still has a direction upwards, in radians."""
TURN = 20.0
"""Degrees that previews are turned by."""


class CIPS3DOutputs(StyleOutputs):
    """As for StyleGAN, with poses that are drawn, and images that are predicted from the NeRF's features alone."""

    translator: CIPS3D

    @output(reuse="phase")
    def pose(self) -> dict[str, Tensor]:
        """Yaw and pitch of the generated images' cameras, [B, 2] in radians; pi / 2 each for the front."""
        image = self.real[IMAGE]
        normal = self.randn("pose", IMAGE, image, (len(image), 2))
        return {IMAGE: self.translator.clamped(FRONT + normal * normal.new_tensor(self.translator.pose_std))}

    @output(reuse="phase", graph_for="generator")
    def view(self) -> View:
        """Rendered images, [B, C, S, S] each."""
        ws, generator = self.styles[IMAGE], self.translator.generator
        chosen, size = None, generator.size
        if 0 < self.translator.grad_points < size**2:
            draws = torch.Generator().manual_seed(seed_of(self.batch.seed, self.phase, "rays"))
            chosen = torch.randperm(size**2, generator=draws)[: self.translator.grad_points].to(ws.device)
        shapes = generator.draw_shapes(len(ws), size)
        uniform = {name: self._uniform(name, ws, shapes[name]) for name in ("jitter", "uniform")}
        noise = self.translator.density_noise
        normal = self.randn("density", IMAGE, ws, shapes["noise"] if noise else (len(ws), size**2, 0))
        numbers = Draws(uniform["jitter"] - 0.5, uniform["uniform"], normal)
        view: View = generator.render(ws, self.pose[IMAGE], numbers, noise, chosen)
        return view

    @property
    def fake(self) -> dict[str, Tensor]:  # type: ignore[override]  # a view of another output
        """Generated images."""
        return {IMAGE: self.view.image}

    @property
    def discriminate(self) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
        """The discriminators as functions of a real image, for losses on their gradients."""
        return {IMAGE: lambda image: self._both(image, image, self.translator.real_pose(self.batch.streams))}

    @output(reuse="phase")
    def _real_heads(self) -> dict[str, Tensor]:
        real = self.real[IMAGE]
        return self._both(real, real, self.translator.real_pose(self.batch.streams))

    @output(reuse="phase")
    def _fake_heads(self) -> dict[str, Tensor]:
        image, auxiliary = self.view.image, self.view.auxiliary
        if self.trains("discriminators"):
            image, auxiliary = image.detach(), auxiliary.detach()
        return self._both(image, auxiliary, self.pose[IMAGE])

    def _both(self, image: Tensor, auxiliary: Tensor, pose: Tensor | None) -> dict[str, Tensor]:
        """Return logits by `image/discriminator/head`; one with the name `auxiliary` sees the auxiliary images."""
        return {
            f"{IMAGE}/{name}/{head}": logits
            for name, discriminator in self.translator.active_discriminators.items()
            for head, logits in discriminator(
                auxiliary if name == AUXILIARY else image, self.translator.seen(pose)
            ).logits.items()
        }

    def _uniform(self, name: str, like: Tensor, shape: tuple[int, ...]) -> Tensor:
        draws = torch.Generator().manual_seed(seed_of(self.batch.seed, self.phase, name))
        return to_like(torch.rand(shape, generator=draws, device="cpu"), like)


class CIPS3D(StyleGAN):
    """Generates images of an object that a camera of random pose sees, in sizes that double from stage to stage.

    Args:
        generator: factory of the generator, such as `cips3d`.
        discriminators: factories of the discriminators, by name. The one with the name `auxiliary` sees images that are
            predicted from the NeRF's features alone: they cannot hide a wrong shape behind the pixel generator.
        auxiliary_size: largest size at which the auxiliary discriminator is used.
        style_mixing: probability that the layers from a random one on take their styles from a second code.
        stages: sizes and their numbers of steps; `fade` fades in the discriminators. None for one size.
        fresh_optimizers: whether optimizers lose their state at the start of each stage.
        yaw_std: standard deviation of the cameras' yaw in radians.
        pitch_std: standard deviation of their pitch in radians.
        noise_steps: steps in which the standard deviation of the densities' noise falls from 1 to 0; 0 for no noise.
        grad_points: number of randomly chosen rays of each image that have a gradient, the same for all images of a
            batch; 0 for all. Memory follows from it.
        streams: specification of each stream of the data, by name.

    Source: Zhou et al., CIPS-3D, arXiv:2110.09788; PeterouZh/CIPS-3D 5956813.
    """

    Outputs: ClassVar[type[i2i.Outputs]] = CIPS3DOutputs
    noise_steps: int = 0
    """The base class's constructor adapts to step 0, too, before the option is set."""

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        auxiliary_size: Annotated[int, Ge(1)] = 128,
        style_mixing: Share = 0.0,
        stages: tuple[GrowthStage, ...] = (),
        fresh_optimizers: bool = True,
        yaw_std: Annotated[float, Ge(0)] = 0.3,
        pitch_std: Annotated[float, Ge(0)] = 0.155,
        noise_steps: Count = 5000,
        grad_points: Count = 0,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(
            generator,
            discriminators,
            style_mixing=style_mixing,
            stages=stages,
            fresh_optimizers=fresh_optimizers,
            streams=streams,
        )
        if not hasattr(self.generator, "render"):
            raise OptionError("generator", "expected one that renders views, such as cips3d")
        self.auxiliary_size, self.pose_std = auxiliary_size, (yaw_std, pitch_std)
        self.noise_steps, self.grad_points = noise_steps, grad_points
        self.sees_pose = any(getattr(module, "pose", False) for module in self.discriminators.values())
        if self.sees_pose:
            self.required_streams = {**self.required_streams, "pose": "raw"}
            if "pose" not in self.streams:
                raise OptionError("discriminators", "pose = true needs data with a stream 'pose'; this data has none")
        self.at_step_(0)

    @property
    def active_discriminators(self) -> dict[str, nn.Module]:
        """Discriminators that are used at the current size, by name."""
        size = self.generator.size
        return {
            name: one for name, one in self.discriminators.items() if name != AUXILIARY or size <= self.auxiliary_size
        }

    def at_step_(self, step: int) -> None:
        """Set the size, and the noise of the densities."""
        super().at_step_(step)
        self.density_noise = max(0.0, 1 - step / self.noise_steps) if self.noise_steps else 0.0

    def network_input(self, image: Tensor) -> Tensor:
        """Return real images at the size of the networks."""
        if self.level is None:
            return image
        image = image[: self.level.batch] if self.level.batch else image
        while image.shape[-1] > self.level.size:
            image = downsample(image)
        return image

    def real_pose(self, streams: Mapping[str, Tensor]) -> Tensor | None:
        """Return yaw and pitch [B, 2] of the real images where discriminators see them."""
        if not self.sees_pose:
            return None
        pose = streams["pose"].flatten(1)
        return pose[: self.level.batch] if self.level is not None and self.level.batch else pose

    def seen(self, pose: Tensor | None) -> Tensor | None:
        """Return yaw and pitch as discriminators see them: relative to the front, in standard deviations."""
        if not self.sees_pose or pose is None:
            return None
        return (pose - FRONT) / pose.new_tensor([max(std, 1e-3) for std in self.pose_std])

    def clamped(self, pose: Tensor) -> Tensor:
        """Keep the pitch of cameras away from the poles."""
        return torch.stack([pose[:, 0], pose[:, 1].clamp(FRONT - STEEPEST, FRONT + STEEPEST)], 1)

    def synthesize(self, ws: Tensor, noise: Any = "const", yaw: float = 0.0, pitch: float = 0.0) -> Tensor:
        """Return images [B, C, H, W] in [-1, 1] for styles [B, num_ws, w_dim].

        Args:
            ws: styles.
            noise: for the base class; there are no noise maps.
            yaw: degrees by which the camera has moved to its left.
            pitch: degrees by which it has moved down.
        """
        return self.output_image(self.view(ws, yaw, pitch).image)

    def view(self, ws: Tensor, yaw: float = 0.0, pitch: float = 0.0) -> View:
        """Render styles [B, num_ws, w_dim] from a side; angles in degrees."""
        for name, value in (("yaw", yaw), ("pitch", pitch)):
            finite(name, value)
        if abs(math.radians(pitch)) > STEEPEST:
            raise I2IError(f"pitch: expected at most {math.degrees(STEEPEST):.0f} degrees up or down, got {pitch:g}")
        pose = FRONT + torch.tensor([math.radians(yaw), math.radians(pitch)], dtype=torch.float64)
        view: View = self.generator.render(ws, pose.to(ws).expand(ws.shape[0], -1))
        return view

    def sample(  # type: ignore[override]  # views have other conditions than images of one side
        self, seeds: Iterable[int], truncation: float = 1.0, yaw: float = 0.0, pitch: float = 0.0
    ) -> Tensor:
        """Return images [B, C, H, W] in [-1, 1], one for each seed.

        Args:
            seeds: of the latent codes.
            truncation: distance from the average style that is kept: 1 for all variety, 0 for the average image.
            yaw: degrees by which the camera has moved to its left; 0 for the front.
            pitch: degrees by which it has moved down.
        """
        return self.synthesize(self.styles(seeds, None, truncation), yaw=yaw, pitch=pitch)

    def sample_inputs(self, seeds: Sequence[int], noise: bool = False) -> dict[str, Tensor]:
        """Return what `sample` draws for each seed, by the names of the inputs of an exported file.

        Args:
            seeds: as for `sample`.
            noise: for generators with noise maps.

        Returns:
            inputs: `latent` [B, z_dim], normal random numbers; `truncation` [1]; and `pose` [B, 2], yaw and pitch of
                the camera in degrees, 0 for the front.
        """
        inputs = super().sample_inputs(seeds)
        return inputs | {"pose": inputs["latent"].new_zeros(len(seeds), 2)}

    def sample_from(self, latent: Tensor, truncation: Tensor, pose: Tensor) -> Tensor:  # type: ignore[override]  # views
        """Return images [B, C, H, W] in [-1, 1] of such inputs."""
        ws = self.truncated(latent, truncation)
        return self.output_image(self.generator.render(ws, FRONT + pose * (math.pi / 180)).image)

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return real images, and as many generated ones from three sides."""
        real = images[IMAGE]
        ws = self.styles(range(PREVIEW_SEED, PREVIEW_SEED + len(real)))
        rows = {"real": real} | {f"yaw {yaw:g}": self.synthesize(ws, yaw=yaw) for yaw in (-TURN, 0, TURN)}
        return {caption: {IMAGE: row} for caption, row in rows.items()}

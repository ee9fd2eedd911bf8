"""The generator `cips3d`: mapping networks, a shallow NeRF, and a generator of single pixels."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import Count, Depth, ImageSize, Positive, square_side
from i2i.errors import OptionError
from i2i.methods.growth import doublings
from i2i_cips3d.camera import FRONT, Rays, camera_origin, camera_rays, camera_to_world
from i2i_cips3d.layers import HeadMapping, initialize_frequency
from i2i_cips3d.networks import FIRST_RGB, PixelGenerator, ShallowNeRF
from i2i_cips3d.volume import integrate, resample

RAYS_AT_A_TIME = 8192
"""Rays of each image that are computed together where no gradient is needed."""


class Draws(NamedTuple):
    """Random numbers of one rendering, for every ray.

    Args:
        jitter: shifts of the samples, uniform in [-0.5, 0.5), in units of their distance, [B, R, N].
        uniform: places of the second samples in the density, uniform in [0, 1), [B, R, M].
        noise: numbers from N(0, 1), times the standard deviation, added to the densities, [B, R, 2 N + M]: those of
            the first pass, then those of the second.
    """

    jitter: Tensor
    uniform: Tensor
    noise: Tensor

    def of(self, chosen: Tensor) -> Draws:
        """Return the numbers of some rays."""
        return Draws(*(values[:, chosen] for values in self))


class View(NamedTuple):
    """What `CIPS3DGenerator.render` gives.

    Args:
        image: [B, C, S, S] in [-1, 1].
        auxiliary: image predicted from the features of the NeRF alone, [B, C, S, S] in [-1, 1].
        opacity: sum of the weights along each ray, [B, 1, S, S].
    """

    image: Tensor
    auxiliary: Tensor
    opacity: Tensor


class Mappings(nn.Module):
    """The mapping networks of both parts; styles are rows of one tensor, padded with zeros to equal lengths.

    Args:
        nerf: mapping network of the NeRF.
        inr: mapping network of the pixel generator.
        z_dims: length of the latent code of each.
        rows: number of styles of each.
        widths: length of the styles of each.
        beta: decay of the moving average of the styles.
    """

    w_avg: Tensor

    def __init__(
        self,
        nerf: HeadMapping,
        inr: HeadMapping,
        z_dims: tuple[int, int],
        rows: tuple[int, int],
        widths: tuple[int, int],
        beta: float,
    ) -> None:
        super().__init__()
        self.nerf, self.inr = nerf, inr
        self.z_dims, self.rows, self.widths, self.beta = z_dims, rows, widths, beta
        self.register_buffer("w_avg", torch.zeros(sum(rows), max(widths)))

    def forward(self, z: Tensor, c: Tensor | None = None, update_average: bool = True) -> Tensor:
        """Return styles [B, rows, w_dim] for codes [B, z_dim]; `c` is not used, and has to be None."""
        codes = z.split(list(self.z_dims), 1)
        parts = [
            F.pad(mapping(code), (0, max(self.widths) - width))[:, None].expand(-1, rows, -1)
            for mapping, code, rows, width in zip((self.nerf, self.inr), codes, self.rows, self.widths, strict=True)
        ]
        ws = torch.cat(parts, 1)
        if self.training and update_average:
            self.w_avg.copy_(ws.detach().mean(0).lerp(self.w_avg, self.beta))
        return ws


class CIPS3DGenerator(nn.Module):
    """Generates images of an object from any side: every pixel is computed for itself, so no layer sees two pixels.

    Points on the ray of a pixel get features and densities from a shallow NeRF; their integral is the pixel's feature,
    which modulated linear layers turn into a colour. Styles 0 to `nerf_layers` belong to the NeRF, which decides on the
    shape; two for each size from 4 px on to the pixel generator.

    Args:
        out_channels: channels of the images.
        image_size: largest size, 32 px times a power of two.
        first_size: smallest size, set by the translator's first stage.
        nerf_z: length of the NeRF's latent code.
        nerf_hidden: width of its layers.
        nerf_layers: number of its layers before the density.
        nerf_styles: length of its styles, and width of its mapping network.
        nerf_mapping: layers of its mapping network.
        features: length of a pixel's feature.
        inr_z: length of the pixel generator's latent code.
        inr_hidden: width of its layers.
        inr_styles: length of its styles, and width of its mapping network.
        inr_mapping: layers of its mapping network.
        fov: angle of the field of view in degrees.
        near: depth of the first sample of a ray; the camera is at a distance of 1 from the origin.
        far: depth of the last one.
        samples: N, samples of each ray.
        resamples: further samples, drawn where the density is high; 0 for none.
        last_back: whether the last sample of a ray is its background.
        box: side of the cube that the NeRF sees as [-1, 1].
        w_avg_beta: decay of the moving average of the styles.

    Source: Zhou et al., CIPS-3D, arXiv:2110.09788; PeterouZh/CIPS-3D 5956813, `GeneratorNerfINR`.
    """

    def __init__(
        self,
        out_channels: Positive = 3,
        image_size: ImageSize = 256,
        first_size: Positive = FIRST_RGB,
        nerf_z: Positive = 256,
        nerf_hidden: Annotated[int, Ge(2)] = 128,
        nerf_layers: Depth = 2,
        nerf_styles: Positive = 128,
        nerf_mapping: Depth = 4,
        features: Positive = 32,
        inr_z: Positive = 512,
        inr_hidden: Positive = 512,
        inr_styles: Positive = 512,
        inr_mapping: Depth = 8,
        fov: float = 12.0,
        near: float = 0.88,
        far: float = 1.12,
        samples: Annotated[int, Ge(3)] = 12,
        resamples: Count = 12,
        last_back: bool = False,
        box: float = 0.24,
        w_avg_beta: float = 0.999,
    ) -> None:
        super().__init__()
        self.z_dim, self.w_dim = nerf_z + inr_z, max(nerf_styles, inr_styles)
        self.fov, self.near, self.far = fov, near, far
        self.samples, self.resamples, self.last_back = samples, resamples, last_back
        self.size = square_side(image_size)
        self.siren = ShallowNeRF(nerf_hidden, nerf_layers, features, nerf_styles, box)
        self.inr_net = PixelGenerator(features, inr_hidden, inr_styles, self.size, out_channels)
        self.aux_to_rbg = nn.Sequential(nn.Linear(features, out_channels))
        initialize_frequency(self.aux_to_rbg[0], 25)  # type: ignore[arg-type]
        rows = (self.siren.num_styles, self.inr_net.num_styles(self.size))
        self.num_ws = sum(rows)
        self.mapping = Mappings(
            HeadMapping(nerf_z, nerf_styles, nerf_mapping),
            HeadMapping(inr_z, inr_styles, inr_mapping, add_norm=True, norm_out=True),
            (nerf_z, inr_z),
            rows,
            (nerf_styles, inr_styles),
            w_avg_beta,
        )

    @classmethod
    def check(cls, image_size: ImageSize, near: float, far: float, fov: float, first_size: int = FIRST_RGB) -> None:
        """Refuse sizes that do not double from 32 px, and a view that is none."""
        for name, size in (("image_size", square_side(image_size)), ("first_size", first_size)):
            if size not in doublings(FIRST_RGB, size):
                raise OptionError(name, f"expected a size that doubles from {FIRST_RGB} px (32, 64, ...), got {size}")
        if not 0 < near < far:
            raise OptionError("near", f"expected 0 < near < far, got near {near:g} and far {far:g}")
        if not 0 < fov < 180:
            raise OptionError("fov", f"expected an angle between 0 and 180 degrees, got {fov:g}")

    @property
    def active_ws(self) -> int:
        """Number of styles that images of the current size use."""
        return self.siren.num_styles + self.inr_net.num_styles(self.size)

    def grow_(self, size: int, alpha: float) -> None:
        """Set the size; a larger one has more layers, and there is no fade."""
        self.size = size

    def draw_shapes(self, batch: int, size: int) -> dict[str, tuple[int, int, int]]:
        """Return the shapes of the fields of `Draws`."""
        rays, total = size**2, 2 * self.samples + self.resamples
        return {
            "jitter": (batch, rays, self.samples),
            "uniform": (batch, rays, self.resamples),
            "noise": (batch, rays, total),
        }

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return images [B, C, size, size] of the front for codes [B, z_dim]."""
        return self.synthesis(self.mapping(z, c))

    def synthesis(self, ws: Tensor, noise: str = "const") -> Tensor:
        """Return images [B, C, size, size] of the front for styles [B, num_ws, w_dim]; there is no noise map."""
        pose = torch.full((ws.shape[0], 2), FRONT).to(ws)
        return self.render(ws, pose).image

    def render(
        self,
        ws: Tensor,
        pose: Tensor,
        draws: Draws | None = None,
        density_noise: float = 0.0,
        with_gradient: Tensor | None = None,
    ) -> View:
        """Render images of the current size.

        Args:
            ws: styles [B, num_ws, w_dim].
            pose: yaw and pitch of the cameras in radians, [B, 2]; pi / 2 each for the front.
            draws: random numbers; None for equidistant samples without noise.
            density_noise: standard deviation of the noise of densities; needs `draws`.
            with_gradient: numbers of the rays through which gradients flow; None for all. The others are computed
                without a graph, in parts, so that memory follows from the number of rays with a gradient.
        """
        size = self.size
        rays = camera_rays(size, size, self.fov, self.near, self.far, self.samples)
        rays = Rays(rays.directions.to(ws), rays.depths.to(ws))
        matrix = camera_to_world(camera_origin(pose[:, 1], pose[:, 0]))

        def pixels(chosen: Tensor) -> tuple[Tensor, ...]:
            directions = rays.directions[chosen] @ matrix[:, :3, :3].mT
            some = None if draws is None else draws.of(chosen)
            return self._pixels(ws, directions, matrix[:, :3, 3], rays.depths, some, density_noise)

        everything = torch.arange(size**2, device=ws.device)
        if not torch.is_grad_enabled():
            parts = [pixels(part) for part in everything.split(RAYS_AT_A_TIME)]
        elif with_gradient is None:
            parts = [pixels(everything)]
        else:
            is_chosen = torch.zeros_like(everything, dtype=torch.bool).index_fill_(0, with_gradient, True)
            rest = everything[~is_chosen]
            parts = [pixels(with_gradient)]
            with torch.no_grad():
                parts += [pixels(part) for part in rest.split(RAYS_AT_A_TIME)]
            everything = torch.cat([with_gradient, rest])
        joined = (torch.cat(columns, 1) for columns in zip(*parts, strict=True))
        order = everything.argsort()
        return View(*(value[:, order].mT.unflatten(2, (size, size)) for value in joined))

    def _pixels(
        self,
        ws: Tensor,
        directions: Tensor,
        origin: Tensor,
        depths: Tensor,
        draws: Draws | None,
        density_noise: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return colours, auxiliary colours [B, R, C], and opacities [B, R, 1] of rays [B, R, 3]."""
        batch, rays, _ = directions.shape
        depth = depths.expand(batch, rays, -1)
        if draws is not None:
            depth = depth + draws.jitter * (depths[1] - depths[0])
        of_nerf = [w[:, : self.siren.style_features] for w in ws[:, : self.siren.num_styles].unbind(1)]

        def at(depth: Tensor) -> Tensor:
            points = origin[:, None, None] + directions[:, :, None] * depth[..., None]
            found: Tensor = self.siren(points.flatten(1, 2), of_nerf)
            return found.unflatten(1, (rays, -1))

        def noisy(density: Tensor, start: int) -> Tensor:
            if draws is None or not density_noise:
                return density
            return density + density_noise * draws.noise[..., start : start + density.shape[2], None]

        values = at(depth)
        if self.resamples:
            with torch.no_grad():
                coarse = integrate(values[..., :-1], noisy(values[..., -1:], 0), depth[..., None])
                middles = (depth[..., 1:] + depth[..., :-1]) / 2
                even = torch.linspace(0, 1, self.resamples).to(depth).expand(batch, rays, -1)
                uniform = even if draws is None else draws.uniform
                # The resampling adds its own constant once more, as the official code does.
                weights = coarse.weights[..., 1:-1, 0] + 1e-5
                fine = resample(middles.flatten(0, 1), weights.flatten(0, 1), uniform.flatten(0, 1)).view_as(uniform)
            depth, order = torch.cat([depth, fine], -1).sort(-1)
            values = torch.cat([values, at(fine)], 2)
            values = values.gather(2, order[..., None].expand_as(values))
        integral = integrate(
            values[..., :-1], noisy(values[..., -1:], self.samples), depth[..., None], last_back=self.last_back
        )
        styles = ws[:, self.siren.num_styles :, : self.inr_net.style_features].unbind(1)
        color = self.inr_net(integral.feature, styles, self.size)
        return color, self.aux_to_rbg(integral.feature).tanh(), integral.weights.sum(2)

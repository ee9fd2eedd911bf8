"""`i2i animate`: animate a still image by a driving clip."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("driving", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("animated.webm"),
    show_default=True,
    help="File to write: .webm, .mp4, .gif, .webp or .apng.",
)
@click.option(
    "--absolute",
    is_flag=True,
    help="Put keypoints where the driving clip has them, instead of moving the image's own; for two alike objects.",
)
@click.option("--adapt-scale", is_flag=True, help="Scale movements by the ratio of the sizes of both objects.")
@click.option(
    "--best-frame",
    is_flag=True,
    help="Take as reference the driving frame that is most like the image, instead of the first one. All frames are "
    "then kept in memory.",
)
@click.option("--device", help="Such as cpu, cuda:1 or mps; the machine's accelerator by default.")
def animate(
    run: Path,
    image: Path,
    driving: Path,
    output: Path,
    absolute: bool,
    adapt_scale: bool,
    best_frame: bool,
    device: str | None,
) -> None:
    """Animate IMAGE with RUN as the clip DRIVING moves.

    \b
      i2i animate runs/fomm_vox face.png driving.mp4 --output out.webm

    DRIVING is a video, an animated GIF, WebP or PNG, or a folder of frames. The result has the size that RUN was
    trained with and the frame rate of DRIVING.
    """
    import i2i
    from i2i.cli.translate import usable
    from i2i.data.clip_files import container_of
    from i2i.data.images import read_image
    from i2i.errors import I2IError
    from i2i.use.clip_writer import ClipWriter
    from i2i.use.video import clip_info, read_frames
    from i2i_fomm.animation import Animator

    for path in (image, driving):
        if output.resolve() == path.resolve():
            raise I2IError(f"--output: {path} would be overwritten; choose another name")
    container_of(output)
    source, info = read_image(image), clip_info(driving)
    animator = Animator(i2i.load(run, usable(device)), source, relative=not absolute, adapt_scale=adapt_scale)
    frames = (frame.pixels for frame in read_frames(driving))
    if best_frame:
        clip = list(frames)
        start = animator.best_start(clip)
        click.echo(f"reference: frame {start} of {len(clip)}")
        animated = animator.frames_around(clip, start)
    else:
        animated = animator.frames(frames)
    with ClipWriter(output, info.rate) as writer:
        for pixels in animated:
            writer.write(pixels)
            if writer.frames % 50 == 0:
                click.echo(f"{writer.frames} frames")
    click.echo(f"{writer.frames} frames: {output}")

"""First Order Motion Model as an i2i plugin: animates a still image by the motion of a driving video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import i2i

if TYPE_CHECKING:
    import click


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Add the kinds and components by name and import path; each is imported when a recipe first names it."""
    from i2i_fomm.kinds import KEYPOINT_DETECTOR, MOTION_DISCRIMINATOR, MOTION_GENERATOR

    for kind in (KEYPOINT_DETECTOR, MOTION_GENERATOR, MOTION_DISCRIMINATOR):
        registry.add_kind(kind)
    registry.add(KEYPOINT_DETECTOR, "fomm_keypoints", "i2i_fomm.networks:KeypointDetector")
    registry.add(MOTION_GENERATOR, "fomm_generator", "i2i_fomm.networks:MotionGenerator")
    registry.add(MOTION_DISCRIMINATOR, "fomm_discriminator", "i2i_fomm.networks:MotionDiscriminator")
    registry.add(i2i.TRANSLATOR, "first_order_motion", "i2i_fomm.translator:FirstOrderMotion")
    registry.add(i2i.TRANSLATOR, "adversarial_motion", "i2i_fomm.translator:AdversarialMotion")
    registry.add(i2i.LOSS, "pyramid_perceptual", "i2i_fomm.losses:PyramidPerceptual")
    registry.add(i2i.LOSS, "feature_matching", "i2i_fomm.losses:FeatureMatching")
    registry.add(i2i.STAGE, "animate", "i2i_fomm.stage:Animate")
    registry.add(i2i.DATASET, "video_pairs", "i2i_fomm.video_pairs:VideoPairs")
    registry.add(i2i.DATASET, "sprite_pairs", "i2i_fomm.sprites:SpritePairs")
    registry.add(i2i.DATASET, "moving_portraits", "i2i_fomm.portraits:MovingPortraits")
    registry.add(i2i.SCHEDULE, "milestones", "i2i_fomm.schedule:Milestones")
    registry.add(i2i.IMPORTER, "fomm_pytorch", "i2i_fomm.importer:fomm_pytorch")


@i2i.hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `i2i animate`."""
    from i2i_fomm.command import animate

    cli.add_command(animate)


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"

"""Generators of images from noise as an i2i plugin: StyleGAN2 with ADA, StyleGAN, PGGAN, BigGAN, InfoGAN and others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import i2i

if TYPE_CHECKING:
    import click


@i2i.hookimpl
def register_components(registry: Any) -> None:
    """Add the components by name and import path; each is imported when a recipe first names it."""
    registry.add(i2i.TRANSLATOR, "gan", "i2i_stylegan.translators:GAN")
    registry.add(i2i.TRANSLATOR, "stylegan", "i2i_stylegan.style_translators:StyleGAN")
    registry.add(i2i.TRANSLATOR, "stylegan2", "i2i_stylegan.style_translators:StyleGAN2")
    registry.add(i2i.LOSS, "lazy_r1", "i2i_stylegan.losses:LazyR1")
    registry.add(i2i.LOSS, "path_length", "i2i_stylegan.losses:PathLength")
    registry.add(i2i.LOSS, "wasserstein", "i2i_stylegan.losses:Wasserstein")
    registry.add(i2i.LOSS, "gradient_penalty", "i2i_stylegan.losses:GradientPenalty")
    registry.add(i2i.LOSS, "auxiliary_classifier", "i2i_stylegan.losses:AuxiliaryClassifier")
    registry.add(i2i.TRANSLATOR, "attribute_gan", "i2i_stylegan.attributes:AttributeGAN")
    registry.add(i2i.LOSS, "attribute_classifier", "i2i_stylegan.attributes:AttributeClassifier")
    registry.add(i2i.DATASET, "tagged_folder", "i2i_stylegan.attributes:TaggedFolder")
    registry.add(i2i.DATASET, "tagged_portraits", "i2i_stylegan.attributes:TaggedPortraits")
    registry.add(i2i.GENERATOR, "srresnet", "i2i_stylegan.srresnet:SRResNetGenerator")
    registry.add(i2i.DISCRIMINATOR, "residual", "i2i_stylegan.srresnet:ResidualDiscriminator")
    registry.add(i2i.PANEL, "gallery", "i2i_stylegan.gallery:Gallery")
    registry.add(i2i.IMPORTER, "pggan-tensorflow", "i2i_stylegan.growing_importers:pggan_tensorflow")
    registry.add(i2i.IMPORTER, "stylegan-tensorflow", "i2i_stylegan.growing_importers:stylegan_tensorflow")
    registry.add(i2i.IMPORTER, "stylegan-rosinality", "i2i_stylegan.rosinality_stylegan:rosinality")
    registry.add(i2i.IMPORTER, "biggan-deep-huggingface", "i2i_stylegan.biggan_deep:huggingface")
    registry.add(i2i.TRANSLATOR, "truncated_gan", "i2i_stylegan.biggan_deep:TruncatedGAN")
    registry.add(i2i.GENERATOR, "biggan_deep", "i2i_stylegan.biggan_deep:BigGANDeepGenerator")
    registry.add(i2i.TRANSLATOR, "infogan", "i2i_stylegan.infogan:InfoGAN")
    registry.add(i2i.GENERATOR, "dcgan", "i2i_stylegan.dcgan:DCGANGenerator")
    registry.add(i2i.DISCRIMINATOR, "dcgan", "i2i_stylegan.dcgan:DCGANDiscriminator")
    registry.add(i2i.LOSS, "mutual_information", "i2i_stylegan.dcgan:MutualInformation")
    registry.add(i2i.LOSS, "dragan_segment", "i2i_stylegan.losses:DRAGANSegment")
    registry.add(i2i.LOSS, "orthogonal", "i2i_stylegan.biggan:Orthogonal")
    registry.add(i2i.DATASET, "image_folder", "i2i_stylegan.data:ImageFolder")
    registry.add(i2i.DATASET, "one_domain", "i2i_stylegan.data:OneDomain")
    registry.add(i2i.STAGE, "sample", "i2i_stylegan.stage:Sample")
    registry.add(i2i.IMPORTER, "stylegan2-nvlabs", "i2i_stylegan.importers:nvlabs")
    registry.add(i2i.IMPORTER, "stylegan2-rosinality", "i2i_stylegan.importers:rosinality")
    registry.add(i2i.GENERATOR, "stylegan2", "i2i_stylegan.stylegan2:StyleGAN2Generator")
    registry.add(i2i.GENERATOR, "stylegan", "i2i_stylegan.stylegan1:StyleGANGenerator")
    registry.add(i2i.GENERATOR, "pggan", "i2i_stylegan.progressive:PGGANGenerator")
    registry.add(i2i.GENERATOR, "biggan", "i2i_stylegan.biggan:BigGANGenerator")
    registry.add(i2i.DISCRIMINATOR, "progressive", "i2i_stylegan.progressive:ProgressiveDiscriminator")
    registry.add(i2i.DISCRIMINATOR, "biggan", "i2i_stylegan.biggan:BigGANDiscriminator")
    registry.add(i2i.DISCRIMINATOR, "stylegan2_ada", "i2i_stylegan.stylegan2_discriminator:StyleGAN2Discriminator")


@i2i.hookimpl
def recipe_folders() -> Path:
    """Return the folder of the recipes that can be trained by name."""
    return Path(__file__).parent / "recipes"


@i2i.hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `i2i mix`, `i2i interpolate`, `i2i breed` and `i2i export-rosinality`."""
    from i2i_stylegan import command  # imported only on the command line

    for one in (command.mix, command.interpolate, command.breed, command.export_rosinality):
        cli.add_command(one)

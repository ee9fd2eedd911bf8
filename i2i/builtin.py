"""The one file that names every built-in component; each is imported when it is first used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i import kinds
from i2i.hookspecs import hookimpl
from i2i.registry import Kind, PluginRegistry

if TYPE_CHECKING:
    import click

COMPONENTS: dict[Kind[Any], dict[str, str]] = {
    kinds.NORM: {
        "in": "i2i.norms.instance:InstanceNorm",
        "bn": "i2i.norms.batch:BatchNorm",
        "ln": "i2i.norms.layer:LayerNorm",
        "gn": "i2i.norms.group:GroupNorm",
        "iln": "i2i.norms.mixed:InstanceLayerNorm",
        "cin": "i2i.norms.conditional:ConditionalInstanceNorm",
    },
    kinds.ADAPTIVE_NORM: {
        "adain": "i2i.norms.instance:AdaptiveInstanceNorm",
        "adalin": "i2i.norms.mixed:AdaptiveLayerInstanceNorm",
    },
    kinds.ACTIVATION: {
        "relu": "torch.nn:ReLU",
        "leaky_relu": "torch.nn:LeakyReLU",
        "silu": "torch.nn:SiLU",
        "gelu": "torch.nn:GELU",
    },
    kinds.ATTENTION: {
        "cam": "i2i.attention.cam:CAM",
        "residual_cam": "i2i.attention.residual_cam:ResidualCAM",
    },
    kinds.GENERATOR: {
        "resnet": "i2i.generators.resnet:Resnet",
        "content_style": "i2i.generators.content_style:ContentStyle",
        "shared_latent": "i2i.generators.shared_latent:SharedLatent",
        "resnet_adalin": "i2i.generators.resnet_adalin:ResnetAdaLIN",
        "stylegan2_resnet": "i2i.generators.stylegan2_resnet:StyleGAN2Resnet",
        "unet": "i2i.generators.unet:Unet",
        "transformer_net": "i2i.generators.transformer_net:TransformerNet",
    },
    kinds.DISCRIMINATOR: {
        "multiscale": "i2i.discriminators.multiscale:Multiscale",
        "patch": "i2i.discriminators.patch:Patch",
        "encoder_patch": "i2i.discriminators.encoder_patch:EncoderPatch",
        "pixel": "i2i.discriminators.pixel:Pixel",
        "stylegan2": "i2i.discriminators.stylegan2:StyleGAN2",
    },
    kinds.DECODER: {
        "adalin_decoder": "i2i.generators.adalin_decoder:AdaLINDecoder",
        "mirror_decoder": "i2i.generators.mirror_decoder:MirrorDecoder",
    },
    kinds.FEATURE_EXTRACTOR: {
        "timm": "i2i.features.timm_features:TimmFeatures",
    },
    kinds.LOSS: {
        "lsgan": "i2i.losses.adversarial:LSGAN",
        "bce_gan": "i2i.losses.adversarial:BCEGAN",
        "hinge": "i2i.losses.adversarial:Hinge",
        "wgan_gp": "i2i.losses.penalized:WGANGP",
        "r1": "i2i.losses.penalized:R1",
        "dragan": "i2i.losses.penalized:DRAGAN",
        "l1": "i2i.losses.reconstruction:L1",
        "l2": "i2i.losses.reconstruction:L2",
        "ssim": "i2i.losses.reconstruction:SSIM",
        "cam": "i2i.losses.cam:CAMLoss",
        "patch_nce": "i2i.losses.patch_nce:PatchNCE",
        "kl": "i2i.losses.kl:KL",
        "perceptual": "i2i.losses.perceptual:Perceptual",
        "gram": "i2i.losses.perceptual:Gram",
        "mean_std": "i2i.losses.perceptual:MeanStd",
        "tv": "i2i.losses.perceptual:TotalVariation",
    },
    kinds.TRANSLATOR: {
        "cyclic": "i2i.translators.cyclic:Cyclic",
        "latent": "i2i.translators.latent:Latent",
        "one_sided": "i2i.translators.one_sided:OneSided",
        "style": "i2i.translators.style:Style",
        "reused_encoder": "i2i.translators.reused_encoder:ReusedEncoder",
        "paired": "i2i.translators.paired:Paired",
        "adain_style": "i2i.translators.adain_style:AdaINStyle",
        "fast_style": "i2i.translators.fast_style:FastStyle",
    },
    kinds.OPTIMIZER: {
        "adam": "torch.optim:Adam",
        "adamw": "torch.optim:AdamW",
        "rmsprop": "torch.optim:RMSprop",
        "sgd": "torch.optim:SGD",
    },
    kinds.SCHEDULE: {
        "constant": "i2i.training.schedules:Constant",
        "linear_decay": "i2i.training.schedules:LinearDecay",
        "epoch_decay": "i2i.training.schedules:EpochDecay",
        "cosine": "i2i.training.schedules:Cosine",
        "step_decay": "i2i.training.schedules:StepDecay",
        "inverse": "i2i.training.schedules:Inverse",
        "epoch_linear": "i2i.training.epochs:EpochLinear",
        "epoch_step": "i2i.training.epochs:EpochStep",
        "epoch_cosine": "i2i.training.epochs:EpochCosine",
    },
    kinds.DATASET: {
        "folders": "i2i.data.folders:Folders",
        "portraits": "i2i.data.portraits:Portraits",
        "single_image": "i2i.data.single_image:SingleImage",
        "shapes": "i2i.data.shapes:Shapes",
        "portrait_pairs": "i2i.data.portraits:PortraitPairs",
        "paired": "i2i.data.paired:Paired",
        "styles": "i2i.data.styles:Styles",
        "textures": "i2i.data.textures:Textures",
    },
    kinds.METRIC: {
        "l1": "i2i.evaluation.pairwise:L1Distance",
        "psnr": "i2i.evaluation.pairwise:PSNR",
        "ssim": "i2i.evaluation.pairwise:SSIM",
    },
    kinds.IMPORTER: {
        "munit-pytorch": "i2i.importers.munit:munit_pytorch",
        "nicegan-pytorch": "i2i.importers.nicegan:nicegan_pytorch",
        "ugatit-pytorch": "i2i.importers.ugatit:ugatit_pytorch",
        "cut-pytorch": "i2i.importers.cut:cut_pytorch",
        "unit-pytorch": "i2i.importers.munit:unit_pytorch",
        "cyclegan-pytorch": "i2i.importers.cyclegan:cyclegan_pytorch",
        "pix2pix-pytorch": "i2i.importers.pix2pix:pix2pix_pytorch",
    },
}


@hookimpl
def register_components(registry: PluginRegistry) -> None:
    """All of the table above."""
    for kind, components in COMPONENTS.items():
        for name, target in components.items():
            registry.add(kind, name, target)


@hookimpl
def recipe_folders() -> Path:
    """The shipped recipes: inside the package once installed, beside it in a checkout."""
    installed = Path(__file__).parent / "recipes"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "recipes"


@hookimpl
def register_commands(cli: click.Group) -> None:
    """The commands of `i2i`."""
    # Commands are needed on the command line only.
    from i2i.cli import components, importing, plan, recipes, stylize, train, translate

    for command in (
        train.train,
        translate.translate,
        stylize.stylize,
        recipes.check,
        plan.plan,
        recipes.recipes,
        recipes.schema,
        components.list_components,
        components.describe,
        components.plugins,
        importing.import_checkpoint,
    ):
        cli.add_command(command)

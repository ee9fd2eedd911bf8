"""The one file that names every built-in component; each is imported when it is first used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i.core import kinds
from i2i.core.factory import Kind
from i2i.core.hookspecs import hookimpl
from i2i.core.registry import PluginRegistry

if TYPE_CHECKING:
    import click

COMPONENTS: dict[Kind[Any], dict[str, str]] = {
    kinds.NORM: {
        "in": "i2i.nn.norms.instance:InstanceNorm",
        "bn": "i2i.nn.norms.batch:BatchNorm",
        "ln": "i2i.nn.norms.layer:LayerNorm",
        "gn": "i2i.nn.norms.group:GroupNorm",
        "iln": "i2i.nn.norms.mixed:InstanceLayerNorm",
    },
    kinds.ADAPTIVE_NORM: {
        "adain": "i2i.nn.norms.instance:AdaptiveInstanceNorm",
        "adalin": "i2i.nn.norms.mixed:AdaptiveLayerInstanceNorm",
    },
    kinds.ACTIVATION: {
        "relu": "torch.nn:ReLU",
        "leaky_relu": "torch.nn:LeakyReLU",
        "silu": "torch.nn:SiLU",
        "gelu": "torch.nn:GELU",
    },
    kinds.ATTENTION: {
        "cam": "i2i.nn.attention.cam:CAM",
        "residual_cam": "i2i.nn.attention.cam:ResidualCAM",
    },
    kinds.GENERATOR: {
        "resnet": "i2i.nn.generators.resnet:Resnet",
        "content_style": "i2i.nn.generators.content_style:ContentStyle",
        "shared_latent": "i2i.nn.generators.shared_latent:SharedLatent",
        "resnet_adalin": "i2i.nn.generators.resnet_adalin:ResnetAdaLIN",
        "stylegan2_resnet": "i2i.nn.generators.stylegan2_resnet:StyleGAN2Resnet",
        "unet": "i2i.nn.generators.unet:Unet",
        "label_concat": "i2i.nn.generators.label_concat:LabelConcat",
    },
    kinds.DISCRIMINATOR: {
        "multiscale": "i2i.nn.discriminators.multiscale:Multiscale",
        "patch": "i2i.nn.discriminators.patch:Patch",
        "encoder_patch": "i2i.nn.discriminators.encoder_patch:EncoderPatch",
        "pixel": "i2i.nn.discriminators.pixel:Pixel",
        "label_concat": "i2i.nn.discriminators.conditional:LabelConcat",
        "projection_patch": "i2i.nn.discriminators.conditional:ProjectionPatch",
        "stylegan2": "i2i.nn.discriminators.stylegan2:StyleGAN2",
        "augmented": "i2i.nn.discriminators.augmented:Augmented",
        "projected": "i2i.nn.discriminators.projected:Projected",
    },
    kinds.DECODER: {
        "adalin_decoder": "i2i.nn.generators.adalin_decoder:AdaLINDecoder",
    },
    kinds.FEATURE_EXTRACTOR: {
        "timm": "i2i.nn.features.timm_features:TimmFeatures",
    },
    kinds.LOSS: {
        "lsgan": "i2i.nn.losses.adversarial:LSGAN",
        "bce_gan": "i2i.nn.losses.adversarial:BCEGAN",
        "hinge": "i2i.nn.losses.adversarial:Hinge",
        "wgan_gp": "i2i.nn.losses.penalized:WGANGP",
        "wgan_lp": "i2i.nn.losses.penalized:WGANLP",
        "r1": "i2i.nn.losses.penalized:R1",
        "dragan": "i2i.nn.losses.penalized:DRAGAN",
        "l1": "i2i.nn.losses.reconstruction:L1",
        "l2": "i2i.nn.losses.reconstruction:L2",
        "ssim": "i2i.nn.losses.reconstruction:SSIM",
        "cam": "i2i.nn.losses.adversarial:CAMLoss",
        "patch_nce": "i2i.nn.losses.patch_nce:PatchNCE",
        "kl": "i2i.nn.losses.reconstruction:KL",
        "perceptual": "i2i.nn.losses.perceptual:Perceptual",
        "gram": "i2i.nn.losses.perceptual:Gram",
    },
    kinds.TRANSLATOR: {
        "cyclic": "i2i.methods.cyclic:Cyclic",
        "latent": "i2i.methods.latent:Latent",
        "one_sided": "i2i.methods.one_sided:OneSided",
        "dual_contrastive": "i2i.methods.dual_contrastive:DualContrastive",
        "style": "i2i.methods.style:Style",
        "reused_encoder": "i2i.methods.reused_encoder:ReusedEncoder",
        "paired": "i2i.methods.paired:Paired",
        "class_paired": "i2i.methods.class_paired:ClassPaired",
    },
    kinds.OPTIMIZER: {
        "adam": "torch.optim:Adam",
        "adamw": "torch.optim:AdamW",
        "rmsprop": "torch.optim:RMSprop",
        "sgd": "torch.optim:SGD",
        "tf_adam": "i2i.engine.optimizers:TensorFlowAdam",
    },
    kinds.SCHEDULE: {
        "constant": "i2i.engine.schedules:Constant",
        "linear_decay": "i2i.engine.schedules:LinearDecay",
        "epoch_decay": "i2i.engine.schedules:EpochDecay",
        "cosine": "i2i.engine.schedules:Cosine",
        "step_decay": "i2i.engine.schedules:StepDecay",
        "inverse": "i2i.engine.schedules:Inverse",
        "epoch_linear": "i2i.engine.epochs:EpochLinear",
        "epoch_step": "i2i.engine.epochs:EpochStep",
        "epoch_cosine": "i2i.engine.epochs:EpochCosine",
    },
    kinds.DATASET: {
        "folders": "i2i.data.folders:Folders",
        "domains": "i2i.data.domains:Domains",
        "portraits": "i2i.demo.portraits:Portraits",
        "single_image": "i2i.data.single_image:SingleImage",
        "shapes": "i2i.demo.shapes:Shapes",
        "shape_domains": "i2i.demo.shape_domains:ShapeDomains",
        "masked_shapes": "i2i.demo.labelled_shapes:MaskedShapes",
        "shape_classes": "i2i.demo.labelled_shapes:ShapeClasses",
        "portrait_pairs": "i2i.demo.portraits:PortraitPairs",
        "portrait_labels": "i2i.demo.portrait_truth:PortraitLabels",
        "captioned_portraits": "i2i.demo.portrait_truth:CaptionedPortraits",
        "paired": "i2i.data.paired:Paired",
        "masked_folders": "i2i.data.masked:MaskedFolders",
        "label_pairs": "i2i.data.label_pairs:LabelPairs",
        "class_pairs": "i2i.data.class_pairs:ClassPairs",
    },
    kinds.DISCRIMINATOR_AUGMENTATION: {
        "diffaugment": "i2i.nn.augmentation.diffaugment:DiffAugment",
        "ada": "i2i.nn.augmentation.ada:ADA",
    },
    kinds.STAGE: {
        "translate": "i2i.use.stages:Translate",
        "resize": "i2i.use.stages:Resize",
        "repeat": "i2i.use.stages:Repeat",
    },
    kinds.METRIC: {
        "l1": "i2i.evaluation.pairwise:L1Distance",
        "psnr": "i2i.evaluation.pairwise:PSNR",
        "ssim": "i2i.evaluation.pairwise:SSIM",
        "lpips": "i2i.evaluation.perceptual_metrics:LPIPSMetric",
        "feature_distance": "i2i.evaluation.perceptual_metrics:FeatureDistanceMetric",
        "fid": "i2i.evaluation.set_metrics:Frechet",
        "kid": "i2i.evaluation.set_metrics:KID",
        "precision": "i2i.evaluation.set_metrics:Precision",
        "recall": "i2i.evaluation.set_metrics:Recall",
        "density": "i2i.evaluation.set_metrics:Density",
        "coverage": "i2i.evaluation.set_metrics:Coverage",
        "cmmd": "i2i.evaluation.set_metrics:CMMD",
    },
    kinds.IMPORTER: {
        "munit-pytorch": "i2i.methods.weights.munit:munit_pytorch",
        "nicegan-pytorch": "i2i.methods.weights.nicegan:nicegan_pytorch",
        "ugatit-pytorch": "i2i.methods.weights.ugatit:ugatit_pytorch",
        "ugatit-tensorflow": "i2i.methods.weights.ugatit_tf:ugatit_tensorflow",
        "cut-pytorch": "i2i.methods.weights.cut:cut_pytorch",
        "unit-pytorch": "i2i.methods.weights.munit:unit_pytorch",
        "dclgan-pytorch": "i2i.methods.weights.dclgan:dclgan_pytorch",
        "cyclegan-pytorch": "i2i.methods.weights.cyclegan:cyclegan_pytorch",
        "pix2pix-pytorch": "i2i.methods.weights.pix2pix:pix2pix_pytorch",
    },
}


@hookimpl
def register_components(registry: PluginRegistry) -> None:
    """The built-in kinds, and all components of the table above."""
    for kind in kinds.KINDS.values():
        registry.add_kind(kind)
    for kind, components in COMPONENTS.items():
        for name, target in components.items():
            registry.add(kind, name, target)


@hookimpl
def recipe_folders() -> Path:
    """The shipped recipes: inside the installed package, or next to it in a checkout."""
    installed = Path(__file__).parent / "recipes"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "recipes"


@hookimpl
def register_commands(cli: click.Group) -> None:
    """The commands of `i2i`."""
    # Commands are needed on the command line only.
    from i2i.cli import (
        compare,
        components,
        data,
        environment,
        evaluate,
        export,
        import_command,
        importing,
        pipeline,
        plan,
        recipes,
        sample,
        serve,
        share,
        sweep,
        train,
        translate,
        weights,
    )

    for command in (
        train.train,
        translate.translate,
        evaluate.evaluate,
        compare.compare,
        sweep.sweep,
        weights.weights,
        sample.sample,
        export.export,
        pipeline.pipeline,
        serve.serve,
        data.data,
        share.pack,
        share.push,
        environment.env,
        recipes.check,
        plan.plan,
        recipes.recipes,
        recipes.schema,
        components.list_components,
        components.describe,
        components.plugins,
        importing.import_checkpoint,
        import_command.import_command,
    ):
        cli.add_command(command)

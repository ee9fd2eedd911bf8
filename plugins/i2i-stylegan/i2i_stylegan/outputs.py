"""Outputs of translators that generate images from noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

import i2i
from i2i.core.randomness import seed_of
from i2i.methods.outputs import detached, output
from i2i.nn.functional.precision import to_like

if TYPE_CHECKING:
    from i2i_stylegan.style_translators import StyleGAN, StyleGAN2
    from i2i_stylegan.translators import GAN

AUXILIARY = ("classes", "categorical", "continuous")
"""Heads of discriminators that do not tell real from generated images."""
IMAGE = "image"
"""The only domain: that of the data's images."""


class GANOutputs(i2i.GANOutputs):
    """Images from noise, new ones in each phase, and what discriminators say about them.

    Discriminators see generated images before real ones, as in the official implementations; spectral norm and the
    draws of an augmentation depend on the order.
    """

    translator: GAN

    @output(reuse="step")
    def real(self) -> dict[str, Tensor]:
        """Images of the batch, at the size of the networks where these grow."""
        return {IMAGE: self.translator.network_input(self.batch.streams[IMAGE])}

    @property
    def classes(self) -> dict[str, Tensor]:
        """One-hot classes of the real images [B, num_classes]; empty without classes."""
        if not self.translator.conditional:
            return {}
        return {IMAGE: self.translator.one_hot(self.batch.streams[self.translator.label_stream], self.real[IMAGE])}

    @output(reuse="phase")
    def fake_labels(self) -> dict[str, Tensor]:
        """Classes [B] that images are generated for; empty without classes."""
        if not self.translator.conditional:
            return {}
        labels = self.batch.streams[self.translator.label_stream]
        return {IMAGE: self.translator.draw_labels(labels, seed_of(self.batch.seed, self.phase, "labels"))}

    @output(reuse="phase")
    def fake_classes(self) -> dict[str, Tensor]:
        """One-hot classes [B, num_classes] that images are generated for; empty without classes."""
        return {key: self.translator.one_hot(labels, self.real[IMAGE]) for key, labels in self.fake_labels.items()}

    @output(reuse="phase")
    def latent(self) -> dict[str, Tensor]:
        """Latent codes z [B, z_dim]."""
        count = len(self.real[IMAGE])
        return {IMAGE: self.randn("latent", IMAGE, self.real[IMAGE], (count, self.translator.generator.z_dim))}

    @output(reuse="phase", graph_for="generator")
    def fake(self) -> dict[str, Tensor]:
        """Generated images."""
        image = self.translator.generator(self.latent[IMAGE], self.fake_classes.get(IMAGE))
        return {IMAGE: self.translator.full_size(image)}

    @output(reuse="phase")
    def fake_for_discriminator(self) -> Mapping[str, Tensor]:
        """Generated images without a graph."""
        return detached(dict(self.fake))  # type: ignore[no-any-return]

    @output(reuse="phase")
    def real_labels(self) -> dict[str, Tensor]:
        """Classes [B] of the real images; empty without classes."""
        if not self.translator.conditional:
            return {}
        return {IMAGE: self.batch.streams[self.translator.label_stream][: len(self.real[IMAGE])]}

    @property
    def real_class_logits(self) -> dict[str, Tensor]:
        """Logits of the classes of real images [B, num_classes], of discriminators with a head `classes`."""
        _ = self._fake_heads
        return auxiliary(self._real_heads, "classes")

    @property
    def fake_class_logits(self) -> dict[str, Tensor]:
        """Logits of the classes of generated images [B, num_classes], of discriminators with a head `classes`."""
        return auxiliary(self._fake_heads, "classes")

    @property
    def discriminate(self) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
        """The discriminators as functions of an image of the real classes, for losses on their gradients."""

        def logits(image: Tensor) -> dict[str, Tensor]:
            found = adversarial(self._logits(image, self.classes.get(IMAGE)))
            # In its own phase, R1 is the penalty at real images; ADA counts their logits there too.
            heads = self.observed(found) if self.phase == "discriminator_regularization" else found
            return dict(heads)

        return {IMAGE: logits}

    @property
    def generator_weights(self) -> dict[str, tuple[Tensor, ...]]:
        """Weights of the generator with at least two axes, without embeddings of classes."""
        named = self.translator.generator.named_parameters()
        return {IMAGE: tuple(value for name, value in named if value.ndim > 1 and not name.startswith("shared"))}

    @output(reuse="phase")
    def real_logits(self) -> dict[str, Tensor]:
        """Logits of real images, by `image/discriminator/head`."""
        _ = self._fake_heads
        return dict(self.observed(adversarial(self._real_heads)))

    @output(reuse="phase")
    def fake_logits(self) -> dict[str, Tensor]:
        """Logits of generated images: without a graph to the generator where discriminators train."""
        return adversarial(self._fake_heads)

    @output(reuse="phase")
    def _real_heads(self) -> dict[str, Tensor]:
        if self.translator.joint_batches and self.trains("discriminators"):
            return {key: logits[len(self.real[IMAGE]) :] for key, logits in self._joint_heads.items()}
        return self._logits(self.real[IMAGE], self.classes.get(IMAGE))

    @output(reuse="phase")
    def _fake_heads(self) -> dict[str, Tensor]:
        if not self.trains("discriminators"):
            return self._logits(self.fake[IMAGE], self.fake_classes.get(IMAGE))
        if self.translator.joint_batches:
            return {key: logits[: len(self.real[IMAGE])] for key, logits in self._joint_heads.items()}
        return self._logits(self.fake_for_discriminator[IMAGE], self.fake_classes.get(IMAGE))

    @output(reuse="phase")
    def _joint_heads(self) -> dict[str, Tensor]:
        """Logits of generated images, as many as there are real ones, and then of these."""
        images = torch.cat([self.fake_for_discriminator[IMAGE], self.real[IMAGE]])
        classes = torch.cat([self.fake_classes[IMAGE], self.classes[IMAGE]]) if self.translator.conditional else None
        return self._logits(images, classes)

    def _logits(self, image: Tensor, classes: Tensor | None) -> dict[str, Tensor]:
        """Return logits by `image/discriminator/head`."""
        condition = () if classes is None else (classes,)
        return {
            f"{IMAGE}/{name}/{head}": logits
            for name, discriminator in self.translator.discriminators.items()
            for head, logits in discriminator(image, *condition).logits.items()
        }


def adversarial(heads: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the logits that tell real from generated images, without those of classes."""
    return {key: logits for key, logits in heads.items() if key.rpartition("/")[2] not in AUXILIARY}


def auxiliary(heads: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the output of the head with a name, of the first discriminator that has it."""
    found = [logits for key, logits in heads.items() if key.endswith(f"/{name}")]
    return {IMAGE: found[0]} if found else {}


class StyleOutputs(GANOutputs):
    """Images from style vectors, with style mixing."""

    translator: StyleGAN

    @output(reuse="phase", graph_for="generator")
    def styles(self) -> dict[str, Tensor]:
        """Style vectors of each layer [B, num_ws, w_dim], mixed from two latent codes with some probability."""
        return {IMAGE: self._styles(self.latent[IMAGE], self.fake_classes.get(IMAGE))}

    @output(reuse="phase", graph_for="generator")
    def fake(self) -> dict[str, Tensor]:
        """Generated images."""
        return {IMAGE: self.translator.full_size(self.translator.generator.synthesis(self.styles[IMAGE]))}

    def _styles(self, z: Tensor, c: Tensor | None) -> Tensor:
        generator = self.translator.generator
        ws: Tensor = generator.mapping(z, c)
        if not self.translator.style_mixing:
            return ws
        layers = self.translator.mixable_layers
        cutoff = self.translator.mixing_cutoff(layers, seed_of(self.batch.seed, self.phase, "mixing"))
        if cutoff >= layers:
            return ws
        other = self.randn("mixing", IMAGE, z)
        return torch.cat([ws[:, :cutoff], generator.mapping(other, c, update_average=False)[:, cutoff:]], 1)


class StyleGAN2Outputs(StyleOutputs):
    """As for StyleGAN, with the lengths of paths in the space of styles."""

    translator: StyleGAN2

    @property
    def interval(self) -> dict[str, int]:
        """Number of steps between two of the current phase: the factor of a lazy regularization."""
        return {IMAGE: self.translator.phases[self.phase].every}

    @output(reuse="phase", graph_for="generator")
    def path_lengths(self) -> dict[str, Tensor]:
        """Lengths [n] of the gradients of images, projected on noise, in the space of styles, with a graph."""
        count = max(len(self.latent[IMAGE]) // self.translator.path_length_shrink, 1)
        classes = self.fake_classes.get(IMAGE)
        ws = self._styles(self.latent[IMAGE][:count], None if classes is None else classes[:count])
        images = self.translator.generator.synthesis(ws)
        noise = self.randn("path", IMAGE, images) / (images.shape[2] * images.shape[3]) ** 0.5
        (gradient,) = torch.autograd.grad((images * to_like(noise, images)).sum(), ws, create_graph=True)
        # Parameters that only shift the image get a gradient of 0, not none: their optimizer state decays.
        return {IMAGE: gradient.square().sum(2).mean(1).sqrt() + 0 * images[:, 0, 0, 0]}

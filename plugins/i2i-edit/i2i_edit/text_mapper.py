"""Training and files of text mappers: StyleCLIP's networks that change any image by one text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from timm.optim import Lookahead
from torch import Tensor

from i2i.errors import I2IError
from i2i_edit.editor import Editor
from i2i_edit.generator_files import GeneratorFile, check_suffix
from i2i_edit.text import Mapper, embedding_of, identity_distance, text_distance
from i2i_edit.vectors import EditVector

FILE = GeneratorFile("mapper", "i2i-edit mapper 1", "a text mapper", "this mapper belongs")
SHARE = 0.1
"""Factor of a mapper's change."""


@dataclass(frozen=True)
class TextMapper:
    """A trained mapper.

    Args:
        text: what its changes show.
        generator: hash of its generator.
        network: the mapper.
    """

    text: str
    generator: str
    network: Mapper

    @torch.no_grad()
    def change(self, ws: Tensor) -> EditVector:
        """Return the change of style vectors [1, num_ws, w_dim], or one for each of a batch."""
        change = SHARE * self.network(ws)
        return EditVector(self.text, self.generator, change[0] if len(ws) == 1 else change, {}, "text mapper")


def train_mapper(
    editor: Editor,
    text: str,
    encoder: Any,
    steps: int = 50_000,
    batch_size: int = 2,
    rate: float = 0.5,
    keep: float = 0.8,
    text_weight: float = 1.0,
    identity: Callable[[Tensor], Tensor] | None = None,
    identity_weight: float = 0.1,
    levels: Sequence[Literal["coarse", "medium", "fine"]] = ("coarse", "medium", "fine"),
    normalize: Literal["layers", "features"] = "features",
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> TextMapper:
    """Train a mapper for a text on style vectors of random codes.

    The optimizer is Ranger: RAdam with gradients centralized and looking ahead by 6 steps.

    Args:
        editor: of the run.
        text: what images should show.
        encoder: of texts and images.
        steps: number of steps.
        batch_size: number of images in a step.
        rate: learning rate.
        keep: weight of the mean squared change of style vectors.
        text_weight: weight of the distance from the text.
        identity: features of aligned faces; see `Editor.project`.
        identity_weight: its weight.
        levels: groups of layers that are changed.
        normalize: see `Mapper`.
        seed: of weights and codes.
        progress: called after each step with its number and the loss.

    Raises:
        I2IError: the text is empty, or the generator has no layers of these levels.

    Source: Patashnik et al., StyleCLIP, ICCV 2021, arXiv:2103.17249, section 5; orpatashnik/StyleCLIP f87a47f.
    """
    there = [
        level for level, start in zip(Mapper.LEVELS, Mapper.STARTS, strict=True) if start < editor.generator.num_ws
    ]
    if not set(there) & set(levels):
        raise I2IError(f"levels: this generator has {' and '.join(there)} layers, got {' and '.join(levels) or 'none'}")
    wanted, scale = embedding_of(encoder, (text,))[None], float(getattr(encoder, "scale", 1.0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Mapper(editor.generator.w_dim, levels, normalize).to(editor.device)
    optimizer = Lookahead(
        torch.optim.RAdam(network.parameters(), lr=rate, betas=(0.95, 0.999), eps=1e-5), alpha=0.5, k=6
    )
    for step in range(steps):
        with torch.no_grad():
            ws = editor.translator.styles(range(seed + step * batch_size, seed + (step + 1) * batch_size))
            original = editor.synthesize(ws) if identity is not None else None
        change = SHARE * network(ws)
        image = editor.synthesize(ws + change)
        distance = text_distance(encoder.embed_image(image), wanted, scale).mean()
        loss = text_weight * distance + keep * change.square().mean()
        if identity is not None and original is not None:
            loss = loss + identity_weight * identity_distance(image, original, identity).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        for parameter in network.parameters():
            if parameter.grad is not None and parameter.ndim > 1:
                parameter.grad -= parameter.grad.mean(1, keepdim=True)
        optimizer.step()
        if progress is not None:
            progress(step, float(loss.detach()))
    return TextMapper(text, editor.hash, network.eval().requires_grad_(False))


def save_mapper(mapper: TextMapper, path: Path) -> None:
    """Write a mapper as safetensors."""
    check_suffix(path)
    network = mapper.network
    facts = {
        "text": mapper.text,
        "generator": mapper.generator,
        "levels": list(network.networks),
        "normalize": "layers" if network.axis == 1 else "features",
    }
    FILE.write(path, network.state_dict(), facts)


def load_mapper(path: Path, editor: Editor) -> TextMapper:
    """Read a mapper for a run.

    Raises:
        I2IError: the file is missing, is something else, or belongs to another generator.
    """

    def parsed(facts: dict[str, Any], tensors: dict[str, Tensor]) -> TextMapper:
        network = Mapper(editor.generator.w_dim, facts["levels"], facts["normalize"])
        network.load_state_dict(tensors)
        return TextMapper(str(facts["text"]), editor.hash, network.to(editor.device).requires_grad_(False))

    return FILE.read(path, editor.hash, parsed)

"""Forward passes that are exported, each with the names, examples and free dimensions of its inputs."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from i2i.core.contracts import Stream
from i2i.errors import I2IError
from i2i.methods.translator import Translator
from i2i.use.loaded import Loaded


class ExportableGenerator(Protocol):
    """A translator that generates images from noise and can be exported: its images follow from tensors alone."""

    has_noise_maps: bool
    """Whether images depend on stored noise maps, which can be an input instead."""

    def sample_inputs(self, seeds: Sequence[int], noise: bool = False) -> dict[str, Tensor]:
        """Return what `sample` draws for each seed, by the names of the inputs of an exported file.

        Args:
            seeds: as for `sample`; tensors have a row for each, or one row that all images share.
            noise: add an input `noise` in place of the stored noise maps.
        """
        ...

    def sample_from(self, **inputs: Tensor) -> Tensor:
        """Return the images [B, C, H, W] of such tensors."""
        ...


class ForwardPass(nn.Module):
    """A translation, or a generation of images from noise, as one forward pass of tensors.

    Args:
        translator: the translator; its precision is that of the pass, inputs and output are float32.
        names: names of the inputs, in order.
        to: domain to translate to; None to generate images from noise.
    """

    def __init__(self, translator: Translator, names: Sequence[str], to: str | None) -> None:
        super().__init__()
        self.translator, self.names, self.to_domain = translator, tuple(names), to
        self.dtype = next(translator.parameters()).dtype

    # Not `*inputs`, of which torch.export loses the guards.
    def forward(
        self, first: Tensor, second: Tensor | None = None, third: Tensor | None = None, fourth: Tensor | None = None
    ) -> Tensor:
        values = [value for value in (first, second, third, fourth) if value is not None]
        values = [value.to(self.dtype) if value.is_floating_point() else value for value in values]
        inputs, translator = dict(zip(self.names, values, strict=True)), self.translator
        if self.to_domain is None:
            image: Tensor = translator.sample_from(**inputs)  # type: ignore[operator]  # of an ExportableGenerator
        else:
            image = translator.translate(inputs.pop("image"), self.to_domain, **inputs).image
        return image.float()


class Graph(NamedTuple):
    """What is exported: one forward pass, two sets of its inputs, and their free dimensions, by preference."""

    module: ForwardPass
    samples: tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
    dynamic: Sequence[tuple[Any, ...]]


def condition_input(translator: Translator) -> str | None:
    """Return the condition that becomes an input of an exported file.

    That is the required one, else `style`, else one that is a stream of the data, such as hints, else None.
    """
    parameters = inspect.signature(translator.translate).parameters
    names = [name for name in translator.conditions() if name in parameters]
    required = [name for name in names if parameters[name].default is inspect.Parameter.empty]
    if len(required) > 1:
        raise I2IError(f"export: expected a method with one required condition, got {', '.join(required)}")
    if translator.requires_condition and not required and len(names) == 1:
        return names[0]
    optional = [name for name in names if name == "style"] + [name for name in names if name in translator.streams]
    return (*required, *optional, None)[0]


def translation_graph(loaded: Loaded, translator: Translator, to: str) -> Graph:
    """Return the translation to a domain, with inputs of two batch sizes and image sizes."""
    loaded.check(to, {})
    batch, size = 1 if loaded.constraints.batch_dependent else 2, _size(loaded)
    sample = _inputs(loaded, to, batch, size)
    other = _inputs(loaded, to, *_other(loaded, batch, size))
    names = ("image", str(condition_input(translator)))[: len(sample)]
    # Style images have a size of their own; frames, hints and the like have the image's, which torch.export must know.
    sizes = [True, False] if len(sample) > 1 and sample[1].ndim == 4 and names[1] != "style" else [False]
    shapes = [_dynamic_shapes(loaded, sample, same_size) for same_size in sizes]
    if loaded.constraints.fixed_size is not None and len(sample) > 1:
        shapes.append((shapes[0][0], {}))  # networks of one size may look at the second image, too
    return Graph(ForwardPass(translator, names, to), (sample, other), shapes)


def generation_graph(loaded: Loaded, translator: Any, noise: bool) -> Graph:
    """Return the generation of images from noise, with inputs of two batch sizes."""
    if not hasattr(translator, "sample_from"):
        raise I2IError(
            f"export: {loaded.recipe.name} translates no images, and its translator has no sample_from, which would "
            f"generate images from tensors"
        )
    if noise and not translator.has_noise_maps:
        raise I2IError(f"export: the generator of {loaded.recipe.name} has no noise maps; omit --noise input")
    with torch.no_grad():
        sample, other = (translator.sample_inputs(range(count), noise=noise) for count in (2, 3))
    batch = torch.export.Dim("batch")  # the same in all inputs
    dynamic = tuple({0: batch} if len(value) == 2 else {} for value in sample.values())
    samples = (tuple(sample.values()), tuple(other.values()))
    return Graph(ForwardPass(translator, tuple(sample), None), samples, [dynamic])


def _size(loaded: Loaded) -> tuple[int, int]:
    """Return height and width of the example: the fixed size, or a legal one whose sides differ."""
    if loaded.constraints.fixed_size is not None:
        return loaded.constraints.fixed_size
    multiple = loaded.constraints.multiple
    side = -(-max(loaded.smallest_size, 4 * multiple) // multiple) * multiple
    return side + multiple, side + 2 * multiple


def _other(loaded: Loaded, batch: int, size: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """Return another batch size and another image size, where the networks take them."""
    multiple = loaded.constraints.multiple
    other = size if loaded.constraints.fixed_size else (size[0] + 3 * multiple, size[1] + multiple)
    return (1 if loaded.constraints.batch_dependent else batch + 1), other


def _inputs(loaded: Loaded, to: str, batch: int, size: tuple[int, int]) -> tuple[Tensor, ...]:
    """Return random inputs: an image, and the condition: a style code, a class, or an image where one is needed."""
    draws = torch.Generator().manual_seed(batch)
    translator: Any = loaded.translator
    image = torch.rand(batch, translator.input_stream(to).channels, *size, generator=draws) * 2 - 1
    name = condition_input(translator)
    if name is None:
        return (image,)
    stream = translator.streams.get(name)
    # A data set may number its styles for one method, while another method takes images of them.
    if stream is not None and stream.role == "label" and name in translator.required_streams:
        return image, torch.randint(max(2, stream.channels), (1,), generator=draws)
    if name != "style" or translator.requires_condition:
        streams = [translator.streams[one] for one in (name, to) if one in translator.streams]
        like = next((stream for stream in streams if stream.role != "label"), Stream("image"))
        return image, torch.rand(1, like.channels, *size, generator=draws) * 2 - 1
    codes = getattr(translator, "style_channels", None) or getattr(translator, "styles", None)
    if codes is None:
        return (image,)
    return image, torch.rand(1, int(codes), generator=draws)


def _dynamic_shapes(loaded: Loaded, inputs: Sequence[Tensor], same_size: bool) -> tuple[Any, ...]:
    """Return for each input the dimensions that may change; a second image may have another size, or the same one."""
    free = torch.export.Dim.DYNAMIC
    image: dict[int, Any] = {} if loaded.constraints.batch_dependent else {0: free}
    sides: dict[int, Any] = {2: free, 3: free}
    if same_size:
        names = {2: "height", 3: "width"}
        sides = {axis: loaded.constraints.multiple * torch.export.Dim(name) for axis, name in names.items()}
    if loaded.constraints.fixed_size is None:
        image |= sides
    return (image, *(sides if style.ndim == 4 else {} for style in inputs[1:]))

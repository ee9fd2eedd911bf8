"""CLIP with a vision transformer, in the layout of OpenAI's weights, and its tokens."""

from __future__ import annotations

import gzip
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.errors import CheckpointError, I2IError, OptionError
from i2i.methods.weights.official_files import Report, network_in
from i2i.nn.layers.sigmoid_gelu import SigmoidGELU
from i2i.nn.weight_files import few

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
HEAD_WIDTH = 64
"""Width of an attention head of both networks."""
VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"


class ResidualAttentionBlock(nn.Module):
    """Attention and a perceptron, each after a layer norm and added to its input.

    Args:
        width: length of all vectors.
        heads: number of attention heads.
        causal: whether a place sees only itself and those before it.
    """

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(c_fc=nn.Linear(width, 4 * width), gelu=SigmoidGELU(), c_proj=nn.Linear(4 * width, width))
        )

    def forward(self, x: Tensor) -> Tensor:
        y, mask = self.ln_1(x), None
        if self.causal:
            mask = torch.full((x.shape[1], x.shape[1]), float("-inf"), dtype=x.dtype, device=x.device).triu_(1)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class Transformer(nn.Module):
    """Residual attention blocks.

    Args:
        width: length of all vectors.
        depth: number of blocks.
        heads: number of attention heads.
        causal: whether a place sees only itself and those before it.
    """

    def __init__(self, width: int, depth: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.resblocks = nn.Sequential(*(ResidualAttentionBlock(width, heads, causal) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.resblocks(x)
        return out


class VisionTransformer(nn.Module):
    """Embeds images by attention between patches.

    Args:
        resolution: side of the images in pixels.
        patch: side of a patch.
        width: length of all vectors.
        depth: number of blocks.
        embedding: length of the result.
    """

    def __init__(self, resolution: int, patch: int, width: int, depth: int, embedding: int) -> None:
        super().__init__()
        scale = width**-0.5
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(scale * torch.randn(width))
        self.positional_embedding = nn.Parameter(scale * torch.randn((resolution // patch) ** 2 + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Transformer(width, depth, width // HEAD_WIDTH)
        self.proj = nn.Parameter(scale * torch.randn(width, embedding))

    def forward(self, image: Tensor) -> Tensor:
        """Return embeddings [B, embedding] of prepared images [B, 3, resolution, resolution]."""
        x = self.conv1(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], 1) + self.positional_embedding
        x = self.transformer(self.ln_pre(x))
        return self.ln_post(x[:, 0]) @ self.proj


class CLIP(nn.Module):
    """Embeds images and tokens of texts in one space; names of weights are OpenAI's.

    Args:
        embed_dim: length of embeddings.
        image_resolution: side of the images in pixels.
        vision_layers: blocks of the network for images.
        vision_width: length of its vectors.
        vision_patch_size: side of a patch in pixels.
        context_length: number of tokens of a text.
        vocab_size: number of different tokens.
        transformer_width: length of the vectors of the network for texts.
        transformer_heads: its attention heads.
        transformer_layers: its blocks.

    Source: Radford et al., ICML 2021, arXiv:2103.00020; openai/CLIP d05afc4.
    """

    def __init__(
        self,
        embed_dim: int = 512,
        image_resolution: int = 224,
        vision_layers: int = 12,
        vision_width: int = 768,
        vision_patch_size: int = 32,
        context_length: int = 77,
        vocab_size: int = 49408,
        transformer_width: int = 512,
        transformer_heads: int = 8,
        transformer_layers: int = 12,
    ) -> None:
        super().__init__()
        self.image_resolution, self.context_length, self.vocab_size = image_resolution, context_length, vocab_size
        self.visual = VisionTransformer(image_resolution, vision_patch_size, vision_width, vision_layers, embed_dim)
        self.transformer = Transformer(transformer_width, transformer_layers, transformer_heads, causal=True)
        self.token_embedding = nn.Embedding(vocab_size, transformer_width)
        self.positional_embedding = nn.Parameter(0.01 * torch.randn(context_length, transformer_width))
        self.ln_final = nn.LayerNorm(transformer_width)
        self.text_projection = nn.Parameter(transformer_width**-0.5 * torch.randn(transformer_width, embed_dim))
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def encode_image(self, image: Tensor) -> Tensor:
        """Return embeddings [B, embed_dim] of prepared images."""
        embedding: Tensor = self.visual(image)
        return embedding

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Return embeddings [n, embed_dim] of tokens [n, context_length]: at the token with the largest number."""
        x = self.transformer(self.token_embedding(tokens) + self.positional_embedding)
        last = x[torch.arange(len(x), device=x.device), tokens.argmax(1)]
        return self.ln_final(last) @ self.text_projection

    def forward(self, image: Tensor, tokens: Tensor) -> Tensor:
        """Return logits [B, n]: cosines of images and texts times a learned factor."""
        image, text = F.normalize(self.encode_image(image), dim=1), F.normalize(self.encode_text(tokens), dim=1)
        return self.logit_scale.exp() * image @ text.T


def clip_from(state: Mapping[str, Tensor], name: str = "the weights") -> CLIP:
    """Build CLIP from OpenAI's state dict; sizes follow from the shapes.

    Args:
        state: weights by OpenAI's names.
        name: of the file, for messages.

    Raises:
        CheckpointError: they are something else, such as CLIP with a ResNet.
    """
    weights = {
        key: value for key, value in state.items() if key not in ("input_resolution", "context_length", "vocab_size")
    }
    try:
        width, _, patch, _ = weights["visual.conv1.weight"].shape
        places, embedding = weights["visual.positional_embedding"].shape[0], weights["text_projection"].shape[1]
        text_width = weights["ln_final.weight"].shape[0]
        context, vocabulary = weights["positional_embedding"].shape[0], weights["token_embedding.weight"].shape[0]
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{name}: expected CLIP with a vision transformer, found {few(state)}") from error

    def depth(prefix: str) -> int:
        return len({key.removeprefix(prefix).split(".")[0] for key in weights if key.startswith(prefix)})

    vision_depth, text_depth = depth("visual.transformer.resblocks."), depth("transformer.resblocks.")
    side = round((places - 1) ** 0.5) * patch
    with torch.random.fork_rng(devices=[]):
        network = CLIP(
            *(embedding, side, vision_depth, width, patch),
            *(context, vocabulary, text_width, max(text_width // HEAD_WIDTH, 1), text_depth),
        )
    expected = {key: value.shape for key, value in network.state_dict().items()}
    wrong = [key for key in {**expected, **weights} if key not in weights or expected.get(key) != weights[key].shape]
    if wrong:
        raise CheckpointError(f"{name} does not fit CLIP: {few(wrong)}")
    dtype = next(value.dtype for value in weights.values() if value.is_floating_point())
    network.to(torch.float32 if dtype == torch.float16 else dtype).load_state_dict(weights)
    return network.eval().requires_grad_(False)


class CLIPEncoder(nn.Module):
    """OpenAI's CLIP with a vision transformer, from a file of its state dict.

    Args:
        weights: file of the state dict, safetensors or written by `torch.save`; a TorchScript archive is no such file.
        vocabulary: OpenAI's file `bpe_simple_vocab_16e6.txt.gz`.
        preprocessing: `styleclip` enlarges by 7 and averages down to CLIP's resolution, without CLIP's mean and
            deviation; `clip` resizes by a bicubic filter and normalizes.

    Raises:
        OptionError: a file is missing.
        CheckpointError: the weights do not fit.

    Source: Radford et al., ICML 2021, arXiv:2103.00020; Patashnik et al., arXiv:2103.17249, for `styleclip`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, weights: Path, vocabulary: Path, preprocessing: Literal["styleclip", "clip"] = "styleclip"
    ) -> None:
        super().__init__()
        self.clip = clip_from(network_in(Path(weights), Report(), (), "CLIP"), str(weights))
        if not Path(vocabulary).is_file():
            raise OptionError("vocabulary", f"expected OpenAI's file {VOCABULARY}, found nothing at {vocabulary}")
        self.tokens, self.preprocessing = BytePairs.read(Path(vocabulary)), preprocessing
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1))

    @property
    def scale(self) -> float:
        """Factor of cosines in StyleCLIP's loss: a hundredth of the learned factor, 1 for the published weights."""
        return float(self.clip.logit_scale.exp()) / 100

    def embed_image(self, image: Tensor) -> Tensor:
        """Return embeddings [B, D] of images [B, 3, H, W] in [-1, 1]."""
        side = self.clip.image_resolution
        if self.preprocessing == "styleclip":
            return self.clip.encode_image(enlarged(image, side))
        resized = F.interpolate(image, (side, side), mode="bicubic", antialias=True, align_corners=False)
        return self.clip.encode_image(((resized + 1) / 2 - self.mean.to(image)) / self.std.to(image))

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Return embeddings [n, D] of texts."""
        tokens = torch.stack([self.tokens.encode(text, self.clip.context_length) for text in texts])
        return self.clip.encode_text(tokens.to(self.mean.device))


def enlarged(image: Tensor, side: int = 224) -> Tensor:
    """Enlarge square images by 7 to the nearest pixel, and average them down to a side, as StyleCLIP does."""
    large = F.interpolate(image, scale_factor=7, mode="nearest")
    factor, rest = divmod(large.shape[2], side)
    return F.avg_pool2d(large, factor) if factor and not rest else F.adaptive_avg_pool2d(large, side)


class BytePairs:
    """Tokens of texts: bytes that are merged by a list of pairs.

    Args:
        merges: pairs, the most frequent first.

    Source: Sennrich et al., ACL 2016, arXiv:1508.07909; the bytes' characters are those of GPT-2.
    """

    START, END = "<|startoftext|>", "<|endoftext|>"
    WORDS = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|(?:[^\s\w]|_)+", re.IGNORECASE)

    def __init__(self, merges: Sequence[tuple[str, str]]) -> None:
        self.characters = _byte_characters()
        single = list(self.characters.values())
        entries = [
            *single,
            *(one + "</w>" for one in single),
            *("".join(pair) for pair in merges),
            self.START,
            self.END,
        ]
        self.numbers = {entry: number for number, entry in enumerate(entries)}
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}

    @classmethod
    def read(cls, path: Path) -> BytePairs:
        """Read OpenAI's list of merges.

        Raises:
            OptionError: the file is something else.
        """
        try:
            lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
            pairs = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
            return cls([(first, second) for first, second in pairs])
        except (OSError, EOFError, UnicodeDecodeError, ValueError) as error:
            raise OptionError("vocabulary", f"{path}: expected OpenAI's file {VOCABULARY}") from error

    def encode(self, text: str, length: int) -> Tensor:
        """Return the tokens [length] of a text, between a start and an end, padded with 0.

        Raises:
            I2IError: the text is empty or too long.
        """
        words = self.WORDS.findall(" ".join(text.lower().split()))
        if not words:
            raise I2IError("text: expected words such as red hair, got an empty text")
        pieces = [piece for word in words for piece in self._pieces(word)]
        found = [self.numbers[piece] for piece in (self.START, *pieces, self.END)]
        if len(found) > length:
            raise I2IError(f"text: expected at most {length - 2} tokens, got {len(found) - 2}")
        return torch.tensor(found + [0] * (length - len(found)))

    def _pieces(self, word: str) -> list[str]:
        parts = [self.characters[byte] for byte in word.encode("utf-8")]
        parts[-1] += "</w>"
        while len(parts) > 1:
            place = min(range(len(parts) - 1), key=lambda i: self.ranks.get((parts[i], parts[i + 1]), len(self.ranks)))
            if (parts[place], parts[place + 1]) not in self.ranks:
                break
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        return parts


@lru_cache(maxsize=1)
def _byte_characters() -> dict[int, str]:
    """Return a printable character for each byte; the printable ones stand for themselves and come first."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}

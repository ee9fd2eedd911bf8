"""CLIP and StyleCLIP's three ways agree with the official code."""

from __future__ import annotations

import re

import torch
from i2i_edit.clip import clip_from, enlarged
from i2i_edit.projection import learning_rate
from i2i_edit.text import (
    Mapper,
    channel_relevance,
    face_crop,
    global_direction,
    identity_distance,
    mapper_weights,
    optimize_text,
    text_change,
    text_distance,
)
from official_figures import Figures, relative_error
from stylegan_parity import check_component
from torch import Tensor
from torch.nn import functional as F

TOLERANCE = 1e-10


def tiny_clip(figures: Figures):
    network = clip_from(figures.tensors("param/")).double()
    return network, float(network.logit_scale.exp()) / 100


def test_clip(golden) -> None:
    figures = golden("clip/tiny_clip")
    network, _ = tiny_clip(figures)
    network.requires_grad_(True)
    image, tokens = figures.tensor("input/image").double().requires_grad_(), figures.tensor("input/tokens")
    cases = {
        "image_embedding": lambda: network.encode_image(image),
        "text_embedding": lambda: network.encode_text(tokens),
        "logits_per_image": lambda: network(image, tokens),
    }
    check_component(network, figures, {"image": image}, cases)


def test_clip_loss(golden) -> None:
    figures, (network, scale) = golden("styleclip/optimizer_and_losses"), tiny_clip(golden("clip/tiny_clip"))
    image = figures.tensor("clip_loss/image").double().requires_grad_()
    pooled = enlarged(image, 224)
    assert relative_error(pooled[:, :, ::16, ::16], figures["clip_loss/pooled64"]) <= TOLERANCE
    text = network.encode_text(figures.tensor("clip_loss/tokens"))
    value = text_distance(network.encode_image(F.adaptive_avg_pool2d(pooled, network.image_resolution)), text, scale)
    assert relative_error(value, figures["clip_loss/value64"]) <= TOLERANCE
    value.sum().backward()
    assert relative_error(image.grad, figures["clip_loss/grad64"]) <= TOLERANCE


def test_identity(golden) -> None:
    figures = golden("styleclip/optimizer_and_losses")
    one, other = (figures.tensor(f"id/{name}").double() for name in "ab")
    assert relative_error(face_crop(one)[:, :, ::8, ::8], figures["id/crop64"]) <= TOLERANCE
    projection = figures.tensor("id/face_projection").double()

    def network(face: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(face, 28).flatten(1) @ projection

    found = identity_distance(one, other, network).mean()
    assert relative_error(found, figures["id/value64"]) <= TOLERANCE


def test_optimizer(golden) -> None:
    figures, (network, scale) = golden("styleclip/optimizer_and_losses"), tiny_clip(golden("clip/tiny_clip"))
    matrix, size = figures.tensor("optimizer/A").double(), figures.config["stylegan_size"]
    text = network.encode_text(figures.tensor("optimizer/tokens")).detach()

    def synthesis(ws: Tensor) -> Tensor:
        side = (ws.flatten(1) @ matrix).tanh().view(-1, 3, size, 1)
        return side * side.transpose(2, 3)

    def distance(image: Tensor) -> Tensor:
        small = F.adaptive_avg_pool2d(enlarged(image, 224), network.image_resolution)
        return text_distance(network.encode_image(small), text, scale)[:, 0]

    count = len([key for key in figures if key.endswith("/loss64")])
    words = figures.config["optimizer"]
    rate, keep = (float(re.search(pattern, words)[1]) for pattern in (r"get_lr\([^,]+, ([\d.]+)\)", r"([\d.]+)\*sum"))
    steps = list(optimize_text(synthesis, distance, figures.tensor("optimizer/w0").double(), count, rate, keep))
    for index, step in enumerate(steps):
        prefix = f"optimizer/step{index}/"
        assert relative_error(step.text[None], figures[f"{prefix}clip64"]) <= TOLERANCE
        assert relative_error(step.change[0], figures[f"{prefix}l2_64"]) <= TOLERANCE
        assert relative_error(step.loss[None], figures[f"{prefix}loss64"]) <= TOLERANCE
    assert relative_error(steps[-1].ws, figures["optimizer/w_final64"]) <= TOLERANCE
    rates = figures.tensor("optimizer/lr_300")
    found = torch.tensor([learning_rate(step / len(rates), rate) for step in range(len(rates))], dtype=torch.float64)
    assert relative_error(found, rates) <= TOLERANCE


def test_mapper(golden) -> None:
    figures = golden("styleclip/levels_mapper")
    switches = figures.config["switches"]
    levels = [ours for ours in Mapper.LEVELS if not switches[f"no_{ours}_mapper"]]
    mapper = Mapper(figures.config["latent_dim"], levels, normalize="layers")
    mapper.load_state_dict(mapper_weights(figures.tensors("param/")))
    mapper = mapper.double()
    ws = figures.tensor("input/w").double().requires_grad_()
    cases = {"delta": lambda: mapper(ws), "w_hat": lambda: ws + 0.1 * mapper(ws)}

    def official(name: str) -> str:
        _, level, index, kind = name.split(".")
        return f"{'course' if level == 'coarse' else level}_mapping.mapping.{int(index) + 1}.{kind}"

    check_component(mapper, figures, {"w": ws}, cases, parameters=official)


def test_global_direction(golden) -> None:
    figures = golden("styleclip/global_direction")
    names, editable = figures.config["names"], figures.config["non_rgb_layers"]
    relevance = channel_relevance(figures.tensor("image_features"))
    assert relative_error(relevance, figures["channel_directions64"]) <= TOLERANCE
    change = text_change(figures.tensor("text_target"), figures.tensor("text_neutral"))
    assert relative_error(change, figures["dt64"]) <= TOLERANCE
    deviations = {names[i]: figures.tensor(f"s/{i}").std(0, unbiased=False) for i in editable}
    for case in [key.removesuffix("/channels") for key in figures if key.endswith("/channels")]:
        found, count = global_direction(relevance, change, deviations, float(case.removeprefix("beta")))
        assert count == int(figures.tensor(f"{case}/channels"))
        for index, name in enumerate(names):
            expected = figures.tensor(f"{case}/direction/{index}")
            assert relative_error(found.get(name, torch.zeros_like(expected)), expected) <= TOLERANCE, name

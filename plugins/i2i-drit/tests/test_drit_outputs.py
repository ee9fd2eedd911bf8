"""The outputs of a batch: halves of the batch, the cross-cycle, discriminators by key, and random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.core.contracts import Batch
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe

Tiny = Callable[..., Recipe]
Images = Callable[..., dict[str, Tensor]]


def test_the_first_half_is_encoded_and_the_second_is_real_for_random_fakes(tiny: Tiny, images: Images) -> None:
    translator = build(tiny("drit"))
    batch = images(5)
    outputs: Any = translator.start_phase(Batch(batch), "discriminator")
    assert torch.equal(outputs.real["a"], batch["a"][:2])
    assert torch.equal(outputs.real["b_random"], batch["b"][3:])
    count = {key.split("/")[0]: len(logits) for key, logits in outputs.fake_logits.items()}
    assert count == {"a": 2, "b": 2, "a_random": 2, "b_random": 2}
    assert outputs.real_logits.keys() == outputs.fake_logits.keys()
    single: Any = translator.start_phase(Batch(images(1)), "discriminator")
    assert torch.equal(single.real["a"], single.real["a_random"])


def test_fakes_with_random_attributes_have_discriminators_of_their_own(tiny: Tiny, images: Images) -> None:
    translator: Any = build(tiny("drit"))
    batch = Batch(images())
    outputs: Any = translator.start_phase(batch, "generator")
    assert {key.split("/")[0] for key in outputs.fake_logits} == {"a", "b"}
    torch.testing.assert_close(
        outputs.fake_logits["b/multiscale/scale_0"],
        translator.discriminators["b"]["multiscale"](outputs.fake["b"]).logits["scale_0"],
    )
    outputs = translator.start_phase(batch, "random")
    assert {key.split("/")[0] for key in outputs.fake_logits} == {"a_random", "b_random"}
    torch.testing.assert_close(
        outputs.fake_logits["b_random/multiscale/scale_0"],
        translator.discriminators["b_random"]["multiscale"](outputs.random_fake["b_random"]).logits["scale_0"],
    )


def test_outputs_follow_the_formulas_of_the_cross_cycle(tiny: Tiny, images: Images) -> None:
    translator: Any = build(tiny("drit")).eval()  # without noise
    outputs: Any = translator.start_phase(Batch(images()), "generator")
    generator, real = translator.generator, outputs.real
    content = {d: generator.encode_content(real[d], d) for d in "ab"}
    attribute = {d: generator.encode_attribute(real[d], d).mean for d in "ab"}
    fake = {d: generator.decode(content["b" if d == "a" else "a"], attribute[d], d) for d in "ab"}
    attribute_of_fake = generator.encode_attribute(fake["a"], "a").mean
    cycle = generator.decode(generator.encode_content(fake["b"], "b"), attribute_of_fake, "a")
    torch.testing.assert_close(outputs.fake["a"], fake["a"])
    torch.testing.assert_close(outputs.fake["b"], fake["b"])
    torch.testing.assert_close(outputs.cycle["a"], cycle)
    torch.testing.assert_close(outputs.reconstruction["b"], generator.decode(content["b"], attribute["b"], "b"))
    random = generator.decode(content["a"], outputs.random_attribute["b_random"], "b")
    torch.testing.assert_close(outputs.random_fake["b_random"], random)
    regressed = generator.encode_attribute(random, "b").mean
    torch.testing.assert_close(outputs.attribute_reconstruction["b_random"], regressed)
    assert not torch.equal(outputs.second_attribute["b_random"], outputs.random_attribute["b_random"])


def test_noise_is_drawn_in_training_only_and_follows_the_seed(tiny: Tiny, images: Images) -> None:
    translator: Any = build(tiny("drit"))
    batch = images()
    first, same, other = (translator.start_phase(Batch(batch, seed=seed), "generator") for seed in (1, 1, 2))
    for name in ("noisy_content", "attribute", "random_attribute", "second_attribute", "cycle"):
        value = next(iter(getattr(first, name).values()))
        assert torch.equal(value, next(iter(getattr(same, name).values()))), name
        assert not torch.equal(value, next(iter(getattr(other, name).values()))), name
    noise = first.noisy_content["a"] - first.content["a"]
    assert float(noise.detach().std()) == pytest.approx(1, abs=0.1)
    deviation = (first.attribute_log_variance["a"] / 2).exp()
    drawn = (first.attribute["a"] - first.attribute_mean["a"]) / deviation
    assert drawn.abs().max() > 0.1
    translator.eval()
    evaluated: Any = translator.start_phase(Batch(batch, seed=1), "generator")
    assert torch.equal(evaluated.noisy_content["a"], evaluated.content["a"])
    assert torch.equal(evaluated.attribute["a"], evaluated.attribute_mean["a"])


def test_each_discriminator_runs_once_for_real_images_and_once_for_fakes(tiny: Tiny, images: Images) -> None:
    translator: Any = build(tiny("drit"))
    batch_sizes: list[int] = []
    network = translator.discriminators["b_random"]["multiscale"]
    network.register_forward_hook(lambda _, inputs, __: batch_sizes.append(len(inputs[0])))
    outputs: Any = translator.start_phase(Batch(images(4)), "discriminator")
    assert set(outputs.real_logits) == set(outputs.fake_logits)
    assert sum(batch_sizes) == 2 + 2
    assert not outputs.random_fake["b_random"].requires_grad  # nothing is trained through it in this phase

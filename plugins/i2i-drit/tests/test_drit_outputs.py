"""What a batch becomes: pairs, swapped and swapped back, judged on their own paths, and what is drawn for them."""

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


def test_a_batch_is_one_pair_encoded_and_one_to_compare_with(tiny: Tiny, images: Images) -> None:
    translator = build(tiny("drit"))
    batch = images(5)
    made: Any = translator.start_phase(Batch(batch), "discriminator")
    assert torch.equal(made.real["a"], batch["a"][:2])
    assert torch.equal(made.real["b_random"], batch["b"][3:])
    count = {key.split("/")[0]: len(logits) for key, logits in made.fake_logits.items()}
    assert count == {"a": 2, "b": 2, "a_random": 2, "b_random": 2}
    assert made.real_logits.keys() == made.fake_logits.keys()
    alone: Any = translator.start_phase(Batch(images(1)), "discriminator")
    assert torch.equal(alone.real["a"], alone.real["a_random"])


def test_discriminators_judge_with_the_networks_of_their_own_path(tiny: Tiny, images: Images) -> None:
    translator: Any = build(tiny("drit"))
    batch = Batch(images())
    made: Any = translator.start_phase(batch, "generator")
    assert {key.split("/")[0] for key in made.fake_logits} == {"a", "b"}
    torch.testing.assert_close(
        made.fake_logits["b/multiscale/scale_0"],
        translator.discriminators["b"]["multiscale"](made.fake["b"]).logits["scale_0"],
    )
    made = translator.start_phase(batch, "random")
    assert {key.split("/")[0] for key in made.fake_logits} == {"a_random", "b_random"}
    torch.testing.assert_close(
        made.fake_logits["b_random/multiscale/scale_0"],
        translator.discriminators["b_random"]["multiscale"](made.random_fake["b_random"]).logits["scale_0"],
    )


def test_contents_and_attributes_are_swapped_and_swapped_back(tiny: Tiny, images: Images) -> None:
    translator: Any = build(tiny("drit")).eval()  # without noise
    made: Any = translator.start_phase(Batch(images()), "generator")
    generator, real = translator.generator, made.real
    content = {d: generator.encode_content(real[d], d) for d in "ab"}
    attribute = {d: generator.encode_attribute(real[d], d).mean for d in "ab"}
    fake = {d: generator.decode(content["b" if d == "a" else "a"], attribute[d], d) for d in "ab"}
    kept = generator.encode_attribute(fake["a"], "a").mean
    back = generator.decode(generator.encode_content(fake["b"], "b"), kept, "a")
    torch.testing.assert_close(made.fake["a"], fake["a"])
    torch.testing.assert_close(made.fake["b"], fake["b"])
    torch.testing.assert_close(made.cycle["a"], back)
    torch.testing.assert_close(made.reconstruction["b"], generator.decode(content["b"], attribute["b"], "b"))
    random = generator.decode(content["a"], made.random_attribute["b_random"], "b")
    torch.testing.assert_close(made.random_fake["b_random"], random)
    regressed = generator.encode_attribute(random, "b").mean
    torch.testing.assert_close(made.attribute_reconstruction["b_random"], regressed)
    assert not torch.equal(made.second_attribute["b_random"], made.random_attribute["b_random"])


def test_noise_is_for_training_alone_and_counted(tiny: Tiny, images: Images) -> None:
    translator: Any = build(tiny("drit"))
    batch = images()
    one, same, other = (translator.start_phase(Batch(batch, seed=seed), "generator") for seed in (1, 1, 2))
    for name in ("noisy_content", "attribute", "random_attribute", "second_attribute", "cycle"):
        value = next(iter(getattr(one, name).values()))
        assert torch.equal(value, next(iter(getattr(same, name).values()))), name
        assert not torch.equal(value, next(iter(getattr(other, name).values()))), name
    noise = one.noisy_content["a"] - one.content["a"]
    assert float(noise.detach().std()) == pytest.approx(1, abs=0.1)
    deviation = (one.attribute_log_variance["a"] / 2).exp()
    drawn = (one.attribute["a"] - one.attribute_mean["a"]) / deviation
    assert drawn.abs().max() > 0.1
    translator.eval()
    quiet: Any = translator.start_phase(Batch(batch, seed=1), "generator")
    assert torch.equal(quiet.noisy_content["a"], quiet.content["a"])
    assert torch.equal(quiet.attribute["a"], quiet.attribute_mean["a"])

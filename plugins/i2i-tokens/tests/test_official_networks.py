"""All networks against the official figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_tokens.dvae import DiscreteVAE, kl_from_uniform
from i2i_tokens.openai import OpenAIDecoder, OpenAIEncoder, map_pixels, unmap_pixels
from i2i_tokens.transformer import TokenTransformer
from official_figures import Figures, read, relative_error
from torch import nn
from torch.nn import functional as F


def check_gradients(network: nn.Module, figures: Figures, prefix: str) -> None:
    parameters = dict(network.named_parameters())
    expected = figures.part(prefix)
    assert expected
    for key, value in expected.items():
        assert relative_error(parameters[key].grad, value) <= 1e-10, key


@pytest.mark.parametrize("name", ["openai_encoder", "openai_decoder"])
def test_openai(golden: Path, name: str) -> None:
    figures = read(golden, name)
    options = figures.config["arguments"]
    network: nn.Module
    if name == "openai_encoder":
        network = OpenAIEncoder(
            options["n_hid"], options["n_blk_per_group"], options["vocab_size"], options["input_channels"]
        )
        for function, key in ((map_pixels, "map_pixels"), (unmap_pixels, "unmap_pixels")):
            assert relative_error(function(figures.tensor(f"{key}/input")), figures[f"{key}/out"]) <= 1e-6
    else:
        network = OpenAIDecoder(
            options["n_init"],
            options["n_hid"],
            options["n_blk_per_group"],
            options["vocab_size"],
            options["output_channels"],
        )
    network.load_state_dict(figures.tensors("param/"))
    assert relative_error(network(figures.tensor("input")), figures["out"]) <= 1e-5
    network.double()
    x = figures.tensor("input").double().requires_grad_()
    output = network(x)
    assert relative_error(output, figures["out64"]) <= 1e-10
    if "tokens" in figures:
        assert torch.equal(output.argmax(1), figures.tensor("tokens"))
    (output * figures.tensor("cot").double()).sum().backward()
    if "grad64/input" in figures:
        assert relative_error(x.grad, figures["grad64/input"]) <= 1e-10
    check_gradients(network, figures, "grad64/param/")


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_discrete_vae(golden: Path, kind: str) -> None:
    figures = read(golden, "dvae_lucidrains")
    options = figures.config["arguments"]
    network = DiscreteVAE(
        options["num_tokens"],
        options["codebook_dim"],
        options["hidden_dim"],
        options["num_layers"],
        options["num_resnet_blocks"],
        options.get("channels", 3),
    )
    network.load_state_dict(figures.tensors("param/"))
    network.double()
    image = 2 * figures.tensor("input/image").double() - 1
    logits = network.logits(image)
    assert relative_error(logits, figures["logits64"]) <= 1e-10
    tokens = network.encode(image)
    assert torch.equal(tokens, figures.tensor("tokens"))
    assert relative_error(network.decode(tokens, logits.shape[2]), figures["decoded64"]) <= 1e-10
    gumbel = figures.tensor("input/gumbel").double()
    found = network.relaxed(logits, gumbel, figures.config["temperature"], kind == "hard")
    assert relative_error(found, figures[f"{kind}/reconstruction64"]) <= 1e-10
    kl = kl_from_uniform(logits)
    assert float(kl.detach()) == pytest.approx(float(figures.tensor("kl_summed_over_batch_and_positions64")), rel=1e-6)
    distance = F.smooth_l1_loss if options["smooth_l1_loss"] else F.mse_loss
    loss = distance(found, image) + options["kl_div_loss_weight"] * kl
    assert float(loss.detach()) == pytest.approx(float(figures.tensor(f"{kind}/loss64")), rel=1e-6)
    loss.backward()
    parameters: dict[str, Any] = dict(network.named_parameters())
    gradients = figures.part(f"{kind}/grad64/")
    assert gradients
    last = f"encoder.{len(network.encoder) - 1}.weight"
    for key, value in gradients.items():
        # Their logarithm of the uniform probability is a float32.
        assert relative_error(parameters[last if key == "encoder_last" else key].grad, value) <= 1e-6, key


def test_transformer(golden: Path) -> None:
    figures = read(golden, "transformer_mindalle")
    config, options = figures.config, figures.config["hparams"]
    network = TokenTransformer(
        config["vocab_size_txt"],
        config["vocab_size_img"],
        options["ctx_len_txt"],
        options["ctx_len_img"],
        options["embed_dim"],
        options["n_layers"],
        options["n_heads"],
        options["attn_bias"],
        options["mlp_bias"],
        options["gelu_use_approx"],
    )
    network.load_state_dict(figures.tensors("param/"))
    network.double()
    text, image = figures.tensor("input/text_tokens"), figures.tensor("input/image_tokens")
    text_logits, image_logits = network(text, image)
    assert relative_error(text_logits, figures["text_logits64"]) <= 1e-10
    assert relative_error(image_logits, figures["image_logits64"]) <= 1e-10
    loss = network.loss(text, image)
    assert float(loss.detach()) == pytest.approx(float(figures.tensor("loss64_text1_image7")), rel=1e-10)
    loss.backward()
    check_gradients(network, figures, "grad64/")
    with torch.no_grad():
        for cached in (True, False):
            assert torch.equal(network.generate(text, cached=cached), figures.tensor("greedy_tokens"))

"""Settings that make the recipe `stylegan2_small` small enough for tests."""

from __future__ import annotations

from typing import Any

TINY: dict[str, Any] = {
    "translator.generator.z_dim": 6,
    "translator.generator.w_dim": 5,
    "translator.generator.channel_base": 64,
    "translator.generator.channel_max": 8,
    "translator.discriminators.image.channel_base": 64,
    "translator.discriminators.image.channel_max": 8,
    "translator.generator_interval": 2,
    "translator.discriminator_interval": 3,
    "data": {"type": "one_domain", "data": {"type": "shapes", "size": 16}},
    "train.batch_size": 4,
    "train.workers": 0,
    "train.steps": 4,
    "train.sample_every": 4,
    "train.log_every": 1,
    "train.checkpoint_every": 2,
}

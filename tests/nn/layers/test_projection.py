"""CUT's patch heads against the official ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from official_figures import read, relative_error

from i2i.nn.layers.projection import PatchHeads


@pytest.mark.parametrize("file", ["netF_mlp_sample", "netF_sample"])
def test_official_figures(golden: Path, file: str) -> None:
    figures = read(golden / "cut", file)
    numbers = range(figures.config["n_layers"])
    features = [figures.tensor(f"feat/{i}").double().requires_grad_() for i in numbers]
    width = figures.config["netF_nc"] if figures.config["use_mlp"] else None
    heads = PatchHeads([feature.shape[1] for feature in features], width).double()
    # Ours are in the official order: of each layer first, second; weight, bias.
    official = [f"mlp_{i}.{place}.{part}" for i in numbers for place in (0, 2) for part in ("weight", "bias")]
    names = dict(zip(heads.state_dict(), official if width else [], strict=True))
    heads.load_state_dict({ours: figures.tensor(f"param/{name}") for ours, name in names.items()})
    vectors = heads(features, [figures.tensor(f"ids/{i}") for i in numbers])
    for i, vector in enumerate(vectors):
        assert relative_error(vector.flatten(0, 1), figures[f"out64/{i}"]) < 1e-10
    scalars = [(vectors[i].flatten(0, 1) * figures.tensor(f"cot/{i}")).sum() for i in numbers]
    torch.stack(scalars).sum().backward()
    for i in numbers:
        assert relative_error(features[i].grad, figures[f"grad64/feat/{i}"]) < 1e-10
    for ours, name in names.items():
        assert relative_error(heads.get_parameter(ours).grad, figures[f"grad64/param/{name}"]) < 1e-10, name

"""Feature extractors are found wherever they are held."""

from __future__ import annotations

from torch import nn

from i2i.nn.layers.frozen import Frozen, extractor_sources, image_metadata


class Extractor(nn.Module):
    """A plugin's extractor."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.num_features, self.source = (3,), source

    def load_weights_(self) -> None:
        """Nothing to load."""


class Holder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = Extractor("one network")
        self.loss = nn.ModuleDict({"style": nn.Sequential(Frozen(Extractor("other network")))})
        self.again = Frozen(Extractor("one network"))
        self.norm = nn.BatchNorm2d(3)  # has num_features, but extracts nothing
        self.source = "a"  # as the paired translator has it


def test_extractors_are_found_by_what_they_can_do() -> None:
    found = extractor_sources(Holder())
    assert found == {"encoder": "one network", "loss.style.0": "other network", "again": "one network"}
    assert image_metadata(found) == {"feature extractor": "one network; other network"}
    assert image_metadata(extractor_sources(nn.Linear(1, 1))) == {}

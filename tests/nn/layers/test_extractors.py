"""Which frozen networks a method looks through is found wherever they are held."""

from __future__ import annotations

from torch import nn

from i2i.nn.layers.extractors import extractors, told
from i2i.nn.layers.frozen import Frozen


class Strange(nn.Module):
    """A plugin's extractor."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.num_features, self.source = (3,), source

    def load_weights_(self) -> None:
        """Nothing to load."""


class Holder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = Strange("one network")
        self.loss = nn.ModuleDict({"style": nn.Sequential(Frozen(Strange("other network")))})
        self.again = Frozen(Strange("one network"))
        self.norm = nn.BatchNorm2d(3)  # has num_features, but extracts nothing
        self.source = "a"  # as the paired translator has it


def test_extractors_are_found_by_what_they_can_do() -> None:
    found = extractors(Holder())
    assert found == {"encoder": "one network", "loss.style.0": "other network", "again": "one network"}
    assert told(found) == {"feature extractor": "one network; other network"}
    assert told(extractors(nn.Linear(1, 1))) == {}

"""What exists for a batch of photos, cartoons, and cartoons without clear edges."""

from __future__ import annotations

from torch import Tensor

from i2i.methods.one_sided_outputs import OneSidedOutputs
from i2i.methods.outputs import output
from i2i_cartoongan.color import grey


class CartoonOutputs(OneSidedOutputs):
    """Outputs of domain b, which is the only one that is painted; `real` has both.

    Discriminators judge the real cartoons first, then the translations, then the others, whatever is asked for first:
    spectral norm moves with each of these.
    """

    @property
    def source(self) -> dict[str, Tensor]:
        """a's photos, by the domain that they are painted in."""
        return {"b": self.real["a"]}

    @property
    def smooth(self) -> dict[str, Tensor]:
        """b's cartoons without clear edges."""
        return {"b": self.batch.streams["smooth"]}

    @output(reuse="step")
    def grey(self) -> dict[str, Tensor]:
        """b's cartoons without colour."""
        return {"b": grey(self.real["b"])}

    @output(reuse="phase")
    def smooth_logits(self) -> dict[str, Tensor]:
        """Logits of `smooth`."""
        _ = self.fake_logits
        return self._discriminate(self.smooth)

    @output(reuse="phase")
    def grey_logits(self) -> dict[str, Tensor]:
        """Logits of `grey`."""
        _ = self.fake_logits
        return self._discriminate(self.grey)

    @output(reuse="phase")
    def grey_smooth_logits(self) -> dict[str, Tensor]:
        """Logits of `smooth` without colour."""
        _ = self.grey_logits
        return self._discriminate({"b": grey(self.smooth["b"])})

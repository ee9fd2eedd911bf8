"""The loss that trains the generator's attention."""

from __future__ import annotations

from torch import Tensor, nn

from i2i.nn.functional.adversarial import binary_cross_entropy


class CAMLoss(nn.Module):
    r"""The generator's classifier tells images of the other domain from images of the domain that it paints.

    .. math:: -\mathbb{E}[\log s(\eta(x_{source}))] - \mathbb{E}[\log(1 - s(\eta(x_{target})))]

    with the sigmoid s and the logits eta of the attention: when translating they say 1, when repainting the own domain
    (identity) 0.

    Source: Kim et al., U-GAT-IT, ICLR 2020, arXiv:1907.10830, equation 5.
    """

    def generator(self, fake_cam: Tensor, identity_cam: Tensor) -> Tensor:
        """The classifier's loss.

        Args:
            fake_cam, identity_cam: [B, n], logits of the generator that paints the domain, while it translates and
            while
                it repaints.
        """
        return binary_cross_entropy(fake_cam, target=True) + binary_cross_entropy(identity_cam, target=False)

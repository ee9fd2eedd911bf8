"""Optimizers of official implementations that torch.optim does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.optim import Adam


class TensorFlowAdam(Adam):
    r"""Adam as TensorFlow computes it, with weight decay on kernels alone.

    .. math:: w \leftarrow w - \eta\, \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}\, \frac{m}{\sqrt{v} + \epsilon}

    Epsilon stays outside of the bias correction. For torch's Adam it would be :math:`\epsilon / \sqrt{1 - \beta_2^t}`,
    which matters for small gradients in the first thousand updates.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        betas: decays of the two moments.
        eps: epsilon.
        weight_decay: factor of the weight that is added to the gradient of each kernel, that is of each parameter with
            two or more axes. This is the gradient of the loss :math:`\frac{1}{2}\lambda \sum w^2` over kernels.

    Source: Kingma and Ba, ICLR 2015, arXiv:1412.6980, the formulation before section 2.1; `tf.train.AdamOptimizer`.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)
        # Kernels and the rest become groups of their own, since weight decay is an option of a group.
        kernels = [{**group, "params": [p for p in group["params"] if p.ndim > 1]} for group in self.param_groups]
        others = [
            {**group, "params": [p for p in group["params"] if p.ndim < 2], "weight_decay": 0.0}
            for group in self.param_groups
        ]
        self.param_groups = [group for group in (*kernels, *others) if group["params"]]
        self.updates = 0

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take one step; see `torch.optim.Optimizer.step`."""
        # Counted here, since reading a parameter's count from a GPU would wait for it in every step.
        self.updates = self.updates + 1 if self.state else 1
        epsilons = [group["eps"] for group in self.param_groups]
        for group in self.param_groups:
            group["eps"] /= (1 - group["betas"][1] ** self.updates) ** 0.5
        try:
            return super().step(closure)
        finally:
            for group, eps in zip(self.param_groups, epsilons, strict=True):
                group["eps"] = eps

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state; see `torch.optim.Optimizer.load_state_dict`."""
        super().load_state_dict(state_dict)
        self.updates = max((int(entries["step"]) for entries in self.state.values()), default=0)

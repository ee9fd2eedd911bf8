"""Layers of BigGAN: spectral norm, embeddings of classes, batch norms, self-attention."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Spectral(nn.Module):
    """A weight divided by its largest singular value, estimated by power iterations in each forward pass.

    The vector `u0` is stored in training only. Gradients flow through the weight, not through the vectors.
    """

    u0: Tensor
    sv0: Tensor
    weight: nn.Parameter

    def __init__(self, shape: tuple[int, ...], eps: float) -> None:
        super().__init__()
        self.eps, self.iterations = eps, 1
        self.weight = nn.Parameter(torch.empty(shape))
        nn.init.orthogonal_(self.weight)
        self.register_buffer("u0", torch.randn(1, shape[0]))
        self.register_buffer("sv0", torch.ones(1))

    def normalized(self) -> Tensor:
        """Return the weight divided by its singular value."""
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            u = self.u0
            # In evaluation each iteration of the official code starts from the stored vector, so one is enough.
            for _ in range(self.iterations if self.training else 1):
                v = F.normalize(u @ matrix, eps=self.eps)
                u = F.normalize(v @ matrix.t(), eps=self.eps)
        value = (v @ matrix.t() @ u.t()).squeeze()
        if self.training:
            with torch.no_grad():
                self.u0.copy_(u)
                self.sv0.copy_(value)
        return self.weight / value


def set_iterations(network: nn.Module, iterations: int) -> None:
    """Set how often each spectral norm of a network iterates in a forward pass of training."""
    for module in network.modules():
        if isinstance(module, _Spectral):
            module.iterations = iterations


class SNConv2d(_Spectral):
    """Convolution with spectral norm that keeps the sides."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, bias: bool = True, eps: float = 1e-6) -> None:
        super().__init__((outputs, inputs, kernel_size, kernel_size), eps)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.normalized(), self.bias, padding=self.weight.shape[-1] // 2)


class SNLinear(_Spectral):
    """Linear layer with spectral norm."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, eps: float = 1e-6) -> None:
        super().__init__((outputs, inputs), eps)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.normalized(), self.bias)


class SNEmbedding(_Spectral):
    """Table of vectors with spectral norm, of which one-hot classes [B, n] select one."""

    def __init__(self, classes: int, features: int, eps: float = 1e-6) -> None:
        super().__init__((classes, features), eps)

    def forward(self, c: Tensor) -> Tensor:
        return c @ self.normalized()


class ClassEmbedding(nn.Embedding):
    """Table of vectors without spectral norm, of which one-hot classes [B, n] select one."""

    def __init__(self, classes: int, features: int) -> None:
        super().__init__(classes, features)
        nn.init.orthogonal_(self.weight)

    def forward(self, c: Tensor) -> Tensor:
        return c @ self.weight


class _BatchNorm(nn.Module):
    """Batch norm without affine map; statistics of the batch in training, moving averages otherwise."""

    mixes_samples = True
    stored_mean: Tensor
    stored_var: Tensor

    def __init__(self, features: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("stored_mean", torch.zeros(features))
        self.register_buffer("stored_var", torch.ones(features))

    def normalized(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.stored_mean, self.stored_var, None, None, self.training, 0.1, self.eps)


class ConditionalBatchNorm(_BatchNorm):
    """Batch norm whose scale and shift are linear in a condition.

    Args:
        features: channels C of the features [B, C, H, W].
        linear: makes the layers from conditions to `features` numbers.
        eps: added to the variance.
    """

    def __init__(self, features: int, linear: Callable[[int], nn.Module], eps: float) -> None:
        super().__init__(features, eps)
        self.gain = linear(features)
        self.bias = linear(features)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        gain, bias = 1 + self.gain(y), self.bias(y)
        return self.normalized(x) * gain[:, :, None, None] + bias[:, :, None, None]


class AffineBatchNorm(_BatchNorm):
    """Batch norm with a learned scale and shift."""

    def __init__(self, features: int, eps: float) -> None:
        super().__init__(features, eps)
        self.gain = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        return self.normalized(x) * self.gain[:, None, None] + self.bias[:, None, None]


class SelfAttention(nn.Module):
    """Self-attention over all pixels, added with a learned factor that starts at 0; keys and values are max-pooled.

    Args:
        channels: channels C of the features; at least 8.
        eps: of the spectral norm.

    Source: Zhang et al., SAGAN, ICML 2019, arXiv:1805.08318, as in BigGAN's code.
    """

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.theta = SNConv2d(channels, channels // 8, 1, bias=False, eps=eps)
        self.phi = SNConv2d(channels, channels // 8, 1, bias=False, eps=eps)
        self.g = SNConv2d(channels, channels // 2, 1, bias=False, eps=eps)
        self.o = SNConv2d(channels // 2, channels, 1, bias=False, eps=eps)
        self.gamma = nn.Parameter(torch.zeros([]))

    def forward(self, x: Tensor) -> Tensor:
        query = self.theta(x).flatten(2)
        key = F.max_pool2d(self.phi(x), 2).flatten(2)
        value = F.max_pool2d(self.g(x), 2).flatten(2)
        weights = (query.transpose(1, 2) @ key).softmax(-1)
        attended = (value @ weights.transpose(1, 2)).view(x.shape[0], -1, *x.shape[2:])
        y: Tensor = self.gamma * self.o(attended) + x
        return y

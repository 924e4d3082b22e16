"""Inverted residuals (Sandler et al., arXiv 1801.04381) with squeeze-and-excitation (Hu et al., arXiv 1709.01507)."""

from __future__ import annotations

import jax
from flax import linen as nn

from workloads.vision.layers import Activation, ConvNorm, dense


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from the mean over the image.

    Attributes:
        hidden: channels between its two dense layers.
        inner: activation between them.
        gate: activation after them.
    """

    hidden: int
    inner: Activation
    gate: Activation

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, channels] -> the same shape."""
        mean = x.mean((1, 2), keepdims=True)
        hidden = self.inner(dense(self.hidden)(mean))
        return x * self.gate(dense(x.shape[-1])(hidden))


class InvertedResidual(nn.Module):
    """Pointwise expansion, depthwise convolution, squeeze-and-excitation, linear pointwise projection, residual.

    Attributes:
        expanded: channels of the depthwise convolution; no expansion where the input has as many.
        features: output channels.
        kernel: height and width of the depthwise convolution.
        stride: of the depthwise convolution; a residual needs 1.
        activation: after the expansion and the depthwise convolution.
        squeeze: None leaves squeeze-and-excitation out.
    """

    expanded: int
    features: int
    kernel: int
    stride: int
    activation: Activation
    squeeze: SqueezeExcite | None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, channels] -> [batch, height/stride, width/stride, features]."""
        y = x if x.shape[-1] == self.expanded else ConvNorm(self.expanded, activation=self.activation)(x)
        shape = (self.kernel, self.kernel)
        y = ConvNorm(self.expanded, shape, self.stride, groups=self.expanded, activation=self.activation)(y)
        if self.squeeze is not None:
            y = self.squeeze(y)
        y = ConvNorm(self.features, activation=None)(y)
        return x + y if x.shape == y.shape else y

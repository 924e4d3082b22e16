"""Sizes of the network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that decides the shapes of the parameters, but for the observation.

    Attributes:
        channels: of the residual tower on the board after its first halving; twice that after the second.
        tower_blocks: residual blocks at each of the tower's resolutions.
        width: of the tokens of the attention.
        heads: of the attention; divides ``width``.
        layers: of the attention.
        latent: length of the latent vector.
        latent_blocks: residual blocks of the dynamics; the heads of the prediction have half as many, at least 1.
        bins: of the distributions of value and reward.
        board: whether the network sees the board; False for the ablation.
    """

    channels: int
    tower_blocks: int
    width: int
    heads: int
    layers: int
    latent: int
    latent_blocks: int
    bins: int = 101
    board: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            ValueError: a size is not positive, or ``heads`` does not divide ``width``.
        """
        sizes = (self.channels, self.tower_blocks, self.width, self.heads, self.layers, self.latent)
        if min(*sizes, self.latent_blocks) < 1 or self.bins < 2:
            raise ValueError("every size of a network has to be positive, and it needs two bins")
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) has to divide width ({self.width})")


NETWORKS = {
    "tiny": NetworkConfig(channels=8, tower_blocks=1, width=32, heads=2, layers=1, latent=64, latent_blocks=1),
    "small": NetworkConfig(channels=16, tower_blocks=1, width=64, heads=4, layers=2, latent=128, latent_blocks=2),
    "base": NetworkConfig(channels=32, tower_blocks=2, width=128, heads=4, layers=3, latent=256, latent_blocks=2),
    "large": NetworkConfig(channels=96, tower_blocks=4, width=384, heads=8, layers=6, latent=768, latent_blocks=4),
}
"""Presets: tiny for tests on a CPU, small for training on a CPU, base and large for a GPU."""

"""The networks of MuZero in flax: representation, dynamics and prediction, in float32."""

from muzero.networks.categorical import decode, encode
from muzero.networks.config import NETWORKS, NetworkConfig
from muzero.networks.network import Network, Params, SeenShape, shape_of

__all__ = ["NETWORKS", "Network", "NetworkConfig", "Params", "SeenShape", "decode", "encode", "shape_of"]

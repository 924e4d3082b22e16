"""Agent files: a network's parameters with what is needed to use them; no pickle, read without trust.

A zip archive with ``agent.json`` (format, version, network, what it sees, environment version, free notes) and one
``.npy`` member for each array of the parameters, named by its path, e.g. ``parameters/prediction/value_in/kernel.npy``.
Its bytes depend on the content alone.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from mallocgame.system import checked_json as checked
from mallocgame.system.arrays import array_of
from mallocgame.system.checked_json import Scalar
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import write_atomically
from mallocgame.system.printable import one_line
from mallocgame.system.zips import open_zip
from muzero.environment import ENVIRONMENT_VERSION
from muzero.networks import Network, NetworkConfig, Params, SeenShape

FORMAT = "mallocgame-agent"
VERSION = 1
HEADER = "agent.json"
MAX_FILE_BYTES = 1 << 29
MAX_HEADER_BYTES = 1 << 16
MAX_MEMBERS = 1 << 12
MAX_SIZE = 1 << 16
RANKS = (3, 2, 2, 1)
"""Dimensions of what a network sees: board, uses, supply, scalars."""
_KEYS = ("format", "version", "environment", "network", "seen", "moves", "notes")
_FOLDER, _ENDING = "parameters/", ".npy"
_DATE = (1980, 1, 1, 0, 0, 0)
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
"""What zipfile and numpy raise on damaged content."""


@dataclass(frozen=True)
class Agent:
    """A trained network.

    Attributes:
        network: its functions.
        params: float32 arrays.
        environment_version: of the rules and observations that it was trained with.
        notes: how it came about, e.g. the device, steps and hours of its training; for people alone.
    """

    network: Network
    params: Params
    environment_version: int = ENVIRONMENT_VERSION
    notes: Mapping[str, Scalar] = field(default_factory=dict)


def save_agent(agent: Agent, path: str | os.PathLike[str]) -> None:
    """Write an agent file atomically.

    Raises:
        BadInputError: ``path`` cannot be written.
    """
    network = agent.network
    header = {
        "format": FORMAT,
        "version": VERSION,
        "environment": agent.environment_version,
        "network": dataclasses.asdict(network.config),
        "seen": network.shape._asdict(),
        "moves": network.moves,
        "notes": dict(agent.notes),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(HEADER, _DATE), json.dumps(header, allow_nan=False))
        for name, array in sorted(_flat(agent.params).items()):
            archive.writestr(zipfile.ZipInfo(name, _DATE), _npy(np.asarray(array)), zipfile.ZIP_DEFLATED)
    write_atomically(path, buffer.getvalue())


def load_agent(path: str | os.PathLike[str]) -> Agent:
    """Read an agent file; nothing in it is trusted.

    Raises:
        BadInputError: it cannot be read, is damaged, or was trained with another version of the environment.
    """
    source = str(path)
    try:
        if Path(path).stat().st_size > MAX_FILE_BYTES:
            raise BadInputError(f"{source}: larger than {MAX_FILE_BYTES} bytes")
        with open(path, "rb") as file, open_zip(file) as archive:
            header = _member(archive, HEADER, MAX_HEADER_BYTES)
            network, version, notes = _network(checked.parse_json(header, f"{source}: {HEADER}"), source)
            return Agent(network, _params(archive, network, source), version, notes)
    except FileNotFoundError:
        raise BadInputError(f"{source}: there is no such file") from None
    except KeyError as error:
        raise BadInputError(f"{source}: not an agent file: {' '.join(str(error.args[0]).split())[:200]}") from None
    except _UNREADABLE as error:
        raise BadInputError(f"{source}: damaged, or no agent file: {one_line(error, 200)}") from None


def _network(value: object, source: str) -> tuple[Network, int, dict[str, Scalar]]:
    where = f"{source}: {HEADER}"
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise BadInputError(f"{source}: not an agent file")
    if value.get("version") != VERSION:
        raise BadInputError(f"{source}: an agent file of version {value.get('version')!r:.20}; this reads {VERSION}")
    header = checked.record(value, where, _KEYS)
    version = checked.natural(header["environment"], f"{where}.environment")
    if version != ENVIRONMENT_VERSION:
        raise BadInputError(
            f"{source}: trained with version {version} of the environment, this is {ENVIRONMENT_VERSION}: train it anew"
        )
    config = _config(header["network"], f"{where}.network")
    shape = checked.record(header["seen"], f"{where}.seen", SeenShape._fields)
    sizes = checked.each(checked.natural)
    seen = SeenShape(*(sizes(shape[name], f"{where}.seen.{name}") for name in SeenShape._fields))
    notes = checked.mapping(checked.scalar)(header["notes"], f"{where}.notes")
    return Network(config, seen, checked.natural(header["moves"], f"{where}.moves")), version, notes


def _config(value: object, where: str) -> NetworkConfig:
    fields = tuple(field.name for field in dataclasses.fields(NetworkConfig))
    given = checked.record(value, where, fields)
    found: dict[str, Any] = {
        name: (checked.boolean if name == "board" else checked.natural)(given[name], f"{where}.{name}")
        for name in fields
    }
    try:
        return NetworkConfig(**found)
    except ValueError as error:
        raise BadInputError(f"{where}: {error}") from None


def _params(archive: zipfile.ZipFile, network: Network, source: str) -> Params:
    config, seen = network.config, network.shape
    members = len(archive.infolist())
    if max(config.tower_blocks, config.layers, config.latent_blocks, network.moves) > members:
        raise BadInputError(f"{source}: damaged: its network has more layers than the file has arrays")
    sizes = (config.channels, config.width, config.heads, config.latent, config.bins, *itertools.chain(*seen))
    if not 1 <= min(sizes) <= max(sizes) <= MAX_SIZE or max(map(math.prod, seen)) > MAX_FILE_BYTES:
        raise BadInputError(f"{source}: damaged: a size of its network is not from 1 to {MAX_SIZE}")
    if tuple(map(len, seen)) != RANKS:
        raise BadInputError(f"{source}: damaged: what its network sees has other dimensions than {RANKS}")
    expected = network.shapes()
    names = {name: tuple(leaf.shape) for name, leaf in _flat(expected).items()}
    found = set(archive.namelist()) - {HEADER}
    if len(archive.infolist()) > MAX_MEMBERS or found != set(names):
        raise BadInputError(f"{source}: damaged: the parameters are not those of its network")
    arrays = {}
    for name, shape in names.items():
        data = _member(archive, name, 4 * int(np.prod(shape)) + 1024)
        array = array_of(data)
        if array.shape != shape or array.dtype != np.float32:
            raise BadInputError(f"{source}: damaged: {name} is not float32 {list(shape)}")
        if not np.all(np.isfinite(array)):
            raise BadInputError(f"{source}: damaged: {name} is not finite")
        arrays[name] = jnp.asarray(array)
    params: Params = jax.tree.unflatten(jax.tree.structure(expected), list(arrays.values()))
    return params


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The content of a member, which has at most so many bytes; zipfile compares it with its checksum."""
    with archive.open(name) as member:
        data = member.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{name} is too large")
    return data


def _flat(params: Params) -> dict[str, Any]:
    """Name of its member -> leaf, in the order of ``jax.tree.leaves``."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    return {_FOLDER + "/".join(str(part.key) for part in path) + _ENDING: leaf for path, leaf in leaves}


def _npy(array: npt.NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()

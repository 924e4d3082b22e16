"""What a program asks for its arguments before it is compiled: donations, and how they lie on the devices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

from mallocgame.compiler.devices import devices_of
from mallocgame.report.memory.graph import dims_of, number_of_parameter
from xla_dump_parser import parse_hlo

_MAIN = re.compile(r"func\.func public @main\(")
_ARGUMENT = re.compile(r"(?:\A|, )%arg(\d{1,9}): ")
_DONATED = re.compile(r"\bjax\.buffer_donor = true\b|\btf\.aliasing_output = \d")
_DIMS = re.compile(r"tensor<((?:\d{1,18}x)*)")
_DONOR = re.compile(r"\(\s*(\d{1,9}),")
_INLINE_MESH = re.compile(r"mesh<\[[^\]]*\]>")
_SHARDING = re.compile(r"#sdy\.sharding<[^\[>]*\[([^\]]*)\]")
_AXIS = re.compile(r'"([^"]+)"')
_MESH = re.compile(r'\[("[^"\]]+"=\d{1,9}(?:, ?"[^"\]]+"=\d{1,9})*)\]')
_AXIS_SIZE = re.compile(r'"([^"]+)"=(\d{1,9})')


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument.

    Attributes:
        donated: whether its buffer may be used for an output.
        dims: of the whole array, over all devices.
        axes: of the mesh, that it is sharded over; None where the text does not say.
    """

    donated: bool
    dims: tuple[int, ...]
    axes: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a program asks for.

    Attributes:
        arguments: by the numbers of their parameters; those that ``jax.jit`` drops, for nothing reads them, have none.
        devices: that it is for.
        mesh: sizes of the axes; empty where the text does not say.
    """

    arguments: Mapping[int, Argument] = field(default_factory=dict)
    devices: int = 1
    mesh: Mapping[str, int] = field(default_factory=dict)

    def is_donated(self, number: int) -> bool:
        """Whether an argument's buffer may be used for an output; no where it is not known."""
        argument = self.arguments.get(number)
        return argument is not None and argument.donated

    def copies(self, number: int, dims: tuple[int, ...]) -> int:
        """How many devices have the same part of an argument, of which each has an array of these dimensions.

        Pieces are equal but for the last one of a dimension, which may be shorter or padded.
        """
        argument = self.arguments.get(number)
        if argument is None or len(argument.dims) != len(dims):
            return 1
        pieces = prod(-(-whole // part) for whole, part in zip(argument.dims, dims, strict=True) if part)
        return max(1, self.devices // pieces) if pieces else 1


def asked_for(program: str, source: str) -> Asked:
    """What a program's text asks for: StableHLO, or HLO from before optimization. Nothing of any other text.

    Donations that JAX itself could not match with an output are not in it: it warns ("donated buffers were not usable")
    and forgets them.

    Raises:
        xla_dump_parser.ParseError: HLO text is damaged.
    """
    start = _MAIN.search(program)
    if start is not None:
        end = program.find("\n", start.end())
        head = program[start.end() : end if end >= 0 else len(program)].partition(") -> ")[0]
        return Asked(dict(_of_stablehlo(head)), devices_of(program), _mesh(program[: start.start()]))
    return _of_hlo(program, source) if program.startswith("HloModule") else Asked()


def _of_stablehlo(head: str) -> Iterator[tuple[int, Argument]]:
    pieces = _ARGUMENT.split(head)
    for number, text in zip(pieces[1::2], pieces[2::2], strict=True):
        dims = _DIMS.match(text)
        whole = tuple(int(part) for part in dims[1].split("x") if part) if dims else ()
        yield int(number), Argument(bool(_DONATED.search(text)), whole, _axes(text))


def _of_hlo(program: str, source: str) -> Asked:
    module = parse_hlo(program, source)
    donors = module.header.get("buffer_donor", "") + module.header.get("input_output_alias", "")
    donated = set(map(int, _DONOR.findall(donors)))
    arguments = {}
    for step in module.entry.instructions:
        number = number_of_parameter(step) if step.opcode == "parameter" else None
        if number is not None:
            said = step.attributes.get("frontend_attributes", "").replace('\\"', '"')
            arguments[number] = Argument(number in donated, dims_of(step), _axes(said))
    partitions = module.header.get("num_partitions", "1").strip()
    mesh = _mesh(module.header.get("frontend_attributes", ""))
    return Asked(arguments, int(partitions) if partitions.isdigit() else 1, mesh)


def _axes(text: str) -> frozenset[str] | None:
    """Of Shardy's ``#sdy.sharding<@mesh, [{"data"}, {}]>``."""
    found = _SHARDING.search(_INLINE_MESH.sub("", text))
    return None if found is None else frozenset(_AXIS.findall(found[1]))


def _mesh(text: str) -> dict[str, int]:
    """Of ``sdy.mesh @mesh = <["data"=4]>``, the first one."""
    found = _MESH.search(text)
    return {} if found is None else {name: int(count) for name, count in _AXIS_SIZE.findall(found[1])}

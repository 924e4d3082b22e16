"""The accelerators that are known, each with all that is known of it: a new one is one more entry of ``CHIPS``.

Of TPUs, fast memory, alignment and bandwidths are what MSA prints with libtpu 0.0.52 at its default options; HBM
capacities are the products' data sheets. GPUs are known to the offload game alone, and have no target.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from mallocgame.problem.schema import Target


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast one core computes, as the compiler's cost model has it.

    Fitted to the logged compute-seconds (libtpu 0.0.52) of matrix products in bf16, f32 and int8, which all run at one
    rate, of element-wise fusions, which are counted at that same rate, and of fusions of transcendental functions. For
    v4 lite, v4, v5e and v5p the figures reproduce every logged time of such instructions to 6 digits. Of v6e and tpu7x,
    fusions with a matrix product or a convolution are costed by the compiler for the windows that its emitter chooses,
    which the HLO does not show: half the peak rate, features filled up to 128 lanes, and 4 x 1024 vector operations a
    cycle come near it (most within 15 %, some far off). GPUs: bf16 peak of the data sheets, 16 transcendentals a cycle
    and multiprocessor at boost clock.

    Attributes:
        flops: floating-point operations/second.
        transcendentals: transcendental functions/second.
        matrix: operations/second of a fusion's matrix products where these are not at the rate of all others, else 0.
        vector: in such a fusion, element-wise operations/second, which add to the time of the matrix products.
    """

    flops: float
    transcendentals: float
    matrix: float = 0.0
    vector: float = 0.0


@dataclass(frozen=True, slots=True)
class Link:
    """Device memory, and how fast one can copy between it and pinned host memory.

    Nominal rates: PCIe carries both ways at once at full rate, and real copies reach less.

    Attributes:
        name: of the device.
        device_bytes: capacity of the device memory.
        to_host: bytes/second from device to host while nothing goes the other way.
        from_host: bytes/second from host to device, likewise.
        both: bytes/second in both directions together while both are busy; each then gets its share.
        flops: peak bf16 operations/second, for costs of programs that no compiler has costed.
        bandwidth: bytes/second of the device memory, likewise.
        source: where the figures are from.
        exposed: share of all copies' time that the program waits for at least, however much work there is beside them:
            what the compiler's schedule leaves unhidden.
    """

    name: str
    device_bytes: int
    to_host: float
    from_host: float
    both: float
    flops: float
    bandwidth: float
    source: str
    exposed: float = 0.0


@dataclass(frozen=True, slots=True)
class Interconnect:
    """The links between the chips of one slice, as Google says them now.

    'How to Scale Your Model', chapter 2, has a tenth less for each; older versions of v6e's page have 3584 Gbps a way.

    Attributes:
        links: of a chip, each to a neighbour.
        bandwidth: bytes/second of one link, each way.
        source: where the figures are from.
    """

    links: int
    bandwidth: float
    source: str


@dataclass(frozen=True, slots=True)
class Splits:
    """Memory splits: KiB of VMEM for the windows of fusions. CMEM targets have none.

    Attributes:
        default: the compiler's own.
        first: what is tried first: about half to two thirds of VMEM, which was best most often on v5p.
        ladder: what is tried, in rising order, the default among them.
        by_hand: what flag tuning tries beside them.
    """

    default: int
    first: int
    ladder: tuple[int, ...]
    by_hand: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Chip:
    """One accelerator.

    Attributes:
        rates: how fast a core computes.
        link: to the host.
        interconnect: between chips; None where nothing is known of it, and for GPUs.
        target: of the compiler; None for GPUs.
        topologies: by the number of devices that libtpu 0.0.52 gives them: chips, on v4 and tpu7x cores. A program on
            described devices may be for any other one that libtpu knows, e.g. ``"v5p:4x4x12"``.
        device_kinds: ``jax.Device.device_kind``: libtpu 0.0.52's name of described devices, then those that hosts have
            shown.
        splits: of VMEM; None where there are none.
        dumped_as: version and variant in the ``target_arguments`` of a dump by libtpu 0.0.52.
        program_gib: GiB of HBM that libtpu 0.0.52 lets a program of one device have, as it says where one needs more
            ("available HBM (15.75G)", two digits behind the point); None for GPUs.
    """

    rates: Rates
    link: Link
    interconnect: Interconnect | None = None
    target: Target | None = None
    topologies: Mapping[int, str] = field(default_factory=dict)
    device_kinds: tuple[str, ...] = ()
    splits: Splits | None = None
    dumped_as: tuple[str, str] | None = None
    program_gib: float | None = None


GPU_EXPOSED = 0.5
"""Of XLA's GPU compiler (jax 0.11.2, latency-hiding scheduler, H200): 0.51 where 4.8 GB went out and back beside a step
of 0.26 s, 0.54 where 20 GB did (benchmarks/results/offload-nvidia-h200.json). It waits for a copy soon after its
start. For TPUs the schedule itself is read back."""

_GIB = 2**30
_VMEM, _CMEM = 1, 3

_NVIDIA = "NVIDIA data sheet; PCIe's nominal rate each way"
_TPU = (
    "capacity, flops and HBM: Google's TPU pages; host link: 16 GB/s each way (v4) and 1.5e10 B/s (newer ones) of "
    "'How to Scale Your Model', chapter 2 and its third question; Google publishes none"
)
_TPU_V4_LITE = (
    "capacity, flops and HBM: Jouppi et al., 'Ten Lessons From Three Generations', ISCA 2021 (there TPUv4i); host "
    "link: nothing published, taken as v4's"
)
_TPU7X = (
    "capacity, flops and HBM: half a chip of Google's TPU7x page, for a device is one of its two cores; host link: "
    "nothing published, taken as half of v6e's"
)

_PAGES = "docs.cloud.google.com/tpu/docs"
"""Google's pages, one for each TPU."""


_FLAT = ("1x1", "1x2", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_DEEP = ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16", "8x16x16", "16x16x16")
"""Shapes of slices, up to a pod: of chips that are joined in two dimensions, and in three."""


def _topologies(name: str, shapes: tuple[str, ...], cores: int = 1) -> Mapping[int, str]:
    """Topologies of these shapes by their number of devices, ``cores`` a chip."""
    return {cores * math.prod(map(int, shape.split("x"))): f"{name}:{shape}" for shape in shapes}


def _target(name: str, space: int, heap: int, hbm: float, ratio: float, clock: float, capacity: int) -> Target:
    """Fast memory's bandwidth is a fixed multiple of HBM's in MSA's model, for reading and writing alike."""
    return Target(
        name=name,
        fast_space=space,
        fast_bytes=heap,
        alignment=4096,
        hbm_bandwidth=hbm,
        fast_read_bandwidth=hbm * ratio,
        fast_write_bandwidth=hbm * ratio,
        min_seconds=1 / clock,
        hbm_bytes=capacity * _GIB,
    )


def _link(
    name: str, size: float, way: float, flops: float, bandwidth: float, source: str, exposed: float = 0.0
) -> Link:
    return Link(name, round(size), way, way, 2 * way, flops, bandwidth, source, exposed)


CHIPS: Mapping[str, Chip] = {
    "H100 SXM": Chip(
        rates=Rates(9.89e14, 3.9e12),
        link=_link("H100 SXM", 80e9, 64e9, 989e12, 3.35e12, f"{_NVIDIA} Gen5 x16", GPU_EXPOSED),
    ),
    "H200": Chip(
        rates=Rates(9.89e14, 3.9e12),
        link=_link("H200", 141e9, 64e9, 989e12, 4.8e12, f"{_NVIDIA} Gen5 x16", GPU_EXPOSED),
    ),
    "A100": Chip(
        rates=Rates(3.12e14, 2.4e12),
        link=_link("A100", 80e9, 32e9, 312e12, 2.039e12, f"{_NVIDIA} Gen4 x16; SXM, 80 GB", GPU_EXPOSED),
    ),
    "L4": Chip(
        rates=Rates(1.21e14, 1.9e12),
        link=_link("L4", 24e9, 32e9, 121e12, 0.3e12, f"{_NVIDIA} Gen4 x16; without sparsity", GPU_EXPOSED),
    ),
    "v4 lite": Chip(
        rates=Rates(1.37e14, 5.3775e11),
        link=_link("v4 lite", 8 * _GIB, 16e9, 138e12, 0.614e12, _TPU_V4_LITE),
        target=_target("v4 lite", _CMEM, 134_217_728, 4.91774e11, 6.0, 1.05e9, 8),
        topologies=_topologies("v4 lite", _FLAT),
        device_kinds=("TPU v4 lite",),
        dumped_as=("PUFFERFISH", "lite"),
        program_gib=7.75,
    ),
    "v4": Chip(
        rates=Rates(1.37e14, 5.3775e11),
        link=_link("v4", 32 * _GIB, 16e9, 275e12, 1.2e12, _TPU),
        interconnect=Interconnect(6, 50e9, "Jouppi et al., 'TPU v4', ISCA 2023, table 4: 6 links at 50 GB/s"),
        target=_target("v4", _CMEM, 67_108_864, 4.91238e11, 6.0, 1.05e9, 32),
        topologies=_topologies("v4", _DEEP, cores=2),
        device_kinds=("TPU v4",),
        dumped_as=("PUFFERFISH", ""),
        program_gib=15.25,
    ),
    "v5e": Chip(
        rates=Rates(1.97e14, 1.536e12),
        link=_link("v5e", 16 * _GIB, 15e9, 197e12, 0.82e12, _TPU),
        interconnect=Interconnect(4, 50e9, f"{_PAGES}/v5e: 400 GBps both ways a chip, 4 ports"),
        target=_target("v5e", _VMEM, 117_440_512, 7.37660e11, 22.5, 1.5e9, 16),
        topologies=_topologies("v5e", _FLAT),
        device_kinds=("TPU v5 lite", "TPU v5e"),
        dumped_as=("VIPERFISH", "lite"),
        program_gib=15.75,
        splits=Splits(16384, 49152, (8192, 16384, 24576, 32768, 49152, 65536, 98304)),
    ),
    "v5p": Chip(
        rates=Rates(3.94e14, 3.072e12),
        link=_link("v5p", 95 * _GIB, 15e9, 459e12, 2.8e12, _TPU),
        interconnect=Interconnect(6, 100e9, f"{_PAGES}/v5p: 1200 GBps both ways a chip, 3D torus"),
        target=_target("v5p", _VMEM, 50_266_112, 2.3504e12, 7.7, 1.75e9, 95),
        topologies=_topologies("v5p", _DEEP),
        device_kinds=("TPU v5", "TPU v5p"),
        dumped_as=("VIPERFISH", ""),
        program_gib=95.73,
        splits=Splits(16384, 40960, (8192, 16384, 24576, 32768, 40960, 49152), by_hand=(12288,)),
    ),
    "v6e": Chip(
        rates=Rates(9.18e14, 3.584e12, matrix=4.59e14, vector=7.168e12),
        link=_link("v6e", 32 * _GIB, 15e9, 918e12, 1.6e12, _TPU),
        interconnect=Interconnect(4, 100e9, f"{_PAGES}/v6e: 800 GBps both ways a chip, 4 ports"),
        target=_target("v6e", _VMEM, 100_597_760, 1.638e12, 13.0, 1.75e9, 32),
        topologies=_topologies("v6e", _FLAT),
        device_kinds=("TPU v6 lite", "TPU v6e"),
        dumped_as=("GHOSTLITE", ""),
        program_gib=31.24,
        splits=Splits(32768, 49152, (16384, 24576, 32768, 49152, 65536, 81920, 98304)),
    ),
    "tpu7x": Chip(
        rates=Rates(1.15e15, 3.9e12, matrix=5.75e14, vector=7.8e12),
        link=_link("tpu7x", 96 * _GIB, 7.5e9, 1153.5e12, 3.69e12, _TPU7X),
        interconnect=Interconnect(6, 100e9, "blog.google on Ironwood: 9.6 Tb/s both ways a chip, 3D torus"),
        target=_target("tpu7x", _VMEM, 33_488_896, 3.68600e12, 3.2, 1.9e9, 96),
        topologies=_topologies("tpu7x", _DEEP, cores=2),
        device_kinds=("TPU7x",),
        dumped_as=("6acc60406", ""),
        program_gib=94.74,
        splits=Splits(32768, 40960, (16384, 24576, 32768, 40960, 49152, 57344)),
    ),
}
"""By name. VMEM has 131072 KiB on v5e, 65472 on v5p, 131008 on v6e and 65472 on tpu7x."""


def program_hbm(target: Target) -> int:
    """Bytes of HBM that the compiler lets a program have; the whole HBM where that is not known."""
    chip = CHIPS.get(target.name)
    usable = None if chip is None or chip.program_gib is None else round(chip.program_gib * _GIB)
    return target.hbm_bytes if usable is None else usable

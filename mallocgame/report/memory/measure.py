"""From what the compiler placed to what it takes of each memory."""

from __future__ import annotations

from mallocgame.problem.chips import CHIPS, program_hbm
from mallocgame.problem.placement import HBM, HOST
from mallocgame.problem.schema import Target
from mallocgame.programs.placed import Placed
from mallocgame.report.memory.asked import asked_for
from mallocgame.report.memory.findings import findings_of
from mallocgame.report.memory.graph import number_of_parameter
from mallocgame.report.memory.kinds import kinds_of
from mallocgame.report.memory.lives import Lives
from mallocgame.report.memory.peak import peak_of
from mallocgame.report.memory.use import MemoryUse, SpaceUse
from mallocgame.system.errors import BadInputError
from xla_dump_parser import SpaceUsage, parse_buffer_assignment, parse_memory_usage_report


def memory_use(program: Placed) -> MemoryUse:
    """What a compiled program takes of each memory.

    Raises:
        BadInputError: the texts are not of one program, or report and assignment do not agree.
        xla_dump_parser.ParseError: a text is damaged.
    """
    module, source, target = program.module, program.source, program.target
    allocations = parse_buffer_assignment(program.buffer_assignment, f"{source} (buffer assignment)")
    sums: dict[int, int] = {HBM: 0}
    for allocation in allocations:
        sums[allocation.memory_space] = sums.get(allocation.memory_space, 0) + allocation.size
    usage = program.memory_usage
    reported = parse_memory_usage_report(usage, f"{source} (memory usage)") if usage else ()
    for space in reported:
        if sums.get(space.memory_space, 0) != space.total_bytes:
            raise BadInputError(
                f"{source}: the memory-usage report has {space.total_bytes} bytes in {space.name}, the buffer "
                f"assignment {sums.get(space.memory_space, 0)}: they are not of one compile"
            )
    lives = Lives(module)
    peak = peak_of(allocations, HBM, module, lives)
    others = [peak_of(allocations, HOST, module, lives)] if sums.get(HOST) else []
    steps = (step for step in module.entry.instructions if step.opcode == "parameter")
    numbers = {step.name: number for step in steps if (number := number_of_parameter(step)) is not None}
    return MemoryUse(
        module=module.name,
        target=target.name,
        spaces=tuple(_space(number, sums[number], reported, target) for number in sorted(sums)),
        kinds=kinds_of(allocations, HBM),
        peaks=(peak, *others),
        findings=findings_of(peak, sums[HBM], numbers, asked_for(program.lowered, source)),
        scoped=_scoped(target, program.scoped_vmem_kib),
        target_why=program.target_why,
        code_bytes=program.code_bytes,
    )


def _scoped(target: Target, asked_kib: int | None) -> int | None:
    chip = CHIPS.get(target.name)
    if chip is None or chip.splits is None:
        return None
    return 2**10 * (chip.splits.default if asked_kib is None else asked_kib)


def _space(number: int, total: int, reported: tuple[SpaceUsage, ...], target: Target) -> SpaceUse:
    names = {space.memory_space: space.name for space in reported}
    known = {HBM: ("HBM", program_hbm(target)), target.fast_space: ("fast memory", target.fast_bytes)}
    name, capacity = known.get(number, ("host" if number == HOST else names.get(number, f"S({number})"), None))
    return SpaceUse(name, number, total, capacity)

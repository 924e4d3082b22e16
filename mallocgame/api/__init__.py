"""The commands as functions of the same names. JAX is imported only in the compiler's child process.

For a JAX program in one line see ``mallocgame.optimize``.

    from mallocgame import api

    api.capture("my_package.models:unet", target="v5p", out="unet.mgz")
    solved = api.solve("unet.mgz", out="plan.json")
    print(api.export("plan.json", "python"))
    print(api.verify("plan.json", "unet.mgz").best)
"""

from mallocgame.api.answers import Reported, ReportFormat, explain, export, report, verify
from mallocgame.api.arguments import PathLike
from mallocgame.api.benchmark import bench, replay
from mallocgame.api.device import calibrate, probe
from mallocgame.api.fitting import fit, fit_largest, verify_fit
from mallocgame.api.packing import pack, spill
from mallocgame.api.programs import MemoryFormat, capture, inspect, memory, memory_diff
from mallocgame.api.solving import Solved, auto, solve, solve_all
from mallocgame.api.training import train
from mallocgame.compiler.export.formats import Format as ExportFormat

__all__ = [
    "ExportFormat",
    "MemoryFormat",
    "PathLike",
    "ReportFormat",
    "Reported",
    "Solved",
    "auto",
    "bench",
    "calibrate",
    "capture",
    "explain",
    "export",
    "fit",
    "fit_largest",
    "inspect",
    "memory",
    "memory_diff",
    "pack",
    "probe",
    "replay",
    "report",
    "solve",
    "solve_all",
    "spill",
    "train",
    "verify",
    "verify_fit",
]

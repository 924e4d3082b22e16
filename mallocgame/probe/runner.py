"""What the measuring process does. JAX is imported here, at the first request."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mallocgame.system.errors import BadInputError, CompilerRefusedError, NoAnswerError
from mallocgame.system.printable import one_line

if TYPE_CHECKING:
    from mallocgame.probe.executables import Executable

MIN_WARM_UP = 2
"""Calls of each program before anything counts."""


class Runner:
    """The state of the process: device, executables, their arguments on the device."""

    def __init__(self) -> None:
        try:
            self._jax: Any = importlib.import_module("jax")
            self._jax.config.update("jax_cpu_enable_async_dispatch", False)
            self._devices = self._jax.devices()
        except ImportError as error:
            self._failure: str | None = f"JAX cannot be imported ({error}); pip install jax"
        except RuntimeError as error:
            self._failure = f"JAX has no device: {one_line(error, 300)}"
        else:
            self._failure = None
        self._executables: list[Executable] = []
        self._arguments: list[list[Any]] = []

    def device(self) -> dict[str, Any]:
        """Platform, kind and number of the devices, memories of one of them, versions.

        Raises:
            CompilerRefusedError: JAX is missing or has no device.
        """
        from mallocgame.probe.device import describe_device

        if self._failure is not None:
            raise CompilerRefusedError(self._failure)
        return describe_device(self._devices)

    def load(self, programs: Sequence[dict[str, Any]], seed: int, inputs: str | None) -> dict[str, Any]:
        """Compile programs in place of earlier ones, and put their arguments on the device; equal ones are shared.

        Args:
            programs: each has ``name``, ``function``, ``lowered`` and ``options``, as ``programs.Program``.
            seed: of made-up inputs.
            inputs: a file of inputs for those that do not bring their own.

        Returns:
            ``{"seconds": [of each compile]}``.

        Raises:
            BadInputError, CompilerRefusedError: as ``executables.load``.
            NoAnswerError: the arguments do not fit.
        """
        from mallocgame.probe import executables

        self.device()
        self._executables, self._arguments = [], []
        seconds = []
        for program in programs:
            start = perf_counter()
            self._executables.append(executables.load(**program))
            seconds.append(perf_counter() - start)
        shared: dict[Any, list[Any]] = {}
        for executable in self._executables:
            key = (executable.inputs, tuple(map(str, executable.shardings)), tuple(map(id, executable.values)))
            if key not in shared:
                shared[key] = _place(self._jax, _values(executable, seed, inputs), executable)
            self._arguments.append(shared[key])
        return {"seconds": seconds}

    def warm_up(self, seconds: float) -> dict[str, Any]:
        """Call each program until ``seconds`` are over, twice at least, and compare outputs with the first program's.

        Returns:
            ``seconds``: of the fastest call of each; ``kept_bytes``: of outputs and donated arguments of one call;
            ``differences``: of each program's outputs from the first's, as ``outputs.difference``; ``finite``: whether
            the outputs have no NaN and no infinity.

        Raises:
            NoAnswerError: a program does not fit, or fails.
        """
        import numpy as np

        from mallocgame.probe.outputs import all_finite, difference

        fastest, kept, differences, finite = [], [], [], []
        first: list[Any] | None = None
        for number, executable in enumerate(self._executables):
            samples: list[float] = []
            while len(samples) < MIN_WARM_UP or sum(samples) < seconds:
                samples.append(self._sample(number, 1))
            outputs = [np.asarray(output) for output in self._call(number, self._fresh(number))]
            first = outputs if first is None else first
            fastest.append(min(samples))
            donated = sum(self._arguments[number][at].nbytes for at in executable.donated)
            kept.append(donated + sum(output.nbytes for output in outputs))
            differences.append(difference(outputs, first))
            finite.append(all_finite(outputs))
        return {"seconds": fastest, "kept_bytes": kept, "differences": differences, "finite": finite}

    def measure(self, orders: Sequence[Sequence[int]], calls: Sequence[int], seconds: float) -> dict[str, Any]:
        """One sample of each program in each round.

        Args:
            orders: for each round the programs' numbers in the order in which they run.
            calls: for each program how many calls make a sample.
            seconds: after which no other round is begun.

        Returns:
            ``{"seconds": [for each round [for each program, of one call]]}``.

        Raises:
            NoAnswerError: as ``warm_up``.
        """
        found: list[list[float]] = []
        end = perf_counter() + seconds
        for order in orders:
            if found and perf_counter() > end:
                break
            row = [0.0] * len(self._executables)
            for number in order:
                row[number] = self._sample(number, calls[number]) / calls[number]
            found.append(row)
        return {"seconds": found}

    def measure_memory(self, seconds: float, bytes: int) -> dict[str, Any]:
        """Bandwidths of the device's memories and of the links between them, as ``memory_rates.measure``.

        Raises:
            CompilerRefusedError: JAX is missing or has no device.
            NoAnswerError: the arrays do not fit.
        """
        from mallocgame.probe import memory_rates

        self.device()
        return {"rates": memory_rates.measure(self._devices[0], seconds, bytes)}

    def profile(self, runs: int) -> dict[str, Any]:
        """Seconds of each instruction of the first program, as ``instruction_times.measure``.

        Raises:
            CompilerRefusedError: there is no profile.
        """
        from mallocgame.probe import instruction_times

        def run() -> None:
            self._sample(0, 1)

        return {"instructions": instruction_times.measure(run, runs)}

    def _sample(self, number: int, calls: int) -> float:
        """Seconds of so many calls one after the other, copies of donated arguments not counted.

        The CPU device may run calls side by side, so each is waited for; other devices run them in order.
        """
        arguments = [self._fresh(number) for _ in range(calls)]
        one_by_one = self._devices[0].platform == "cpu"
        outputs = []
        try:
            start = perf_counter()
            for flat in arguments:
                outputs.append(self._executables[number].call(flat))
                if one_by_one:
                    self._jax.block_until_ready(outputs[-1])
            self._jax.block_until_ready(outputs)
            return perf_counter() - start
        except RuntimeError as error:
            raise NoAnswerError(f"program {number} failed on the device: {_one_line(error)}") from None

    def _call(self, number: int, flat: Sequence[Any]) -> Sequence[Any]:
        try:
            return self._executables[number].call(flat)
        except RuntimeError as error:
            raise NoAnswerError(f"program {number} failed on the device: {_one_line(error)}") from None

    def _fresh(self, number: int) -> list[Any]:
        """The arguments of a call, those that it uses up as copies of their own."""
        flat = list(self._arguments[number])
        for at in self._executables[number].donated:
            flat[at] = self._jax.device_put(flat[at], flat[at].sharding, may_alias=False)
        self._jax.block_until_ready(flat)
        return flat


def _values(executable: Executable, seed: int, inputs: str | None) -> list[Any]:
    """A value for each argument: the program's own, else of the file, else made up."""
    from mallocgame.probe.inputs import make_inputs, read_inputs

    if executable.values and all(value is not None for value in executable.values):
        return list(executable.values)
    wanted = executable.inputs
    others = make_inputs(wanted, seed) if inputs is None else read_inputs(inputs, wanted)
    return [other if own is None else own for own, other in zip(executable.values, others, strict=True)]


def _place(jax: Any, values: Sequence[Any], executable: Executable) -> list[Any]:
    """Values on the device, where the program wants them."""
    try:
        placed = [jax.device_put(value, where) for value, where in zip(values, executable.shardings, strict=True)]
        jax.block_until_ready(placed)
    except RuntimeError as error:
        raise NoAnswerError(f"the inputs do not fit on the device: {_one_line(error)}") from None
    except ValueError as error:
        raise BadInputError(f"the inputs cannot be put on the device: {_one_line(error)}") from None
    return placed


def _one_line(error: Exception) -> str:
    return one_line(error, 400)

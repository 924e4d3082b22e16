"""Functions that numba compiled as an object file, which is kept and loaded without numba.

Loading numba takes half a second and its own cache as long again; llvmlite, which numba is made of, loads an object
file in a twentieth of that. So numba compiles C functions (`numba.cfunc`) once, and every run loads the same file.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import llvmlite

from mallocgame.system.errors import MallocgameError
from mallocgame.system.files import cache_folder, read_bytes, write_atomically

LARGEST_FILE = 16 << 20
_DIGEST = 32
"""Bytes at the start of a kept file: the digest of the rest."""
_OF_THE_SYSTEM = ("llvm.", "memcpy", "memmove", "memset")
"""What object code may use in any process."""
_REFERENCE_COUNT = re.compile(r"^ *(?:tail )?call void @NRT_(?:incref|decref)\(.*\n", re.MULTILINE)
"""Of arrays: none here owns its memory, so all that numba counts is nothing."""


class ObjectCode:
    """C functions of a folder of source files.

    The file is kept in the folder's ``__pycache__`` or in the user's cache folder, where one can be written; its name
    has the digest of the source files, the version of llvmlite (each version of numba takes one) and the processor.
    """

    def __init__(self, entries: str, names: Sequence[str]) -> None:
        """Nothing is loaded yet.

        Args:
            entries: the module that has these functions, compiled by `numba.cfunc`; imported only to compile them.
            names: of the functions.
        """
        self._entries, self._names = entries, names

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        """One of the functions as `ctypes` calls it, without the interpreter's lock.

        Args:
            name: one of the names.
            result: its type in `ctypes`; so the ``arguments``.
        """
        function: Any = ctypes.CFUNCTYPE(result, *arguments)(self._engine.get_function_address(name))
        function.code = self._engine  # which stays as long as the function
        return function

    @cached_property
    def _engine(self) -> Any:
        """What holds the loaded code."""
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = _machine(llvm)
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        engine.add_object_file(llvm.ObjectFileRef.from_data(self._kept(llvm) or self._compile(llvm, machine)))
        engine.finalize_object()
        return engine

    def _kept(self, llvm: Any) -> bytes | None:
        """The object file that was kept, if there is one."""
        for path in self._paths(llvm):
            with suppress(MallocgameError):
                kept = read_bytes(path, LARGEST_FILE)
                if hashlib.sha256(kept[_DIGEST:]).digest() == kept[:_DIGEST]:
                    return kept[_DIGEST:]
        return None

    def _compile(self, llvm: Any, machine: Any) -> bytes:
        """The object file, made now, and kept unless it needs what only numba's own process has."""
        entries = importlib.import_module(self._entries)
        whole = llvm.parse_assembly("")
        for name in self._names:
            entry = getattr(entries, name)
            module = llvm.parse_assembly(_REFERENCE_COUNT.sub("", entry.inspect_llvm()))
            for value in (*module.functions, *module.global_variables):
                if not value.is_declaration:
                    value.linkage = "internal"
            function = module.get_function(entry.native_name)
            function.linkage = "external"
            function.name = name
            whole.link_in(module)
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
        builder.getModulePassManager().run(whole, builder)
        code: bytes = machine.emit_object(whole)
        if all(value.name.startswith(_OF_THE_SYSTEM) for value in whole.functions if value.is_declaration):
            self._keep(llvm, code)
        return code

    def _keep(self, llvm: Any, code: bytes) -> None:
        for path in self._paths(llvm):
            with suppress(MallocgameError, OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, hashlib.sha256(code).digest() + code)
                return

    def _paths(self, llvm: Any) -> Iterator[Path]:
        """Where the file may be, the best place first."""
        spec = importlib.util.find_spec(self._entries)
        folder = Path(str(spec.origin if spec else "")).parent
        found = hashlib.sha256()
        for source in sorted(folder.glob("*.py")):
            found.update(source.read_bytes())
        machine = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), llvm.get_process_triple()
        found.update(" ".join((llvmlite.__version__, *machine)).encode())
        name = f"{folder.name}.{found.hexdigest()[:16]}.o"
        yield folder / "__pycache__" / name
        with suppress(RuntimeError):  # there is no home folder
            yield cache_folder() / name


def _machine(llvm: Any) -> Any:
    """This processor, as numba describes it to LLVM."""
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        codemodel="jitdefault",
        jit=True,
    )

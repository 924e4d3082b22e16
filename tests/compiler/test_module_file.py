"""Modules of any framework: what a file holds becomes StableHLO, or is refused in one line."""

from __future__ import annotations

import gzip
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxlib._hlo as hlo
import pytest
from jax.interpreters import mlir

from mallocgame.compiler.capture_file import load_capture
from mallocgame.compiler.capturing import capture
from mallocgame.compiler.module_file import is_module_file, read_module
from mallocgame.system.errors import BadInputError

TEXT = """HloModule step, entry_computation_layout={(f32[8,4]{1,0}, f32[4,2]{1,0})->f32[8,2]{1,0}}

ENTRY main {
  a = f32[8,4]{1,0} parameter(0)
  b = f32[4,2]{1,0} parameter(1)
  turned = f32[8,4]{0,1} copy(a)
  product = f32[8,2]{1,0} dot(turned, b), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  ROOT answer = f32[8,2]{1,0} tanh(product)
}
"""


def proto() -> bytes:
    """``TEXT`` as an ``HloModuleProto``."""
    found: bytes = hlo.hlo_module_from_text(TEXT).as_serialized_hlo_module_proto()
    return found


def wrapped(data: bytes) -> bytes:
    """An ``HloProto`` around an ``HloModuleProto``: its field 1, of a length in seven bits a byte."""
    length, size = b"", len(data)
    while size >= 128:
        length += bytes([size & 127 | 128])
        size >>= 7
    return b"\x0a" + length + bytes([size]) + data


def lowered() -> str:
    """A program of JAX as StableHLO text."""
    return str(jax.jit(jnp.tanh).lower(jax.ShapeDtypeStruct((8,), jnp.float32)).as_text())


def bytecode() -> bytes:
    """The same as a portable artifact."""
    from jaxlib import _jax

    with mlir.make_ir_context():
        artifact: bytes = _jax.mlir.serialize_portable_artifact(mlir.ir.Module.parse(lowered()), "1.0.0")
    return artifact


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("step.hlo", TEXT.encode()),
        ("step.txt", b"\xef\xbb\xbf" + TEXT.encode()),
        ("step.pb", proto()),
        ("step.hlo.pb", wrapped(proto())),
    ],
)
def test_hlo_becomes_stablehlo(tmp_path: Path, name: str, data: bytes, end: str) -> None:
    file = tmp_path / f"{name}{end}"
    file.write_bytes(gzip.compress(data) if end else data)
    assert is_module_file(str(file))
    text = read_module(str(file))
    assert text.count(" stablehlo.dot ") == text.count(" stablehlo.tanh ") == 1
    assert "mhlo.copy" not in text, "which the compiler refuses"
    with mlir.make_ir_context():
        assert mlir.ir.Module.parse(text).operation.verify()


def test_stablehlo_text_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "step.mlir").write_text(lowered())
    assert read_module(str(tmp_path / "step.mlir")) == lowered()


def test_stablehlo_bytecode_is_read(tmp_path: Path) -> None:
    (tmp_path / "step.mlir").write_bytes(bytecode())
    assert "stablehlo.tanh" in read_module(str(tmp_path / "step.mlir"))


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("s.hlo", TEXT.replace("step,", "step, is_scheduled=true,").encode(), "is a schedule"),
        ("s.hlo", TEXT.replace("tanh(product)", "tanh(nothing)").encode(), "s.hlo:8:.*'nothing' is not defined"),
        ("s.hlo", TEXT.replace("answer", "\xe4").encode("latin-1"), "not UTF-8 text"),
        (
            "s.hlo",
            TEXT.replace("tanh(product)", 'custom-call(product), custom_call_target="__cublas$gemm"').encode(),
            "__cublas\\$gemm",
        ),
        ("s.hlo.gz", gzip.compress(TEXT.encode())[:-20], "ended before the end-of-stream"),
        ("s.hlo.gz", b"\x1f\x8bnothing", "cannot read the file: "),
        ("s.pb", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "cannot be translated"),
        ("s.mlir", b"ML\xefRnothing", "damaged StableHLO"),
    ],
)
def test_what_is_no_program_is_refused_in_one_line(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInputError, match=words) as refused:
        read_module(str(tmp_path / name))
    assert str(refused.value).startswith(f"{tmp_path / name}:")


@pytest.mark.parametrize("name", ["package.module:function", "hlo:text", "step.mgz"])
def test_other_names_are_no_modules(name: str) -> None:
    assert not is_module_file(name)


@pytest.mark.libtpu
def test_a_text_of_another_framework_is_captured(tmp_path: Path) -> None:
    (tmp_path / "step.hlo").write_text(TEXT)
    made = capture(str(tmp_path / "step.hlo"), None, "v5e", tmp_path / "step.mgz")
    assert load_capture(tmp_path / "step.mgz") == made
    problem = made.problem()
    assert problem.module == "step"
    entry = [tensor.size for tensor in problem.tensors if tensor.hbm_definition == "entry parameter"]
    assert len(entry) == 2
    (tmp_path / "bad.hlo").write_text(TEXT.replace("tanh(product)", "tanh(nothing)"))
    with pytest.raises(BadInputError, match=r"bad\.hlo:8:"):
        capture(str(tmp_path / "bad.hlo"), None, "v5e")

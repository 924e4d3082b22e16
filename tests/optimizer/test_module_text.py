"""Digests of lowered modules: what decides a compile counts, and where the source stands does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mallocgame.programs.module_text import digest

HEAD = "module @jit_f attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {\n"


def text(
    *,
    file: str = "f.py",
    line: int = 3,
    argument: str = "x",
    operation: str = "jit(f)/sin",
    frames: int = 1,
    first: int = 1,
) -> str:
    """A module of one operation, called through ``frames`` functions, its locations numbered from ``first``."""
    places = [f'loc("{file}":{line + frame}:4 to :9)' for frame in range(frames)]
    lines = [f"#loc{first + n} = {place}" for n, place in enumerate(places)]
    call, last = first, first + frames
    for frame in range(1, frames):
        lines.append(f"#loc{last} = loc(callsite(#loc{call} at #loc{first + frame}))")
        call, last = last, last + 1
    lines.append(f'#loc{last} = loc("{operation}"(#loc{call}))')
    body = (
        f'  func.func public @main(%arg0: tensor<4xf32> loc("{argument}")) -> (tensor<4xf32>) {{\n'
        f"    %0 = stablehlo.sine %arg0 : tensor<4xf32> loc(#loc{last})\n"
        f"    return %0 : tensor<4xf32> loc(#loc)\n  }} loc(#loc)\n}} loc(#loc)\n"
    )
    return f"#loc = loc(unknown)\n{HEAD}{body}" + "\n".join(lines) + "\n"


@given(
    st.text("abc/. é", min_size=1),
    st.integers(1, 10**6),
    st.integers(1, 6),
    st.integers(1, 500),
)
def test_places_do_not_count(file: str, line: int, frames: int, first: int) -> None:
    assert digest(text(file=file, line=line, frames=frames, first=first)) == digest(text())


@pytest.mark.parametrize(
    "other",
    [
        text(argument="y"),
        text(operation="jit(f)/cos"),
        text().replace("4xf32", "8xf32"),
        text().replace("stablehlo.sine", "stablehlo.cosine"),
        text().replace("num_partitions = 1", "num_partitions = 2"),
        text().replace("@jit_f", "@jit_g"),
    ],
)
def test_all_else_counts(other: str) -> None:
    assert digest(other) != digest(text())


MESH = "  sdy.mesh @empty_mesh = <[]> {stablehlo.mesh = {axes = []}} loc(unknown)\n"
PLACED = "sdy.sharding = #sdy.sharding<@empty_mesh, [{}]>"


@pytest.mark.parametrize(
    ("plain", "attributes"),
    [
        ("", f" {{{PLACED}}}"),
        (" {tf.aliasing_output = 0 : i32}", f" {{{PLACED}, tf.aliasing_output = 0 : i32}}"),
        (" {jax.buffer_donor = true}", f" {{jax.buffer_donor = true, {PLACED}}}"),
    ],
)
def test_how_the_device_of_a_program_for_one_is_said_does_not_count(plain: str, attributes: str) -> None:
    here = text().replace(' loc("x")', f'{plain} loc("x")')
    described = text().replace(HEAD, HEAD + MESH).replace(' loc("x")', f'{attributes} loc("x")')
    assert digest(described) == digest(here)
    several = described.replace("num_partitions = 1", "num_partitions = 4")
    assert digest(several) != digest(here.replace("num_partitions = 1", "num_partitions = 4"))


def test_what_jax_writes() -> None:
    import jax
    import jax.numpy as jnp

    def lowered(source: str, name: str, lines: int) -> str:
        scope: dict[str, object] = {"jax": jax, "jnp": jnp}
        exec(compile("\n" * lines + source, name, "exec"), scope)
        shape = jax.ShapeDtypeStruct((4, 4), jnp.float32)
        function: object = scope["step"]
        return str(jax.jit(function).lower(shape, shape).as_text(debug_info=True))  # type: ignore[arg-type]

    source = (
        "def step(x, w):\n  y, _ = jax.lax.scan(lambda c, _: (jnp.tanh(c @ w), None), x, None, length=3)\n  return y"
    )
    plain, moved = lowered(source, "a.py", 0), lowered(source, "b.py", 40)
    assert plain != moved
    assert digest(plain) == digest(moved)
    assert digest(plain) != digest(lowered(source.replace("w", "v"), "a.py", 0))
    assert digest(plain) != digest(lowered(source.replace("length=3", "length=4"), "a.py", 0))

"""How many operands an instruction has at least, by its opcode (OpenXLA hlo_instruction.cc, shape_inference.cc)."""

from __future__ import annotations

_ONE = """
    abs acos acosh all-gather-done all-gather-start all-reduce-done all-reduce-start asin asinh async-done
    async-update atanh bitcast bitcast-convert broadcast cbrt ceil cholesky collective-permute
    collective-permute-done collective-permute-start concatenate convert copy copy-done copy-start cosh cosine
    count-leading-zeros domain dynamic-reshape dynamic-slice erf exponential exponential-minus-one fft floor
    get-dimension-size get-tuple-element imag infeed is-finite log log-plus-one logistic map negate not opt-barrier
    optimization-barrier popcnt real recv recv-done reduce-precision reshape reverse rng-bit-generator
    round-nearest-afz round-nearest-even rsqrt send-done sign sine sinh slice sort sqrt tan tanh topk transpose
    while
"""

_TWO = """
    add add-dependency and atan2 compare complex conditional convolution divide dot dynamic-update-slice gather
    maximum minimum multiply or outfeed pad power reduce reduce-window remainder send set-dimension-size shift-left
    shift-right-arithmetic shift-right-logical stochastic-convert subtract triangular-solve xor
"""

_THREE = """
    batch-norm-training clamp ragged-dot scatter select select-and-scatter
"""

LEAST_OPERANDS = {
    opcode: count for count, opcodes in enumerate((_ONE, _TWO, _THREE), start=1) for opcode in opcodes.split()
} | {"batch-norm-grad": 5, "batch-norm-inference": 5, "ragged-all-to-all": 6}
"""Opcodes that are not here may have none."""

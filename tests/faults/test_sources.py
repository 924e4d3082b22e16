"""What no source file of ours may do: unpickle, run text as code or in a shell, measure by a clock that can go back."""

from __future__ import annotations

import ast

from tests.faults.sources import called, imported, trees

PICKLES = {"pickle", "_pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "yaml"}
CODE = {"eval", "exec", "os.system", "os.popen", "np.load", "numpy.load", "__import__"}
CLOCKS = {"time.time", "time.time_ns", "time.localtime", "time.gmtime"}
DATES = {"mallocgame/bench/sheet.py"}
"""Prints today's date under a table; no limit or order depends on it."""


def test_sources_are_found() -> None:
    names = {name for name, _ in trees()}
    assert {
        "mallocgame/cli/run.py",
        "muzero/agent_file.py",
        "xla_dump_parser/text.py",
        "workloads/catalogue.py",
    } <= names


def test_no_pickle() -> None:
    found = [(name, module) for name, tree in trees() for module in imported(tree) if module.split(".")[0] in PICKLES]
    assert found == []


def test_arrays_are_never_loaded_with_pickle() -> None:
    """`np.load` is not called at all, and what is written refuses to pickle."""
    for name, tree in trees():
        for function, call in called(tree):
            if function in ("np.savez", "np.save", "np.lib.format.write_array"):
                allowed = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "allow_pickle"]
                assert allowed == ["False"], name


def test_no_text_is_run_as_code() -> None:
    found = [(name, function, call) for name, tree in trees() for function, call in called(tree) if function in CODE]
    assert [(name, function) for name, function, _ in found] == [("mallocgame/probe/inputs.py", "np.load")]
    [refuses_pickle] = [word.value for word in found[0][2].keywords if word.arg == "allow_pickle"]
    assert isinstance(refuses_pickle, ast.Constant)
    assert refuses_pickle.value is False, "a user's own inputs of the probe, which may be of any size"


def test_no_shell() -> None:
    for name, tree in trees():
        for _, call in called(tree):
            assert not any(keyword.arg == "shell" for keyword in call.keywords), name


def test_limits_are_measured_by_a_clock_that_never_goes_back() -> None:
    for name, tree in trees():
        used = {function for function, _ in called(tree)} | set(imported(tree))
        assert not used & CLOCKS, name
        assert name in DATES or not any(module.startswith("datetime") for module in imported(tree)), name


def test_the_scan_finds_what_it_looks_for() -> None:
    tree = ast.parse("import pickle as p\nfrom time import time\nimport time\ntime.time()\neval('1')\n")
    assert {"pickle", "time.time"} <= set(imported(tree))
    assert {"time.time", "eval"} == {function for function, _ in called(tree)}

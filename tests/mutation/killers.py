"""What may kill a mutant: the vectors, then the tests. Both run in a child with the mutant in."""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import resource
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "server"
SUITES = ("tests/auction", "tests/auction_schain")
"""The tests of the auction."""
ELSEWHERE = ("test_vectors.py", "test_packing.py")
"""Tests that add nothing: the vectors have run already, and the packing is not changed."""
ONE_BY_ONE = "tests/auction/test_checks.py::test_without_any_one_check_a_vector_fails"
"""Likewise: the vectors once more for each check."""

VECTORS, TESTS = "vectors", "tests"

SECONDS = {VECTORS: 6, TESTS: 40}
"""CPU time after which a child is taken to run for ever; unchanged code needs 0.5 and 8."""

BYTES = 3 << 30
"""Memory that a child may have."""

OUT_OF_TIME = "out of time"


def prepare() -> None:
    """Imports what every child needs and no mutant changes, so that it is there after a fork.

    Raises:
        SystemExit: the code that is imported is not the code that is changed.
    """
    server = importlib.import_module("xsp_server.service.server")
    if not Path(str(server.__file__)).is_relative_to(SOURCE):
        raise SystemExit(f"xsp_server is imported from {server.__file__}; expected {SOURCE}")
    for name in [name for name in sys.modules if _is_ours(name)]:
        del sys.modules[name]


def _is_ours(name: str) -> bool:
    package, _, rest = name.partition(".")
    return package == "xsp_server" and rest.partition(".")[0] not in {"openrtb", "errors"}


def judge(module: str, code: CodeType | None, tests: Sequence[str], tell: Connection) -> None:
    """Runs the vectors and, if they all hold, the tests; the body of a child.

    Sends the name of what failed for each of the two, None where nothing did. A child that dies or
    runs out of time before it has sent something was killed as well.

    Args:
        module: which module is changed.
        code: what it is now; None: what it was.
        tests: files of tests; empty: the vectors alone.
        tell: where to send.
    """
    _be_quiet()
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    if code is not None:
        sys.meta_path.insert(0, _Finder(module, code))
    killers: list[tuple[str, Callable[[], str | None]]] = [(VECTORS, _failing_vector)]
    if tests:
        killers.append((TESTS, lambda: _failing_test(tests)))
    for name, killer in killers:
        _limit_time(SECONDS[name])
        found = killer()
        tell.send(found)
        if found is not None:
            break
    tell.close()
    os._exit(0)  # what tests have registered for the end of the process is of no interest


def _limit_time(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _be_quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from code that is there."""

    def __init__(self, module: str, code: CodeType) -> None:
        self._module, self._code = module, code

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._module:
            return None
        return importlib.util.spec_from_loader(name, self, origin=self._code.co_filename)

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)  # noqa: S102 - our own source, changed


def _failing_vector() -> str | None:
    """The first vector that comes out otherwise than it says, in the order of its file or not."""
    try:
        from auction import vector_files  # noqa: PLC0415 - imports the changed module

        vectors = [vector_files.read(path) for path in vector_files.files()]
    except Exception as error:  # noqa: BLE001 - whatever a mutant does
        return f"{type(error).__name__} on reading"
    for vector in vectors:
        for run in (vector, *(vector.shuffled(random.Random(seed)) for seed in range(5))):
            try:
                if run.found() != vector.expected:
                    return vector.name
            except Exception:  # noqa: BLE001
                return vector.name
    return None


def _failing_test(files: Sequence[str]) -> str | None:
    watcher = _Watcher()
    options = ["-x", "-q", "--no-header", "--no-summary", "-p", "no:cacheprovider"]
    status = pytest.main([*options, "--deselect", ONE_BY_ONE, *files], plugins=[watcher])
    return watcher.failed or (None if status == pytest.ExitCode.OK else f"exit {int(status)}")


class _Watcher:
    """Sees which test fails first."""

    def __init__(self) -> None:
        self.failed: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid


def files_of_tests(module: str) -> list[str]:
    """The files of tests, those named like the module first."""
    files = sorted(path for suite in SUITES for path in (ROOT / suite).glob("test_*.py"))
    own = f"test_{module.rpartition('.')[2]}.py"
    left = [file for file in files if file.name not in ELSEWHERE]
    return [str(file) for file in sorted(left, key=lambda file: (file.name != own, file))]

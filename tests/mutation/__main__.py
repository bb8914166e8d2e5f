"""Mutation testing of the auction: how much of its code could change without a test that fails.

    make mutation                              # everything; hours on a busy machine
    make mutation ARGS="contest pricing"       # some modules: minutes
    make mutation ARGS="--vectors-only --survivors contest"

Every small change (`mutants`) of a module is run in a child of its own (`killers`): first by the
vectors of tests/vectors/auction, then, if they all hold, by tests/auction. A change that makes
something fail is killed. The score is the share that was; changes that change nothing that counts
are listed with the reason in equivalent.toml and are not part of it.

The exit status is 1 if a listed change is not there any more, or was killed.
"""

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

from mutation import killers
from mutation.mutants import Mutant, find_mutants

PACKAGE = "xsp_server.auction"
MODULES = (
    *("checks", "contest", "pricing", "currency", "bids", "engine", "terms", "pods"),
    *("plan", "schain", "rules", "fates", "result", "response", "determination"),
    *("macros", "explain", "what_if"),
)
"""In the order of the report; those that decide first."""

RESULTS = killers.ROOT / "bench-results"
EQUIVALENT = Path(__file__).parent / "equivalent.toml"
MOST_WORKERS = 2
PATIENCE = 5.0
"""A child may take so much longer than its CPU time, on a busy machine."""

FORK = multiprocessing.get_context("fork")


@dataclass(slots=True)
class Outcome:
    """What became of a mutant.

    Attributes:
        mutant: the change.
        vector: what of the vectors failed; None: nothing.
        test: what of the tests failed; None: nothing, or they have not run.
        reason: why it is listed as equivalent; None: it is not.
    """

    mutant: Mutant
    vector: str | None = None
    test: str | None = None
    reason: str | None = None

    @property
    def killed(self) -> bool:
        """Whether anything failed."""
        return self.vector is not None or self.test is not None


@dataclass(slots=True)
class Score:
    """The figures of one module.

    Attributes:
        module: its short name.
        outcomes: of every change, in the order of the source.
    """

    module: str
    outcomes: list[Outcome] = field(default_factory=list)

    def figures(self) -> dict[str, int]:
        """How many mutants count, how many are equivalent, and what has killed how many."""
        counted = [outcome for outcome in self.outcomes if outcome.reason is None]
        return {
            "mutants": len(counted),
            "equivalent": len(self.outcomes) - len(counted),
            "killed_by_vectors": sum(outcome.vector is not None for outcome in counted),
            "killed": sum(outcome.killed for outcome in counted),
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    os.nice(15)
    killers.prepare()
    listed = _read_equivalent(options.modules)
    judge = Judge(options.workers, vectors_only=options.vectors_only)
    judge.check_unchanged()
    _say(f"{'':13} mutants  equiv.  by vectors{'' if options.vectors_only else '    by all tests'}")
    scores = []
    for module in options.modules:
        score = Score(module, [*judge.outcomes(f"{PACKAGE}.{module}")])
        _mark_equivalent(score, listed)
        scores.append(score)
        _say(_line(module, score.figures(), vectors_only=options.vectors_only))
        if options.survivors:
            _print_survivors(score)
    if len(scores) > 1:
        _say(_line("all", _sum(scores), vectors_only=options.vectors_only))
    wrong = _not_equivalent(scores, listed)
    _say(*wrong, f"figures: {_write(scores, options).relative_to(killers.ROOT)}")
    return 1 if wrong else 0


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make mutation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = ", ".join(MODULES)
    parser.add_argument("modules", nargs="*", default=MODULES, help=f"which; without: {names}")
    parser.add_argument("--survivors", action="store_true", help="print what nothing killed")
    parser.add_argument("--vectors-only", action="store_true", help="leave the tests out")
    parser.add_argument("--workers", type=int, choices=range(1, MOST_WORKERS + 1), default=1)
    return parser


@dataclass(slots=True)
class _Child:
    """One mutant at work.

    Attributes:
        place: of the mutant among those of its module.
        process: where it works.
        heard: what comes from there.
        until: by the monotonic clock, when it is given up.
        said: what has come.
    """

    place: int
    process: ForkProcess
    heard: Connection
    until: float
    said: list[str | None] = field(default_factory=list)


class Judge:
    """Runs the killers over mutants, each in a child of its own."""

    def __init__(self, workers: int, *, vectors_only: bool) -> None:
        """Sets how many children there are at once."""
        self._workers = workers
        self._vectors_only = vectors_only

    def check_unchanged(self) -> None:
        """Sees that nothing kills the code as it is.

        Raises:
            SystemExit: something does.
        """
        said = self._wait_for({0: self._start(0, PACKAGE, None)})[1]
        if said != [None] * (1 if self._vectors_only else 2):
            raise SystemExit(f"the unchanged code fails: {said}")

    def outcomes(self, module: str) -> Iterator[Outcome]:
        """What becomes of each mutant of a module, in the order of its source."""
        source = killers.SOURCE.joinpath(*module.split(".")).with_suffix(".py")
        mutants = find_mutants(module, source.read_text(encoding="utf-8"))
        children: dict[int, _Child] = {}
        said: dict[int, list[str | None]] = {}
        for place, mutant in enumerate(mutants):
            children[place] = self._start(place, module, mutant)
            if len(children) == self._workers:
                ended, words = self._wait_for(children)
                said[ended] = words
        while children:
            ended, words = self._wait_for(children)
            said[ended] = words
        for place, mutant in enumerate(mutants):
            vector, test = (*said[place], None)[:2]
            yield Outcome(mutant, vector, test)

    def _start(self, place: int, module: str, mutant: Mutant | None) -> _Child:
        tests = [] if self._vectors_only else killers.files_of_tests(module)
        code = mutant.compile(f"<{module}>") if mutant else None
        heard, tell = FORK.Pipe(duplex=False)
        process = FORK.Process(target=killers.judge, args=(module, code, tests, tell))
        process.start()
        tell.close()
        seconds = sum(killers.SECONDS.values()) * PATIENCE
        return _Child(place, process, heard, time.monotonic() + seconds)

    def _wait_for(self, children: dict[int, _Child]) -> tuple[int, list[str | None]]:
        """Takes out one child that has ended: whose it was, and what it said."""
        while True:
            wait([child.heard for child in children.values()], timeout=1.0)
            for place, child in list(children.items()):
                if self._has_ended(child):
                    del children[place]
                    return place, child.said

    def _has_ended(self, child: _Child) -> bool:
        """Hears what a child has to say; one that dies in the middle was killed by that."""
        try:
            while child.heard.poll():
                child.said.append(child.heard.recv())
        except EOFError:
            child.process.join()
        else:
            if time.monotonic() < child.until:
                return False
            child.process.kill()
            child.process.join()
        expected = 1 if self._vectors_only else 2
        if len(child.said) < expected and not any(child.said):
            child.said.append(killers.OUT_OF_TIME)
        child.heard.close()
        child.process.close()
        return True


Key = tuple[str, str]
"""Where a change is, as `checks._language`, and the text before and after."""


def _read_equivalent(modules: Sequence[str]) -> dict[Key, str]:
    """The reasons for what is listed of some modules."""
    tables = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("equivalent", [])
    return {
        (table["in"], change): table["why"]
        for table in tables
        if table["in"].partition(".")[0] in modules
        for change in table["changes"]
    }


def _key(mutant: Mutant) -> Key:
    where = f"{mutant.module}.{mutant.function}".removeprefix(f"{PACKAGE}.").rstrip(".")
    return where, f"{mutant.before}  ->  {mutant.after}"


def _mark_equivalent(score: Score, listed: dict[Key, str]) -> None:
    for outcome in score.outcomes:
        if not outcome.killed:
            outcome.reason = listed.get(_key(outcome.mutant))


def _not_equivalent(scores: Sequence[Score], listed: dict[Key, str]) -> list[str]:
    """What is wrong with the list of equivalents: changes that are not there, or were killed."""
    alive = {_key(o.mutant) for score in scores for o in score.outcomes if o.reason is not None}
    there = {_key(o.mutant) for score in scores for o in score.outcomes}
    return [
        f"{EQUIVALENT.name}: {'killed' if key in there else 'not found'}: {': '.join(key)}"
        for key in listed
        if key not in alive
    ]


def _sum(scores: Sequence[Score]) -> dict[str, int]:
    figures = [score.figures() for score in scores]
    return {name: sum(each[name] for each in figures) for name in figures[0]}


def _line(name: str, figures: dict[str, int], *, vectors_only: bool) -> str:
    line = f"{name:13} {figures['mutants']:7} {figures['equivalent']:7}"
    for kind in ("killed_by_vectors",) if vectors_only else ("killed_by_vectors", "killed"):
        share = figures[kind] / max(figures["mutants"], 1)
        line += f" {figures[kind]:6} {share:6.1%}"
    return line


def _print_survivors(score: Score) -> None:
    for outcome in score.outcomes:
        if outcome.reason is None and not outcome.killed:
            _say(f"  {outcome.mutant.line}: {': '.join(_key(outcome.mutant))}")


def _write(scores: Sequence[Score], options: argparse.Namespace) -> Path:
    figures: dict[str, Any] = {
        "python": platform.python_version(),
        "vectors_only": options.vectors_only,
        "all": _sum(scores),
        "modules": {score.module: _told(score) for score in scores},
    }
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-mutation.json"
    file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return file


def _told(score: Score) -> dict[str, Any]:
    """A module's figures and, by what became of them, the changes that no vector killed."""
    kinds: dict[str, list[dict[str, Any]]] = {"survived": [], "killed_by_tests": []}
    kinds["equivalent"] = []
    for outcome in score.outcomes:
        mutant = outcome.mutant
        told = {"line": mutant.line, "function": mutant.function, "kind": mutant.kind}
        told |= {"before": mutant.before, "after": mutant.after}
        if outcome.reason is not None:
            kinds["equivalent"].append({**told, "reason": outcome.reason})
        elif not outcome.killed:
            kinds["survived"].append(told)
        elif outcome.vector is None:
            kinds["killed_by_tests"].append({**told, "test": outcome.test})
    return {**score.figures(), **kinds}


if __name__ == "__main__":
    sys.exit(main())

"""Fuzzing of reading, checking, writing and merging VAST, and of macros.

    make fuzz                                  # 1,000,000 inputs
    make fuzz ARGS="--inputs 50000 --seed 7"

An input is a document, a message or a URL with macros, made out of the vectors and of random
messages. Whatever it is, nothing but our own refusals may come of it, and what was read and written
has to be read as the same again (`checks`). The same seed makes the same inputs.

An input that breaks a rule is kept in tests/fuzz/corpus, where the normal tests run it again, and
the exit status is 1. With --keep, so is the first input that shows each thing that none of the
seeds shows.
"""

import argparse
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fuzz import inputs
from fuzz.checks import Shown, check, hold
from fuzz.inputs import Input
from fuzz.mutators import Mutator, seeds

MOST_SECONDS = 2.0
"""CPU time that one input may take."""
MOST_FAILURES = 20
"""Then something is so wrong that more would say nothing new."""


@dataclass(slots=True)
class Run:
    """What came of a run.

    Attributes:
        seed: of the inputs.
        corpus: where failing inputs go.
        keeps: whether inputs that show something new go there, too.
        count: inputs so far, by kind.
        failures: inputs that broke a rule; what and where.
        known: what any input showed.
    """

    seed: int
    corpus: Path
    keeps: bool = False
    count: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    known: set[Shown] = field(default_factory=set)

    def run(self, number: int) -> None:
        """Runs so many inputs, besides those to start from."""
        start = [*map(inputs.load, inputs.files()), *seeds()]
        mutator = Mutator(start)
        for one in start:
            self._try(one)
        dice = random.Random(self.seed)
        self.count.clear()
        began = told = time.monotonic()
        for index in range(number):
            one = mutator.make(dice)
            if self._try(one):
                mutator.add(one)
            if time.monotonic() - told > 10:
                told = time.monotonic()
                _say(f"{index + 1:11,} inputs, {(index + 1) / (told - began):,.0f} a second")
            if len(self.failures) >= MOST_FAILURES:
                break

    def _try(self, one: Input) -> bool:
        """Whether an input shows anything new."""
        self.count[type(one).__name__] += 1
        began = time.process_time()
        try:
            shown = check(one)
            hold(time.process_time() - began < MOST_SECONDS, f"takes {MOST_SECONDS} s of CPU")
        except Exception as error:  # noqa: BLE001 - finding any is what this is for
            path = inputs.save(one, self.corpus, "failure")
            where = "".join(traceback.format_exception(error)[-4:])
            self.failures.append(f"{path}\n{where}")
            _say(self.failures[-1])
            return False
        new = shown - self.known
        self.known |= new
        if self.keeps and any(_is_worth_a_file(each, new, self.known) for each in new):
            inputs.save(one, self.corpus, "-".join(min(new)[:2]))
        return bool(new)


def _is_worth_a_file(shown: Shown, new: set[Shown], known: set[Shown]) -> bool:
    """Whether no earlier input showed anything of this kind and rule."""
    return not any(each[:2] == shown[:2] for each in known - new)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many; %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the inputs; %(default)s")
    parser.add_argument("--keep", action="store_true", help="keep inputs that show something new")
    parser.add_argument("--corpus", type=Path, default=inputs.CORPUS, help="where they are kept")
    options = parser.parse_args(arguments)
    run = Run(options.seed, options.corpus, options.keep)
    began = time.monotonic()
    run.run(options.inputs)
    seconds = time.monotonic() - began
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(run.count.items()))
    total = run.count.total()
    _say(f"{total:,} inputs ({kinds}) in {seconds:.0f} s, {total / seconds:,.0f} a second")
    _say(f"{len(run.known)} things shown, {len(run.failures)} failures")
    return 1 if run.failures else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.nice(15)
    sys.exit(main())

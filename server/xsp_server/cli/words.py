"""What several commands say alike, and how wide."""

import sys

LONGEST_LINE = 10_000
"""Columns of what doesn't go to a terminal: a tree or table is cropped at the width, and that of a
pipe is of nothing."""


def width() -> int | None:
    """The columns of standard output; None: those of its terminal."""
    return None if sys.stdout.isatty() else LONGEST_LINE


def counted(number: int, noun: str) -> str:
    """A number with its noun, as `1 error`, `2 errors` and `1,000 errors`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

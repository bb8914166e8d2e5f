"""What the functions of `versions/` take: rows, column by column."""

from collections.abc import Iterable, Sequence
from typing import Any

from xsp_server.state.rows import Row

COUNTER_COLUMNS = 12
MOVE_COLUMNS = 12
MOVEMENT_COLUMNS = 8


def columns(rows: Iterable[Row], width: int) -> list[Sequence[Any]]:
    """Rows column by column, also where there are none."""
    turned: list[Sequence[Any]] = list(zip(*rows, strict=True))
    return turned or [()] * width

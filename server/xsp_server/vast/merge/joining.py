"""Lists of several documents as one."""

from collections.abc import Iterable, MutableSequence, Sequence
from operator import itemgetter
from typing import TypeVar

Item = TypeVar("Item")


def closest_first(placed: Iterable[tuple[int, Item]]) -> Sequence[tuple[int, Item]]:
    """Items with their positions in the chain: the closest document's first, each in its order."""
    return sorted(placed, key=itemgetter(0), reverse=True)  # what is alike stays in its order


def join(own: MutableSequence[Item], others: Sequence[Iterable[Item]]) -> None:
    """Puts lists of others before one's own, in their order; their items are copied."""
    added = [item for other in others for item in other]
    if not added:
        return
    kept = list(own)
    if kept:
        # A protobuf list takes items at its end only. The copies outlive the list they are from.
        del own[:]
        added += kept
    own.extend(added)

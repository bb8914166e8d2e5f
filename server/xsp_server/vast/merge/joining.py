"""Lists of several documents as one."""

from collections.abc import Iterable, MutableSequence, Sequence
from typing import TypeVar

Item = TypeVar("Item")


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

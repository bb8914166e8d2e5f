"""The moves of reservations: what they are called in the books, and what they say.

In the book of its own id a reservation is the hold `INDEX`, which holds nothing and whose content
is the plan. In each book of the plan it is the hold `hold_id`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from xsp.state.v1.state_service_pb2 import ReservationCommit
from xsp_server.state import budget_status as statuses
from xsp_server.state.backend import Book, Entry, Kind, Move
from xsp_server.state.messages import digest
from xsp_server.state.reservation_plan import Work
from xsp_server.state.windows import FOREVER

INDEX: Final = "r"
"""Id of the plan in the book of the reservation itself."""

REFUSED: Final = "refused"
"""Content of what ends a reservation that was never made."""

NOTHING: Final = Entry("n", FOREVER, 0)
"""What a late commit counts where there is nothing to count."""

_HOLD: Final = "r/"


def index_of(reservation_id: str) -> Book:
    """The book of a reservation itself."""
    return Book(f"reservation/{reservation_id}")


def hold_id(reservation_id: str) -> str:
    """Id of its hold in each book of its plan."""
    return f"{_HOLD}{reservation_id}"


def reservation_id(hold: str) -> str:
    """The reservation of such a hold."""
    return hold.removeprefix(_HOLD)


@dataclass(frozen=True, slots=True)
class Moves:
    """Makes them.

    Attributes:
        keep_ms: how long ids are known after they are resolved.
    """

    keep_ms: int

    def plan(self, work: Work) -> Move:
        """Writes the plan of a reservation into the book of its id."""
        return Move(
            Kind.HOLD,
            id=INDEX,
            content=work.plan.to_text(),
            keep_ms=self.keep_ms,
            expires_at=work.plan.expires_at,
        )

    def hold(self, work: Work, book: Book) -> Move:
        """Holds in one book."""
        return Move(
            Kind.HOLD,
            _entries(work, book),
            id=hold_id(work.id),
            content=work.plan.campaign_id,
            keep_ms=self.keep_ms,
            expires_at=work.plan.expires_at,
        )

    def end(self, of: str, content: str = "") -> Move:
        """Gives back a hold."""
        return Move(Kind.RELEASE, id=f"x/{of}", content=content, keep_ms=self.keep_ms, of=of)

    def commit(
        self,
        of: str,
        commit: ReservationCommit,
        amount: int | None,
        entries: Iterable[Entry] = (),
        late: Iterable[Entry] = (NOTHING,),
    ) -> Move:
        """Spends and counts what a hold claims.

        Args:
            of: the hold.
            commit: as it came; the same again repeats the first answer.
            amount: micros; None: it holds no money.
            entries: what differs from what is held.
            late: what is counted where the hold has expired. Empty: then it isn't committed.
        """
        return Move(
            Kind.COMMIT,
            tuple(entries),
            id=f"c/{commit.reservation_id}/{digest(commit.SerializeToString(deterministic=True))}",
            content="" if amount is None else str(amount),
            keep_ms=self.keep_ms,
            of=of,
            late=tuple(late),
        )


def _entries(work: Work, book: Book) -> tuple[Entry, ...]:
    """What a reservation holds in a book."""
    if not book.ledger:
        candidate = work.candidate
        known = candidate is not None and book.name in candidate.books
        return candidate.entries(book.name) if candidate and known else ()
    if work.plan.amount is None:
        return ()
    return statuses.entries(work.levels, work.plan.amount, work.plan.at, paced=True)

"""What caps and budgets decided in an auction; its messages are made where somebody reads them."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import overload

from google.protobuf.duration_pb2 import Duration

from xsp.bid.v1.auction_report_pb2 import StateDecision, StatePhase, StateReport
from xsp.rpc.v1.status_pb2 import Status
from xsp_server.errors import XspError
from xsp_server.service.status import to_status
from xsp_server.values import value


@value
class Decided:
    """One decision.

    Attributes:
        allowed: whether the bid may be served.
        decision: makes its message.
    """

    allowed: bool
    decision: Callable[[], StateDecision]


@value
class Phase:
    """One round trip.

    Attributes:
        phase: at which point of the auction.
        took_us: how long it took, in us.
        decided: what it decided.
        failure: why it failed as a whole; None: it did not.
    """

    phase: StatePhase.ValueType
    took_us: int
    decided: Sequence[Decided]
    failure: XspError | None = None

    def report(self) -> StateReport:
        """It as a message."""
        took = Duration()
        took.FromMicroseconds(self.took_us)
        decisions = [each.decision() for each in self.decided]
        report = StateReport(phase=self.phase, took=took, decisions=decisions)
        if self.failure is not None:
            report.error.CopyFrom(Status.FromString(to_status(self.failure).SerializeToString()))
        return report


class Told(Sequence[StateReport]):
    """The round trips of an auction; their messages are made when one is read.

    Attributes:
        phases: the round trips, in the order of time.
    """

    def __init__(self, phases: Sequence[Phase] = ()) -> None:
        """Takes the round trips."""
        self.phases = tuple(phases)

    @cached_property
    def _reports(self) -> list[StateReport]:
        return [phase.report() for phase in self.phases]

    @overload
    def __getitem__(self, index: int) -> StateReport: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[StateReport]: ...
    def __getitem__(self, index: int | slice) -> StateReport | Sequence[StateReport]:
        """One report, or some."""
        return self._reports[index]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.phases)

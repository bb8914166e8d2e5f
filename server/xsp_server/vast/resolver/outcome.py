"""What becomes of a branch of a chain: ads, failures, and ads that a rule left out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from xsp_server.vast.merge import Link
from xsp_server.vast.resolver.reasons import Reason

Chain = tuple[Link, ...]
"""The way to an ad: outermost Wrapper first."""


@dataclass(slots=True, eq=False)
class Failed:
    """An ad, or a whole chain, that failed. Each is one of its own, whatever it holds.

    Attributes:
        chain: as far as it was reached; empty: not even the first document could be read.
        reason: the rule that refused it.
        message: what was wrong, for a reader.
        hop: the step that failed, or whose document was found wanting.
        source: the source of the chain.
        root_errors: Error URLs of a document without any ad.
    """

    chain: Chain
    reason: Reason
    message: str
    hop: int
    source: int
    root_errors: Sequence[str] = ()


@dataclass(slots=True, eq=False)
class Found:
    """An ad that can be shown.

    Attributes:
        chain: the way to it, the InLine last.
        sequence: place in the pod that the player asked for; None: a stand-alone ad.
        source: the source of the chain.
        stands_for: the failure that it stands in for; None: none.
    """

    chain: Chain
    sequence: int | None
    source: int
    stands_for: Failed | None = None


@dataclass(slots=True, eq=False)
class LeftOut:
    """An ad that a rule left out without an error.

    Attributes:
        chain: the way to it, the ad itself last.
        reason: the rule.
    """

    chain: Chain
    reason: Reason


@dataclass(slots=True, eq=False)
class NoAd:
    """A first document that has no ad: nothing failed.

    Attributes:
        hop: its step.
        root_errors: its Error URLs.
    """

    hop: int
    root_errors: Sequence[str]


@dataclass(slots=True)
class Outcome:
    """All of a branch.

    Attributes:
        found: the pod by sequence, then the stand-alone ads in document order.
        failed: in the order of the ads.
        left_out: likewise.
        no_ads: first documents without any ad.
    """

    found: list[Found] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    no_ads: list[NoAd] = field(default_factory=list)

    def add(self, others: Iterable["Outcome"]) -> None:
        """Appends what became of further branches."""
        for other in others:
            self.found += other.found
            self.failed += other.failed
            self.left_out += other.left_out
            self.no_ads += other.no_ads

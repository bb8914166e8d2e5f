"""The addresses that a resolution requests, their macros filled."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from xsp.vast.v1 import vast_pb2
from xsp.vast.v1.resolve_options_pb2 import AdRequirements
from xsp_server.vast.macros import (
    Absence,
    Asked,
    Item,
    Judge,
    MacroChoices,
    MacroValues,
    Value,
    fill,
    values_of,
    values_of_ad,
)
from xsp_server.vast.merge import blocked_by, with_more
from xsp_server.vast.resolver.fetcher import Session
from xsp_server.vast.resolver.outcome import Chain
from xsp_server.vast.resolver.wishes import Wishes

_BY_CLIENT, _FOR_ANYBODY = 0, 2
"""SERVERSIDE of what the client requests, and of what the server does for nobody knows whom. It is
1 for a client that told it to, which only the caller can know."""

RandBits = Callable[[int], int]
"""As many random bits as asked for, as a number."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call takes what nobody told.

    Attributes:
        judge: what privacy leaves of the values of macros.
        clock: ns since 1970-01-01 UTC.
        randbits: randomness that nobody can guess.
        is_fresh: whether TIMESTAMP and CACHEBUSTING differ from request to request. They don't
            where a caller told a session, which has them.
    """

    judge: Judge
    clock: Callable[[], int]
    randbits: RandBits
    is_fresh: bool


class Filler:
    """Fills macros for one call. Most addresses have none, and cost next to nothing."""

    def __init__(
        self, choices: MacroChoices, wishes: Wishes, session: Session, origin: Origin
    ) -> None:
        """Takes what is known.

        Args:
            choices: the caller's.
            wishes: the caller's.
            session: whom the call is for.
            origin: where the rest comes from.
        """
        self._choices = choices
        self._wishes = wishes
        self._session = session
        self._origin = origin
        given = choices.given.get("TRANSACTIONID")
        self.transaction_id = given if isinstance(given, str) else _new_id(origin.randbits)
        self._values: MacroValues | None = None
        self._server_side = choices.given.get("SERVERSIDE", _FOR_ANYBODY)
        is_told = not isinstance(self._server_side, Absence)
        self._client_side = _BY_CLIENT if is_told else self._server_side

    def request(self, address: str, chain: Chain) -> str:
        """The address of a document below these Wrappers."""
        if not self._may_have_macros(address):
            return address
        return self._fill(address, self._blocked(chain))

    def error(self, url: str, code: int, chain: Chain, by_server: bool) -> str:
        """An Error URL of a chain that failed with this code, for whoever requests it."""
        if not self._may_have_macros(url):
            return url
        values: dict[str, Value] = {
            "ERRORCODE": code,
            "SERVERSIDE": self._server_side if by_server else self._client_side,
        }
        if chain and chain[-1].ad.HasField("inline"):
            values |= values_of_ad(chain[-1].ad)
        values["PODSEQUENCE"] = _place_in_pod(chain)
        return self._fill(url, values)

    def of_trackers(self, ad: vast_pb2.Ad, sequence: int | None) -> Callable[[str], str] | None:
        """What fills the trackers of an ad; None: the caller wants them as they are.

        Args:
            ad: the InLine.
            sequence: its place in the player's pod; None: a stand-alone ad.
        """
        names = self._choices.of_trackers
        if not names:
            return None
        place = Absence.UNKNOWN if sequence is None else sequence
        values = self._known().made({**values_of_ad(ad), "PODSEQUENCE": place})
        spellings = self._choices.spellings
        return lambda url: fill(url, values, spellings=spellings, only=names)

    def _blocked(self, chain: Chain) -> Mapping[str, Value]:
        """The categories that the Wrappers above and the caller block, in whatever way it says."""
        blocked = with_more(
            blocked_by(link.ad.wrapper for link in chain), self._wishes.blocked_categories
        )
        codes: list[Item] = [code for codes in blocked.values() for code in codes]
        if not codes:
            return {}
        given = self._choices.given.get("BLOCKEDADCATEGORIES", ())
        if isinstance(given, str | int | float):
            codes.append(given)
        elif not isinstance(given, Absence):
            codes += given
        return {"BLOCKEDADCATEGORIES": tuple(dict.fromkeys(codes))}

    def _may_have_macros(self, url: str) -> bool:
        return "[" in url or bool(self._choices.spellings and "%" in url)

    def _fill(self, url: str, values: Mapping[str, Value]) -> str:
        if self._origin.is_fresh:
            values = {**values, **self._fresh()}
        return fill(url, self._known().made(values), spellings=self._choices.spellings)

    def _known(self) -> MacroValues:
        if self._values is None:
            needs = self._wishes.requirements or AdRequirements()
            asked = Asked(self.transaction_id, server_side=self._server_side, requirements=needs)
            given = self._choices.given
            self._values = values_of(
                self._session.to_message(),
                asked,
                given={name: given[name] for name in given.keys() - {"SERVERSIDE"}},
                judge=self._origin.judge,
            )
        return self._values

    def _fresh(self) -> Mapping[str, Value]:
        """What differs from request to request."""
        now = datetime.fromtimestamp(self._origin.clock() // 1_000_000 / 1000, UTC)
        return {
            "TIMESTAMP": now.isoformat(timespec="milliseconds"),
            "CACHEBUSTING": f"{self._origin.randbits(64) % 10**8:08d}",
        }


def _place_in_pod(chain: Chain) -> Value:
    """The place of an ad in the player's pod: what is behind a Wrapper keeps the Wrapper's."""
    places = (link.ad.sequence for link in chain if link.ad.HasField("sequence"))
    return next(places, Absence.UNKNOWN)


def _new_id(randbits: RandBits) -> str:
    return str(uuid.UUID(int=randbits(128), version=4))

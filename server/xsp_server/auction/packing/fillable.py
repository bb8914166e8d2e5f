"""How much of a break the ads that are still to come can fill."""

from collections.abc import Sequence

from xsp_server.auction.packing.problem import Break

MOST_SECONDS = 4096
"""Of a break that is looked at; in a longer one a few empty seconds matter less."""

_MOST_ADS = 24
"""In a break that holds more, time runs out before their number does."""


class Fillable:
    """The sums of seconds that ads of later stages can have, labels aside.

    Such sets are numbers: bit n is there if n seconds can be filled exactly.
    """

    def __init__(self, lengths: Sequence[set[int]], room: Break) -> None:
        """Adds up from the last stage to the first.

        Args:
            lengths: by stage, the seconds of its ads for the break; a packing takes one at most.
            room: the break.
        """
        counted = room.ads <= _MOST_ADS
        self._most = room.ads if counted else 0
        whole = (2 << room.seconds) - 1
        sums = [1] * (self._most + 1)  # by the number of ads, at most
        self._sums = [sums]
        for stage in reversed(lengths):
            longer = list(sums)
            for seconds in stage:
                with_one_more = [fewer << seconds & whole for fewer in sums]
                for ads in range(counted, self._most + 1):
                    longer[ads] |= with_one_more[ads - counted]
            sums = longer
            self._sums.append(sums)
        self._sums.reverse()

    def unfillable(self, place: int, seconds: int, ads: int) -> int:
        """How many seconds stay empty at least.

        Args:
            place: the first stage that is still to come.
            seconds: how many there are left.
            ads: how many more ads may come.
        """
        sums = self._sums[place][min(ads, self._most)]
        return seconds + 1 - (sums & ((2 << seconds) - 1)).bit_length()

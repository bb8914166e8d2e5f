"""How many seconds a number of ads can fill."""

from collections.abc import Collection

_MOST_SECONDS = 4096
"""Of a break that is looked at; in a longer one a few empty seconds matter less."""

_MOST_ADS = 24
"""In a break that holds more, time runs out before their number does."""


class Fillable:
    """The sums of seconds that ads can have, each length as often as wanted.

    Such sets are numbers: bit n is there if n seconds can be filled exactly.
    """

    def __init__(self, lengths: Collection[int], seconds: int) -> None:
        """Adds up for one ad more at a time.

        Args:
            lengths: of the ads.
            seconds: of the break.
        """
        whole = (2 << min(seconds, _MOST_SECONDS)) - 1
        self._sums = [1]  # by the number of ads, at most
        while len(self._sums) <= _MOST_ADS:
            fewer = longer = self._sums[-1]
            for length in lengths:
                longer |= fewer << length & whole
            if longer == fewer:
                break
            self._sums.append(longer)

    def most(self, seconds: int, ads: int) -> int:
        """The most seconds that can be filled.

        Args:
            seconds: how many there are left.
            ads: how many more ads may come.
        """
        if seconds > _MOST_SECONDS or ads > _MOST_ADS:
            return seconds
        sums = self._sums[min(ads, len(self._sums) - 1)]
        return (sums & ((2 << seconds) - 1)).bit_length() - 1

"""Limits that refuse at once: what is over them is not kept waiting."""

from hashlib import blake2b

_WHOLE = 1 << 64
_ROUNDING = 1e-6


class TokenBucket:
    """Requests a second, with a burst after a pause."""

    def __init__(self, qps: float, burst: int | None = None) -> None:
        """Starts full.

        Args:
            qps: requests a second in the long run.
            burst: requests at once after a pause; by default a tenth of a second's worth.
        """
        self._qps = qps
        self.burst = max(qps / 10, 1.0) if burst is None else float(burst)
        self._tokens = self.burst
        self._filled_at: float | None = None

    def take(self, now: float) -> bool:
        """Whether one more may go out now; if so it is counted.

        Args:
            now: by the clock, in seconds; never less than before.
        """
        if self._filled_at is not None:
            self._tokens = min(self._tokens + (now - self._filled_at) * self._qps, self.burst)
        self._filled_at = now
        if self._tokens < 1 - _ROUNDING:
            return False
        self._tokens -= 1
        return True


class Sampler:
    """Picks a share of the requests, always the same ones: a replay picks as the auction did."""

    def __init__(self, rate: float, seed: str) -> None:
        """Takes the share, from 0 to 1, and what makes this choice differ from others'."""
        self._below = round(rate * _WHOLE)
        self._hash = blake2b(seed.encode(), digest_size=8)

    def picks(self, request_id: str) -> bool:
        """Whether a request is among them."""
        digest = self._hash.copy()
        digest.update(b"\0" + request_id.encode())
        return int.from_bytes(digest.digest(), "big") < self._below

"""Answers that may be given again, within a limit of bytes and of entries. No I/O, no clock."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from xsp_server.upstream.http_cache import Keeping, selected

Answer = TypeVar("Answer")

MAX_VARIANTS = 32
"""Answers of one URL that differ by headers of the request; the oldest go first."""
OVERHEAD = 1024
"""Bytes that an entry counts besides its body and its URL."""


@dataclass(slots=True)
class Entry(Generic[Answer]):
    """An answer that is kept.

    Attributes:
        answer: the answer.
        expires_ns: it may be given before this, ns since 1970-01-01 UTC.
        size: bytes that it counts.
    """

    answer: Answer
    expires_ns: int
    size: int


Selected = tuple[str | None, ...]


@dataclass(slots=True)
class _Page(Generic[Answer]):
    """The answers of one URL: what they depend on, and each by what the request had of it."""

    vary: tuple[str, ...]
    variants: OrderedDict[Selected, Entry[Answer]]


class DocumentCache(Generic[Answer]):
    """Answers by URL and, where they say so, by headers of the request. Unused URLs go first."""

    def __init__(self, *, max_bytes: int, max_entries: int) -> None:
        """Begins empty.

        Args:
            max_bytes: of all bodies and URLs, and `OVERHEAD` for each entry. 0: nothing is kept.
            max_entries: kept at once.
        """
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._pages: OrderedDict[str, _Page[Answer]] = OrderedDict()
        self.size = 0
        self.entries = 0

    def find(self, url: str, request: Mapping[str, str], now_ns: int) -> Entry[Answer] | None:
        """What may be given for a request; None: nothing."""
        page = self._pages.get(url)
        if page is None:
            return None
        key = selected(page.vary, request)
        entry = page.variants.get(key)
        if entry is None:
            return None
        if entry.expires_ns <= now_ns:
            self._drop(url, key)
            return None
        self._pages.move_to_end(url)
        return entry

    def put(
        self, url: str, request: Mapping[str, str], answer: Answer, body_bytes: int, how: Keeping
    ) -> bool:
        """Keeps an answer, in place of the one that would have been given; tells whether it does.

        Answers of the URL that depend on other headers go: the newest says what counts.
        """
        size = len(url) + body_bytes + OVERHEAD
        if size > self._max_bytes or not self._max_entries:
            return False
        page = self._pages.get(url)
        if page is not None and page.vary != how.vary:
            self._drop_all(url)
            page = None
        if page is None:
            page = self._pages[url] = _Page(how.vary, OrderedDict())
        key = selected(how.vary, request)
        if key in page.variants:
            self._forget(page, key)
        elif len(page.variants) >= MAX_VARIANTS:
            self._forget(page, next(iter(page.variants)))
        page.variants[key] = Entry(answer, how.expires_ns, size)
        self.size += size
        self.entries += 1
        self._pages.move_to_end(url)
        while self.size > self._max_bytes or self.entries > self._max_entries:
            self._make_room()
        return True

    def limit(self, url: str, request: Mapping[str, str], expires_ns: int) -> None:
        """Lets what would be given for a request end earlier."""
        page = self._pages.get(url)
        entry = None if page is None else page.variants.get(selected(page.vary, request))
        if entry is not None:
            entry.expires_ns = min(entry.expires_ns, expires_ns)

    def __contains__(self, url: str) -> bool:
        """Whether anything of a URL is kept."""
        return url in self._pages

    def _make_room(self) -> None:
        """Drops the oldest answer of the URL that was longest not asked for."""
        url, page = next(iter(self._pages.items()))
        self._drop(url, next(iter(page.variants)))

    def _drop(self, url: str, key: Selected) -> None:
        page = self._pages[url]
        self._forget(page, key)
        if not page.variants:
            del self._pages[url]

    def _drop_all(self, url: str) -> None:
        for key in list(self._pages[url].variants):
            self._drop(url, key)

    def _forget(self, page: _Page[Answer], key: Selected) -> None:
        self.size -= page.variants.pop(key).size
        self.entries -= 1

"""What only the store in this process has: it forgets, and stays small."""

from state.play import DAY, HOUR, T0, commit, count, entry, hold, hourly
from xsp_server.state.backend import SLACK_MS, Book
from xsp_server.state.memory import BOOK_CHECK_MS, SLOT_MS, InMemoryBackend
from xsp_server.state.windows import FOREVER, first


async def let_forget(backend: InMemoryBackend, at: int, calls: int = 200) -> None:
    """Calls that do nothing to speak of, each of which forgets a few lines."""
    for _ in range(calls):
        await backend.apply(Book("busy"), (), T0 + at)


async def test_books_whose_windows_are_over_are_forgotten():
    backend = InMemoryBackend()
    for number in range(100):
        await backend.apply(Book(f"user-{number}"), (count(hourly()),), T0)
    await let_forget(backend, HOUR + SLACK_MS - 1)
    assert len(backend._books) == 101
    await let_forget(backend, HOUR + SLACK_MS + BOOK_CHECK_MS + SLOT_MS)
    assert set(backend._books) <= {"busy"}


async def test_ids_are_forgotten_after_their_time():
    backend = InMemoryBackend()
    book = Book("campaign")
    for number in range(100):
        move = count(entry(), id=f"id-{number}", keep=1000 if number % 2 else DAY)
        await backend.apply(book, (move,), T0)
    await let_forget(backend, 1000 + SLACK_MS + SLOT_MS)
    assert len(backend._books["campaign"].known) == 50
    assert "campaign" in backend._books


async def test_counters_that_are_gone_leave_those_that_are_not():
    backend = InMemoryBackend()
    entries = (
        entry(counter="life", window=FOREVER),
        entry(counter="minutes", window=first(600_000)),
        entry(counter="day", window=first(DAY)),
    )
    await backend.apply(Book("user"), (count(*entries),), T0)
    await let_forget(backend, 300_000 + SLOT_MS)
    await let_forget(backend, 600_000 + SLACK_MS + SLOT_MS)
    assert set(backend._books["user"].counters) == {"life", "day"}
    await let_forget(backend, DAY + 13 * BOOK_CHECK_MS)
    assert set(backend._books["user"].counters) == {"life"}


async def test_a_hold_that_nobody_came_back_for_is_expired_and_forgotten():
    backend = InMemoryBackend()
    await backend.apply(Book("user"), (hold("h", hourly(), ttl=1000, keep=1000),), T0)
    await let_forget(backend, 2000 + SLACK_MS + SLOT_MS)
    assert backend._books["user"].known == {}
    await let_forget(backend, HOUR)
    assert "user" not in backend._books


async def test_a_hold_that_was_committed_late_is_known_longer():
    backend = InMemoryBackend()
    book = Book("user")
    await backend.apply(book, (hold("h", entry(), ttl=1000, keep=HOUR),), T0)
    late = commit("h", late=(entry(),))
    await backend.apply(book, (late,), T0 + HOUR)
    await let_forget(backend, HOUR + SLACK_MS + 2000)
    assert "h" in backend._books["user"].known
    await let_forget(backend, 2 * HOUR + SLACK_MS + 2 * SLOT_MS)
    assert "h" not in backend._books["user"].known


async def test_holds_are_expired_by_the_hundred_before_they_are_forgotten():
    backend = InMemoryBackend()
    holds = [hold(f"h{number}", entry(), ttl=1000, keep=1000) for number in range(1000)]
    await backend.apply(Book("user"), holds, T0)
    for slots in range(1, 5):
        await let_forget(backend, 2000 + SLACK_MS + slots * SLOT_MS)
    assert backend._books["user"].known == {}
    assert backend._books["user"].counters["c"].held == 0


async def test_an_id_that_was_used_anew_is_known_for_its_new_time():
    backend = InMemoryBackend()
    book = Book("user")
    await backend.apply(book, (hold("h", ttl=1000, keep=1000),), T0)
    await backend.apply(book, (hold("h", ttl=HOUR, keep=1000),), T0 + 3000)
    await let_forget(backend, 2000 + SLACK_MS + SLOT_MS)
    assert "h" in backend._books["user"].known
    await let_forget(backend, HOUR + 1000 + SLACK_MS + SLOT_MS)
    assert "h" not in backend._books["user"].known


async def test_one_call_forgets_only_a_few_lines():
    backend = InMemoryBackend()
    ids = [count(entry(), id=f"id-{number}", keep=1000) for number in range(1000)]
    await backend.apply(Book("campaign"), ids, T0)
    await let_forget(backend, HOUR, calls=10)
    assert len(backend._books["campaign"].known) >= 900

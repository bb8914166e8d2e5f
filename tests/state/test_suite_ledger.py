"""The ledger of money, of every store that keeps one; the others keep none."""

from state.play import DAY, T0, Play, check, commit, count, entry, hold, release, remove
from xsp_server.state.backend import Balance, StateBackend
from xsp_server.state.windows import until


async def test_the_ledger_has_every_movement_of_money(backend: StateBackend):
    play = Play(backend)
    await play(0, count(entry(5), id="spend"))
    await play(1, hold("h", entry(4), entry(4, counter="day", window=until(T0 + DAY))))
    await play(2, commit("h", entry(3), entry(3, counter="day"), id="bill"))
    await play.all(3, hold("r", entry(2)), hold("e", entry(1), ttl=9))
    await play(4, release("r", id="back"))
    await play(9, check(entry(0)))
    await play(10, count(entry(9, 3), id="refused"))
    await play(11, remove("c", id="away"))
    lines = await backend.movements("book")
    if not backend.keeps_ledger:
        assert lines == []
        assert await backend.audit() == []
        return
    told = [(line.kind, line.id, line.counter, line.counted, line.held) for line in lines]
    assert told == [
        ("count", "spend", "c", 5, 0),
        ("hold", "h", "c", 0, 4),
        ("hold", "h", "day", 0, 4),
        ("commit", "bill", "c", 3, -4),
        ("commit", "bill", "day", 3, -4),
        ("hold", "r", "c", 0, 2),
        ("hold", "e", "c", 0, 1),
        ("release", "back", "c", 0, -2),
        ("expire", "e", "c", 0, -1),
        ("remove", "away", "c", -8, 0),
    ]
    assert [line.number for line in lines] == list(range(1, 11))
    assert (lines[0].book, lines[0].at, lines[0].sequence) == ("book", T0, T0 * 1000)
    assert (lines[8].at, lines[8].sequence) == (T0 + 9, (T0 + 9) * 1000)
    page = await backend.movements("book", after=3, limit=2)
    assert page == lines[3:5]
    assert await backend.audit() == [
        Balance("book", "c", 0, 0, None, None, 0),
        Balance("book", "day", 3, 0, 3, 0, 0),
    ]

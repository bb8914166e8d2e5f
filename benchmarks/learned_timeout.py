"""What a learned timeout does when a bidder slows from 20 to 200 ms and recovers.

    python benchmarks/learned_timeout.py            # prints figures, draws docs/learned_timeout.svg

A simulation, not a measurement: the policy is the server's own, the clock is virtual, latencies are
drawn from a log-normal distribution with a fixed seed. Every run gives the same figures.
"""

import heapq
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xsp_server.upstream.policies import (
    LatencySettings,
    LatencyWindow,
    LearnedTimeout,
    LearnedTimeoutSettings,
)

PICTURE = Path(__file__).parent.parent / "docs" / "learned_timeout.svg"
CALLS_A_SECOND = 100
DEADLINE_MS = 300.0
SLOW_FROM, SLOW_UNTIL, END = 20, 60, 90
QUICK_MS, SLOW_MS, SPREAD = 20.0, 200.0, 0.25
SEED = 20
BOUND_MS = 100
BIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Call:
    """One call: when it began, in seconds; latency and wait in ms."""

    at: float
    latency_ms: float
    wait_ms: float

    @property
    def is_answered(self) -> bool:
        """Whether the answer comes while it is waited for."""
        return self.latency_ms <= self.wait_ms

    @property
    def cost_ms(self) -> float:
        """What an auction waits for this bidder."""
        return min(self.latency_ms, self.wait_ms)


@dataclass(frozen=True, slots=True)
class Bin:
    """Half a second of calls."""

    at: float
    latency_ms: float
    wait_ms: float
    share: float


def main() -> None:
    """Prints the figures of three policies and draws the one with a bound."""
    bounded = list(simulate(LearnedTimeoutSettings(enabled=True, max_ms=BOUND_MS)))
    unbounded = list(simulate(LearnedTimeoutSettings(enabled=True)))
    print(f"{'':28}{'auction waits (ms)':>27}{'answers counted (%)':>27}")
    print(f"{'':28}" + f"{'quick':>9}{'slow':>9}{'after':>9}" * 2)
    table("up to the deadline, 300 ms", list(simulate(None)))
    table("learned, no bound", unbounded)
    table(f"learned, at most {BOUND_MS} ms", bounded)
    worst = max(call.cost_ms for call in bounded if call.at >= 1)
    print(f"\nlearned, at most {BOUND_MS} ms:")
    print(f"  longest wait of any auction once it has learned: {worst:.0f} ms")
    print(f"  least wait {gave_up_after(bounded):.1f} s after slowing down")
    print(f"  90 % of answers counted again {recovered_after(bounded):.1f} s after recovering")
    PICTURE.write_text(draw(bins(bounded)) + "\n", encoding="utf-8")
    print(f"\ndrawn: docs/{PICTURE.name}")


def simulate(settings: LearnedTimeoutSettings | None) -> Iterator[Call]:
    """Calls in the order of time; without settings each is waited for up to the deadline.

    A call teaches when it ends, not when it begins: so the ends are kept in a heap.
    """
    chance = random.Random(SEED)
    window = LatencyWindow(LatencySettings())
    policy = None if settings is None else LearnedTimeout(settings, window)
    ends: list[tuple[float, float]] = []
    for number in range(END * CALLS_A_SECOND):
        at = number / CALLS_A_SECOND
        while ends and ends[0][0] <= at:
            ended, took_ms = heapq.heappop(ends)
            window.observe(ended, took_ms, answered=took_ms < DEADLINE_MS)
        typical = SLOW_MS if SLOW_FROM <= at < SLOW_UNTIL else QUICK_MS
        latency = typical * chance.lognormvariate(0, SPREAD)
        learned = None if policy is None else policy.timeout_ms(at)
        yield Call(at, latency, min(learned or DEADLINE_MS, DEADLINE_MS))
        took_ms = min(latency, DEADLINE_MS)
        heapq.heappush(ends, (at + took_ms / 1000, took_ms))


def table(name: str, calls: Sequence[Call]) -> None:
    """One line: means of the quick start, the whole slow phase, and the time after the recovery.

    Of the first and the last the five seconds are left out in which the policy learns.
    """
    phases = [(5, SLOW_FROM), (SLOW_FROM, SLOW_UNTIL), (SLOW_UNTIL + 5, END)]
    inside = [[call for call in calls if start <= call.at < end] for start, end in phases]
    waits = "".join(f"{statistics.fmean(call.cost_ms for call in phase):9.1f}" for phase in inside)
    shares = "".join(
        f"{100 * statistics.fmean(call.is_answered for call in phase):9.1f}" for phase in inside
    )
    print(f"{name:28}{waits}{shares}")


def gave_up_after(calls: Sequence[Call]) -> float:
    """Seconds from slowing down until the wait is the least there is."""
    least = LearnedTimeoutSettings().min_ms
    return next(
        call.at - SLOW_FROM for call in calls if call.at > SLOW_FROM and call.wait_ms <= least
    )


def recovered_after(calls: Sequence[Call]) -> float:
    """Seconds from recovering to the first half second of which 90 % of the answers count."""
    return next(
        each.at + BIN_SECONDS - SLOW_UNTIL
        for each in bins(calls)
        if each.at >= SLOW_UNTIL and each.share >= 0.9
    )


def bins(calls: Sequence[Call]) -> list[Bin]:
    """Half seconds: median latency, median wait, share answered."""
    count = int(BIN_SECONDS * CALLS_A_SECOND)
    made = []
    for start in range(0, len(calls), count):
        part = calls[start : start + count]
        made.append(
            Bin(
                part[0].at,
                statistics.median(call.latency_ms for call in part),
                statistics.median(call.wait_ms for call in part),
                statistics.fmean(call.is_answered for call in part),
            )
        )
    return made


TITLE = (
    "A bidder slows from 20 to 200 ms and recovers: its latency, the learned timeout, "
    "and the share of its answers that count"
)
WIDTH, HEIGHT = 860, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 800, 50, 340
TOP_MS = 320
LATENCY, TIMEOUT, SHARE = "#8a8f98", "#c2410c", "#1d4ed8"


def draw(points: Sequence[Bin]) -> str:
    """The picture: times on the left axis, the share on the right one."""
    bound = _y(BOUND_MS / TOP_MS)
    slow = {"x": _x(SLOW_FROM), "width": _x(SLOW_UNTIL) - _x(SLOW_FROM)}
    parts = [
        f"<title>{TITLE}</title>",
        _tag("rect", width=WIDTH, height=HEIGHT, fill="white"),
        _tag("rect", **slow, y=TOP, height=BOTTOM - TOP, fill="#f3f4f6"),
        *_axes(),
        _line([(LEFT, bound), (RIGHT, bound)], TIMEOUT, dashes="2 4", width=1),
        _text(RIGHT - 4, bound - 5, f"bound {BOUND_MS} ms", TIMEOUT, "end"),
    ]
    lines = (
        ("bidder's latency, ms", LATENCY, "", [point.latency_ms / TOP_MS for point in points]),
        ("learned timeout, ms", TIMEOUT, "", [point.wait_ms / TOP_MS for point in points]),
        ("answers that count, % (right)", SHARE, "6 3", [point.share for point in points]),
    )
    for place, (words, colour, dashes, heights) in enumerate(lines):
        legend = LEFT + place * 230
        parts.append(_line([(legend, 26), (legend + 28, 26)], colour, dashes=dashes))
        parts.append(_text(legend + 34, 30, words, "#111827"))
        path = [(_x(p.at), _y(height)) for p, height in zip(points, heights, strict=True)]
        parts.append(_line(path, colour, dashes=dashes))
    return _tag(
        "svg",
        "\n".join(["", *parts, ""]),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        font_family="sans-serif",
        font_size=13,
    )


def _axes() -> Iterator[str]:
    for ms in range(0, TOP_MS + 1, 40):
        level = _y(ms / TOP_MS)
        yield _line([(LEFT, level), (RIGHT, level)], "#e5e7eb", width=1)
        yield _text(LEFT - 8, level + 4, str(ms), "#374151", "end")
    for percent in range(0, 101, 25):
        yield _text(RIGHT + 8, _y(percent / 100) + 4, f"{percent} %", SHARE)
    for seconds in range(0, END + 1, 10):
        yield _text(_x(seconds), BOTTOM + 20, f"{seconds} s", "#374151", "middle")
    for at, words in ((SLOW_FROM, "slows to 200 ms"), (SLOW_UNTIL, "recovers to 20 ms")):
        yield _text(_x(at), BOTTOM + 42, words, "#111827", "middle")


def _x(seconds: float) -> float:
    return LEFT + seconds / END * (RIGHT - LEFT)


def _y(share: float) -> float:
    return BOTTOM - share * (BOTTOM - TOP)


def _text(x: float, y: float, words: str, colour: str, anchor: str = "start") -> str:
    return _tag("text", words, x=x, y=y, fill=colour, text_anchor=anchor)


def _line(
    points: Sequence[tuple[float, float]], colour: str, *, dashes: str = "", width: int = 2
) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return _tag(
        "polyline",
        points=path,
        fill="none",
        stroke=colour,
        stroke_width=width,
        stroke_dasharray=dashes or "none",
    )


def _tag(name: str, inside: str = "", /, **attributes: float | str) -> str:
    """An element; numbers to a tenth of a pixel."""
    written = "".join(
        f' {key.replace("_", "-")}="{value if isinstance(value, str) else round(value, 1)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"


if __name__ == "__main__":
    main()

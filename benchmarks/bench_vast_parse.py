"""VAST documents to messages, against vast-client-js and against a bare lxml parse.

Ours goes from bytes to a protobuf message; vast-client-js from text over xmldom to its objects;
lxml only makes its tree and reads nothing out of it. Rounds of all three take turns in one run, and
their CPU is compared, of Node with all of its threads: neighbours on the machine disturb it least.
Where there is no Node or no npm, its column is empty and the table says why.
"""

import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lxml import etree

import harness
from xsp_server.vast.parse import parse

HERE = Path(__file__).parent
NODE = HERE.parent / "bench-results" / "node"
"""Where the peer is installed: outside of what is kept."""

PACKAGE = "@dailymotion/vast-client@6.4.5"
ROUND_SECONDS = 0.05

EVENTS = ("start", "firstQuartile", "midpoint", "thirdQuartile", "complete", "mute", "skip")


def document(trackings: int) -> bytes:
    """An InLine ad as an ad server sends it, with so many tracking URLs; 10 make it 3 KB."""
    base = "https://ads.example.com"
    tracked = "".join(
        f'<Tracking event="{EVENTS[number % len(EVENTS)]}"><![CDATA[{base}/t?e={number}'
        "&cb=[CACHEBUSTING]]]></Tracking>"
        for number in range(trackings)
    )
    files = "".join(
        f'<MediaFile id="{width}" delivery="progressive" type="video/mp4" width="{width}"'
        f' height="{height}" bitrate="{width * 2}" scalable="true" maintainAspectRatio="true">'
        f"<![CDATA[{base}/media/{width}.mp4]]></MediaFile>\n        "
        for width, height in ((640, 360), (1280, 720), (1920, 1080))
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<VAST version="4.2" xmlns="http://www.iab.com/VAST">
  <Ad id="20001" sequence="1">
    <InLine>
      <AdSystem version="4.0">Example</AdSystem>
      <Error><![CDATA[{base}/error?code=[ERRORCODE]]]></Error>
      <Impression id="one"><![CDATA[{base}/impression?cb=[CACHEBUSTING]]]></Impression>
      <Pricing model="cpm" currency="USD">25.00</Pricing>
      <AdServingId>a532d16d-4d7f-4440-bd29-2ec0e693fc80</AdServingId>
      <AdTitle>An ad</AdTitle>
      <Advertiser>Example Company</Advertiser>
      <Category authority="https://example.com/categories">IAB1-2</Category>
      <Creatives>
        <Creative id="5480" sequence="1" adId="2447226">
          <Linear skipoffset="00:00:05">
            <TrackingEvents>{tracked}</TrackingEvents>
            <Duration>00:00:16</Duration>
            <MediaFiles>{files}</MediaFiles>
            <VideoClicks>
              <ClickTracking><![CDATA[{base}/click?cb=[CACHEBUSTING]]]></ClickTracking>
              <ClickThrough><![CDATA[https://www.example.com/?from=ad]]></ClickThrough>
            </VideoClicks>
          </Linear>
          <UniversalAdId idRegistry="ad-id.org">CNPA0484000H</UniversalAdId>
        </Creative>
      </Creatives>
    </InLine>
  </Ad>
</VAST>""".encode()


def run(rounds: int = 20) -> dict[str, Any]:
    """Measures, and gives figures by document: bytes, microseconds a call, and ratios."""
    documents = {"InLine of 3 KB": document(10), "InLine with 360 trackings": document(360)}
    figures: dict[str, Any] = {}
    with _peer(list(documents.values())) as (calls, reason):
        figures["peer"] = reason or PACKAGE
        for index, (name, data) in enumerate(documents.items()):
            figures[name] = _measure(data, rounds, calls and calls(index))
    return figures


def _measure(data: bytes, rounds: int, theirs: Callable[[int], float] | None) -> dict[str, Any]:
    """Rounds of each in turn; a round of the peer is timed where it runs."""
    bare = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    candidates = {
        "ours": _timed(lambda: parse(data)),
        "bare lxml": _timed(lambda: etree.fromstring(data, bare)),
    }
    if theirs:
        candidates["vast-client-js"] = theirs
    counts = {}
    for name, call in candidates.items():
        call(
            max(int(ROUND_SECONDS * 4 / max(call(1), 1e-6)), 1)
        )  # warms up, above all the peer's compiler
        counts[name] = max(int(ROUND_SECONDS / max(call(3), 1e-6)), 1)
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            seconds[name].append(call(counts[name]))
    timings = {name: harness.timing(values) for name, values in seconds.items()}
    return {
        "bytes": len(data),
        "us": {
            name: {
                "median": each.median * 1e6,
                "p10": each.p10 * 1e6,
                "p90": each.p90 * 1e6,
            }
            for name, each in timings.items()
        },
        "ratios": {
            name: statistics.median(values) / timings["ours"].median
            for name, values in seconds.items()
            if name != "ours"
        },
    }


def _timed(call: Callable[[], object]) -> Callable[[int], float]:
    def seconds(count: int) -> float:
        started = time.process_time()
        for _ in range(count):
            call()
        return (time.process_time() - started) / count

    return seconds


@contextmanager
def _peer(
    documents: list[bytes],
) -> Iterator[tuple[Callable[[int], Callable[[int], float]] | None, str]]:
    """A Node process that parses what it is told to; or None, and why there is none."""
    reason = _missing()
    if reason:
        yield None, reason
        return
    files = []
    for index, data in enumerate(documents):
        files.append(NODE / f"document_{index}.xml")
        files[-1].write_bytes(data)
    script = shutil.copy(HERE / "vast_client.mjs", NODE)
    with subprocess.Popen(  # noqa: S603  (our own script)
        ["node", script, *files],  # noqa: S607
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin, process.stdout

        def calls(index: int) -> Callable[[int], float]:
            def seconds(count: int) -> float:
                requests.write(f"{index} {count}\n")
                requests.flush()
                return float(answers.readline()) / 1e9

            return seconds

        yield calls, ""
        requests.close()


def _missing() -> str:
    """Why the peer can't run; empty once it is installed."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "no node or no npm here"
    NODE.mkdir(parents=True, exist_ok=True)
    if not (NODE / "node_modules" / "@dailymotion").is_dir():
        (NODE / "package.json").write_text(json.dumps({"private": True}), "utf-8")
        done = subprocess.run(  # noqa: S603
            ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE],  # noqa: S607
            cwd=NODE,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode:
            return f"npm could not install {PACKAGE}"
    return ""


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"peer: {figures['peer']}"]
    for name, each in figures.items():
        if name == "peer":
            continue
        lines.append(f"{name}, {each['bytes']} bytes")
        for call, us in each["us"].items():
            spread = f"p10 {us['p10']:8.1f}   p90 {us['p90']:8.1f}"
            lines.append(f"  {call:16} median {us['median']:8.1f} us of CPU   {spread}")
        told = "   ".join(f"{peer} takes x {ratio:.2f}" for peer, ratio in each["ratios"].items())
        lines.append(f"  {told}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))

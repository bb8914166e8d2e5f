"""OpenRTB JSON both ways, against protobuf's own `json_format` on the same messages.

`json_format` reads and writes its own JSON of the message (other names, true and false). It reads
text without spaces, and writes as it does when called without options, indented; `indent=None`,
which costs it least and makes it write as we do, is told beside it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

import harness
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb import codec

COMPACT = "json_format.MessageToJson, indent=None"

SAMPLES: dict[str, type[Message]] = {
    "web_request": BidRequest,
    "app_request": BidRequest,
    "response": BidResponse,
}


def run(rounds: int = 20) -> dict[str, Any]:
    """Measures, and gives figures by sample: bytes, microseconds a call, and ratios."""
    return {name: _measure(name, message_type, rounds) for name, message_type in SAMPLES.items()}


def _measure(name: str, message_type: type[Message], rounds: int) -> dict[str, Any]:
    file = Path(__file__).parent / "samples" / f"{name}.json"
    document = json.loads(file.read_bytes())
    text = json.dumps(document, separators=(",", ":")).encode()
    message = codec.parse(message_type, text).message
    assert json.loads(codec.write(message)) == document
    theirs = json_format.MessageToJson(message, indent=None)
    assert json_format.Parse(theirs, message_type()) == message
    timings = harness.compare(
        {
            "parse": lambda: codec.parse(message_type, text),
            "json_format.Parse": lambda: json_format.Parse(theirs, message_type()),
            "write": lambda: codec.write(message),
            "json_format.MessageToJson": lambda: json_format.MessageToJson(message),
            COMPACT: lambda: json_format.MessageToJson(message, indent=None),
        },
        rounds,
    )
    return {
        "bytes": len(text),
        "us": {
            name: {
                "median": timing.median * 1e6,
                "p10": timing.p10 * 1e6,
                "p90": timing.p90 * 1e6,
            }
            for name, timing in timings.items()
        },
        "parse_ratio": harness.ratio(timings, "json_format.Parse", "parse"),
        "write_ratio": harness.ratio(timings, "json_format.MessageToJson", "write"),
        "write_ratio_compact": harness.ratio(timings, COMPACT, "write"),
    }


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = []
    for name, each in figures.items():
        lines.append(f"{name}, {each['bytes']} bytes")
        for call, us in each["us"].items():
            spread = f"p10 {us['p10']:6.1f}   p90 {us['p90']:6.1f}"
            lines.append(f"  {call:40} median {us['median']:6.1f} us   {spread}")
        lines.append(
            f"  parsing x {each['parse_ratio']:.1f}   writing x {each['write_ratio']:.1f}"
            f" (x {each['write_ratio_compact']:.1f} against indent=None)"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", type=Path, help="write the figures to this file too")
    options = arguments.parse_args()
    measured = run()
    if options.json:
        options.json.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    print(table(measured))

"""xsp_client.openrtb: made from the contract, and what a type checker makes of it."""

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints, is_typeddict

import pytest
from google.protobuf.descriptor import Descriptor
from mypy import api

from xsp.openrtb.v2.bid_request_pb2 import BidRequest, NativeRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse, NativeResponse
from xsp.openrtb.v2.transparency_pb2 import Transparency
from xsp_client import openrtb
from xsp_client._json import _members

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "python"
GENERATOR = CLIENT / "generate_typeddicts.py"


def test_the_committed_module_is_what_the_generator_prints():
    printed = subprocess.run(
        [sys.executable, str(GENERATOR)], check=True, capture_output=True, text=True
    ).stdout
    assert printed == (CLIENT / "xsp_client" / "openrtb.py").read_text(), (
        f"the contract changed: run {GENERATOR.relative_to(ROOT)} as its first lines say"
    )


def every_object() -> dict[str, Descriptor]:
    python_name = runpy.run_path(str(GENERATOR))["python_name"]
    found: dict[str, Descriptor] = {}

    def walk(kind: Descriptor, outer: tuple[str, ...]) -> None:
        names = (*outer, kind.name)
        if _members(kind) and not kind.GetOptions().map_entry:
            assert python_name(names) not in found
            found[python_name(names)] = kind
        for nested in kind.nested_types:
            walk(nested, names)

    for kind in (BidRequest, NativeRequest, BidResponse, NativeResponse, Transparency):
        walk(kind.DESCRIPTOR, ())
    return found


OBJECTS = every_object()


def test_there_is_one_typeddict_for_each_object_of_the_contract():
    assert {name for name, value in vars(openrtb).items() if is_typeddict(value)} == set(OBJECTS)


@pytest.mark.parametrize("name", OBJECTS)
def test_its_members_are_those_of_the_message(name):
    assert set(get_type_hints(getattr(openrtb, name))) == set(_members(OBJECTS[name]))


CALLS = """
from typing import assert_type
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_client import XspClient, openrtb

async def good(client: XspClient, message: BidRequest, given: openrtb.BidRequest) -> None:
    assert_type(await client.bid(message), BidResponse)
    assert_type(await client.bid(given, timeout=0.2), openrtb.BidResponse)
    response = await client.bid({
        "id": "1",
        "imp": [
            {"id": "1", "secure": 1, "ext": {"gpid": "/1"}},
            {"id": "2", "ext": {"gpid": "/1", "prebid": {"x": 1}}},
        ],
    })
    assert_type(response, openrtb.BidResponse)
    assert_type(response["seatbid"][0]["bid"][0]["price"], float)
    response["ext"]["anything"]["at all"]

async def bad(client: XspClient) -> None:
    await client.bid({"id": "1", "imp": [{"baner": {}}]})  # error: member
    await client.bid({"id": 1})  # error: type
    await client.bid({"test": 2})  # error: flag
    await client.bid({"id": "1"}, timout=1)  # error: option
"""


def test_a_type_checker_knows_the_members_and_what_comes_back(tmp_path, monkeypatch):
    (tmp_path / "calls.py").write_text(CALLS)
    for index, block in enumerate(readme_blocks()):
        (tmp_path / f"readme_{index}.py").write_text(block)
    monkeypatch.setenv("MYPYPATH", f"{CLIENT}:{ROOT / 'gen' / 'python'}")
    options = ("--strict", "--config-file=", "--follow-imports=silent", "--no-error-summary")
    files = sorted(str(file) for file in tmp_path.glob("*.py"))
    out, trouble, _ = api.run([*options, f"--cache-dir={tmp_path}", *files])
    assert trouble == ""
    told = {tuple(Path(line).name.split(":")[:2]) for line in out.splitlines()}
    wrong = {i for i, line in enumerate(CALLS.splitlines(), 1) if "# error" in line}
    assert told == {("calls.py", str(line)) for line in wrong}, out


async def test_the_example_of_the_readme_runs(bids, capsys):
    bids.answers = [
        BidResponse(
            id="1",
            seatbid=[BidResponse.SeatBid(seat="s-1", bid=[BidResponse.Bid(id="b", price=1.25)])],
        )
    ]
    example = readme_blocks()[0].replace("127.0.0.1:50051", bids.address)
    names: dict[str, Any] = {}
    exec(example.replace("asyncio.run(main())", ""), names)  # noqa: S102 - our own README
    await names["main"]()
    assert capsys.readouterr().out == "s-1 [1.25]\n"


def readme_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)

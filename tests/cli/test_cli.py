"""The commands of `xsp`, as a user calls them."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from conftest import ROOT, SAMPLE
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.cli import group

XSP = Path(sys.executable).parent / "xsp"


@pytest.fixture
def xsp():
    runner = CliRunner()

    def run(*arguments, **kwargs):
        return runner.invoke(group, arguments, catch_exceptions=False, **kwargs)

    return run


async def start(*arguments, until):
    """A command in a process of its own, once it has printed a line that begins with `until`."""
    process = await asyncio.create_subprocess_exec(
        XSP, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    lines = []
    while not lines or until not in lines[-1]:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line, "".join(lines)
        lines.append(line.decode())
    return process, lines


def test_help_lists_every_command(xsp):
    output = xsp("--help").output
    for name in ("bid", "config", "convert", "demo", "serve", "simulate"):
        assert f"  {name} " in output
        assert xsp(name, "--help").exit_code == 0


def test_an_unknown_command_is_told(xsp):
    result = xsp("sell")
    assert result.exit_code == 2
    assert "No such command" in result.output


def test_config_prints_the_template(xsp):
    assert "[server]" in xsp("config").output


def test_config_check_tells_a_good_file(xsp, tmp_path):
    file = tmp_path / "xsp.toml"
    file.write_text('[[bidders]]\ntype = "simulated"\nname = "a"\n', encoding="utf-8")
    assert "1 bidders, every setting fits" in xsp("config", "--check", str(file)).output


def test_convert_json_to_protobuf_and_back_is_the_same_json(xsp, tmp_path, sample_json):
    binary = tmp_path / "request.bin"
    binary.write_bytes(xsp("convert", str(SAMPLE)).stdout_bytes)
    assert BidRequest.FromString(binary.read_bytes()).id == sample_json["id"]
    assert json.loads(xsp("convert", str(binary)).output) == sample_json


def test_convert_reads_standard_input_and_fills_in_defaults(xsp):
    result = xsp("convert", "-", "--to", "json", "--defaults", input='{"id": "1"}')
    assert json.loads(result.output)["at"] == 2


def test_convert_tells_what_it_left_out_and_what_it_coerced(xsp):
    result = xsp("convert", "-", "--to", "json", "--coerce", input='{"id": "1", "x": 1, "at": "2"}')
    assert json.loads(result.stdout) == {"id": "1", "at": 2}
    assert "left out: x is not in OpenRTB 2.6" in result.stderr
    assert "coerced: at" in result.stderr


@pytest.mark.parametrize(("target", "text"), [("protojson", '"at": 2'), ("text", "at: 2")])
def test_convert_writes_protobuf_s_own_forms(xsp, target, text):
    assert text in xsp("convert", "-", "--to", target, input='{"id": "1", "at": 2}').output


async def test_a_wrong_input_is_one_message_and_exit_status_1(tmp_path):
    file = tmp_path / "request.json"
    file.write_text('{"imp": [{"banner": {"w": "x"}}]}', encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        XSP, "convert", str(file), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert output == b""
    assert errors == b"xsp: imp[0].banner.w: expected integer, got string\n"


def test_protobuf_that_is_none_is_told(xsp, tmp_path):
    file = tmp_path / "garbage"
    file.write_bytes(b"\xff\xff")
    with pytest.raises(Exception, match=r"expected a xsp.openrtb.v2.BidRequest in protobuf"):
        xsp("convert", str(file), "--from", "protobuf")


async def test_demo_shows_a_won_auction():
    process, lines = await start("demo", "--listen", "127.0.0.1:0", "--once", until="imps won")
    assert await asyncio.wait_for(process.wait(), 60) == 0
    assert "2 of 2 imps won" in lines[-1]
    table = "".join(lines)
    for name in ("harbour", "meridian", "house", "pre-roll", "home-banner", "won"):
        assert name in table
    assert "Traceback" not in table


async def test_serve_serves_until_sigterm_and_bid_draws_the_auction(tmp_path):
    file = tmp_path / "xsp.toml"
    bidder = '[[bidders]]\ntype = "simulated"\nname = "acme"\nprice = 9\n'
    file.write_text(
        f'[server]\nlisten = "127.0.0.1:0"\n[log]\nformat = "json"\n{bidder}', encoding="utf-8"
    )
    process, lines = await start("serve", "--config", str(file), until="serving")
    address = json.loads(lines[-1])["address"]

    output = await run("bid", str(SAMPLE), "--server", address)
    assert "2 of 2 imps won" in output
    assert "acme" in output

    response = json.loads(await run("bid", str(SAMPLE), "--server", address, "--json"))
    assert response["id"] == json.loads(SAMPLE.read_bytes())["id"]

    report = json.loads(await run("bid", str(SAMPLE), "--server", address, "--report"))
    assert report["bidders"][0]["bidder"] == "acme"

    process.send_signal(signal.SIGTERM)
    rest = (await asyncio.wait_for(process.communicate(), 60))[0].decode()
    assert process.returncode == 0
    assert [json.loads(line)["event"] for line in rest.splitlines()] == ["draining", "stopped"]


async def run(*arguments):
    process = await asyncio.create_subprocess_exec(
        XSP, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def test_bid_without_a_server_is_told():
    process = await asyncio.create_subprocess_exec(
        XSP,
        "bid",
        str(SAMPLE),
        "--server",
        "127.0.0.1:1",
        "--timeout",
        "2",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert b"127.0.0.1:1" in errors
    assert b"Traceback" not in errors


def test_simulate_tells_a_setting_that_does_not_fit(xsp):
    with pytest.raises(Exception, match="no_bid_rate: got '2'"):
        xsp("simulate", "--no-bid-rate", "2")


BAD_REQUEST = {"id": "1", "at": 9, "imp": [{"id": "1", "banner": {"w": 300}, "bidfloor": -1}]}


def test_validate_tells_path_rule_and_expectation_and_fails(xsp, tmp_path):
    file = tmp_path / "request.json"
    file.write_text(json.dumps(BAD_REQUEST | {"foo": 1}), encoding="utf-8")
    result = xsp("validate", str(file), str(SAMPLE))
    assert result.exit_code == 1
    assert "imp[0].bidfloor: expected" in result.output
    assert "[json.unknown]" in result.output
    assert f"{SAMPLE}: ok, 0 warnings" in result.output


def test_validate_gives_one_json_object_a_file(xsp):
    result = xsp("validate", "-", "--json", input=json.dumps(BAD_REQUEST))
    verdict = json.loads(result.stdout)
    assert verdict["ok"] is False
    paths = {violation["path"] for violation in verdict["violations"]}
    assert "imp[0].bidfloor" in paths


def test_validate_of_a_good_request_succeeds(xsp):
    assert xsp("validate", str(SAMPLE)).exit_code == 0


@pytest.mark.parametrize(
    ("text", "rule"),
    [("{", "json.type"), ('{"id": 5}', "json.type"), ("[" * 5000, "json.depth")],
)
def test_validate_of_what_is_no_openrtb_json_is_an_error(xsp, text, rule):
    result = xsp("validate", "-", "--json", input=text)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["violations"][0]["rule"] == rule


def test_validate_holds_a_response_against_its_request(xsp):
    bid = {"id": "b", "impid": "nowhere", "price": 1, "adm": "<a>"}
    response = json.dumps({"id": "r", "seatbid": [{"bid": [bid]}]})
    alone = xsp("validate", "-", "--response", input=response)
    assert alone.exit_code == 0
    against = xsp("validate", "-", "--request", str(SAMPLE), input=response)
    assert against.exit_code == 1
    assert "seatbid[0].bid[0].impid" in against.output
    broken = xsp("validate", "-", "--response", input='{"id": 1}')
    assert broken.exit_code == 1

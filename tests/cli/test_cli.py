"""The commands of `xsp`, as a user calls them."""

import asyncio
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from conftest import ROOT, SAMPLE
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_client import XspClientError
from xsp_server.cli import config, group
from xsp_server.cli.bid import _told
from xsp_server.errors import ConfigError, InvalidRequest
from xsp_server.simulator.distributions import FORMS

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
    assert "1 bidder, every setting fits" in xsp("config", "--check", str(file)).output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[server.tls]\ncert = "gone.pem"\nkey = "gone.pem"\n',
            "server.tls.key: gone.pem: No such file",
        ),
        ('[record]\nfile = "/no/such/x.rec"\n', "record.file: /no/such doesn't exist"),
        ('[state]\nurl = "sqlite:////no/such/x.db"\n', "there is no folder /no/such"),
        ('[server]\nlisten = "localhost"\n', "server.listen: got 'localhost'"),
        ("[rules.bid_adjustments]\nacmee = 0.9\n", "rules.bid_adjustments.acmee: no such bidder"),
    ],
)
def test_config_check_finds_what_a_start_would(xsp, tmp_path, text, told):
    file = tmp_path / "xsp.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        xsp("config", "--check", str(file))
    assert told in str(caught.value)


def test_config_check_looks_at_the_file_of_records_and_leaves_it_alone(xsp, tmp_path, monkeypatch):
    file, records = tmp_path / "xsp.toml", tmp_path / "x.rec"
    file.write_text(f'[record]\nfile = "{records}"\n', encoding="utf-8")
    assert xsp("config", "--check", str(file)).output.endswith("0 bidders, every setting fits\n")
    assert not records.exists()
    records.touch()
    monkeypatch.setattr(config.os, "access", lambda place, _: place != records)
    with pytest.raises(ConfigError, match=r"record.file: .*x.rec can't be written"):
        xsp("config", "--check", str(file))


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


def test_convert_of_an_empty_file_is_an_error_unless_protobuf_is_asked_for(xsp):
    with pytest.raises(InvalidRequest, match=r"- is empty; expected JSON or protobuf"):
        xsp("convert", "-", input=" \n")
    assert xsp("convert", "-", "--from", "protobuf", input="").output == "{}\n"


def test_convert_writes_nothing_binary_to_a_terminal():
    main, child = pty.openpty()
    with os.fdopen(main, "rb"), os.fdopen(child, "wb") as terminal:
        done = subprocess.run(
            [XSP, "convert", SAMPLE], stdout=terminal, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert b"protobuf is binary and would go to the terminal" in done.stderr


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
    with pytest.raises(Exception, match=r"expected an xsp.openrtb.v2.BidRequest in protobuf"):
        xsp("convert", str(file), "--from", "protobuf")


async def test_demo_shows_a_won_auction():
    process, lines = await start("demo", "--listen", "127.0.0.1:0", "--once", until="imps won")
    assert await asyncio.wait_for(process.wait(), 60) == 0
    assert "2 of 2 imps won" in lines[-1]
    table = "".join(lines)
    for name in ("harbour", "meridian", "house", "pre-roll", "home-banner", "won"):
        assert name in table
    assert "Traceback" not in table


async def test_the_program_that_the_demo_prints_gets_bids():
    process, lines = await start("demo", "--listen", "127.0.0.1:0", until="asyncio.run(main())")
    program = "".join(lines[lines.index("import asyncio\n") :])
    assert "won" in await run_program(program)
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 60) == 0


async def run_program(text):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", text, stdout=asyncio.subprocess.PIPE
    )
    return (await asyncio.wait_for(process.communicate(), 60))[0].decode()


def test_the_demo_tells_an_address_that_is_none(xsp):
    with pytest.raises(ConfigError, match=r"^server.listen: got 'here'; expected host:port with"):
        xsp("demo", "--listen", "here")


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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost that signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on PATH: no certificate can be made")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


async def test_bid_speaks_tls_and_shows_a_certificate_of_its_own(serve, certificate):
    cert, key = certificate
    tls = {"cert": cert, "key": key, "client_ca": cert}
    bidder = {"type": "simulated", "name": "acme", "price": 9}
    server = await serve(bidder, server={"listen": "localhost:0", "tls": tls})
    asked = ("bid", SAMPLE, "--server", server.address, "--ca", cert, "--cert", cert, "--key", key)
    assert "2 of 2 imps won" in await run(*asked)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--cert", SAMPLE), "--cert and --key belong together; got one of them"),
        (("--key", SAMPLE), "--cert and --key belong together; got one of them"),
        (("--ca", "gone.pem"), "gone.pem"),
        (("--server", "http://h:1"), "got http://h:1; expected host:port, without http://"),
        (("--server", "HTTPS://h"), "got HTTPS://h; expected host:port, without https://"),
        (("--timeout", "0"), "0.0 is not in the range x>0"),
        (("--timeout", "-1"), "-1.0 is not in the range x>0"),
    ],
)
def test_bid_refuses_options_that_do_not_fit(xsp, arguments, told):
    result = xsp("bid", str(SAMPLE), *map(str, arguments))
    assert result.exit_code == 2
    assert told in result.output


async def refused(*arguments, request_text=None):
    """What `xsp bid` says on standard error of a call that fails."""
    process = await asyncio.create_subprocess_exec(
        XSP,
        "bid",
        "-",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(request_text or SAMPLE.read_bytes()), 60)
    assert process.returncode == 1
    return errors.decode()


async def test_bid_tells_a_refused_request_field_by_field(serve):
    server = await serve()
    errors = await refused("--server", server.address, request_text=b'{"imp": [{"bidfloor": -1}]}')
    first, *lines = errors.splitlines()
    assert first == f"Error: {server.address} refuses the request:"
    assert any(line.startswith("  imp[0].bidfloor: expected") for line in lines)
    assert ".violations" not in errors


async def test_bid_tells_its_own_options_where_they_help(serve):
    slow = {"type": "simulated", "name": "slow", "latency_ms": 5000}
    server = await serve(slow, auction={"default_timeout_ms": 9000, "margin_ms": 0})
    late = await refused(*("--server", server.address, "--timeout", "0.0001"), request_text=NO_TMAX)
    assert "DEADLINE_EXCEEDED" in late
    assert "Give more time by --timeout, or the request's tmax." in late
    assert "timeout=" not in late
    away = await refused("--server", "127.0.0.1:1", "--tls", "--timeout", "5")
    assert "Check --server, --tls and --ca, and that the server runs." in away


NO_TMAX = b'{"id": "1", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}]}'


async def test_bid_tells_when_to_ask_again(serve):
    server = await serve(server={"max_concurrent_calls": 1})
    server._gate.inside = 1  # as if a call were at work
    assert "Try again in " in await refused("--server", server.address)
    server._gate.inside = 0


def test_bid_tells_an_answer_that_is_none_in_the_client_s_words():
    assert _told(XspClientError("not to be read"), "h:1") == "not to be read"


async def test_explain_into_a_pipe_cuts_nothing(serve):
    name = "a-bidder-with-a-name-that-is-long-" * 2 + "x"
    bidder = {"type": "simulated", "name": name, "price": 9, "seat": "s"}
    server = await serve(bidder)
    output = await run("bid", SAMPLE, "--server", server.address, "--explain")
    assert any(len(line) > 100 for line in output.splitlines())
    assert "…" not in output


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


def test_simulate_tells_defaults_and_how_a_spread_is_written(xsp):
    output = xsp("simulate", "--help").output
    for line in FORMS.splitlines():
        assert f"  {line}\n" in output
    together = " ".join(output.split())
    for default in ("simulated", "lognormal median=2 sigma=0.5", "USD", "advertiser.example"):
        assert f"[default: {default}]" in together


@pytest.mark.parametrize("name", ["--adomain", "--cat"])
def test_simulate_takes_a_list_as_an_option_repeated(xsp, name):
    result = xsp("simulate", name, "a,b")
    assert result.exit_code == 2
    assert f"Invalid value for {name}: got 'a,b'; repeat the option for each" in result.output


def test_simulate_says_what_a_currency_is(xsp):
    with pytest.raises(ConfigError) as caught:
        xsp("simulate", "--currency", "usd", "--adomain", "a b")
    assert str(caught.value).splitlines() == [
        "currency: got 'usd'; expected three capital letters of ISO 4217, as USD",
        "adomain[0]: got 'a b'; expected one domain, as advertiser.example",
    ]


def test_the_list_of_make_is_a_table():
    command = ["make", "--no-print-directory", "help"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    starts = {line.index(line.split()[2], 10) for line in lines.stdout.splitlines()}
    assert starts == {len("  make mutation  ")}


@pytest.mark.parametrize("name", ["state", "vast"])
def test_lists_of_commands_are_told_whole(xsp, name):
    commands = xsp(name, "--help").output.partition("Commands:\n")[2]
    assert commands
    assert "..." not in commands


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


def test_validate_says_where_a_text_stops_being_json_and_counts_one_error_as_one(xsp):
    output = xsp("validate", "-", input="{").output
    assert "-: 1 error, 0 warnings" in output
    assert "expected JSON, found an error at line 1 column 2: " in output
    assert "expected UTF-8, found another byte at 0" in xsp("validate", "-", input=b"\xff").output


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

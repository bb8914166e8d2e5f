"""`xsp vast`: chains drawn, documents checked."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.test_vast import INLINE, serving, wrapper
from xsp_server.cli import group
from xsp_server.errors import XspError

XSP = Path(sys.executable).parent / "xsp"
ADLESS = '<VAST version="4.2"/>'


@pytest.fixture
def xsp():
    runner = CliRunner()

    def run(*arguments, **kwargs):
        return runner.invoke(group, ["vast", *arguments], **kwargs)

    return run


@pytest.fixture
def inline(tmp_path):
    file = tmp_path / "ad.xml"
    file.write_text(INLINE)
    return str(file)


async def vast(*arguments):
    """The command in a process of its own: exit status and output."""
    process = await asyncio.create_subprocess_exec(
        *(XSP, "vast", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode()


async def test_resolve_draws_each_step_below_the_one_that_led_to_it():
    async with serving() as ads:
        status, output = await vast("resolve", f"{ads.address}/tag", "--allow-private")
    assert status == 0
    first, second, third, fourth = output.splitlines()[:4]
    assert first.startswith("1 ad, 0 failures, 2 requests")
    assert f"{ads.address}/tag 200 VAST 4.2" in second
    assert f"{ads.address}/ad 200 VAST 4.2" in third
    assert "ad ad Ad 15 s, 1 wrapper," in fourth
    assert second.index("http") < third.index("http") < fourth.index("ad ad")


async def test_resolve_tells_what_failed_and_which_error_urls_there_are():
    async with serving() as ads:
        ads.documents["/tag"] = wrapper(f"{ads.address}/gone")
        status, output = await vast("resolve", f"{ads.address}/tag", "--allow-private")
        address = ads.address
    assert status == 1
    assert "301" in output
    assert f"{address}/gone/error?301" in output


async def test_resolve_follows_no_private_address_unless_it_is_told_to():
    async with serving() as ads:
        status, output = await vast("resolve", f"{ads.address}/tag")
        asked = ads.asked
    assert status == 1
    assert "xsp: sources[0]" in output
    assert "expected one of 80, 443, or --allow-private (port)" in output
    assert not asked


def test_resolve_of_a_private_address_tells_its_own_option(xsp):
    done = xsp("resolve", "http://127.0.0.1/tag")
    assert isinstance(done.exception, XspError)
    assert "expected a public address, or --allow-private (addr" in str(done.exception)


async def test_resolve_asks_several_sources_in_turn_unless_it_is_told_otherwise():
    async with serving() as ads:
        sources = [f"{ads.address}/gone", f"{ads.address}/ad", f"{ads.address}/tag"]
        _, in_turn = await vast("resolve", *sources, "--allow-private")
        _, at_once = await vast("resolve", *sources, "--allow-private", "--ask", "parallel")
    assert in_turn.startswith("1 ad, 1 failure, 2 requests")
    assert at_once.startswith("2 ads, 1 failure, 4 requests")
    assert at_once.count("ad ad Ad 15 s") == 2


async def test_resolve_tells_which_sources_were_given_up():
    async with serving() as ads:
        ads.held.add("/tag")
        sources = [f"{ads.address}/tag", f"{ads.address}/ad"]
        status, output = await vast("resolve", *sources, "--allow-private", "--ask", "first")
    assert status == 0
    (line,) = (line for line in output.splitlines() if "/tag" in line)
    assert line.endswith("another member of the group gave an ad first")


def test_resolve_reads_files_and_standard_input(xsp, inline):
    assert xsp("resolve", inline).exit_code == 0
    assert "1 ad" in xsp("resolve", "-", input=INLINE).output
    assert xsp("resolve", "-", input=ADLESS).exit_code == 1


def test_resolve_prints_the_merged_document_or_all_of_it(xsp, inline):
    assert xsp("resolve", inline, "--xml").output.startswith("<?xml")
    assert json.loads(xsp("resolve", inline, "--json").output)["outcome"].endswith("_AD")


def test_a_file_that_is_not_there_is_told(xsp):
    result = xsp("resolve", "nowhere.xml")
    assert result.exit_code == 2
    assert "expected a URL or a file" in result.output


def test_a_url_of_another_scheme_is_told(xsp):
    result = xsp("resolve", "ftp://ads.example/tag")
    assert result.exit_code == 2
    assert "expected an http:// or https:// URL, or a file" in " ".join(result.output.split())


def test_lint_tells_line_path_and_rule(xsp, inline, tmp_path):
    good = xsp("lint", inline)
    assert (good.exit_code, good.output.strip()) == (0, f"{inline}: ok")
    bad = tmp_path / "bad.xml"
    bad.write_text(INLINE.replace("<AdTitle>Ad</AdTitle>", ""))
    result = xsp("lint", str(bad))
    assert result.exit_code == 1
    assert "1: VAST/Ad[1]/InLine" in result.output
    assert "[element missing]" in result.output


def test_lint_tells_what_can_t_be_read(xsp, tmp_path):
    file = tmp_path / "broken.xml"
    file.write_text("<VAST")
    result = xsp("lint", str(file))
    assert result.exit_code == 1
    assert "line 1" in result.output

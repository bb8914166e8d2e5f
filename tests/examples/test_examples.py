"""Every example runs and prints what it promises."""

import asyncio
import sys

import pytest

from conftest import ROOT

EXAMPLES = ROOT / "examples"


async def run(name, *arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / name,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def test_bid(serve):
    server = await serve(
        {"type": "simulated", "name": "a", "seat": "acme", "price": 2.0},
        {"type": "simulated", "name": "b", "seat": "beta", "price": 1.5},
    )
    output = await run("bid.py", server.address)
    assert "imp 1: acme pays 1.51 USD" in output
    assert "refused:\n  imp[0]" in output


async def test_own_bidder():
    assert "imp top: penny pays 2.51 USD\n" in await run("own_bidder.py")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_example_has_a_test(path):
    assert f"def test_{path.stem}(" in (ROOT / "tests/examples/test_examples.py").read_text()


async def test_auction_by_hand():
    output = await run("auction_by_hand.py")
    assert "acme wins and pays 3.010000 USD" in output
    assert "beta wins and pays 2.810000 USD" in output  # acme counts 4.00 x 0.7
    assert "gamma/b: blocked_advertiser [bid.blocked_advertiser]" in output


async def test_validate():
    output = await run("validate.py")
    assert "not in OpenRTB 2.6: made_up" in output
    for path in ("imp[0].video", "imp[0].bidfloorcur", "imp[1].id", "device.ip"):
        assert f"error {path}" in output
    assert "imp[0].banner.w: expected integer, got string" in output


async def test_fallback():
    lines = [line for line in (await run("fallback.py")).splitlines() if line[:8] == "auction-"]
    prices = {line.split()[1] for line in lines}
    assert len(lines) == 6
    assert prices == {
        "12.00",
        "4.00",
    }  # premium where it filled, else the best


async def test_stream(serve):
    server = await serve({"type": "simulated", "name": "a", "price": 2.0})
    output = await run("stream.py", server.address)
    assert output.startswith("100 answers in ")
    assert output.endswith("100 auctions won\n")


async def test_resolve_vast():
    output = await run("resolve_vast.py")
    assert "ad shoes: Shoes, 15 s, 2 wrappers\n" in output
    assert "  hop 1 TRACKING_KIND_IMPRESSION https://bidder.example/seen" in output
    assert "  /nowhere: HTTP 404, error 301\n" in output
    assert "to request: https://broken.example/failed?code=301\n" in output


async def test_lint_vast():
    output = await run("lint_vast.py")
    assert "8: VAST/Ad[1]/InLine/Creatives/Creative[1]/Linear/Duration: '15'" in output
    assert "read: SHOE0001, https://cdn.example/shoes.mp4\n" in output
    assert '<VAST version="2.0">\n  VAST/Ad[1]/InLine/Pricing: left out' in output
    assert "refused with code 100: " in output


async def test_caps_and_budgets(serve):
    server = await serve()
    output = await run("caps_and_budgets.py", server.address)
    assert "ad 3: shown\nad 4: blocked by three an hour\n" in output
    assert "remains: 997.50 USD\n" in output


async def test_campaign_in_auctions():
    output = await run("campaign_in_auctions.py")
    assert output.count("acme wins at 2.50") == 2
    assert "house wins at 0.50\n  acme: no, 0.0000 USD remain" in output
    assert "spent 5000 micros, 0 remain" in output

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

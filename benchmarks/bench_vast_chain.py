"""A chain of five Wrappers and an InLine, from a local server: ours, a floor and a peer.

The floor is bare aiohttp and lxml: it follows the addresses, counts impressions, limits bodies and
times, and does nothing else: no guard, no merge, no trackers with origins, no XML. The peer is
vast-client-js under Node, where that is present; it gives merged ads, as "the ads alone" do. All
are asked in turn, round by round, over kept connections to one server; each is a process of its
own.
"""

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import node_peer

HERE = Path(__file__).parent
CHAIN = HERE.parent / "tests" / "vectors" / "vast_chains" / "five_hops"
IMPRESSIONS = 6
CONCURRENCY = {"one by one": 1, "50 at once": 50}
LABELS = {
    "bare": "bare aiohttp + lxml",
    "xsp": "XSP, all parts of the answer",
    "xsp_ads": "XSP, the ads alone",
    "vast_client_js": "vast-client-js",
}


def run(rounds: int = 10, chains: int = 400) -> dict[str, Any]:
    """Measures.

    Args:
        rounds: of each candidate, in turn.
        chains: of each round; a multiple of 50.
    """
    return asyncio.run(_run(rounds, chains))


async def _run(rounds: int, chains: int) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        command = [sys.executable, str(HERE / "vast_documents.py"), str(CHAIN)]
        documents = await stack.enter_async_context(_started(command))
        address = await _line(documents)
        peers: dict[str, asyncio.subprocess.Process] = {}
        for name, command in _commands(address).items():
            peers[name] = await stack.enter_async_context(_started(command))
        figures: dict[str, Any] = {}
        for label, concurrency in CONCURRENCY.items():
            count = chains if concurrency > 1 else chains // 4
            figures[label] = await _measure(peers, rounds, count, concurrency)
        return figures


def _commands(address: str) -> dict[str, list[str]]:
    script = str(HERE / "vast_resolvers.py")
    commands = {
        name: [sys.executable, script, name, address] for name in ("bare", "xsp", "xsp_ads")
    }
    module = node_peer.module()
    if module is not None:
        peer = str(HERE / "vast_resolver_peer.cjs")
        commands["vast_client_js"] = ["node", peer, str(module), address]
    return commands


async def _measure(
    peers: Mapping[str, asyncio.subprocess.Process], rounds: int, count: int, concurrency: int
) -> dict[str, Any]:
    """Rounds of all candidates in turn, after one that only warms up."""
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in peers}
    for index in range(rounds + 1):
        for name, peer in peers.items():
            assert peer.stdin is not None
            peer.stdin.write(f"{count} {concurrency}\n".encode())
            took = json.loads(await _line(peer))
            assert took["impressions"] == count * IMPRESSIONS, name
            if index:
                measured[name].append(took)
    return {name: _figures(rows, count) for name, rows in measured.items()}


def _figures(rows: Sequence[Mapping[str, float]], count: int) -> dict[str, float]:
    seconds = sorted(row["seconds"] for row in rows)
    return {
        "chains_per_second": count / statistics.median(seconds),
        "slowest_round": count / seconds[-1],
        "fastest_round": count / seconds[0],
        "cpu_us_per_chain": statistics.median(row["cpu"] for row in rows) / count * 1e6,
    }


@asynccontextmanager
async def _started(command: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that ends when its standard input does."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    try:
        yield process
    finally:
        await process.communicate(b"")


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode().strip()
    assert line, "a program ended too soon"
    return line


def table(figures: dict[str, Any]) -> str:
    """The figures for people; how fast each is beside the floor."""
    lines = []
    for label, measured in figures.items():
        lines.append(f"five hops, {label}")
        floor = measured["bare"]
        for name, each in measured.items():
            share = each["chains_per_second"] / floor["chains_per_second"]
            cpu = each["cpu_us_per_chain"]
            lines.append(
                f"  {LABELS[name]:30} {each['chains_per_second']:7.0f} chains/s"
                f" ({each['slowest_round']:.0f} to {each['fastest_round']:.0f})"
                f"   {cpu:6.0f} us CPU   {share:4.0%} of the floor"
                f"   {cpu / floor['cpu_us_per_chain']:.2f} x its CPU"
            )
        if "vast_client_js" in measured:
            peer = measured["vast_client_js"]
            for name in ("xsp_ads", "xsp"):
                times = measured[name]["chains_per_second"] / peer["chains_per_second"]
                cpu = measured[name]["cpu_us_per_chain"] / peer["cpu_us_per_chain"]
                lines.append(f"  {LABELS[name]}: {times:.2f} x vast-client-js, {cpu:.2f} x its CPU")
        else:
            lines.append("  no Node, or no vast-client-js: the peer was not measured")
    return "\n".join(lines)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=10)
    arguments.add_argument("--chains", type=int, default=400, help="in each round")
    arguments.add_argument("--json", type=Path, help="write the figures to this file too")
    options = arguments.parse_args()
    results = run(options.rounds, options.chains)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(table(results))

"""Hostile documents and servers: none reads a file, gets inside, fills memory or holds a worker.

Everything goes over real local HTTP, through the real upstream, guard, fetcher and resolver. What
there is to attack with stands in `hostile`.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vast import hostile
from vast.hostile import ANSWERS, DOCUMENTS, NO_HTTP, TO_INSIDE, Scene, resolve, staged
from xsp.vast.v1 import resolution_pb2 as pb
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp_server.vast.faults import VastUnreadable
from xsp_server.vast.lint import lint
from xsp_server.vast.parse import parse
from xsp_server.vast.resolver import TagRefused

PRIVATE = "what no stranger may know"
SLACK = 1.5
"""Seconds beyond the time of a call, for a machine that is busy with other tests."""

ADDRESSES = [
    pytest.param(index, id=address.replace("/", "|"))
    for index, address in enumerate((*TO_INSIDE, *NO_HTTP))
]
REFUSED = {
    lists.FAILURE_REASON_ADDRESS_REFUSED,
    lists.FAILURE_REASON_SCHEME_REFUSED,
    lists.FAILURE_REASON_URI_INVALID,
    lists.FAILURE_REASON_REDIRECT_REFUSED,
    lists.FAILURE_REASON_DNS_FAILED,
}


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    file = tmp_path / "secret.xml"
    file.write_text(hostile.vast(hostile.title(PRIVATE)).decode(), "utf-8")
    async with staged(file) as scene:
        yield scene


def reasons(resolution: pb.Resolution) -> list[str]:
    return [lists.FailureReason.Name(failure.reason) for failure in resolution.failures]


async def safely(scene: Scene, source: str | bytes) -> pb.Resolution:
    """A resolution that was over in its time, told no secret and came to nobody inside."""
    began = time.monotonic()
    resolution = await resolve(source)
    assert time.monotonic() - began < hostile.TOTAL_MS / 1000 + SLACK
    assert PRIVATE not in str(resolution)
    assert scene.visits == 0
    return resolution


async def test_without_the_guard_the_port_would_be_reached(scene: Scene) -> None:
    # So what stays away from it below, stays away for a reason.
    resolution = await resolve(f"http://127.0.0.1:{scene.inside}/", "127.0.0.1/32")
    assert scene.visits == 1
    assert resolution.ads[0].ad.inline.ad_title == "inside"


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_a_hostile_document_is_refused_by_its_rule(name: str, scene: Scene) -> None:
    make, rule = DOCUMENTS[name]
    document = make(scene.file, scene.inside)
    for read in (parse, lint):
        began = time.process_time()
        with pytest.raises(VastUnreadable) as caught:
            read(document)
        assert caught.value.rule == rule
        assert time.process_time() - began < 1


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_a_hostile_document_of_a_second_hop_ends_its_chain(name: str, scene: Scene) -> None:
    resolution = await safely(scene, scene.url(f"to/document/{name}"))
    assert reasons(resolution) == [lists.FailureReason.Name(DOCUMENTS[name][1])]
    assert not resolution.ads


@pytest.mark.parametrize("name", hostile.harmless("", 0))
async def test_what_a_document_refers_to_is_not_read(name: str, scene: Scene) -> None:
    document = hostile.harmless(scene.file, scene.inside)[name]
    assert PRIVATE not in str(parse(document))
    resolution = await safely(scene, scene.url(f"to/document/{name}"))
    assert len(resolution.ads) == 1


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_hostile_answer_is_refused_by_its_rule_in_time(name: str, scene: Scene) -> None:
    resolution = await safely(scene, scene.url(f"to/{name}"))
    assert reasons(resolution) == [lists.FailureReason.Name(ANSWERS[name][1])]
    assert len(resolution.hops) == 2
    assert resolution.hops[1].elapsed.ToMilliseconds() < hostile.HOP_MS + SLACK * 1000
    assert resolution.hops[1].body_bytes <= hostile.MIB


@pytest.mark.parametrize("index", ADDRESSES)
async def test_no_wrapper_leads_inside(index: int, scene: Scene) -> None:
    resolution = await safely(scene, scene.url(f"wrap/{index}"))
    assert [failure.reason in REFUSED for failure in resolution.failures] == [True]
    assert not resolution.ads


@pytest.mark.parametrize("index", ADDRESSES)
async def test_no_redirect_leads_inside(index: int, scene: Scene) -> None:
    resolution = await safely(scene, scene.url(f"to/redirect/{index}"))
    assert [failure.reason in REFUSED for failure in resolution.failures] == [True]
    assert not resolution.ads


@pytest.mark.parametrize("index", ADDRESSES)
async def test_no_tag_of_a_caller_leads_inside(index: int, scene: Scene) -> None:
    address = scene.fill((*TO_INSIDE, *NO_HTTP)[index])
    try:
        resolution = await safely(scene, address)
    except TagRefused:
        assert scene.visits == 0
    else:
        assert [failure.reason in REFUSED for failure in resolution.failures] == [True]


async def test_a_chain_that_goes_on_for_ever_ends_at_its_hops(scene: Scene) -> None:
    resolution = await safely(scene, scene.url("deeper/"))
    assert reasons(resolution) == ["FAILURE_REASON_HOP_LIMIT"]
    assert len(scene.asked) == 6


async def test_a_tree_of_wrappers_ends_at_the_requests_of_a_call(scene: Scene) -> None:
    resolution = await safely(scene, scene.url("wider/"))
    assert not resolution.ads
    assert len(scene.asked) <= 50


async def test_a_call_that_is_attacked_holds_up_no_other(scene: Scene) -> None:
    attacks = [asyncio.ensure_future(resolve(scene.url(f"to/{name}"))) for name in ANSWERS]
    resolution = await safely(scene, scene.url("to/document/stylesheet"))
    assert len(resolution.ads) == 1
    assert resolution.elapsed.ToMilliseconds() < hostile.TOTAL_MS
    await asyncio.gather(*attacks)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is told by /proc")
async def test_all_of_them_together_hold_less_than_64_mb(scene: Scene) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vast.hostile", str(scene.port)),
        cwd=Path(__file__).parents[1],
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 0
    assert 1 < float(output) < 64
    assert len(scene.asked) > len(ANSWERS) + len(DOCUMENTS)

"""Campaign documents: the same on every store."""

from dataclasses import replace

import pytest

from state.play import T0
from xsp_server.errors import InvalidRequest
from xsp_server.state.backend import CampaignDocument, PutOutcome, PutStatus, StateBackend


def document(id_: str = "c1", key: str = "", body: bytes = b"\0settings", request_id: str = ""):
    return CampaignDocument(id_, key, body, request_id)


async def test_a_campaign_is_created_and_replaced(backend: StateBackend):
    created = await backend.put_campaign(document(key="k"), T0)
    stored = replace(document(key="k"), revision=1, created_at=T0, updated_at=T0)
    assert created == PutOutcome(PutStatus.STORED, stored)
    replaced = await backend.put_campaign(document(body=b"new"), T0 + 5)
    assert replaced.document == CampaignDocument("c1", "", b"new", "", 2, T0, T0 + 5)
    assert await backend.get_campaigns(["none", "c1"]) == [None, replaced.document]


async def test_an_expected_revision_must_be_so(backend: StateBackend):
    new = await backend.put_campaign(document(), T0, expected_revision=1)
    assert new == PutOutcome(PutStatus.DIFFERS, None)
    first = await backend.put_campaign(document(), T0, expected_revision=0)
    assert first.status is PutStatus.STORED
    again = await backend.put_campaign(document(body=b"x"), T0, expected_revision=0)
    assert again == PutOutcome(PutStatus.DIFFERS, first.document)
    second = await backend.put_campaign(document(body=b"x"), T0, expected_revision=1)
    assert second.document.revision == 2


async def test_the_same_request_again_is_stored_once(backend: StateBackend):
    first = await backend.put_campaign(document(request_id="r1"), T0, expected_revision=0)
    again = await backend.put_campaign(document(request_id="r1"), T0 + 9, expected_revision=0)
    assert again == PutOutcome(PutStatus.REPLAYED, first.document)


async def test_two_campaigns_do_not_share_a_key(backend: StateBackend):
    first = await backend.put_campaign(document("c1", "k"), T0)
    taken = await backend.put_campaign(document("c2", "k"), T0)
    assert taken == PutOutcome(PutStatus.TAKEN, first.document)
    assert await backend.get_campaigns(["c2"]) == [None]
    await backend.put_campaign(document("c1", "other"), T0)
    assert (await backend.put_campaign(document("c2", "k"), T0)).status is PutStatus.STORED
    for id_ in ("c3", "c4"):
        assert (await backend.put_campaign(document(id_), T0)).status is PutStatus.STORED


async def test_a_deleted_campaign_is_gone_and_its_key_free(backend: StateBackend):
    stored = (await backend.put_campaign(document("c1", "k"), T0)).document
    assert await backend.delete_campaign("c1", expected_revision=2) == PutOutcome(
        PutStatus.DIFFERS, stored
    )
    assert await backend.delete_campaign("c1", expected_revision=1) == PutOutcome(
        PutStatus.STORED, stored
    )
    assert await backend.delete_campaign("c1") == PutOutcome(PutStatus.ABSENT, None)
    assert await backend.get_campaigns(["c1"]) == [None]
    assert await backend.list_campaigns() == []
    anew = await backend.put_campaign(document("c2", "k"), T0)
    assert anew.status is PutStatus.STORED


async def test_campaigns_are_listed_by_id_page_by_page(backend: StateBackend):
    for id_ in ("b", "é", "a", "Z", "c"):
        await backend.put_campaign(document(id_), T0)
    listed = await backend.list_campaigns()
    assert [each.campaign_id for each in listed] == ["Z", "a", "b", "c", "é"]
    page = await backend.list_campaigns(after="a", limit=2)
    assert [each.campaign_id for each in page] == ["b", "c"]
    assert await backend.list_campaigns(after="é") == []


async def test_the_version_grows_with_each_change_and_only_then(backend: StateBackend):
    versions = [await backend.campaigns_version()]
    for change in (
        backend.put_campaign(document(), T0),
        backend.put_campaign(document(), T0),
        backend.delete_campaign("c1"),
    ):
        await change
        versions.append(await backend.campaigns_version())
    assert versions[0] == 0
    assert versions == sorted(set(versions))
    await backend.delete_campaign("c1")
    await backend.put_campaign(document(), T0, expected_revision=5)
    assert await backend.campaigns_version() == versions[-1]


def test_a_campaign_has_an_id():
    with pytest.raises(InvalidRequest, match="campaign_id"):
        document("")


async def test_an_expected_version_of_all_campaigns_must_be_so(backend: StateBackend):
    version = await backend.campaigns_version()
    first = await backend.put_campaign(document("c1", "k"), T0, expected_version=version)
    assert first.status is PutStatus.STORED
    outdated = PutOutcome(PutStatus.OUTDATED, None)
    # Judged after the revision, before the key.
    assert await backend.put_campaign(document("c2", "k"), T0, expected_version=version) == outdated
    assert await backend.delete_campaign("c1", expected_version=version) == outdated
    differs = PutOutcome(PutStatus.DIFFERS, first.document)
    old = {"expected_revision": 7, "expected_version": version}
    assert await backend.put_campaign(document(), T0, **old) == differs
    assert await backend.delete_campaign("c1", **old) == differs
    version = await backend.campaigns_version()
    taken = await backend.put_campaign(document("c2", "k"), T0, expected_version=version)
    assert taken.status is PutStatus.TAKEN
    gone = await backend.delete_campaign("c1", expected_revision=1, expected_version=version)
    assert gone.status is PutStatus.STORED


async def test_a_put_that_is_repeated_may_expect_a_version_that_is_over(backend: StateBackend):
    version = await backend.campaigns_version()
    first = await backend.put_campaign(document(request_id="r1"), T0, expected_version=version)
    again = await backend.put_campaign(document(request_id="r1"), T0 + 9, expected_version=version)
    assert again == PutOutcome(PutStatus.REPLAYED, first.document)

"""Kept answers: found by URL and headers, dropped by time, number and size."""

import pytest

from xsp_server.upstream.document_cache import MAX_VARIANTS, OVERHEAD, DocumentCache
from xsp_server.upstream.http_cache import Keeping

FOREVER = Keeping(10**20, ())
BY_IP = Keeping(10**20, ("x-device-ip",))


def cache(max_bytes=10**6, max_entries=100):
    return DocumentCache[str](max_bytes=max_bytes, max_entries=max_entries)


def found(kept, url, now=0, **headers):
    entry = kept.find(url, headers, now)
    return None if entry is None else entry.answer


def test_what_was_put_is_found_until_it_ends():
    kept = cache()
    assert kept.put("u", {}, "answer", 10, Keeping(100, ()))
    assert found(kept, "u", 99) == "answer"
    assert found(kept, "v", 99) is None
    assert found(kept, "u", 100) is None
    assert (kept.entries, kept.size, "u" in kept) == (0, 0, False)


def test_it_counts_body_url_and_what_is_around_them():
    kept = cache()
    kept.put("http://u", {}, "a", 10, FOREVER)
    kept.put("http://v", {}, "b", 20, FOREVER)
    assert (kept.entries, kept.size) == (2, 2 * (OVERHEAD + 8) + 30)
    kept.put("http://v", {}, "c", 5, FOREVER)
    assert (kept.entries, kept.size) == (2, 2 * (OVERHEAD + 8) + 15)
    assert found(kept, "http://v") == "c"


def test_each_variant_is_for_those_who_ask_alike():
    kept = cache()
    kept.put("u", {"X-Device-IP": "1"}, "one", 1, BY_IP)
    kept.put("u", {"x-device-ip": "2"}, "two", 1, BY_IP)
    kept.put("u", {}, "none", 1, BY_IP)
    assert found(kept, "u", **{"X-Device-IP": "1"}) == "one"
    assert found(kept, "u", **{"X-DEVICE-IP": "2"}) == "two"
    assert found(kept, "u", Other="2") == "none"
    assert found(kept, "u", **{"X-Device-IP": "3"}) is None
    assert kept.entries == 3


def test_the_newest_answer_says_what_counts():
    kept = cache()
    kept.put("u", {"X-Device-IP": "1"}, "one", 1, BY_IP)
    kept.put("u", {"X-Device-IP": "2"}, "two", 1, BY_IP)
    kept.put("u", {"X-Device-IP": "3"}, "all", 1, FOREVER)
    assert found(kept, "u", **{"X-Device-IP": "1"}) == "all"
    assert kept.entries == 1


def test_one_url_has_so_many_variants_and_no_more():
    kept = cache(max_entries=1000)
    for number in range(MAX_VARIANTS + 1):
        kept.put("u", {"X-Device-IP": str(number)}, str(number), 1, BY_IP)
    assert kept.entries == MAX_VARIANTS
    assert found(kept, "u", **{"X-Device-IP": "0"}) is None
    assert found(kept, "u", **{"X-Device-IP": "1"}) == "1"


@pytest.mark.parametrize("limits", [{"max_entries": 2}, {"max_bytes": 2 * (OVERHEAD + 2)}])
def test_those_that_were_not_asked_for_go_first(limits):
    kept = cache(**limits)
    for url in "ab":
        kept.put(url, {}, url, 1, FOREVER)
    assert found(kept, "a") == "a"
    kept.put("c", {}, "c", 1, FOREVER)
    assert [found(kept, url) for url in "abc"] == ["a", None, "c"]
    assert kept.entries == 2


def test_the_oldest_variant_of_such_a_url_goes_first():
    kept = cache(max_entries=2)
    for ip in "12":
        kept.put("u", {"X-Device-IP": ip}, ip, 1, BY_IP)
    kept.put("v", {}, "v", 1, FOREVER)
    assert [found(kept, "u", **{"X-Device-IP": ip}) for ip in "12"] == [None, "2"]


@pytest.mark.parametrize("limits", [{"max_entries": 0}, {"max_bytes": 0}, {"max_bytes": OVERHEAD}])
def test_what_does_not_fit_at_all_is_not_kept(limits):
    kept = cache(**limits)
    assert not kept.put("u", {}, "a", 1, FOREVER)
    assert (found(kept, "u"), kept.entries, kept.size) == (None, 0, 0)


def test_an_end_can_come_earlier_and_not_later():
    kept = cache()
    kept.put("u", {}, "a", 1, Keeping(100, ()))
    kept.limit("u", {}, 200)
    assert found(kept, "u", 99) == "a"
    kept.limit("u", {}, 50)
    assert found(kept, "u", 49) == "a"
    assert found(kept, "u", 50) is None
    kept.limit("u", {}, 10)
    kept.limit("other", {}, 10)


def test_an_end_is_that_of_one_variant():
    kept = cache()
    for ip in "12":
        kept.put("u", {"X-Device-IP": ip}, ip, 1, BY_IP)
    kept.limit("u", {"X-Device-IP": "1"}, 50)
    kept.limit("u", {"X-Device-IP": "3"}, 50)
    assert [found(kept, "u", 60, **{"X-Device-IP": ip}) for ip in "12"] == [None, "2"]

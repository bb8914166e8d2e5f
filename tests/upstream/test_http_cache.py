"""Which answers a shared cache may keep, and until when: RFC 9111 in tables."""

from email.utils import formatdate

import pytest

from xsp_server.upstream.http_cache import LONGEST, SECOND, Keeping, keeping, selected

NOW = 1_790_000_000
"""Seconds since 1970, when answers come."""


def date(offset=0):
    return formatdate(NOW + offset, usegmt=True)


def kept(*lines, status=200, request=None, took=0):
    """How an answer with these headers is kept that came now, `took` seconds after the request."""
    pairs = [line.split(": ", 1) for line in lines]
    return keeping(request or {}, status, pairs, (NOW - took) * SECOND, NOW * SECOND)


def seconds(*lines, **options):
    """For how long from now on; None: not at all."""
    how = kept(*lines, **options)
    return None if how is None else how.expires_ns / SECOND - NOW


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Cache-Control: max-age=60"], 60),
        (["cache-control: MAX-AGE=60"], 60),
        (['Cache-Control: max-age="60"'], 60),
        (["Cache-Control: public, max-age = 60"], 60),
        (["Cache-Control: max-age=60, s-maxage=10"], 10),
        (["Cache-Control: max-age=0, s-maxage=10"], 10),
        (["Cache-Control: max-age=60, max-age=30"], 30),
        (["Cache-Control: max-age=60", "Cache-Control: max-age=30"], 30),
        (["Cache-Control: max-age=60", f"Expires: {date(5)}"], 60),
        ([f"Expires: {date(5)}"], 5),
        ([f"Expires: {date(5)}", f"Date: {date()}"], 5),
        ([f"Expires: {date(25)}", f"Date: {date(20)}"], 5),
        ([f"Expires: {date(60)}", f"Expires: {date(90)}"], 60),
        (["Expires: Sun, 06 Nov 2094 08:49:37 GMT"], 2_147_483_648),
        (["Cache-Control: max-age=99999999999999999999"], LONGEST),
        (["Cache-Control: max-age=4294967296"], LONGEST),
        (["Cache-Control: max-age=60, stale-while-revalidate=9, x"], 60),
        (["Cache-Control: max-age=60", "Pragma: no-cache"], 60),
        (["Cache-Control: max-age=60", 'ETag: "7"', "X: y"], 60),
    ],
)
def test_fresh_for_as_long_as_it_says(lines, expected):
    assert seconds(*lines) == expected


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [f"Last-Modified: {date(-9999)}", f"Date: {date()}"],
        ["Cache-Control: public"],
        ["Cache-Control: max-age=0"],
        ["Cache-Control: max-age=-5"],
        ["Cache-Control: max-age=1.5"],
        ["Cache-Control: max-age=soon"],
        ["Cache-Control: max-age"],
        ["Cache-Control: max-age=60, max-age=x"],
        ["Cache-Control: max-age=60, s-maxage=0"],
        ["Cache-Control: max-age=0", f"Expires: {date(60)}"],
        ["Expires: 0"],
        ["Expires: -1"],
        ["Expires: "],
        ["Expires: Thu, 99 Foo 2026 00:00:00 GMT"],
        ["Expires: Thu, 01 Jan 99999 00:00:00 GMT"],
        [f"Expires: {date()}"],
        [f"Expires: {date(-1)}"],
        [f"Expires: {date(5)}", f"Date: {date(5)}"],
        [f"Expires: {date(60)}", "Pragma: no-cache"],
    ],
)
def test_what_does_not_say_that_it_is_fresh_is_not_kept(lines):
    assert kept(*lines) is None


@pytest.mark.parametrize(
    "line",
    [
        "Cache-Control: no-store, max-age=60",
        "Cache-Control: max-age=60, NO-STORE",
        "Cache-Control: private, max-age=60",
        'Cache-Control: private="X-Id, max-age=9", max-age=60',
        "Cache-Control: no-cache, max-age=60",
        'Cache-Control: no-cache="Set-Cookie", max-age=60',
        "Set-Cookie: id=7",
        "Vary: *",
        "Vary: Accept, *",
    ],
)
def test_what_is_for_one_alone_is_not_kept(line):
    assert kept("Cache-Control: max-age=60", line) is None


def test_a_directive_within_quotes_is_none():
    assert seconds('Cache-Control: ext="no-store, private", max-age=60') == 60


@pytest.mark.parametrize("status", [201, 203, 204, 206, 301, 302, 304, 404, 410, 500])
def test_only_a_200_is_kept(status):
    assert kept("Cache-Control: max-age=60", status=status) is None


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("max-age=60", None),
        ("max-age=60, public", 60),
        ("max-age=60, must-revalidate", 60),
        ("s-maxage=60", 60),
    ],
)
def test_what_was_asked_for_with_credentials_is_kept_only_if_it_is_for_all(control, expected):
    request = {"authorization": "Bearer x"}
    assert seconds(f"Cache-Control: {control}", request=request) == expected


@pytest.mark.parametrize(
    ("lines", "took", "left"),
    [
        (["Age: 10"], 0, 50),
        (["Age: 10"], 3, 47),
        (["Age: 10, 20"], 0, 50),
        (["Age: old"], 0, 60),
        (["Age: -10"], 0, 60),
        ([], 3, 57),
        ([f"Date: {date(-20)}"], 0, 40),
        ([f"Date: {date(-20)}", "Age: 30"], 0, 30),
        ([f"Date: {date(-20)}", "Age: 10"], 5, 40),
        ([f"Date: {date(20)}"], 0, 60),
        (["Date: nonsense"], 0, 60),
        (["Age: 60"], 0, None),
        (["Age: 99999999999999999999"], 0, None),
        ([f"Date: {date(-60)}"], 0, None),
        ([], 60, None),
    ],
)
def test_the_age_that_it_comes_with_is_taken_off(lines, took, left):
    assert seconds("Cache-Control: max-age=60", *lines, took=took) == left


def test_a_date_without_a_zone_is_utc():
    text = date(7).removesuffix(" GMT")
    assert seconds(f"Expires: {text}") == 7
    assert seconds(f"Expires: {text} -0000") == 7


def test_a_clock_that_goes_back_makes_nothing_older():
    pairs = [("Cache-Control", "max-age=60")]
    how = keeping({}, 200, pairs, (NOW + 5) * SECOND, NOW * SECOND)
    assert how == Keeping((NOW + 60) * SECOND, ())


@pytest.mark.parametrize(
    ("lines", "vary"),
    [
        ([], ()),
        (["Vary: "], ()),
        (["Vary: X-Device-IP, accept"], ("accept", "x-device-ip")),
        (["Vary: B", "Vary: a,b,,"], ("a", "b")),
    ],
)
def test_what_it_depends_on(lines, vary):
    assert kept("Cache-Control: max-age=60", *lines).vary == vary


@pytest.mark.parametrize(
    ("request_headers", "expected"),
    [
        ({}, (None, None)),
        ({"A": "1"}, ("1", None)),
        ({"a": "1", "B": " 2  3 "}, ("1", "2 3")),
        ({"a": "", "c": "x"}, ("", None)),
    ],
)
def test_what_a_request_has_of_that(request_headers, expected):
    assert selected(("a", "b"), request_headers) == expected


def test_what_depends_on_nothing_is_the_same_for_all():
    assert selected((), {"A": "1"}) == ()

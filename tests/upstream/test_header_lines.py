"""Headers written once: what stands in a request, and what another host doesn't get."""

import pytest

from xsp_server.upstream.header_lines import NO_HEADERS, HeaderLines

OWN = ["Accept-Encoding: gzip, deflate", "Accept: */*", "User-Agent: xsp"]


def lines(headers: HeaderLines, *, is_first=True, cookie="") -> list[str]:
    text = headers.for_host(is_first=is_first, cookie=cookie)
    assert text.endswith("\r\n")
    return sorted(text.removesuffix("\r\n").split("\r\n"))


def test_without_any_our_own_are_sent():
    assert lines(NO_HEADERS) == OWN


def test_given_ones_stand_in_the_place_of_our_own_in_any_case():
    headers = HeaderLines({"user-agent": "other", "X-A": "b"})
    assert lines(headers) == [
        "Accept-Encoding: gzip, deflate",
        "Accept: */*",
        "X-A: b",
        "user-agent: other",
    ]


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding"])
def test_what_frames_the_request_is_left_out(name):
    assert lines(HeaderLines({name: "5"})) == OWN


@pytest.mark.parametrize("name", ["Authorization", "cookie", "Proxy-Authorization"])
def test_what_is_for_one_host_is_for_the_first(name):
    headers = HeaderLines({name: "secret", "X-A": "b"}).plus("x-b: c\r\n")
    assert f"{name}: secret" in lines(headers)
    assert lines(headers, is_first=False) == [*OWN, "X-A: b", "x-b: c"]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_cookie_stands_in_the_place_of_any_other(is_first):
    headers = HeaderLines({"COOKIE": "old=1", "X-A": "b"}).plus("x-b: c\r\n")
    told = lines(headers, is_first=is_first, cookie="new=1")
    assert told == sorted([*OWN, "Cookie: new=1", "X-A: b", "x-b: c"])


def test_more_lines_leave_the_first_as_they_were():
    first = HeaderLines({"X-A": "b"})
    second = first.plus("x-b: c\r\n").plus("x-c: d\r\n")
    assert lines(first) == [*OWN, "X-A: b"]
    assert lines(second) == [*OWN, "X-A: b", "x-b: c", "x-c: d"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-A", "b\r\nX-B: c"), ("X-A", "b\nc"), ("X\r\n", "a"), ("", "a"), ("a b", "c")],
)
def test_a_header_that_would_make_another_is_a_problem(name, value):
    headers = HeaderLines({name: value})
    assert "expected a name and a value" in headers.problem
    assert headers.plus("x-b: c\r\n").problem == headers.problem


@pytest.mark.parametrize("value", ["", "a\tb", "ä", "\x80"])
def test_tabs_and_other_alphabets_are_none(value):
    assert HeaderLines({"X-A": value}).problem == ""

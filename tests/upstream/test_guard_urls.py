"""Reading a URL: one meaning or none."""

import socket
from ipaddress import ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xsp_server.errors import XspError
from xsp_server.upstream.guard import AddressRefused, parse


def refused(text: str) -> AddressRefused:
    with pytest.raises(AddressRefused) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://a.example", "http://a.example/"),
        ("http://a.example?x=1", "http://a.example/?x=1"),
        ("HTTPS://A.Example/Path?Q=A", "https://a.example/Path?Q=A"),
        ("http://a.example:80/", "http://a.example/"),
        ("https://a.example:443/", "https://a.example/"),
        ("https://a.example:80/", "https://a.example:80/"),
        ("http://a.example:/", "http://a.example/"),
        ("http://a.example./", "http://a.example/"),
        ("http://a.example/x#y", "http://a.example/x"),
        ("http://a.example#y", "http://a.example/"),
        ("  http://a.example/\n", "http://a.example/"),
        ("http://a_b.example/", "http://a_b.example/"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://BÜCHER.example/", "http://xn--bcher-kva.example/"),
        ("http://a。example/", "http://a.example/"),
        ("http://8.8.8.8/", "http://8.8.8.8/"),
        ("http://8.8.8.8.:80/", "http://8.8.8.8/"),
        ("http://[2001:DB8:0::1]:81/", "http://[2001:db8::1]:81/"),
        ("http://a.example/ä b|{}\\", "http://a.example/%C3%A4%20b%7C%7B%7D%5C"),
        ('http://a.example/?q="<>^`', "http://a.example/?q=%22%3C%3E%5E%60"),
        ("http://a.example/%2f%zz?a=[b]&c='d'", "http://a.example/%2f%zz?a=[b]&c='d'"),
        (
            "http://a.example/x/../y?u=http://b.example",
            "http://a.example/x/../y?u=http://b.example",
        ),
        ("http://a.example/@user:pass", "http://a.example/@user:pass"),
    ],
)
def test_a_url_has_one_form(text, url):
    assert parse(text).url == url


def test_what_a_target_says():
    target = parse("https://[::ffff:127.0.0.1]:8443/a/b?c")
    assert (target.scheme, target.port, target.path) == ("https", 8443, "/a/b")
    assert ip_address(target.host) == target.address == ip_address("::ffff:127.0.0.1")
    assert target.origin == ("https", target.host, 8443)
    assert parse("http://a.example").port == 80
    assert parse("http://a.example").address is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "url.scheme"),
        ("a.example", "url.scheme"),
        ("//a.example/", "url.scheme"),
        ("file:///etc/passwd", "url.scheme"),
        ("data:text/xml,<VAST/>", "url.scheme"),
        ("gopher://a.example/", "url.scheme"),
        ("javascript:alert(1)", "url.scheme"),
        ("about:blank", "url.scheme"),
        ("unix:/run/x.sock", "url.scheme"),
        ("ht tp://a.example/", "url.scheme"),
        ("http:a.example", "url.host"),
        ("http:/a.example", "url.host"),
        ("http:\\\\a.example/", "url.host"),
        ("http://", "url.host"),
        ("http:///a.example/", "url.host"),
        ("http://./", "url.host"),
        ("http://a..example/", "url.host"),
        ("http://a.example../", "url.host"),
        ("http://-a.example/", "url.host"),
        ("http://a b.example/", "url.host"),
        ("http://a%2eexample/", "url.host"),
        ("http://%31%32%37.0.0.1/", "url.host"),
        ("http://a,b.example/", "url.host"),
        (f"http://{'a' * 64}.example/", "url.host"),
        (f"http://{'a.' * 127}example/", "url.host"),
        (f"http://{'ä' * 254}/", "url.host"),
        ("http://☃.example/", "url.host"),
        ("http://a\u00adb\u2028.example/", "url.host"),
        ("http://[::1/", "url.host"),
        ("http://[::1]x/", "url.host"),
        ("http://[127.0.0.1]/", "url.host"),
        ("http://[a.example]/", "url.host"),
        ("http://::1/", "url.host"),
        ("http://[fe80::1%25eth0]/", "url.zone"),
        ("http://[fe80::1%eth0]/", "url.zone"),
        ("http://a.example:0/", "url.port"),
        ("http://a.example:65536/", "url.port"),
        ("http://a.example:080/", "url.port"),
        ("http://a.example:+80/", "url.port"),
        ("http://a.example:8 0/", "url.port"),
        ("http://a.example:\u0668\u0660/", "url.port"),
        ("http://a.example:80:80/", "url.port"),
        ("http://user@a.example/", "url.userinfo"),
        ("http://user:secret@a.example/", "url.userinfo"),
        ("http://8.8.8.8@127.0.0.1/", "url.userinfo"),
        ("http://a.example\\@127.0.0.1/", "url.backslash"),
        ("http://127.0.0.1\\.a.example/", "url.backslash"),
        ("http://a.example\\/x", "url.backslash"),
        ("http://a.example/\x00", "url.characters"),
        ("http://a.exa\tmple/", "url.characters"),
        ("http://a.example/\r\nHost: b", "url.characters"),
        ("http://a.example/\x7f", "url.characters"),
        ("http://a.example/\udc80", "url.characters"),
        (f"http://a.example/{'x' * 16_384}", "url.length"),
    ],
)
def test_what_has_no_one_meaning_is_refused(text, rule):
    error = refused(text)
    assert error.rule == rule
    assert error.metadata["rule"] == rule


@pytest.mark.parametrize(
    "host",
    [
        "0x7f000001",
        "0x7f.0.0.1",
        "0X7F.1",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.01",
        "127.0.0.1.1",
        "127.0.0.256",
        "127.0.0.0x1",
        "127.0.0.1000",
        "1.2.3",
        "0",
        "0x",
        "a.0x1",
        "a.1",
        "１２７.0.0.1",  # noqa: RUF001 - full-width digits
        "127。0。0。1",
        "①②⑦.0.0.1",
    ],
)
def test_numbers_are_hosts_in_one_spelling_only(host):
    assert refused(f"http://{host}/").rule == "url.ipv4_spelling"


@settings(deadline=None)
@given(st.from_regex(r"\A(0[xX]?)?[0-9a-fA-F]{1,4}(\.(0[xX]?)?[0-9a-fA-F]{1,4}){0,3}\Z"))
@example("010.0.0.1")
def test_no_host_passes_as_a_name_that_the_system_reads_as_an_address(host):
    try:
        reached = socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return
    try:
        target = parse(f"http://{host}/")
    except AddressRefused:
        return
    assert str(target.address) == reached == host


@settings(deadline=None)
@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://a.example", "http://[::1]:"]))
def test_the_one_form_of_a_url_is_its_own_and_fits_a_request_line(text, start):
    try:
        target = parse(start + text)
    except AddressRefused:
        return
    assert parse(target.url) == target
    assert target.url.isascii()
    assert target.url.isprintable()
    assert " " not in target.url


def test_a_refusal_is_an_error_of_the_contract_and_keeps_the_url_to_itself():
    error = refused("http://a.example:x/?consent=SECRET")
    assert isinstance(error, XspError)
    assert (error.status, error.reason) == ("PERMISSION_DENIED", "ADDRESS_REFUSED")
    assert error.metadata == {"host": "a.example", "rule": "url.port"}
    assert "SECRET" not in str(error)
    assert str(error) == ("a.example: no port after the host; expected 1 to 65535 (url.port)")

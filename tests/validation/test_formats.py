"""What each text format takes and what not."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsp_server.openrtb.validation import formats

RIGHT = {
    formats.is_currency: ["USD", "EUR", "XCG", "ZWG", "BGN"],
    formats.is_country: ["USA", "GBR", "XKX", "SSD"],
    formats.is_subdivision: ["CA", "US-CA", "GB-SCT", "75", "de-by", "A"],
    formats.is_language: ["en", "ZH", "iw", "sh"],
    formats.is_language_tag: [
        "en",
        "zh-Hant-TW",
        "de-CH-1901",
        "sl-rozaj-biske",
        "es-419",
        "zh-cmn-Hans-CN",
        "en-a-myext-b-another",
        "de-x-phonebk",
        "x-whatever",
        "i-klingon",
        "en-GB-oed",
        "ZH-HANT",
    ],
    formats.is_ipv4: ["198.51.100.0", "255.255.255.255", "203.0.113.7"],
    formats.is_ipv6: ["::", "::1", "2001:db8::7", "::ffff:203.0.113.7", "2001:DB8:0:0:0:0:0:0"],
    formats.is_mcc_mnc: ["310-005", "262-01"],
    formats.is_major_minor: ["1.0", "12.34"],
    formats.is_version: ["1", "1.2", "1.2.1"],
    formats.is_isrc: ["AA6Q72000047", "AA-6Q7-20-00047", "us-rc1-76-07839"],
    formats.is_cookie_safe: ["a", 'x"y', "{|}~!"],
    formats.is_http_url: [
        "https://a.example",
        "HTTP://a.example:8080/p?q=${AUCTION_PRICE}#f",
        "http://192.0.2.1/",
        "https://${HOST}/x",
    ],
}

WRONG = {
    formats.is_currency: ["", "usd", "US", "USDT", "DEM"],
    formats.is_country: ["", "usa", "US", "UK", "XXX"],
    formats.is_subdivision: ["", "California", "US-", "USA-CA", "N Y"],
    formats.is_language: ["", "e", "eng", "en-US", "xx"],
    formats.is_language_tag: [
        "",
        "e",
        "en_US",
        "en--US",
        "en-",
        "-en",
        "x",
        "en-x",
        "i-xyz",
        "1en",
    ],
    formats.is_ipv4: [
        "",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
        "1.2.3.4 ",
        "1.2.3.x",
        "::",
    ],
    formats.is_ipv6: ["", ":", "1::2::3", "1.2.3.4", "fe80::1%eth0", "12345::", "::g"],
    formats.is_mcc_mnc: ["", "310005", "310-5", "31-005", "310-0005", "abc-de"],
    formats.is_major_minor: ["", "1", "1.", ".1", "1.0.0", "v1.0", "1.0\n"],
    formats.is_version: ["", "v1", "1.", "1..2", "99999", "1.2.3.4.5"],
    formats.is_isrc: ["", "AA6Q7200004", "A16Q72000047", "AA-6Q7-2000047-"],
    formats.is_cookie_safe: ["", "a b", "a\tb", "ä"],
    formats.is_http_url: [
        "",
        "a.example",
        "//a.example",
        "ftp://a.example",
        "https:///p",
        "https://a b",
    ],
}


@pytest.mark.parametrize(("test", "text"), [(test, text) for test in RIGHT for text in RIGHT[test]])
def test_right(test, text):
    assert test(text)


@pytest.mark.parametrize(("test", "text"), [(test, text) for test in WRONG for text in WRONG[test]])
def test_wrong(test, text):
    assert not test(text)


def test_the_code_lists_have_as_many_codes_as_the_standards():
    """ISO 4217: 178 and 6 withdrawn; ISO 3166-1: 249 and Kosovo; ISO 639-1: 184 and 5 withdrawn."""
    assert len(formats.CURRENCIES) == 178 + 6
    assert len(formats.COUNTRIES) == 249 + 1
    assert len(formats.LANGUAGES) == 184 + 5
    assert all(len(code) == 3 and code.isupper() for code in formats.CURRENCIES | formats.COUNTRIES)
    assert all(len(code) == 2 and code.islower() for code in formats.LANGUAGES)


@given(st.one_of(st.ip_addresses(v=4).map(str), st.text(alphabet="0123456789.", max_size=16)))
def test_ipv4_is_what_the_standard_library_takes(text):
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        assert not formats.is_ipv4(text)
    else:
        assert formats.is_ipv4(text)

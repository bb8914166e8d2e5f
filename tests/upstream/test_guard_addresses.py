"""What kind of place an address is: the whole special-purpose registries, and their edges."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xsp_server.upstream.guard import reached_by, refusal_of

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:82a::200e",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_pass(text):
    assert refusal_of(ip_address(text)) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0.0.0.0", "unspecified"),  # noqa: S104
        ("0.1.2.3", "reserved"),
        ("10.0.0.0", "private"),
        ("10.255.255.255", "private"),
        ("100.64.0.0", "carrier_nat"),
        ("100.127.255.255", "carrier_nat"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("169.254.0.1", "link_local"),
        ("172.16.0.0", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.8", "reserved"),
        ("192.0.2.1", "documentation"),
        ("192.88.99.1", "6to4"),
        ("192.168.0.0", "private"),
        ("192.168.255.255", "private"),
        ("198.18.0.0", "benchmarking"),
        ("198.19.255.255", "benchmarking"),
        ("198.51.100.7", "documentation"),
        ("203.0.113.7", "documentation"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::7f00:1", "ipv4_compatible"),
        ("::ffff:0:7f00:1", "reserved"),
        ("64:ff9b:1::7f00:1", "private"),
        ("100::1", "discard"),
        ("2001::1", "teredo"),
        ("2001:2::1", "benchmarking"),
        ("2001:10::1", "reserved"),
        ("2001:20::1", "reserved"),
        ("2001:db8::1", "documentation"),
        ("2002:7f00:1::", "6to4"),
        ("2002:808:808::", "6to4"),
        ("3fff::1", "documentation"),
        ("4000::1", "reserved"),
        ("5f00::1", "reserved"),
        ("fc00::1", "private"),
        ("fd12:3456::1", "private"),
        ("fe80::1", "link_local"),
        ("fe80::1%eth0", "link_local"),
        ("fec0::1", "site_local"),
        ("ff02::1", "multicast"),
    ],
)
def test_special_addresses_are_named(text, kind):
    assert refusal_of(ip_address(text)) == kind


@pytest.mark.parametrize(
    "text",
    [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
    ],
)
def test_metadata_services_of_clouds_are_named_first(text):
    assert refusal_of(ip_address(text)) == "metadata"


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_no_ipv4_address_passes_that_python_does_not_take_for_global(address):
    if refusal_of(address) is None:
        assert address.is_global
        assert not address.is_multicast


@settings(deadline=None)
@given(st.ip_addresses(v=6))
def test_no_ipv6_address_passes_that_python_does_not_take_for_global(address):
    if refusal_of(address) is None and reached_by(address) is address:
        assert address.is_global
        assert int(address) >> 125 == 0b001


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_is_judged_as_itself(address):
    for outer in (f"::ffff:{address}", f"64:ff9b::{address}"):
        inside = IPv6Address(outer)
        assert reached_by(inside) == address
        assert refusal_of(inside) == refusal_of(address)


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_old_ways_of_carrying_ipv4_are_refused_whatever_is_inside(address):
    number = int(address)
    for outer in (
        IPv6Address(number),
        IPv6Address(0x2002 << 112 | number << 80),
        IPv6Address(0x2001_0000 << 96 | number ^ 0xFFFF_FFFF),
    ):
        assert refusal_of(outer) is not None


def test_an_ipv4_address_is_reached_as_itself():
    assert reached_by(IPv4Address("10.1.2.3")) == IPv4Address("10.1.2.3")

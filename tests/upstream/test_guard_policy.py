"""What the settings allow and refuse: addresses, ports, hosts, redirects."""

import pytest
from pydantic import ValidationError

from xsp_server.upstream.guard import AddressGuard, AddressRefused, GuardSettings, parse


def guard(**settings) -> AddressGuard:
    return AddressGuard(GuardSettings(**settings))


def rule(check, *args) -> str:
    with pytest.raises(AddressRefused) as caught:
        check(*args)
    return caught.value.rule


def test_by_default_public_hosts_at_two_ports_may_be_called():
    default = AddressGuard()
    assert default.check_url("http://a.example/").port == 80
    assert default.check_url("https://8.8.8.8/").port == 443
    assert default.check_url("http://a.example:443/").port == 443
    assert rule(default.check_url, "http://a.example:8080/") == "port"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1/", "address.loopback"),
        ("http://10.0.0.1/", "address.private"),
        ("http://169.254.169.254/latest/", "address.metadata"),
        ("http://[::1]/", "address.loopback"),
        ("http://[::ffff:10.0.0.1]/", "address.private"),
        ("http://[64:ff9b::169.254.169.254]/", "address.metadata"),
        ("http://[::127.0.0.1]/", "address.ipv4_compatible"),
        ("http://[fd00::1]/", "address.private"),
        ("http://0.0.0.0/", "address.unspecified"),
    ],
)
def test_addresses_as_hosts_are_checked_at_once(url, expected):
    assert rule(AddressGuard().check_url, url) == expected


def test_one_bad_address_refuses_a_name():
    default = AddressGuard()
    default.check_addresses("a.example", 80, ["8.8.8.8", "2606:4700::1111"])
    assert (
        rule(default.check_addresses, "a.example", 80, ["8.8.8.8", "10.0.0.1"]) == "address.private"
    )


def test_a_network_that_the_settings_allow_is_reached():
    inside = guard(allow_networks=["10.20.0.0/16", "fd00:1::/32"])
    inside.check_url("http://10.20.1.1/")
    inside.check_url("http://[::ffff:10.20.1.1]/")
    inside.check_addresses("a.example", 80, ["fd00:1::1", "8.8.8.8"])
    assert rule(inside.check_url, "http://10.21.1.1/") == "address.private"


def test_a_network_that_the_settings_refuse_is_not_reached_even_if_allowed():
    own = guard(refuse_networks=["8.8.8.0/24"], allow_networks=["8.8.0.0/16", "10.0.0.0/8"])
    assert rule(own.check_url, "http://8.8.8.8/") == "address.refused_network"
    assert rule(own.check_url, "http://[::ffff:8.8.8.8]/") == "address.refused_network"
    own.check_url("http://8.8.9.9/")


def test_a_named_host_may_have_any_address():
    named = guard(allow_hosts=["Tracker.Internal", "10.9.9.9"])
    assert named.check_url("http://tracker.internal/").host == "tracker.internal"
    named.check_addresses("tracker.internal", 443, ["10.0.0.1"])
    named.check_url("http://10.9.9.9/")
    assert rule(named.check_addresses, "other.internal", 80, ["10.0.0.1"]) == "address.private"
    assert rule(named.check_addresses, "x.tracker.internal", 80, ["10.0.0.1"]) == "address.private"
    assert rule(named.check_url, "http://tracker.internal:8080/") == "port"


def test_a_host_named_with_a_port_may_be_called_there_only():
    named = guard(allow_hosts=["tracker.internal:8080", "[fd00::1]:81"])
    named.check_url("http://tracker.internal:8080/")
    named.check_addresses("tracker.internal", 8080, ["10.0.0.1"])
    named.check_url("http://[fd00::1]:81/")
    assert rule(named.check_addresses, "tracker.internal", 80, ["10.0.0.1"]) == "address.private"
    assert rule(named.check_url, "http://tracker.internal:8081/") == "port"
    assert rule(named.check_url, "http://[fd00::1]/") == "address.private"


def test_ports_are_those_of_the_settings():
    assert guard(ports=[8080]).check_url("http://a.example:8080/").port == 8080
    assert rule(guard(ports=[8080]).check_url, "http://a.example/") == "port"
    assert guard(ports=[]).check_url("http://a.example:12345/").port == 12345
    assert guard(ports=[], allow_hosts=["10.0.0.1"]).check_url("http://10.0.0.1:5/").port == 5


@pytest.mark.parametrize("host", ["", "a b", "http://a.example", "a.example:0", "[::1"])
def test_a_host_in_the_settings_that_is_none_is_an_error(host):
    with pytest.raises(ValidationError, match="expected host or host:port"):
        GuardSettings(allow_hosts=[host])


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("https://b.example/x", "https://b.example/x"),
        ("/x?y", "https://a.example/x?y"),
        ("x", "https://a.example/p/x"),
        ("../x", "https://a.example/x"),
        ("?y", "https://a.example/p/q?y"),
        ("//b.example/x", "https://b.example/x"),
        (" /x ", "https://a.example/x"),
    ],
)
def test_a_redirect_is_absolute_or_relative_to_what_answered_it(location, url):
    source = parse("https://a.example/p/q")
    assert AddressGuard().check_redirect(source, location).url == url


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("http://b.example/", "redirect.downgrade"),
        ("http://a.example/", "redirect.downgrade"),
        ("https://127.0.0.1/", "address.loopback"),
        ("//127.0.0.1/", "address.loopback"),
        ("//[::ffff:127.0.0.1]/", "address.loopback"),
        ("https://a.example:22/", "port"),
        ("file:///etc/passwd", "url.scheme"),
        ("https://user@a.example/", "url.userinfo"),
        ("https://[::1", "url.host"),
        ("//[::1", "url.host"),
        ("https:\\\\127.0.0.1/", "url.host"),
        ("https:/x", "url.host"),
        ("https:x", "url.host"),
        ("//a.example\\@127.0.0.1/", "url.backslash"),
    ],
)
def test_a_redirect_is_checked_like_a_first_url(location, expected):
    source = parse("https://a.example/p/q")
    found = rule(AddressGuard().check_redirect, source, location)
    assert found == expected


def test_a_redirect_from_http_may_go_to_either():
    source = parse("http://a.example/")
    assert AddressGuard().check_redirect(source, "http://b.example/").scheme == "http"
    assert AddressGuard().check_redirect(source, "https://b.example/").scheme == "https"

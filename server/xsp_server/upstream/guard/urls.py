"""Reading a URL so that no two readers could take it for different places. Pure.

RFC 3986 and what browsers do (WHATWG URL) part ways at backslashes, userinfo, numbers as hosts and
white space; whoever checks by one and connects by the other can be led astray. Here such texts are
refused. What is left is written in one form, and that form is what is requested.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

import idna

from xsp_server.upstream.guard.addresses import Address
from xsp_server.upstream.guard.refusal import AddressRefused

MAX_LENGTH = 16_384
"""Characters of a URL."""

DEFAULT_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """Where a URL leads.

    Attributes:
        url: the URL in its one form: scheme and host in lower case, the host in ASCII, no default
            port, no fragment, and what may not stand in a URL percent-encoded. Path and query stay
            as they were besides, since signatures may lie over them.
        scheme: `http` or `https`.
        host: as in `url`, without the brackets of an IPv6 address.
        port: told or by default.
        path: with its leading slash, without the query.
        address: the host as an address, where it is one.
    """

    url: str
    scheme: str
    host: str
    port: int
    path: str
    address: Address | None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: who gets what was meant for the host alone."""
        return (self.scheme, self.host, self.port)


def parse(text: str) -> Target:
    """Reads an absolute URL.

    Args:
        text: the URL; white space around it is dropped.

    Raises:
        AddressRefused: it is no http(s) URL, or none that is read alike everywhere. Its rule starts
            with `url.`.
    """
    text = text.strip(" \t\r\n\f")
    if len(text) > MAX_LENGTH:
        raise _refused("length", f"{len(text)} characters; expected {MAX_LENGTH} at most")
    plain = _PLAIN.fullmatch(text)
    if plain is not None:  # as nearly all are: in the one form but for the authority
        scheme, authority, path, query = plain.groups()
        return _target(scheme, authority, path or "/", query or "")
    if _UNPRINTABLE.search(text):
        raise _refused("characters", "control characters; expected printable ones")
    scheme, _, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme not in DEFAULT_PORTS:
        raise _refused("scheme", f"scheme {scheme[:20]!r}; expected http or https")
    if not rest.startswith("//"):
        raise _refused("host", "no host; expected // after the scheme")
    authority = _AUTHORITY_END.split(rest[2:], 1)[0]
    path, query = _path_and_query(rest[2 + len(authority) :])
    return _target(scheme, authority, path, query)


def parse_authority(text: str) -> tuple[str, int | None]:
    """Host, in the form that `Target.host` has, and port of a text such as `tracker.example:8080`.

    Raises:
        AddressRefused: it is none.
    """
    host, _, port = _parse_authority(text)
    return host.strip("[]"), port


def _target(scheme: str, authority: str, path: str, query: str) -> Target:
    host, address, port = _parse_authority(authority)
    default = DEFAULT_PORTS[scheme]
    shown = host if port in (None, default) else f"{host}:{port}"
    url = f"{scheme}://{shown}{path}{query}"
    return Target(url, scheme, host.strip("[]"), port or default, path, address)


_PLAIN = re.compile(
    r"(https?)://([A-Za-z0-9._:-]+)"
    r"(/[A-Za-z0-9\-._~:/\[\]@!$&'()*+,;=%]*)?(\?[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]*)?"
)
"""URLs that need no encoding, with a name or an IPv4 address and without fragment."""
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_AUTHORITY_END = re.compile("[/?#]")
_PORT = re.compile("[1-9][0-9]{0,4}")
_LABEL = re.compile("[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_NUMBER = re.compile("0x[0-9a-f]*|[0-9]+")
_UNSAFE = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]")


def _refused(rule: str, problem: str, host: str = "") -> AddressRefused:
    return AddressRefused(host, f"url.{rule}", problem)


def _path_and_query(tail: str) -> tuple[str, str]:
    """What comes after the authority, without its fragment and fit for a request line."""
    tail = _UNSAFE.sub(_percent_encode, tail.partition("#")[0])
    path, mark, query = tail.partition("?")
    return path or "/", mark + query


def _percent_encode(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


@lru_cache(maxsize=4096)  # the same hosts come again and again
def _parse_authority(text: str) -> tuple[str, Address | None, int | None]:
    """Host as a URL has it, the host as an address, and the port if it is told."""
    if "\\" in text:
        raise _refused("backslash", "a backslash before the path, which some read as a slash")
    if "@" in text:
        raise _refused("userinfo", "userinfo before the host; expected none")
    if text.startswith("["):
        literal, bracket, rest = text[1:].partition("]")
        if not bracket or rest[:1] not in ("", ":"):
            raise _refused("host", "not closed by a bracket; expected [address] or [address]:port")
        address: Address | None = _parse_ipv6(literal)
        return f"[{address}]", address, _parse_port(rest[1:], literal)
    name, _, port = text.partition(":")
    host, address = _parse_host(name)
    return host, address, _parse_port(port, host)


def _parse_port(text: str, host: str) -> int | None:
    if not text:
        return None
    if not _PORT.fullmatch(text) or int(text) > 65_535:
        raise _refused("port", "no port after the host; expected 1 to 65535", host)
    return int(text)


def _parse_ipv6(text: str) -> IPv6Address:
    if "%" in text:
        raise _refused("zone", "an IPv6 zone, which means something on one machine only")
    try:
        return IPv6Address(text)
    except ValueError:
        raise _refused("host", "brackets around something else than an IPv6 address") from None


def _parse_host(text: str) -> tuple[str, Address | None]:
    """A name or an IPv4 address; an address has one spelling, four decimal numbers."""
    host = _to_ascii(text).removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise _refused("host", "not the name of a host; expected labels of letters, digits and -")
    if not _NUMBER.fullmatch(labels[-1]):
        return host, None
    if not (text.isascii() and _IPV4.fullmatch(host)):
        problem = "a number as host; expected an address of four decimal numbers from 0 to 255"
        raise _refused("ipv4_spelling", problem, host)
    return host, IPv4Address(host)


def _to_ascii(host: str) -> str:
    """The host in lower case and in ASCII (UTS 46, IDNA 2008)."""
    if host.isascii():
        return host.lower()
    if len(host) > 253:
        raise _refused("host", "a name of more than 253 characters")
    try:
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except UnicodeError:  # idna.IDNAError is one
        raise _refused("host", "an international name that IDNA doesn't allow") from None

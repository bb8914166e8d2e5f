"""What kind of place an IP address is. Pure: one table, no look-ups.

The table holds IANA's special-purpose address registries (RFC 6890 and what was added since), the
multicast ranges, and the addresses at which clouds serve credentials to the machines inside.
IPv6 is refused unless it is global unicast, so what IANA has not given out yet is refused as well.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def parse_address(text: str) -> Address:
    """An address from its text.

    Raises:
        ValueError: it is none.
    """
    return ip_address(text)


def refusal_of(address: Address) -> str | None:
    """Why an address is no place on the public Internet, such as `loopback`; None: it is one.

    An IPv4 address inside an IPv6 one is judged where `reached_by` says that it is reached.
    """
    reached = reached_by(address)
    for network, kind in _KINDS[reached.version]:
        if reached in network:
            return kind
    if reached.version == 6 and reached not in _GLOBAL_UNICAST:
        return "reserved"
    return None


def reached_by(address: Address) -> Address:
    """The address that a packet ends at: of IPv4-mapped and NAT64 addresses the IPv4 one inside.

    The other forms that carry an IPv4 address (compatible, 6to4, Teredo) are out of use and refused
    whatever is inside.
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def _table(*rows: tuple[str, str]) -> Sequence[tuple[Network, str]]:
    return [(ip_network(network), kind) for network, kind in rows]


_KINDS: dict[int, Sequence[tuple[Network, str]]] = {
    4: _table(
        ("169.254.169.254/32", "metadata"),  # most clouds
        ("169.254.170.2/32", "metadata"),  # credentials of containers
        ("169.254.170.23/32", "metadata"),
        ("100.100.100.200/32", "metadata"),
        ("168.63.129.16/32", "metadata"),  # a public address by its looks
        ("192.0.0.192/32", "metadata"),
        ("0.0.0.0/32", "unspecified"),
        ("255.255.255.255/32", "broadcast"),
        ("127.0.0.0/8", "loopback"),
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("169.254.0.0/16", "link_local"),
        ("100.64.0.0/10", "carrier_nat"),
        ("0.0.0.0/8", "reserved"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("198.18.0.0/15", "benchmarking"),
        ("192.88.99.0/24", "6to4"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    ),
    6: _table(
        ("fd00:ec2::/32", "metadata"),
        ("fd20:ce::254/128", "metadata"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "ipv4_compatible"),
        ("64:ff9b:1::/48", "private"),  # NAT64 of a local network
        ("100::/64", "discard"),
        ("2001::/32", "teredo"),
        ("2001:2::/48", "benchmarking"),
        ("2001:db8::/32", "documentation"),
        ("2001::/23", "reserved"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link_local"),
        ("fec0::/10", "site_local"),
        ("ff00::/8", "multicast"),
    ),
}
"""Networks that are refused, the first that holds an address gives its kind."""

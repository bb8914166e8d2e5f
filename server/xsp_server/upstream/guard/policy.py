"""What the settings say about addresses, ports and redirects. Pure."""

import re
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import urljoin

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, field_validator

from xsp_server.upstream.guard.addresses import Address, parse_address, reached_by, refusal_of
from xsp_server.upstream.guard.refusal import AddressRefused
from xsp_server.upstream.guard.urls import Target, parse, parse_authority


class GuardSettings(BaseModel):
    """Where URLs that come from outside (notices, VAST) may lead: http(s) to public addresses."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    allow_hosts: tuple[str, ...] = ()
    """Hosts that may be called whatever their addresses are, such as `tracker.internal` on the
    ports below or `tracker.internal:8080` on that one. Names are matched whole."""
    allow_networks: tuple[IPvAnyNetwork, ...] = ()
    """Networks that may be reached although they are not public, such as `10.20.0.0/16`."""
    refuse_networks: tuple[IPvAnyNetwork, ...] = ()
    """Networks that may not be reached although they are public, such as our own. They come before
    `allow_networks`."""
    ports: tuple[Annotated[int, Field(ge=1, le=65_535)], ...] = (80, 443)
    """Ports that may be called. Empty: all."""
    max_redirects: Annotated[int, Field(ge=0, le=20)] = 5
    """Redirects that are followed in a row; each is checked like the first URL."""

    @field_validator("allow_hosts")
    @classmethod
    def _readable(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            try:
                parse_authority(host)
            except AddressRefused as error:
                raise ValueError(f"expected host or host:port ({error})") from None
        return hosts


class AddressGuard:
    """Says which URLs and which addresses may be called."""

    def __init__(self, settings: GuardSettings | None = None) -> None:
        """Takes the settings; without them only public addresses at ports 80 and 443."""
        settings = settings or GuardSettings()
        self._named = {parse_authority(host) for host in settings.allow_hosts}
        self._allowed = settings.allow_networks
        self._refused = settings.refuse_networks
        self._ports = frozenset(settings.ports)
        self.max_redirects = settings.max_redirects

    def check_url(self, text: str) -> Target:
        """Reads a URL and checks all that can be checked without resolving its host.

        Raises:
            AddressRefused: it can't be read with certainty, its port may not be called, or its host
                is an address that may not be reached.
        """
        target = parse(text)
        if not self._is_named(target.host, target.port):
            if self._ports and target.port not in self._ports:
                ports = ", ".join(map(str, sorted(self._ports)))
                problem = f"port {target.port}; expected one of {ports}"
                raise AddressRefused(target.host, "port", problem)
            if target.address is not None:
                self._check(target.host, target.address)
        return target

    def check_redirect(self, source: Target, location: str) -> Target:
        """The target of a redirect, absolute or relative to the URL that answered it.

        Raises:
            AddressRefused: as for `check_url`, or it leads from https to http.
        """
        target = self.check_url(_resolve(source.url, location.strip(" \t")))
        if source.scheme == "https" and target.scheme == "http":
            problem = "a redirect from https to http; expected https"
            raise AddressRefused(target.host, "redirect.downgrade", problem)
        return target

    def check_addresses(self, host: str, port: int, addresses: Iterable[str]) -> None:
        """Checks every address of a name: one that is refused refuses the name.

        Args:
            host: the name that was resolved.
            port: the port that will be called.
            addresses: all that it resolved to, as text.

        Raises:
            AddressRefused: an address may not be reached.
        """
        if not self._is_named(host, port):
            for address in addresses:
                self._check(host, parse_address(address))

    def _is_named(self, host: str, port: int) -> bool:
        if (host, port) in self._named:
            return True
        return (host, None) in self._named and (not self._ports or port in self._ports)

    def _check(self, host: str, address: Address) -> None:
        either = (address, reached_by(address))
        if any(one in network for network in self._refused for one in either):
            rule = "address.refused_network"
        elif any(one in network for network in self._allowed for one in either):
            return
        else:
            kind = refusal_of(address)
            if kind is None:
                return
            rule = f"address.{kind}"
        raise AddressRefused(
            host, rule, f"leads to {address}; expected a public address, or one in the settings"
        )


def _resolve(base: str, reference: str) -> str:
    """A reference as an absolute URL; one that has a scheme is left to be read strictly."""
    if _SCHEME.match(reference):
        return reference
    try:
        return urljoin(base, reference)
    except ValueError:  # urllib's own complaint about a host
        raise AddressRefused("", "url.host", "a redirect to no host; expected a URL") from None


_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*:")

"""Which hosts may be connected to (D10): public unicast addresses, and what the operator allows besides.

A name is resolved once, every address is judged, and the caller connects to the address that was judged, so
that a second answer of the DNS changes nothing. Addresses that carry another one inside (IPv4-mapped, NAT64)
are judged by the inner one.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from postroom.core.errors import MailServerError, ServerCode
from postroom.core.model import Server

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_DNS_DEADLINE = 5.0
_DNS_THREADS = 8

# The IANA special-purpose registry (RFC 6890) and what clouds answer on inside a machine.
_NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
_GLOBAL_UNICAST_6 = IPv6Network("2000::/3")
# Teredo and the other protocol assignments, documentation, 6to4: global unicast by number only.
_NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "2620:4f:8000::/48")
)
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """What the operator lets sites connect to although it is not public (`POSTROOM_ALLOW_HOSTS`)."""

    networks: tuple[Network, ...] = ()
    names: frozenset[str] = frozenset()
    domains: tuple[str, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> "AllowedHosts":
        """Read CIDRs (`10.0.0.0/8`), addresses, names (`mail.internal`) and `*.internal` for all below it.

        Raises `ValueError` naming the entry that is none of these.
        """
        networks: list[Network] = []
        names: set[str] = set()
        domains: list[str] = []
        for entry in (entry.strip().lower().rstrip(".") for entry in entries):
            network = _network(entry)
            if network is not None:
                networks.append(network)
            elif entry.startswith("*."):
                domains.append(_name(entry[1:], entry))
            else:
                names.add(_name(entry, entry))
        return cls(tuple(networks), frozenset(names), tuple(domains))

    def name(self, host: str) -> bool:
        """Whether this name is allowed, wherever it leads."""
        return host in self.names or any(host.endswith(domain) for domain in self.domains)

    def address(self, address: Address) -> bool:
        """Whether this address lies in an allowed network."""
        return any(address in network for network in self.networks)


def _network(entry: str) -> Network | None:
    try:
        return ip_network(entry)
    except ValueError as exc:
        if "/" in entry or ":" in entry:
            raise ValueError(
                f"{entry!r} is not a network such as 10.0.0.0/8 (host bits must be zero)"
            ) from exc
        return None


def _name(name: str, entry: str) -> str:
    labels = name.removeprefix(".").split(".")
    numeric = labels[-1].isdigit()
    if numeric or not all(label and label.replace("-", "").replace("_", "").isalnum() for label in labels):
        raise ValueError(f"{entry!r} is neither a network such as 10.0.0.0/8 nor a host name")
    return name


class PublicHosts:
    """`core.ports.Hosts`: resolves once and judges every address.

    `resolve` gives the addresses of (host, port) as text and raises `OSError`; the default asks the system,
    on threads of its own so that a slow DNS holds up nothing else. `deadline` in seconds.
    """

    def __init__(
        self,
        allowed: AllowedHosts | None = None,
        *,
        resolve: Resolve | None = None,
        deadline: float = _DNS_DEADLINE,
    ) -> None:
        self._allowed = allowed or AllowedHosts()
        self._resolve = resolve or SystemResolver().resolve
        self._deadline = deadline

    async def judge(self, server: Server) -> str:
        """The address to connect to; a `trusted` server may be anywhere."""
        return (await self.addresses(server))[0]

    async def judge_host(self, host: str, port: int) -> str:
        """The address to connect to for a host that a tenant named, in a URL for instance."""
        return await self.judge(Server(host, port, "tls"))

    async def addresses(self, server: Server) -> tuple[str, ...]:
        """Every address that may be connected to, in the order to try them: never empty.

        Raises `MailServerError`: `dns_failed` (also when the DNS is too slow), `host_not_allowed`.
        """
        host = _plain_host(server.host)
        found = await self._look_up(host, server.port)
        free = server.trusted or self._allowed.name(host)
        allowed = [str(address) for address in found if free or self._may_reach(address)]
        if not allowed:
            # Says nothing of the address: whoever asks must not learn how a private network is laid out.
            raise MailServerError(
                ServerCode.HOST_NOT_ALLOWED, "this host is not a public mail server, and is not allowed"
            )
        return tuple(allowed)

    def _may_reach(self, address: Address) -> bool:
        return is_public(address) or self._allowed.address(address)

    async def _look_up(self, host: str, port: int) -> list[Address]:
        try:
            found = await asyncio.wait_for(self._resolve(host, port), self._deadline)
        except TimeoutError as exc:
            raise MailServerError(ServerCode.DNS_FAILED, "the DNS did not answer in time") from exc
        except (OSError, UnicodeError) as exc:
            raise MailServerError(ServerCode.DNS_FAILED, "no server is known by this name") from exc
        addresses = list(dict.fromkeys(unwrapped(ip_address(text.partition("%")[0])) for text in found))
        if not addresses:
            raise MailServerError(ServerCode.DNS_FAILED, "no server is known by this name")
        return addresses


class SystemResolver:
    """Asks the system (`getaddrinfo`), which also reads every spelling of a numeric address."""

    def __init__(self, threads: int = _DNS_THREADS) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="dns")

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        """The addresses in the system's order of preference (RFC 6724)."""
        loop = asyncio.get_running_loop()
        entries = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return tuple(str(entry[4][0]) for entry in entries)


def unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv4-mapped one (RFC 4291 section 2.5.5.2), else the address itself."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_public(address: Address) -> bool:
    """Whether the address is a public unicast one, and carries no other kind inside."""
    address = unwrapped(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if address not in _GLOBAL_UNICAST_6 or any(address in network for network in _NOT_PUBLIC_6):
        return False
    return (int(address) >> 32) & 0xFFFFFFFF not in _ISATAP


def _plain_host(host: str) -> str:
    """The host in the form in which it is looked up and compared; brackets and the root's dot go."""
    text = host.strip().lower()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    text = text.rstrip(".")
    if not text or len(text) > 253 or any(ch <= " " or ch == "\x7f" for ch in text):
        raise MailServerError(ServerCode.DNS_FAILED, "this is not a host name")
    return text

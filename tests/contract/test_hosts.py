"""Hosts that tenants name (D10): sixty ways to spell what is not public, and what the operator may allow."""

import asyncio
from collections.abc import Sequence

import pytest

from postroom.adapters.hosts import AllowedHosts, PublicHosts
from postroom.core.errors import MailServerError, ServerCode
from postroom.core.model import Server

NOT_PUBLIC = [
    # loopback, in every way that a C library reads
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7F.0x0.0x0.0x1",
    "0x7f.1",
    "0177.0.0.1",
    "0177.1",
    "017700000001",
    "2130706433",
    "127.00.00.01",
    "１２７.０.０.１",
    "127。0。0。1",
    "127．0．0．1",
    "①②⑦.⓪.⓪.①",
    "localhost",
    "LOCALHOST",
    "LocalHost.",
    "ｌｏｃａｌｈｏｓｔ",
    " localhost ",
    "[127.0.0.1]",
    # the same, and others, in IPv6
    "::1",
    "[::1]",
    "0:0:0:0:0:0:0:1",
    "0000:0000:0000:0000:0000:0000:0000:0001",
    "[0:0::1]",
    "::",
    "[::]",
    "::ffff:127.0.0.1",
    "[::ffff:127.0.0.1]",
    "::ffff:7f00:1",
    "[::FFFF:10.0.0.1]",
    "::ffff:0:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:c0a8:101::1",
    "2001:0:7f00:1::",
    "2001:0000:4136:e378:8000:63bf:f5ff:fffe",
    "fe80::1",
    "fe80::1%1",
    "fc00::1",
    "fd00::8",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "100::1",
    "2001:db8::1",
    "3fff::1",
    "2a00:1450::5efe:127.0.0.1",
    # private, shared, special
    "0.0.0.0",
    "0",
    "0.1.2.3",
    "10.0.0.1",
    "10.1",
    "167772161",
    "0xa000001",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "169.254.170.2",
    "168.63.129.16",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "3232235521",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "0xffffffff",
]

PUBLIC = {
    "8.8.8.8": "8.8.8.8",
    "134744072": "8.8.8.8",
    "172.15.255.255": "172.15.255.255",
    "172.32.0.1": "172.32.0.1",
    "100.128.0.1": "100.128.0.1",
    "[2a00:1450:4013:c01::6d]": "2a00:1450:4013:c01::6d",
    "::ffff:8.8.8.8": "8.8.8.8",
    "64:ff9b::8.8.8.8": "64:ff9b::808:808",
}


def tls(host: str, *, trusted: bool = False) -> Server:
    return Server(host, 993, "tls", trusted)


def resolving(*addresses: str) -> "Script":
    return Script(addresses)


class Script:
    """A resolver that answers what the test says, and counts."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = list(addresses)
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.addresses


def test_the_table_has_sixty_spellings() -> None:
    assert len(set(NOT_PUBLIC)) == len(NOT_PUBLIC) >= 60


@pytest.mark.parametrize("host", NOT_PUBLIC)
async def test_d10_what_is_not_public_is_refused_however_it_is_spelt(host: str) -> None:
    with pytest.raises(MailServerError) as caught:
        await PublicHosts().judge(tls(host))
    assert caught.value.server_code is ServerCode.HOST_NOT_ALLOWED
    assert caught.value.temporary is False


@pytest.mark.parametrize("host", NOT_PUBLIC)
async def test_d10_the_same_addresses_are_refused_as_an_answer_of_the_dns(host: str) -> None:
    try:
        answer = await PublicHosts().judge(tls(host, trusted=True))
    except MailServerError:
        pytest.fail("the system does not read this spelling, so the table proves nothing")
    hosts = PublicHosts(resolve=resolving(answer).resolve)
    with pytest.raises(MailServerError):
        await hosts.judge(tls("mail.attacker.test"))


@pytest.mark.parametrize(("host", "address"), PUBLIC.items())
async def test_public_addresses_pass(host: str, address: str) -> None:
    assert await PublicHosts().judge(tls(host)) == address


@pytest.mark.parametrize(
    "host", ["", ".", "a b", "a\x00.test", "a\r\n.test", "x" * 254, "[", "é" * 64 + ".test"]
)
async def test_what_is_no_host_name_fails_in_words(host: str) -> None:
    with pytest.raises(MailServerError) as caught:
        await PublicHosts().judge(tls(host))
    assert caught.value.server_code is ServerCode.DNS_FAILED


async def test_an_unknown_name_is_a_dns_failure() -> None:
    async def nobody(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    for resolve in (nobody, resolving().resolve):
        with pytest.raises(MailServerError) as caught:
            await PublicHosts(resolve=resolve).judge(tls("nowhere.test"))
        assert caught.value.server_code is ServerCode.DNS_FAILED


async def test_a_dns_that_never_answers_ends_at_the_deadline() -> None:
    async def silent(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    with pytest.raises(MailServerError) as caught:
        await PublicHosts(resolve=silent, deadline=0.05).judge(tls("slow.test"))
    assert caught.value.server_code is ServerCode.DNS_FAILED


async def test_one_name_is_resolved_once_and_the_judged_address_is_given() -> None:
    script = resolving("127.0.0.1", "::1", "8.8.4.4", "10.0.0.1", "8.8.8.8")
    assert await PublicHosts(resolve=script.resolve).judge(tls("Rebind.test.")) == "8.8.4.4"
    assert script.asked == ["rebind.test"]


async def test_the_refusal_reveals_neither_address_nor_whether_it_is_open() -> None:
    texts = set()
    for address in ("127.0.0.1", "10.9.8.7", "::1", "169.254.169.254"):
        with pytest.raises(MailServerError) as caught:
            await PublicHosts(resolve=resolving(address).resolve).judge(tls("inside.test"))
        texts.add(str(caught.value))
        assert address not in str(caught.value)
    assert len(texts) == 1


async def test_the_operators_own_hosts_may_be_anywhere() -> None:
    assert await PublicHosts().judge(tls("127.0.0.1", trusted=True)) == "127.0.0.1"


@pytest.mark.parametrize(
    ("entry", "host", "answer"),
    [
        ("127.0.0.0/8", "localhost", "127.0.0.1"),
        ("127.0.0.0/8", "[::ffff:127.0.0.1]", "127.0.0.1"),
        ("10.1.2.3", "mail.test", "10.1.2.3"),
        ("fd00::/8", "mail.test", "fd00::5"),
        ("mail.internal", "Mail.Internal.", "10.0.0.9"),
        ("*.internal", "a.b.internal", "10.0.0.9"),
        (" MAIL.internal. ", "mail.internal", "10.0.0.9"),
    ],
)
async def test_what_the_operator_allows_is_allowed(entry: str, host: str, answer: str) -> None:
    hosts = PublicHosts(AllowedHosts.parse([entry]), resolve=resolving(answer).resolve)
    assert await hosts.judge(tls(host)) == answer
    assert await hosts.judge_host(host, 443) == answer


@pytest.mark.parametrize(
    ("entry", "host", "answer"),
    [
        ("10.0.0.0/8", "mail.test", "192.168.0.1"),
        ("mail.internal", "xmail.internal", "10.0.0.9"),
        ("mail.internal", "a.mail.internal", "10.0.0.9"),
        ("*.internal", "internal", "10.0.0.9"),
        ("*.internal", "evilinternal", "10.0.0.9"),
        ("*.internal", "a.internal.attacker.test", "10.0.0.9"),
        ("0.0.0.0/32", "mail.test", "127.0.0.1"),
    ],
)
async def test_what_only_resembles_it_is_not(entry: str, host: str, answer: str) -> None:
    hosts = PublicHosts(AllowedHosts.parse([entry]), resolve=resolving(answer).resolve)
    with pytest.raises(MailServerError):
        await hosts.judge(tls(host))


@pytest.mark.parametrize(
    "entry", ["10.0.0.1/8", "10.0.0.0/33", "300.1.2.3", "http://mail", "a b", "*", "fd00::zz", ""]
)
def test_b1_an_entry_that_is_neither_network_nor_name_is_argued_back(entry: str) -> None:
    with pytest.raises(ValueError, match="network such as"):
        AllowedHosts.parse([entry])


async def test_all_allowed_addresses_are_given_in_their_order() -> None:
    hosts = PublicHosts(resolve=resolving("2a00:1450::1", "127.0.0.1", "8.8.8.8", "8.8.8.8").resolve)
    assert await hosts.addresses(tls("mail.test")) == ("2a00:1450::1", "8.8.8.8")

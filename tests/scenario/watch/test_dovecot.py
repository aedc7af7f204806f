"""Watching a real server: what another program marked as read, and what the server never announces."""

import asyncio
import imaplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scenario.watch.rig import address_of, letter, open_rig, until
from tests.support.certificates import CertificateAuthority
from tests.support.fault_proxy import FaultProxy
from tests.support.world import PASSWORD, NoWorld, World, running_world

HIBERNATE = """
imap_hibernate_timeout = 1s
service imap {
  unix_listener imap-master {
    mode = 0666
  }
}
service imap-hibernate {
  unix_listener imap-hibernate {
    mode = 0666
  }
}
"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A Dovecot that hibernates connections which idle for a second, or a skip that says why not."""
    try:
        with running_world() as running:
            running.stop_dovecot()
            with (running.root / "conf" / "dovecot.conf").open("a") as configuration:
                configuration.write(HIBERNATE)
            running.start_dovecot()
            yield running
    except NoWorld as exc:
        pytest.skip(f"no Dovecot here: {exc}")


@contextmanager
def second_client(world: World, user: str) -> Iterator[imaplib.IMAP4_SSL]:
    """A person's mail program at the same mailbox."""
    context = ssl.create_default_context(cafile=str(world.ca_file))
    with imaplib.IMAP4_SSL("localhost", world.imaps, ssl_context=context) as client:
        client.login(user, PASSWORD)
        client.select("INBOX")
        yield client


def flags(world: World, user: str) -> list[set[str]]:
    """The flags of every message, as another program sees them."""
    with second_client(world, user) as client:
        _, lines = client.fetch("1:*", "(FLAGS)")
    return [{flag.decode() for flag in imaplib.ParseFlags(line)} for line in lines if isinstance(line, bytes)]


def mark_all_read(world: World, user: str, number: int) -> None:
    with second_client(world, user) as client:
        assert client.store("1:*", "+FLAGS", "\\Seen")[0] == "OK"
    assert sum("\\Seen" in found for found in flags(world, user)) == number


async def test_d1_200_mails_that_a_phone_read_first_are_all_handled(
    tmp_path: Path, authority: CertificateAuthority, world: World
) -> None:
    site = "phone"
    user = address_of(site)
    world.deliver(user, letter(site))
    async with (
        open_rig(tmp_path, authority, also_trusted=world.ca_file) as rig,
        FaultProxy(("127.0.0.1", world.imaps)) as proxy,
    ):
        await rig.connect(proxy.address[1], site, password=PASSWORD)
        await rig.in_state(site, "watching")
        handled = len(rig.sink.messages)
        proxy.refuse()
        proxy.cut()
        await asyncio.to_thread(world.fill, user, [letter(site) for _ in range(200)])
        await asyncio.to_thread(mark_all_read, world, user, 201)
        proxy.heal()
        await until(lambda: len(rig.sink.messages) >= handled + 200)
        await until(lambda: asyncio.to_thread(_all_answered, world, user, 200))
        await rig.looked(site, 3)
        assert len(rig.sink.messages) == handled + 200
        assert all(found <= {"\\Seen", "\\Answered", "\\Recent"} for found in flags(world, user))


def _all_answered(world: World, user: str, number: int) -> bool:
    return sum({"\\Seen", "\\Answered"} <= found for found in flags(world, user)) >= number


@pytest.mark.parametrize("after", [0.5, 0.8])
async def test_mail_just_before_the_server_hibernates_is_handled_by_the_next_poll(
    tmp_path: Path, authority: CertificateAuthority, world: World, after: float
) -> None:
    site = f"winter-{after * 10:.0f}"
    world.deliver(address_of(site), letter(site))
    async with open_rig(tmp_path, authority, also_trusted=world.ca_file, poll=3.0) as rig:
        await rig.connect(world.imaps, site, password=PASSWORD)
        await rig.in_state(site, "watching")
        handled = len(rig.sink.messages)
        await asyncio.sleep(after)  # the server's own clock
        await asyncio.to_thread(world.deliver, address_of(site), letter(site))
        async with asyncio.timeout(10):
            await rig.sent(handled + 1)

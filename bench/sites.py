"""Thousands of sites in a data directory, stored before the service starts."""

import asyncio
from pathlib import Path

from bench.rig import NO_CAPS
from postroom.config import load
from postroom.service import Service, opened

AT_ONCE = 200


def address_of(number: int) -> str:
    """The address of the site with this number."""
    return f"box{number}@bench.test"


async def store_sites(data: Path, count: int, imap: int, smtp: int) -> None:
    """Store so many sites, each with an account on these ports, TLS from the start."""
    settings = load({"POSTROOM_DATA_DIR": str(data)}, data.parent)
    places = asyncio.Semaphore(AT_ONCE)
    async with opened(settings) as service:

        async def one(number: int) -> None:
            async with places:
                await _store(service, number, imap, smtp)

        await asyncio.gather(*(one(number) for number in range(count)))


async def _store(service: Service, number: int, imap: int, smtp: int) -> None:
    address = address_of(number)
    channel = {
        "email": address,
        "incomingServer": "localhost",
        "incomingPort": imap,
        "incomingSecurity": "tls",
        "outgoingServer": "localhost",
        "outgoingPort": smtp,
        "outgoingSecurity": "tls",
    }
    site = f"site{number}"
    await service.accounts.patch(site, {"channels": {"email": channel}, "caps": NO_CAPS}, may_create=True)
    await service.accounts.seal(site, "email", address, "pw", store=True, may_create=False)

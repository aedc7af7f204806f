"""A3: who may check what, and what is refused."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.scenario.conftest import channel, pointers, site_client, store_token
from tests.support.certificates import CertificateAuthority
from tests.support.checking import CHECK, SECRET, request, welcoming
from tests.support.in_thread import running
from tests.support.scripted_imap import ScriptedImap
from tests.support.scripted_smtp import ScriptedSmtp
from tests.support.served import Served


@pytest.fixture
def imap(authority: CertificateAuthority) -> Iterator[ScriptedImap]:
    with running(ScriptedImap(welcoming, tls=authority.localhost().context())) as server:
        yield server


def test_a3_unknown_sites_and_sites_with_nothing_saved(
    service: Served, admin: httpx2.Client, site: str, site_id: str
) -> None:
    unknown = admin.post(CHECK, json={"site_id": "no-such-site"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "site_not_found")
    saved = admin.post(CHECK, json={"site_id": site})
    assert (saved.status_code, saved.json()["code"]) == (409, "nothing_saved")
    empty = f"{site_id}-empty"
    store_token(admin, empty, "email", "x@example.com", "pw")
    assert admin.post(CHECK, json={"site_id": empty}).status_code == 409
    bare = f"{site_id}-bare"
    settings = channel(bare, incomingServer=None, outgoingServer=None)
    admin.patch(f"/api/sites/{bare}/settings", json=settings)
    store_token(admin, bare, "email", f"{bare}@example.com", "pw")
    assert admin.post(CHECK, json={"site_id": bare}).json()["code"] == "nothing_saved"
    with site_client(service, admin, site) as mine:
        foreign = mine.post(CHECK, json={"site_id": empty})
        assert (foreign.status_code, foreign.json()) == (404, unknown.json())


def test_a3_only_an_admin_may_leave_the_site_out(
    service: Served, admin: httpx2.Client, site: str, imap: ScriptedImap, smtp: ScriptedSmtp
) -> None:
    body = request(imap.address[1], smtp.port)
    with site_client(service, admin, site) as mine:
        assert mine.post(CHECK, json=body).status_code == 403
        assert mine.post(CHECK, json=body | {"site_id": site}).status_code == 200
        assert mine.post(CHECK, json=body | {"site_id": "no-such-site"}).status_code == 404
    assert admin.post(CHECK, json=body | {"site_id": "no-such-site"}).status_code == 404


def test_a3_a_saved_password_goes_to_the_saved_host_alone(
    admin: httpx2.Client, sender: str, smtp: ScriptedSmtp, authority: CertificateAuthority
) -> None:
    with running(ScriptedSmtp(tls=authority.localhost().context())) as evil:
        for asked in (True, False):
            body = {
                "site_id": sender,
                "use_saved_credentials": asked,
                "email": f"{sender}@example.com",
                "outgoing_server": "localhost",
                "outgoing_port": evil.port,
                "outgoing_security": "tls",
            }
            answer = admin.post(CHECK, json=body)
            assert answer.status_code == 422
        assert evil.connections == 0


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ["/site_id"]),
        ({"site_id": 5}, ["/site_id"]),
        ({"site_id": "x", "use_saved_credentials": "yes"}, ["/use_saved_credentials"]),
        ({"site_id": "x", "incoming_server": "a"}, ["/incoming_server"]),
        ({"site_id": "x", "password": "p"}, ["/password"]),
        ({"use_saved_credentials": False}, ["/email", "/password", "/incoming_server"]),
        ({"use_saved_credentials": False, "email": "a@b.com", "password": "x"}, ["/incoming_server"]),
        (request(993, 465, incoming_server=None, skip_smtp=True), ["/incoming_server"]),
        (request(993, 465, password=""), ["/password"]),
        (request(993, 465, password=None), ["/password"]),
        (request(993, 465, password=9), ["/password"]),
        (request(993, 465, password="x" * 70_000), ["/password"]),
        (request(993, 465, password="a\x00b"), ["/password"]),
        (request(993, 465, email="nobody"), ["/email"]),
        (request(993, 465, email="a@b.com\r\nX"), ["/email"]),
        (request(993, 465, incoming_server="http://x"), ["/incoming_server"]),
        (request(993, 465, incoming_server="a b"), ["/incoming_server"]),
        (request(993, 465, incoming_server="a" * 300), ["/incoming_server"]),
        (request(0, 465), ["/incoming_port"]),
        (request(993, 65_536), ["/outgoing_port"]),
        (request(993, 465, incoming_port="993"), ["/incoming_port"]),
        (request(993, 465, outgoing_security="none"), ["/outgoing_security"]),
        (request(993, 465, skip_smtp=1), ["/skip_smtp"]),
        (request(993, 465, surprise=1), ["/surprise"]),
    ],
)
def test_a3_bad_input_names_the_field(
    admin: httpx2.Client, service: Served, body: dict[str, Any], where: list[str]
) -> None:
    answer = admin.post(CHECK, json=body)
    assert answer.status_code == 422
    assert pointers(answer) == where
    assert SECRET not in answer.text + service.log_text()

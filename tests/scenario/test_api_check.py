"""A3: the connection check, with each of its codes and what a person should do about it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic

import httpx2
import pytest

from tests.scenario.conftest import PASSWORD, make_sender, site_client
from tests.support.certificates import CertificateAuthority
from tests.support.checking import (
    CHECK,
    SECRET,
    babbling,
    checked,
    refusing,
    request,
    servers,
    silent,
    welcoming,
)
from tests.support.in_thread import running
from tests.support.scripted_imap import Peer, ScriptedImap
from tests.support.scripted_smtp import CLOSE, HANG, Raw, ScriptedSmtp
from tests.support.served import Served


@pytest.fixture
def imap(authority: CertificateAuthority) -> Iterator[ScriptedImap]:
    with running(ScriptedImap(welcoming, tls=authority.localhost().context())) as server:
        yield server


# --- good ---------------------------------------------------------------------------------------


def test_a3_a_working_account_is_ok_on_both_sides_and_nothing_is_sent(
    admin: httpx2.Client, imap: ScriptedImap, smtp: ScriptedSmtp
) -> None:
    body = checked(admin, imap, smtp)
    assert body["success"] is True
    assert set(body) == {"success", "imap", "smtp", "config"}
    assert {"success", "code", "detail", "hint", "latency_ms", "capabilities", "messages"} <= set(
        body["imap"]
    )
    assert {"success", "code", "detail", "hint", "latency_ms", "skipped"} <= set(body["smtp"])
    for side in (body["imap"], body["smtp"]):
        assert (side["success"], side["code"], side["hint"]) == (True, "ok", "")
        assert 0 <= side["latency_ms"] < 15_000
    assert body["imap"]["messages"] == {"total": 12, "unseen": 3}
    assert "IDLE" in body["imap"]["capabilities"]
    assert body["smtp"]["skipped"] is False
    assert body["config"] == {
        "email": "ann@example.com",
        "username": "ann@example.com",
        "incoming_server": "localhost",
        "incoming_port": imap.address[1],
        "incoming_security": "tls",
        "outgoing_server": "localhost",
        "outgoing_port": smtp.port,
        "outgoing_security": "tls",
        "aliases": [],
    }
    assert smtp.messages == []
    assert smtp.heard("MAIL") == []
    assert b"\x00ann@example.com\x00" + SECRET.encode() in smtp.credentials[0].encode()


def test_a3_starttls_is_taken_where_it_is_set(
    admin: httpx2.Client, authority: CertificateAuthority, imap: ScriptedImap
) -> None:
    with running(ScriptedSmtp(tls=authority.localhost().context(), starttls=True)) as server:
        body = checked(admin, imap, server, outgoing_security="starttls")
        assert body["smtp"]["code"] == "ok"
        assert SECRET.encode() not in server.plain_text


def test_a3_smtp_can_be_skipped(admin: httpx2.Client, imap: ScriptedImap, smtp: ScriptedSmtp) -> None:
    body = checked(admin, imap, smtp, skip_smtp=True)
    assert body["success"] is True
    assert body["smtp"]["skipped"] is True
    assert smtp.connections == 0


def test_a3_the_saved_account_is_checked_with_the_saved_password(
    service: Served, admin: httpx2.Client, site_id: str, smtp: ScriptedSmtp
) -> None:
    make_sender(admin, site_id, smtp.port)
    body = admin.post(CHECK, json={"site_id": site_id, "use_saved_credentials": True})
    assert body.status_code == 200
    assert body.json()["smtp"]["code"] == "ok"
    assert body.json()["imap"]["skipped"] is True
    assert body.json()["config"]["aliases"] == [f"{site_id}-sales@example.com"]
    assert PASSWORD in smtp.credentials[0]
    assert PASSWORD not in body.text
    with site_client(service, admin, site_id) as mine:
        assert mine.post(CHECK, json={"site_id": site_id}).json()["smtp"]["code"] == "ok"


def test_a3_the_spaces_of_an_app_password_are_dropped(
    admin: httpx2.Client, imap: ScriptedImap, smtp: ScriptedSmtp
) -> None:
    for written in ("abcd efgh ijkl mnop", "abcd\u00a0efgh\u00a0ijkl\u00a0mnop", " abcd efgh ijkl mnop "):
        checked(admin, imap, smtp, password=written, incoming_server=None)
        assert smtp.credentials[-1].endswith("\x00abcdefghijklmnop")
    checked(admin, imap, smtp, password="with a space", incoming_server=None)
    assert smtp.credentials[-1].endswith("\x00with a space")


# --- each code ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("imap_says", "smtp_says", "code", "hint"),
    [
        ("[AUTHENTICATIONFAILED] wrong", "535 5.7.8 wrong", "auth_failed", "Check user name and password"),
        (
            "[ALERT] Application-specific password required",
            "534 5.7.9 Application-specific password required",
            "app_password_required",
            "app password",
        ),
        ("AUTHENTICATE failed. Basic Auth is disabled", "535 5.7.139 disabled", "needs_oauth", "OAuth2"),
        ("[UNAVAILABLE] try again later", "454 4.7.0 temporary failure", "throttled", "by itself"),
    ],
)
def test_a3_a_refused_login_is_told_by_its_kind(
    admin: httpx2.Client,
    authority: CertificateAuthority,
    imap_says: str,
    smtp_says: str,
    code: str,
    hint: str,
) -> None:
    with servers(authority, refusing(imap_says), on={"auth": smtp_says}) as (imap, smtp):
        body = checked(admin, imap, smtp)
    assert body["success"] is False
    for side in (body["imap"], body["smtp"]):
        assert (side["success"], side["code"], side["latency_ms"]) == (False, code, None)
        assert hint in side["hint"]
        assert side["detail"]
    assert body["imap"]["messages"] == {"total": None, "unseen": None}


def test_a3_nobody_listens(admin: httpx2.Client) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        body = admin.post(CHECK, json=request(port, port)).json()
    for side, setting in (("imap", "incomingServer"), ("smtp", "outgoingServer")):
        assert body[side]["code"] == "connect_failed"
        assert setting in body[side]["hint"]


def test_a3_a_name_that_does_not_exist(admin: httpx2.Client) -> None:
    names = {"incoming_server": "imap.invalid", "outgoing_server": "smtp.invalid"}
    body = admin.post(CHECK, json=request(993, 465, **names)).json()
    for side in ("imap", "smtp"):
        assert body[side]["code"] == "dns_failed"
        assert "spelling" in body[side]["hint"]


@pytest.mark.parametrize(
    "host",
    ["10.1.2.3", "169.254.169.254", "192.168.0.1", "::1", "[fd00::1]", "0.0.0.0", "2130706433", "0x7f.1"],
)
def test_a3_d10_private_hosts_need_the_operators_leave(
    admin: httpx2.Client, service: Served, host: str
) -> None:
    began = monotonic()
    names = {"incoming_server": host, "outgoing_server": host}
    body = admin.post(CHECK, json=request(9, 9, **names)).json()
    assert monotonic() - began < 5
    if host in ("2130706433", "0x7f.1"):  # spellings of 127.0.0.1, which is allowed here
        assert body["imap"]["code"] == "connect_failed"
        return
    for side in ("imap", "smtp"):
        assert body[side]["code"] == "host_not_allowed"
        assert "POSTROOM_ALLOW_HOSTS" in body[side]["hint"]


def test_a3_an_answer_never_tells_open_from_closed_in_a_private_network(admin: httpx2.Client) -> None:
    answers = [
        admin.post(CHECK, json=request(port, port, incoming_server=host, outgoing_server=host)).json()
        for host, port in (("10.1.2.3", 22), ("10.1.2.3", 993), ("172.16.9.9", 993))
    ]
    for answer in answers:
        del answer["config"]
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("kind", ["self_signed", "other_host", "expired"])
def test_a3_a_certificate_that_does_not_hold_is_never_shown_the_password(
    admin: httpx2.Client, authority: CertificateAuthority, kind: str
) -> None:
    context = getattr(authority, kind)().context()
    with ExitStack() as stack:
        imap = stack.enter_context(running(ScriptedImap(silent, tls=context)))
        smtp = stack.enter_context(running(ScriptedSmtp(tls=context)))
        body = checked(admin, imap, smtp)
        assert SECRET.encode() not in imap.received
        assert smtp.credentials == []
    for side in (body["imap"], body["smtp"]):
        assert side["code"] == "tls_failed"
        assert "certificate" in side["hint"]


def test_a3_a_server_without_starttls_is_never_shown_the_password(
    admin: httpx2.Client, authority: CertificateAuthority, imap: ScriptedImap
) -> None:
    context = authority.localhost().context()
    with running(ScriptedSmtp(tls=context, starttls=True, offers_starttls=False)) as server:
        body = checked(admin, imap, server, outgoing_security="starttls")
        assert body["smtp"]["code"] == "tls_failed"
        assert SECRET.encode() not in server.plain_text
        assert server.credentials == []


def test_a3_what_is_no_mail_server(admin: httpx2.Client, authority: CertificateAuthority) -> None:
    greeting = {"banner": Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")}
    with servers(authority, babbling, on=greeting) as (imap, smtp):
        body = checked(admin, imap, smtp)
    for side in (body["imap"], body["smtp"]):
        assert side["code"] == "protocol_error"
        assert side["hint"]


def test_a3_a_server_that_leaves_at_once(admin: httpx2.Client, authority: CertificateAuthority) -> None:
    async def leaving(peer: Peer) -> None:
        peer.reset()

    with servers(authority, leaving, on={"banner": CLOSE}) as (imap, smtp):
        body = checked(admin, imap, smtp)
    assert body["success"] is False
    for side in (body["imap"], body["smtp"]):
        assert side["code"] in ("connect_failed", "tls_failed")


def test_a3_silent_servers_are_given_up_within_15_seconds(
    admin: httpx2.Client, authority: CertificateAuthority
) -> None:
    with servers(authority, silent, on={"auth": HANG}) as (imap, smtp):
        began = monotonic()
        body = checked(admin, imap, smtp)
        assert monotonic() - began < 15
    for side in (body["imap"], body["smtp"]):
        assert (side["success"], side["code"], side["latency_ms"]) == (False, "timeout", None)
        assert side["hint"]


def test_a3_one_bad_side_does_not_hide_the_other(
    admin: httpx2.Client, authority: CertificateAuthority
) -> None:
    with servers(authority, welcoming, on={"auth": "535 5.7.8 no"}) as (imap, smtp):
        body = checked(admin, imap, smtp)
    assert body["success"] is False
    assert body["imap"]["code"] == "ok"
    assert body["smtp"]["code"] == "auth_failed"


def test_a3_a_server_that_echoes_the_password_does_not_make_us_repeat_it(
    admin: httpx2.Client, service: Served, authority: CertificateAuthority
) -> None:
    echo = {"auth": f"535 5.7.8 no such password {SECRET} for ann@example.com"}
    with servers(authority, refusing(f"[AUTHENTICATIONFAILED] {SECRET} is wrong"), on=echo) as (imap, smtp):
        body = checked(admin, imap, smtp)
    assert body["imap"]["code"] == body["smtp"]["code"] == "auth_failed"
    assert SECRET not in service.log_text()
    assert "ann@example.com" not in service.log_text()

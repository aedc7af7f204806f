"""Before a message: TLS that proves itself, and logins with what each refusal means (A3, D10)."""

import json
from base64 import b64encode

import pytest

from postroom.adapters.hosts import PublicHosts
from postroom.adapters.smtp_connection import SmtpDeadlines
from postroom.adapters.tls import client_context
from postroom.core.errors import MailServerError, ServerCode
from tests.support.certificates import CertificateAuthority
from tests.support.scripted_smtp import CLOSE, HANG, ScriptedSmtp
from tests.support.submitting import SECRET, Client, MakeServer, login_for

USER = "agent@example.test"


# --- TLS ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("starttls", [False, True], ids=["tls", "starttls"])
@pytest.mark.parametrize(
    ("certificate", "fault"),
    [
        ("other_host", "does not name this host"),
        ("expired", "has expired"),
        ("self_signed", "signed by itself"),
    ],
)
async def test_d10_a_certificate_that_proves_nothing_gets_no_credential(
    authority: CertificateAuthority, client: Client, certificate: str, fault: str, *, starttls: bool
) -> None:
    context = getattr(authority, certificate)().context()
    async with ScriptedSmtp(tls=context, starttls=starttls) as peer:
        with pytest.raises(MailServerError, match=fault) as caught:
            await client.submit(login_for(peer.port, starttls=starttls))
        await peer.until_open(0)
    assert caught.value.server_code is ServerCode.TLS_FAILED
    assert (peer.credentials, peer.heard("AUTH"), peer.heard("MAIL")) == ([], [], [])


async def test_d10_the_name_is_checked_although_the_connection_goes_to_an_address(
    authority: CertificateAuthority, server: MakeServer
) -> None:
    async def to_the_server(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    client = Client(authority.client_context(), hosts=PublicHosts(resolve=to_the_server))
    async with server() as peer:
        for host in ("localhost", "127.0.0.1", "LOCALHOST."):
            assert (await client.submission.probe(login_for(peer.port, host=host))).latency > 0
        with pytest.raises(MailServerError) as caught:
            await client.submission.probe(login_for(peer.port, host="mail.example.test"))
    assert caught.value.server_code is ServerCode.TLS_FAILED
    assert len(peer.credentials) == 3


async def test_d10_the_systems_authorities_alone_do_not_trust_a_private_one(
    authority: CertificateAuthority, server: MakeServer
) -> None:
    async with server() as peer:
        with pytest.raises(MailServerError) as caught:
            await Client(client_context()).submit(login_for(peer.port))
        assert caught.value.server_code is ServerCode.TLS_FAILED
        trusting = Client(client_context(authority.ca_file))
        assert (await trusting.submit(login_for(peer.port)))["one@example.test"].accepted
        await trusting.submission.close()


def test_b1_a_file_that_holds_no_certificates_is_argued_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("ca")
    (folder / "empty.pem").write_text("nothing")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(ValueError, match="PEM"):
            client_context(folder / name)


async def test_d10_stripped_starttls_ends_the_attempt(client: Client, server: MakeServer) -> None:
    async with server(starttls=True, offers_starttls=False) as peer:
        with pytest.raises(MailServerError) as caught:
            await client.submit(login_for(peer.port, starttls=True))
    assert caught.value.server_code is ServerCode.TLS_FAILED
    assert peer.plain_text == b"EHLO [127.0.0.1]\r\n"


async def test_tls_where_none_is_spoken_is_a_tls_fault(client: Client, server: MakeServer) -> None:
    async with server(starttls=True) as peer:
        with pytest.raises(MailServerError) as caught:
            await client.submit(login_for(peer.port))
    assert caught.value.server_code is ServerCode.TLS_FAILED


# --- logging in -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mechanisms", "mechanism", "sent"),
    [
        ("AUTH PLAIN LOGIN", "password", f"PLAIN \0{USER}\0{SECRET}"),
        ("AUTH LOGIN PLAIN XOAUTH2", "password", f"PLAIN \0{USER}\0{SECRET}"),
        ("AUTH=LOGIN", "password", f"LOGIN {USER} {SECRET}"),
        ("auth login", "password", f"LOGIN {USER} {SECRET}"),
        ("AUTH PLAIN XOAUTH2", "oauth", f"XOAUTH2 user={USER}\x01auth=Bearer {SECRET}\x01\x01"),
        ("AUTH OAUTHBEARER", "oauth", f"OAUTHBEARER n,a={USER},\x01auth=Bearer {SECRET}\x01\x01"),
    ],
)
async def test_the_mechanism_follows_from_what_both_sides_know(
    client: Client, server: MakeServer, mechanisms: str, mechanism: str, sent: str
) -> None:
    async with server(mechanisms=mechanisms) as peer:
        await client.submission.probe(login_for(peer.port, mechanism=mechanism))
    assert peer.credentials == [sent]


@pytest.mark.parametrize(("mechanism", "name"), [("password", "PLAIN"), ("oauth", "XOAUTH2")])
async def test_a_long_secret_is_sent_after_the_challenge(
    client: Client, server: MakeServer, mechanism: str, name: str
) -> None:
    """A command line holds 512 characters (RFC 4954 section 4); tokens have thousands."""
    async with server() as peer:
        await client.submission.probe(login_for(peer.port, mechanism=mechanism, secret="t" * 3000))
    assert peer.heard("AUTH") == [f"AUTH {name}"]
    assert "t" * 3000 in peer.credentials[0]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("535 5.7.8 Error: authentication failed", ServerCode.AUTH_FAILED),
        (
            "535-5.7.8 Username and Password not accepted. For more information, go to\r\n535 5.7.8 there",
            ServerCode.AUTH_FAILED,
        ),
        ("535 Authentication credentials invalid", ServerCode.AUTH_FAILED),
        ("535 5.7.8 Error: authentication failed: (reason unavailable)", ServerCode.AUTH_FAILED),
        ("530 5.7.0 Authentication required", ServerCode.AUTH_FAILED),
        ("550 5.7.1 account disabled", ServerCode.AUTH_FAILED),
        (
            "534-5.7.9 Application-specific password required. Learn more at\r\n534 5.7.9 there",
            ServerCode.APP_PASSWORD_REQUIRED,
        ),
        ("535 5.7.0 Please use an app password", ServerCode.APP_PASSWORD_REQUIRED),
        ("534 5.7.14 Please log in via your web browser", ServerCode.APP_PASSWORD_REQUIRED),
        (
            "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
            ServerCode.NEEDS_OAUTH,
        ),
        (
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
            ServerCode.NEEDS_OAUTH,
        ),
        ("550 5.7.30 Basic authentication is not supported for Client Submission.", ServerCode.NEEDS_OAUTH),
        ("454 4.7.0 Temporary authentication failure: Connection lost", ServerCode.THROTTLED),
        (
            "454-4.7.0 Too many login attempts, please try again later.\r\n454 4.7.0 there",
            ServerCode.THROTTLED,
        ),
        ("432 4.7.12 A password transition is needed", ServerCode.THROTTLED),
        ("421 4.7.0 Try again later, closing connection.", ServerCode.THROTTLED),
        ("535 5.7.0 (#AUTH005) Too many bad auth attempts.", ServerCode.THROTTLED),
        ("501 5.5.2 Invalid base64", ServerCode.PROTOCOL_ERROR),
        ("503 5.5.1 Error: authentication not enabled", ServerCode.PROTOCOL_ERROR),
    ],
)
async def test_a3_each_refused_login_says_what_it_means(
    client: Client, server: MakeServer, reply: str, code: ServerCode
) -> None:
    async with server(on={"auth": reply}) as peer:
        with pytest.raises(MailServerError) as caught:
            await client.submission.probe(login_for(peer.port))
    assert caught.value.server_code is code
    assert caught.value.hint
    assert len(peer.heard("AUTH")) == 1, "a refused login must not be tried twice"


async def test_a3_a_late_refusal_of_basic_authentication_needs_oauth(
    client: Client, server: MakeServer
) -> None:
    async with server(on={"mail": "550 5.7.30 Basic authentication is not supported"}) as peer:
        with pytest.raises(MailServerError) as caught:
            await client.submit(login_for(peer.port))
    assert caught.value.server_code is ServerCode.NEEDS_OAUTH


@pytest.mark.parametrize(("mechanism", "expected"), [("oauth", ServerCode.AUTH_FAILED)])
@pytest.mark.parametrize("mechanisms", ["AUTH XOAUTH2", "AUTH OAUTHBEARER"])
async def test_a_refused_token_is_heard_to_its_end(
    client: Client, server: MakeServer, mechanism: str, expected: ServerCode, mechanisms: str
) -> None:
    async with server(mechanisms=mechanisms, on={"auth": ["334 reason", "535 5.7.8 expired"]}) as peer:
        with pytest.raises(MailServerError) as caught:
            await client.submission.probe(login_for(peer.port, mechanism=mechanism))
    assert caught.value.server_code is expected


@pytest.mark.parametrize(
    ("mechanisms", "mechanism", "code"),
    [
        ("AUTH XOAUTH2 OAUTHBEARER", "password", ServerCode.NEEDS_OAUTH),
        ("AUTH GSSAPI NTLM", "password", ServerCode.AUTH_FAILED),
        ("AUTH PLAIN", "oauth", ServerCode.AUTH_FAILED),
        ("", "password", ServerCode.AUTH_FAILED),
    ],
)
async def test_without_a_common_mechanism_nothing_is_tried(
    client: Client, server: MakeServer, mechanisms: str, mechanism: str, code: ServerCode
) -> None:
    async with server(mechanisms=mechanisms) as peer:
        with pytest.raises(MailServerError) as caught:
            await client.submission.probe(login_for(peer.port, mechanism=mechanism))
    assert caught.value.server_code is code
    assert peer.heard("AUTH") == []


async def test_no_error_carries_a_credential(client: Client, server: MakeServer) -> None:
    secrets = (
        SECRET,
        b64encode(f"\0{USER}\0{SECRET}".encode()).decode(),
        b64encode(SECRET.encode()).decode(),
    )
    for reaction in (f"535 5.7.8 no: {SECRET} of {USER}", CLOSE, f"421 {SECRET}"):
        async with server(on={"auth": reaction}) as peer:
            with pytest.raises(MailServerError) as caught:
                await client.submission.probe(login_for(peer.port))
        shown = f"{caught.value} {caught.value.hint} {caught.value!r} {json.dumps(caught.value.args)}"
        assert not any(secret in shown for secret in (*secrets, USER))


# --- the check ------------------------------------------------------------------------------------


async def test_a3_the_check_logs_in_sends_nothing_and_tells_what_the_server_can(
    client: Client, server: MakeServer
) -> None:
    async with server() as peer:
        probe = await client.submission.probe(login_for(peer.port))
        await peer.until_open(0)
    assert {"SIZE 52428800", "8BITMIME", "AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER"} <= set(probe.capabilities)
    assert 0 < probe.latency < 5
    assert [command.split(" ")[0] for command in peer.commands] == ["EHLO", "AUTH", "QUIT"]


@pytest.mark.parametrize("phase", ["banner", "ehlo", "auth"])
async def test_a3_the_check_ends_in_time_whatever_the_server_does(
    authority: CertificateAuthority, server: MakeServer, phase: str
) -> None:
    hasty = Client(authority.client_context(), SmtpDeadlines(probe=0.5))
    async with server(on={phase: HANG}) as peer:
        with pytest.raises(MailServerError) as caught:
            await hasty.submission.probe(login_for(peer.port))
        await peer.until_open(0)
    assert caught.value.server_code is ServerCode.TIMEOUT


async def test_a3_a_host_that_is_not_allowed_is_never_connected_to(
    client: Client, server: MakeServer
) -> None:
    async with server() as peer:
        login = login_for(peer.port)
        stranger = type(login)(
            type(login.server)("localhost", peer.port, "tls"), login.username, login.secret
        )
        with pytest.raises(MailServerError) as caught:
            await client.submission.probe(stranger)
    assert (caught.value.server_code, peer.connections) == (ServerCode.HOST_NOT_ALLOWED, 0)

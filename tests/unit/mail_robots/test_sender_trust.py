"""D5: whose verdict on the sender counts, and that nobody can write it himself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail import authresults
from postroom.mail.authresults import Result, authserv_ids_for, parse_field, reported, trust
from postroom.mail.message import Mail
from tests.unit.mail_robots.mails import mail

OWN = ("mx.example.net",)
PASS = "mx.example.net; dmarc=pass header.from=example.org"
FAIL = "mx.example.net; dmarc=fail header.from=example.org"


def results(*values: str, sender: str = "Ada <ada@example.org>") -> Mail:
    return mail(*(("Authentication-Results", value) for value in values), sender=sender)


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (PASS, "verified"),
        ("MX.Example.NET; DMARC=Pass header.from=Example.ORG", "verified"),
        ("mx.example.net 1; dmarc=pass (p=none) header.from=ada@example.org", "verified"),
        ("mx.example.net; spf=pass; dkim=pass; dmarc = pass header.from = example.org", "verified"),
        (FAIL, "failed"),
        ("mx.example.net; dmarc=fail (p=none) action=none header.from=other.example", "failed"),
        ("mx.example.net; dmarc=none header.from=example.org", "claimed"),
        ("mx.example.net; dmarc=unknown header.from=example.org", "claimed"),
        ("mx.example.net; dmarc=temperror header.from=example.org", "claimed"),
        ("mx.example.net; dmarc=bestguesspass header.from=example.org", "claimed"),
        ("mx.example.net; dmarc=pass", "claimed"),
        ("mx.example.net; dmarc=pass header.from=other.example", "claimed"),
        ("mx.example.net; dmarc=pass header.from=sub.example.org", "claimed"),
        ("mx.example.net; spf=pass; dkim=pass header.d=example.org", "claimed"),
        ("mx.example.net; none", "claimed"),
        ("mx.evil.example; dmarc=pass header.from=example.org", "claimed"),
        ("mx.example.net.evil.example; dmarc=pass header.from=example.org", "claimed"),
        ("", "claimed"),
    ],
)
def test_d5_the_verdict_of_the_own_server(value: str, level: str) -> None:
    assert trust(results(value), OWN).level == level


def test_d5_nothing_is_believed_when_nobody_is_trusted() -> None:
    assert trust(results(PASS), ()) == authresults.Trust("claimed")
    assert trust(mail(), OWN) == authresults.Trust("claimed")


def test_d5_a_verdict_that_came_with_the_message_does_not_help() -> None:
    below_own = mail(
        ("Authentication-Results", "mx.example.net; spf=none"),
        ("Received", "from evil.example by mx.example.net"),
        ("Authentication-Results", PASS),
    )
    assert trust(below_own, OWN).level == "claimed"
    below_signature = mail(
        ("Authentication-Results", "mx.example.net; spf=none"),
        ("DKIM-Signature", "v=1; d=evil.example"),
        ("Authentication-Results", PASS),
    )
    assert trust(below_signature, OWN).level == "claimed"
    below_foreign = results("filter.example; dmarc=none", PASS)
    assert trust(below_foreign, OWN).level == "claimed"


def test_d5_contradictions_never_verify() -> None:
    assert trust(results(FAIL, PASS), OWN).level == "failed"
    assert trust(results(PASS, FAIL), OWN).level == "failed"
    assert trust(results("mx.example.net; dmarc=none", PASS), OWN).level == "claimed"


def test_d5_arc_is_data_and_never_believed() -> None:
    forwarded = mail(("ARC-Authentication-Results", f"i=1; {PASS}"))
    assert trust(forwarded, OWN).level == "claimed"
    (field,) = reported(forwarded)
    assert field.authserv_id == "mx.example.net"
    assert field.results == (Result("dmarc", "pass", (("header.from", "example.org"),)),)


@pytest.mark.parametrize(
    "local",
    [
        '"a; dmarc=pass header.from=example.org; x="@evil.example',
        '"a); dmarc=pass header.from=example.org; (b"@evil.example',
    ],
)
def test_d5_an_address_cannot_write_a_verdict(local: str) -> None:
    in_comment = f"mx.example.net; spf=pass (domain of {local} permits) smtp.mailfrom=evil.example"
    assert trust(results(in_comment), OWN).level == "claimed"
    as_property = f"mx.example.net; spf=pass smtp.mailfrom={local}"
    assert trust(results(as_property), OWN).level == "claimed"


def test_d5_a_field_without_an_end_cannot_hide_a_fail_nor_give_a_pass() -> None:
    open_quote = 'mx.example.net; spf=pass (domain of "a@evil.example); dmarc={} header.from=example.org'
    assert trust(results(open_quote.format("fail")), OWN).level == "failed"
    assert trust(results(open_quote.format("pass")), OWN).level == "claimed"


def test_d5_an_author_that_is_not_one_mailbox_is_not_verified() -> None:
    nobody = results(PASS, sender="")
    assert nobody.author is None
    assert trust(nobody, OWN).level == "claimed"
    assert trust(results(FAIL, sender=""), OWN).level == "failed"


def test_d5_microsoft_names_no_server_and_is_believed_only_where_expected() -> None:
    value = (
        "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.org; dkim=pass header.d=example.org;"
        "dmarc=pass action=none header.from=example.org;compauth=pass reason=100"
    )
    assert trust(results(value), authserv_ids_for("outlook.office365.com")).level == "verified"
    assert trust(results(value), OWN).level == "claimed"


PROVIDERS = [
    (
        "imap.gmail.com",
        (
            "mx.google.com; dkim=pass header.i=@example.org; spf=pass (google.com: domain of "
            "ada@example.org designates 192.0.2.1 as permitted sender) smtp.mailfrom=ada@example.org; "
            "dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=example.org"
        ),
    ),
    (
        "imap.mail.yahoo.com",
        (
            "atlas-production.v2-mail-prod1-gq1.omega.yahoo.com; dkim=pass header.i=@example.org "
            "header.s=s1; spf=pass smtp.mailfrom=example.org; dmarc=pass(p=NONE,sp=NONE) "
            "header.from=example.org;"
        ),
    ),
    (
        "imap.aol.com",
        "atlas101.aol.mail.bf1.yahoo.com; dmarc=pass(p=REJECT) header.from=example.org;",
    ),
    (
        "imap.fastmail.com",
        (
            "mx5.messagingengine.com; dmarc=pass policy.published-domain-policy=none "
            "header.from=example.org; spf=pass smtp.mailfrom=x@example.org"
        ),
    ),
    (
        "imap.mail.ru",
        (
            "mxs.mail.ru; spf=pass (mx1.i.mail.ru: domain of example.org designates 192.0.2.1 as "
            "permitted sender) smtp.mailfrom=ada@example.org smtp.helo=a.example.org; dkim=pass "
            "header.d=example.org; dmarc=pass header.from=ada@example.org"
        ),
    ),
    (
        "imappro.zoho.com",
        (
            "mx.zohomail.com; dkim=pass; spf=pass (zohomail.com: ok)  smtp.mailfrom=ada@example.org; "
            "dmarc=pass(p=none dis=none)  header.from=example.org"
        ),
    ),
]


@pytest.mark.parametrize(("host", "value"), PROVIDERS)
def test_d5_providers_are_built_in(host: str, value: str) -> None:
    assert trust(results(value), authserv_ids_for(host)).level == "verified"
    assert (
        trust(results(value.replace("example.org", "other.example")), authserv_ids_for(host)).level
        == "claimed"
    )


def test_d5_servers_that_write_one_field_a_method() -> None:
    apple = results(
        "bimi.icloud.com; bimi=none",
        "dmarc.icloud.com; dmarc=pass header.from=example.org",
        "dkim-verifier.icloud.com; dkim=pass header.d=example.org",
        "spf.icloud.com; spf=pass smtp.mailfrom=example.org",
    )
    verdict = trust(apple, authserv_ids_for("imap.mail.me.com"))
    assert verdict.level == "verified"
    assert [result.method for result in verdict.results] == ["bimi", "dmarc", "dkim", "spf"]


def test_d5_a_server_that_writes_several_fields_of_one_name() -> None:
    several = mail(
        ("Received", "from internal.example by store.example"),
        ("Authentication-Results", "mx6.messagingengine.com; x-ptr=pass smtp.helo=a.example.org"),
        ("X-ME-VSCategory", "clean"),
        ("Authentication-Results", "mx6.messagingengine.com; arc=none (no signatures found)"),
        (
            "Authentication-Results",
            (
                "mx6.messagingengine.com; dkim=pass (2048-bit rsa key sha256) header.d=example.org; "
                "dmarc=pass policy.applied-disposition=none (p=none,d=none) header.from=example.org"
            ),
        ),
    )
    assert trust(several, authserv_ids_for("imap.fastmail.com")).level == "verified"


def test_unknown_hosts_and_look_alikes_have_no_built_in_ids() -> None:
    assert authserv_ids_for("mail.example.net") == ()
    assert authserv_ids_for("notgmail.com") == ()
    assert authserv_ids_for("IMAP.GMAIL.COM.") == ("mx.google.com",)


def test_results_are_data_for_the_agent() -> None:
    field = parse_field('mx.example.net; dkim=fail reason="bad sig" header.d=example.org (why)')
    assert field.results == (Result("dkim", "fail", (("reason", "bad_sig"), ("header.d", "example.org"))),)


@given(st.text(alphabet=st.sampled_from('mx;=() "\\dmarcpass.\t'), max_size=200))
def test_no_value_makes_the_reader_stumble(value: str) -> None:
    parse_field(value)
    assert trust(results(value), OWN).level in ("claimed", "failed")

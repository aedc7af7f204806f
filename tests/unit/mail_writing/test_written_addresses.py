"""Addresses beyond ASCII: IDNA for domains (RFC 5890), SMTPUTF8 only for local parts (RFC 6531, RFC 6532)."""

from email import message_from_string, policy
from typing import Any

import fast_mail_parser
import pytest

from postroom.mail.compose import needs_smtputf8, wire_address
from postroom.mail.message import Address
from tests.unit.mail_writing.readers import ANN, assert_fit_for_the_wire, draft, field_as_written, written


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("ann@example.org", "ann@example.org"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.Example", "ann@xn--bcher-kva.example"),
        ("ann@faß.example", "ann@xn--fa-hia.example"),
        ("ann@例え.テスト", "ann@xn--r8jz45g.xn--zckzah"),
        ("ann@उदाहरण.परीक्षा", "ann@xn--p1b6ci4b4b3a.xn--11b5bs3a9aj6g"),
        ("ann@مثال.إختبار", "ann@xn--mgbh0fb.xn--kgbechtv"),
        ("a.b..c.@docomo.example", "a.b..c.@docomo.example"),
        ('"ann lee"@example.org', '"ann lee"@example.org'),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("jörg@bücher.example", "jörg@bücher.example"),
    ],
)
def test_wire_form_of_an_address(address: str, wire: str) -> None:
    assert wire_address("to", address) == wire
    raw = written(to=(Address("", address),))
    assert field_as_written(raw, "To") == wire.encode()


def test_domain_beyond_ascii_needs_no_smtputf8() -> None:
    mail = draft(to=(Address("Jörg", "joerg@bücher.example"),), subject="Grüße")
    assert not needs_smtputf8(mail)
    assert not needs_smtputf8(["joerg@bücher.example", ANN])
    assert_fit_for_the_wire(written(to=mail.to, subject=mail.subject))


@pytest.mark.parametrize("place", ["from_", "to", "cc", "reply_to"])
def test_local_part_beyond_ascii_needs_smtputf8(place: str) -> None:
    sender = Address("Jörg", "jörg@example.org")
    change: dict[str, Any] = {place: sender if place == "from_" else (ANN, sender)}
    assert needs_smtputf8(draft(**change))


def test_blind_copies_count_too() -> None:
    assert needs_smtputf8([ANN, "用户@example.org"])


def test_internationalised_mail_is_utf8_in_addresses_only_and_reads_back() -> None:
    user = Address("用户, 一", "用户@例え.テスト")
    raw = written(to=(user, ANN), subject="你好")
    assert b"\xe7\x94\xa8\xe6\x88\xb7@" in field_as_written(raw, "To")
    assert field_as_written(raw, "Subject").isascii()
    message = message_from_string(raw.decode(), policy=policy.default)
    assert [(each.display_name, each.addr_spec) for each in message["to"].addresses] == [
        ("用户, 一", "用户@例え.テスト"),
        (ANN.name, ANN.address),
    ]
    fast = fast_mail_parser.parse_email(raw, strict=True)
    assert [(each.display_name, each.address) for each in fast.to] == [
        ("用户, 一", "用户@例え.テスト"),
        (ANN.name, ANN.address),
    ]
    assert fast.subject == "你好"

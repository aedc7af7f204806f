"""Which mailbox is which, when the server does not say."""

import pytest

from postroom.imap.mailboxes import Mailbox
from postroom.imap.roles import Role, find_roles


def mailbox(name: str, *attributes: str, delimiter: str = "/") -> Mailbox:
    return Mailbox(name, name.encode(), delimiter, frozenset(attributes))


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Sent", Role.SENT),
        ("Sent Messages", Role.SENT),
        ("INBOX/sent items", Role.SENT),
        ("Gesendete Objekte", Role.SENT),
        ("Éléments envoyés", Role.SENT),
        ("Отправленные", Role.SENT),
        ("已发送", Role.SENT),
        ("Entwürfe", Role.DRAFTS),
        ("Brouillons", Role.DRAFTS),
        ("Posta indesiderata", Role.JUNK),
        ("迷惑メール", Role.JUNK),
        ("Papierkorb", Role.TRASH),
        ("Корзина", Role.TRASH),
        ("Archiv", Role.ARCHIVE),
    ],
)
def test_names_in_the_languages_of_their_users(name: str, role: Role) -> None:
    assert find_roles([mailbox(name)]) == {Role.INBOX: "INBOX", role: name}


def test_an_attribute_counts_more_than_a_name() -> None:
    listed = [mailbox("Sent"), mailbox("Verschickt", "\\sent", "\\hasnochildren"), mailbox("Trash", "\\junk")]
    assert find_roles(listed) == {Role.INBOX: "INBOX", Role.SENT: "Verschickt", Role.JUNK: "Trash"}


def test_near_the_top_counts_more_than_below_and_unselectable_not_at_all() -> None:
    listed = [mailbox("Old/Sent"), mailbox("Sent"), mailbox("Trash", "\\noselect"), mailbox("Old/Trash")]
    assert find_roles(listed) == {Role.INBOX: "INBOX", Role.SENT: "Sent", Role.TRASH: "Old/Trash"}


def test_a_flat_name_space_has_no_parts() -> None:
    assert find_roles([mailbox("a/Sent", delimiter="")]) == {Role.INBOX: "INBOX"}

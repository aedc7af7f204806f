"""Commands as they are written, read back by the grammar of a server."""

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.imap.command import (
    Atom,
    Command,
    Literal,
    LiteralMode,
    command,
    date_time,
    flag_atom,
    search_day,
)
from postroom.imap.errors import ImapInvalidArgument
from postroom.imap.uids import HIGHEST_UID, UidSet
from postroom.imap.wire import ClientCommand, CommandReader


def sent(request: Command, mode: LiteralMode = LiteralMode.PLUS) -> bytes:
    return b"".join(request.blocks("t", mode))


def understood(request: Command, mode: LiteralMode = LiteralMode.PLUS) -> ClientCommand:
    *_, last = CommandReader().feed(sent(request, mode))
    assert isinstance(last, ClientCommand)
    return last


def test_words_strings_and_lists() -> None:
    request = command("X", Atom("a"), 'q"\\', b"raw", (Atom("b"), "c", ()), "")
    assert sent(request) == b't X a "q\\"\\\\" "raw" (b "c" ()) ""\r\n'


@pytest.mark.parametrize(
    ("mode", "blocks"),
    [
        (LiteralMode.SYNCHRONISING, (b"t X {3}\r\n", b"abc {5000}\r\n", b"y" * 5000 + b"\r\n")),
        (LiteralMode.MINUS, (b"t X {3+}\r\nabc {5000}\r\n", b"y" * 5000 + b"\r\n")),
        (LiteralMode.PLUS, (b"t X {3+}\r\nabc {5000+}\r\n" + b"y" * 5000 + b"\r\n",)),
    ],
)
def test_a_block_ends_where_the_server_has_to_speak(mode: LiteralMode, blocks: tuple[bytes, ...]) -> None:
    assert command("X", Literal(b"abc"), Literal(b"y" * 5000)).blocks("t", mode) == blocks


def test_how_literals_may_be_sent_is_the_servers_to_say() -> None:
    assert LiteralMode.of(frozenset({"LITERAL+"})) is LiteralMode.PLUS
    assert LiteralMode.of(frozenset({"LITERAL-"})) is LiteralMode.MINUS
    assert LiteralMode.of(frozenset({"IMAP4REV1"})) is LiteralMode.SYNCHRONISING


@pytest.mark.parametrize("text", ["a\r\nb", "a\nb", "a\rb", "a\0b"])
def test_nothing_ends_a_line_early(text: str) -> None:
    for argument in (text, text.encode(), Atom(text), (text,)):
        with pytest.raises(ImapInvalidArgument) as refusal:
            command("X", argument)
        assert text not in str(refusal.value)
    with pytest.raises(ImapInvalidArgument):
        flag_atom(text)


@given(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=50))
def test_any_other_text_arrives_as_it_is(text: str) -> None:
    assert understood(command("X", text)).args == (text.encode(),)


def test_long_text_goes_as_a_literal() -> None:
    assert understood(command("X", "a" * 5000), LiteralMode.SYNCHRONISING).args == (b"a" * 5000,)


def test_a_command_does_not_show_its_arguments() -> None:
    shown = repr(command("LOGIN", "ann", "s3cret ☃", Literal(b"s3cret")))
    assert "LOGIN" in shown
    assert "s3cret" not in shown


@pytest.mark.parametrize("flag", ["", "a b", "\\", "(x)", 'q"', "\\*x", "é", "{3}"])
def test_odd_flags_are_refused(flag: str) -> None:
    with pytest.raises(ImapInvalidArgument):
        flag_atom(flag)


def test_dates() -> None:
    eastern = timezone(timedelta(hours=-4, minutes=-30))
    assert date_time(datetime(2026, 1, 2, 3, 4, 5, tzinfo=eastern)).text == '"02-Jan-2026 03:04:05 -0430"'
    assert search_day(date(2026, 12, 1)).text == "1-Dec-2026"
    with pytest.raises(ImapInvalidArgument):
        date_time(datetime(2026, 1, 2))  # noqa: DTZ001 - a date without a zone is the point


def test_sets_of_uids_are_compact() -> None:
    assert UidSet.of([3, 1, 2, 7, 9, 8]).atom().text == "1:3,7:9"
    assert UidSet.starting_at(5).atom().text == "5:*"
    assert UidSet.spanning([(1, 4), (3, 6), (7, 8), (20, HIGHEST_UID)]).atom().text == "1:8,20:*"


@pytest.mark.parametrize("runs", [[], [(0, 4)], [(5, 4)], [(1, HIGHEST_UID + 1)]])
def test_what_is_no_set_of_uids_is_refused(runs: list[tuple[int, int]]) -> None:
    with pytest.raises(ImapInvalidArgument):
        UidSet.spanning(runs)


@given(st.sets(st.integers(1, 60), min_size=1))
def test_a_set_holds_what_it_was_made_of(uids: set[int]) -> None:
    kept = UidSet.of(uids)
    assert {uid for uid in range(70) if uid in kept} == uids

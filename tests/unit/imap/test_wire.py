"""The grammar of responses and commands, however the bytes are cut and whatever servers make of it."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.imap.responses import (
    Condition,
    Continuation,
    Data,
    Malformed,
    NumberList,
    Response,
    ResponseCode,
    Tagged,
)
from postroom.imap.wire import (
    ClientCommand,
    ClientEvent,
    CommandReader,
    Limits,
    LineTooLong,
    LiteralAnnounced,
    LiteralTooLarge,
    NestedTooDeep,
    ResponseReader,
    WireError,
)

TRANSCRIPTS = Path(__file__).parents[4] / "shared" / "corpora" / "imap-transcripts"


def read(data: bytes, limits: Limits | None = None) -> list[Response]:
    return list(ResponseReader(limits).feed(data))


def only(line: bytes) -> Response:
    [response] = read(line + b"\r\n")
    return response


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"a1 OK done", Tagged("a1", "OK", None, "done")),
        (b"a1 no", Tagged("a1", "NO", None, "")),
        (b"a1  BAD   [ALERT] x [y]", Tagged("a1", "BAD", ResponseCode("ALERT"), "x [y]")),
        (
            b"a1 OK [APPENDUID 38505 3955] x",
            Tagged("a1", "OK", ResponseCode("APPENDUID", ("38505", "3955")), "x"),
        ),
        (
            b"a1 OK [COPYUID 1 2:3,5 7:9] x",
            Tagged("a1", "OK", ResponseCode("COPYUID", ("1", "2:3,5", "7:9")), "x"),
        ),
        (b"a1 OK[READ-WRITE]x", Tagged("a1", "OK", ResponseCode("READ-WRITE"), "x")),
        (b"a1 FINE", Malformed(b"a1 FINE")),
        (b"* ok [uidvalidity 7] x", Condition("OK", ResponseCode("UIDVALIDITY", ("7",)), "x")),
        (b"* OK[READ-ONLY]x", Condition("OK", ResponseCode("READ-ONLY"), "x")),
        (b"* OK {5}", Condition("OK", None, "{5}")),
        (b"* BYE [UNAVAILABLE] later", Condition("BYE", ResponseCode("UNAVAILABLE"), "later")),
        (b"* PREAUTH hello", Condition("PREAUTH", None, "hello")),
        (
            b"* OK [PERMANENTFLAGS (\\Seen $a]b \\*)] x",
            Condition("OK", ResponseCode("PERMANENTFLAGS", (("\\Seen", "$a]b", "\\*"),)), "x"),
        ),
        (b"* OK [ALERT never closed", Condition("OK", None, "[ALERT never closed")),
        (b"* NO caf\xc3\xa9 \xff", Condition("NO", None, "café \ufffd")),
        (b"+ YWJj", Continuation(b"YWJj")),
        (b"+", Continuation(b"")),
        (b"+OK", Continuation(b"OK")),
        (b"* 5 EXISTS", Data("EXISTS", 5, ())),
        (b"*   5   exists", Data("EXISTS", 5, ())),
        (b"*5 EXISTS", Data("EXISTS", 5, ())),
        (b"* CAPABILITY IMAP4rev1 AUTH=PLAIN", Data("CAPABILITY", None, ("IMAP4rev1", "AUTH=PLAIN"))),
        (b'* LIST () "/" ""', Data("LIST", None, ((), b"/", b""))),
        (b"* LIST (\\A) NIL NIL", Data("LIST", None, (("\\A",), None, None))),
        (b'* LIST () "\\\\" "a\\"b\\\\c"', Data("LIST", None, ((), b"\\", b'a"b\\c'))),
        (b"* STATUS [Gmail]/All (X 1)", Data("STATUS", None, ("[Gmail]/All", ("X", "1")))),
        (b"* STATUS caf\xe9 (X 1)", Data("STATUS", None, ("caf\xe9", ("X", "1")))),
        (b"* 1 FETCH(UID 7)", Data("FETCH", 1, (("UID", "7"),))),
        (b'* 1 FETCH (UID"7"FLAGS(\\Seen))', Data("FETCH", 1, (("UID", b"7", "FLAGS", ("\\Seen",)),))),
        (b"* 1 FETCH (UID 7", Data("FETCH", 1, (("UID", "7"),))),
        (b"* 1 FETCH (UID 7)))", Data("FETCH", 1, (("UID", "7"),))),
        (
            b"* 1 FETCH (BODY[HEADER.FIELDS (A B)]<0> NIL BODY[] nil)",
            Data("FETCH", 1, (("BODY[HEADER.FIELDS (A B)]<0>", None, "BODY[]", None),)),
        ),
        (b"* THREAD (1)(2 (3)(4))", Data("THREAD", None, (("1",), ("2", ("3",), ("4",))))),
        (b"* SEARCH", NumberList("SEARCH", b"")),
        (b"* search 2 84 882", NumberList("SEARCH", b"2 84 882")),
        (b"*", Malformed(b"*")),
        (b"220 smtp.example.test ESMTP", Malformed(b"220 smtp.example.test ESMTP")),
    ],
)
def test_a_line_is_read(line: bytes, expected: Response) -> None:
    assert only(line) == expected


def test_literals_of_every_kind_are_values() -> None:
    [response] = read(b"* X {3}\r\na)b ~{2}\r\n\0\xff {0}\r\n ({1+}\r\n() END\r\n")
    assert response == Data("X", None, (b"a)b", b"\0\xff", b"", (b"(",), "END"))


def test_text_that_looks_like_responses_stays_text() -> None:
    mail = b"* 1 EXISTS\r\nA1 OK done\r\n{10}\r\n"
    responses = read(b"* 1 FETCH (BODY[] {%d}\r\n%s)\r\nA1 OK done\r\n" % (len(mail), mail))
    assert responses == [Data("FETCH", 1, (("BODY[]", mail),)), Tagged("A1", "OK", None, "done")]


def test_line_ends_may_lack_the_cr_and_empty_lines_mean_nothing() -> None:
    assert read(b"* 1 EXISTS\n\r\n\n* 2 EXISTS\r\n") == [Data("EXISTS", 1, ()), Data("EXISTS", 2, ())]


def test_nothing_that_was_said_is_shown() -> None:
    lines = (b"* OK [ALERT secret] secret", b"* LIST () NIL secret", b"+ secret", b"secret", b"a NO secret")
    shown = repr([only(line) for line in (*lines, b"* SEARCH 9999")])
    assert "secret" not in shown
    assert "9999" not in shown
    assert "secret" not in repr(list(CommandReader().feed(b"secret LOGIN secret secret\r\nsecret\r\n")))


def test_nothing_is_held_once_all_is_said() -> None:
    reader = ResponseReader()
    assert list(reader.feed(b"* 1 EXISTS\r\n* 2 FETCH (X {3}\r\nab")) == [Data("EXISTS", 1, ())]
    assert reader.pending > 0
    assert len(list(reader.feed(b"c)\r\n"))) == 1
    assert reader.pending == 0


def test_responses_wait_until_they_are_asked_for() -> None:
    reader = ResponseReader()
    responses = reader.feed(b"* 1 EXISTS\r\n* 2 EXISTS\r\n* 3 EX")
    assert next(responses) == Data("EXISTS", 1, ())
    assert list(reader.feed(b"ISTS\r\n")) == [Data("EXISTS", 2, ()), Data("EXISTS", 3, ())]


# --- limits ---------------------------------------------------------------------------------------

SMALL = Limits(line=100, number_line=1000, literal=50)


@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_a_line_beyond_the_limit_is_refused_with_or_without_an_end(end: bytes) -> None:
    with pytest.raises(LineTooLong):
        read(b"* OK " + b"x" * 100 + end, SMALL)
    with pytest.raises(LineTooLong):
        read(b"* SEARCH " + b"1 " * 600 + end, SMALL)


def test_lines_that_grow_with_the_mailbox_may_be_longer() -> None:
    for name in (b"SEARCH", b"SORT", b"ESEARCH", b"VANISHED", b"search"):
        assert len(read(b"* " + name + b" 1:5" * 100 + b"\r\n", SMALL)) == 1


def test_text_around_literals_counts_together() -> None:
    with pytest.raises(LineTooLong):
        read(b"* X " + (b"y" * 40 + b" {1}\r\nz") * 3 + b"\r\n", SMALL)


def test_a_literal_beyond_the_cap_is_refused_when_it_is_announced() -> None:
    with pytest.raises(LiteralTooLarge) as refusal:
        read(b"* 1 FETCH (BODY[] {8000000000}\r\n")
    assert refusal.value.size == 8_000_000_000


def test_literals_of_one_response_count_together_and_the_cap_can_be_set() -> None:
    reader = ResponseReader(SMALL)
    two = b"* X {30}\r\n" + b"a" * 30 + b" {30}\r\n" + b"b" * 30 + b"\r\n"
    reader.allow_literals(60)
    assert len(list(reader.feed(two + two))) == 2
    reader.allow_literals(50)
    with pytest.raises(LiteralTooLarge):
        list(reader.feed(two))


def test_nesting_has_a_limit_and_no_recursion() -> None:
    assert isinstance(only(b"* X " + b"(" * 60 + b")" * 60), Data)
    with pytest.raises(NestedTooDeep):
        only(b"* X " + b"(" * 100_000)
    with pytest.raises(NestedTooDeep):
        only(b"* OK [X " + b"(" * 10_000 + b"] x")


def test_values_and_literals_have_a_limit() -> None:
    with pytest.raises(NestedTooDeep):
        only(b"* X" + b" a" * 200_000)
    with pytest.raises(NestedTooDeep):
        read(b"* X" + b" {0}\r\n" * 2_000)


@pytest.mark.parametrize(
    "line",
    [
        b'* X "' + b"\\a" * 400_000,
        b"* X " + b"BODY[" * 200_000,
        b"* X " + b"BODY[ " * 90_000,
        b"* OK [" + b'"(' * 400_000,
        b"* OK [" + b"(a" * 400_000 + b"]",
        b'* X "' + b"a" * 1_000_000,
        b"* " + b"9" * 1_000_000,
        b"a" * 1_000_000,
    ],
)
@pytest.mark.timeout(10)
def test_hostile_lines_cost_linear_time(line: bytes) -> None:
    try:
        only(line)
    except WireError:
        return


# --- however the bytes are cut --------------------------------------------------------------------

_PIECES = [
    b"* 12 FETCH (UID 5 FLAGS (\\Seen) BODY[] {11}\r\n* 1 EXISTS\n) RFC822.SIZE 11)\r\n",
    b"* OK [UIDVALIDITY 7] x {3}\r\n",
    b"* SEARCH 1 2 3\r\n",
    b"+ go on\n",
    b"\r\n",
    b"A1 NO [ALERT] no\r\n",
    b'* LIST (\\A) "/" {4}\r\nab\r\n\r\n',
    b"* X {0}\r\n {1+}\r\n\r {2}\r\n\r\n\r\n",
    b"rubbish\r\n",
    b"* STATUS {8000000000}\r\n",
    b"* X " + b"(" * 70 + b"\r\n",
]
_CONVERSATIONS = st.lists(st.sampled_from(_PIECES) | st.binary(max_size=12), max_size=12).map(b"".join)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


def all_of(reader: ResponseReader | CommandReader, chunks: list[bytes]) -> tuple[list[object], str]:
    """What is read, and how it ended."""
    found: list[object] = []
    try:
        for chunk in chunks:
            found.extend(reader.feed(chunk))
    except WireError as exc:
        return found, type(exc).__name__
    return found, ""


@given(_CONVERSATIONS, st.lists(st.integers(min_value=0), max_size=20))
def test_the_result_does_not_depend_on_the_cuts(data: bytes, places: list[int]) -> None:
    whole = all_of(ResponseReader(), [data])
    assert all_of(ResponseReader(), cut(data, places)) == whole
    assert all_of(ResponseReader(), [data[i : i + 1] for i in range(len(data))]) == whole
    commands = all_of(CommandReader(), [data])
    assert all_of(CommandReader(), cut(data, places)) == commands


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_the_limits(data: bytes) -> None:
    all_of(ResponseReader(), [data + b"\r\n"])
    all_of(ResponseReader(), [b"* " + data + b"\r\n"])
    all_of(ResponseReader(), [b"* 1 FETCH (" + data + b")\r\n"])
    all_of(CommandReader(), [b"a " + data + b"\r\n"])


# --- what real servers said -----------------------------------------------------------------------


@pytest.mark.skipif(not TRANSCRIPTS.exists(), reason="the shared corpus of IMAP transcripts is not here")
def test_transcripts_of_real_servers_are_understood() -> None:
    files = sorted(TRANSCRIPTS.glob("*/*.txt"))
    assert len(files) > 100
    for file in files:
        reader = ResponseReader()
        said = file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        responses = list(reader.feed(said))
        assert responses, file.name
        assert not [each for each in responses if isinstance(each, Malformed)], file.name
        assert reader.pending == 0, file.name


@pytest.mark.skipif(not TRANSCRIPTS.exists(), reason="the shared corpus of IMAP transcripts is not here")
def test_transcripts_raise_nothing_even_with_their_line_ends_lost() -> None:
    for file in sorted(TRANSCRIPTS.glob("*/*")):
        all_of(ResponseReader(), [file.read_bytes()])


# --- commands -------------------------------------------------------------------------------------


def commands(data: bytes) -> list[ClientEvent]:
    return list(CommandReader().feed(data))


def test_commands_of_a_client_are_read() -> None:
    assert commands(b'a1 LOGIN nil "p w"\r\n') == [
        ClientCommand("a1", "LOGIN", ("nil", b"p w"), b'a1 LOGIN nil "p w"')
    ]
    [fetch] = commands(b"a2 uid fetch 1:* (UID BODY.PEEK[HEADER.FIELDS (TO)])\r\n")
    assert isinstance(fetch, ClientCommand)
    assert fetch.name == "UID FETCH"
    assert fetch.args == ("1:*", ("UID", "BODY.PEEK[HEADER.FIELDS (TO)]"))
    assert commands(b"DONE\r\n") == [ClientCommand("DONE", "", (), b"DONE")]
    assert commands(b"\r\n") == [ClientCommand("", "", (), b"")]


def test_a_literal_that_waits_is_announced_before_its_bytes() -> None:
    reader = CommandReader()
    assert list(reader.feed(b"a1 LOGIN {3}\r\n")) == [LiteralAnnounced(3, waits=True)]
    assert list(reader.feed(b"ann {2+}\r\npw\r\n")) == [
        LiteralAnnounced(2, waits=False),
        ClientCommand("a1", "LOGIN", (b"ann", b"pw"), b"a1 LOGIN "),
    ]


def test_a_refused_literal_is_forgotten() -> None:
    reader = CommandReader()
    list(reader.feed(b"a1 APPEND x {3}\r\n"))
    reader.discard()
    assert list(reader.feed(b"a2 NOOP\r\n")) == [ClientCommand("a2", "NOOP", (), b"a2 NOOP")]

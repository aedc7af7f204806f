"""Anything composed parses back equal, by the standard library and by fast_mail_parser.

Two peculiarities of the readers are allowed for, and nothing else. Python 3.11 reads a space between two encoded
words of a display name, against RFC 2047 section 6.2, so names that need two are compared without spaces there.
fast_mail_parser reads the soft line break that ends a quoted-printable message as a line end; a text without HTML
and without a last line end is therefore compared without the latter there.
"""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.compose import Draft, OutgoingFile, compose
from postroom.mail.message import Address
from tests.unit.mail_writing.readers import (
    BOTH,
    Read,
    Reader,
    defects,
    draft,
    expected,
    read_by_fast_mail_parser,
    read_by_stdlib,
)

_line_text = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=120)
_names = _line_text.map(lambda name: re.sub(" +", " ", name).strip(" "))
_atoms = st.text("abcdefghijklmnopqrstuvwxyz0123456789+-_.=/!#$%&'*?^`{|}~", min_size=1, max_size=40)
_domains = st.sampled_from(["example.org", "mail.example.com", "xn--bcher-kva.example", "[192.0.2.1]"])
_dot_atoms = _atoms.map(lambda text: re.sub(r"\.+", ".", text).strip(".") or "a")
_addresses = st.builds(Address, _names, st.builds("{}@{}".format, _dot_atoms, _domains))
_ids = st.builds("{}@{}".format, st.text(st.characters(codec="ascii", exclude_categories=["Cc", "Zs"],
                 exclude_characters="<>@"), min_size=1, max_size=200), _domains)
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=400)
_markdown = st.lists(st.sampled_from(["> q", "-- ", "hard  ", " in", "From me", ".", "", "é", "a " * 60, "\t", "x\t"])).map(
    "\n".join
)
_types = st.sampled_from(["application/pdf", "text/csv", "image/png", "text/calendar"])
_files = st.builds(OutgoingFile, _line_text.filter(bool), _types, st.binary(max_size=300))


@st.composite
def _drafts(draw: st.DrawFn) -> Draft:
    return draft(
        text=draw(_texts | _markdown),
        html=draw(st.none() | _texts),
        from_=draw(_addresses),
        to=tuple(draw(st.lists(_addresses, max_size=4))),
        cc=tuple(draw(st.lists(_addresses, max_size=2))),
        reply_to=tuple(draw(st.lists(_addresses, max_size=2))),
        subject=draw(_line_text),
        message_id=draw(st.builds("{}@{}".format, _dot_atoms, _domains)),
        in_reply_to=draw(st.none() | _ids),
        references=tuple(draw(st.lists(_ids, max_size=5))),
        attachments=tuple(draw(st.lists(_files, max_size=2))),
    )


@given(_drafts())
def test_anything_composed_reads_back_equal(written: Draft) -> None:
    raw = compose(written)
    assert _without_spaces_in_names(read_by_stdlib(raw)) == _without_spaces_in_names(expected(written))
    assert _as_fast_mail_parser_ends(written, read_by_fast_mail_parser(raw)) == expected(written)


def _without_spaces_in_names(read: Read) -> Read:
    def bare(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
        return tuple(replace(each, name=each.name.replace(" ", "")) for each in addresses)

    return replace(
        read, from_=bare((read.from_,))[0], to=bare(read.to), cc=bare(read.cc), reply_to=bare(read.reply_to)
    )


def _as_fast_mail_parser_ends(written: Draft, read: Read) -> Read:
    alone = written.html is None and not written.attachments
    if alone and not written.text.endswith("\n"):
        return replace(read, text=read.text.removesuffix("\n"))
    return read

"""The JSON form of an answer, as HTTP agents and callbacks send it."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.core.agent import Answer, Attachment
from postroom.core.answer import fit, parse_answer
from postroom.core.errors import InvalidInput

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["text", "nothing", "attachments"]), inner)
    ),
)


def _file(**changes: Any) -> dict[str, Any]:
    return {"filename": "a.pdf", "content_type": "application/pdf", "content": "JVBERg=="} | changes


def test_text_and_files_become_an_answer() -> None:
    answer = parse_answer({"text": "Here.", "attachments": [_file()], "model": "ignored"})
    assert answer == Answer("Here.", [Attachment("a.pdf", b"%PDF", "application/pdf")])


@given(st.binary())
def test_every_byte_of_a_file_comes_through(content: bytes) -> None:
    wrapped = "\r\n".join(b64encode(content).decode()[i : i + 76] for i in range(0, len(content) * 2, 76))
    answer = parse_answer({"text": "x", "attachments": [_file(content=wrapped)]})
    assert answer.attachments[0].content == content


def test_the_content_type_may_be_missing() -> None:
    file = _file()
    del file["content_type"]
    assert parse_answer({"text": "x", "attachments": [file]}).attachments[0].content_type is None


def test_b5_nothing_mails_nothing_and_keeps_the_reason() -> None:
    answer = parse_answer({"nothing": "spam"})
    assert (answer.kind, answer.reason) == ("nothing", "spam")


def test_b5_empty_text_is_no_answer() -> None:
    assert parse_answer({"text": " \n"}) == Answer.nothing("empty_answer")
    assert parse_answer({"text": "", "attachments": [_file()]}).kind == "text"


def test_text_that_cannot_be_written_down_is_repaired() -> None:
    answer = parse_answer(json.loads('{"text": "a\\u0000b \\ud800 \\ud83d\\ude00"}'))
    assert answer.text == "ab \ufffd 😀"


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ([], ""),
        ("text", ""),
        ({}, ""),
        ({"text": "x", "nothing": "y"}, ""),
        ({"text": None}, "/text"),
        ({"text": 5}, "/text"),
        ({"nothing": ""}, "/nothing"),
        ({"nothing": True}, "/nothing"),
        ({"text": "x", "attachments": "a.pdf"}, "/attachments"),
        ({"text": "x", "attachments": [_file(), 3]}, "/attachments/1"),
        ({"text": "x", "attachments": [_file(filename="")]}, "/attachments/0/filename"),
        ({"text": "x", "attachments": [_file(filename="a\r\nBcc: x@y.org")]}, "/attachments/0/filename"),
        ({"text": "x", "attachments": [_file(content="***")]}, "/attachments/0/content"),
        ({"text": "x", "attachments": [_file(content=None)]}, "/attachments/0/content"),
        ({"text": "x", "attachments": [_file(content_type="pdf")]}, "/attachments/0/content_type"),
        ({"text": "x", "attachments": [_file(content_type="a/b\nX: y")]}, "/attachments/0/content_type"),
        ({"text": "x", "attachments": [_file(content_type="a/b; c=d\n")]}, "/attachments/0/content_type"),
    ],
)
def test_a_fault_is_named_with_its_place(document: object, pointer: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_answer(document)
    assert [p.pointer for p in refused.value.problems] == [pointer]


@given(JSON)
def test_any_json_is_an_answer_or_a_clear_refusal(document: object) -> None:
    try:
        answer = parse_answer(document)
    except InvalidInput:
        return
    answer.text.encode()
    assert answer.kind == "nothing" or answer.text.strip() or answer.attachments


@given(st.text())
def test_text_that_is_fit_is_unchanged_but_for_nul(text: str) -> None:
    answer = fit(Answer(text, [Attachment("a", b"")]))
    assert answer.text == text.replace("\x00", "")


@given(st.text(alphabet=st.characters()))
def test_text_made_fit_can_be_encoded(text: str) -> None:
    fit(Answer(text, [Attachment("a", b"")])).text.encode()

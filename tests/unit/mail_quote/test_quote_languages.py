"""In twenty languages and more: what mail programs put between the new text and the old is recognised."""

from collections.abc import Iterator
from textwrap import wrap

import pytest

from postroom.mail import quote
from tests.unit.mail_quote.reading import CORPUS, Language, language, squeezed

FILES = sorted((CORPUS / "languages").glob("*.txt"))
WIDTHS = (40, 48, 56, 64, 72, 78)


def marked(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.split("\n"))


def wraps(line: str) -> Iterator[str]:
    """`line` as programs break it, over no more than four lines."""
    yield line
    for width in WIDTHS:
        pieces = wrap(line, width, break_long_words=False, break_on_hyphens=False)
        if 1 < len(pieces) <= 4:
            yield "\n".join(pieces)


@pytest.fixture(params=FILES, ids=[file.stem for file in FILES])
def forms(request: pytest.FixtureRequest) -> Language:
    return language(request.param)


def assert_new(mail: str, new_text: str) -> None:
    assert squeezed(quote.split(mail).new_text) == squeezed(new_text), mail


def test_attribution_above_marked_lines_is_cut_off_however_it_wraps(forms: Language) -> None:
    for attribution in forms.attributions:
        for line in wraps(attribution):
            assert_new(f"{forms.reply}\n\n{line}\n\n{marked(forms.quoted)}\n", forms.reply)
            assert_new(f"{forms.reply}\n\n{line}\n\n{forms.quoted}\n\nTom\n", forms.reply)


def test_attribution_without_an_empty_line_above_takes_no_word_of_the_reply(forms: Language) -> None:
    for attribution in forms.attributions:
        assert_new(f"{forms.reply}\n{attribution}\n{marked(forms.quoted)}\n", forms.reply)


def test_reply_below_the_quote_is_the_new_text(forms: Language) -> None:
    for attribution in forms.attributions:
        for line in wraps(attribution):
            assert_new(f"{line}\n{marked(forms.quoted)}\n\n{forms.reply}\n", forms.reply)


def test_answers_between_quoted_lines_all_stay_in_their_order(forms: Language) -> None:
    for attribution in forms.attributions:
        mail = f"{attribution}\n{marked(forms.quoted)}\n\n{forms.reply}\n\n> ?\n\nOK 2\n\n> bye"
        assert_new(mail, f"{marked(forms.quoted)}\n{forms.reply}\n> ?\nOK 2")


def test_headers_of_the_original_end_the_new_text(forms: Language) -> None:
    if not forms.headers:
        pytest.skip("this file holds attributions only")
    bold = "\n".join(f"*{line.replace(':', ':*', 1)}" for line in forms.headers.split("\n"))
    for headers in (forms.headers, bold):
        for above in ("", "________________________________\n", "-----------\n\n"):
            assert_new(f"{forms.reply}\n\n{above}{headers}\n\n{forms.quoted}\n", forms.reply)


def test_original_message_between_dashes_ends_the_new_text(forms: Language) -> None:
    for line in forms.originals:
        assert_new(f"{forms.reply}\n\n{line}\n{forms.headers}\n\n{forms.quoted}\n", forms.reply)
        assert_new(f"{forms.reply}\n\n{line}\n\n{forms.quoted}\n", forms.reply)


def test_forward_with_a_note_is_the_note_and_without_one_is_everything(forms: Language) -> None:
    for line in forms.forwards:
        forward = f"{line}\n{forms.headers}\n\n{forms.quoted}\n"
        assert_new(f"{forms.reply}\n\n{forward}", forms.reply)
        assert_new(forward, forward)
        assert_new(f"{forms.phones[0]}\n\n{forward}", f"{forms.phones[0]}\n{forward}")


def test_what_a_phone_adds_is_the_signature(forms: Language) -> None:
    for line in forms.phones:
        reply = quote.split(f"{forms.reply}\n\n{line}\n")
        assert (squeezed(reply.new_text), reply.signature) == (squeezed(forms.reply), line)
        above = quote.split(f"{forms.reply}\n\n{line}\n\n{forms.attributions[0]}\n> x\n")
        assert squeezed(above.new_text) == squeezed(f"{forms.reply}{line}")
        assert above.signature == line


def test_quote_is_returned_with_its_attribution(forms: Language) -> None:
    for attribution in forms.attributions:
        reply = quote.split(f"{forms.reply}\n\n{attribution}\n{marked(forms.quoted)}\n")
        assert reply.quoted == f"{attribution}\n{marked(forms.quoted)}"

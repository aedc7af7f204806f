"""HTML of some fifty mail programs: where the original begins is known by their elements."""

from pathlib import Path

import pytest

from postroom.mail import quote
from postroom.mail.html import to_text
from tests.unit.mail_quote.reading import CORPUS, words

PROGRAMS = sorted((CORPUS / "html").glob("*.html"))
KEPT = (CORPUS / "keep.html").read_text("utf-8").split("\n%%\n")
TYPED = (
    "<div class='moz-cite-prefix'>On 3/4/23 12:34, Tom wrote:</div><blockquote type='cite'>Hi</blockquote>"
)


def new_words(html: str) -> str:
    """The words of the new text of a mail that has only HTML."""
    return words(quote.split(to_text(html).text, html, of_html=True).new_text)


def read(path: Path) -> tuple[str, str]:
    """The HTML and the words of its new text, which its first line tells."""
    head, _, html = path.read_text("utf-8").partition("\n")
    new_text = head.removeprefix("<!-- new: ").removesuffix(" -->")
    return html, words(to_text(html).text if new_text == "everything" else new_text)


@pytest.mark.parametrize("path", PROGRAMS, ids=[path.stem for path in PROGRAMS])
def test_new_text_of_a_mail_that_has_only_html(path: Path) -> None:
    html, expected = read(path)
    reply = quote.split(to_text(html).text, html, of_html=True)
    assert words(reply.new_text) == expected
    assert reply.quoted or expected == words(to_text(html).text)


@pytest.mark.parametrize("path", PROGRAMS, ids=[path.stem for path in PROGRAMS])
def test_html_shows_the_quote_that_plain_text_hides(path: Path) -> None:
    html, expected = read(path)
    flat = words(to_text(html).text)
    if flat == expected:
        pytest.skip("everything in it is new")
    assert words(quote.split(flat, html).new_text) == expected


def test_plain_text_with_a_cut_of_its_own_is_taken_before_other_html() -> None:
    html = "<p>Something else</p><blockquote type='cite'>Hi</blockquote>"
    text = "Fine.\n\nOn 3 Apr 2023, at 12:34, Tom <t@example.com> wrote:\n> Hi"
    assert quote.split(text, html).new_text == "Fine."


def test_new_text_is_taken_from_the_plain_text_where_html_only_says_how_far_it_goes() -> None:
    html = "<div>Fine,  <b>really</b>.</div><div class='yahoo_quoted'>Tom &lt;t@example.com&gt;: Hi?</div>"
    reply = quote.split("Fine,   *really*.\nTom: Hi?", html)
    assert (reply.new_text, reply.quoted) == ("Fine,   *really*.", "Tom: Hi?")


def test_text_that_someone_wrote_where_a_deleted_original_stood_is_new() -> None:
    html = "<p>Hi</p><div class='gmail_quote'>I deleted your mail and wrote here.</div>"
    assert quote.split(to_text(html).text, html).new_text.endswith("wrote here.")


def test_answer_below_a_quote_in_bold_does_not_lose_its_markup() -> None:
    html = "<b>Hello</b><blockquote type='cite'><b>Hi</b></blockquote><p>See <a href='https://example.com/x'>this</a></p>"
    assert "[this](https://example.com/x)" in quote.split(to_text(html).text, html).new_text


def test_unclosed_and_broken_html_is_read() -> None:
    for html in ("<", "<div", "<!-- x", "<style>x", "<a href='x", "</blockquote>Hi", "<pre>a\nb"):
        assert quote.split("Hi", html).new_text == "Hi"


def test_signature_that_only_html_marks_is_told_and_taken_off_at_the_end() -> None:
    html = "<div>Fine.</div><div class='gmail_signature'>Anna<br>Head of Things</div>"
    reply = quote.split("Fine.\nAnna\nHead of Things", html)
    assert (reply.new_text, reply.signature) == ("Fine.", "Anna\nHead of Things")


def test_quote_button_of_a_new_mail_is_no_quote_of_a_mail() -> None:
    html = "<p>They say</p><blockquote class='gmail_quote'>To be</blockquote><p>Bye</p>"
    assert words(quote.split(to_text(html).text, html).new_text) == "They say To be Bye"


def test_words_below_a_signature_are_not_taken_for_it() -> None:
    html = "<p>Fine.</p><div class='gmail_signature'>Anna</div><p>P.S. Could you bring the plans?</p>"
    assert quote.split(to_text(html).text, html).new_text.endswith("bring the plans?")


def test_blockquote_inside_a_cited_one_belongs_to_the_quote() -> None:
    html = "<blockquote type='cite'>One<blockquote>Two</blockquote>Three</blockquote><p>Fine.</p>"
    assert quote.split(to_text(html).text, html).new_text == "Fine."
    assert quote.split("One Two Three Fine.", html).new_text == "Fine."


@pytest.mark.parametrize("html", KEPT, ids=[words(to_text(html).text)[:40] for html in KEPT])
def test_what_only_looks_like_a_quote_is_kept(html: str) -> None:
    assert new_words(html) == words(to_text(html).text)


def test_lines_that_the_writer_indented_just_above_the_quote_are_kept() -> None:
    own = "<p>Please send</p><blockquote style='margin:0 0 0 40px;border:none'>two pens</blockquote>"
    assert new_words(own + TYPED) == "Please send two pens"


def test_what_is_typed_below_the_mark_of_webmail_ends_where_the_original_begins() -> None:
    headers = (
        "<b>From:</b> Tom &lt;t@example.com&gt;<br><b>Sent:</b> Monday, 3 April 2023 12:34<br><b>To:</b> Ida"
    )
    original = f"<hr><div id='divRplyFwdMsg'>{headers}</div><div>Could we meet?</div>"
    own = "<div>Fine.</div><div id='appendonsend'></div><div>Write to a@example.com on 4/4/2023</div>"
    assert new_words(own + original) == "Fine Write to a example com on 4 4 2023"


def test_answer_after_a_quote_is_set_apart_without_leftovers_of_it() -> None:
    quoted = TYPED.replace("Hi", "Which?<ul><li>One</li></ul>")
    html = f"{quoted}<div>The first</div>"
    assert quote.split(to_text(html).text, html, of_html=True).new_text == "The first"


def test_reply_typed_below_the_own_signature_is_kept_with_it_above_the_quote() -> None:
    html = f"<div class='gmail_signature'>Eva</div><div>Yes, do it</div>{TYPED}"
    assert new_words(html) == "Eva Yes do it"


@pytest.mark.parametrize("wrapper", ["class='yahoo_quoted'", "name='quote'", "class='gmail_quote'"])
def test_words_below_the_element_around_a_quote_are_kept(wrapper: str) -> None:
    quoted = "<div><div>On Monday, 3 April 2023 at 12:34, Tom &lt;t@example.com&gt; wrote:</div>Hi</div>"
    wrapped = f"<div {wrapper}>{quoted}</div>"
    assert new_words(f"{wrapped}<div>Fine.</div>") == "Fine"
    assert new_words(f"<div>Hello</div>{wrapped}<div>Fine.</div>") == "Hello Fine"
    assert new_words(f"<div>Hello</div>{wrapped}") == "Hello"

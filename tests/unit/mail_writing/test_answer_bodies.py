"""An answer with its signature and the original below it, and as others read it."""

from datetime import UTC, datetime, timedelta, timezone

from postroom.mail.compose import attribution, clean_text, quoted_text
from postroom.mail.markdown import Body, Quoted, body, plain_body, quote_html
from postroom.mail.message import Address
from tests.unit.mail_writing.readers import ANN, BOTH, WHEN, written

ANSWER = "Dear Ann,\n\nit left **today**  \nat noon.\n\n    code\n"
ORIGINAL = Quoted(attribution(ANN, WHEN), "Where is it?\n\n> older <b>\n\n-- \nAnn\n")


def test_text_of_an_answer_is_its_markdown_as_written() -> None:
    answer = body(ANSWER)
    assert answer.text == ANSWER
    assert answer.html is not None
    assert "<strong>today</strong><br>" in answer.html
    for read in BOTH:
        mail = read(written(text=answer.text, html=answer.html))
        assert (mail.text, mail.html) == (answer.text, answer.html)


def test_signature_and_original_follow_the_answer_in_both_parts() -> None:
    answer = body("Sent.\n", "Ann & Co\nhttps://example.org", ORIGINAL)
    assert answer.text == (
        "Sent.\n\n-- \nAnn & Co\nhttps://example.org\n\n"
        "On 21 November 2025 at 14:05, Ann Example wrote:\n"
        "> Where is it?\n>\n>> older <b>\n>\n> --\n> Ann"
    )
    assert answer.html is not None
    order = [
        "Sent.",
        "Ann &amp; Co<br>",
        "On 21 November",
        '<blockquote type="cite"',
        "&gt; older &lt;b&gt;<br>",
    ]
    places = [answer.html.index(piece) for piece in order]
    assert places == sorted(places)


def test_empty_settings_add_nothing() -> None:
    assert body(ANSWER, "", None) == body(ANSWER, None, None)


def test_original_travels_as_text_only() -> None:
    html = quote_html("<img src=https://evil.example/t.png><script>x()</script>", "On <date>\r\nX: y wrote:")
    assert "<img" not in html
    assert "<script" not in html
    assert "On &lt;date&gt; X: y wrote:" in html


def test_attribution_names_the_author_on_one_line() -> None:
    late = datetime(2025, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=9)))
    assert (
        attribution(Address("", "ann@example.org"), late)
        == "On 3 February 2025 at 04:05, ann@example.org wrote:"
    )
    assert attribution(Address("Ann\r\nBcc: x", "a@b"), None) == "Ann Bcc: x wrote:"


def test_quotation_marks_every_line_and_deepens_what_was_quoted() -> None:
    assert quoted_text("\r\na \r\n\r\n>b\r\n", "A wrote:") == "A wrote:\n> a\n>\n>>b"
    assert quoted_text("", "A wrote:") == "A wrote:\n>"


def test_plain_text_stays_plain() -> None:
    assert plain_body("a < b\n") == Body("a < b\n", None)


def test_clean_text_has_lf_only() -> None:
    assert clean_text("a\r\nb\rc\n\0\udc80") == "a\nb\nc\n\ufffd\ufffd"


def test_same_instant_is_quoted_in_the_zone_given() -> None:
    assert "14:05" in attribution(ANN, datetime(2025, 11, 21, 14, 5, tzinfo=UTC))

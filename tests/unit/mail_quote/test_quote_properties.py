"""Whatever a mail holds: nothing raises, nothing of it vanishes, and there is always something to answer."""

from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.mail import quote
from tests.unit.mail_quote.reading import CORPUS, language

FORMS = [language(path) for path in sorted((CORPUS / "languages").glob("*.txt"))]
LINES = st.sampled_from(
    [
        *["", "> quoted", ">> twice", "-- ", "--", "___________", "On Mon wrote:", "x: y", "<b>", "\u00a0"],
        *(line for forms in FORMS for line in (*forms.attributions, *forms.originals, *forms.phones)),
        *(line for forms in FORMS for line in forms.headers.split("\n")),
    ]
)
MAILS = st.lists(st.one_of(LINES, st.text(max_size=40)), max_size=14).map("\n".join)
TAGS = st.sampled_from(
    [
        *("<div>", "</div>", "<br>", "<blockquote type=cite>", "<blockquote>", "</blockquote>", "<hr>"),
        *('<div class="gmail_quote">', '<div id="divRplyFwdMsg">', "<!--", "-->", "<p", "&gt;", "<pre>"),
    ]
)
PAGES = st.lists(st.one_of(TAGS, LINES, st.text(max_size=20)), max_size=14).map("".join)


@given(MAILS)
@settings(max_examples=400, deadline=None)
def test_every_line_is_new_quoted_or_signature(text: str) -> None:
    reply = quote.split(text)
    kept = "\n".join((reply.new_text, reply.quoted, reply.signature))
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        assert line.strip(" \t\u00a0\u200b\ufeff>＞-_=*~|\\") == "" or line.strip() in kept
    assert bool(reply.new_text) == bool(text.strip())


@given(MAILS, PAGES)
@settings(max_examples=300, deadline=None)
def test_nothing_raises_and_new_text_is_never_lost_entirely(text: str, html: str) -> None:
    assert bool(quote.split(text, html).new_text) or not text.strip()


@given(st.text(alphabet="abc xyz,.!?\n", max_size=300))
def test_plain_words_are_all_new(text: str) -> None:
    assert quote.split(text).new_text == text.strip()

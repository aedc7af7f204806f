"""HTML that a caller hands in: what stays, what goes, and that no size or depth hurts."""

import pytest

from postroom.mail.compose import ComposeError
from postroom.mail.markdown import html_body
from postroom.mail.sanitise import clean_html


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        "<SCRIPT SRC=https://evil.example/x.js></SCRIPT>",
        "<scr<script></script>ipt>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg onload=alert(1)><script>alert(1)</script></svg>",
        "<svg><style><!--</style><img src=x onerror=alert(1)>--></style></svg>",
        '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img onerror=alert(1)&gt;">',
        '<a href="javascript:alert(1)">x</a>',
        '<a href=" java\nscript:alert(1)">x</a>',
        '<a href="&#106;avascript:alert(1)">x</a>',
        '<a href="data:text/html,<script>alert(1)</script>">x</a>',
        '<iframe src="https://evil.example"></iframe>',
        '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
        "<object data=x></object><embed src=x>",
        "<form action=https://evil.example><input name=q><button>go</button></form>",
        '<meta http-equiv=refresh content="0;url=https://evil.example">',
        "<base href=https://evil.example>",
        '<link rel=stylesheet href="file:///etc/passwd">',
        '<style>@import "https://evil.example/x.css"; p { background: url(//evil.example) }</style><p>x',
        '<p style="background: url(javascript:alert(1)); behavior: url(x.htc)">x',
        '<p style="background: u\\72l(https://evil.example)">x',
        '<p style="width: expression(alert(1))">x',
        '<p style="position: fixed; top: 0; z-index: 9">x',
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
        "<template><script>alert(1)</script></template>",
        "<textarea></textarea><script>alert(1)</script>",
        "<title><script>alert(1)</script></title>",
        "<!--<script>--><script>alert(1)//--></script>",
        "<plaintext><script>alert(1)</script>",
    ],
)
def test_nothing_runs_frames_submits_or_loads(html: str) -> None:
    clean = clean_html(html).lower()
    forbidden = (
        "<script <iframe <object <embed <form <input <button <meta <base <link <style <svg javascript: data: "
    )
    for word in (
        *forbidden.split(),
        "onerror=",
        "onload=",
        "url(",
        "expression(",
        "behavior",
        "position",
        "@import",
    ):
        assert word not in clean


def test_what_mail_is_made_of_stays() -> None:
    html = (
        '<table width="600" cellpadding="0" bgcolor="#eeeeee"><tr><td align="center" style="padding: 8px">'
        '<a href="https://example.org/?a=1&amp;b=2" target="_blank" style="color: #0066cc">Go</a> '
        '<a href="tel:+491234">call</a> <a href="mailto:ann@example.org">write</a>'
        '<img src="https://example.org/logo.png" alt="Logo" width="80"><img src="cid:logo@x"></td></table>'
    )
    clean = clean_html(html)
    for piece in (
        'width="600"',
        'bgcolor="#eeeeee"',
        'style="padding:8px"',
        'href="https://example.org/?a=1&amp;b=2"',
        'style="color:#0066cc"',
        'href="tel:+491234"',
        'href="mailto:ann@example.org"',
        'src="https://example.org/logo.png"',
        'src="cid:logo@x"',
    ):
        assert piece in clean


def test_style_sheets_become_attributes() -> None:
    head = "<title>T</title><style>.a { color: red; position: fixed } td p { margin: 0 }</style>"
    clean = clean_html(
        f"<html><head>{head}</head><body><p class='a'>x</p><table><tr><td><p>y</table></body></html>"
    )
    assert '<p class="a" style="color:red">x</p>' in clean
    assert '<p style="margin:0">y</p>' in clean
    assert "<style" not in clean
    assert "T" not in clean


def test_relative_links_go_nowhere() -> None:
    clean = clean_html('<a href="/login">x</a><img src="a.png"><a href="//b.example"><a href="#z">')
    assert "href" not in clean
    assert "src" not in clean


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 5_000,
        "<div><!--</div>-->" * 5_000,
        '<div title="</div>">' * 5_000,
        "<div></span>" * 5_000,
        "<div><script></div></script>" * 5_000,
        "<div><? </div>" * 5_000,
        "<div></x</div>" * 5_000,
        '<div a=x">' + "<div>" * 5_000 + '<div a=x">',
        "<table><tr><td></div>" * 5_000,
        "<p>" + "".join(f"<b id={n}>" for n in range(300)) + "<p>x" * 20_000,
        "<style>" + "*{color:red}" * 4_000 + "</style>" + "<i>x</i>" * 20_000,
        "x" * 1_000_001,
    ],
    ids=[
        *("depth", "comments", "attributes", "wrong", "scripts", "instructions", "names", "quotes"),
        *("tables", "copies", "rules", "length"),
    ],
)
@pytest.mark.timeout(20)
def test_html_that_no_mail_needs_is_refused(html: str) -> None:
    with pytest.raises(ComposeError, match="html"):
        clean_html(html)


@pytest.mark.parametrize(
    "html",
    [
        "<p>paragraph" * 20_000,
        "<ul>" + "<li>item" * 20_000,
        "<table>" + "<tr><td>x" * 10_000,
        "<div><b>x</b></div>" * 10_000,
        "<a " * 100_000,
        '<a "' * 100_000,
        "<!--" * 100_000,
        "<script" * 100_000,
        "<style" * 100_000,
        "<a x=\"'" * 100_000,
        "</" * 100_000,
        "<!" * 100_000,
        "<style>" + "</style" * 100_000,
    ],
    ids=[
        "p",
        "li",
        "td",
        "div",
        "tag",
        "quote",
        "comment",
        "script",
        "style",
        "quotes",
        "end",
        "bogus",
        "unended",
    ],
)
@pytest.mark.timeout(20)
def test_long_or_broken_html_is_no_fault_and_ends(html: str) -> None:
    assert "<script" not in clean_html(html)


def test_caller_html_gets_a_page_and_its_text_beside_it() -> None:
    body = html_body(
        "<h1>Offer</h1><p>Read <a href='https://example.org/x'>this</a>.</p><script>x()</script>"
    )
    assert body.html is not None
    assert body.html.startswith("<!DOCTYPE html>")
    assert "<h1>Offer</h1>" in body.html
    assert "Offer" in body.text
    assert "[this](https://example.org/x)" in body.text
    assert "x()" not in body.text + body.html


def test_odd_characters_in_caller_html_do_no_harm() -> None:
    body = html_body("<p>a\0b\ud800c\r\nd</p>")
    assert body.html is not None
    assert "a\ufffdb\ufffdc\nd" in body.html

"""HTML mail as a person would read it out, with what they could not see left out."""

import pytest

from postroom.mail.html import has_hidden_text, to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two<br>Three</p>", "One\n\nTwo\nThree"),
        ("<pre>All of it.\n\n    Indented\nTim</pre>", "All of it.\n\n    Indented\nTim"),
        ('<p>One</p><pre class="moz-signature" cols="72">-- \nTim &lt;b></pre>', "One\n\n--\nTim <b>"),
        ('<p>One</p><pre wrap="">Two\nThree</pre>', "One\n\nTwo\nThree"),
        ("<div>One</div><div>Two</div><div><br></div><div>Three</div>", "One\nTwo\n\nThree"),
        (
            "<p class=MsoNormal>One<o:p></o:p></p><p class=MsoNormal>Two</p>"  # noqa: ISC004 - one page
            "<p class=MsoNormal><o:p>&nbsp;</o:p></p><p class=MsoNormal>Three</p>",
            "One\nTwo\n\nThree",
        ),
        ('<p style="margin:0">One</p><p style="margin:0 0 0 0">Two</p>', "One\nTwo"),
        ('See <a href="https://e.org/a?b=1&amp;c=2">here</a>', "See [here](https://e.org/a?b=1&c=2)"),
        ('<a href="https://e.org/">https://e.org/</a>', "<https://e.org/>"),
        ('<a href="mailto:i@e.org">i@e.org</a>', "<i@e.org>"),
        ('<a href="javascript:x()">Click</a> <a href="#top">up</a>', "Click up"),
        ('<a href="https://e.org"><img src="x.png"></a>Text', "Text"),
        ('<a href="https://e.org"><img src="x.png" alt="Shop"></a>', "[Shop](https://e.org)"),
        ("<ul><li>a</li><li>b<ol><li>c</li></ol></li></ul>", "- a\n- b\n  1. c"),
        ("<h2>Title</h2>Text<hr>More", "## Title\n\nText\n\n---\n\nMore"),
        ("<blockquote>One<br>Two</blockquote>Three", "> One\n> Two\n\nThree"),
        ("<b>Bold</b> and <i>slanted</i>", "**Bold** and *slanted*"),
        (
            "<table><tr><td>Cup</td><td>2</td></tr><tr><td>Pot</td><td>1</td></tr></table>",
            "| Cup | 2 |\n| --- | --- |\n| Pot | 1 |",
        ),
        (
            "<table><tr><td><table><tr><td><p>Hello</p><p>there</p></td></tr></table></td></tr></table>",
            "Hello\n\nthere",
        ),
        ("<title>T</title><style>x</style><script>y</script><!-- z -->Seen", "Seen"),
        ("<style>p{}</style>Words", "Words"),
        ("5 < 6 &amp; 7 &gt; 6 &eacute; &#8364;", "5 < 6 & 7 > 6 é €"),
        ("snake_case and 2*3*4", "snake_case and 2*3*4"),
        ("a\u200bb\u00ad c&nbsp;d", "ab c d"),
        ("<p>unclosed <b>bold", "unclosed **bold**"),
        ("no tags\nat all &amp; 1 < 2", "no tags\nat all & 1 < 2"),
        (
            "<p>wrapped\n  in the\r\nsource</p><pre>but\n  here</pre>",
            "wrapped in the source\n\n```\nbut\n here\n```",
        ),
        ("", ""),
    ],
)
def test_html_reads_like_the_mail_looks(html: str, text: str) -> None:
    result = to_text(html)
    assert [line.rstrip() for line in result.text.replace("  ", " ").split("\n")] == text.replace(
        "  ", " "
    ).split("\n")
    assert not result.hidden


HIDDEN = [
    '<div style="display:none">HIDE</div>',
    '<div style="DISPLAY : NONE !important">HIDE</div>',
    '<span style="visibility:hidden">HIDE</span>',
    "<p hidden>HIDE</p>",
    '<span style="font-size:0">HIDE</span>',
    '<span style="font-size:1px;line-height:1px">HIDE</span>',
    '<div style="opacity:0">HIDE</div>',
    '<div style="max-height:0;overflow:hidden">HIDE</div>',
    '<div style="width:0px;height:0px;overflow:hidden">HIDE</div>',
    '<div style="text-indent:-9999px">HIDE</div>',
    '<div style="position:absolute;left:-5000px">HIDE</div>',
    '<span style="color:#ffffff">HIDE</span>',
    '<font color="white">HIDE</font>',
    '<span style="color:transparent">HIDE</span>',
    '<td bgcolor="#000000" style="color:#000000">HIDE</td>',
    '<style>.x{display:none}</style><div class="a x">HIDE</div>',
    '<style>/* c */ #y , p.z { font-size : 0px }</style><p class="z">HIDE</p>',
    '<div style="display:none">HIDE<div>HIDE</div>HIDE</div>',
    '<div style="display:none"><p>HIDE<p>HIDE</div>',
    '<div style="visibility:hidden"><b>HIDE</b></div>',
]


@pytest.mark.parametrize("html", HIDDEN)
def test_hidden_text_is_left_out_and_reported(html: str) -> None:
    result = to_text(f"<p>Seen</p>{html}<p>too</p>")
    assert result.text.split() == ["Seen", "too"]
    assert result.hidden
    assert has_hidden_text(f"<p>Seen</p>{html}")


@pytest.mark.parametrize(
    "html",
    [
        '<td style="font-size:0;padding:10px"><div style="font-size:13px">SHOWN</div></td>',
        '<div style="visibility:hidden"><span style="visibility:visible">SHOWN</span></div>',
        '<td bgcolor="#003366"><font color="#ffffff">SHOWN</font></td>',
        '<div style="background:url(x.png)"><span style="color:#fff">SHOWN</span></div>',
        '<style>.dark{background:#000}</style><div class="dark"><span style="color:#fff">SHOWN</span></div>',
        "<style>@media (max-width:600px){.m{display:none}}</style><div class=m>SHOWN</div>",
        '<div style="display:none"></div>SHOWN',
        '<div style="font-size:0">&nbsp;\u200b</div>SHOWN',
        '<div style="max-height:0">SHOWN</div>',
        '<table><tr><td hidden></td><td>SHOWN</td></tr></table>',
    ],
)  # fmt: skip
def test_text_that_can_be_seen_stays(html: str) -> None:
    result = to_text(html)
    assert result.text == "SHOWN"
    assert not result.hidden


@pytest.mark.parametrize("tag", ["div", "b", "blockquote", "table", "font", "ul"])
def test_depth_never_loses_text(tag: str) -> None:
    assert "deep" in to_text(f"<{tag}>" * 3_000 + "deep" + f"</{tag}>" * 3_000).text

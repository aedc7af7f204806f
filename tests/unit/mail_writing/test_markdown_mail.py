"""Markdown as HTML for mail: what it shows, what it refuses, and that it reads on white and on black."""

import re
import threading
from html.parser import HTMLParser

import pytest

from postroom.mail.markdown import to_html


class _Seen(HTMLParser):
    """Tags with attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def links(self) -> list[str]:
        return [attributes["href"] for tag, attributes in self.tags if tag == "a"]

    def styles(self) -> str:
        return "; ".join(attributes.get("style", "") for _, attributes in self.tags)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


HARD_BREAK = "Second line  \nhard break."
EVERYTHING = f"""\
# Title

Some *emphasis*, **strength**, `code`, ~~struck~~ and a [link](https://example.org/a "title").
{HARD_BREAK}

1. one
2. two
   - nested

| left | right |
|:-----|------:|
| a    | 1     |

> quoted

```python
print("<hi>")
```

---
"""


def test_markdown_of_an_answer_is_rendered() -> None:
    seen = _Seen(to_html(EVERYTHING))
    for tag in ("h1", "em", "strong", "code", "s", "a", "ol", "ul", "table", "blockquote", "pre", "hr"):
        assert seen.count(tag) >= 1, tag
    assert seen.count("br") == 2
    assert 'print("<hi>")' in seen.text
    assert seen.links() == ["https://example.org/a"]


def test_css_is_inlined_and_no_style_sheet_or_class_is_left() -> None:
    seen = _Seen(to_html(EVERYTHING))
    assert seen.count("style") == seen.count("link") == 0
    assert all("class" not in attributes for _, attributes in seen.tags)
    styled = {tag for tag, attributes in seen.tags if attributes.get("style")}
    assert styled >= {"p", "h1", "ol", "ul", "table", "th", "td", "blockquote", "pre", "code", "hr"}


def test_alignment_of_table_columns_is_kept() -> None:
    seen = _Seen(to_html(EVERYTHING))
    aligned = [
        re.findall(r"text-align: (\w+)", attributes["style"]) for tag, attributes in seen.tags if tag == "td"
    ]
    assert aligned == [["left"], ["right"]]


def test_dark_mode_has_its_way() -> None:
    html = to_html(EVERYTHING)
    assert '<meta name="color-scheme" content="light dark">' in html
    styles = _Seen(html).styles()
    assert not re.search(r"(?:^|[;\s])(?:color|background(?:-color)?)\s*:", styles)
    assert set(re.findall(r"#\w+|rgba?\([^)]*\)|: (?:white|black)\b", styles)) == {"#888888"}


def test_script_of_either_direction_sets_its_own() -> None:
    assert '<div dir="auto"' in to_html("שלום")


def test_html_in_markdown_is_shown_and_not_meant() -> None:
    text = (
        "<script>alert(1)</script> <b onclick=x>bold</b>\n\n<img src=x onerror=alert(1)>\n\n<style>p</style>"
    )
    seen = _Seen(to_html(text))
    assert {"script", "b", "img", "style"}.isdisjoint(tag for tag, _ in seen.tags)
    assert "<script>alert(1)</script>" in seen.text
    assert "<img src=x onerror=alert(1)>" in seen.text


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java&#10;script:alert(1)",
        "&#106;avascript:alert(1)",
        "vbscript:x",
        "data:text/html,<script>alert(1)</script>",
        "file:///etc/passwd",
        "ftp://example.org/",
        "//example.org/x",
        "/relative",
        "#fragment",
        "cid:part",
    ],
)
def test_links_go_to_the_web_or_to_a_mailbox_only(url: str) -> None:
    for text in (f"[x]({url})", f"[x](<{url}>)", f"<{url}>", f"![x]({url})", f"[x][1]\n\n[1]: {url}"):
        seen = _Seen(to_html(text))
        assert seen.links() == []
        assert seen.count("img") == 0


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("see https://example.org/a_b_c?x=1&y=2.", ["https://example.org/a_b_c?x=1&y=2"]),
        ("(https://example.org/wiki/X_(y)), ok", ["https://example.org/wiki/X_(y)"]),
        ("**https://example.org/**", ["https://example.org/"]),
        ("https://example.org/ü と https://b.example。", ["https://example.org/%C3%BC", "https://b.example"]),
        ("<https://example.org/> <ann@example.org>", ["https://example.org/", "mailto:ann@example.org"]),
        ("[https://a.example](https://b.example)", ["https://b.example"]),
        ("`https://example.org`", []),
        ("    https://example.org", []),
        ("http:// https:/x", []),
    ],
)
def test_bare_addresses_of_the_web_become_links(text: str, links: list[str]) -> None:
    assert _Seen(to_html(text)).links() == links


def test_pictures_become_links_so_that_nothing_is_loaded() -> None:
    seen = _Seen(
        to_html(
            "![a chart](https://example.org/c.png) [![logo](https://example.org/l.png)](https://b.example)"
        )
    )
    assert seen.count("img") == 0
    assert seen.links() == ["https://example.org/c.png", "https://b.example"]
    assert "a chart" in seen.text
    assert "logo" in seen.text


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        "![" * 10_000,
        "*a_" * 7_000,
        ">" * 20_000 + " x",
        "- " * 10_000 + "x",
        "`" * 20_000,
        "a\n" * 9_000,
    ],
    ids=["brackets", "pictures", "emphasis", "quotes", "lists", "ticks", "lines"],
)
@pytest.mark.timeout(20)
def test_hostile_markdown_ends(text: str) -> None:
    assert to_html(text).endswith("</html>\n")


def test_very_long_text_is_shown_whole() -> None:
    text = "line of *text* <b>\n" * 60_000
    seen = _Seen(to_html(text))
    assert seen.text.count("line of *text* <b>") == 60_000


def test_odd_characters_do_no_harm() -> None:
    assert "a\ufffdb\ufffdc" in to_html("a\0b\ud800c")
    assert to_html("") == to_html("\n")


def test_threads_may_render_at_once() -> None:
    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(to_html(EVERYTHING))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert results == [to_html(EVERYTHING)] * 4

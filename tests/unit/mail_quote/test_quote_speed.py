"""A megabyte of the worst input takes less than a second, and twice as much takes about twice the time."""

import time
from collections.abc import Callable

import pytest

from postroom.mail import quote

MEGABYTE = 1_000_000

TEXTS = {
    "on": "On ",
    "on, a line each": "On \n",
    "quote marks": ">",
    "quoted lines": ">\n",
    "quotes and answers": "> a\nb\n",
    "wrote": "wrote:",
    "wrote, a line each": "wrote:\n",
    "nearly attributions": "1999 12:12 a@:\n",
    "attributions": "On 1999 12:12 <a@b.c> wrote:\n> q\n",
    "headers": "From:\n",
    "half header blocks": "From: x\n\nSent: y\n\n",
    "line ends": "\n",
    "carriage returns": "\r\n",
    "spaces": " ",
    "letters": "a",
    "short lines": "a\n",
    "dashes": "-",
    "dashed lines": "-\n",
    "signatures": "-- \n",
    "rules": "_____\n",
    "colons": ":\n",
    "brackets": "[",
    "links": "[x](y) ",
    "addresses": "a@",
    "times": "1:",
    "phones": "Sent from my iPhone\n",
    "originals": "-----Original Message----- x\n",
    "forwards": "Begin forwarded message x:\n",
    "letters that change in lower case": "İ:\n",
    "invisible": "\u200b\n",
    "wrapped quotes": "> " + "a" * 70 + "\nb\n",
    "closings": "Best regards\n",
    "own sentences": "your a-a-a-a-a-a your a-a-a-a-a-a 1999 12:12 wrote:\n",
    "quotes and delimiters": ">\n-- \n",
    "times before an address": "1:11" * 100 + "<a@b 1999:\n",
    "dashed notes": "-- original x y --\n",
    "words below signatures": "a\n-- \nb c d\n\n",
}
PAGES = {
    "divs": "<div>",
    "closed divs": "</div>",
    "quotes": "<blockquote type=cite>x",
    "quotes and answers": "x<blockquote type=cite>q</blockquote>y",
    "breaks": "x<br>",
    "angles": "<",
    "cut tags": "<a",
    "cut attributes": "<a \"' ",
    "comments": "<!--",
    "styles": "<style>",
    "containers": '<div class="gmail_quote">x</div>',
    "separators": '<div style="border-top:solid x">a:b</div>',
    "entities": "&#1",
    "tables": "<table><tr><td>",
    "preformatted": "<pre>\n",
    "signatures": "<div class='gmail_signature'>a</div>",
    "nested signatures": "<div class='gmail_signature'><p>a",
    "marks of webmail": "<div id='appendonsend'>1999</div>",
    "rules": "<hr>",
    "attributions": "On 1999 12:12 a@b wrote:<br>",
}


def repeated(piece: str, size: int) -> str:
    return (piece * (size // len(piece) + 1))[:size]


def seconds(call: Callable[[], object]) -> float:
    """The least processor time of three calls: what the code costs, not what the machine was doing."""
    taken = []
    for _ in range(3):
        started = time.process_time()
        call()
        taken.append(time.process_time() - started)
        if taken[-1] < 0.2:
            break
    return min(taken)


@pytest.mark.parametrize("name", TEXTS)
def test_megabyte_of_text_takes_less_than_a_second(name: str) -> None:
    text = repeated(TEXTS[name], MEGABYTE)
    assert seconds(lambda: quote.split(text)) < 1


@pytest.mark.parametrize("name", PAGES)
def test_megabyte_of_html_takes_less_than_a_second(name: str) -> None:
    html = repeated(PAGES[name], MEGABYTE)
    assert seconds(lambda: quote.split("x", html)) < 1


def test_a_page_that_tells_of_answers_above_a_thousand_quotes_takes_less_than_a_second() -> None:
    told = "answers and comments " * 20 + "<br>"
    quoted = '<div class="gmail_quote">On 3 Apr 2023 at 12:34 t@example.com wrote:<br>q</div>own<br>'
    html = f"<div>{told * 30}</div>{repeated(quoted, MEGABYTE)}"
    assert seconds(lambda: quote.split("x", html)) < 1


def test_new_text_above_a_megabyte_of_hostile_quotes_is_still_found() -> None:
    for piece in TEXTS.values():
        mail = f"Fine.\n\nOn 3 Apr 2023, at 12:34, Tom <t@example.com> wrote:\n{repeated(piece, MEGABYTE)}"
        assert quote.split(mail).new_text.startswith("Fine.")

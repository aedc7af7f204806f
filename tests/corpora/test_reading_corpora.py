"""How mail of other projects' collections is read, against what those projects expect of it.

Prints tables (`pytest -s`); the collections lie beside the project and are skipped when they do not.
A row that differs stands in a table below with its reason; a new difference fails.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes
from functools import cache
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any

from postroom.mail import charset, uuencode
from postroom.mail.message import Address, AttachedFile, Mail
from postroom.mail.parse import OverCaps, parse
from tests.corpora.figures import Figures
from tests.corpora.sets import CORPORA, SETS, mails_of, needs_corpora

pytestmark = needs_corpora

BETTER = "the oracle loses characters or fields that can be read"
IMAP_TOOLS_DIFFERS = {
    "error_emails/invalid_subject_characters.eml": BETTER,
    "plain_emails/mix_caps_content_type.eml": "`Big Bug bb@bug.com` has a name and an address",
    "plain_emails/raw_email_incorrect_header.eml": BETTER,
    "plain_emails/raw_email_with_at_display_name.eml": "`Mikel@Lindsaar <…>` is one mailbox",
    "rfc2822/example13.eml": BETTER,
    "rfc2822/example14.eml": "the space before an encoded word stays (RFC 2047)",
}
IMAP_TOOLS_BODIES_DIFFER = {
    "attachment_2_base64.eml": "the oracle leaves a nested message in base64",
    "multipart_report_emails/multipart_report_multiple_status.eml": "a notice labelled as a status",
    "error_emails/content_transfer_encoding_7-bit.eml": BETTER,
    "error_emails/content_transfer_encoding_empty.eml": BETTER,
    "error_emails/content_transfer_encoding_plain.eml": BETTER,
    "plain_emails/raw_email6.eml": BETTER,
}
OTHER_CONTENT = {
    *(f"malformed/{number}.json" for number in ("001", "009", "011", "012", "016", "019", "020", "021")),
    "thirdparty/002.json",
    "thirdparty/015.json",
}
MADE_UP_NAME = re.compile(r"attachment-\d+\.\w+")
UNCLOSED = "the oracle makes a file of text in parts that are never closed"
UUENCODED = "uuencoded files are decoded"
STALWART_DIFFERS = {
    "legacy/017.json": UUENCODED,
    "legacy/048.json": UUENCODED,
    "legacy/049.json": UUENCODED,
    "malformed/001.json": UNCLOSED,
    "malformed/002.json": UNCLOSED,
    "malformed/003.json": UNCLOSED,
    "malformed/004.json": UNCLOSED,
    "malformed/006.json": UNCLOSED,
    "malformed/007.json": UNCLOSED,
    "malformed/008.json": UNCLOSED,
    "malformed/009.json": "an outer boundary ends the parts inside (RFC 2046 section 5.1.2)",
    "malformed/011.json": "an outer boundary ends the parts inside (RFC 2046 section 5.1.2)",
    "malformed/012.json": "an outer boundary ends the parts inside (RFC 2046 section 5.1.2)",
    "malformed/016.json": "an outer boundary ends the parts inside (RFC 2046 section 5.1.2)",
    "malformed/019.json": "damaged throughout",
    "malformed/020.json": "the first of two Content-Types counts",
    "malformed/021.json": "the first of two Content-Types counts",
    "thirdparty/002.json": "words behind base64 are no base64",
    "thirdparty/015.json": "the outer boundary inside a nested message ends it",
}


def words(text: str | None) -> str:
    return " ".join((text or "").replace("\0", "").split())


def addresses(boxes: tuple[Address, ...]) -> list[tuple[str, str]]:
    return [(words(box.name), box.address) for box in boxes]


def print_table(title: str, rows: dict[str, list[str]], reasons: dict[str, str]) -> None:
    print(f"\n{title}: what differs")
    for name, fields in rows.items():
        print(f"  {name:62} {', '.join(fields):22} {reasons.get(name, 'NOT EXPLAINED')}")


# imap_tools has one file of expectations


@cache
def imap_tools() -> dict[str, Any]:
    expected: dict[str, Any] = json.loads((CORPORA / "imap_tools" / "expected.json").read_text())
    return expected


@cache
def imap_tools_mail(name: str) -> Mail:
    return parse((CORPORA / "imap_tools" / "messages" / name).read_bytes())


def imap_tools_differences(name: str, expected: dict[str, Any]) -> list[str]:
    mail = imap_tools_mail(name)
    files = [file["payload"]["sha256"] for file in expected["attachments"] if is_file(file)]
    pairs = {
        "subject": (mail.subject, words(expected["subject"])),
        "from": (with_domain([mail.from_.address] if mail.from_ else []), with_domain([expected["from_"]])),
        "to": (with_domain([box.address for box in mail.to]), with_domain(expected["to"])),
        "cc": (with_domain([box.address for box in mail.cc]), with_domain(expected["cc"])),
        "attachments": (sorted(imap_tools_files(mail, files)), sorted(files)),
    }
    return [field for field, (ours, theirs) in pairs.items() if ours != theirs]


def with_domain(boxes: list[str]) -> list[str]:
    """Without what is no address: nothing, a bare word, a group's name."""
    return [box for box in boxes if box.partition("@")[0] and box.partition("@")[2]]


def is_file(file: dict[str, Any]) -> bool:
    """The oracle counts text that has a Content-ID; here it is text, and compared as that."""
    return bool(file["filename"]) or not file["content_type"].startswith("text/")


def imap_tools_files(mail: Mail, theirs: list[str]) -> Iterator[str]:
    """The digests of what the oracle counts: files that have a name of their own or a Content-ID, and
    messages, mostly as the standard library writes them anew, with the files in them."""
    for file in mail.attachments:
        if file.content_type == "message/rfc822":
            yield file.sha256 if file.sha256 in theirs else rewritten(file)
            yield from imap_tools_files(parse(file.content), theirs)
        elif file.content_id or not MADE_UP_NAME.fullmatch(file.filename):
            yield file.sha256


def rewritten(file: AttachedFile) -> str:
    return sha256(message_from_bytes(file.content).as_bytes()).hexdigest()


def test_imap_tools_headers_and_attachments(figures: Figures) -> None:
    compared = {name: imap_tools_differences(name, row) for name, row in imap_tools().items()}
    rows = {name: fields for name, fields in compared.items() if fields}
    print_table("imap_tools, headers and files", rows, IMAP_TOOLS_DIFFERS)
    equal = f"{len(compared) - len(rows)} of {len(compared)}"
    figures.add("imap_tools", "subject, from, to, cc and files equal", equal, "110 (see decision 15)")
    assert set(rows) == set(IMAP_TOOLS_DIFFERS)


def named(files: list[dict[str, Any]]) -> set[str]:
    own = [file for file in files if file["filename"] and not file["content_type"].startswith("message/")]
    return {file["payload"]["sha256"] for file in own}


def test_imap_tools_named_files_are_found_byte_for_byte(figures: Figures) -> None:
    missing = []
    for name, row in imap_tools().items():
        ours = {file.sha256 for file in imap_tools_mail(name).attachments}
        missing += [name] if named(row["attachments"]) - ours else []
    found = f"{len(imap_tools()) - len(missing)} of {len(imap_tools())}"
    figures.add("imap_tools", "mails whose named files are all there, byte for byte", found, "110")
    assert missing == ["attachment_emails/attachment_message_rfc822.eml"]  # it lies in a nested message


def with_nested(mail: Mail) -> Iterator[Mail]:
    """A mail and those attached to it, whose text the oracle adds to the outer mail's."""
    yield mail
    for file in mail.attachments:
        if file.content_type == "message/rfc822":
            yield from with_nested(parse(file.content))


def in_one_charset(html: str) -> str:
    """The oracle rewrites the charset that a page names for itself."""
    for label in ("windows-1251", "gb18030", "iso-8859-1", "us-ascii", "gb2312"):
        html = html.replace(f"charset={label}", "charset=utf-8")
        html = html.replace(f"charset={label.upper()}", "charset=utf-8")
    return html.replace("charset=UTF-8", "charset=utf-8")


def test_imap_tools_bodies(figures: Figures) -> None:
    rows, compared = {}, 0
    for name, expected in imap_tools().items():
        mails = tuple(with_nested(imap_tools_mail(name)))
        fields = []
        if expected["text"]:
            compared += 1
            ours = words(" ".join(mail.text for mail in mails))
            fields += ["text"] if ours != words(expected["text"]) else []
        if expected["html"]:
            compared += 1
            ours = in_one_charset(" ".join(mail.html or "" for mail in mails))
            fields += ["html"] if words(ours) != words(in_one_charset(expected["html"])) else []
        if fields:
            rows[name] = fields
    reasons = IMAP_TOOLS_DIFFERS | IMAP_TOOLS_BODIES_DIFFER
    print_table("imap_tools, bodies", rows, reasons)
    equal = f"{compared - sum(map(len, rows.values()))} of {compared}"
    figures.add("imap_tools", "text and HTML equal", equal, "the rest explained")
    assert set(rows) <= set(reasons)


# stalwart has a part tree beside each mail


def stalwart_addresses(value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, dict) or "Address" not in value:
        return []
    groups = value["Address"]
    boxes = groups["List"] if "List" in groups else [b for g in groups["Group"] for b in g["addresses"]]
    return [(words(box["name"]), box["address"]) for box in boxes if box["address"]]


def stalwart_file(body: dict[str, Any]) -> str:
    """A key of an attachment: words of text, a digest of bytes without CR, or that it is a message."""
    for kind in ("Text", "Html"):
        if kind in body:
            return words(body[kind])
    for kind in ("Binary", "InlineBinary"):
        if kind in body:
            return sha256(bytes(body[kind]).replace(b"\r", b"")).hexdigest()
    return "message"


def our_file(file: AttachedFile, like: str) -> str:
    if like == "message" and file.content_type.startswith("message/"):
        return "message"
    if sha256(file.content.replace(b"\r", b"")).hexdigest() == like:
        return like
    return words(charset.decode(file.content, "")[0])


def stalwart_differences(name: Path) -> list[str]:
    tree = json.loads(name.read_text())
    mail = parse(name.with_suffix(".eml").read_bytes())
    fields: dict[str, Any] = {}
    for header in tree["parts"][0]["headers"]:
        fields.setdefault(str(header["name"]), header["value"])
    subject = fields.get("subject")
    bodies = [tree["parts"][place]["body"] for place in tree["text_body"]]
    htmls = [tree["parts"][place]["body"].get("Html", "") for place in tree["html_body"]]
    files = [stalwart_file(tree["parts"][place]["body"]) for place in tree["attachments"]]
    pairs: dict[str, tuple[Any, Any]] = {
        "subject": (mail.subject, words(subject["Text"]) if isinstance(subject, dict) else ""),
        "from": (
            addresses((mail.from_,) if mail.from_ and mail.from_.address else ()),
            stalwart_addresses(fields.get("from")),
        ),
        "to": (addresses(mail.to), stalwart_addresses(fields.get("to"))),
        "cc": (addresses(mail.cc), stalwart_addresses(fields.get("cc"))),
        "html": (words(mail.html), words("\n".join(htmls))),
        "attachments": (
            [our_file(file, like or "") for file, like in zip_longest(mail.attachments, files) if file],
            files,
        ),
    }
    if all("Text" in body for body in bodies):
        pairs["text"] = (words(mail.text), words("\n".join(body["Text"] for body in bodies)))
    return [
        field for field, (ours, theirs) in pairs.items() if ours != theirs and "\ufffd" not in str(theirs)
    ]


def their_content(name: Path) -> Counter[str]:
    """The words and files of a mail, be the words in its text or in a file; other files as digests."""
    tree = json.loads(name.read_text())
    content: Counter[str] = Counter()
    for place in dict.fromkeys([*tree["text_body"], *tree["attachments"]]):
        for kind, body in tree["parts"][place]["body"].items():
            if kind == "Message":
                content[kind] += 1
            elif kind != "Html":
                raw = body.encode() if kind == "Text" else bytes(body)
                rest, files = uuencode.extract(raw)
                content.update(digest(file.content) for file in files)
                content.update(words(rest.decode()).split() if kind == "Text" or files else [digest(raw)])
    return content


def our_content(name: Path) -> Counter[str]:
    mail = parse(name.with_suffix(".eml").read_bytes())
    content = Counter(words(mail.text).split())
    for file in mail.attachments:
        content["Message" if file.content_type == "message/rfc822" else digest(file.content)] += 1
    return content


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def stalwart() -> dict[str, Path]:
    root = CORPORA / "stalwart" / "eml"
    return {str(name.relative_to(root)): name for name in sorted(root.glob("*/*.json"))}


def test_stalwart_part_trees(figures: Figures) -> None:
    compared = {name: stalwart_differences(path) for name, path in stalwart().items()}
    rows = {name: fields for name, fields in compared.items() if fields}
    print_table("stalwart", rows, STALWART_DIFFERS)
    equal = f"{len(compared) - len(rows)} of {len(compared)}"
    figures.add("stalwart", "subject, addresses, bodies and files equal", equal, "the rest explained")
    assert set(rows) == set(STALWART_DIFFERS)


def test_stalwart_words_and_files(figures: Figures) -> None:
    rows = {
        name for name in STALWART_DIFFERS if our_content(stalwart()[name]) != their_content(stalwart()[name])
    }
    equal = f"{len(stalwart()) - len(rows)} of {len(stalwart())}"
    figures.add("stalwart", "the same words and files, in whichever part", equal, "100 (see decision 15)")
    assert rows == OTHER_CONTENT


# every file of every set


def test_every_file_of_every_set_is_read_in_time(figures: Figures) -> None:
    everything: list[float] = []
    for name in SETS:
        taken = [seconds_to_read(path) for path in mails_of(name)]
        figures.add(name, "mean time a mail", f"{1000 * sum(taken) / len(taken):.2f} ms", "0.5 ms")
        figures.add(name, "worst time", f"{1000 * max(taken):.1f} ms", "2 s")
        everything += taken
    figures.add("all", "mails read", str(len(everything)), "no exception")
    figures.add("all", "mean time a mail", f"{1000 * sum(everything) / len(everything):.2f} ms", "0.5 ms")
    assert max(everything) < 2


def seconds_to_read(path: Path) -> float:
    raw = path.read_bytes()
    start = time.process_time()
    try:
        mail = parse(raw)
    except OverCaps as exc:
        mail = exc.envelope
    seconds = time.process_time() - start
    json.dumps([mail.subject, mail.text, mail.html, mail.notes]).encode("utf-8")
    return seconds

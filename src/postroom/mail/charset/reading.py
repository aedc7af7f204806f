"""Bytes to text as mail programs read them: labels that lie, unknown labels, encoded words (RFC 2047)."""

import binascii
import re

from postroom.mail.charset import guess as charset_guess
from postroom.mail.charset.labels import codec_of

_SINGLE_BYTE_WEST = frozenset({"us-ascii", "cp1252"})
_ESCAPE_TO_JAPANESE = re.compile(rb"\x1b\$[@B]|\x1b\([JI]")
_UTF8_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_UTF8_THREE = re.compile(rb"[\xe1-\xef][\x80-\xbf]{2}")
_EAST_ASIAN = frozenset(
    {"gb18030", "big5hkscs", "cp950", "cp949", "cp932", "euc_jp", "johab", "euc_jis_2004"}
)
_C1 = re.compile("[\x80-\x9f]")
_HIGH = re.compile(rb"[\x80-\xff]+")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(data: bytes, label: str = "") -> tuple[str, bool]:
    """Text of `data`, said to be in charset `label`, and whether the label had to be set aside.

    The text is storable: NULs are dropped, what cannot be read becomes U+FFFD. Line ends are kept.
    `gb2312` is read as GB 18030, `iso-8859-1` as Windows-1252 and so on, which is no repair: every
    mail program reads them so. Never raises.
    """
    codec = codec_of(label)
    if data.isascii() and (codec in _SINGLE_BYTE_WEST or codec == "utf-8"):
        text, repaired = _plain(data)
    else:
        text, repaired = _decode_as(data, codec)
    return storable(text), repaired


def storable(text: str) -> str:
    """`text` without NUL and with U+FFFD for lone surrogates: what SQLite and PostgreSQL take."""
    if (text.isascii() and "\0" not in text) or not _UNSTORABLE.search(text):
        return text
    return _SURROGATE.sub("\ufffd", text.replace("\0", ""))


def one_line(text: str) -> str:
    """`text` with every run of spaces, line ends and control characters as one space, trimmed.

    Spaces that a writer chose, such as a no-break or an ideographic one, stay between words.
    """
    if text.isascii() and text.isprintable():
        return text if "  " not in text and text.strip() == text else " ".join(text.split())
    return _BLANKS.sub(" ", text).strip()


_BLANKS = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def _plain(data: bytes) -> tuple[str, bool]:
    """ASCII bytes, which may still be Japanese in seven bits under a wrong label."""
    if b"\x1b" in data and _ESCAPE_TO_JAPANESE.search(data):
        return _forced(data, "iso2022_jp_ext"), True
    return data.decode("ascii"), False


def _decode_as(data: bytes, codec: str) -> tuple[str, bool]:
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return _marked(data, codec)
    if codec in _SINGLE_BYTE_WEST:
        return _decode_west(data, codec)
    if codec == "utf-8":
        return _decode_utf8(data)
    if codec in {"utf-16", "utf-16-le", "utf-16-be", "utf-32"}:
        return _decode_wide(data, codec)
    if _looks_utf8(data, codec):
        return data.decode("utf-8"), True
    try:
        return data.decode(codec), False
    except (UnicodeError, ValueError):
        return _decode_mislabelled(data, codec)


def _looks_utf8(data: bytes, codec: str) -> bool:
    """Several characters, all valid UTF-8: chance does not do that, a wrong label does.

    The two-byte sequences of UTF-8 are everyday characters of the East Asian charsets, so there only
    the three-byte ones count.
    """
    if codec in _EAST_ASIAN:
        enough = len(_UTF8_THREE.findall(data, 0, 4096)) >= 3
    else:
        enough = len(_UTF8_SEQUENCE.findall(data, 0, 4096)) >= 2
    if not enough:
        return False
    try:
        data.decode("utf-8")
    except UnicodeError:
        return False
    return True


def _marked(data: bytes, codec: str) -> tuple[str, bool]:
    """A byte order mark names the encoding better than any label."""
    if data.startswith(b"\xef\xbb\xbf"):
        text, damaged = _decode_utf8(data[3:])
        return text, damaged or codec not in {"utf-8", "us-ascii"}
    if codec.startswith(("utf-16", "utf-32", "us-ascii", "utf-8")):
        return data.decode("utf-16", "replace"), not codec.startswith("utf-16")
    return _forced(data, codec), False


def _decode_west(data: bytes, codec: str) -> tuple[str, bool]:
    """Western or no label at all: text that is valid UTF-8 is UTF-8, whatever the label says."""
    try:
        return _without_c1(data.decode("utf-8")), True
    except UnicodeError:
        pass
    if codec == "us-ascii" and (guessed := charset_guess.guess(data)) != "cp1252":
        return _forced(data, guessed), True
    return _cp1252(data), codec == "us-ascii"


def _without_c1(text: str) -> str:
    """Controls that nobody types are characters of Windows-1252 which were encoded as UTF-8 once more."""
    return _C1.sub(lambda found: _WINDOWS_1252[ord(found[0]) - 128], text) if _C1.search(text) else text


def _decode_utf8(data: bytes) -> tuple[str, bool]:
    try:
        return _without_c1(data.decode("utf-8")), False
    except UnicodeError:
        pass
    if _UTF8_SEQUENCE.search(data):
        return data.decode("utf-8", "replace"), True
    return _cp1252(data), True


def _decode_wide(data: bytes, codec: str) -> tuple[str, bool]:
    """UTF-16 without a mark is big endian by RFC 2781 and little endian in practice; few are either."""
    if b"\0" not in data:
        return _decode_utf8(data)[0], True
    if codec == "utf-16":
        little = data[1::2].count(0) >= data[0::2].count(0)
        codec = "utf-16-le" if little else "utf-16-be"
    return data.decode(codec, "replace"), False


def _decode_mislabelled(data: bytes, codec: str) -> tuple[str, bool]:
    """The label does not fit: UTF-8 when it is valid, else what the label gives with the bad bytes marked."""
    try:
        return data.decode("utf-8"), True
    except UnicodeError:
        return _forced(data, codec), True


def _forced(data: bytes, codec: str) -> str:
    try:
        return data.decode(codec, "replace")
    except (UnicodeError, ValueError):
        return _cp1252(data)


def _cp1252(data: bytes) -> str:
    """Windows-1252; its five undefined bytes become the control characters of the same number."""
    try:
        return data.decode("cp1252")
    except UnicodeError:
        return _HIGH.sub(_high_as_utf8, data).decode("utf-8")


def _high_as_utf8(run: re.Match[bytes]) -> bytes:
    return "".join(_WINDOWS_1252[byte - 128] for byte in run[0]).encode()


_WINDOWS_1252 = "".join(
    bytes([byte]).decode("latin-1" if byte in {0x81, 0x8D, 0x8F, 0x90, 0x9D} else "cp1252")
    for byte in range(128, 256)
)

_WORD_START = re.compile(r"=\?([^?\s=]{1,75})\?([bBqQ])\?")


def decode_header(value: str | bytes, hint: str = "") -> str:
    """A header value with its encoded words read (RFC 2047), as one line.

    Tolerant: words of one charset that follow each other are joined before they are decoded, so that a
    character cut between two of them survives; bad base64 is read as far as it goes; bytes outside
    ASCII are UTF-8, else charset `hint`, else Windows-1252. Linear in the length of `value`.
    """
    text = header_text(value, hint) if isinstance(value, bytes) else value
    if "=?" in text:
        text = _decode_words(text)
    return one_line(storable(text))


def decode_value(value: str) -> str:
    """As `decode_header`, of a value in which several spaces are not the same as one: a parameter's."""
    text = storable(_decode_words(value) if "=?" in value else value)
    return text.strip() if text.isprintable() else _CONTROL.sub(" ", text).strip()


def header_text(value: bytes, hint: str = "") -> str:
    """A raw header value as text, encoded words untouched: UTF-8, else charset `hint`, else Windows-1252."""
    if value.isascii():
        return value.decode("ascii")
    try:
        return value.decode("utf-8")
    except UnicodeError:
        return decode(value, hint)[0]


def _decode_words(text: str) -> str:
    """Splits `text` into plain stretches and runs of encoded words, and decodes the runs."""
    out: list[str] = []
    run: list[tuple[str, str, str]] = []
    position = 0
    while match := _WORD_START.search(text, position):
        end = _word_end(text, match)
        if end < 0:
            end = len(text)
            if any(char.isspace() for char in text[match.end() :]):
                break
        between = text[position : match.start()]
        if run and between and not between.isspace():
            out.append(_decode_run(run))
            run = []
        if not run:
            out.append(between)
        run.append((match[1], match[2].lower(), text[match.end() : end]))
        position = end + 2
    out.append(_decode_run(run))
    out.append(text[position:])
    return "".join(out)


def _word_end(text: str, start: re.Match[str]) -> int:
    """Where `?=` closes the word; -1 when nothing does. `?=3D` inside a Q word does not close it."""
    end = text.find("?=", start.end())
    if start[2] in "qQ":
        while end >= 0 and _HEX_AFTER.match(text, end + 2) and "?=" in text[end + 2 : end + 80]:
            following = text.find("?=", end + 2)
            if _WORD_START.search(text, end + 2, following + 1) or " " in text[end + 2 : following]:
                break
            end = following
    return end


_HEX_AFTER = re.compile("[0-9A-F]{2}")


def _decode_run(run: list[tuple[str, str, str]]) -> str:
    out: list[str] = []
    start = 0
    for index in range(1, len(run) + 1):
        if index == len(run) or run[index][0].lower() != run[start][0].lower():
            out.append(_decode_same(run[start:index]))
            start = index
    return "".join(out)


def _decode_same(run: list[tuple[str, str, str]]) -> str:
    """Encoded words of one charset that stand side by side."""
    if not run:
        return ""
    label = run[0][0].split("*", 1)[0]
    data: list[bytes] = []
    carried = ""
    for _, encoding, content in run:
        if encoding == "q":
            data.append(_base64(carried) + _q(content))
            carried = ""
            continue
        carried += "".join(content.split())
        if carried.endswith("=") or len(carried) % 4 == 0:
            data.append(_base64(carried))
            carried = ""
    data.append(_base64(carried))
    return decode(b"".join(data), label)[0]


def _q(content: str) -> bytes:
    """The Q encoding of RFC 2047 section 4.2; what is no hex pair stays as it is."""
    raw = content.replace("_", " ").encode("utf-8", "replace")
    return _HEX.sub(lambda pair: bytes([int(pair[1], 16)]), raw)


_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")


def _base64(content: str) -> bytes:
    """Base64 as far as it goes: padding added, a left-over sextet dropped."""
    if not content:
        return b""
    sextets = _NO_BASE64.sub("", content)
    if len(sextets) % 4 == 1:
        sextets = sextets[:-1]
    return binascii.a2b_base64(sextets + "=" * (-len(sextets) % 4))


_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/]")

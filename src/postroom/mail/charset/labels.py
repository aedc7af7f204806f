"""Which Python codec a charset label means, as mail programs read labels (WHATWG Encoding, and habit)."""

import re
from functools import lru_cache

_SYNONYMS = {
    "": "us-ascii",
    "ascii": "us-ascii",
    "us": "us-ascii",
    "usascii": "us-ascii",
    "ansi_x3.4-1968": "us-ascii",
    "646": "us-ascii",
    "7bit": "us-ascii",
    "8bit": "us-ascii",
    "binary": "us-ascii",
    "unknown": "us-ascii",
    "unknown-8bit": "us-ascii",
    "x-unknown": "us-ascii",
    "x-user-defined": "us-ascii",
    "default": "us-ascii",
    "default_charset": "us-ascii",
    "none": "us-ascii",
    "utf8": "utf-8",
    "utf": "utf-8",
    "unicode": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "x-utf-8": "utf-8",
    "utf8mb4": "utf-8",
    "utf-8mb4": "utf-8",
    "utf8-bom": "utf-8",
    "unicode-1-1-utf-7": "utf-7",
    "x-unicode-2-0-utf-7": "utf-7",
    "x-utf-7": "utf-7",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "l1": "cp1252",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso-88591": "cp1252",
    "iso88591": "cp1252",
    "iso_8859-1": "cp1252",
    "iso_8859_1": "cp1252",
    "iso-8859_1": "cp1252",
    "8859_1": "cp1252",
    "iso-8859-1-windows-3.1-latin-1": "cp1252",
    "cp819": "cp1252",
    "ansi": "cp1252",
    "ms-ansi": "cp1252",
    "ms-ee": "cp1250",
    "ms-cyrl": "cp1251",
    "latin-2": "iso8859-2",
    "latin-9": "iso8859-15",
    "windows-1252http-equivcontent-type": "cp1252",
    "iso-8859-9": "cp1254",
    "iso_8859-9": "cp1254",
    "iso8859-9": "cp1254",
    "latin5": "cp1254",
    "iso-8859-11": "cp874",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "tis620": "cp874",
    "windows-874": "cp874",
    "dos-874": "cp874",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "logical": "iso-8859-8",
    "visual": "iso-8859-8",
    "iso-8859-6-i": "iso-8859-6",
    "iso-8859-6-e": "iso-8859-6",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gb_2312": "gb18030",
    "gb2312-80": "gb18030",
    "gb": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "cp936": "gb18030",
    "ms936": "gb18030",
    "euc-cn": "gb18030",
    "x-euc-cn": "gb18030",
    "chinese": "gb18030",
    "csgb2312": "gb18030",
    "gb2312_charset": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs",
    "big5-hkscs:2004": "big5hkscs",
    "cn-big5": "big5hkscs",
    "x-x-big5": "big5hkscs",
    "csbig5": "big5hkscs",
    "big5-eten": "big5hkscs",
    "x-windows-950": "cp950",
    "ks_c_5601": "cp949",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601-1987-0": "cp949",
    "ks_c_5601-1989": "cp949",
    "ksc5601": "cp949",
    "ksc_5601": "cp949",
    "ksc5601-1987": "cp949",
    "ksc5601.1987": "cp949",
    "ks-c-5601-1987": "cp949",
    "korean": "cp949",
    "euc-kr": "cp949",
    "euckr": "cp949",
    "euc_kr": "cp949",
    "cseuckr": "cp949",
    "x-windows-949": "cp949",
    "uhc": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "shiftjis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "ms_kanji": "cp932",
    "csshiftjis": "cp932",
    "windows-31j": "cp932",
    "cswindows31j": "cp932",
    "mskanji": "cp932",
    "x-ms-cp932": "cp932",
    "cp943": "cp932",
    "cp943c": "cp932",
    "euc-jp": "euc_jp",
    "eucjp": "euc_jp",
    "x-euc-jp": "euc_jp",
    "x-euc": "euc_jp",
    "eucjp-ms": "euc_jp",
    "eucjp-win": "euc_jp",
    "euc-jp-ms": "euc_jp",
    "cp51932": "euc_jp",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso-2022-jp-1": "iso2022_jp_ext",
    "iso-2022-jp-ms": "iso2022_jp_ext",
    "cp50220": "iso2022_jp_ext",
    "cp50221": "iso2022_jp_ext",
    "cp50222": "iso2022_jp_ext",
    "csiso2022jp": "iso2022_jp_ext",
    "jis": "iso2022_jp_ext",
    "iso-2022-jp-2": "iso2022_jp_2",
    "koi8": "koi8-r",
    "cskoi8r": "koi8-r",
    "koi8r": "koi8-r",
    "koi8-ru": "koi8-u",
    "koi8u": "koi8-u",
    "macintosh": "mac-roman",
    "mac": "mac-roman",
    "x-mac-roman": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "x-mac-ce": "mac-latin2",
    "x-mac-greek": "mac-greek",
    "x-mac-turkish": "mac-turkish",
    "x-mac-japanese": "cp932",
    "x-mac-simp-chinese": "gb18030",
    "x-mac-chinesesimp": "gb18030",
    "x-mac-chinesetrad": "big5hkscs",
    "x-mac-korean": "cp949",
    "cp-850": "cp850",
    "utf-16": "utf-16",
    "ucs-2": "utf-16",
    "iso-10646-ucs-2": "utf-16",
}
# Code pages of Windows by number alone, and the numbers by which its fonts name the scripts they hold.
_SYNONYMS |= {
    "65001": "utf-8",
    "20127": "us-ascii",
    "20866": "koi8-r",
    "28591": "cp1252",
    "28592": "iso8859-2",
    "128": "cp932",
    "129": "cp949",
    "134": "gb18030",
    "136": "big5hkscs",
    "161": "cp1253",
    "162": "cp1254",
    "177": "cp1255",
    "178": "cp1256",
    "186": "cp1257",
    "204": "cp1251",
    "222": "cp874",
    "238": "cp1250",
}
# Codecs of the standard library that turn bytes into something else than text, or that are no charset.
_NO_CHARSETS = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "mbcs", "oem", "undefined"}
)
_LABEL = re.compile(r"[a-z0-9][a-z0-9._:+-]{0,60}", re.ASCII)
_WINDOWS = re.compile(
    r"(?:x-|cs)?(?:windows|win|microsoft-cp|ms|x-cp|cp|ibm|dos|code-?page)[-_ ]?(\d{3,5})", re.ASCII
)
_ISO = re.compile(r"iso[-_ ]?8859[-_ ]?(\d{1,2})(?:[-_:].*)?", re.ASCII)


@lru_cache(maxsize=256)
def codec_of(label: str) -> str:
    """The Python codec for a charset label; an unknown label gives "us-ascii", which claims nothing.

    White space and what follows as a comment are no part of a label, nor is a `=` that was encoded twice.
    """
    name = "".join(label.partition("(")[0].split()).strip("\"'<>").lower()
    name = name.split("*", 1)[0].removeprefix("charset=").removeprefix("3d").strip("\"';")
    if name in _SYNONYMS:
        return _SYNONYMS[name]
    if match := _ISO.fullmatch(name):
        return _SYNONYMS.get(f"iso-8859-{match[1]}", _known(f"iso8859-{int(match[1])}"))
    if match := _WINDOWS.fullmatch(name):
        return _SYNONYMS.get(f"cp{match[1]}", _known(f"cp{match[1]}"))
    return _known(name)


def _known(name: str) -> str:
    if not _LABEL.fullmatch(name) or name.replace("-", "_") in _NO_CHARSETS:
        return "us-ascii"
    try:
        b"a".decode(name, "replace")
    except (LookupError, ValueError):
        return "us-ascii"
    return name

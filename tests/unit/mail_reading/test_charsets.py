"""Bytes become the text that was meant, whatever the label says."""

import pytest

from postroom.mail.charset import decode, decode_header

GERMAN = "Grüße aus München"


@pytest.mark.parametrize(
    ("text", "codec", "label"),
    [
        (GERMAN, "utf-8", "UTF-8"),
        (GERMAN, "utf-8", '"utf8"'),
        (GERMAN, "utf-8", "utf-8; format=flowed"),
        (GERMAN, "cp1252", "ISO-8859-1"),
        (GERMAN, "cp1252", "iso_8859-1:1987"),
        ("“€” – š", "cp1252", "latin1"),
        ("“€” – š", "cp1252", "us-ascii"),
        ("ğış €", "cp1254", "iso-8859-9"),
        ("zażółć", "iso8859-2", "ISO8859-2"),
        ("zażółć", "cp1250", "x-cp1250"),
        ("Привет", "cp1251", "win-1251"),
        ("Привет", "koi8-r", "KOI8"),
        ("привіт ґ", "koi8-u", "koi8-ru"),
        ("שלום", "iso8859-8", "iso-8859-8-i"),
        ("สวัสดี", "cp874", "TIS-620"),
        ("朱镕基", "gb18030", "gb2312"),
        ("朱镕基", "gb18030", "x-gbk"),
        ("你好嘅", "big5hkscs", "big5"),
        ("髙島屋①", "cp932", "Shift_JIS"),
        ("日本語", "euc_jp", "x-euc-jp"),
        ("日本語ｶﾅ", "iso2022_jp_ext", "iso-2022-jp"),
        ("똠방각하", "cp949", "ks_c_5601-1987"),
        ("똠방각하", "cp949", "euc-kr"),
        ("日本語", "iso2022_jp_2", "iso-2022-jp-2"),
        ("日本語", "utf-16-be", "utf-16be"),
        ("日本語 and more", "utf-16", "ucs-2"),
        ("Smörgås", "mac-roman", "x-mac-roman"),
        ("Æther", "cp850", "ibm850"),
        ("Привет", "koi8-r", "koi8-r (Russian, 8 bit)"),
        ("Привет", "koi8-r", "koi8-r(russian)"),
        ("zażółć", "iso8859-2", "ISO - 8859 - 2"),
        ("zażółć", "iso8859-2", '3D"iso-8859-2"'),
        ("zażółć", "iso8859-2", "latin-2"),
        ("Œuvre €", "iso8859-15", "latin-9"),
        ("朱镕基", "gb18030", "GB2312_CHARSET"),
        ("“€” – š", "cp1252", "csWindows1252"),
        ("日本語", "euc_jp", "eucjp-win"),
        ("日本語", "euc_jp", "euc-jp-ms"),
        ("zażółć", "cp1250", "ms-ee"),
        ("Привет", "cp1251", "ms-cyrl"),
        ("日本語", "cp932", "IBM943"),
        ("日本語", "cp932", "cp943c"),
        ("日本語", "utf-7", "x-utf-7"),
        ("안녕", "cp949", "ks_c_5601-1987-0"),
        ("안녕", "cp949", "ksc5601.1987"),
        ("你好嘅", "big5hkscs", "big5-hkscs:2004"),
        ("Привет", "koi8-r", "20866"),
        ("zażółć", "iso8859-2", "28592"),
        ("日本", "cp932", "128"),
        ("사진", "cp949", "129"),
        ("电佛", "gb18030", "134"),
        ("圖書", "big5hkscs", "136"),
        ("γειά", "cp1253", "161"),
        ("ğış", "cp1254", "162"),
        ("שלום", "cp1255", "177"),
        ("مرحبا", "cp1256", "178"),
        ("ąčę", "cp1257", "186"),
        ("Привет", "cp1251", "204"),
        ("สวัสดี", "cp874", "222"),
        ("łąś", "cp1250", "238"),
    ],
)
def test_labels_mean_what_programs_mean_by_them(text: str, codec: str, label: str) -> None:
    assert decode(text.encode(codec), label)[0] == text


@pytest.mark.parametrize("label", ["65001", "utf8-bom", "utf-8 (unicode)"])
def test_other_names_of_utf8_are_no_repair(label: str) -> None:
    assert decode(GERMAN.encode(), label) == (GERMAN, False)


@pytest.mark.parametrize(
    ("text", "codec", "label"),
    [
        (GERMAN, "utf-8", "iso-8859-1"),
        (GERMAN, "utf-8", ""),
        (GERMAN, "cp1252", ""),
        (GERMAN, "cp1252", "utf-8"),
        ("Здравствуйте, ваш заказ", "utf-8", "koi8-r"),
        ("您好,您的订单已收到", "utf-8", "gb2312"),
        ("Здравствуйте! Спасибо за ваше письмо.", "koi8-r", ""),
        ("Здравствуйте! Спасибо за ваше письмо.", "cp1251", "unknown-8bit"),
        ("お世話になっております。ご確認ください。", "cp932", ""),
        ("お世話になっております。ご確認ください。", "euc_jp", "us-ascii"),
        ("您好,感谢您的来信。我们已经收到您的订单。", "gb18030", ""),
        ("안녕하세요. 문의해 주셔서 감사합니다.", "cp949", ""),
        ("日本語のメール", "iso2022_jp", "us-ascii"),
        ("résumé – naïve “café” don’t, it’s, we’re, I’m, you’d", "cp1252", ""),
    ],
)
def test_a_label_that_lies_is_set_aside_and_reported(text: str, codec: str, label: str) -> None:
    assert decode(text.encode(codec), label) == (text, True)


@pytest.mark.parametrize(
    "label", ["", "x-unknown", "utf-8", "utf-7", "gb2312", "big5", "iso-2022-jp", "hz", "utf-16", "euc-jp",
              "base64", "rot13", "zlib", "idna", "punycode", "unicode_escape", "\0", "a" * 10_000, "ü"]
)  # fmt: skip
def test_any_bytes_under_any_label_give_storable_text(label: str) -> None:
    data = bytes(range(256)) * 3 + b"\xed\xa0\x80\x1b$B\xff\xfe~{+AAA-\x00"
    text, _ = decode(data, label)
    assert "\0" not in text
    assert text.encode("utf-8")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain  words", "plain words"),
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?UTF-8?B?R3LDvMOfZQ==?= und mehr", "Grüße und mehr"),
        ("a =?utf-8?q?b?= c", "a b c"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a_?= \t =?utf-8?q?b?=", "a b"),
        ("=?utf-8?b?w7w=?=\t=?iso-8859-1?q?=FC?=", "üü"),
        ("=?utf-8?B?4pyF?==?utf-8?Q?_done?=", "✅ done"),
        ("=?utf-8?b?5pel5pys6A==?= =?utf-8?b?qp4=?=", "日本語"),
        ("=?utf-8?B?R3LDvM?= =?utf-8?B?OfZQ==?=", "Grüße"),
        ("=?utf-8*de?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        ("=?gb2312?B?1uzpRrv5?=", "朱镕基"),
        ("=?utf-8?Q?What?_is_this?=", "What? is this"),
        ("=?utf-8?Q?50=?=", "50="),
        ("=?nobody?q?=FC?=", "ü"),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        ("=? not =?one", "=? not =?one"),
        ("=?utf-8?Q?_Prix=C2=A0:_10=E2=80=AF=E2=82=AC_=C2=A0?=", "Prix\u00a0: 10\u202f€"),
        ("山田\u3000 \t太郎", "山田\u3000 太郎"),
        ("one\u0085two\u2029 three", "one two three"),
        ("one\r\n two\x0bthree\u2028four", "one two three four"),
        ("=?utf-8?q?one=0D=0ATo:_eve?=", "one To: eve"),
        ("=?utf-8?q?a=00b?=", "ab"),
        ("", ""),
    ],
)
def test_encoded_words_are_read(value: str, text: str) -> None:
    assert decode_header(value) == text


def test_raw_bytes_are_utf8_else_what_the_mail_says_else_western() -> None:
    assert decode_header("Grüße".encode()) == "Grüße"
    assert decode_header("Привет".encode("koi8-r"), "koi8-r") == "Привет"
    assert decode_header("Grüße".encode("cp1252")) == "Grüße"

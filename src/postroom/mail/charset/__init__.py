"""Bytes to text as mail programs read them."""

from postroom.mail.charset.reading import (
    decode,
    decode_header,
    decode_value,
    header_text,
    one_line,
    storable,
)

__all__ = ["decode", "decode_header", "decode_value", "header_text", "one_line", "storable"]

"""How a message belongs to a conversation: ids it cites, keys, subjects and the ids we sign ourselves.

Rules: RFC 5322 section 3.6.4 for the identification fields; B4, B6, D2 and D3 of the product. Pure.
"""

import hmac
import re
from base64 import b32encode
from collections.abc import Iterable, Sequence
from hashlib import sha256

from postroom.mail import charset
from postroom.mail.message import Mail

HOP_HEADER = "X-Postroom-Hop"
"""Field that our own mail carries, so that a message which comes back to us is known as ours."""

KEPT_REFERENCES = 20
"""How many of the newest References a reply keeps, beside the first one."""

_TAG_BYTES = 16
_TAG_LENGTH = 26  # 16 bytes in base32 without padding
_SIGNED = re.compile(
    rf"<?p\.(?P<unique>[^@<>\s]+)\.(?P<tag>[a-z2-7]{{{_TAG_LENGTH}}})@(?P<domain>[^@<>\s]+?)>?"
)

_REPLY = (
    "re|aw|antw|antwort|sv|vs|res|r|ris|rif|rép|rep|odp|odpověď|ynt|cevap|atb|bls|balas|"
    "отв|ответ|відп|на|απ|απάντηση|σχετ|vá|vast|trả lời|ตอบ|ตอบกลับ|"
    "השב|תשובה|رد|الرد|پاسخ|回复|回覆|答复|答覆|回信|返信|회신|답장|답변"
)
_FORWARD = (
    "fwd?|wg|weiterleitung|weitergeleitet|tr|transf|i|inol|rv|reenv|enc|doorst|doorgestuurd|"
    "vb|vl|vidare|videresendt|pd|podaj dalej|přep|ilt|i̇lt|пер|переслано|пересл|"
    "πρθ|προώθ|továbbítás|trs|chuyển tiếp|ส่งต่อ|הועבר|إعادة توجيه|转发|轉寄|轉發|転送|전달"
)
_COUNT = r"(?:\s?[\[(^]?\d{1,3}[\])]?)?"
_REPLY_PREFIX = re.compile(rf"\s*(?:{_REPLY}){_COUNT}\s?[:：]", re.IGNORECASE)
_ANY_PREFIX = re.compile(rf"\s*(?:{_REPLY}|{_FORWARD}){_COUNT}\s?[:：]", re.IGNORECASE)


def thread_key(
    message_id: str, references: Sequence[str], in_reply_to: Sequence[str], from_address: str
) -> str:
    """The source's name of a conversation (B6): the oldest id cited, else the message's own id.

    Ids come and go without angle brackets. A message without any id is named by its sender.
    """
    cited = next(iter([*references, *in_reply_to]), "")
    return cited or message_id or f"email:{from_address.lower()}"


def cited_ids(mail: Mail) -> tuple[str, ...]:
    """The message ids that `mail` cites: References, oldest first, then In-Reply-To; each once."""
    return tuple(dict.fromkeys([*mail.references, *mail.in_reply_to]))


def reply_references(
    parent_references: Sequence[str],
    parent_message_id: str,
    parent_in_reply_to: Sequence[str] = (),
) -> tuple[str, ...]:
    """The References of a reply (RFC 5322 section 3.6.4): the parent's, then the parent itself.

    A parent without References lends its In-Reply-To when that holds exactly one id. Ids are kept
    byte for byte and once each; of a long chain the first and the last twenty stay.
    """
    inherited: Sequence[str] = parent_references
    if not inherited and len(parent_in_reply_to) == 1:
        inherited = parent_in_reply_to
    chain = [id_ for id_ in dict.fromkeys(inherited) if id_ and id_ != parent_message_id]
    if parent_message_id:
        chain.append(parent_message_id)
    if len(chain) > KEPT_REFERENCES + 1:
        chain = [chain[0], *chain[-KEPT_REFERENCES:]]
    return tuple(chain)


def reply_subject(subject: str) -> str:
    """`subject` as a reply shows it: one line, `Re: ` once, whatever language said it before."""
    rest = _without(_REPLY_PREFIX, subject)
    return f"Re: {rest}" if rest else "Re:"


def is_reply_or_forward(mail: Mail) -> bool:
    """Whether `mail` cites another, or its subject says in any language that it answers or forwards one."""
    return bool(mail.in_reply_to or mail.references or _ANY_PREFIX.match(mail.subject))


def display_subject(subject: str) -> str:
    """`subject` for people: one line, without reply and forward prefixes. Never used to join mail."""
    return _without(_ANY_PREFIX, subject)


def _without(prefix: re.Pattern[str], subject: str) -> str:
    line = charset.one_line(subject)
    start = 0
    while found := prefix.match(line, start):
        start = found.end()
    return line[start:].strip()


def make_message_id(secret: bytes, thread_token: str, unique: str, domain: str) -> str:
    """A Message-ID of ours, without angle brackets: `p.{unique}.{tag}@{domain}`.

    The tag proves that we made the id, for that conversation (D3). `unique` must be a dot-atom.
    """
    return f"p.{unique}.{_tag(secret, 'message-id', unique, thread_token, domain.lower())}@{domain}"


def may_be_ours(message_id: str) -> bool:
    """Whether `message_id` (with or without angle brackets) has the form of those we make."""
    return _SIGNED.fullmatch(message_id) is not None


def signed_by_us(secret: bytes, message_id: str, thread_token: str) -> bool:
    """Whether `message_id` (with or without angle brackets) is one we made for that conversation."""
    found = _SIGNED.fullmatch(message_id)
    if found is None:
        return False
    parts = ("message-id", found["unique"], thread_token, found["domain"].lower())
    return hmac.compare_digest(found["tag"], _tag(secret, *parts))


def hop_value(secret: bytes, site_id: str) -> str:
    """The value of `HOP_HEADER` on mail of this site; it tells others nothing about the site."""
    return _tag(secret, "hop", site_id)


def has_own_hop(mail: Mail, secret: bytes, site_id: str) -> bool:
    """Whether `mail` is one that this site sent and that came back."""
    own = hop_value(secret, site_id).encode()
    values = (value.strip().encode("utf-8", "replace") for value in mail.headers.all(HOP_HEADER))
    return any(hmac.compare_digest(value, own) for value in values)


def _tag(secret: bytes, *parts: str) -> str:
    message = _joined(parts)
    digest = hmac.new(secret, message, sha256).digest()[:_TAG_BYTES]
    return b32encode(digest).decode("ascii").rstrip("=").lower()


def content_key(mail: Mail) -> str:
    """Digest of what was written (D2): the text with white space collapsed, as lower-case hex.

    A message without text is told by its attachments, else any two of them would look the same.
    """
    return text_key(mail.text, () if mail.text.strip() else tuple(file.sha256 for file in mail.attachments))


def text_key(text: str, files: Sequence[str] = ()) -> str:
    """`content_key` of this text, with the digests of the files when it is empty."""
    return sha256(_joined((" ".join(text.split()), *files))).hexdigest()


def identity_key(mail: Mail) -> str:
    """Digest that is equal for copies of one message (D2), as lower-case hex.

    Message-ID, From and text; without a Message-ID: From, Date, Subject and text.
    """
    sender = mail.from_.address.lower() if mail.from_ else ""
    if mail.message_id:
        return sha256(_joined(("id", mail.message_id, sender, content_key(mail)))).hexdigest()
    date = mail.date.isoformat() if mail.date else ""
    return sha256(_joined(("no-id", sender, date, mail.subject, content_key(mail)))).hexdigest()


def _joined(parts: Iterable[str]) -> bytes:
    """The parts as bytes that no other parts give: each carries its length."""
    encoded = (part.encode("utf-8", "surrogatepass") for part in parts)
    return b"".join(b"%d:%b" % (len(part), part) for part in encoded)

"""Our own mail as the message that is stored of it; its bytes are not read back where that says the same."""

import re
from dataclasses import replace
from hashlib import sha256

from postroom.core.model import Direction, Message, MessageState, Source, TrustLevel, new_id
from postroom.engine.read import Arrived, read
from postroom.mail import thread
from postroom.mail.compose import Draft, clean_text

# What reading takes out of a text: uuencoded files, and characters that nobody sees (tags, byte order marks).
_CHANGED_BY_READING = re.compile("(?im)^begin|[\ufeff\U000e0000-\U000e0fff]")


def sent_message(site_id: str, thread_id: str, draft: Draft, raw: bytes, secret: bytes) -> Message:
    """The stored form of a draft whose bytes are `raw`, sent in this conversation at the draft's date."""
    text = clean_text(draft.text)
    if draft.attachments or _CHANGED_BY_READING.search(text):
        arrived = Arrived(Source.OURS, raw, draft.date, len(raw))
        message = read(site_id, arrived, (), secret, draft.date).message
    else:
        message = _written(site_id, draft, text, len(raw))
    return replace(
        message,
        thread_id=thread_id,
        direction=Direction.OUT,
        state=MessageState.SENT,
        trust=TrustLevel.VERIFIED,
        automatic="",
        raw=sha256(raw).hexdigest(),
    )


def _written(site_id: str, draft: Draft, text: str, size: int) -> Message:
    return Message(
        id=new_id("msg", draft.date),
        site_id=site_id,
        thread_id="",
        direction=Direction.OUT,
        source=Source.OURS,
        message_id=draft.message_id,
        in_reply_to=(draft.in_reply_to,) if draft.in_reply_to else (),
        references=draft.references,
        sender=draft.from_,
        reply_to=draft.reply_to,
        to=draft.to,
        cc=draft.cc,
        subject=draft.subject,
        date=draft.date.replace(microsecond=0),
        received_at=draft.date,
        text=text,
        new_text=text,
        html=draft.html,
        attachments=(),
        trust=TrustLevel.VERIFIED,
        content_key=thread.text_key(text),
        raw="",
        size=size,
        state=MessageState.SENT,
    )

"""Mailboxes over IMAP: `core.ports.MailAccess` and `MailSession` on our own client.

Nothing else imports `postroom.imap`.
"""

from postroom.adapters.mailbox.access import ImapAccess

__all__ = ["ImapAccess"]

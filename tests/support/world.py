"""A mail world on loopback: Dovecot (IMAP, LMTP) and Postfix (submission), beside the system's own.

Every address of every domain is a mailbox with the password `pw`; a submitted mail lands in the recipient's,
but Postfix refuses `nobody@` for good and `later@` for now.
Import the fixture `world` in a conftest, or use `running_world()`; it needs root and both packages.
"""

import grp
import os
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from postroom.core.model import Login, Server
from postroom.core.settings import Security
from tests.support.certificates import CertificateAuthority

PASSWORD = "pw"
PATIENCE = 20.0
"""Seconds within which the servers have to listen, and to be gone."""

_QUEUES = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush"),
    *("hold", "incoming", "private", "saved", "trace"),
)


class NoWorld(Exception):
    """Dovecot and Postfix cannot be started here; the text says why."""


@dataclass
class World:
    """The running servers. `root` holds configuration, logs and mail."""

    root: Path
    imap: int
    imaps: int
    lmtp: int
    submission: int
    smtps: int
    ca_file: Path
    _servers: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def imap_login(self, user: str, *, security: Security = "tls", password: str = PASSWORD) -> Login:
        """A login to the mailbox of this address."""
        port = self.imaps if security == "tls" else self.imap
        return Login(Server("localhost", port, security, trusted=True), user, password)

    def smtp_login(self, user: str, *, security: Security = "starttls", password: str = PASSWORD) -> Login:
        """A login for submission as this address."""
        port = self.smtps if security == "tls" else self.submission
        return Login(Server("localhost", port, security, trusted=True), user, password)

    def deliver(self, recipient: str, raw: bytes, sender: str = "someone@example.test") -> None:
        """Put a message into a mailbox by LMTP, as a mail server would."""
        with smtplib.LMTP("127.0.0.1", self.lmtp) as lmtp:
            lmtp.sendmail(sender, [recipient], raw)

    def fill(self, user: str, raws: Sequence[bytes]) -> None:
        """Put many messages at once into an INBOX that has had one delivered before, past all servers."""
        folder = self.root / "mail" / user / "Maildir" / "new"
        owner = folder.stat()
        for number, raw in enumerate(raws):
            path = folder / f"{int(time.time())}.M{number:06}Q{uuid4().hex}.filled"
            path.write_bytes(raw.replace(b"\r\n", b"\n"))
            os.chown(path, owner.st_uid, owner.st_gid)

    def messages(self, user: str, folder: str = "INBOX") -> list[bytes]:
        """What lies in a mailbox, oldest first, read from the disk with LF line ends."""
        maildir = self.root / "mail" / user / "Maildir"
        if folder != "INBOX":
            maildir = maildir / f".{folder}"
        files = [path for name in ("new", "cur") for path in (maildir / name).glob("*")]
        return [path.read_bytes() for path in sorted(files, key=lambda path: path.name)]

    def until_messages(self, user: str, count: int, folder: str = "INBOX") -> list[bytes]:
        """The messages of a mailbox once there are so many. Raises `TimeoutError`."""
        ends = time.monotonic() + PATIENCE
        while len(found := self.messages(user, folder)) < count:
            if time.monotonic() > ends:
                raise TimeoutError(f"{len(found)} of {count} messages")
            time.sleep(0.01)
        return found

    def start_dovecot(self) -> None:
        """Start Dovecot (again) and return when it listens."""
        command = ["dovecot", "-F", "-c", str(self.root / "conf" / "dovecot.conf")]
        self._start("dovecot", command, (self.imap, self.imaps, self.lmtp))

    def stop_dovecot(self) -> None:
        """Stop Dovecot with all connections that it has."""
        self._stop("dovecot")

    def start_postfix(self) -> None:
        """Start Postfix (again) and return when it listens."""
        daemons = subprocess.run(
            ["postconf", "-h", "daemon_directory"], check=True, capture_output=True, text=True
        ).stdout.strip()
        command = [f"{daemons}/master", "-c", str(self.root / "conf")]
        self._start("postfix", command, (self.submission, self.smtps))

    def stop_postfix(self) -> None:
        """Stop Postfix."""
        self._stop("postfix")

    def stop(self) -> None:
        """Stop everything and remove it from the disk."""
        for name in tuple(self._servers):
            self._stop(name)
        shutil.rmtree(self.root, ignore_errors=True)

    def _start(self, name: str, command: list[str], ports: tuple[int, ...]) -> None:
        with (self.root / "log" / f"{name}.out").open("ab") as log:
            # A process group of its own: Dovecot's children outlive their master otherwise.
            self._servers[name] = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        for port in ports:
            _until_listening(port, self._servers[name])

    def _stop(self, name: str) -> None:
        server = self._servers.pop(name)
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(PATIENCE)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(PATIENCE)


@contextmanager
def running_world() -> Iterator[World]:
    """A world of its own, stopped at the end. Raises `NoWorld`."""
    _check_possible()
    # A short path (sockets have 108 bytes) outside pytest's 0700 folders, which other users cannot pass.
    root = Path(tempfile.mkdtemp(prefix="mw-", dir="/tmp"))
    world = None
    try:
        world = _laid_out(root)
        world.start_dovecot()
        world.start_postfix()
        yield world
    finally:
        if world is not None:
            world.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Dovecot and Postfix for the whole run, or a skip that says why not."""
    try:
        with running_world() as running:
            yield running
    except NoWorld as exc:
        pytest.skip(f"no Dovecot and Postfix here: {exc}")


def _check_possible() -> None:
    if os.geteuid() != 0:
        raise NoWorld("their tests have to run as root")
    missing = [name for name in ("dovecot", "postconf") if shutil.which(name) is None]
    if missing:
        raise NoWorld(
            f"not installed: {', '.join(missing)} (apt-get install dovecot-imapd dovecot-lmtpd postfix)"
        )


def _laid_out(root: Path) -> World:
    root.chmod(0o755)
    for name in ("run", "state", "log", "tls", "conf", "queue"):
        (root / name).mkdir()
    _owned(root / "mail", "mail", "mail", 0o755)
    _owned(root / "data", "postfix", "postfix", 0o755)
    authority = CertificateAuthority(root / "tls")
    server = authority.localhost()
    imap, imaps, lmtp, submission, smtps = _free_ports(5)
    world = World(root, imap, imaps, lmtp, submission, smtps, authority.ca_file)
    _write_configuration(world, server.certificate, server.key)
    _lay_out_queue(root / "queue")
    return world


def _owned(folder: Path, user: str, group: str, mode: int) -> None:
    folder.mkdir()
    os.chown(folder, pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid)
    folder.chmod(mode)


def _lay_out_queue(queue: Path) -> None:
    """What `postfix check` would make, for a second each time."""
    for name in _QUEUES:
        _owned(queue / name, "postfix", "root", 0o700)
    (queue / "pid").mkdir(mode=0o755)
    _owned(queue / "public", "postfix", "postdrop", 0o710)
    _owned(queue / "maildrop", "postfix", "postdrop", 0o1730)


def _write_configuration(world: World, certificate: Path, key: Path) -> None:
    values = {
        "root": world.root,
        "certificate": certificate,
        "key": key,
        "imap": world.imap,
        "imaps": world.imaps,
        "lmtp": world.lmtp,
        "submission": world.submission,
        "smtps": world.smtps,
    }
    texts = {
        "dovecot.conf": _DOVECOT,
        "main.cf": _POSTFIX_MAIN,
        "master.cf": _POSTFIX_MASTER,
        "recipients": _REFUSED_RECIPIENTS,
    }
    for name, text in texts.items():
        path = world.root / "conf" / name
        for key_word, value in values.items():
            text = text.replace(f"<{key_word}>", str(value))
        path.write_text(text)
        # Postfix waits with a fresh configuration until it is a second old, in every process.
        os.utime(path, (0, 0))


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _until_listening(port: int, server: "subprocess.Popen[bytes]") -> None:
    ends = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if server.poll() is not None or time.monotonic() > ends:
            raise RuntimeError(f"a server of the mail world does not listen on port {port}")
        time.sleep(0.01)


_DOVECOT = """\
base_dir = <root>/run
state_dir = <root>/state
log_path = <root>/log/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = required
ssl_cert = <<certificate>
ssl_key = <<key>
auth_mechanisms = plain login
auth_failure_delay = 0
default_client_limit = 20000
mail_max_userip_connections = 0
first_valid_uid = 1
mail_location = maildir:<root>/mail/%u/Maildir
recipient_delimiter = +
passdb {
  driver = static
  args = password=pw
}
userdb {
  driver = static
  args = uid=mail gid=mail home=<root>/mail/%u allow_all_users=yes
}
namespace inbox {
  inbox = yes
  mailbox Sent {
    auto = subscribe
    special_use = \\Sent
  }
  mailbox Junk {
    auto = create
    special_use = \\Junk
  }
}
service imap-login {
  inet_listener imap {
    port = <imap>
  }
  inet_listener imaps {
    port = <imaps>
    ssl = yes
  }
  service_count = 0
  client_limit = 5000
  process_limit = 2
  process_min_avail = 2
}
service imap {
  service_count = 0
  client_limit = 50
}
service lmtp {
  inet_listener lmtp {
    port = <lmtp>
  }
}
service auth {
  unix_listener auth-smtp {
    mode = 0666
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
"""

_POSTFIX_MAIN = """\
compatibility_level = 3.6
queue_directory = <root>/queue
data_directory = <root>/data
maillog_file = <root>/log/postfix.log
maillog_file_prefixes = <root>
myhostname = mx.example.test
mydestination =
local_recipient_maps =
local_transport = error:5.1.1 no local users
alias_maps =
alias_database =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks =
smtp_dns_support_level = disabled
lmtp_dns_support_level = disabled
smtpd_peername_lookup = no
default_transport = lmtp:inet:127.0.0.1:<lmtp>
lmtp_destination_recipient_limit = 1
smtpd_tls_cert_file = <certificate>
smtpd_tls_key_file = <key>
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = <root>/run/auth-smtp
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access regexp:<root>/conf/recipients, permit
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
local_header_rewrite_clients =
service_throttle_time = 1s
queue_run_delay = 2s
minimal_backoff_time = 2s
maximal_backoff_time = 4s
fast_flush_domains =
"""

_REFUSED_RECIPIENTS = """\
/^nobody@/ 550 5.1.1 no such user
/^later@/ 450 4.2.0 greylisted
"""

_POSTFIX_MASTER = """\
127.0.0.1:<submission> inet n - n - - smtpd
127.0.0.1:<smtps> inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup   unix       n - n - 0 cleanup
qmgr      unix       n - n 300 1 qmgr
tlsmgr    unix       - - n 1000? 1 tlsmgr
rewrite   unix       - - n - - trivial-rewrite
bounce    unix       - - n - 0 bounce
defer     unix       - - n - 0 bounce
trace     unix       - - n - 0 bounce
proxymap  unix       - - n - - proxymap
lmtp      unix       - - n - - lmtp
error     unix       - - n - - error
retry     unix       - - n - - error
discard   unix       - - n - - discard
anvil     unix       - - n - 1 anvil
scache    unix       - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

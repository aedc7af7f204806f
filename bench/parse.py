"""Reading a mail: `postroom.mail.parse` against the standard library's parser alone; and hostile mail.

`python -m bench.parse [rounds]`. The mails are those in ../shared/corpora where it is, else those in
tests/corpus. The floor reads the same bytes with `policy.compat32` and decodes every part; it repairs
nothing. Hostile mails go through everything that is done with a mail before it is stored.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email import policy
from email.parser import BytesParser
from pathlib import Path
from statistics import mean

from bench.figures import Aim, Figure, quantile, report
from postroom.core.model import Source
from postroom.engine.read import Arrived, read
from postroom.mail.parse import OverCaps, parse

ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT.parent / "shared" / "corpora", ROOT / "tests" / "corpus")
NOW = datetime(2025, 3, 1, tzinfo=UTC)
MEAN = Aim("≤ 0.5 ms", "at most", 0.5)
WORST = Aim("≤ 2 s", "at most", 2000)


def bench(rounds: int) -> None:
    """Measure and report."""
    folder = next(folder for folder in FOLDERS if folder.is_dir())
    raws = [path.read_bytes() for path in sorted(folder.rglob("*.eml"))]
    ours, floor, everything = [], [], []
    for raw in raws:
        ours.append(_best(_ours, raw, rounds))
        floor.append(_best(_floor, raw, rounds))
        everything.append(_best(_everything, raw, rounds))
    hostile = {name: _best(_everything, raw, 2) for name, raw in _hostile().items()}
    print("hostile mails:", ", ".join(f"{name} {taken:.0f} ms" for name, taken in hostile.items()))
    setting: dict[str, str | int | float] = {
        "mails": len(raws),
        "from": folder.name,
        "MB": round(sum(map(len, raws)) / 1e6, 1),
        "rounds (best counts)": rounds,
    }
    report("parse", setting, _figures(ours, floor, everything, hostile))


def _figures(
    ours: Sequence[float],
    floor: Sequence[float],
    everything: Sequence[float],
    hostile: Mapping[str, float],
) -> list[Figure]:
    return [
        Figure("read a mail, mean", "ms", mean(ours), mean(floor), MEAN),
        Figure("read a mail, p50", "ms", quantile(ours, 0.5), quantile(floor, 0.5)),
        Figure("read a mail, p95", "ms", quantile(ours, 0.95), quantile(floor, 0.95)),
        Figure("read a mail, worst", "ms", max(ours), max(floor), WORST),
        Figure("read, quotation apart, sender judged, mean", "ms", mean(everything), mean(floor)),
        Figure("read, quotation apart, sender judged, worst", "ms", max(everything), max(floor), WORST),
        Figure("worst of hostile mails", "ms", max(hostile.values()), 0, WORST),
    ]


def _best(reading: Callable[[bytes], object], raw: bytes, rounds: int) -> float:
    """Milliseconds of the best of some rounds: what the machine's other work does not disturb."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        reading(raw)
        best = min(best, time.perf_counter() - begun)
    return best * 1000


def _ours(raw: bytes) -> None:
    with suppress(OverCaps):
        parse(raw)


def _floor(raw: bytes) -> None:
    message = BytesParser(policy=policy.compat32).parsebytes(raw)
    for part in message.walk():
        if not part.is_multipart():
            with suppress(ValueError):  # one of its own faults: broken base64
                part.get_payload(decode=True)


def _everything(raw: bytes) -> None:
    read("site", Arrived(Source.MAILBOX, raw, NOW, len(raw)), (), b"secret", NOW)


def _hostile() -> dict[str, bytes]:
    """Mails made to take long: each hung or broke a parser that people use."""
    top = b"From: a@example.test\r\nTo: b@example.test\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
    multipart = top + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    nested = b"".join(
        b'Content-Type: multipart/mixed; boundary="n%d"\r\n\r\n--n%d\r\n' % (n, n) for n in range(900)
    )
    html = top + b"Content-Type: text/html\r\n\r\n"
    return {
        "2 MB of empty parts": multipart + b"--b\r\n\r\n" * 260_000,
        "multiparts 900 deep": top + nested,
        "1,000 ( in From": top.replace(b"From: ", b"From: " + b"(" * 1000) + b"\r\nx",
        "60 KB of On On On": top + b"\r\n" + b"On " * 20_000,
        "1 MB of <div>": html + b"<div>" * 200_000,
        "10 MB of text": top + b"\r\n" + b"words and words and words again\r\n" * 312_500,
        "200,000 recipients": top.replace(b"To: ", b"To: " + b"c@example.test, " * 200_000) + b"\r\nx",
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=5)
    bench(parser.parse_args().rounds)


if __name__ == "__main__":
    main()

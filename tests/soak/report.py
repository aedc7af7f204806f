"""What the soak came to, as a table, and whether it held."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tests.soak.account import SoakAccount


def verdict(
    accounts: Sequence[SoakAccount], answers: Counter[str], answered_at: Mapping[str, float]
) -> tuple[list[tuple[str, str]], bool]:
    """Rows of the table, and whether everything that was promised was kept."""
    mails = [name for account in accounts for name in account.delivered]
    ghosts = [name for account in accounts for name in account.ghosts]
    never = [name for name in mails if not answers[name]]
    twice = [name for name in (*mails, *ghosts) if answers[name] > 1]
    flags = set().union(*(account.box.counts.flags for account in accounts))
    most = max(account.proxy.most_open for account in accounts)
    rows = [
        ("mails delivered", str(len(mails))),
        ("answered exactly once", str(sum(answers[name] == 1 for name in mails))),
        ("answered never", f"{len(never)} {' '.join(never[:3])}".strip()),
        ("answered more than once", f"{len(twice)} {' '.join(twice[:3])}".strip()),
        ("expunged at once: answered / of", f"{sum(answers[n] for n in ghosts)} / {len(ghosts)}"),
        ("flags changed by us", " ".join(sorted(flags)) or "none"),
        ("most connections of an account", str(most)),
        ("connections in all", str(sum(account.proxy.connections for account in accounts))),
        ("bodies fetched a mail", f"{_bodies(accounts) / max(len(mails) + len(ghosts), 1):.2f}"),
        *_latencies(accounts, answered_at),
        *((f"fault: {kind}", str(count)) for kind, count in sorted(_faults(accounts).items())),
    ]
    held = not never and not twice and flags <= {"\\Answered"} and most <= 2
    return rows, held


def _bodies(accounts: Sequence[SoakAccount]) -> int:
    found = (account.box.counts.bodies for account in accounts)
    return sum(count for bodies in found for (name, _), count in bodies.items() if name == "INBOX")


def _faults(accounts: Sequence[SoakAccount]) -> Counter[str]:
    return sum((account.faults for account in accounts), Counter())


def _latencies(accounts: Sequence[SoakAccount], answered_at: Mapping[str, float]) -> list[tuple[str, str]]:
    everything, calm = [], []
    for account in accounts:
        for name, delivered in account.delivered.items():
            if name in answered_at:
                everything.append(answered_at[name] - delivered)
                if name in account.undisturbed:
                    calm.append(answered_at[name] - delivered)
    return [
        ("delivered to answered, undisturbed", _percentiles(calm)),
        ("delivered to answered, all", _percentiles(everything)),
    ]


def _percentiles(seconds: list[float]) -> str:
    if not seconds:
        return "-"
    ranked = sorted(seconds)
    p50, p95 = ranked[len(ranked) // 2], ranked[int(len(ranked) * 0.95)]
    return f"p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms, most {ranked[-1]:.1f} s (of {len(ranked)})"

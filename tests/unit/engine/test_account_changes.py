"""What a worker does with its watchers after a round."""

from collections.abc import Mapping

import pytest

from postroom.core.shares import HeldSite, Holding
from postroom.engine.shares import Changes, plan_changes


def held(*names: str, without_account: str = "") -> tuple[HeldSite, ...]:
    """Accounts that are ours; `b2` is `b` with token 2."""
    return tuple(HeldSite(holding(name), 1, account=name != without_account) for name in names)


def holding(name: str) -> Holding:
    return Holding(name[0], "me", int(name[1:] or 1))


def watched(*names: str) -> Mapping[str, Holding]:
    return {name[0]: holding(name) for name in names}


def told(changes: Changes) -> tuple[str, str, str]:
    begin, give_up = ("".join(h.site_id for h in found) for found in (changes.begin, changes.give_up))
    return begin, "".join(changes.drop), give_up


@pytest.mark.parametrize(
    ("before", "parting", "ours", "share", "expected"),
    [
        ((), "", ("a", "b"), 2, ("ab", "", "")),
        (("a", "b"), "", ("a", "b"), 2, ("", "", "")),
        (("a", "b", "c"), "", ("a", "b", "c"), 2, ("", "", "c")),
        (("b", "c"), "a", ("a", "b", "c"), 2, ("", "", "")),
        (("c",), "a", ("a", "c"), 2, ("", "", "")),
        (("a", "b"), "", ("a",), 2, ("", "b", "")),
        (("a",), "", ("a2",), 1, ("", "a", "")),
        ((), "a", ("a2",), 1, ("", "", "")),
        ((), "", ("a", "b", "c"), 1, ("a", "", "bc")),
    ],
    ids=[
        "the first round begins everything",
        "nothing has changed",
        "what is above the share is given up",
        "what is on its way out already counts",
        "what is on its way out is not begun",
        "what is another's is dropped",
        "an older token is dropped first",
        "and begun when its watcher has ended",
        "what is above the share is not even begun",
    ],
)
def test_changes_after_a_round(
    before: tuple[str, ...], parting: str, ours: tuple[str, ...], share: int, expected: tuple[str, str, str]
) -> None:
    assert told(plan_changes(watched(*before), parting, held(*ours), share)) == expected


def test_a_site_without_an_account_is_given_back_beside_the_share() -> None:
    changes = plan_changes(watched("a", "b"), "", held("a", "b", without_account="a"), 1)
    assert told(changes) == ("", "", "a")

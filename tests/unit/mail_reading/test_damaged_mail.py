"""Mail damaged at random is read, or refused by its size; nothing else (`make fuzz` is the long run)."""

from tests.fuzz_reading import OWN_MAILS, run, seeds


def test_damaged_mail_never_raises_and_is_always_storable() -> None:
    own = [file.read_bytes() for file in sorted(OWN_MAILS.rglob("*.eml"))]
    outcome = run(own, count=1_500, seed=20_250_304)
    assert outcome.count == 1_500
    assert outcome.faults == ()


def test_the_long_run_has_our_own_mails_at_least() -> None:
    assert len(seeds()) >= len(list(OWN_MAILS.rglob("*.eml")))

"""Secrets at rest: what a vault must and must not open."""

import base64

import pytest

from postroom.adapters.vault import EnvelopeVault, KeyRing, SecretError, canary, check_canary, make_key
from postroom.core.errors import PostroomError

GOOD = base64.b64encode(bytes(range(32))).decode()
CONTEXT = ("site-1", "email", "agent@example.test")


def vault(*keys: str) -> EnvelopeVault:
    return EnvelopeVault(KeyRing.parse(",".join(keys)))


@pytest.mark.parametrize("value", ["", "pw", "pässwörd ✉", "x" * 100_000, "a\x00b\r\nc"])
def test_a_secret_comes_back_as_it_was(value: str) -> None:
    a_vault = vault(make_key())
    assert a_vault.open(a_vault.seal(value, CONTEXT), CONTEXT) == value


def test_a1_the_envelope_names_version_and_key_and_shows_nothing_else() -> None:
    key = make_key()
    sealed = vault(key).seal("correct horse", CONTEXT)
    version, key_id, data_key, value = sealed.split(".")
    assert (version, len(key_id)) == ("v1", 8)
    for part in (data_key, value):
        assert b"correct horse" not in base64.urlsafe_b64decode(part + "==")
    assert key not in sealed


def test_equal_secrets_have_different_envelopes() -> None:
    a_vault = vault(make_key())
    assert len({a_vault.seal("pw", CONTEXT) for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "other",
    [
        ("site-2", "email", "agent@example.test"),
        ("site-1", "incoming", "agent@example.test"),
        ("site-1", "email", "other@example.test"),
        ("site-1", "emailagent@example.test", ""),
        ("site-1email", "agent@example.test"),
        ("site-1", "email", "agent@example.test", ""),
        (),
    ],
)
def test_a1_an_envelope_opens_only_for_its_site_type_and_identifier(other: tuple[str, ...]) -> None:
    a_vault = vault(make_key())
    sealed = a_vault.seal("pw", CONTEXT)
    with pytest.raises(SecretError) as caught:
        a_vault.open(sealed, other)
    assert (caught.value.code, caught.value.temporary) == ("damaged_secret", False)


def test_every_changed_character_is_noticed() -> None:
    a_vault = vault(make_key())
    sealed = a_vault.seal("pw", CONTEXT)
    for place in range(len(sealed)):
        changed = sealed[:place] + ("A" if sealed[place] != "A" else "B") + sealed[place + 1 :]
        if _same_bytes(sealed, changed):
            continue
        with pytest.raises(SecretError):
            a_vault.open(changed, CONTEXT)


def _same_bytes(one: str, other: str) -> bool:
    """The last character of base64 has spare bits; a change in those is no change."""
    try:
        return [base64.urlsafe_b64decode(part + "==") for part in one.split(".")[2:]] == [
            base64.urlsafe_b64decode(part + "==") for part in other.split(".")[2:]
        ] and one.split(".")[:2] == other.split(".")[:2]
    except ValueError:
        return False


@pytest.mark.parametrize(
    "sealed", ["", "v1", "v1...", "v2.a.b.c", "plain text", "v1.00000000.é.é", "v1.a.b.c.d"]
)
def test_what_is_no_envelope_is_refused_in_words(sealed: str) -> None:
    with pytest.raises(SecretError):
        vault(make_key()).open(sealed, CONTEXT)


def test_a_key_out_of_the_ring_is_named_as_the_cause() -> None:
    sealed = vault(make_key()).seal("pw", CONTEXT)
    with pytest.raises(SecretError) as caught:
        vault(make_key()).open(sealed, CONTEXT)
    assert caught.value.code == "wrong_key"


def test_rotation_goes_on_without_a_gap() -> None:
    old, new = make_key(), make_key()
    sealed = vault(old).seal("pw", CONTEXT)
    both = vault(new, old)
    rewrapped = both.rewrap(sealed)
    assert both.open(sealed, CONTEXT) == "pw"
    assert rewrapped is not None
    assert vault(new).open(rewrapped, CONTEXT) == "pw"
    assert both.rewrap(rewrapped) is None


def test_the_newest_key_is_the_first() -> None:
    old, new = make_key(), make_key()
    assert vault(new).open(vault(new, old).seal("pw", CONTEXT), CONTEXT) == "pw"


def test_a_canary_of_another_key_is_recognised() -> None:
    mine = vault(make_key())
    sealed = canary(mine)
    check_canary(mine, sealed)
    for wrong in (vault(make_key()), vault(make_key(), make_key())):
        with pytest.raises(PostroomError, match="this database was encrypted with another key") as caught:
            check_canary(wrong, sealed)
        assert caught.value.code == "wrong_key"


def test_keys_may_be_written_in_either_base64() -> None:
    raw = bytes(range(224, 256))
    plain, urlsafe = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode().rstrip("=")
    assert plain != urlsafe
    assert KeyRing.parse(plain) == KeyRing.parse(f" {urlsafe}\n")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "the key is empty"),
        ("not base64 at all!", "the key is not base64"),
        (base64.b64encode(b"k" * 31).decode(), "the key has 31 bytes where 32 are needed"),
        (f"{GOOD},", "key 2 of 2 is empty"),
        (f"{GOOD},c2hvcnQ=", "key 2 of 2 has 5 bytes"),
    ],
)
def test_b1_a_wrong_key_is_argued_back_without_being_shown(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as caught:
        KeyRing.parse(text)
    entries = [entry for entry in text.split(",") if entry]
    assert not any(entry in str(caught.value) for entry in entries)
    assert caught.value.__cause__ is None


def test_no_representation_shows_a_key() -> None:
    ring = KeyRing.parse(make_key())
    assert repr(ring.newest.secret) not in repr(ring)

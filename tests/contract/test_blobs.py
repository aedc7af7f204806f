"""Blobs: what every store of exact bytes promises, and what the directory adds."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore

from postroom.adapters.blobs import BlobDamaged, FileBlobs, open_blobs
from postroom.adapters.object_blobs import ObjectBlobs
from postroom.core.errors import NotFound
from tests.support.clock import TestClock

AnyBlobs = FileBlobs | ObjectBlobs
LATER = timedelta(minutes=1)


@pytest.fixture(params=["directory", "memory", "local object store", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnyBlobs]:
    if request.param == "s3":
        yield s3_blobs()
        return
    stores: dict[str, AnyBlobs] = {
        "directory": FileBlobs(tmp_path / "blobs"),
        "memory": ObjectBlobs(MemoryStore()),
        "local object store": ObjectBlobs(LocalStore(str(tmp_path))),
    }
    yield stores[request.param]
    for store in stores.values():
        await store.close()


def s3_blobs() -> AnyBlobs:
    """The store at S3_TEST_URL, whose credentials and endpoint the environment has (AWS_…)."""
    url = os.environ.get("S3_TEST_URL", "")
    if not url:
        pytest.skip("S3_TEST_URL names no S3-compatible store to try")
    store = open_blobs(url, Path())
    assert isinstance(store, ObjectBlobs)
    return store


@pytest.mark.parametrize(
    "data", [b"", b"\x00\xff\r\n.\r\n", b"mail" * 500_000], ids=["empty", "binary", "2 MB"]
)
async def test_bytes_come_back_exactly(blobs: AnyBlobs, data: bytes) -> None:
    digest = await blobs.put(data)
    assert digest == sha256(data).hexdigest()
    assert await blobs.get(digest) == data


async def test_putting_again_changes_nothing(blobs: AnyBlobs) -> None:
    digests = await asyncio.gather(*(blobs.put(b"the same") for _ in range(20)))
    assert len(set(digests)) == 1
    assert await blobs.get(digests[0]) == b"the same"


@pytest.mark.parametrize("digest", ["0" * 64, "", "../../etc/passwd", "A" * 64, "0" * 63 + "/"])
async def test_what_was_never_stored_is_not_found(blobs: AnyBlobs, digest: str) -> None:
    with pytest.raises(NotFound):
        await blobs.get(digest)
    await blobs.delete(digest)


async def test_deleted_is_gone_and_may_be_deleted_again(blobs: AnyBlobs) -> None:
    digest = await blobs.put(b"short-lived")
    await blobs.delete(digest)
    await blobs.delete(digest)
    with pytest.raises(NotFound):
        await blobs.get(digest)
    assert await blobs.put(b"short-lived") == digest
    assert await blobs.get(digest) == b"short-lived"


async def _older(blobs: AnyBlobs, than: datetime) -> set[str]:
    return {digest async for batch in blobs.older(than) for digest in batch}


async def test_what_was_put_before_a_moment_is_told(blobs: AnyBlobs) -> None:
    digests = {await blobs.put(f"number {n}".encode()) for n in range(700)}
    assert digests <= await _older(blobs, datetime.now(UTC) + LATER)
    assert not digests & await _older(blobs, datetime.now(UTC) - LATER)


async def test_only_what_was_not_put_lately_is_discarded(blobs: AnyBlobs) -> None:
    digest = await blobs.put(b"needless, perhaps")
    assert not await blobs.discard(digest, datetime.now(UTC) - LATER)
    assert await blobs.get(digest) == b"needless, perhaps"
    assert await blobs.discard(digest, datetime.now(UTC) + LATER)
    with pytest.raises(NotFound):
        await blobs.get(digest)
    assert await blobs.discard(digest, datetime.now(UTC))
    assert await blobs.discard("../../etc/passwd", datetime.now(UTC) + LATER)


@pytest.fixture
async def directory(tmp_path: Path) -> AsyncIterator[FileBlobs]:
    store = FileBlobs(tmp_path / "blobs")
    yield store
    await store.close()


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def test_a_truncated_or_changed_file_is_never_given_out(directory: FileBlobs, tmp_path: Path) -> None:
    digest = await directory.put(b"whole bytes")
    (path,) = _files(tmp_path)
    for damage in (b"whole", b"", b"WHOLE bytes"):
        path.write_bytes(damage)
        with pytest.raises(BlobDamaged):
            await directory.get(digest)


async def test_a_truncated_file_is_healed_by_the_next_put(directory: FileBlobs, tmp_path: Path) -> None:
    digest = await directory.put(b"whole bytes")
    (path,) = _files(tmp_path)
    path.write_bytes(b"whole")
    assert await directory.put(b"whole bytes") == digest
    assert await directory.get(digest) == b"whole bytes"


async def test_mail_is_readable_by_its_owner_only(directory: FileBlobs, tmp_path: Path) -> None:
    await directory.put(b"private")
    (path,) = _files(tmp_path)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


async def test_a_blob_is_found_after_a_restart(tmp_path: Path) -> None:
    first = FileBlobs(tmp_path / "blobs")
    digest = await first.put(b"kept")
    await first.close()
    second = FileBlobs(tmp_path / "blobs")
    assert await second.get(digest) == b"kept"
    await second.close()


async def test_what_a_crash_left_half_written_is_cleared_at_the_next_start(tmp_path: Path) -> None:
    await FileBlobs(tmp_path / "blobs").close()
    old, young = tmp_path / "blobs" / "tmp" / "old", tmp_path / "blobs" / "tmp" / "young"
    for leftover in (old, young):
        leftover.write_bytes(b"half")
    os.utime(old, (0, 0))
    await FileBlobs(tmp_path / "blobs").close()
    assert (old.exists(), young.exists()) == (False, True)


async def test_a_blob_that_is_put_again_is_young_again(tmp_path: Path) -> None:
    clock = TestClock()
    store = FileBlobs(tmp_path / "blobs", clock)
    digest = await store.put(b"left by a crash")
    await clock.advance(3600)
    hour_ago = clock.now()
    assert await _older(store, hour_ago) == {digest}
    assert await store.put(b"left by a crash") == digest
    assert await _older(store, hour_ago) == set()
    assert not await store.discard(digest, hour_ago)
    await store.close()


async def test_putting_and_discarding_at_once_never_loses_what_was_put(tmp_path: Path) -> None:
    clock = TestClock()
    store = FileBlobs(tmp_path / "blobs", clock)
    for number in range(500):
        data = f"contested {number}".encode()
        digest = await store.put(data)
        await clock.advance(3600)
        before = clock.now()
        discards = [store.discard(digest, before) for _ in range(3)]
        await asyncio.gather(discards[0], store.put(data), *discards[1:])
        assert await store.get(digest) == data
    await store.close()


async def test_a_blob_that_is_just_looked_at_for_discarding_can_be_read(tmp_path: Path) -> None:
    store = FileBlobs(tmp_path / "blobs")
    digest = await store.put(b"moved aside")
    (path,) = _files(tmp_path)
    path.rename(tmp_path / "blobs" / "tmp" / f"aside-{digest}.1.1")
    assert await store.get(digest) == b"moved aside"
    await store.close()


async def test_a_blob_moved_aside_by_a_process_that_died_is_put_back(tmp_path: Path) -> None:
    first = FileBlobs(tmp_path / "blobs")
    digest = await first.put(b"moved aside")
    await first.close()
    (path,) = _files(tmp_path)
    path.rename(tmp_path / "blobs" / "tmp" / f"aside-{digest}")
    second = FileBlobs(tmp_path / "blobs")
    assert await second.get(digest) == b"moved aside"
    await second.close()


async def test_a_write_that_fails_is_an_error_and_leaves_nothing_under_the_digest(tmp_path: Path) -> None:
    store = FileBlobs(tmp_path / "blobs")
    (tmp_path / "blobs" / "tmp").rmdir()
    with pytest.raises(OSError):
        await store.put(b"nowhere to go")
    assert _files(tmp_path) == []
    await store.close()


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("file://blobs", "three slashes"),
        ("file:relative", "three slashes"),
        ("ftp://example.test/x", "must begin with"),
        ("/var/lib/blobs", "must begin with"),
        ("s3://", "cannot be used"),
    ],
)
def test_b1_a_blob_url_that_cannot_be_used_is_argued_back(url: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=fault):
        open_blobs(url, tmp_path)


async def test_the_url_chooses_the_store(tmp_path: Path) -> None:
    default = open_blobs("", tmp_path)
    elsewhere = open_blobs(f"file://{tmp_path}/else%20where", tmp_path)
    await default.put(b"one")
    await elsewhere.put(b"two")
    assert len(_files(tmp_path / "blobs")) == len(_files(tmp_path / "else where")) == 1
    assert isinstance(open_blobs("memory:///", tmp_path), ObjectBlobs)
    for store in (default, elsewhere):
        assert isinstance(store, FileBlobs)
        await store.close()

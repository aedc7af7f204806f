"""Exact bytes by digest in an object store (S3, GCS, Azure …), through obstore (extra `s3`)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from postroom.adapters.blobs import checked, is_digest, no_such_blob
from postroom.core.errors import PostroomError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_LISTED = 500
_SCHEMES = frozenset({"s3", "s3a", "gs", "az", "adl", "azure", "abfs", "abfss", "memory"})


class BlobStoreUnavailable(PostroomError):
    """The object store did not do what was asked; later it may."""

    code = "blob_store_unavailable"


class ObjectBlobs:
    """`core.ports.Blobs` in an object store; a put that returned is as durable as the store promises."""

    def __init__(self, store: "ObjectStore") -> None:
        self._store = store

    async def put(self, data: bytes) -> str:
        """Store and give the digest. Equal bytes have equal names, so writing again changes nothing."""
        import obstore

        digest = await asyncio.to_thread(lambda: sha256(data).hexdigest())
        try:
            await obstore.put_async(self._store, _name(digest), data)
        except obstore.exceptions.BaseError as exc:
            raise _unavailable() from exc
        return digest

    async def get(self, digest: str) -> bytes:
        """The bytes, checked against their digest. Raises as `FileBlobs.get`, and
        `BlobStoreUnavailable`."""
        import obstore

        if not is_digest(digest):
            raise no_such_blob()
        try:
            result = await obstore.get_async(self._store, _name(digest))
            data = bytes(await result.bytes_async())
        except FileNotFoundError as exc:
            raise no_such_blob() from exc
        except obstore.exceptions.BaseError as exc:
            raise _unavailable() from exc
        return checked(digest, data)

    async def delete(self, digest: str) -> None:
        """Remove; nothing happens when it is gone already."""
        import obstore

        if not is_digest(digest):
            return
        try:
            await obstore.delete_async(self._store, _name(digest))
        except FileNotFoundError:
            return
        except obstore.exceptions.BaseError as exc:
            raise _unavailable() from exc

    async def older(self, than: datetime) -> AsyncIterator[tuple[str, ...]]:
        """`Blobs.older`, by the store's own clock."""
        import obstore

        try:
            async for listed in obstore.list(self._store, chunk_size=_LISTED):
                names = (item["path"].rpartition("/")[2] for item in listed if item["last_modified"] < than)
                found = tuple(name for name in names if is_digest(name))
                if found:
                    yield found
        except obstore.exceptions.BaseError as exc:
            raise _unavailable() from exc

    async def discard(self, digest: str, put_before: datetime) -> bool:
        """`Blobs.discard`. Between the look and the removal lies one round trip, in which nobody must put
        the same bytes: `put_before` is to be so long ago that nobody does."""
        import obstore

        if not is_digest(digest):
            return True
        try:
            known = await obstore.head_async(self._store, _name(digest))
            if known["last_modified"] >= put_before:
                return False
            await obstore.delete_async(self._store, _name(digest))
        except FileNotFoundError:
            return True
        except obstore.exceptions.BaseError as exc:
            raise _unavailable() from exc
        return True

    async def close(self) -> None:
        """Nothing is held open."""


def open_object_blobs(url: str) -> ObjectBlobs:
    """The object store at `url`. Raises `ValueError` that says what is wrong or missing."""
    if urlsplit(url).scheme not in _SCHEMES:
        raise ValueError("must begin with file://, s3://, gs:// or az://")
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as exc:
        raise ValueError("needs the extra 's3': pip install 'postroom[s3]'") from exc
    try:
        return ObjectBlobs(from_url(url))
    except (BaseError, ValueError) as exc:
        raise ValueError("cannot be used as an object store URL") from exc


def _name(digest: str) -> str:
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


def _unavailable() -> BlobStoreUnavailable:
    return BlobStoreUnavailable("the object store cannot be used now")

"""Transactions on pooled connections, run by whichever thread calls.

Connections are in autocommit mode: a transaction is what stands between our own BEGIN and COMMIT, and a
connection that is given back in the middle of one is rolled back by the pool.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Engine, PoolProxiedConnection

from postroom.storage.faults import starts_anew, translate
from postroom.storage.statements import Connection

T = TypeVar("T")
Work = Callable[[Connection], T]
_TRIES = 3


class _Fault(Exception):
    """A driver's exception. `dead`: the connection was lost, and with it what was not committed."""

    def __init__(self, error: Exception, dead: bool) -> None:
        super().__init__(type(error).__name__)
        self.error = error
        self.dead = dead


class Transaction:
    """An open transaction. After `commit` or not, `close` gives its connection back."""

    def __init__(self, pool: "Pool", proxied: PoolProxiedConnection) -> None:
        self._pool = pool
        self._proxied = proxied
        self._cursor = proxied.cursor()
        self.connection = Connection(self._cursor, pool.engine.dialect)

    def run(self, work: Work[T]) -> T:
        """Run work in it. Raises `PostroomError` for what the database refuses."""
        try:
            return self.attempt(work)
        except _Fault as fault:
            raise translate(fault.error) from None

    def attempt(self, work: Work[T]) -> T:
        """Run work in it. Raises `_Fault` for what the database refuses."""
        with self._pool.watching(self._proxied):
            return work(self.connection)

    def commit(self) -> None:
        """Commit. Raises `PostroomError`: what a broken commit came to, nobody knows."""
        self.run(lambda _: self._cursor.execute("COMMIT"))

    def close(self) -> None:
        """Roll back what was not committed and give the connection back."""
        self._proxied.close()


class Pool:
    """The connections of an engine. `begin` is how the database begins a transaction that may write."""

    def __init__(self, engine: Engine, begin: str) -> None:
        self.engine = engine
        self._begin = begin
        self._errors = engine.dialect.loaded_dbapi.Error

    def read(self, work: Work[T]) -> T:
        """Run work that only reads; each statement sees what was committed before it."""
        return _again(lambda: self._read(work))

    def transact(self, work: Work[T], before: Callable[[], None]) -> T:
        """Run work as one transaction, calling `before` right before its end.

        It runs again when the database asks for that, or when the connection was found dead.
        """
        return _again(lambda: self._transact(work, before))

    def open(self) -> Transaction:
        """Begin a transaction that its caller ends."""
        return _again(self._open)

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def ours(self, error: Exception) -> Exception:
        """Our error for a driver's; any other as it is."""
        return translate(error) if isinstance(error, self._errors) else error

    def _read(self, work: Work[T]) -> T:
        transaction = self._lend()
        try:
            return transaction.attempt(work)
        finally:
            transaction.close()

    def _transact(self, work: Work[T], before: Callable[[], None]) -> T:
        transaction = self._open()
        try:
            result = transaction.attempt(work)
            before()
            transaction.commit()
            return result
        finally:
            transaction.close()

    def _open(self) -> Transaction:
        transaction = self._lend()
        try:
            transaction.attempt(lambda connection: connection.command(self._begin))
        except _Fault:
            transaction.close()
            raise
        return transaction

    def _lend(self) -> Transaction:
        try:
            return Transaction(self, self.engine.raw_connection())
        except self._errors as exc:
            raise _Fault(exc, dead=False) from None

    @contextmanager
    def watching(self, proxied: PoolProxiedConnection) -> Iterator[None]:
        """Turn the driver's exceptions into faults, and drop connections that turn out to be dead."""
        try:
            yield
        except self._errors as exc:
            dead = self.engine.dialect.is_disconnect(exc, proxied.driver_connection, None)
            if dead:
                proxied.invalidate()
                # The others were most likely lost at the same moment.
                self.engine.dispose()
            raise _Fault(exc, dead) from None


def _again(attempt: Callable[[], T]) -> T:
    for left in reversed(range(_TRIES)):
        try:
            return attempt()
        except _Fault as fault:
            if not left or not (fault.dead or starts_anew(fault.error)):
                # Without its cause on purpose: the driver's text may hold addresses and subjects.
                raise translate(fault.error) from None
    raise AssertionError("unreachable")

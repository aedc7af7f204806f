"""What went wrong in a database, in our own errors.

A driver's message may quote the row it stumbled over, so none of it is passed on: only the class of the
fault and its SQLSTATE.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from postroom.core.errors import Conflict, NotFound, PostroomError

_FOREIGN_KEY = "23503"
_START_ANEW = frozenset({"40001", "40P01"})
UNAVAILABLE = "database_unavailable"


@contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLAlchemy makes of a driver's exceptions into ours."""
    try:
        yield
    except DBAPIError as exc:
        # Without its cause on purpose: the driver's text may hold addresses and subjects.
        raise translate(exc.orig or exc) from None


def translate(error: BaseException) -> PostroomError:
    """Our error for a driver's (PEP 249). What is not understood counts as temporary."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "IntegrityError" in kinds:
        if _breaks_foreign_key(error):
            return NotFound("what this belongs to is not there")
        return Conflict("there is such a row already")
    known = f"{type(error).__name__} {sqlstate(error)}".strip()
    if kinds & {"OperationalError", "InterfaceError"}:
        return PostroomError(f"the database cannot be used now ({known})", code=UNAVAILABLE)
    return PostroomError(f"the database refused a statement ({known})", code="database_error")


def starts_anew(error: BaseException) -> bool:
    """Whether a transaction came to nothing because of others and may simply run again."""
    return sqlstate(error) in _START_ANEW


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE where the driver knows it."""
    return str(getattr(error, "sqlstate", None) or "")


def _breaks_foreign_key(error: BaseException) -> bool:
    name = getattr(error, "sqlite_errorname", "")
    return sqlstate(error) == _FOREIGN_KEY or name == "SQLITE_CONSTRAINT_FOREIGNKEY"

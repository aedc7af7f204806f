"""Where the values of environment variables come from, and how they are read.

Sources, the first that has a value wins: the process environment, then `.env` in the current directory. A
secret may come from the file that `NAME_FILE` names. An empty value counts as missing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from dotenv.parser import parse_stream

from postroom.variables import HINTS, KNOWN, SECRETS, fault

FILE_LIMIT = 65_536


_OURS = re.compile(r"(?:EMAIL|POSTROOM|ENABLED)_", re.IGNORECASE)
_OWN_PREFIXES = ("EMAIL_", "POSTROOM_")
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE_LINK = re.compile(
    r"(?:EMAIL|POSTROOM)_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)?)"
)


@dataclass(frozen=True, slots=True)
class Found:
    """The values of known variables, and a line for each fault met on the way to them."""

    values: Mapping[str, str]
    faults: tuple[str, ...]


def read_variables(environ: Mapping[str, str], directory: Path) -> Found:
    """What the process environment, `.env` in `directory` and the files of secrets say."""
    dotenv, dotenv_faults = _read_dotenv(directory / ".env")
    given = {**_not_empty(dotenv), **_not_empty(environ)}
    secrets, file_faults = _read_secrets(given, directory)
    values = {name: given[name] for name in HINTS if name in given} | secrets
    stripped = {name: value if name in SECRETS else value.strip() for name, value in values.items()}
    return Found(stripped, (*dotenv_faults, *_name_faults(given), *file_faults))


def _not_empty(variables: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if value and value.strip() and _OURS.match(name)}


def _read_dotenv(path: Path) -> tuple[dict[str, str | None], list[str]]:
    """Names and values as they stand in the file; `$` means nothing in them."""
    if not path.exists():
        return {}, []
    try:
        with path.open(encoding="utf-8") as file:
            bindings = list(parse_stream(file))
    except (OSError, UnicodeDecodeError):
        return {}, [".env: cannot be read; make it a readable text file in UTF-8, or remove it"]
    faults = [
        f".env: line {binding.original.line} cannot be read; write NAME=value, or NAME='value' with quotes"
        for binding in bindings
        if binding.error
    ]
    return {binding.key: binding.value for binding in bindings if binding.key}, faults


def _name_faults(given: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(given):
        if _SERVICE_LINK.fullmatch(name) and (name not in KNOWN or "://" in given[name]):
            yield fault(
                name,
                "was set by Kubernetes for a service of this name",
                "set enableServiceLinks: false in the pod's spec",
            )
        elif name not in KNOWN and _meant_for_us(name, given):
            yield fault(name, "is not a known variable", _what_was_meant(name))


def _meant_for_us(name: str, given: Mapping[str, str]) -> bool:
    if name.startswith(_OWN_PREFIXES) or name.upper() in KNOWN:
        return True
    return "ENABLED_CLIENTS" not in given and bool(get_close_matches(name, ["ENABLED_CLIENTS"], 1, 0.85))


def _what_was_meant(name: str) -> str:
    if name.endswith("_FILE") and name.removesuffix("_FILE") in HINTS:
        return f"only secrets are read from files, so set {name.removesuffix('_FILE')} itself"
    near = get_close_matches(name.upper(), KNOWN, 1)
    return f"did you mean {near[0]}?" if near else "remove it"


def _read_secrets(given: Mapping[str, str], directory: Path) -> tuple[dict[str, str], list[str]]:
    values: dict[str, str] = {}
    faults: list[str] = []
    for name in SECRETS:
        file_name = f"{name}_FILE"
        if file_name not in given:
            continue
        if name in given:
            faults.append(fault(name, f"is set, and {file_name} too", "set one of them"))
            continue
        try:
            values[name] = _secret_in(directory / given[file_name].strip())
        except ValueError as exc:
            faults.append(fault(file_name, str(exc), "name a readable text file with the secret in it"))
    return values, faults


def _secret_in(path: Path) -> str:
    """The file's text without its trailing newline. Raises `ValueError` with what is wrong with the file."""
    try:
        with path.open("rb") as file:
            text = file.read(FILE_LIMIT + 1).decode("utf-8")
    except (OSError, ValueError) as exc:
        raise ValueError("the file cannot be read") from exc
    if len(text) > FILE_LIMIT:
        raise ValueError("the file is too large for a secret")
    value = text.removesuffix("\n").removesuffix("\r")
    if not value.strip():
        raise ValueError("the file is empty")
    return value


class Reading:
    """Turns found texts into values; what is wrong is collected in `faults`, a line each."""

    def __init__(self, found: Found) -> None:
        self._values = found.values
        self.faults = list(found.faults)

    def fault(self, name: str, text: str, hint: str | None = None) -> None:
        """Note that a variable is wrong."""
        self.faults.append(fault(name, text, hint))

    def faulty(self, name: str) -> bool:
        """Whether something is known to be wrong with the variable."""
        return any(line.startswith(f"{name}:") for line in self.faults)

    def has(self, name: str) -> bool:
        """Whether the variable has a value."""
        return name in self._values

    def text(self, name: str) -> str | None:
        """The value as it stands, or None."""
        return self._values.get(name)

    def number(self, name: str, lowest: int, highest: int, default: int) -> int:
        """A whole number within the bounds."""
        value = self._values.get(name)
        if value is None or self.faulty(name):
            return default
        digits = value.isascii() and value.isdigit() and len(value) < 10
        if digits and lowest <= int(value) <= highest:
            return int(value)
        self.fault(name, f"is not a whole number from {lowest} to {highest}")
        return default

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """One of some words, in whatever case it is written."""
        value = self._values.get(name, default).lower()
        if value in allowed:
            return value
        self.fault(name, f"is none of {', '.join(allowed)}")
        return default

    def items(self, name: str) -> list[str]:
        """The parts of a comma-separated list, without empty ones."""
        parts = (part.strip() for part in self._values.get(name, "").split(","))
        return [part for part in parts if part]

    def url(self, name: str, schemes: tuple[str, ...]) -> str | None:
        """A URL with one of the schemes."""
        value = self._values.get(name)
        scheme, separator, rest = (value or "").partition("://")
        if value and not (separator and rest and scheme.lower() in schemes):
            self.fault(name, f"is no URL that begins with {' or '.join(f'{s}://' for s in schemes)}")
        return value

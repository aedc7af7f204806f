"""The house rules that a machine can check (docs/decisions and the design name the reasons)."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from postroom.variables import HINTS, SECRETS

ROOT = Path(__file__).parents[1]
MODULE_LINES = 400
FUNCTION_LINES = {"src": 40, "tests": 60, "bench": 60}
MIGRATIONS = ROOT / "src/postroom/storage/migrations"
"""Tables written down one after the other, once: long, and never read as a story."""
HOMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
REQUIREMENTS = [*(f"a{number}" for number in range(1, 7)), *(f"b{number}" for number in range(1, 10))]
# Written so that this file does not hold what it forbids.
MACHINE_PATHS = [f"/{name}/" for name in ("work", "root", "home")]
REGISTRY_HOSTS = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git knows and that is there."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return tuple(ROOT / name for name in names if name and (ROOT / name).is_file())


def modules(*folders: str) -> Iterator[Path]:
    for path in tracked():
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders:
            yield path


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def listed(offenders: list[str]) -> str:
    return "\n".join(["", *sorted(offenders)])


def test_no_module_has_more_than_400_lines() -> None:
    sizes = {
        path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules("src", "tests", "bench")
    }
    offenders = [f"{size} {path.relative_to(ROOT)}" for path, size in sizes.items() if size > MODULE_LINES]
    assert not offenders, listed(offenders)


@pytest.mark.parametrize("folder", FUNCTION_LINES)
def test_no_function_is_longer_than_it_may_be(folder: str) -> None:
    offenders = [
        f"{lines_of(node)} {path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in modules(folder)
        if MIGRATIONS not in path.parents
        for node in functions(path)
        if lines_of(node) > FUNCTION_LINES[folder]
    ]
    assert not offenders, listed(offenders)


def test_every_module_is_named_after_what_is_in_it() -> None:
    offenders = [
        str(path.relative_to(ROOT))
        for path in modules("src", "tests", "bench", "tools")
        if HOMELESS & {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}
    ]
    assert not offenders, listed(offenders)


def test_every_module_of_the_package_says_what_it_is() -> None:
    offenders = [
        str(path.relative_to(ROOT))
        for path in modules("src")
        if "migrations" not in path.parts
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not offenders, listed(offenders)


@pytest.mark.parametrize("word", [*MACHINE_PATHS, *REGISTRY_HOSTS])
def test_no_tracked_file_names_a_machine_or_a_registry(word: str) -> None:
    offenders = [str(path.relative_to(ROOT)) for path in tracked() if word.encode() in path.read_bytes()]
    assert not offenders, listed(offenders)


@cache
def test_names() -> tuple[str, ...]:
    return tuple(
        node.name for path in modules("tests") for node in functions(path) if node.name.startswith("test_")
    )


test_names.__test__ = False  # type: ignore[attr-defined]  # pytest's own mark, on a function that lists tests


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_every_requirement_has_a_test_that_carries_its_number(requirement: str) -> None:
    wanted = re.compile(rf"test_(?:[a-e]\d+_)*{requirement}_")
    assert any(wanted.match(name) for name in test_names())


@pytest.mark.parametrize(
    "page", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))]
)
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(
        re.findall(r"(?:`|^\s*|\$ )make ([a-z-]+)", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert named <= targets


def test_the_readme_names_both_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make demo" in readme
    assert "make test" in readme


@pytest.mark.parametrize("name", HINTS)
def test_every_environment_variable_is_documented(name: str) -> None:
    page = (ROOT / "docs/reference/environment.md").read_text(encoding="utf-8")
    assert f"`{name}`" in page
    if name in SECRETS:
        assert f"`{name}_FILE`" in page


def test_no_page_names_an_environment_variable_that_does_not_exist() -> None:
    known = {*HINTS, *(f"{name}_FILE" for name in SECRETS)}
    offenders = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in tracked()
        if path.suffix == ".md"
        for name in re.findall(r"`((?:POSTROOM|EMAIL)_[A-Z_]+[A-Z])`", path.read_text(encoding="utf-8"))
        if name not in known
    ]
    assert not offenders, listed(offenders)


def test_every_change_is_told() -> None:
    assert (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").startswith("# ")


def test_every_silenced_check_gives_its_reason() -> None:
    silenced = re.compile(r"#\s*(?:type:\s*ignore|noqa)(?:[:\[][^#]*)?$")
    offenders = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in modules("src", "tests", "bench")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := silenced.search(line)) and " - " not in match[0]
    ]
    assert not offenders, listed(offenders)

"""What lies in deploy/ fits the program: its commands, variables and paths exist, and each file is sound."""

import re
import shlex
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no types
from typer.main import get_command

from postroom.cli.app import app
from postroom.serve import GRACE_SECONDS
from postroom.variables import KNOWN

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OURS = re.compile(r"^#?((?:ENABLED|EMAIL|POSTROOM)_[A-Z_]+)=", re.MULTILINE)


def commands() -> set[str]:
    return set(getattr(get_command(app), "commands", {}))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return document


@pytest.fixture(scope="module")
def container() -> str:
    return (DEPLOY / "Containerfile").read_text()


@pytest.fixture(scope="module")
def unit() -> RawConfigParser:
    parser = RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # its documented way
    parser.read(DEPLOY / "postroom.service")
    return parser


def test_the_example_names_only_variables_that_exist() -> None:
    named = OURS.findall((DEPLOY / ".env.example").read_text())
    assert len(named) > 5
    assert set(named) <= set(KNOWN)


def test_every_service_of_ours_runs_a_command_that_exists(compose: dict[str, Any]) -> None:
    run = {name: service["command"] for name, service in compose["services"].items() if "command" in service}
    assert run == {"migrate": ["migrate"], "api": ["api"], "worker": ["worker"]}
    assert {command for [command] in run.values()} <= commands()
    assert compose["services"]["worker"]["deploy"]["replicas"] == 2


def test_compose_sets_only_variables_that_exist_and_holds_no_secret(compose: dict[str, Any]) -> None:
    example = (DEPLOY / ".env.example").read_text()
    for name in ("migrate", "api", "worker"):
        for variable, value in compose["services"][name]["environment"].items():
            assert variable in KNOWN
            asked_for = re.findall(r"\$\{(\w+):\?", value)
            assert asked_for or value.startswith("${POSTROOM_BLOBS_URL:-")
            assert all(f"{needed}=" in example for needed in asked_for)


def test_everybody_has_the_same_blobs_and_waits_for_the_schema(compose: dict[str, Any]) -> None:
    for name in ("api", "worker"):
        service = compose["services"][name]
        assert "blobs:/blobs" in service["volumes"]
        assert service["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert set(compose["volumes"]) == {"database", "blobs"}


def test_nobody_is_killed_before_its_time(compose: dict[str, Any], unit: RawConfigParser) -> None:
    for name in ("api", "worker"):
        assert int(compose["services"][name]["stop_grace_period"].removesuffix("s")) > GRACE_SECONDS
    assert int(unit["Service"]["TimeoutStopSec"]) > GRACE_SECONDS


def test_the_image_runs_a_command_that_exists_as_nobody_in_particular(container: str) -> None:
    entry = re.search(r'^ENTRYPOINT \["postroom"\]$', container, re.MULTILINE)
    command = re.search(r'^CMD \["(\w+)"\]$', container, re.MULTILINE)
    assert entry
    assert command
    assert command[1] in commands()
    assert re.search(r"^USER postroom$", container, re.MULTILINE)
    for variable in re.findall(r"(?:POSTROOM|EMAIL)_\w+(?==)", container):
        assert variable in KNOWN


def test_the_image_copies_what_is_there_and_installs_extras_that_exist(container: str) -> None:
    for line in re.findall(r"^COPY (?!--from)(.+)$", container, re.MULTILINE):
        *sources, _ = shlex.split(line)
        assert all((ROOT / source).exists() for source in sources)
    extras = re.search(r'"\.\[([\w,]+)\]"', container)
    assert extras
    project = (ROOT / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras[1].split(","))


def test_the_unit_runs_a_command_that_exists(unit: RawConfigParser) -> None:
    program, command = shlex.split(unit["Service"]["ExecStart"])
    assert program.endswith("/postroom")
    assert command in commands()
    for setting in shlex.split(unit["Service"]["Environment"]):
        assert setting.partition("=")[0] in KNOWN


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_systemd_finds_the_unit_sound(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / "postroom.service"
    unit = (DEPLOY / "postroom.service").read_text()
    copy.write_text(unit.replace("/opt/postroom/bin/postroom", "/bin/true"))
    assert run(analyze, "verify", "--man=no", str(copy)).stderr == ""
    rated = run(analyze, "security", "--offline=true", str(copy))
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", rated.stdout)
    assert exposure
    assert float(exposure[1]) < 2

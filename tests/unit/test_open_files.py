"""A process that starts with a small soft limit of open files may use what the hard one leaves."""

import subprocess
import sys

_LIMITED = """
import resource
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
from postroom.open_files import allow_all_open_files
allowed = allow_all_open_files()
files = [open("/dev/null") for _ in range(200)]
print(allowed == hard, len(files))
"""


def test_more_files_are_open_than_the_soft_limit_of_the_start_allowed() -> None:
    ended = subprocess.run([sys.executable, "-c", _LIMITED], check=True, capture_output=True, text=True)
    assert ended.stdout.split() == ["True", "200"]

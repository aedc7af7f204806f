"""The command line: `postroom …`. Modules here import what is heavy only when a command runs."""

from postroom.cli.app import main

__all__ = ["main"]

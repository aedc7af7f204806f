"""`python -m postroom`: the command line."""

from postroom.cli import main

main()

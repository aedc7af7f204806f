"""How many files and sockets this process may hold open."""

import resource


def allow_all_open_files() -> int:
    """Raise our soft limit to the hard one, and give it: a mailbox is a socket, and many systems start
    every process with a soft limit of 1,024, for the sake of programs that use select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # a system that does not keep its own promise
        return soft
    return hard

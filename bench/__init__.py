"""Every claim of speed, as a command that measures its floor in the same run."""

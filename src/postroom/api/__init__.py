"""HTTP: thin, it calls the engine."""

"""HTTP: thin, it calls the engine."""

from postroom.api.application import create_app
from postroom.api.parts import ApiParts

__all__ = ["ApiParts", "create_app"]

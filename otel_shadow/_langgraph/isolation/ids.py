"""Identifiers of our own. Applications seed and mock ``uuid4``; a shadow must not use up their numbers."""

from __future__ import annotations

import os
import uuid


def new_id() -> str:
    """A random UUID, version 4."""
    return str(uuid.UUID(bytes=os.urandom(16), version=4))

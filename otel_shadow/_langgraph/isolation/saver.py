"""Where graphs inside V2 keep their checkpoints: in memory, for as long as the shadow lives.

It never reads the saver it covers. Production may close that one at any time, and reading a closed SQLite connection
from another thread ends the process with a segmentation fault.
"""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver


class ShadowSaver(InMemorySaver):
    """Private and empty at first.

    Arguments:
        covers: the saver it stands in for; its serializer is used, so that V2 fails on what production can't save.
    """

    def __init__(self, covers: BaseCheckpointSaver[Any]) -> None:
        super().__init__(serde=covers.serde)
        self.covers = covers

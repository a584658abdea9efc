"""A retry is no new pair: the same prepared task called again."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from otel_shadow.langgraph.capture import Captured

_BOUND = 4096
_SEEN: dict[Hashable, None] = {}
_ORDER: deque[Hashable] = deque()


def seen_before(captured: Captured) -> bool:
    """Whether this task was captured before, at an earlier attempt of the same execution.

    The task id alone is the same after a resume too; the generation tells a resumed execution, which is a new pair.
    """
    key = (captured.task_id, captured.resume_generation)
    if key in _SEEN:
        return True
    _SEEN[key] = None
    _ORDER.append(key)
    if len(_ORDER) > _BOUND:
        _SEEN.pop(_ORDER.popleft(), None)
    return False

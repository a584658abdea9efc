"""What the wrapper needs of the isolation, in one place."""

from otel_shadow.langgraph.capture import Captured
from otel_shadow.langgraph.coerce import V2, coerce, is_async
from otel_shadow.langgraph.decision import v1_sends, v1_targets
from otel_shadow.langgraph.guards import install_guards, uninstall_guards
from otel_shadow.langgraph.run import Execution, arun, run

__all__ = [
    "V2",
    "Captured",
    "Execution",
    "arun",
    "coerce",
    "install_guards",
    "is_async",
    "run",
    "uninstall_guards",
    "v1_sends",
    "v1_targets",
]

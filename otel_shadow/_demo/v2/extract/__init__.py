"""What V2 reads out of a message: pure functions from text to mentions."""

from __future__ import annotations

from otel_shadow._demo.v2.extract.ages import ages, level_of_age, levels
from otel_shadow._demo.v2.extract.dates import dates
from otel_shadow._demo.v2.extract.names import child_names, names
from otel_shadow._demo.v2.extract.normal import Mention, fold
from otel_shadow._demo.v2.extract.times import times

__all__ = ["Mention", "ages", "child_names", "dates", "fold", "level_of_age", "levels", "names", "times"]

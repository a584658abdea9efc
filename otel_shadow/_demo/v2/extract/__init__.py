"""What V2 reads out of a message: pure functions from text to mentions."""

from __future__ import annotations

from otel_shadow._demo.v2.extract.ages import ages
from otel_shadow._demo.v2.extract.dates import dates
from otel_shadow._demo.v2.extract.levels import level_of_age, levels
from otel_shadow._demo.v2.extract.mention import Mention
from otel_shadow._demo.v2.extract.names import bare_name, child_names, names
from otel_shadow._demo.v2.extract.times import times

__all__ = ["Mention", "ages", "bare_name", "child_names", "dates", "level_of_age", "levels", "names", "times"]

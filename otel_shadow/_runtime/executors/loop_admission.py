"""The admission of one awaited V2 to an application's event loop: tried first, guarded, and paused for its build.

A first block of the loop can't be prevented there, so that a V2 is tried in a short-lived worker before. What can't be
tried needs the user's word: ``executor = "loop"`` or ``"process"``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.executors.loop_guard import LoopGuard, PausePlace, pause_sentence
from otel_shadow._runtime.executors.trial import Trial, TrialReport
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow._runtime.state_directory import StateDirectory
from otel_shadow.cached import cached

BLOCKS_LOOP, ON_TRIAL, UNTRIED = "blocks_loop", "trial", "untried"
"""Reasons for which a shadow run is not awaited on a loop of the application."""
_MOST_ATTEMPTS = 5
"""Captured states that are offered to a trial before V2 counts as one that can't be tried."""
_LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class V2Code:
    """What is known of a V2's code.

    Arguments:
        path: its import path, by which a worker finds it.
        name: what it is called in messages where it has no path.
        accepted: whether it runs on the loop without a trial: V1 itself, or code of ``__main__`` or a notebook.
        digest: changes with its source.
        hindrance: why it can't be tried, where it has no path.
    """

    path: str | None = None
    name: str = "V2"
    accepted: bool = False
    digest: str = ""
    hindrance: str = "it has no import path"


class LoopAdmission:
    """The admission of one V2 of one node; asked by the dispatcher's thread alone.

    Arguments:
        graph: the graph's name.
        node: the node's name.
        build: returns V2's build; asked when V2 is first to run.
        code: V2's code.
        accepted: whether the user has accepted one stall of the loop per build, or the trial is not wanted.
        state: keeps what outlives a restart.
        trial: tries V2; None: there are no trials here.
    """

    def __init__(
        self,
        graph: str,
        node: str,
        build: Callable[[], str],
        code: V2Code,
        *,
        accepted: bool,
        state: StateDirectory | None = None,
        trial: Trial | None = None,
    ) -> None:
        self._graph = graph
        self._build = build
        self._node = node
        self.code = code
        self.guard = LoopGuard(node, code.path or code.name, self._keep_pause)
        self._state = state
        self._trial = trial
        self._accepted = accepted or code.accepted or trial is None
        self._reason = ON_TRIAL
        self._attempts = 0
        self._known = False
        self._kept = False
        self._looked_at = 0.0
        on_fork(self._reset)

    def _reset(self) -> None:
        self.guard.reset_after_fork()

    @cached
    def _names(self) -> Mapping[str, str]:
        code = self.code
        names = {"graph": self._graph, "node": self._node, "build": self._build()}
        return {**names, "code": code.digest, "v2": code.path or code.name}

    @property
    def key(self) -> str:
        """The name of the file that keeps what is known of this build of this V2."""
        return hashlib.sha256(json.dumps(self._names, sort_keys=True).encode()).hexdigest()[:20] + ".json"

    @property
    def hindrance(self) -> str | None:
        """Why V2 can't be tried and does not run until the user says where; None where that is not so."""
        return self.code.hindrance if not self._accepted and self.code.path is None else None

    def refuse(self, shadow: Any) -> str | None:
        """Return the reason why ``shadow`` may not run on a loop of the application; None if it may.

        The first shadow run of a V2 that was not tried is what the trial is made of.
        """
        if not self._known:
            self._known = True
            self._recall()
        if self.guard.is_paused:
            return None if self._was_reset() else BLOCKS_LOOP
        if self._accepted:
            return None
        if self.code.path is None:
            self.tell_untried(self.code.hindrance)
            return UNTRIED
        if self._trial is not None and self._reason == ON_TRIAL and self._attempts < _MOST_ATTEMPTS:
            self._try(shadow, self._trial)
        return self._reason

    def tell_untried(self, why: str) -> None:
        """Say, once, that V2 does not run, why, and what to write."""
        if self._reason != UNTRIED:
            self._reason = UNTRIED
            say(logging.WARNING, "shadow %r: %s", self._node, untried_sentence(self._node, why))

    # --- the trial ---------------------------------------------------------------------------------------------------

    def _try(self, shadow: Any, trial: Trial) -> None:
        path = self.code.path or ""
        if trial.is_running(self.key):
            return
        self._attempts += 1
        try:
            job = shadow.trial_job(path)
        except Exception:  # noqa: BLE001 - the user's classes raise anything; the next state may do
            if self._attempts >= _MOST_ATTEMPTS:
                self.tell_untried("its input can't be sent to a worker")
            return
        self._attempts = _MOST_ATTEMPTS
        trial.begin(self.key, job, shadow.timeout_s, self._recalled, self._judge)

    def _recalled(self) -> bool:
        """Return whether another process has tried this build meanwhile."""
        self._recall()
        return self._accepted or self.guard.is_paused

    def _judge(self, report: TrialReport) -> None:
        """Take the outcome of the trial, in its thread."""
        if report.outcome == "passed":
            self._keep({"state": "passed"})
            self._accepted = True
            say(logging.INFO, "shadow %r: V2 was tried in a worker and holds no loop; it runs on V1's", self._node)
        elif report.outcome == "blocked":
            self.guard.pause(PausePlace(report.position or self.guard.fallback, report.seconds))
        else:
            self.tell_untried(report.why)

    # --- what outlives a restart -------------------------------------------------------------------------------------

    def _recall(self) -> None:
        known = self._state.read(self.key) if self._state is not None else None
        if known is None:
            return
        if known.get("state") == "passed":
            self._accepted = True
        elif known.get("state") == "paused":
            self._kept = True
            seconds = known.get("milliseconds")
            place = PausePlace(str(known.get("position")), (seconds if isinstance(seconds, int | float) else 0) / 1000)
            self.guard.pause(place, told=False)
            say(
                logging.WARNING,
                "shadow %r: still %s; to run this build again, remove %s",
                self._node,
                pause_sentence(place),
                self.key,
            )

    def _keep_pause(self, place: PausePlace) -> None:
        """Keep a pause, in a thread of its own: the loop's thread and the watchdog wait for no disk."""
        content = {"state": "paused", "position": place.position, "milliseconds": round(place.seconds * 1000)}
        threading.Thread(target=self._keep, args=(content,), name="otel-shadow-state", daemon=True).start()

    def _keep(self, content: dict[str, Any]) -> None:
        if self._state is not None:
            moment = datetime.now(UTC).isoformat(timespec="seconds")
            self._kept = self._state.write(self.key, {**self._names, **content, "at": moment})

    def _was_reset(self) -> bool:
        """Return whether the file of the pause was removed: then V2 begins anew."""
        now = monotonic()
        if self._state is None or not self._kept or now - self._looked_at < _LOOK_EVERY_S:
            return False
        self._looked_at = now
        if self._state.read(self.key) is not None:
            return False
        self._kept = False
        self.guard.resume()
        say(logging.WARNING, "shadow %r: running again, its pause was reset", self._node)
        return True


def untried_sentence(node: str, why: str) -> str:
    """Return what is told of an awaited V2 that can't be tried."""
    return (
        f"its awaited V2 does not run in shadow, because it can't be tried in a worker first ({why}); "
        f"{untried_remedy(node)}"
    )


def untried_remedy(node: str) -> str:
    """Return what to write for a V2 that can't be tried."""
    return f'write [nodes.{node}] executor = "loop" to accept one stall of the event loop per build, or "process"'

"""Awaited V2s on production's loop: V1 gets its answers, whatever V2 shares, holds, cancels, stops or swallows."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from asyncio import all_tasks
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from small_graphs import left, small_graph
from waiting import PATIENCE_S, until

from otel_shadow import is_shadow
from otel_shadow.testing.capture import ShadowCapture

Make = Callable[..., ShadowCapture]
SAID = "hello"


@pytest.fixture
def shadowed(make_shadow_capture: Make) -> Callable[..., tuple[ShadowCapture, Any]]:
    """A graph whose node ``left`` is ``v1`` beside ``v2``."""

    def make(v1: Any, v2: Any, **table: Any) -> tuple[ShadowCapture, Any]:
        node = {"timeout_ms": 60_000, **table}
        capture = make_shadow_capture({"nodes": {"left": node}, "arms": {"holdout": 0.0}})
        return capture, capture.attach(small_graph(v1), {"left": v2})

    return make


async def _v1(state: Any) -> Any:
    return left(state)


async def _ask(graph: Any, session: str = "s_1") -> Any:
    return await graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": session}})


async def _drained(capture: ShadowCapture) -> None:
    assert await asyncio.to_thread(capture.manager.flush, PATIENCE_S)


def _limited_by_a_semaphore() -> Any:
    limit = asyncio.Semaphore(2)

    async def node(state: Any) -> Any:
        async with limit:
            await asyncio.sleep(0.001)
            return left(state)

    return node


def _in_turn_by_a_lock() -> Any:
    lock = asyncio.Lock()

    async def node(state: Any) -> Any:
        async with lock:
            await asyncio.sleep(0.001)
            return left(state)

    return node


def _with_a_pool() -> Any:
    pool: asyncio.Queue[int] = asyncio.Queue()
    pool.put_nowait(1)
    pool.put_nowait(2)

    async def node(state: Any) -> Any:
        connection = await pool.get()
        try:
            await asyncio.sleep(0.001)
            return left(state)
        finally:
            pool.put_nowait(connection)

    return node


def _through_a_worker_task() -> Any:
    """A client that is served by a task of its own, started at first use, by V1 or by V2."""
    asked: asyncio.Queue[asyncio.Future[str]] = asyncio.Queue()
    tasks: list[asyncio.Task[None]] = []

    async def serve() -> None:
        while True:
            answer = await asked.get()
            await asyncio.sleep(0.001)
            if not answer.done():
                answer.set_result(SAID)

    async def node(state: Any) -> Any:
        if not tasks:
            tasks.append(asyncio.create_task(serve()))
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await asked.put(answer)
        assert await answer == SAID
        return left(state)

    return node


def _waiting_for_an_event_of_each_other() -> Any:
    condition = asyncio.Condition()

    async def node(state: Any) -> Any:
        async with condition:
            condition.notify_all()
        await asyncio.sleep(0)
        async with condition:
            return left(state)

    return node


SHARED = {
    "semaphore": _limited_by_a_semaphore,
    "lock": _in_turn_by_a_lock,
    "pool": _with_a_pool,
    "worker task": _through_a_worker_task,
    "condition": _waiting_for_an_event_of_each_other,
}


@pytest.mark.parametrize("what", SHARED)
def test_v1_and_v2_share_what_belongs_to_a_loop(shadowed: Any, what: str) -> None:
    """Sixty requests, six at a time: every answer of V1's is right, and every V2 runs and matches."""
    node = SHARED[what]()
    capture, graph = shadowed(node, node)

    async def main() -> list[Any]:
        waiting = iter(range(60))

        async def user() -> list[Any]:
            return [await _ask(graph, f"s_{number}") for number in waiting]

        answers = await asyncio.gather(*(user() for _ in range(6)))
        await _drained(capture)
        return [answer["trail"] for some in answers for answer in some]

    assert asyncio.run(main()) == [["left", "right"]] * 60
    assert Counter(str(record.comparison and record.comparison.outcome) for record in capture.records) == {"match": 60}
    assert {record.executor for record in capture.records} == {"loop"}


def test_v2_that_holds_the_loop_is_paused_and_named(shadowed: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One step of 400 ms is enough; what follows is shed for this build, and the place and the remedy are told."""

    async def v2(state: Any) -> Any:
        time.sleep(0.15)
        return left(state)

    capture, graph = shadowed(_v1, v2)

    async def main() -> None:
        for number in range(3):
            await _ask(graph, f"s_{number}")
            await _drained(capture)

    asyncio.run(main())
    told = [record.reason for record in capture.records]
    assert told == ["cancelled:blocks_loop", "shed:blocks_loop", "shed:blocks_loop"]
    until(lambda: "paused (blocks the loop)" in caplog.text)
    line = next(line for line in caplog.text.splitlines() if "paused (blocks the loop)" in line)
    assert f"{__name__}:{v2.__code__.co_firstlineno + 1}" in line
    assert 'executor = "process"' in line


def test_v2_that_computes_a_little_is_paused_in_time(shadowed: Any) -> None:
    """Steps of 30 ms fill the bucket of 100 ms in four calls; of those that began beside them none takes a step."""
    steps = []

    async def v2(state: Any) -> Any:
        steps.append(1)
        end = time.thread_time() + 0.03
        while time.thread_time() < end:
            sum(range(100))
        return left(state)

    capture, graph = shadowed(_v1, v2)

    async def main() -> None:
        await asyncio.gather(*(_ask(graph, f"s_{number}") for number in range(20)))
        await _drained(capture)

    asyncio.run(main())
    reasons = Counter(record.reason for record in capture.records)
    assert len(steps) <= 5
    assert reasons["shed:blocks_loop"] >= 12
    assert set(reasons) - {None} == {"cancelled:blocks_loop", "shed:blocks_loop"}


def test_a_child_task_that_holds_the_loop_is_seen(shadowed: Any) -> None:
    """V2 answers for the tasks it starts, and for what those start."""

    async def holds() -> None:
        time.sleep(0.15)

    async def child() -> None:
        await asyncio.create_task(holds())

    async def v2(state: Any) -> Any:
        await asyncio.gather(child(), asyncio.sleep(0))
        return left(state)

    capture, graph = shadowed(_v1, v2)

    async def main() -> None:
        for number in range(2):
            await _ask(graph, f"s_{number}")
            await _drained(capture)

    asyncio.run(main())
    assert capture.records[1].reason == "shed:blocks_loop"


def test_v1_that_holds_the_loop_is_no_fault_of_v2(shadowed: Any) -> None:
    """Only V2's own steps are charged: V1 may sleep as it likes."""

    async def v1(state: Any) -> Any:
        time.sleep(0.05)
        return left(state)

    async def v2(state: Any) -> Any:
        for _ in range(3):
            await asyncio.sleep(0)
        return left(state)

    capture, graph = shadowed(v1, v2)

    async def main() -> None:
        await asyncio.gather(*(_ask(graph, f"s_{number}") for number in range(10)))
        await _drained(capture)

    asyncio.run(main())
    assert {record.reason for record in capture.records} == {None}


def test_v2s_threads_take_none_of_v1s(shadowed: Any) -> None:
    """What V2 gives to threads waits in a pool of V2's own: V1's single thread stays free."""
    release = threading.Event()

    async def v1(state: Any) -> Any:
        return await asyncio.to_thread(left, state)

    async def v2(state: Any) -> Any:
        loop = asyncio.get_running_loop()
        await asyncio.gather(asyncio.to_thread(release.wait), loop.run_in_executor(None, release.wait))
        return left(state)

    capture, graph = shadowed(v1, v2)

    async def main() -> Any:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        await _ask(graph)
        until_started = threading.Thread(target=until, args=(lambda: capture.manager.dispatcher.inflight == 1,))
        until_started.start()
        while until_started.is_alive():
            await asyncio.sleep(0.001)
        answer = await _ask(graph, "s_2")
        release.set()
        await capture_drained()
        return answer

    async def capture_drained() -> None:
        await _drained(capture)

    assert asyncio.run(main())["trail"] == ["left", "right"]
    assert [str(record.v2.status) for record in capture.records if record.v2] == ["success", "success"]


async def _stops_the_loop(state: Any) -> Any:
    asyncio.get_running_loop().stop()
    return left(state)


async def _cancels_everybody(state: Any) -> Any:
    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            task.cancel()
    await asyncio.sleep(0)
    return left(state)


async def _exits_in_a_child(state: Any) -> Any:
    async def child() -> None:
        sys.exit(3)

    await asyncio.create_task(child())


async def _interrupts_in_a_child(state: Any) -> Any:
    async def child() -> None:
        raise KeyboardInterrupt

    await asyncio.create_task(child())


async def _exits(state: Any) -> Any:
    sys.exit(3)


async def _interrupts(state: Any) -> Any:
    raise KeyboardInterrupt


async def _sets_a_task_factory(state: Any) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no tasks any more")

    asyncio.get_running_loop().set_task_factory(refuse)
    return left(state)


async def _closes_the_loop(state: Any) -> Any:
    asyncio.get_running_loop().close()
    return left(state)


async def _cancels_everybody_it_was_told_of(state: Any) -> Any:
    for task in all_tasks():  # imported before any V2 ran
        if task is not asyncio.current_task():
            task.cancel()
    await asyncio.sleep(0)
    return left(state)


async def _shuts_the_pool_down(state: Any) -> Any:
    await asyncio.get_running_loop().shutdown_default_executor()
    return left(state)


async def _ends_generators(state: Any) -> Any:
    await asyncio.get_running_loop().shutdown_asyncgens()
    return left(state)


async def _exits_in_a_callback(state: Any) -> Any:
    def leave(*_: Any) -> None:
        sys.exit(3)

    loop = asyncio.get_running_loop()
    loop.call_soon(leave)
    loop.call_later(0, leave)
    loop.call_at(loop.time(), leave)
    asyncio.create_task(asyncio.sleep(0)).add_done_callback(leave)
    await asyncio.sleep(0.01)
    return left(state)


@pytest.mark.parametrize(
    ("v2", "status"),
    [
        pytest.param(
            _cancels_everybody_it_was_told_of,
            "success",
            marks=pytest.mark.skipif(sys.version_info >= (3, 14), reason="all_tasks looks in C code there: a limit"),
        ),
        (_shuts_the_pool_down, "success"),
        (_ends_generators, "success"),
        (_exits_in_a_callback, "success"),
        (_stops_the_loop, "success"),
        (_cancels_everybody, "success"),
        (_exits_in_a_child, "error"),
        (_interrupts_in_a_child, "error"),
        (_exits, "error"),
        (_interrupts, "error"),
        (_sets_a_task_factory, "success"),
        (_closes_the_loop, "success"),
    ],
)
def test_v2_ends_nothing_but_itself(shadowed: Any, v2: Any, status: str) -> None:
    """V1's other requests go on, and so does the loop."""
    capture, graph = shadowed(_v1, v2)

    async def main() -> list[Any]:
        async def slow_user() -> Any:
            await asyncio.sleep(0.1)
            return await _ask(graph, "s_2")

        other = asyncio.create_task(slow_user())
        first = await _ask(graph)
        await _drained(capture)
        second = await other
        await _drained(capture)
        return [first["trail"], second["trail"]]

    assert asyncio.run(main()) == [["left", "right"]] * 2
    assert [str(record.v2.status) for record in capture.records if record.v2] == [status, status]


def _on_a_plain_loop(run: Any) -> Any:
    """Run where Python's own handler raises ``KeyboardInterrupt`` wherever the interpreter is: inside V2's step."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(run)
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()
        asyncio.set_event_loop(None)


@pytest.mark.parametrize("run", [asyncio.run, _on_a_plain_loop])
def test_a_real_interrupt_inside_a_step_is_the_applications(
    shadowed: Any, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """``Ctrl-C`` while V2 runs ends the application, as it would without V2, and asyncio has nothing to say of V2."""

    async def v2(state: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass
        return left(state)

    _, graph = shadowed(_v1, v2)

    async def main() -> None:
        await _ask(graph)
        await asyncio.sleep(3600)

    with pytest.raises(KeyboardInterrupt):
        run(main())
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("loops", ["asyncio", "uvloop"])
def test_v2_that_begins_as_the_loop_ends_is_ended_with_it(shadowed: Any, loops: str) -> None:
    """The application serves a last request while its tasks are cancelled: that V2 is cut off, and cleans up there."""
    told: list[str] = []
    begun = asyncio.Event()

    async def v2(state: Any) -> Any:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            told.append("running" if asyncio.get_running_loop().is_running() else "closed")

    capture, graph = shadowed(_v1, v2)

    async def serves_to_the_end() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await _ask(graph)
            await asyncio.wait_for(begun.wait(), PATIENCE_S)

    async def main() -> None:
        serving.append(asyncio.create_task(serves_to_the_end()))
        await asyncio.sleep(0)

    serving: list[Any] = []
    pytest.importorskip(loops).run(main())
    assert told == ["running"]
    assert [record.reason for record in capture.records] == ["cancelled:loop_ended"]


@pytest.mark.parametrize("run", [asyncio.run, _on_a_plain_loop])
def test_a_loop_that_has_ended_is_freed(shadowed: Any, run: Any) -> None:
    """Nothing of ours keeps it: applications that call ``asyncio.run`` for every job have thousands."""
    capture, graph = shadowed(_v1, _v1)

    async def main() -> Any:
        await _ask(graph)
        await _drained(capture)
        return weakref.ref(asyncio.get_running_loop())

    ended = run(main())
    assert [str(record.v2.status) for record in capture.records if record.v2] == ["success"]
    gc.collect()
    assert ended() is None


def test_v2s_own_time_limits_and_groups_work(shadowed: Any) -> None:
    """What V2 cancels itself (``timeout``, ``wait_for``, a group) is no end of the loop's."""

    async def v2(state: Any) -> Any:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(3600)
        except TimeoutError:
            pass
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(3600), 0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        task = asyncio.create_task(asyncio.sleep(3600))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return left(state)

    capture, graph = shadowed(_v1, v2)

    async def main() -> None:
        await _ask(graph)
        await _drained(capture)

    asyncio.run(main())
    assert [str(record.comparison.outcome) for record in capture.records if record.comparison] == ["match"]


def test_production_never_sees_what_is_replaced_for_v2(shadowed: Any) -> None:
    """Between V2's steps the loop has V1's task factory, pool and methods, and ``all_tasks`` tells all."""
    seen: list[Any] = []

    async def v2(state: Any) -> Any:
        for _ in range(5):
            await asyncio.sleep(0)
        return left(state)

    capture, graph = shadowed(_v1, v2)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await _ask(graph)
        while capture.manager.dispatcher.busy:
            seen.append((loop.get_task_factory(), sorted({"run_in_executor", "stop", "close"} & set(vars(loop)))))
            assert asyncio.current_task() in asyncio.all_tasks()
            await asyncio.sleep(0)

    asyncio.run(main())
    assert {repr(item) for item in seen} == {"(None, [])"}


def test_handlers_of_signals_stay_the_applications(shadowed: Any) -> None:
    """A V2 that removes one of the loop, and adds its own, changes nothing."""
    told: list[str] = []

    async def v2(state: Any) -> Any:
        loop = asyncio.get_running_loop()
        loop.remove_signal_handler(signal.SIGURG)
        loop.add_signal_handler(signal.SIGURG, told.append, "V2")
        return left(state)

    capture, graph = shadowed(_v1, v2)

    async def main() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGURG, told.append, "V1")
        await _ask(graph)
        await _drained(capture)
        os.kill(os.getpid(), signal.SIGURG)
        while not told:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(main(), PATIENCE_S))
    assert told == ["V1"]


def test_what_v1_does_within_a_step_of_v2_is_v1s(shadowed: Any) -> None:
    """Where V2 runs the loop within its step (``nest_asyncio``), V1 goes on there with its own tasks, pool and loop."""
    ran: list[Any] = []

    def v1s(loop: Any, pool: ThreadPoolExecutor) -> None:
        loop.set_default_executor(pool)
        ran.append(loop.run_in_executor(None, lambda: threading.current_thread().name))
        ran.append(loop.create_task(asyncio.sleep(0)))

    async def v2(state: Any) -> Any:
        with_nothing_of_v2s = contextvars.Context()
        with_nothing_of_v2s.run(v1s, asyncio.get_running_loop(), pool)
        return left(state)

    pool = ThreadPoolExecutor(1, thread_name_prefix="v1s-pool")
    capture, graph = shadowed(_v1, v2)

    async def main() -> Any:
        await _ask(graph)
        await _drained(capture)
        return await ran[0]

    assert asyncio.run(main()) == "v1s-pool_0"
    assert type(ran[1]) is asyncio.Task


def test_v2s_context_is_its_own(shadowed: Any) -> None:
    """A task that V2 leaves behind is the shadow's, and production's is not."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    told: list[tuple[bool, str]] = []

    async def v2(state: Any) -> Any:
        variable.set("v2")

        async def behind() -> None:
            await asyncio.sleep(0)
            told.append((is_shadow(), variable.get()))

        v2.task = asyncio.create_task(behind())  # type: ignore[attr-defined]
        return left(state)

    capture, graph = shadowed(_v1, v2)

    async def main() -> tuple[bool, str]:
        await _ask(graph)
        await _drained(capture)
        await asyncio.sleep(0.01)
        return is_shadow(), variable.get()

    assert asyncio.run(main()) == (False, "unset")
    assert told == [(True, "v2")]


ENDS = """
import asyncio, sys
from otel_shadow.testing.capture import ShadowCapture
from small_graphs import left, small_graph

async def v1(state):
    return left(state)

began = []

async def cleans_up_for_ever(state):
    began.append(1)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.Event().wait()

async def swallows(state):
    began.append(1)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def child_swallows(state):
    await asyncio.gather(swallows(state), swallows(state))

async def leaves_one_behind(state):
    leaves_one_behind.task = asyncio.create_task(swallows(state))
    await asyncio.Event().wait()

async def in_a_thread(state):
    import threading
    began.append(1)
    await asyncio.to_thread(threading.Event().wait)

capture = ShadowCapture({"nodes": {"left": {"timeout_ms": 3_600_000}}, "arms": {"holdout": 0.0}})
graph = capture.attach(small_graph(v1), {"left": globals()[sys.argv[1]]})

async def main():
    answer = await graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": "s_1"}})
    while not began:
        await asyncio.sleep(0.001)
    return answer["trail"]

if sys.argv[2] == "uvloop":
    import uvloop
    print(uvloop.run(main()), flush=True)
else:
    print(asyncio.run(main()), flush=True)
print([record.reason for record in capture.records], flush=True)
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("v2", ["cleans_up_for_ever", "swallows", "child_swallows", "leaves_one_behind", "in_a_thread"])
def test_the_end_of_a_loop_waits_for_no_v2(tmp_path: Path, v2: str, loop: str) -> None:
    """``asyncio.run`` returns and the process ends, though V2 would go on for ever; the pair says why it was cut."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    script = tmp_path / "ends.py"
    script.write_text(textwrap.dedent(ENDS))
    done = subprocess.run(
        [sys.executable, str(script), v2, loop],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
    )
    assert done.stdout.splitlines() == ["['left', 'right']", "['cancelled:loop_ended']"], done.stderr
    for noise in ("Traceback", "never awaited", "destroyed"):
        assert noise not in done.stderr


def test_a_loop_per_request(shadowed: Any) -> None:
    """V2s whose loop ended before they began run once nobody is on a loop any more, and match."""
    capture, graph = shadowed(_v1, _v1)
    answers = [asyncio.run(_ask(graph, f"s_{number}")) for number in range(4)]
    assert [answer["trail"] for answer in answers] == [["left", "right"]] * 4
    assert {str(record.comparison.outcome) for record in capture.records if record.comparison} == {"match"}
    assert {(record.reason, record.executor) for record in capture.records} == {(None, "thread")}


def test_a_shadow_run_whose_request_is_cancelled_goes_on(shadowed: Any) -> None:
    """A user who leaves ends V1's request; the pairs that were begun are no part of it."""
    go_on = asyncio.Event()

    async def v2(state: Any) -> Any:
        await go_on.wait()
        return left(state)

    capture, graph = shadowed(_v1, v2)

    async def main() -> None:
        async def request() -> None:
            await _ask(graph)
            await asyncio.sleep(3600)

        user = asyncio.create_task(request())
        while capture.manager.dispatcher.inflight == 0:
            await asyncio.sleep(0.001)
        user.cancel()
        with pytest.raises(asyncio.CancelledError):
            await user
        go_on.set()
        await _drained(capture)

    asyncio.run(main())
    assert [str(record.comparison.outcome) for record in capture.records if record.comparison] == ["match"]

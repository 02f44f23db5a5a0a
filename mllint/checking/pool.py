"""Chunks of work through a process pool that survives a dying worker.

May not: know what a chunk is. The caller hands over plain data and a function that a worker can import.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from threading import Thread
from typing import Any, Generic, TypeVar

from mllint.checking.interrupts import end_without_a_word, interrupts_held
from mllint.record import dataclass

Item = TypeVar("Item")
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Pool(Generic[Item, Done]):
    """How to work: ``prepare(*arguments)`` once in each worker, then ``work(chunk)`` for each chunk."""

    jobs: int
    prepare: Callable[..., None]
    arguments: tuple[Any, ...]
    work: Callable[[list[Item]], list[Done]]
    start_method: str = ""

    def map(self, chunks: Sequence[list[Item]], lost: Callable[[Item], Done]) -> Iterator[Done]:
        """Results as they come. An item whose worker dies even when it is alone gives ``lost(item)``."""
        left = yield from self._round(chunks, min(self.jobs, len(chunks)))
        for chunk in left:
            for item in chunk:
                if (yield from self._round([[item]], 1)):
                    yield lost(item)

    def _round(self, chunks: Sequence[list[Item]], jobs: int) -> Generator[Done, None, list[list[Item]]]:
        """Yield the results of chunks; return the chunks that a dying worker left undone."""
        import multiprocessing  # with the next two 13 ms, which only large runs need
        from concurrent.futures import ProcessPoolExecutor, as_completed
        from concurrent.futures.process import BrokenProcessPool

        context = multiprocessing.get_context(self.start_method or default_start_method())
        left: list[list[Item]] = []
        begin = (os.getcwd(), self.prepare, self.arguments)
        with _in_safe_folder():
            pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=begin)
        try:
            futures = {}
            try:
                with interrupts_held(), _in_safe_folder():
                    for chunk in chunks:
                        futures[pool.submit(self.work, chunk)] = chunk
            except BrokenProcessPool:
                left.extend(chunks[len(futures) :])
            for future in as_completed(futures):
                try:
                    results = future.result()
                except BrokenProcessPool:
                    left.append(futures[future])
                else:
                    yield from results
        finally:
            pool.shutdown(cancel_futures=True)  # after Ctrl-C what has not begun never will
        return left


def _begin(folder: str, prepare: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Start of a worker: it ends without a word on Ctrl-C, and with the process that it works for, even a killed one."""
    os.chdir(folder)
    end_without_a_word()
    Thread(target=_end_with_parent, daemon=True).start()
    prepare(*arguments)


def _end_with_parent() -> None:
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _in_safe_folder() -> Iterator[None]:
    """The current folder is that of Python's own modules meanwhile: a process that is spawned imports its first modules
    from its current folder, and what is checked there must not be run (`multiprocessing.py`, say)."""
    before, modules = os.getcwd(), os.path.dirname(os.__file__)
    os.chdir(modules if os.path.isdir(modules) else sys.prefix)  # they may be in a zip file
    try:
        yield
    finally:
        os.chdir(before)


def default_start_method() -> str:
    """Fork on Linux, where it is safe here (no threads) and shares what is loaded; else the platform's own."""
    return "fork" if sys.platform.startswith("linux") else "spawn"


def cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity
        return os.cpu_count() or 1

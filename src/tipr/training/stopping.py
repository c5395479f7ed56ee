"""A run that is asked to stop finishes its step, is saved, and says how to go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(SystemExit):
    """A run ended because it was asked to; the exit status is the one that signals have."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


class StopRequests:
    """Notes the first SIGTERM or Ctrl-C; a second one acts as it would without this.

    Outside of the main thread, where Python takes no signals, there is nothing to note.
    """

    def __init__(self) -> None:
        self._asked: int | None = None
        self._at_once = False
        self._before: dict[int, Any] = {}

    @property
    def number(self) -> int:
        """The signal that came; 0 where none did."""
        return self._asked or 0

    def obey(self) -> None:
        """Raises Stopped when a request came."""
        if self._asked is not None:
            raise Stopped(self._asked)

    @contextmanager
    def at_once(self) -> Generator[None]:
        """Within, a request is obeyed as it comes: nothing here needs to be finished."""
        self._at_once = True
        try:
            self.obey()
            yield
        finally:
            self._at_once = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
                    self._before[number] = signal.signal(number, self._noted)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _noted(self, number: int, frame: FrameType | None) -> None:
        self._asked = number
        self._restore()
        if self._at_once:
            self.obey()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

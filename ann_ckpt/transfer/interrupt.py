"""Defers ^C until all values of a network are set."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["finishing"]


@contextmanager
def finishing(done: str, partly: str) -> Iterator[None]:
    """Defer ^C to the end of the block; a second ^C interrupts it.

    ^C is kept back only in the main thread and where nobody has a handler of his own for it.
    Whatever breaks the block off that is no error (the second ^C, an exit that a signal
    handler asks for) gets a note.

    Parameters
    ----------
    done : str
        Note of the ``KeyboardInterrupt`` that is raised after the end of the block.
    partly : str
        Note of whatever breaks the block off.

    Raises
    ------
    KeyboardInterrupt
        After the end of the block, if ^C came meanwhile.
    """
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            signal.default_int_handler(number, frame)
        came = True

    keeps = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if keeps:
        signal.signal(signal.SIGINT, note)
    try:
        yield
    except Exception:
        raise  # an error says itself what became of the network
    except BaseException as error:
        error.add_note(partly)
        raise
    finally:
        if keeps:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        interrupt = KeyboardInterrupt()
        interrupt.add_note(done)
        raise interrupt

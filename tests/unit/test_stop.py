"""
Being asked to stop: at once, or when what must not be broken off is done.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from experiments.run.stop import StopRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture
def stop() -> Iterator[StopRequest]:
    """
    A stop request, whose signals are the test's own only for as long as it runs.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield StopRequest()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_breaks_off_what_is_done(stop: StopRequest, number: int) -> None:
    """
    A second one breaks off nothing, but every later phase is.
    """
    stop.check()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    os.kill(os.getpid(), number)
    assert stop.asked
    with pytest.raises(KeyboardInterrupt):
        stop.check()


def test_what_must_not_be_broken_off_is_done_to_its_end(stop: StopRequest) -> None:
    """
    A signal is remembered meanwhile, also where such things are inside of each other.
    """
    done = []
    with stop.held():
        with stop.held():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("inner")
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("outer")
    assert done == ["inner", "outer"]
    assert stop.asked


def test_an_error_that_follows_the_signal_does_not_hide_it(stop: StopRequest) -> None:
    """
    As of a library that was interrupted and cannot close; without a signal an error stays one.
    """

    def close(*, interrupted: bool) -> None:
        try:
            if interrupted:
                os.kill(os.getpid(), signal.SIGINT)
        finally:
            msg = "the event loop stopped"
            raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="event loop"), stop.before_errors():
        close(interrupted=False)
    with pytest.raises(KeyboardInterrupt) as interrupt, stop.before_errors():
        close(interrupted=True)
    assert isinstance(interrupt.value.__cause__, RuntimeError)


def test_a_signal_after_that_breaks_off_again(stop: StopRequest) -> None:
    """
    If nothing was asked meanwhile.
    """
    with stop.held():
        pass
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)

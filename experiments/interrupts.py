"""
Ctrl-C in the first second of a command, in which it imports.
"""

import signal


def end_at_ctrl_c() -> None:
    """
    Let Ctrl-C end this process without a traceback, unless its caller had it ignored.

    A caller ignores it while it has a report made after an earlier Ctrl-C.
    """
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

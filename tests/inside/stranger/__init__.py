"""
A malicious service: it tries every way out that it knows, and prints what it found.

``python3 -m stranger --once`` prints one line of JSON for each probe. A probe that raises OSError
was stopped. What a probe returns is a way out, in words. None does harm when it succeeds: files are
opened and not written, signals have the number 0, and calls have arguments that cannot work, so
that the kernel's answer tells whether it would have allowed them. Each probe has a process of its
own. It needs the standard library only.
"""

from . import calls, devices, files, filtered, namespaces, sessions
from .kernel import probes
from .others import MARK, MOUNTED, PLACES, SEGMENT, TREASURE

__all__ = [
    "MARK",
    "MOUNTED",
    "PLACES",
    "SEGMENT",
    "TREASURE",
    "calls",
    "devices",
    "files",
    "filtered",
    "namespaces",
    "probes",
    "sessions",
]

"""
How much of everything a run has, unless the user asks for more or less.
"""

from __future__ import annotations

from dataclasses import dataclass

CONCURRENCY = 50
"""Requests under way at once, as published."""

REQUESTS = 250
"""Requests in each short load: about half a second on the machine that this was built on."""

ROUNDS = 6
"""Short loads of each deployment, where no pilot chooses."""

REQUESTS_AT_ONCE = 1000
"""Requests in one load, as published."""

AT_ONCE_EVERY = 2
"""Every so many blocks have such a load, the first one included: it is as long as four others."""

WARMUP_REQUESTS = 200
"""Requests before those that count; the published report had none, and measured a cold start."""

OPEN_FRACTIONS = (0.3, 0.5, 0.7, 0.9)
"""Shares of a deployment's own capacity at which it is loaded by schedule."""

OPEN_REQUESTS = 1000

DEFAULT_SEED = 1


@dataclass(frozen=True)
class Profile:
    """
    How long a run goes on: for at least ``blocks`` blocks, as far as they end within ``minutes``.

    With a ``half_width`` it then goes on until the focal comparisons have one as small as that, and
    others one as small as WIDER says.
    """

    name: str
    blocks: int
    minutes: float
    half_width: float | None
    about: str


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("quick", 3, 5, None, "a look: does it work here, and roughly what comes out"),
        Profile("standard", 5, 10, 0.01, "the default: intervals that mean something"),
        Profile("full", 10, 60, 0.005, "narrow intervals, for results that are to be published"),
    )
}

DEFAULT_PROFILE = "standard"

WIDER = {"focal": 1.0, "step": 1.5, "comparison": 2.0, "dose": 5.0, "injected": 0.5}
"""
How many times as wide as a focal comparison's an interval may be: of a ladder's step, of the dose
of a limit, and so on.
"""

"""
The defaults of a run: profiles, and the number of requests, rounds and blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

CONCURRENCY = 50
"""Concurrent requests in the closed loop, as published."""

REQUESTS = 250
"""Requests per load: about half a second on the machine that this project was developed on."""

ROUNDS = 6
"""Loads per deployment, if no pilot chooses the number."""

REQUESTS_AT_ONCE = 1000
"""Requests in one load, as published."""

AT_ONCE_EVERY = 2
"""Every second block has such a load, starting with the first: it takes as long as four others."""

AGREEMENT_COMPANY = 3
"""Deployments of a repetition of the agreement that are frozen, beside the one that never is."""

AGREEMENT_PAIRS = 3
"""Pairs of a short and a long load alone, before and after; and rounds beside the others."""

AGREEMENT_LOADS = AGREEMENT_PAIRS * (2 * 2 + 1 + AGREEMENT_COMPANY)
"""Loads of one whole repetition."""

WARMUP_REQUESTS = 200
"""Requests before the first load that counts; the published report had none: a cold start."""

OPEN_FRACTIONS = (0.3, 0.5, 0.7, 0.9)
"""Rates of the open loop, as shares of the deployment's capacity."""

OPEN_REQUESTS = 1000

DEFAULT_SEED = 1


@dataclass(frozen=True)
class Profile:
    """
    How long a run takes: at least ``blocks`` blocks, as far as they end within ``minutes``.

    With a ``half_width`` (a share, 0.01 is 1 %), the run continues until the confidence interval of
    every focal comparison is that narrow; WIDER says how narrow the other intervals must be.
    """

    name: str
    blocks: int
    minutes: float
    half_width: float | None
    about: str


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "quick", 3, 5, None, "a first look: does it work here, and what is the rough result"
        ),
        Profile("standard", 5, 10, 0.01, "intervals narrow enough for an answer"),
        Profile("full", 10, 60, 0.005, "narrow intervals, for publication"),
    )
}

DEFAULT_PROFILE = "standard"

WIDER = {"focal": 1.0, "step": 1.5, "comparison": 2.0, "dose": 5.0, "injected": 0.5}
"""
The allowed half-width of an interval as a multiple of a focal comparison's, by the kind of
comparison.
"""

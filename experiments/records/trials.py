"""
The record of one trial: its loads, and what the probes saw before, during and after them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import field

from experiments.records.ab.report import AbReport  # noqa: TC001 - the loader looks it up
from experiments.records.cpu import CLIENT
from experiments.records.files import SCHEMA_VERSION
from experiments.records.limits import (
    Amount,
    Count,
    PositiveAmount,
    PositiveCount,
    Record,
    SignedAmount,
    SignedCount,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

OK = "ok"
ERROR = "error"
"""States of a trial; a trial with an error has no result."""

GOOD_SHARE_MARGIN = 0.001
"""
A variant with a larger share of bad answers is not comparable in time with any other.

Time per request is of all answers. A bad one may take no time at all, so it makes a variant look
faster by up to its share. Bad answers of both arms do not cancel: each arm fails in its own way. So
the margin is the bias that is accepted, a twentieth of MARGIN.
"""


def are_comparable(good_shares: Iterable[float]) -> bool:
    """
    Whether variants with these shares of good answers are comparable in time.
    """
    # Rounded, so that exactly one answer in a thousand is within the margin.
    return all(round(1 - share, 9) <= GOOD_SHARE_MARGIN for share in good_shares)


def good_answers(shares: Iterable[float], requests: Iterable[int]) -> str:
    """
    What share of its requests the baseline answered well, and the treatment, in words.

    Rounded down, so that a share below the margin is not shown as one within it.
    """
    before, after = (
        f"{math.floor(round(share * 1e4, 6)) / 100:.2f} % of the {arm}'s {number} answers"
        for arm, share, number in zip(("baseline", "treatment"), shares, requests, strict=True)
    )
    return (
        f"{before} were good, and {after}; "
        f"time is compared from {(1 - GOOD_SHARE_MARGIN) * 100:g} %"
    )


def are_good(requests_ok: int, requests: int) -> bool:
    """
    Whether a load with so many good answers is comparable.
    """
    return requests > 0 and are_comparable([requests_ok / requests])


CLIENT_BOUND = 0.8
"""A client that uses more than this share of its CPU may limit the throughput."""

UNDER_LOAD = frozenset({"cold", "warmup", "load", "at_once"})
"""Phases with requests under way; a trial that fails in one of them loses requests."""

STOPPED = "stopped"
"""The failed phase of a trial without a fault, when the user stopped the run."""


class LoadResult(Record, frozen=True):
    """
    The result of one load, or of all loads of a trial merged into one.

    Latencies are in microseconds, from the start of the connection to the last byte; quantiles are
    over requests. ``requests_ok`` counts good answers: a 2xx status, the length of the checked
    answer (unless the workload's lengths vary), and no connection, receive or protocol error.
    ``sampled`` counts the requests that were sent beside the load to look at whole answers, and
    ``sampled_bad`` those of them whose answer looked good to the load tool and was not; this share
    is taken from ``requests_ok``. ``details`` is ab's parsed report; for merged loads it has their
    sums, and quantiles in milliseconds.
    """

    tool: str
    command: list[str]
    requests: PositiveCount
    concurrency: PositiveCount
    requests_completed: PositiveCount
    requests_failed: Count
    requests_ok: Count
    responses_non_2xx: Count
    duration_s: PositiveAmount
    requests_per_second: PositiveAmount
    latency_mean_us: PositiveAmount
    latency_p50_us: Amount
    latency_p90_us: Amount
    latency_p99_us: Amount
    latency_max_us: Amount
    details: AbReport | None = None
    sampled: Count = 0
    sampled_bad: Count = 0

    @property
    def served(self) -> int:
        """
        The requests that the stack served meanwhile, which its CPU time is for.
        """
        return self.requests_completed + self.sampled

    def requests_of(self, part: str) -> int:
        """
        The requests that the CPU time of a part is for: the client sends all but the samples.
        """
        return self.requests_completed if part == CLIENT else self.served


class OpenLoad(Record, frozen=True):
    """
    One load of the open loop: requests are sent by a schedule, regardless of earlier answers.

    ``fraction`` is the rate as a share of the trial's closed-loop capacity, or None for the common
    rate; ``rate_per_s`` is the rate in requests per second. ``requests_ok`` counts the answers with
    the expected status, length and body. ``achieved_per_s`` is completed
    requests divided by the time from the first intended start to the last answer. ``latest_us`` is
    the largest delay between the intended and the actual start of a request. ``log`` is a file of
    the run with one line per request; see ``experiments/load/open_loop.py``.
    """

    fraction: Amount | None
    rate_per_s: PositiveAmount
    requests: PositiveCount
    requests_completed: Count
    requests_ok: Count
    achieved_per_s: Amount
    latest_us: Count
    log: str


class RoundLoad(Record, frozen=True):
    """
    One load of a round; all other deployments of its part of the block are frozen.

    ``round`` and ``turn``, the place in the round, count from 1; ``started_at`` is in seconds since
    the epoch. ``us_per_request`` is the duration of the load divided by its completed requests, in
    microseconds. ``others`` is the number of frozen deployments, and ``others_ran_us`` their CPU
    time during the load, which is zero or what freezing takes. The other fields are those of
    LoadResult.
    """

    round: PositiveCount
    turn: PositiveCount
    started_at: Amount
    requests: PositiveCount
    requests_completed: Count
    requests_failed: Count
    requests_ok: Count
    responses_non_2xx: Count
    us_per_request: PositiveAmount
    others: Count
    others_ran_us: Count
    sampled: Count = 0
    sampled_bad: Count = 0

    @property
    def is_whole(self) -> bool:
        """
        Whether every request was completed; only such a load has a valid time per request.
        """
        return self.requests_completed == self.requests


class AgreementLoad(Record, frozen=True):
    """
    One load of the comparison of short loads with the load that they represent.

    ``repetition`` is the block after which the ``variant`` was deployed for it. ``thawed`` says
    whether the deployment was frozen before the load; ``beside`` is the number of frozen
    deployments beside it. ``started_at`` is in seconds since the epoch.
    """

    repetition: PositiveCount
    variant: str
    thawed: bool
    beside: Count
    requests: PositiveCount
    requests_ok: Count
    started_at: Amount
    us_per_request: PositiveAmount
    schema_version: Count = SCHEMA_VERSION


class Answer(Record, frozen=True):
    """
    An HTTP answer: its status, and the length and SHA-256 of its body.
    """

    status: Count
    body_bytes: Count
    body_sha256: str


class Check(Record, frozen=True):
    """
    The check before the first load: the number of ``answers`` from ``address``, all as expected.

    ``answer`` is the last one, and ``server`` its Server header.
    """

    address: str
    answers: Count
    server: str
    answer: Answer


class TrialPlacement(Record, frozen=True):
    """
    The CPU numbers of client and stack.

    ``apart`` says that they share no CPU, and ``pinned`` that the client was bound to its CPU.
    ``processes`` is the number of the stack's processes whose CPUs were checked, or None.
    """

    client: list[Count]
    stack: list[Count]
    apart: bool
    pinned: bool
    processes: Count | None = None


class CpuTime(Record, frozen=True):
    """
    CPU time in user mode and in the kernel, in seconds.
    """

    user_s: Amount = 0.0
    system_s: Amount = 0.0

    @property
    def total_s(self) -> float:
        """
        Both together.
        """
        return self.user_s + self.system_s

    def __add__(self, other: CpuTime) -> CpuTime:
        """
        The sum.
        """
        return CpuTime(self.user_s + other.user_s, self.system_s + other.system_s)

    def __sub__(self, other: CpuTime) -> CpuTime:
        """
        The difference, at least zero, which rounding could fall below.
        """
        return CpuTime(
            max(0.0, self.user_s - other.user_s), max(0.0, self.system_s - other.system_s)
        )


class CpuSpent(Record, frozen=True):
    """
    CPU time of the loads of a trial, by where it was spent.

    ``parts`` maps services, client, runner and Docker's processes to their CPU time. ``machine_s``
    are the columns of /proc/stat in seconds, summed over CPUs; ``unaccounted_s`` is busy time
    outside all parts. ``interrupts_apart`` says whether the kernel counts interrupts separately
    from the interrupted task, or is None if unknown. ``throttled_s`` maps parts to the seconds in
    which a CPU limit stopped them; ``client_share`` is the utilisation of the client's CPU.
    """

    duration_s: PositiveAmount
    parts: dict[str, CpuTime]
    machine_s: dict[str, SignedAmount]
    interrupts_apart: bool | None
    unaccounted_s: SignedAmount
    context_switches: Count
    throttled_s: dict[str, Amount]
    client_share: Amount


class PathCounters(Record, frozen=True):
    """
    Network counters in the host's network namespace, since its links were created.

    ``links`` maps links to packets received and sent, ``kinds`` to the kind of the link.
    ``forwarded`` counts routed packets, ``translated`` connections with a translated destination
    (DNAT), ``accepted`` connections accepted in this namespace, and ``tracked`` entries of
    connection tracking. ``proxies`` counts docker-proxy processes, and ``proxy_s`` is their CPU
    time in seconds.
    """

    links: dict[str, SignedCount]
    kinds: dict[str, str]
    forwarded: SignedCount
    translated: SignedCount
    accepted: SignedCount
    tracked: SignedCount
    proxies: Count
    proxy_s: SignedAmount

    def since(self, before: PathCounters) -> PathCounters:
        """
        The growth since ``before``; ``proxies`` is the current number, ``tracked`` the maximum.
        """
        return PathCounters(
            links={name: count - before.links.get(name, 0) for name, count in self.links.items()},
            kinds=self.kinds,
            forwarded=self.forwarded - before.forwarded,
            translated=self.translated - before.translated,
            accepted=self.accepted - before.accepted,
            # Not the growth: entries expire after two minutes, so the number may fall.
            tracked=max(self.tracked, before.tracked),
            proxies=self.proxies,
            proxy_s=self.proxy_s - before.proxy_s,
        )


class ProcessFacts(Record, frozen=True):
    """
    Facts about one process, which are the same for all processes of its service.

    ``interpreter`` is the SHA-256 of its program, ``placement`` its allowed CPUs as the kernel
    lists them, ``open_files`` the soft and the hard limit. ``namespaces`` are those that it does
    not share with the sandbox of its deployment or, in a container, with the lab. ``root`` is
    overlay or plain. ``capabilities`` (effective), ``seccomp`` and ``user`` (effective) are as in
    /proc/PID/status.
    """

    interpreter: str
    placement: str
    stdout: str
    stderr: str
    open_files: list[str]
    namespaces: list[str]
    root: str
    capabilities: str
    seccomp: str
    user: str


class ServiceFacts(ProcessFacts, frozen=True):
    """
    Facts about one service: those of its first process, and differences of its ``others``.

    ``packages`` is a SHA-256 over the records of all Python packages that it sees. The limits are
    those of its control group, or None without a limit.
    """

    packages: str
    command: list[str]
    gunicorn: bool
    processes: Count
    others: list[str]
    environment: dict[str, str]
    stdin: str
    cpu_limit: Amount | None
    memory_limit_bytes: Count | None
    own_group: bool
    sysctls: dict[str, str]


class Facts(Record, frozen=True):
    """
    What actually ran: the answer, the services by name, and the kinds of helper processes.
    """

    answer: Answer
    helpers: list[str]
    services: dict[str, ServiceFacts]


class TrialRecord(Record, frozen=True):
    """
    One trial: a fresh deployment of one variant, from bringing up to taking down.

    ``number``, ``block``, ``part`` (of its block) and ``position`` (in the order in which the part
    is brought up) count from 1. ``started_at`` is in seconds since the epoch; ``phases_s`` maps
    phases to seconds. ``check`` is the check of the answer before the first load, or None.
    ``facts`` are what actually ran, ``allowed`` the undeclared differences that the user allows,
    ``path`` the network counters over all loads, and ``cpu`` the CPU time of the rounds; they are
    empty if the trial was not probed.

    ``loads`` are the loads of the rounds. ``load`` merges them: counts are summed, the rate is all
    completed requests divided by the total duration, and quantiles are over all requests. It is
    None exactly if ``status`` is an error. ``at_once`` is one load of as many requests as were
    published, if the run has such loads; ``open_loads`` are the loads of the open loop.
    ``failed_phase`` and ``error`` say where and why the trial failed; a trial that failed after
    complete loads is good and has both. ``first_answer_s`` is the time from the creation of the
    stack's networks to the first good answer, while other deployments are brought up; ``cold`` is
    the load of the very first requests, before the warm-up. ``requests_lost`` are the requests of a
    load that broke off by itself, whose answers are unknown. ``raw_sha256`` is the digest of its
    raw data (see ``raw_digest``); it is empty in older records.
    """

    number: PositiveCount
    block: Count
    position: Count
    variant: str
    status: str
    started_at: Amount
    phases_s: dict[str, Amount]
    check: Check | None
    placement: TrialPlacement
    load: LoadResult | None
    part: Count = 1
    loads: list[RoundLoad] = field(default_factory=list)
    at_once: LoadResult | None = None
    facts: Facts | None = None
    allowed: list[str] = field(default_factory=list)
    path: PathCounters | None = None
    cpu: CpuSpent | None = None
    first_answer_s: Amount | None = None
    cold: LoadResult | None = None
    open_loads: list[OpenLoad] = field(default_factory=list)
    requests_lost: Count = 0
    failed_phase: str = ""
    error: str = ""
    raw_sha256: str = ""
    schema_version: Count = SCHEMA_VERSION

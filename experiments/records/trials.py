"""
One trial as it is stored: its loads, and what was seen of it before, during and after them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from experiments.records.ab.report import AbReport  # noqa: TC001 - the loader looks it up
from experiments.records.files import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

OK = "ok"
ERROR = "error"
"""States of a trial; an error is never a number."""

GOOD_SHARE_MARGIN = 0.001
"""
Two arms whose shares of good answers differ by more than this have no difference in time.

Errors are quick, so that an arm with a share of them looks faster by up to that share. This much is
a twentieth of MARGIN.
"""


def are_comparable(good_shares: Iterable[float]) -> bool:
    """
    Whether arms with these shares of good answers can be compared in time: errors are quick.
    """
    shares = list(good_shares)
    # One answer in a thousand is within the margin, whatever its share is as a binary fraction.
    return round(max(shares) - min(shares), 9) <= GOOD_SHARE_MARGIN


def are_good(requests_ok: int, requests: int) -> bool:
    """
    Whether so many good answers of so many can be compared with good answers alone.
    """
    return requests > 0 and are_comparable([1.0, requests_ok / requests])


CLIENT_BOUND = 0.8
"""A client that used more than this share of its CPU may be what limited the rate."""

UNDER_LOAD = frozenset({"cold", "warmup", "load", "at_once"})
"""Phases in which requests are under way; a trial that fails in one of them lost requests."""

STOPPED = "stopped"
"""The failed phase of a trial that was going well when the user stopped the run."""


@dataclass(frozen=True)
class LoadResult:
    """
    What a load generator measured over one trial.

    Latencies are in microseconds, from the connection's start to its last byte; the median and the
    other quantiles are over requests. ``requests_ok`` are answered with a 2xx status and without a
    connection, receive or protocol error; a body of another length alone is not one of those,
    because the reference length is just that of the first answer. ``details`` is what ab printed,
    parsed; of several loads as one it has their sums, and their quantiles in milliseconds.
    """

    tool: str
    command: list[str]
    requests: int
    concurrency: int
    requests_completed: int
    requests_failed: int
    requests_ok: int
    responses_non_2xx: int
    duration_s: float
    requests_per_second: float
    latency_mean_us: float
    latency_p50_us: float
    latency_p90_us: float
    latency_p99_us: float
    latency_max_us: float
    details: AbReport | None = None


@dataclass(frozen=True)
class OpenLoad:
    """
    One load whose requests were sent by a schedule, whatever became of those before.

    ``fraction`` is the share of the trial's own closed-loop capacity that was asked for, None for
    the rate that is the same in all variants of a run; ``rate_per_s`` is what it came to.
    ``achieved_per_s`` are completed requests over the time from the first one's intended start to
    the last one's end, ``latest_us`` how long after its intended start the request was sent that
    was sent latest. ``log`` is a file of the run, one line for each request; see
    ``experiments/load/open_loop.py``.
    """

    fraction: float | None
    rate_per_s: float
    requests: int
    requests_completed: int
    requests_ok: int
    achieved_per_s: float
    latest_us: int
    log: str


@dataclass(frozen=True)
class RoundLoad:
    """
    One short load of a thawed deployment, while all others of its part of the block were frozen.

    ``round`` counts rounds from 1 and ``turn`` the deployment's place in its round from 1;
    ``started_at`` is in seconds since the epoch. ``us_per_request`` is the time of the load over
    its completed requests, in microseconds. ``others`` are how many deployments were frozen
    meanwhile, and ``others_ran_us`` the CPU time that they took in all: none, or the little that it
    takes to be frozen. The other fields are those of LoadResult.
    """

    round: int
    turn: int
    started_at: float
    requests: int
    requests_completed: int
    requests_failed: int
    requests_ok: int
    responses_non_2xx: int
    us_per_request: float
    others: int
    others_ran_us: int

    @property
    def is_whole(self) -> bool:
        """
        Whether every request was completed, well or not; no other load has a time.
        """
        return self.requests_completed == self.requests


@dataclass(frozen=True)
class AgreementLoad:
    """
    One load by which short loads of thawed deployments are held against what they stand for.

    ``repetition`` is the block after which the ``variant`` was deployed afresh for it; ``thawed``
    says whether the deployment had been frozen, ``beside`` how many frozen ones stood beside it,
    and ``requests`` how many requests the load had. ``started_at`` is in seconds since the epoch.
    """

    repetition: int
    variant: str
    thawed: bool
    beside: int
    requests: int
    requests_ok: int
    started_at: float
    us_per_request: float
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class Answer:
    """
    An HTTP answer: its status, and its body by its length and its SHA-256.
    """

    status: int
    body_bytes: int
    body_sha256: str


@dataclass(frozen=True)
class Check:
    """
    What was seen before the first load: so many ``answers`` from ``address``, all as expected.

    ``server`` is the Server header of the last one, which is ``answer``.
    """

    address: str
    answers: int
    server: str
    answer: Answer


@dataclass(frozen=True)
class TrialPlacement:
    """
    The CPU numbers of client and stack.

    ``apart`` says that they share none, ``pinned`` that the client was kept to its own, and
    ``processes`` how many of the stack's were seen to be on theirs, None where nobody looked.
    """

    client: list[int]
    stack: list[int]
    apart: bool
    pinned: bool
    processes: int | None = None


@dataclass(frozen=True)
class CpuTime:
    """
    Seconds of CPU time in user mode and in the kernel.
    """

    user_s: float = 0.0
    system_s: float = 0.0

    def __add__(self, other: CpuTime) -> CpuTime:
        """
        Both together.
        """
        return CpuTime(self.user_s + other.user_s, self.system_s + other.system_s)

    def __sub__(self, other: CpuTime) -> CpuTime:
        """
        What one has more than the other; never below zero, which rounding could make it.
        """
        return CpuTime(
            max(0.0, self.user_s - other.user_s), max(0.0, self.system_s - other.system_s)
        )


@dataclass(frozen=True)
class CpuSpent:
    """
    CPU time by where it was spent, over the short loads of a trial.

    ``parts`` are services, client, runner, and what Docker adds, by their names. ``machine_s`` are
    the columns of /proc/stat in seconds, over all CPUs, and ``unaccounted_s`` is what the machine
    was busy with beyond all parts. ``interrupts_apart`` says whether the kernel counts interrupts
    apart from the tasks that they interrupt, None where it does not tell. ``throttled_s`` are
    seconds of standing still at a limit, by part; ``client_share`` is the share of its CPU that the
    client used.
    """

    duration_s: float
    parts: dict[str, CpuTime]
    machine_s: dict[str, float]
    interrupts_apart: bool | None
    unaccounted_s: float
    context_switches: int
    throttled_s: dict[str, float]
    client_share: float


@dataclass(frozen=True)
class PathCounters:
    """
    What was counted, in the network namespace of the host, since its links were made.

    ``links`` are packets received and sent by the name of the link, ``kinds`` what each link is;
    ``forwarded`` the packets that were routed on to another link, ``translated`` the connections
    whose destination was translated, ``accepted`` those that were accepted here, ``tracked`` the
    entries of connection tracking; ``proxies`` counts docker-proxies and ``proxy_s`` is their CPU
    time in seconds.
    """

    links: dict[str, int]
    kinds: dict[str, str]
    forwarded: int
    translated: int
    accepted: int
    tracked: int
    proxies: int
    proxy_s: float

    def since(self, before: PathCounters) -> PathCounters:
        """
        What was counted since then; ``proxies`` are as they are now, ``tracked`` the most of both.
        """
        return PathCounters(
            links={name: count - before.links.get(name, 0) for name, count in self.links.items()},
            kinds=self.kinds,
            forwarded=self.forwarded - before.forwarded,
            translated=self.translated - before.translated,
            accepted=self.accepted - before.accepted,
            # Not what was added: entries go after two minutes, and so may those of before.
            tracked=max(self.tracked, before.tracked),
            proxies=self.proxies,
            proxy_s=self.proxy_s - before.proxy_s,
        )


@dataclass(frozen=True)
class ProcessFacts:
    """
    Facts about one process that every process of its service shares.

    ``interpreter`` is the SHA-256 of its program, ``placement`` the CPUs it may run on as the
    kernel lists them, ``open_files`` the soft and the hard limit, ``namespaces`` are those that it
    does not share with the lab, ``root`` is overlay or plain, ``capabilities`` the effective ones
    and ``seccomp`` its state as /proc/PID/status has them, and ``user`` the effective one.
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


@dataclass(frozen=True)
class ServiceFacts(ProcessFacts):
    """
    Facts about one service: of its first process, and in what its ``others`` differ from that.

    ``packages`` is a SHA-256 over the records of all Python packages that it sees; limits are of
    its control group, None where there is none.
    """

    packages: str
    command: list[str]
    gunicorn: bool
    processes: int
    others: list[str]
    environment: dict[str, str]
    stdin: str
    cpu_limit: float | None
    memory_limit_bytes: int | None
    own_group: bool
    sysctls: dict[str, str]


@dataclass(frozen=True)
class Facts:
    """
    What really ran: the answer, the services by their names, and the kinds of what was beside them.
    """

    answer: Answer
    helpers: list[str]
    services: dict[str, ServiceFacts]


@dataclass(frozen=True)
class TrialRecord:
    """
    One fresh deployment of one variant, from bringing up to taking down.

    ``number`` counts trials from 1, ``block`` blocks from 1, ``part`` the parts of its block from
    1, and ``position`` the deployments of its part in the order of their bringing up from 1.
    ``started_at`` is in seconds since the epoch, ``phases_s`` seconds per phase. ``check`` is the
    answer that was looked at before the load, None where there was none. ``facts`` are what really
    ran, ``allowed`` the differences in them that no variant declares and the user allows, ``path``
    what was counted on the way of the requests of all loads, and ``cpu`` where CPU time was spent
    during the short ones; none of them where the probes were off.

    ``loads`` are its short loads, one for each round; ``load`` is all of them as one: counts are
    added up, the rate is all completed requests over all their time, and the quantiles are of all
    requests. ``at_once`` is one load of as many requests as were published, where the run has such.
    ``load`` is None exactly when ``status`` is an error; ``failed_phase`` is the phase in which a
    fault came up, and ``error`` says what it was. A trial whose loads were whole until then is
    good, and has both all the same. ``first_answer_s`` is the time from the making of the stack's
    networks to the first good answer, while others were brought up beside it, and ``cold`` the load
    of the very first requests, before any warm-up. ``open_loads`` came after the loads, where the
    run has such. ``requests_lost`` are those of a load that broke off, of which nobody knows how
    many were answered; it is no user who broke it off.
    """

    number: int
    block: int
    position: int
    variant: str
    status: str
    started_at: float
    phases_s: dict[str, float]
    check: Check | None
    placement: TrialPlacement
    load: LoadResult | None
    part: int = 1
    loads: list[RoundLoad] = field(default_factory=list)
    at_once: LoadResult | None = None
    facts: Facts | None = None
    allowed: list[str] = field(default_factory=list)
    path: PathCounters | None = None
    cpu: CpuSpent | None = None
    first_answer_s: float | None = None
    cold: LoadResult | None = None
    open_loads: list[OpenLoad] = field(default_factory=list)
    requests_lost: int = 0
    failed_phase: str = ""
    error: str = ""
    schema_version: int = SCHEMA_VERSION

"""
The manifest of a run: what was planned, on what it ran, and how it ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

# The loader looks the types up at run time.
from experiments.declare.variants import Comparison, Ladder, Search, Target, Variant, Whole  # noqa: TC001
from experiments.declare.workloads import Workload  # noqa: TC001
from experiments.errors import ResultsError
from experiments.records.files import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

COMPLETE = "complete"
INTERRUPTED = "interrupted"
FAILED = "failed"
RUNNING = "running"
"""States of a run; one that is still ``running`` when nobody runs it was killed."""

PROBES: dict[str, Callable[[int], bool]] = {
    "on": lambda _: True,
    "off": lambda _: False,
    "alternate": lambda number: number % 2 == 1,
}
"""Ways to choose the trials, by their number, of which parity, path and CPU cost are looked at."""

ROUNDS_WANTED = "rounds"
RATE_WANTED = "rate"
"""What a plan may leave to a pilot, under ``wanted``."""

MARGIN = 0.02
"""A relative difference that is taken to be none, unless a user says otherwise."""


@dataclass(frozen=True)
class Box:
    """
    The box of a VM; ``digest`` is of what it was built from.
    """

    name: str
    digest: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Host:
    """
    What a VM runs on.
    """

    kernel: str
    cpu_model: str | None


@dataclass(frozen=True)
class MachineRecord:
    """
    Which machine it was and the ``reason`` why it was taken; the rest is None but of a VM.
    """

    name: str | None = None
    reason: str = "unknown"
    provider: str | None = None
    hypervisor: str | None = None
    acceleration: str | None = None
    box: Box | None = None
    host: Host | None = None

    @property
    def is_emulated(self) -> bool:
        """
        Whether it has no real CPUs, so that its numbers say nothing of any.
        """
        return self.acceleration == "emulation"


@dataclass(frozen=True)
class UserlandRecord:
    """
    The userland by what it was built from and what is in it; packages and wheels by their versions.
    """

    digest: str | None = None
    content_sha256: str | None = None
    mirror: str = "default"
    packages: dict[str, str] = field(default_factory=dict)
    wheels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """
    The commit of the project, and whether its files had been ``changed`` since.
    """

    commit: str
    changed: bool


@dataclass(frozen=True)
class MemoryRecord:
    """
    How many deployments fit side by side, from the bytes that there are and that one takes.

    None for what was not measured.
    """

    available_bytes: int
    process_bytes: int | None = None
    container_bytes: int | None = None
    fits: int | None = None


@dataclass(frozen=True)
class Environment:
    """
    What was seen inside the lab; None for what the kernel does not tell, or nobody looked at.

    ``cpus`` are those that the lab may use, ``brought_up_at_once`` is how many deployments came up
    at the same time, and ``left_out`` names variants that need more than the machine has.
    ``stolen_s`` are CPU seconds that the hypervisor gave to others in the ``observed_s`` seconds
    of the run, of which ``under_load_s`` were under a load that counts.
    """

    kernel: str | None = None
    kernel_build: str | None = None
    architecture: str | None = None
    python: str | None = None
    cpu_model: str | None = None
    cpus: list[int] = field(default_factory=list)
    cpus_online: int | None = None
    memory_bytes: int | None = None
    swap_bytes: int | None = None
    cgroup_layout: str | None = None
    virtualised: bool | None = None
    clock_source: str | None = None
    cpu_governor: str | None = None
    open_files_limit: int | None = None
    sysctls: dict[str, str | None] = field(default_factory=dict)
    memory: MemoryRecord | None = None
    brought_up_at_once: int | None = None
    left_out: list[str] = field(default_factory=list)
    stolen_s: float | None = None
    observed_s: float | None = None
    under_load_s: float | None = None
    runner_peak_bytes: int | None = None

    @property
    def stolen_share(self) -> float | None:
        """
        The share of all CPU time that the hypervisor gave to others; None where nobody counted.
        """
        if self.stolen_s is None or not self.observed_s or not self.cpus_online:
            return None
        return self.stolen_s / (self.observed_s * self.cpus_online)


@dataclass(frozen=True)
class NetworkState:
    """
    What the network of a deployment consists of, in lines as its own tools print them.
    """

    links: list[str]
    addresses: list[str]
    routes: list[str]
    firewall: list[str]
    sysctls: list[str]


@dataclass(frozen=True)
class RoundsPilot:
    """
    What a pilot found of noise and costs.

    ``own_sd`` and ``between_sd`` are standard deviations of the logarithm of the time per request,
    between loads of one of its ``deployments`` and between these beyond that; ``deployment_s`` and
    ``load_s`` are seconds of wall time. ``wanted_rounds`` would be best; there may not be time.
    """

    variant: str
    deployments: int
    rounds: int
    requests: int
    own_sd: float
    between_sd: float
    deployment_s: float
    load_s: float
    wanted_rounds: int


@dataclass(frozen=True)
class PilotPlan:
    """
    What a pilot is to find before the first block, and what it found.

    ``wanted`` is ROUNDS_WANTED, RATE_WANTED, or nothing; ``requests_asked`` are those of a load
    where the user names them. ``capacities_per_s`` are requests per second by variant.
    """

    wanted: str = ""
    requests_asked: int | None = None
    rounds: RoundsPilot | None = None
    capacities_per_s: dict[str, float] = field(default_factory=dict)


@dataclass
class Candidate:
    """
    One configuration of a step of the search.

    ``log_ratios`` are of its time per request to that of what was best before, one for each block;
    ``good_share`` is the share of its requests that were answered as they should be. A ``note``
    says why it cannot be chosen.
    """

    change: dict[str, str]
    levels: dict[str, str]
    log_ratios: list[float] = field(default_factory=list)
    good_share: float = 0.0
    note: str = ""


@dataclass
class SearchStep:
    """
    What was tried on what was best so far, and which of it was kept: an index, or None.
    """

    candidates: list[Candidate]
    chosen: int | None = None


@dataclass(frozen=True)
class Found:
    """
    What a search came to: the best levels, and every step on the way.
    """

    levels: dict[str, str]
    steps: list[SearchStep]


@dataclass(frozen=True)
class Manifest:
    """
    Everything about a run that is not a trial.

    ``variants``, ``comparisons``, ``ladders`` and ``wholes`` are as declared, ``allowed`` names
    facts in which trials may differ undeclared, and ``probes`` is one of PROBES. ``search`` is as
    declared, and ``found`` what it came to; its trials are in a file of their own.
    ``order`` has the blocks that were begun, each a list of its parts, each part a list of variant
    names in the order of their bringing up. ``side_by_side`` are pairs of which both stand in one
    part. ``blocks`` is how many there are to be at least; ``half_width`` is the half-width (of the
    logarithm of a ratio) that the comparisons in ``focal``, pairs of baseline and treatment, are to
    reach then, within ``minutes`` minutes, or None where the number of blocks is all that was asked
    for. ``targets`` are all that is waited for; ``ending`` says why no further block was begun.
    ``margin`` is the relative difference that is taken to be none.

    Each of ``rounds`` rounds loads every deployment once with ``requests`` requests. ``at_once``
    names the variants that are loaded once besides with ``requests_at_once`` requests at once.
    ``open_fractions`` of each trial's own capacity, and ``common_rate_per_s``, are loaded by
    schedule, ``open_requests`` requests each; ``pilot`` is what is looked for before the first
    block, and what was found.
    ``artefact`` is the variant that is loaded before it is up, and ``agreement`` are those by which
    short loads are held against what they stand for; "" and none where there is no such thing.
    ``any_length`` says that an answer may have another length than the first one without being
    counted as failed. ``variants_file`` is empty for the project's own variants, else the name of a
    file in the run that declares these. ``git`` is None outside of a repository, and
    ``network_state`` is by variant.
    """

    run: str
    state: str
    seed: int
    profile: str
    blocks: int
    minutes: float
    requests: int
    concurrency: int
    warmup_requests: int
    any_length: bool
    workload: Workload
    variants: list[Variant]
    comparisons: list[Comparison]
    variants_file: str
    machine: MachineRecord
    userland: UserlandRecord
    git: Source | None
    created_at: float
    half_width: float | None = None
    focal: list[tuple[str, str]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    side_by_side: list[tuple[str, str]] = field(default_factory=list)
    margin: float = MARGIN
    rounds: int = 1
    requests_at_once: int = 0
    at_once: list[str] = field(default_factory=list)
    order: list[list[list[str]]] = field(default_factory=list)
    ending: str = ""
    ladders: list[Ladder] = field(default_factory=list)
    wholes: list[Whole] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    probes: str = "on"
    open_fractions: list[float] = field(default_factory=list)
    open_requests: int = 0
    common_rate_per_s: float | None = None
    pilot: PilotPlan = field(default_factory=PilotPlan)
    artefact: str = ""
    agreement: list[str] = field(default_factory=list)
    search: Search | None = None
    found: Found | None = None
    finished_at: float | None = None
    environment: Environment = field(default_factory=Environment)
    network_state: dict[str, NetworkState] = field(default_factory=dict)
    note: str = ""
    schema_version: int = SCHEMA_VERSION

    def variant(self, name: str) -> Variant:
        """
        The variant of this name.

        Raises ResultsError when the run has none.
        """
        for each in self.variants:
            if each.name == name:
                return each
        msg = f"run {self.run} has no variant {name!r}, which its manifest compares"
        raise ResultsError(msg)

    @property
    def levels(self) -> dict[str, dict[str, str]]:
        """
        The levels of every variant, by its name.
        """
        return {each.name: each.levels for each in self.variants}

    @property
    def abouts(self) -> dict[str, str]:
        """
        What every variant is, by its name.
        """
        return {each.name: each.about for each in self.variants}

"""
The manifest of a run: its plan, its machine, and its ending.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

# The loader looks the types up at run time.
from experiments.declare.stack import Stack  # noqa: TC001
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
"""States of a run; ``running`` without a running process means that the run was killed."""

PROBES: dict[str, Callable[[int], bool]] = {
    "on": lambda _: True,
    "off": lambda _: False,
    "alternate": lambda number: number % 2 == 1,
}
"""Which trials are probed (parity, path, CPU time), by their number."""

ROUNDS_WANTED = "rounds"
RATE_WANTED = "rate"
"""Values of ``wanted``: what the plan leaves to a pilot."""

MARGIN = 0.02
"""The default equivalence margin, as a relative difference."""


@dataclass(frozen=True)
class Box:
    """
    The box of a VM; ``digest`` is the digest of its inputs.
    """

    name: str
    digest: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Host:
    """
    The host of a VM.
    """

    kernel: str
    cpu_model: str | None


@dataclass(frozen=True)
class MachineRecord:
    """
    The machine and the ``reason`` for its choice; the other fields are None unless it is a VM.
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
        Whether its CPUs are emulated, so that its times say nothing about real CPUs.
        """
        return self.acceleration == "emulation"


@dataclass(frozen=True)
class UserlandRecord:
    """
    The userland: digests of its inputs and contents, versions of its packages and wheels.
    """

    digest: str | None = None
    content_sha256: str | None = None
    mirror: str = "default"
    packages: dict[str, str] = field(default_factory=dict)
    wheels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """
    The project's commit, and whether its files were ``changed`` since.
    """

    commit: str
    changed: bool


@dataclass(frozen=True)
class MemoryRecord:
    """
    Memory in bytes: available, per process and container deployment; and how many deployments fit.

    A value that was not measured is None.
    """

    available_bytes: int
    process_bytes: int | None = None
    container_bytes: int | None = None
    fits: int | None = None


@dataclass(frozen=True)
class Environment:
    """
    The machine as seen from the lab; a value that the kernel does not tell is None.

    ``cpus`` are the CPUs that the lab may use, ``brought_up_at_once`` is the number of deployments
    that are brought up concurrently, and ``left_out`` names variants that need more CPUs than there
    are. ``observed_s`` is the duration of the run in seconds, ``under_load_s`` the part of it under
    loads that count, and ``stolen_s`` the CPU time that the hypervisor gave to others.
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
        The share of CPU time that the hypervisor gave to others; None if it was not counted.
        """
        if self.stolen_s is None or not self.observed_s or not self.cpus_online:
            return None
        return self.stolen_s / (self.observed_s * self.cpus_online)


@dataclass(frozen=True)
class NetworkState:
    """
    The network of a deployment, as the output lines of the network tools.
    """

    links: list[str]
    addresses: list[str]
    routes: list[str]
    firewall: list[str]
    sysctls: list[str]


@dataclass(frozen=True)
class RoundsPilot:
    """
    Noise and costs, measured by a pilot.

    ``own_sd`` and ``between_sd`` are standard deviations of the logarithm of the time per request:
    between loads of one deployment, and between the ``deployments``. ``deployment_s`` and
    ``load_s`` are wall times in seconds. ``wanted_rounds`` is the best number of rounds, for which
    there may not be time.
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
    The task of the pilot before the first block, and its result.

    ``wanted`` is ROUNDS_WANTED, RATE_WANTED or empty; ``requests_asked`` is the number of requests
    per load that the user asked for, if any. ``capacities_per_s`` maps variants to requests per
    second.
    """

    wanted: str = ""
    requests_asked: int | None = None
    rounds: RoundsPilot | None = None
    capacities_per_s: dict[str, float] = field(default_factory=dict)


@dataclass
class Candidate:
    """
    One candidate of a step of the search.

    ``log_ratios`` compare its time per request with that of the best configuration so far, one
    value per block; ``good_share`` is its share of good answers. A ``note`` gives the reason why
    it cannot be chosen.
    """

    change: dict[str, str]
    levels: dict[str, str]
    log_ratios: list[float] = field(default_factory=list)
    good_share: float = 0.0
    note: str = ""


@dataclass
class SearchStep:
    """
    The candidates of one step, and the index of the chosen one, or None.
    """

    candidates: list[Candidate]
    chosen: int | None = None


@dataclass(frozen=True)
class Found:
    """
    The result of a search: the best levels, and all steps.
    """

    levels: dict[str, str]
    steps: list[SearchStep]


@dataclass(frozen=True)
class Session:
    """
    A stretch of a run without a pause; every resumption begins another one.

    It begins after ``after_block`` blocks and has a time budget of ``minutes``. ``owner`` is the
    process on the host that measures (``PID:START``), and ``boot_id`` is the kernel's name for the
    start of the machine. ``finished_at`` is None until its end; for a session that was killed it is
    the end of the last trial that counts.
    """

    started_at: float
    minutes: float
    after_block: int = 0
    owner: str = ""
    boot_id: str | None = None
    finished_at: float | None = None
    state: str = RUNNING
    note: str = ""


@dataclass(frozen=True)
class Manifest:
    """
    The plan and the circumstances of a run: everything but its trials.

    ``variants``, ``comparisons``, ``ladders``, ``wholes`` and ``search`` are as declared.
    ``found`` is the result of the search, whose trials are in a separate file. ``allowed`` names
    facts in which trials may differ without a declaration, and ``allow_privileged`` says that
    services may reach the machine; ``privileges`` are the keys of the Compose files by which they
    could. ``probes`` is one of PROBES.
    ``order`` lists the blocks that were begun; a block is a list of parts, and a part is a list of
    variant names in the order in which they are brought up. ``side_by_side`` are pairs of variants
    that share a part.

    ``blocks`` is the least number of blocks. ``half_width`` is the target half-width (of the
    logarithm of a ratio) of focal comparisons; it is None if only the number of blocks was asked
    for. ``focal`` are the pairs of baseline and treatment of focal comparisons and of ladders'
    steps. ``targets`` are all targets of the stopping rule, ``minutes`` is the time budget, and
    ``ending`` says why the run ended. ``margin`` is the equivalence margin, as a relative
    difference.

    Each of ``rounds`` rounds loads every deployment once with ``requests`` requests. The variants
    in ``at_once`` also get one load of ``requests_at_once`` requests. The open loop has rates of
    ``open_fractions`` of each trial's capacity and ``common_rate_per_s``, with ``open_requests``
    requests each. ``pilot`` is the task and the result of the pilot.

    ``artefact`` is the variant of the length artefact, or empty. ``agreement`` names the variants
    whose short loads are compared with the load that they represent. ``any_length`` says that
    answers of different lengths do not count as failed. ``variants_file`` is the name of the
    variants file in the run, or empty for the project's own variants. ``git`` is None outside a
    repository, and ``code_sha256`` is the digest of the code that measures (see ``code_digest``);
    ``stack`` is the user's Compose project, or None for the project's own stack, and ``url`` is
    what is loaded of it.
    ``network_state`` maps variants to their networks. ``sessions`` has more than one entry if the
    run was resumed; older runs have none.
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
    allow_privileged: bool = False
    privileges: list[str] = field(default_factory=list)
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
    code_sha256: str = ""
    sessions: list[Session] = field(default_factory=list)
    stack: Stack | None = None
    url: str | None = None
    schema_version: int = SCHEMA_VERSION

    def variant(self, name: str) -> Variant:
        """
        The variant of this name.

        Raises ResultsError if the run has no such variant.
        """
        for each in self.variants:
            if each.name == name:
                return each
        msg = f"the manifest of run {self.run} compares {name!r}, which is not among its variants"
        raise ResultsError(msg)

    def ended(self, state: str, note: str, finished_at: float | None) -> Manifest:
        """
        The manifest of this run, and of its last session, after its end.
        """
        sessions = list(self.sessions)
        if sessions:
            sessions[-1] = replace(sessions[-1], state=state, note=note, finished_at=finished_at)
        return replace(self, state=state, note=note, finished_at=finished_at, sessions=sessions)

    @property
    def levels(self) -> dict[str, dict[str, str]]:
        """
        The levels of every variant by its name.
        """
        return {each.name: each.levels for each in self.variants}

    @property
    def abouts(self) -> dict[str, str]:
        """
        The description of every variant by its name.
        """
        return {each.name: each.about for each in self.variants}

"""
What is stored: the manifest of a run and one record per trial, versioned.

A run is a folder with ``manifest.json``, ``trials.jsonl`` (one record a line, appended and flushed
when its trial ends), and ``raw/<trial>/`` with what the tools printed. In a run that is kept the
records are compressed (``trials.jsonl.xz``). This module is all that the analysis knows of the
experiments, so it depends on nothing.

Schema history:
    1  the first.
    2  factors of the ladder; facts, path and CPU cost of a trial; ladders and wholes of a run.
    3  the rule by which a run ends, and how it ended; the order holds the blocks that were begun.
    4  the pulse of a load, the first requests and the first answer, loads by schedule, the pilot.
    5  the loads of a trial, one a round; the parts of a block; the load at once; no pulse any more.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.errors import ResultsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

__all__ = [
    "AGREEMENT_LOADS",
    "ARTEFACT_TRIALS",
    "CLIENT_BOUND",
    "COMPLETE",
    "COMPRESSED",
    "ERROR",
    "FAILED",
    "INTERRUPTED",
    "MANIFEST",
    "MARGIN",
    "OK",
    "PILOT_TRIALS",
    "PROBES",
    "RATE_WANTED",
    "RAW",
    "ROUNDS_WANTED",
    "RUNNING",
    "SCHEMA_VERSION",
    "SEARCH_TRIALS",
    "STOPPED",
    "TRIALS",
    "UNDER_LOAD",
    "AgreementLoad",
    "LoadResult",
    "Manifest",
    "OpenLoad",
    "ResultsError",
    "RoundLoad",
    "TrialRecord",
    "append_agreement",
    "append_trial",
    "are_comparable",
    "are_good",
    "latest_run",
    "read_agreement",
    "read_manifest",
    "read_trials",
    "write_manifest",
]

SCHEMA_VERSION = 5

MANIFEST = "manifest.json"
TRIALS = "trials.jsonl"
SEARCH_TRIALS = "search.jsonl"
PILOT_TRIALS = "pilot.jsonl"
ARTEFACT_TRIALS = "artefact.jsonl"
AGREEMENT_LOADS = "agreement.jsonl"
RAW = "raw"

COMPRESSED = ".xz"
"""What the names of a kept run's records end with: a record file may be compressed by xz."""

COMPLETE = "complete"
INTERRUPTED = "interrupted"
FAILED = "failed"
RUNNING = "running"
"""States of a run; one that is still ``running`` when nobody runs it was killed."""

OK = "ok"
ERROR = "error"
"""States of a trial; an error is never a number."""

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
    because the reference length is just that of the first answer. ``details`` is everything that
    the tool printed, parsed.
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
    details: dict[str, Any] = field(default_factory=dict)


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
    meanwhile, and ``others_ran_us`` how much CPU time they took in all, which is none, or the load
    is no good. The other fields are those of LoadResult.
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
class TrialRecord:
    """
    One fresh deployment of one variant, from bringing up to taking down.

    ``number`` counts trials from 1, ``block`` blocks from 1, ``part`` the parts of its block from
    1, and ``position`` the deployments of its part in the order of their bringing up from 1.
    ``started_at`` is in seconds since the epoch, ``phases_s`` seconds per phase. ``check`` is the
    answer that was looked at before the load, ``placement`` the CPUs of client and stack. ``facts``
    are what really ran (probes/facts.py), ``allowed`` the differences in them that no variant
    declares and the user allows, ``path`` what was counted on the way of the requests of all loads
    (probes/path.py), ``cpu`` where CPU time was spent during the short ones (probes/cpu.py); all
    empty where the probes were off.

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
    check: dict[str, Any]
    placement: dict[str, Any]
    load: LoadResult | None
    part: int = 1
    loads: list[RoundLoad] = field(default_factory=list)
    at_once: LoadResult | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    allowed: list[str] = field(default_factory=list)
    path: dict[str, Any] = field(default_factory=dict)
    cpu: dict[str, Any] = field(default_factory=dict)
    first_answer_s: float | None = None
    cold: LoadResult | None = None
    open_loads: list[OpenLoad] = field(default_factory=list)
    requests_lost: int = 0
    failed_phase: str = ""
    error: str = ""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class Manifest:
    """
    Everything about a run that is not a trial.

    ``variants``, ``comparisons``, ``ladders`` and ``wholes`` are as declared, ``allowed`` names
    facts in which trials may differ undeclared, and ``probes`` is one of PROBES. ``search`` is as
    declared, and from its end on holds what it found; its trials are in a file of their own.
    ``order`` has the blocks that were begun, each a list of its parts, each part a list of variant
    names in the order of their bringing up. ``side_by_side`` are pairs of which both stand in one
    part. ``blocks`` is how many there are to be at least; ``half_width`` is the half-width (of the
    logarithm of a ratio) that the comparisons in ``focal``, pairs of baseline and treatment, are to
    reach then, within ``minutes`` minutes, or None where the number of blocks is all that was asked
    for. ``targets`` are all that is waited for: tables of baseline, treatment and half-width;
    ``ending`` says why no further block was begun. ``margin`` is the relative difference that is
    taken to be none.

    Each of ``rounds`` rounds loads every deployment once with ``requests`` requests. ``at_once``
    names the variants that are loaded once besides with ``requests_at_once`` requests at once.
    ``open_fractions`` of each trial's own capacity, and ``common_rate_per_s``, are loaded by
    schedule, ``open_requests`` requests each; ``pilot`` is what was found before the first block.
    ``artefact`` is the variant that is loaded before it is up, and ``agreement`` are those by which
    short loads are held against what they stand for; "" and none where there is no such thing.
    ``any_length`` says that an answer may have another length than the first one without being
    counted as failed. ``variants_file`` is empty for the project's own variants, else the name of a
    file in the run that declares these. ``environment`` is what the probes saw inside the lab,
    ``machine`` which machine it was and why it was taken.
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
    workload: dict[str, Any]
    variants: list[dict[str, Any]]
    comparisons: list[dict[str, Any]]
    variants_file: str
    machine: dict[str, Any]
    userland: dict[str, Any]
    git: dict[str, Any]
    created_at: float
    half_width: float | None = None
    focal: list[list[str]] = field(default_factory=list)
    targets: list[dict[str, Any]] = field(default_factory=list)
    side_by_side: list[list[str]] = field(default_factory=list)
    margin: float = MARGIN
    rounds: int = 1
    requests_at_once: int = 0
    at_once: list[str] = field(default_factory=list)
    order: list[list[list[str]]] = field(default_factory=list)
    ending: str = ""
    ladders: list[dict[str, Any]] = field(default_factory=list)
    wholes: list[dict[str, Any]] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    probes: str = "on"
    open_fractions: list[float] = field(default_factory=list)
    open_requests: int = 0
    common_rate_per_s: float | None = None
    pilot: dict[str, Any] = field(default_factory=dict)
    artefact: str = ""
    agreement: list[str] = field(default_factory=list)
    search: dict[str, Any] = field(default_factory=dict)
    finished_at: float | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    network_state: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    schema_version: int = SCHEMA_VERSION


def write_manifest(run: Path, manifest: Manifest) -> None:
    """
    Write the manifest so that a crash leaves the old one or the new one, whole.

    Raises ResultsError when the folder cannot be written.
    """
    text = json.dumps(dataclasses.asdict(manifest), indent=1, sort_keys=True, ensure_ascii=False)
    partial = run / f"{MANIFEST}.partial"
    try:
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(run / MANIFEST)
    except OSError as error:
        msg = f"{run} cannot be written: {error.strerror}; free space there, or use --results"
        raise ResultsError(msg) from error


def read_manifest(run: Path) -> Manifest:
    """
    Read a run's manifest.

    Raises ResultsError when it is missing, broken, or of a schema this version does not know.
    """
    path = run / MANIFEST
    content = _parse(path, _read(path))
    return Manifest(**_fields(Manifest, content, str(path)))


def append_trial(run: Path, record: TrialRecord, file_name: str = TRIALS) -> None:
    """
    Append one record to a file of the run and see to it that it is on the disk.

    Raises ResultsError when it cannot be written.
    """
    _append(run / file_name, dataclasses.asdict(record))


def append_agreement(run: Path, load: AgreementLoad) -> None:
    """
    Append one load to the agreement's file, as ``append_trial`` does.
    """
    _append(run / AGREEMENT_LOADS, dataclasses.asdict(load))


def _append(path: Path, content: dict[str, Any]) -> None:
    line = json.dumps(content, sort_keys=True, ensure_ascii=False)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}; free space there"
        raise ResultsError(msg) from error


def read_trials(run: Path, file_name: str = TRIALS) -> list[TrialRecord]:
    """
    Read a run's trials, in the order they ended; none when the run has not finished any.

    Those of another file are no part of the results. Where there is no such file, it is read
    compressed.

    A last line without its newline was cut off by a crash and is left out. Raises ResultsError for
    anything else that is not a record.
    """
    records = []
    for where, content in _lines(run / file_name):
        fields = _fields(TrialRecord, content, where)
        for name in ("load", "cold", "at_once"):
            if fields.get(name) is not None:
                fields[name] = LoadResult(**_fields(LoadResult, fields[name], f"{where}, {name}"))
        for name, kind in (("loads", RoundLoad), ("open_loads", OpenLoad)):
            fields[name] = [
                kind(**_fields(kind, each, f"{where}, {name}")) for each in fields.get(name, [])
            ]
        records.append(TrialRecord(**fields))
    return records


def read_agreement(run: Path) -> list[AgreementLoad]:
    """
    Read a run's loads of the agreement, in the order in which they were made; see ``read_trials``.
    """
    return [
        AgreementLoad(**_fields(AgreementLoad, content, where))
        for where, content in _lines(run / AGREEMENT_LOADS)
    ]


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    The whole lines of a file of records, each with where it stands; none where there is no file.
    """
    if not path.exists():
        path = path.with_name(f"{path.name}{COMPRESSED}")
        if not path.exists():
            return
    for number, line in enumerate(_read(path).split("\n")[:-1], start=1):
        where = f"{path}, line {number}"
        yield where, _parse(where, line)


def latest_run(results: Path) -> Path:
    """
    The run that was begun last, by its name, which begins with its date and time.

    Raises ResultsError when there is none.
    """
    runs = sorted(path.parent for path in results.glob(f"[0-9]*/{MANIFEST}"))
    if not runs:
        msg = f"{results} holds no run yet; `nox -s netns docker` makes one"
        raise ResultsError(msg)
    return runs[-1]


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (_decompressed(content) if path.suffix == COMPRESSED else content).decode()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read: {error}"
        raise ResultsError(msg) from error


def _decompressed(content: bytes) -> bytes:
    # Only where it is needed, because there are interpreters that were built without it.
    import lzma  # noqa: PLC0415

    try:
        return lzma.decompress(content)
    except lzma.LZMAError as error:
        raise OSError(*error.args) from error


def _parse(where: object, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        msg = f"{where} is not JSON: {error}"
        raise ResultsError(msg) from error
    if not isinstance(content, dict):
        msg = f"{where} must be a JSON object"
        raise ResultsError(msg)
    return content


def _fields(kind: type, content: dict[str, Any], where: str) -> dict[str, Any]:
    version = content.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        msg = f"{where}: schema version {version}, and this version reads {SCHEMA_VERSION}"
        raise ResultsError(msg)
    known = {item.name: item for item in dataclasses.fields(kind)}
    unknown = content.keys() - known.keys()
    missing = {
        name
        for name, item in known.items()
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    } - content.keys()
    if unknown or missing:
        msg = f"{where}: unknown fields {sorted(unknown)}, missing fields {sorted(missing)}"
        raise ResultsError(msg)
    return content

"""
What is fuzzed: everything that reads what somebody else wrote, each with valid samples.

A target does with the data what the project does with them. It may refuse them by a typed error
whose words can be printed. Any other exception is a fault of the project, and so is an accepted
value that the run's own records then refuse.
"""

from __future__ import annotations

import dataclasses
import json
import lzma
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from typing import TYPE_CHECKING, Any

from msgspec import structs

from analysis import reference
from analysis.__main__ import parser as report_parser
from analysis.audit.arms import Arm
from analysis.audit.comparison import compare
from analysis.audit.options import parse_options as parse_audit
from analysis.audit.printing import as_json, as_text
from analysis.audit.result import Result, audited
from analysis.audit.sources import source_of
from analysis.curve import read_curve
from analysis.findings import Findings
from analysis.folders import VERDICTS
from analysis.report.markdown import render
from analysis.report.trials_csv import trials_csv
from analysis.report.verdicts_json import verdicts_json
from analysis.run import Run, read_run
from analysis.topics.latency.histograms import write_histograms
from analysis.topics.sweep.figure import sweep as draw_sweep
from analysis.topics.sweep.section import sweep
from analysis.verify import __main__ as verifying
from analysis.verify import printing
from experiments.declare.reading import VARIANTS_FILE, load_variants
from experiments.declare.workloads import WORKLOADS_FILE, Workload, load_workloads
from experiments.declare.writing import variants_toml
from experiments.deployments.compose import ComposeProject, config_of, networks
from experiments.deployments.compose_services import services
from experiments.deployments.images import Image
from experiments.deployments.topology import instances
from experiments.errors import BridgetollError
from experiments.load.ab import REQUESTS_FILE, ApacheBench
from experiments.load.ab_output import parse, parse_percentiles
from experiments.load.open_client import HEADER
from experiments.load.open_loop import OpenPlan, result_of
from experiments.paths import PROJECT
from experiments.plan.draft import draft_manifest
from experiments.plan.options import measure_parser
from experiments.plan.order import block_order
from experiments.records.checks import manifest_faults
from experiments.records.decoding import decoded, encoded
from experiments.records.files import (
    AGREEMENT_LOADS,
    ARTEFACT_TRIALS,
    COMPRESSED,
    MANIFEST,
    TRIALS,
)
from experiments.records.manifest import Manifest
from experiments.records.store import append_agreement
from experiments.records.trials import AgreementLoad, OpenLoad, PathCounters
from tests.unit import samples
from tests.unit.samples import details, load, stored
from tests.unit.topics.samples import loaded, run_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

AB_OUTPUTS = sorted((PROJECT / "tests" / "unit" / "ab").glob("*.txt"))
LOG = "raw/open.csv"
SYNTAX_STATUS = 2
"""With which argparse ends a program whose options are wrong; the status of --help is 0."""


@dataclass(frozen=True)
class Target:
    """
    One reader: ``read`` is given the data and an empty folder of its own.
    """

    name: str
    samples: tuple[bytes, ...]
    read: Callable[[bytes, Path], None]


def check(target: Target, data: bytes, folder: Path) -> None:
    """
    Let a target read the data; a typed error is good if its words can be printed.

    Raises whatever else the target raises.
    """
    try:
        target.read(data, folder)
    except BridgetollError as error:
        str(error).encode()


# --- the files of a run ---


def a_run(folder: Path) -> None:
    """
    A small run with something for most topics.
    """
    made, trials = run_of(("netns", "docker"), 2)
    printed = details(
        connection_times_ms={"total": {"min": 9.0, "mean": 97.0, "max": 159.0}},
        percentiles_ms={50: 80.0, 90: 120.0, 99: 150.0, 100: 159.0},
    )
    long = structs.replace(load(250.0), details=printed)
    path = PathCounters({"lo": 3}, {"lo": "loopback"}, 1, 2, 3, 4, 1, 0.5)
    trials = [
        structs.replace(
            each,
            load=structs.replace(loaded(each), details=printed),
            at_once=long,
            cold=long,
            path=path,
            open_loads=[OpenLoad(None, 100.0, 2, 2, 2, 100.0, 1, LOG)],
        )
        for each in trials
    ]
    stored(folder, made, trials)
    for at, requests in enumerate((250, 1000, 250, 1000)):
        append_agreement(
            folder,
            AgreementLoad(1, "netns", at > 1, 3, requests, requests, 1e9 + at, 2000.0),
        )
    (folder / LOG).parent.mkdir()
    (folder / LOG).write_text(f"{HEADER}\n10,11,500,200,1\n10010,10012,10600,200,1\n")


def run_target(
    name: str, files: Mapping[str, bytes], change: Callable[[Path, bytes], None], sample: bytes
) -> Target:
    """
    A run of which the data change one file: everything that is said of it can be printed.
    """

    def read(data: bytes, folder: Path) -> None:
        for path, content in files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(content)
        whole = read_run(folder)
        change(folder, data)
        run = read_run(folder)
        said = [render(Findings.of(run), [], "figures"), *run.set_aside]
        said += [trials_csv(run.manifest, run.trials), verdicts_json(Findings.of(run))]
        result = verifying.compare(whole, run, ())
        said.append(printing.as_json(result))
        if result.verification is None:
            said.append(printing.refusal(result))
        else:
            said.append(printing.as_text(result, result.verification))
        write_histograms(run.trials, folder)
        for text in said:
            text.encode()

    return Target(name, (sample,), read)


def first_trial(folder: Path, data: bytes) -> None:
    """
    The data take the place of the first record.
    """
    _, *others = (folder / TRIALS).read_bytes().splitlines(keepends=True)
    (folder / TRIALS).write_bytes(b"".join([data, b"\n", *others]))


def compressed(folder: Path, data: bytes) -> None:
    """
    The data are the compressed records.
    """
    (folder / TRIALS).unlink()
    (folder / f"{TRIALS}{COMPRESSED}").write_bytes(data)


def run_targets(folder: Path) -> list[Target]:
    """
    Every file of a run.
    """
    a_run(folder)
    names = (MANIFEST, TRIALS, AGREEMENT_LOADS, LOG)
    files = {name: (folder / name).read_bytes() for name in names}
    first, *_ = files[TRIALS].splitlines()

    def replaced(name: str) -> Callable[[Path, bytes], None]:
        def change(run: Path, data: bytes) -> None:
            (run / name).write_bytes(data)

        return change

    return [
        run_target("trial", files, first_trial, first),
        run_target("manifest", files, replaced(MANIFEST), files[MANIFEST]),
        run_target("agreement", files, replaced(AGREEMENT_LOADS), files[AGREEMENT_LOADS]),
        run_target("cold-starts", files, replaced(ARTEFACT_TRIALS), first + b"\n"),
        run_target("compressed", files, compressed, lzma.compress(files[TRIALS], preset=0)),
        run_target("request-log", files, replaced(LOG), files[LOG]),
    ]


def curve_target(folder: Path) -> Target:
    """
    What the report of a sweep wrote, on which another run is placed.
    """
    names = ("netns", "docker", "netns-calls-4", "docker-calls-4")
    swept, alone = Run(*run_of(names, 2)), Run(*run_of(names[:2], 2))
    stored(folder / "swept", swept.manifest, swept.trials)
    files = {MANIFEST: (folder / "swept" / MANIFEST).read_bytes()}

    def read(data: bytes, folder: Path) -> None:
        for name, content in {**files, VERDICTS: data}.items():
            (folder / name).write_bytes(content)
        findings = Findings.of(alone, read_curve(folder))
        figure = draw_sweep(findings)
        for text in (sweep(findings), figure.csv if figure else ""):
            text.encode()

    return Target("curve", (verdicts_json(Findings.of(swept)).encode(),), read)


# --- what a user declares ---

VARIANTS = b"""\
[variants.netns]
about = "raw"
runtime = "process"
network = "bridge"
entry = "direct"
discovery = "addresses"

[variants.docker]
like = "netns"
runtime = "container"

[variants.mine]
like = "docker"
overlays = ["own.yaml"]
every = 2

[variants."docker-cpus-0.5"]
like = "docker"
cpus = "0.5"

[groups]
docker = ["docker"]
mine = {variants = ["netns", "docker"], minutes = {quick = 5}, agreement = ["netns"]}

[[comparisons]]
name = "matched"
about = "both"
baseline = "netns"
treatment = "docker"
focal = true
role = "matched"

[[ladders]]
name = "steps"
about = "of a ladder"
steps = ["docker", "docker-cpus-0.5"]

[[wholes]]
name = "whole"
baseline = "docker"
treatment = "docker-cpus-0.5"
ladders = ["steps"]

[search]
name = "best"
about = "best"
start = "docker"
also = ["netns"]
blocks = 1
rounds = 6
changes = [{network = "host"}, {stdio = "docker-none"}]
"""


def as_toml(data: bytes) -> bytes:
    """
    A table in JSON as TOML, so that a changed value leaves the rest intact; other data unchanged.
    """

    def toml(value: object) -> str:
        if isinstance(value, dict):
            return (
                "{" + ", ".join(f"{toml(key)} = {toml(each)}" for key, each in value.items()) + "}"
            )
        if isinstance(value, list):
            return "[" + ", ".join(map(toml, value)) + "]"
        if isinstance(value, float):
            return str(value)
        return json.dumps(value) if value is not None else "1979-05-27"

    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if not isinstance(table, dict):
        return data
    return "\n".join(f"{toml(key)} = {toml(value)}" for key, value in table.items()).encode()


@cache
def usual_plan() -> Manifest:
    """
    The plan without any option.
    """
    return draft_manifest(measure_parser().parse_args([]), None)


def read_again(manifest: Manifest) -> Manifest:
    """
    A manifest as a run stores and reads it; what a plan accepts, a record does not refuse.
    """
    content = encoded(manifest)
    try:
        return decoded(Manifest, content, "the plan")
    except BridgetollError as error:
        raise AssertionError(str(error)) from error


def plan(options: argparse.Namespace) -> None:
    """
    What is planned can be recorded, and the record read again.
    """
    manifest = draft_manifest(options, None)
    again = read_again(manifest)
    assert list(manifest_faults(again)) == [], list(manifest_faults(again))
    every = {each.name: each.every for each in manifest.variants}
    assert {name for block in (1, 2) for name in block_order(every, block, manifest.seed)}


def read_variants(data: bytes, folder: Path) -> None:
    """
    As in a file of the user's own, which a run then keeps.
    """
    (folder / "own.yaml").write_text("services: {}\n")
    file = folder / "own.toml"
    file.write_bytes(as_toml(data))
    declared = load_variants(file)
    options = measure_parser().parse_args(["--variants-file", str(file)])
    plan(options)
    file.write_text(
        variants_toml(
            list(declared.variants.values()),
            declared.comparisons,
            declared.ladders,
            declared.wholes,
            declared.search,
        ),
        encoding="utf-8",
    )
    assert load_variants(file).variants == declared.variants


def read_workloads(data: bytes, folder: Path) -> None:
    """
    As the project's own file.
    """
    file = folder / "workloads.toml"
    file.write_bytes(as_toml(data))
    for workload in load_workloads(file).values():
        read_again(dataclasses.replace(usual_plan(), workload=workload))


def read_options(data: bytes, _: Path) -> None:
    """
    One argument a line, for every command that can be asked without running anything.
    """
    arguments = data.decode(errors="surrogateescape").split("\n")

    def measuring(words: Sequence[str]) -> None:
        options = measure_parser().parse_args(words)
        # What is at a path is the target of variants files.
        options.variants_file = VARIANTS_FILE
        plan(options)

    for parse_arguments in (
        measuring,
        report_parser().parse_args,
        verifying.parser().parse_args,
        reference.parser().parse_args,
        parse_audit,
    ):
        said, status = StringIO(), None
        try:
            with redirect_stdout(said), redirect_stderr(said):
                parse_arguments(arguments)
        except SystemExit as end:
            status = end.code
        except BridgetollError as error:
            # A word that is no UTF-8 is printed as it came.
            str(error).encode(errors="surrogateescape")
        assert status in {None, 0, SYNTAX_STATUS}
        assert status is None or said.getvalue()


OPTIONS = (
    "--variants\nnetns,docker\n--blocks\n3\n--seed\n7\n--minutes\n2.5\n--margin\n3\n--open-loop",
    "--half-width\n1\n--rounds\n2\n--requests\n20\n--concurrency\n5\n--agreement\nnetns\n--allow\nx",
    "--common-rate\n9\n--open-loop\n--open-requests\n3\n--probes\nalternate\n--same-length",
    "results/reference\n--output\nmine.md\n--allow\nworkload\n--json",
    "--arm\na\nx.txt\n--arm\nb\ny.txt\n-",
    "--workload\nfixed\n--profile\nfull\n--machine\nlocal\n--results\nout\n--mirror\nhttp://x",
)

OF_COMPOSE = samples.COMPOSE["services"]
COMPOSE: dict[str, Any] = {
    **samples.COMPOSE,
    "services": {
        **OF_COMPOSE,
        "store": {**OF_COMPOSE["store"], "scale": 1, "cpus": 0.5, "mem_limit": "67108864"},
        "gateway": {
            "image": "bridgetoll/userland",
            "command": ["gateway"],
            "network_mode": "host",
        },
    },
}
"""The sample with keys that say the same in other words, and a service of the host's network."""


def read_compose(data: bytes, _: Path) -> None:
    """
    What `docker compose config` printed.
    """
    config = config_of(data.decode(errors="replace"), "compose.yaml")
    project = ComposeProject((), (), config)
    instances(services(project, lambda _: Image(())), networks(project), "host")


# --- what a tool or a service prints ---


def read_ab(data: bytes, folder: Path) -> None:
    """
    Anybody's output of ab, audited; and that of this project's own ab, read strictly.
    """
    source = source_of("x", data)
    other = source_of("y", AB_OUTPUTS[0].read_bytes())
    arms = [Arm("x", source.outputs), Arm("y", other.outputs)]
    result = Result([audited(source)], compare(arms) if source.outputs else [])
    (as_text(result) + as_json(result)).encode()
    text = data.decode(errors="replace")
    for read in (
        lambda: encoded(parse(text)),
        lambda: parse_percentiles(text),
        lambda: ApacheBench().times_ms(folder),
    ):
        (folder / REQUESTS_FILE).write_bytes(data)
        try:
            read()
        except BridgetollError as error:
            str(error).encode()


def read_open_log(data: bytes, folder: Path) -> None:
    """
    The log of the project's own client, which is read strictly.
    """
    (folder / "log.csv").write_bytes(data)
    open_plan = OpenPlan("x:1", WORKLOAD, 100.0, max(1, data.count(b"\n") - 1), "1", 9.0, None)
    encoded(result_of(folder / "log.csv", open_plan, "log.csv"))


WORKLOAD = Workload("x", "x", ("gateway",), "/x", 200, {"status": [1, {"a": None}], "n": 2.5})


def read_answer(data: bytes, _: Path) -> None:
    """
    The body of a service's answer.
    """
    WORKLOAD.fault_in(200, data)


def as_json_table(content: bytes) -> bytes:
    """
    The content of a TOML file as JSON.
    """
    return json.dumps(tomllib.loads(content.decode())).encode()


def targets(folder: Path) -> dict[str, Target]:
    """
    All targets by name; ``folder`` is an empty one, in which samples are made.
    """
    workloads = WORKLOADS_FILE.read_bytes()
    others = [
        curve_target(folder),
        Target("variants", (VARIANTS, as_json_table(VARIANTS)), read_variants),
        Target("workloads", (workloads, as_json_table(workloads)), read_workloads),
        Target("options", tuple(map(str.encode, OPTIONS)), read_options),
        Target("compose", (json.dumps(COMPOSE).encode(),), read_compose),
        Target("ab", (*(path.read_bytes() for path in AB_OUTPUTS), *AB_FILES), read_ab),
        Target(
            "open-log", (f"{HEADER}\n10,11,500,200,1\n20,21,600,0,0\n".encode(),), read_open_log
        ),
        Target("answer", (json.dumps(WORKLOAD.expect_json).encode(),), read_answer),
    ]
    return {each.name: each for each in (*run_targets(folder), *others)}


AB_FILES = (
    b"Percentage served,Time in ms\n" + b"".join(b"%d,%d.5\n" % (n, n) for n in range(101)),
    b"starttime\tseconds\tctime\tdtime\tttime\twait\nSat\t1\t0\t3\t3\t2\nSat\t1\t0\t4\t4\t2\n",
)

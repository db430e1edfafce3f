"""
The environment of the run, and the commands that reproduce it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.formatting import table
from experiments.records.manifest import MARGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.findings import Findings
    from experiments.records.manifest import MachineRecord, Manifest, MemoryRecord, Source
    from experiments.records.trials import TrialPlacement


def environment(findings: Findings) -> str:
    """
    The machine, the software and the CPU placement.
    """
    manifest, trials = findings.manifest, findings.trials
    seen = manifest.environment
    userland = manifest.userland
    packages, wheels = userland.packages, userland.wheels
    memory = seen.memory_bytes
    at_once = seen.brought_up_at_once
    stolen_s = seen.stolen_s
    rows = [
        ["Machine", manifest.machine.reason],
        *_virtual_machine(manifest.machine),
        ["Kernel", f"{_known(seen.kernel)} ({_known(seen.architecture)})"],
        ["CPU", f"{_known(seen.cpu_model)}, {len(seen.cpus)} CPUs"],
        ["Virtualised", _yes_no(seen.virtualised)],
        ["Memory", f"{memory / 2**30:.1f} GiB" if memory else "unknown"],
        ["Deployments side by side", _side_by_side(seen.memory)],
        ["Brought up at the same time", "unknown" if at_once is None else str(at_once)],
        ["Control groups", _known(seen.cgroup_layout)],
        ["Clock source", _known(seen.clock_source)],
        ["Placement", _placed(trials[0].placement if trials else None)],
        [
            "CPU time stolen by the hypervisor",
            "unknown" if stolen_s is None else f"{stolen_s:.2f} s",
        ],
        [
            "Userland",
            (
                f"Debian 13, inputs {_known(userland.digest)}, "
                f"content SHA-256 {_known(userland.content_sha256)[:16]}"
            ),
        ],
        ["Docker", f"{_known(packages.get('docker.io'))}, runc {_known(packages.get('runc'))}"],
        [
            "Python",
            (
                f"{_known(seen.python)}, Flask {_known(wheels.get('flask'))}, "
                f"Werkzeug {_known(wheels.get('werkzeug'))}"
            ),
        ],
        ["ab", _known(packages.get("apache2-utils"))],
        ["Project", _project(manifest.git)],
    ]
    return "## Environment\n\n" + table(["What", "Value"], rows)


def _placed(placement: TrialPlacement | None) -> str:
    if placement is None:
        return "client on CPU unknown, stack on CPU unknown, pinning unknown"
    pinned = "pinned" if placement.pinned else "not pinned"
    return (
        f"client on CPU {_numbers(placement.client)}, stack on CPU {_numbers(placement.stack)}, "
        f"{pinned}"
    )


def _side_by_side(memory: MemoryRecord | None) -> str:
    """
    How many deployments fit into memory, and how much each takes, if measured.
    """
    if memory is None:
        return "unknown"
    takes = [
        f"{taken / 2**20:.0f} MiB for {what}"
        for taken, what in (
            (memory.process_bytes, "processes"),
            (memory.container_bytes, "containers"),
        )
        if taken
    ]
    free = f"{memory.available_bytes / 2**30:.1f} GiB are free"
    words = f"{', '.join(takes) or 'what one takes is unknown'}; {free}"
    return f"{memory.fits} fit ({words})" if memory.fits else words


def _virtual_machine(machine: MachineRecord) -> list[list[str]]:
    box = machine.box
    if box is None:
        return []
    return [
        ["Hypervisor", f"{machine.hypervisor} by {machine.provider}"],
        ["Acceleration", str(machine.acceleration)],
        ["Box", f"{box.name} {box.version}, SHA-256 {box.sha256}"],
    ]


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)


def _yes_no(value: object) -> str:
    return (
        {True: "yes", False: "no"}.get(bool(value), "unknown") if value is not None else "unknown"
    )


def _numbers(cpus: Sequence[int]) -> str:
    return ", ".join(map(str, cpus)) or "unknown"


def _project(git: Source | None) -> str:
    if git is None:
        return "not from a repository"
    return f"commit {git.commit[:12]}" + (", with changed files" if git.changed else "")


ENVIRONMENT = """\
apt install python3-venv
python3 -m venv ~/nox && . ~/nox/bin/activate && pip install nox"""


def reproduce(findings: Findings) -> str:
    """
    The commands that repeat this run and write this report again.
    """
    manifest = findings.manifest
    run = " ".join(f"results/{name}" for name in manifest.run.split(" + "))
    command = f"nox -s measure -- {' '.join(_options(manifest, run.partition(' ')[0]))}"
    made = manifest.git
    checkout = f"a checkout of commit {made.commit}" if made else "a checkout"
    if made and made.changed:
        checkout += " (with changed files, so what ran is not exactly that commit)"
    again = (
        f"The search for `{manifest.search.name}` is repeated, and may have another result."
        if manifest.search
        else ""
    )
    return "\n\n".join(
        part
        for part in [
            "## How to reproduce",
            f"On a Debian or Ubuntu machine, as root, with Python 3.11 or later, in {checkout}:",
            f"```\n{ENVIRONMENT}\n{command}\n```",
            again,
            (
                f"To make this report again, without root (if it is not in {run}, name its folder "
                "instead):"
            ),
            f"```\nnox -s report -- {run}\n```",
            (
                "`trials.jsonl` holds one record per trial, and `trials.csv` the same as a table. "
                "`verdicts.json` holds every comparison and step. `raw/` holds what the tools "
                "printed. `manifest.json` holds the machine, the settings, every version, and the "
                "order of the deployments. `results/schema/` describes them. `nox -s reference` "
                "compresses the records and `raw/`."
            ),
        ]
        if part
    )


def _options(manifest: Manifest, run: str) -> list[str]:
    """
    The options of the run that matter for repeating it; ``run`` is the folder of its files.
    """
    # The planner adds twins by itself.
    names = ",".join(each.name for each in manifest.variants if not each.twin_of)
    mirror = manifest.userland.mirror
    rate = manifest.common_rate_per_s
    options = [
        (f"--variants {names} --workload {manifest.workload.name}", True),
        (f"--blocks {len(manifest.order) or manifest.blocks}", True),
        (f"--minutes {manifest.minutes:g} --seed {manifest.seed}", True),
        (f"--rounds {manifest.rounds} --requests {manifest.requests}", True),
        (f"--concurrency {manifest.concurrency}", True),
        (f"--warmup-requests {manifest.warmup_requests}", True),
        ("--same-length", not manifest.any_length),
        (f"--agreement {','.join(manifest.agreement)}", bool(manifest.agreement)),
        (f"--open-loop --open-requests {manifest.open_requests}", bool(manifest.open_fractions)),
        (f"--common-rate {rate or 0:g}", bool(manifest.open_fractions and rate)),
        (f"--margin {manifest.margin * 100:g}", manifest.margin != MARGIN),
        (f"--allow {','.join(manifest.allowed)}", bool(manifest.allowed)),
        ("--allow-privileged", manifest.allow_privileged),
        (f"--probes {manifest.probes}", manifest.probes != "on"),
        (f"--variants-file {run}/{manifest.variants_file}", bool(manifest.variants_file)),
        (f"--mirror {mirror}", mirror != "default"),
    ]
    return [option for option, is_needed in options if is_needed]

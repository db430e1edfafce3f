"""
A malicious stack in every arm: nothing that it tries leaves its deployment.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments.declare.factors import FACTORS
from experiments.declare.reading import load_variants
from experiments.deployments.compose import resolve
from experiments.deployments.privileges import refuse_privileges
from experiments.errors import ComposeError
from experiments.lab.docker_layout import stored_image
from experiments.lab.image import IMAGE
from experiments.lab.mounts import Mount, mount
from experiments.paths import IMAGE_STORE_IN_LAB, RUN_IN_LAB, SERVICES
from experiments.run.deployed import DEPLOYMENT_CLASSES
from tests.inside import stranger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from experiments.deployments import Site

VARIANTS = load_variants().variants
CONFINEMENTS = FACTORS["confinement"].levels
PROGRAM = Path(stranger.__file__).parent
TIMEOUT_S = 120
(USERLAND,) = stored_image(IMAGE_STORE_IN_LAB, IMAGE).layers

IPC_CREAT, IPC_RMID = 0o1000, 0

GAPS_OF_DOCKER_S_FILTER = {"vsock_by_a_number_that_the_kernel_cuts", "vsock_by_32_bit_calls"}
"""What passes Docker's filter, by SECURITY.md."""

OWN_GROUP = "import os; raise SystemExit(not (os.getsid(0) and os.getpgrp()))"
"""Fails in a session or a process group whose leader is out of sight."""

NOT_EVEN_THE_LAB = {
    "load_a_module", "load_another_kernel", "reboot", "set_the_clock", "raw_ports", "all_ports",
    "account_processes", "immutable_files", "open_by_handle",
}  # fmt: skip
"""What nothing in the lab can do, be it a privileged container."""

THE_RUN_S_FOLDER = {
    "read_the_run_s_folder", "walk_through_proc", "plant_a_link_in_the_run_s_folder",
}  # fmt: skip


@pytest.fixture(autouse=True)
def treasure() -> Iterator[None]:
    """
    What a stranger looks for: a run's folder, shared memory, files in the lab's memory, a terminal.
    """
    mount([Mount("tmpfs", "treasure", RUN_IN_LAB)], "the folder of a run")
    secrets = [Path("/", stranger.TREASURE), *map(Path, ("/dev/shm/secret", "/tmp/secret"))]  # noqa: S108
    for path in secrets:
        path.write_text("secret")
    libc = ctypes.CDLL(None)
    segment = libc.shmget(stranger.SEGMENT, 1, IPC_CREAT | 0o600)
    kept, terminals = os.dup(0), os.openpty()
    os.dup2(terminals[1], 0)
    yield
    os.dup2(kept, 0)
    for file in (kept, *terminals):
        os.close(file)
    libc.shmctl(segment, IPC_RMID, None)
    for path in secrets:
        path.unlink()
    subprocess.run(["umount", RUN_IN_LAB], check=True)


@contextmanager
def playing(
    site: Site, levels: dict[str, str], variant: str, more: str = "", mounted: str = ""
) -> Iterator[str]:
    """
    A deployment whose service is the stranger, with more keys and mounts; the log of its probes.
    """
    program = f"'{PROGRAM}:{PROGRAM}:ro'"
    overlay = site.directory / "overlay.yaml"
    overlay.write_text(
        "services: {product-1: {"
        f"command: !override [python3, -m, stranger, --stay], volumes: [{program}, {mounted}],"
        f" healthcheck: {{test: [CMD, python3, -c, '{OWN_GROUP}']}},"
        f" working_dir: {PROGRAM.parent}, {more}}}}}"
    )
    files = [*VARIANTS[variant].compose_files(SERVICES), overlay]
    project = resolve(files, ["product-1"], VARIANTS[variant].variables())
    if not mounted:
        refuse_privileges(project)
    with DEPLOYMENT_CLASSES[levels["runtime"]](project, site, levels) as deployment:
        deadline = time.monotonic() + TIMEOUT_S
        while '"done"' not in (log := "\n".join(deployment.logs(1000).values())):
            assert time.monotonic() < deadline, log
            time.sleep(0.1)
        yield log


def escapes(log: str) -> dict[str, str]:
    """
    The probes that were not stopped, and what they found.
    """
    results = [json.loads(line) for line in log.splitlines() if line.startswith('{"probe"')]
    assert {each["probe"] for each in results} == {*stranger.probes, ""}
    return {each["probe"]: each["said"] for each in results if each["escaped"]}


def marks() -> list[str]:
    """
    Marks of the stranger where the lab or another trial would see them.
    """
    places = [*stranger.PLACES, *(f"{USERLAND}{each}" for each in stranger.PLACES)]
    return [place for place in places if Path(place, stranger.MARK).exists()]


ARMS = [
    *(("netns", {"confinement": level}) for level in CONFINEMENTS),
    ("netns", {"network": "host"}),
    ("netns", {"beside": "dockerd"}),
    ("docker", {}),
    ("docker-host", {}),
]


@pytest.mark.parametrize(
    ("variant", "changes"), ARMS, ids=lambda part: part if isinstance(part, str) else str(part)
)
def test_a_malicious_service_does_not_leave_its_deployment(
    variant: str, changes: dict[str, str], site: Site
) -> None:
    """
    At every confinement; only Docker's filter has gaps, which are known.
    """
    levels = {**VARIANTS[variant].levels, **changes}
    with playing(site, levels, variant) as log:
        found = escapes(log)
    print(variant, changes, json.dumps(found))
    known = GAPS_OF_DOCKER_S_FILTER if levels["confinement"] == "seccomp" else set()
    assert {name: words for name, words in found.items() if name not in known} == {}
    assert marks() == []


def test_a_privileged_service_is_refused_and_even_if_allowed_is_no_root_of_the_machine(
    site: Site,
) -> None:
    """
    It has what the lab has, and not the folder of the run.
    """
    more, mounted = "privileged: true", f"'{Path(RUN_IN_LAB).parent}:{stranger.MOUNTED}'"
    with playing(site, VARIANTS["docker"].levels, "docker", more, mounted) as log:
        found = escapes(log)
    print("privileged", json.dumps(found))
    assert (NOT_EVEN_THE_LAB | THE_RUN_S_FOLDER) & found.keys() == set()
    assert {"mount_something", "new_mount_namespace"} <= found.keys()
    overlay = site.directory / "overlay.yaml"
    project = resolve([*VARIANTS["docker"].compose_files(SERVICES), overlay], ["product-1"])
    with pytest.raises(ComposeError, match=r"services\.product-1\.privileged: true"):
        refuse_privileges(project)


def test_a_service_s_environment_is_for_its_own_program_alone(site: Site) -> None:
    """
    Those that prepare it have the lab's capabilities, and a variable may be code for them.
    """
    more = "environment: {LD_PRELOAD: /there-is-no-such-library}"
    with playing(site, VARIANTS["netns"].levels, "netns", more) as log:
        assert log.count("cannot be preloaded") == 1


def test_the_probes_find_the_ways_out_that_the_lab_s_root_has() -> None:
    """
    Else a stopped probe would mean nothing.
    """
    done = subprocess.run(
        [sys.executable, "-m", "stranger", "--once"],
        cwd=PROGRAM.parent,
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    found = escapes(done.stdout)
    print("the lab's root", json.dumps(found))
    for place in marks():
        Path(place, stranger.MARK).unlink()
    assert {
        "mount_something", "unmount_the_mask", "new_mount_namespace", "join_the_first_process",
        "leave_the_root_by_chroot", "core_pattern", "any_sysctl_of_the_machine",
        "any_file_of_sysfs", "interrupts", "any_control_group", "make_a_disk_s_node",
        "see_the_runner", "signal_the_runner", "trace_the_runner", "walk_through_proc",
        "read_the_runner_s_environment", "take_the_runner_s_files", "read_the_run_s_folder",
        "plant_a_link_in_the_run_s_folder", "others_shared_memory", "others_files_in_memory",
        "list_bpf_programs", "watch_all_processes_of_a_cpu", "decide_about_others_files",
        "rename_the_machine", "higher_priority", "swap", "host_s_keyring", "add_a_key",
        "ask_for_a_key", "io_uring", "hold_page_faults", "quotas", "quotas_of_an_open_file",
        "user_namespace", "user_namespace_of_a_child", "user_namespace_by_what_no_filter_sees",
        "a_terminal_among_all_open_files", "a_session_of_others",
    } <= found.keys()  # fmt: skip
    assert NOT_EVEN_THE_LAB & found.keys() == set()

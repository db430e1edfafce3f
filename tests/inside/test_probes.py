"""
The probes where they work: parity, path, CPU time and residue of real deployments under real load.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from experiments.declare.reading import load_variants
from experiments.declare.workloads import ENTRY_PORT, ENTRY_SERVICE, choose_workload
from experiments.deployments.compose import resolve
from experiments.errors import ProofError
from experiments.lab.cgroups import RUNNER_GROUP, ControlGroup, hierarchies
from experiments.lab.network import NetworkNamespace
from experiments.load import Client, LoadPlan
from experiments.load.ab import ApacheBench
from experiments.paths import SERVICES
from experiments.probes.cpu import CpuCounters, cpu_cost, machine_time
from experiments.probes.facts import facts_of
from experiments.probes.parity import PLAIN_CAPABILITIES, Parity, undeclared
from experiments.probes.path import check_path, path_counters
from experiments.probes.residue import check_residue, snapshot
from experiments.probes.response import check_answers
from experiments.records.cpu import BUSY, CLIENT, DAEMON, PROXY, RUNNER
from experiments.run.deployed import DEPLOYMENT_CLASSES
from tests.inside.conftest import PLACEMENT

if TYPE_CHECKING:
    from experiments.declare.variants import Variant
    from experiments.deployments import Deployment, Site
    from experiments.records.trials import CpuSpent, Facts

VARIANTS = load_variants().variants

LEAST_LOADS, MOST_LOADS = 5, 15
NOT_OURS = 0.05
"""The share of the busy time that may belong to no part, in the median load."""

QUIET_S, QUIET_SHARE, QUIET_TIMEOUT_S = 1.0, 0.03, 30
"""A machine is quiet whose CPUs were busy for so small a share of one CPU's time, so long."""
BURNS_US = (4000, 16000)
"""
Several times what the whole request costs otherwise, and several times that.

The first milliseconds cost more than themselves on a machine whose neighbours are busy, most likely
because what comes after them finds cold caches. From the one to the other that changes no more.
"""


@pytest.fixture
def groups(client_group: ControlGroup) -> dict[str, ControlGroup]:
    """
    The groups of the client, on its own CPU, and of this process.
    """
    client_group.set_cpuset(PLACEMENT.client)
    return {
        CLIENT: client_group,
        RUNNER: ControlGroup(RUNNER_GROUP, hierarchies(inside_lab=True)),
    }


def up(variant: Variant, site: Site, stack: ExitStack, workload: str = "fixed") -> Deployment:
    """
    A deployment of a variant that is up until the stack ends.
    """
    services = choose_workload(workload).services
    project = resolve(variant.compose_files(SERVICES), services, variant.variables())
    made = DEPLOYMENT_CLASSES[variant.levels["runtime"]](project, site, variant.levels)
    return stack.enter_context(made)


def load(
    deployment: Deployment,
    site: Site,
    group: ControlGroup,
    entry: str,
    requests: int,
) -> int:
    """
    Load the gateway's constant answer; how many requests were completed.
    """
    plan = LoadPlan(
        address=deployment.address(ENTRY_SERVICE, ENTRY_PORT, entry),
        workload=choose_workload("fixed"),
        requests=requests,
        concurrency=10,
        limit_s=120,
    )
    client = Client(NetworkNamespace(site.network_namespace).path, group)
    return ApacheBench().run(plan, client, site.directory).requests_completed


def spent(
    deployment: Deployment,
    site: Site,
    groups: dict[str, ControlGroup],
    requests: int,
    entry: str = "direct",
) -> CpuSpent:
    """
    Where CPU time was spent under so many requests.
    """
    parts = {**deployment.services(), **deployment.helpers()}
    before = CpuCounters.read(parts, groups)
    load(deployment, site, groups[CLIENT], entry, requests)
    return cpu_cost(before, CpuCounters.read(parts, groups))


def await_quiet() -> None:
    """
    Wait until the machine has nothing else to do, such as to clear away what a test before left.
    """
    deadline = time.monotonic() + QUIET_TIMEOUT_S
    busy_s = QUIET_S
    while busy_s > QUIET_SHARE * QUIET_S and time.monotonic() < deadline:
        before, _ = machine_time()
        time.sleep(QUIET_S)
        after, _ = machine_time()
        busy_s = sum(after[column] - before[column] for column in BUSY)


@pytest.mark.parametrize("name", ["bare", "cgroups", "seccomp", "docker", "container-published"])
def test_the_parts_add_up_to_what_the_machine_was_busy_with(
    name: str, site: Site, groups: dict[str, ControlGroup]
) -> None:
    """
    Within five per cent of /proc/stat, in the median load; services have the most.

    /proc/stat is sampled on some kernels, which is some per cent of a load, either way.
    """
    entry = VARIANTS[name].levels["entry"]
    with ExitStack() as stack:
        deployment = up(VARIANTS[name], site, stack)
        load(deployment, site, groups[CLIENT], entry, 200)
        await_quiet()
        shares: list[float] = []
        # A busy machine gets more loads, because its own work comes and goes.
        while len(shares) < LEAST_LOADS or (
            abs(statistics.median(shares)) > NOT_OURS and len(shares) < MOST_LOADS
        ):
            cost = spent(deployment, site, groups, 1000, entry)
            busy_s = sum(cost.machine_s[column] for column in BUSY)
            shares.append(cost.unaccounted_s / busy_s)
    assert abs(statistics.median(shares)) <= NOT_OURS, shares
    spent_s = {name: part.user_s + part.system_s for name, part in cost.parts.items()}
    assert spent_s["gateway"] > sum(spent_s.values()) / 3
    assert (DAEMON in cost.parts) == (name in {"docker", "container-published"})
    assert (PROXY in cost.parts) == (name == "container-published")


@pytest.mark.parametrize("name", ["bare", "docker"])
def test_a_burn_that_is_put_in_comes_out(
    name: str, site: Site, groups: dict[str, ControlGroup]
) -> None:
    """
    The gateway burns more for every request: its time per request and its account show how much.

    With one request at a time in the server: a server of threads hands its lock on more often when
    requests take longer, which is a cost of its own, and no fault of the account.
    """
    variant = VARIANTS[name]
    one_at_a_time = {**variant.levels, "server": "gunicorn", "worker_class": "sync"}
    us_per_request: dict[int, list[float]] = {burn: [] for burn in BURNS_US}
    cpu_us: dict[int, list[float]] = {burn: [] for burn in BURNS_US}
    requests = 100
    for burn in (*BURNS_US, *reversed(BURNS_US)):
        levels = {**one_at_a_time, "burn_us": str(burn)}
        with ExitStack() as stack:
            deployment = up(type(variant)("burning", "", levels), site, stack)
            load(deployment, site, groups[CLIENT], "direct", 50)
            for _ in range(3):
                cost = spent(deployment, site, groups, requests)
                gateway = cost.parts["gateway"]
                cpu_us[burn].append((gateway.user_s + gateway.system_s) * 1e6 / requests)
                us_per_request[burn].append(cost.duration_s * 1e6 / requests)
    low, high = BURNS_US
    for found in (us_per_request, cpu_us):
        # The least disturbed of each, because a machine has other things to do now and then.
        recovered = min(found[high]) - min(found[low])
        assert recovered == pytest.approx(high - low, rel=0.1), found


def test_the_path_through_docker_proxy_is_proved_and_no_other_one_is(
    site: Site, groups: dict[str, ControlGroup]
) -> None:
    """
    The same counters refuse every name that says another way.
    """
    variant = VARIANTS["container-published"]
    with ExitStack() as stack:
        deployment = up(variant, site, stack)
        before = path_counters(site.network_namespace, deployment)
        done = load(deployment, site, groups[CLIENT], "published", 300)
        grown = path_counters(site.network_namespace, deployment).since(before)
        parts = {**deployment.services(), **deployment.helpers()}
        assert CpuCounters.read(parts, groups).parts[PROXY].user_s > 0
    check_path(variant.levels, grown, done)
    for name, counter in {
        "container-external": "uplink, which is not there|uplink .not there",
        "container-bridge": "packets on lo",
        "docker-proxy-off": "translated destination: 0, but should be at least 300",
        "container-host": "packets on stack",
        "bridge": "tracked connections",
    }.items():
        with pytest.raises(ProofError, match=counter):
            check_path(VARIANTS[name].levels, grown, done)


def test_no_load_is_no_proof(site: Site) -> None:
    """
    Counters that did not grow prove nothing.
    """
    with ExitStack() as stack:
        deployment = up(VARIANTS["bridge"], site, stack)
        before = path_counters(site.network_namespace, deployment)
        grown = path_counters(site.network_namespace, deployment).since(before)
    # A link that has just come up may send a packet of its own.
    with pytest.raises(ProofError, match=r"packets on stack \(bridge\): [0-9], but should be"):
        check_path(VARIANTS["bridge"].levels, grown, 100)


def facts(variant: Variant, site: Site) -> Facts:
    """
    What really runs in a deployment of a variant.
    """
    with ExitStack() as stack:
        deployment = up(variant, site, stack)
        address = deployment.address(ENTRY_SERVICE, ENTRY_PORT, variant.levels["entry"])
        place = NetworkNamespace(site.network_namespace).path
        check, _ = check_answers(place, address, choose_workload("fixed"))
        return facts_of(deployment, check.answer)


def test_each_level_of_confinement_has_its_primitive_and_no_later_one(site: Site) -> None:
    """
    As the kernel tells it about the process that serves; the last one equals what Docker makes.
    """
    names = ["bare", "cgroups", "namespaces", "overlay", "capabilities", "seccomp"]
    found = {name: facts(VARIANTS[name], site).services["gateway"] for name in names}
    every = ["pid", "mnt", "uts", "ipc"]
    assert [found[name].own_group for name in names] == [False, *[True] * 5]
    assert [found[name].namespaces for name in names] == [[], [], *[every] * 4]
    assert [found[name].root for name in names] == [*["plain"] * 3, *["overlay"] * 3]
    few = found["capabilities"].capabilities
    assert few == "00000000a80425fb"  # Docker's fourteen
    assert {found[name].capabilities for name in names[:4]} == {PLAIN_CAPABILITIES}
    assert [found[name].seccomp for name in names] == [*["0"] * 5, "2"]
    docker = facts(VARIANTS["container-host"], site).services["gateway"]
    last = found["seccomp"]
    assert structs.replace(docker, open_files=last.open_files) == last


@pytest.mark.parametrize(
    ("name", "of_own", "of_others"),
    [("bare", 0, 1), ("namespaces", 0, 1), ("seccomp", 1, 1), ("container-host", 1, 1)],
)
def test_a_service_has_one_filter_of_system_calls_at_most_and_may_gain_privileges(
    name: str, of_own: int, of_others: int, site: Site, tmp_path: Path
) -> None:
    """
    Only services of other projects have the lab's. ``no_new_privs`` is nowhere, as in Docker.
    """
    (tmp_path / "empty.yaml").write_text("services: {}")
    for overlays, filters in (((), of_own), ((tmp_path / "empty.yaml",), of_others)):
        with ExitStack() as stack:
            variant = dataclasses.replace(VARIANTS[name], overlays=overlays)
            for part in up(variant, site, stack).services().values():
                status = Path(f"/proc/{part.first_process}/status").read_text()
                assert f"Seccomp_filters:\t{filters}\n" in status
                assert "NoNewPrivs:\t0\n" in status


def test_a_difference_that_no_variant_declares_is_an_error_unless_it_is_allowed(
    site: Site,
) -> None:
    """
    Here a variant that says that it logs, and does not.
    """
    honest, quiet = VARIANTS["bare-logging"], VARIANTS["bare"]
    liar = type(quiet)("liar", "", {**quiet.levels, "request_log": "on"})
    true, false = facts(honest, site), facts(quiet, site)
    assert not undeclared(honest, true, quiet, false)
    parity = Parity()
    assert parity.check(honest, true) == []
    with pytest.raises(ProofError, match=r"LOG_REQUESTS is None in bare-logging, 'off' in liar"):
        parity.check(liar, false)
    lenient = Parity(["environment"])
    lenient.check(honest, true)
    assert any("LOG_REQUESTS" in words for words in lenient.check(liar, false))


def test_a_lab_as_it_was_found_has_no_residue(site: Site) -> None:
    """
    Also after a deployment that does much to its namespaces.
    """
    found = hierarchies(inside_lab=True)
    before = snapshot(found)
    with ExitStack() as stack:
        up(VARIANTS["docker-as-published"], site, stack)
    # Those below the site's go with it.
    site.group.remove()
    site.group.create()
    check_residue(before, found)


@pytest.mark.parametrize(
    ("leave", "remove", "message"),
    [
        (
            "ip link add forgotten type veth peer name forgotten2",
            "ip link del forgotten",
            "links: left .*forgotten",
        ),
        ("ip rule add pref 77 table 77", "ip rule del pref 77", "rules: left 77:"),
        (
            "ip route add blackhole 198.18.9.0/24",
            "ip route del blackhole 198.18.9.0/24",
            "routes: left blackhole",
        ),
        (
            "echo 77 >/proc/sys/net/ipv4/tcp_fin_timeout",
            "echo 60 >/proc/sys/net/ipv4/tcp_fin_timeout",
            "sysctls: left /proc/sys/net/ipv4/tcp_fin_timeout:77",
        ),
        (
            "mkdir -p /run/left && mount -t tmpfs left /run/left",
            "umount /run/left",
            "mounts: left / /run/left",
        ),
        ("ip netns add left", "ip netns del left", "network namespaces: left left"),
        (
            "iptables -A INPUT -s 198.18.9.9 -j DROP",
            "iptables -F INPUT",
            "firewall rules: left -A INPUT",
        ),
    ],
)
def test_whatever_is_left_is_named(leave: str, remove: str, message: str) -> None:
    """
    Each kind of thing that a trial could leave behind in the lab.
    """
    found = hierarchies(inside_lab=True)
    before = snapshot(found)
    subprocess.run(["sh", "-euc", leave], check=True)
    try:
        with pytest.raises(ProofError, match=message):
            check_residue(before, found)
    finally:
        subprocess.run(["sh", "-euc", remove], check=True)
    check_residue(before, found)


def test_a_process_and_a_control_group_that_are_left_are_named() -> None:
    """
    The process by its command, also when its parent is gone.
    """
    found = hierarchies(inside_lab=True)
    before = snapshot(found)
    group = ControlGroup("left", found)
    group.create()
    subprocess.run(["sh", "-c", "sleep 300 & echo $! >/run/left-pid"], check=True)
    pid = int(Path("/run/left-pid").read_text())
    try:
        with pytest.raises(ProofError, match=r"(?s)sleep 300.*control groups: left .*/left"):
            check_residue(before, found)
    finally:
        os.kill(pid, 9)
        group.remove()
    check_residue(before, found)

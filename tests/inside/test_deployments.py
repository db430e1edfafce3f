"""
Real deployments of the real stack, in raw namespaces and by Docker Compose.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments.declare.reading import load_variants
from experiments.declare.workloads import ENTRY_PORT, ENTRY_SERVICE, choose_workload
from experiments.deployments.compose import ComposeProject, resolve
from experiments.errors import ComposeError, DeployError
from experiments.lab.cgroups import parse_cpu_list
from experiments.lab.image import IMAGE
from experiments.lab.network import NAMESPACE_DIRECTORY, NetworkNamespace
from experiments.lab.placement import prove_placement
from experiments.lab.uplink import Uplink
from experiments.paths import SERVICES
from experiments.probes.cpu import descendants
from experiments.probes.network_state import network_state
from experiments.probes.response import check_answers
from experiments.run.deployed import DEPLOYMENT_CLASSES
from tests.inside.conftest import processes

if TYPE_CHECKING:
    from experiments.deployments import Deployment, Site

VARIANTS = load_variants().variants
RUNTIMES = ["process", "container"]


def project(variant: str, *services: str, overlay: Path | None = None) -> ComposeProject:
    """
    A variant's project with these services, and one more override file.
    """
    files = VARIANTS[variant].compose_files(SERVICES)
    wanted = [*files, overlay] if overlay else files
    return resolve(wanted, services, VARIANTS[variant].variables())


def plain(runtime: str) -> str:
    """
    The matched variant of a runtime.
    """
    return {"process": "netns", "container": "docker"}[runtime]


def deploy(
    runtime: str, made: ComposeProject, site: Site, variant: str | None = None
) -> Deployment:
    """
    A deployment that is not up yet, at the levels of a variant; by default the runtime's plain one.
    """
    return DEPLOYMENT_CLASSES[runtime](made, site, VARIANTS[variant or plain(runtime)].levels)


def stack_cpus(site: Site) -> frozenset[int]:
    """
    The CPUs that the stack's group was given.
    """
    directory = site.group.directory("cpuset")
    assert directory is not None
    return frozenset(parse_cpu_list((directory / "cpuset.cpus").read_text()))


def write(site: Site, text: str) -> Path:
    """
    An override file with this text.
    """
    path = site.directory / "overlay.yaml"
    path.write_text(text)
    return path


FOCAL = ["netns", "netns-as-published", "docker", "docker-as-published"]


@pytest.mark.parametrize("variant", [*FOCAL, "container-external"])
def test_a_deployment_answers_and_leaves_nothing(variant: str, site: Site) -> None:
    """
    Up, checked, on its own CPUs, down; then only empty control groups of it are left.
    """
    before = processes()
    wanted = choose_workload("products")
    levels = VARIANTS[variant].levels
    made = project(variant, *wanted.services)
    with ExitStack() as stack:
        client = NetworkNamespace(site.network_namespace)
        if levels["entry"] == "external":
            client = stack.enter_context(Uplink(site.network_namespace)).namespace
        deployment = stack.enter_context(deploy(levels["runtime"], made, site, variant))
        address = deployment.address(ENTRY_SERVICE, ENTRY_PORT, levels["entry"])
        check, _ = check_answers(client.path, address, wanted)
        assert check.answer.status == wanted.expect_status
        prove_placement(site.group, stack_cpus(site))
        assert set(deployment.services()) == set(wanted.services)
    deadline = time.monotonic() + 5
    while processes() - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes() - before == set()
    assert [path.name for path in Path(NAMESPACE_DIRECTORY).iterdir()] == [site.network_namespace]
    site.group.remove()
    assert not any(directory.exists() for directory in site.group.directories())


def test_every_two_raw_namespaces_are_joined_by_a_pair_of_their_own(site: Site) -> None:
    """
    No bridge, no router: each has a route to just each other one.
    """
    made = project("veth", *choose_workload("products").services)
    with deploy("process", made, site, "veth"):
        inside = network_state(f"{NAMESPACE_DIRECTORY}/{site.network_namespace}-gateway")
        assert len(inside.routes) == 3
        assert all("scope link" in route for route in inside.routes)
        outside = network_state(f"{NAMESPACE_DIRECTORY}/{site.network_namespace}")
        assert sum("@" in line for line in outside.links) == 3


def test_raw_namespaces_are_one_for_each_service_on_one_bridge(site: Site) -> None:
    """
    Each with its own address, and the host's end of each veth pair on the bridge.
    """
    made = project("netns", *choose_workload("products").services)
    with deploy("process", made, site):
        host = site.network_namespace
        names = {path.name for path in Path(NAMESPACE_DIRECTORY).iterdir()}
        assert names == {host, f"{host}-gateway", f"{host}-product-1", f"{host}-product-2"}
        inside = network_state(f"{NAMESPACE_DIRECTORY}/{host}-product-1")
        assert any("198.18.0.21/24" in line for line in inside.addresses)
        assert inside.routes[0].startswith("default via 198.18.0.1 dev eth0")
        outside = network_state(f"{NAMESPACE_DIRECTORY}/{host}")
        assert sum(line.startswith("veth") for line in outside.links) == 3
        assert outside.firewall == []


def test_the_published_tiers_are_three_routed_bridges(site: Site) -> None:
    """
    Frontend, backend and database, and the host forwards between them.
    """
    made = project("netns-as-published", *choose_workload("orders").services)
    with deploy("process", made, site, "netns-as-published"):
        state = network_state(f"{NAMESPACE_DIRECTORY}/{site.network_namespace}")
        bridges = {line.split()[0] for line in state.links if not line.startswith(("veth", "lo"))}
        assert bridges == {"frontend", "backend", "database"}
        assert "/proc/sys/net/ipv4/ip_forward:1" in state.sysctls


LOOKED_UP_WITHIN_S = 3
"""Far below the five seconds after which a resolver asks again."""

LOOK_UP = """
import socket, time
began = time.monotonic()
try:
    socket.getaddrinfo("outside.example", 80)
except socket.gaierror:
    pass
print("looked up in", round(time.monotonic() - began, 3), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("variant", "changes"),
    [
        ("docker-as-published", {}),
        ("docker", {}),
        ("netns", {}),
        ("netns", {"confinement": "capabilities"}),
    ],
)
def test_a_name_outside_of_the_project_fails_at_once(
    variant: str, changes: dict[str, str], site: Site
) -> None:
    """
    The lab has no way out, and nobody waits for an answer that cannot come.
    """
    command = json.dumps(["python3", "-c", LOOK_UP])
    keys = f"command: !override {command}, healthcheck: {{test: [CMD, 'true']}}"
    overlay = write(site, f"services: {{product-1: {{{keys}}}}}")
    levels = VARIANTS[variant].levels | changes
    files = [*VARIANTS[variant].compose_files(SERVICES), overlay]
    made = resolve(files, ["product-1"], VARIANTS[variant].variables())
    with DEPLOYMENT_CLASSES[levels["runtime"]](made, site, levels) as deployment:
        deadline = time.monotonic() + 60
        while "looked up in" not in (said := "".join(deployment.logs(10).values())):
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
    assert float(said.split()[-1]) < LOOKED_UP_WITHIN_S


def test_the_published_port_is_served_by_docker_proxy(site: Site) -> None:
    """
    And the matched variant has no proxy.
    """
    services = choose_workload("fixed").services
    with deploy(
        "container", project("docker-as-published", *services), site, "docker-as-published"
    ) as deployment:
        assert deployment.address(ENTRY_SERVICE, ENTRY_PORT, "published") == "127.0.0.1:3000"
        assert any("docker-proxy" in command for command in processes())


def test_without_a_published_port_there_is_no_proxy(site: Site) -> None:
    """
    The client goes straight to the container's address.
    """
    services = choose_workload("fixed").services
    with deploy("container", project("docker", *services), site) as deployment:
        direct = deployment.address(ENTRY_SERVICE, ENTRY_PORT, "direct")
        assert direct == "198.18.0.11:3000"
        assert not any("docker-proxy" in command for command in processes())
        with pytest.raises(DeployError, match="publishes no port 3000"):
            deployment.address(ENTRY_SERVICE, ENTRY_PORT, "published")


def test_a_direct_client_passes_a_published_port_by(site: Site) -> None:
    """
    What a variant calls direct goes to the container, also when a file publishes its port.
    """
    services = choose_workload("fixed").services
    with deploy(
        "container", project("docker-as-published", *services), site, "docker-as-published"
    ) as deployment:
        direct = deployment.address(ENTRY_SERVICE, ENTRY_PORT, "direct")
    assert direct == "198.18.0.11:3000"


def read_knob(site: Site, controller: str, names: tuple[str, ...]) -> list[str]:
    """
    The contents of a knob, under whichever of its names there is, in each service's group.
    """
    directory = site.group.directory(controller)
    assert directory is not None
    groups = [
        path
        for path in directory.iterdir()
        if path.is_dir() and path.name not in {"daemon", "shared"}
    ]
    return [
        (group / name).read_text().split()[0]
        for group in groups
        for name in names
        if (group / name).exists()
    ]


def test_limits_are_on_the_same_knobs_with_the_same_values(site: Site) -> None:
    """
    Half a CPU and 128 MiB, and swap with it: what Docker writes, raw namespaces get.
    """
    overlay = write(
        site,
        "services: {gateway: {deploy: {resources: {limits: {cpus: '0.5', memory: 128M}}}}}",
    )
    found = []
    for runtime in RUNTIMES:
        with deploy(runtime, project(plain(runtime), "gateway", overlay=overlay), site):
            found.append(
                (
                    read_knob(site, "cpu", ("cpu.max", "cpu.cfs_quota_us")),
                    read_knob(site, "memory", ("memory.max", "memory.limit_in_bytes")),
                    read_knob(site, "memory", ("memory.swap.max", "memory.memsw.limit_in_bytes")),
                )
            )
    assert found[0] == found[1]
    assert found[0][:2] == (["50000"], [str(128 * 2**20)])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_replicas_are_honoured(runtime: str, site: Site) -> None:
    """
    Three of one service, each with an address of its own.
    """
    overlay = write(
        site,
        "services: {product-1: {networks: !override {stack: {}}, deploy: {replicas: 3}}}",
    )
    made = project(plain(runtime), "product-1", overlay=overlay)
    with deploy(runtime, made, site) as deployment:
        assert len(deployment.logs(1)) == 3


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_service_that_ends_shows_its_last_words(runtime: str, site: Site) -> None:
    """
    The error holds what the service printed.
    """
    overlay = write(
        site, "services: {product-1: {command: [sh, -c, 'echo no bread today; exit 3']}}"
    )
    made = project(plain(runtime), "gateway", "product-1", overlay=overlay)
    with pytest.raises(DeployError, match="no bread today"):
        deploy(runtime, made, site).__enter__()
    assert not any("services.gateway" in command for command in processes())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_service_that_never_becomes_healthy_shows_its_last_words(
    runtime: str, site: Site
) -> None:
    """
    After its own start period and retries.
    """
    overlay = write(
        site,
        "services: {product-1: {command: [sh, -c, 'echo asleep; sleep 60'],"
        " healthcheck: {start_period: 1s, interval: 10m, retries: 1, timeout: 1s}}}",
    )
    made = project(plain(runtime), "product-1", overlay=overlay)
    if runtime == "container":
        # Docker looks again only after its interval, so that is what has to be short here.
        made.config["services"]["product-1"]["healthcheck"]["interval"] = "1s"
        overlay.write_text(overlay.read_text().replace("10m", "1s"))
    with pytest.raises(DeployError, match=r"(?s)healthy.*asleep"):
        deploy(runtime, made, site).__enter__()


def test_a_dependency_is_healthy_before_its_dependant_starts(site: Site) -> None:
    """
    Orders needs its stores, also when only orders is named.
    """
    with deploy("process", project("netns", "orders"), site) as deployment:
        assert list(deployment.logs(1)) == ["postgres", "redis", "orders"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_deployment_ends_at_once_whatever_its_services_do_about_signals(
    runtime: str, site: Site
) -> None:
    """
    Nobody is asked to stop, in either arm.
    """
    overlay = write(
        site,
        "services: {product-1: {healthcheck: {test: [CMD, 'true']}, command:"
        " [sh, -c, 'trap \"\" TERM INT HUP QUIT; while :; do sleep 0.05; done']}}",
    )
    with deploy(runtime, project(plain(runtime), "product-1", overlay=overlay), site):
        started = time.monotonic()
    assert time.monotonic() - started < 5


def test_a_service_that_ends_at_once_is_not_up_although_nobody_checks_its_health(
    site: Site,
) -> None:
    """
    Without a health check only its life can be looked at.
    """
    overlay = write(
        site,
        "services: {product-1: {command: [sh, -c, 'echo bye; exit 4'],"
        " healthcheck: {disable: true}}}",
    )
    made = project("netns", "gateway", "product-1", overlay=overlay)
    with pytest.raises(DeployError, match=r"(?s)product-1 ended with status 4.*bye"):
        deploy("process", made, site).__enter__()


def test_services_that_wait_for_each_other_are_refused(site: Site) -> None:
    """
    Docker Compose refuses them when it reads the file.
    """
    overlay = write(
        site,
        "services: {product-1: {depends_on: [product-2]}, product-2: {depends_on: [product-1]}}",
    )
    with pytest.raises(ComposeError, match="cycle"):
        project("netns", "product-1", overlay=overlay)


def test_a_broken_compose_file_is_refused_with_compose_s_own_words(site: Site) -> None:
    """
    And with the names of the files.
    """
    overlay = write(site, "services: {gateway: {comand: [true]}}")
    with pytest.raises(ComposeError, match=r"(?s)overlay\.yaml.*comand"):
        project("netns", "gateway", overlay=overlay)


def test_both_arms_have_the_same_bytes_and_nothing_was_pulled(site: Site) -> None:
    """
    The interpreter in a container is the interpreter of the lab, and there is one image.
    """
    interpreter = Path("/usr/bin/python3").resolve()
    own = hashlib.sha256(interpreter.read_bytes()).hexdigest()
    with deploy("container", project("docker", "gateway"), site):
        docker = ["docker", "--host", f"unix://{site.directory}/docker.sock"]
        digest = subprocess.run(
            [*docker, "exec", "bridgetoll-gateway-1", "sha256sum", str(interpreter)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()[0]
        images = subprocess.run(
            [*docker, "images", "--format", "{{.Repository}}"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
    assert digest == own
    assert images == [IMAGE]


def test_the_interpreter_is_a_user_where_the_file_names_one(site: Site) -> None:
    """
    PostgreSQL refuses to run as root, in either arm.
    """
    with deploy("process", project("netns", "postgres"), site) as deployment:
        processes_of_it = descendants(deployment.services()["postgres"].first_process)
        owners = {Path(f"/proc/{pid}").owner() for pid in processes_of_it}
    assert owners == {"postgres"}

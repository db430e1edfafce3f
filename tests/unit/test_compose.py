"""
Reading the Compose file strictly: what raw namespaces honour, and what they refuse by name.
"""

from __future__ import annotations

import copy
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from experiments.commands import Ended
from experiments.deployments import compose, compose_services
from experiments.deployments.compose import ComposeProject, networks
from experiments.deployments.compose_services import Service, Volume, seconds
from experiments.deployments.container import started_once, starting_s
from experiments.deployments.images import Image
from experiments.deployments.topology import hosts_of, instances
from experiments.errors import ComposeError
from tests.unit.samples import COMPOSE

USERLAND = Image((Path("/layer"),))


def services(wanted: ComposeProject, image: Image = USERLAND) -> dict[str, Service]:
    """
    The services of a project, all of one image.
    """
    return compose_services.services(wanted, lambda _: image)


def project(**changes: Any) -> ComposeProject:  # noqa: ANN401 - JSON holds anything
    """
    The sample, with keys of the service ``web`` replaced.
    """
    config = copy.deepcopy(COMPOSE)
    config["services"]["web"].update(changes)
    return ComposeProject((), (), config)


def test_everything_that_is_honoured_is_read() -> None:
    """
    Command, environment, dependencies, health, limits, replicas, temporary file systems.
    """
    web = services(project())["web"]
    assert web.command == ("python3", "-m", "web")
    assert web.environment == {"PORT": "80", "EMPTY": ""}
    assert web.depends_on == {"store": "service_healthy"}
    assert web.healthcheck is not None
    assert web.healthcheck.command == ("check", "80")
    assert (web.healthcheck.start_period_s, web.healthcheck.start_interval_s) == (60, 0.1)
    assert (web.cpus, web.memory_bytes, web.replicas) == (0.5, 67108864, 2)
    store = services(project())["store"]
    assert (store.cpus, store.memory_bytes, store.replicas) == (None, None, 1)
    assert store.user == "redis"
    assert store.tmpfs["/more"].endswith(",size=1m")


def test_replicas_take_the_lowest_free_addresses() -> None:
    """
    Fixed addresses and the host's own are left out.
    """
    made = instances(services(project()), networks(project()), "host")
    addresses = {instance.name: instance.addresses["stack"] for instance in made}
    assert addresses == {
        "web-1": IPv4Address("198.18.0.3"),
        "web-2": IPv4Address("198.18.0.4"),
        "store": IPv4Address("198.18.0.2"),
    }


def test_a_service_on_the_host_s_network_is_in_its_namespace_and_has_no_address() -> None:
    """
    Whatever the others have.
    """
    on_host = project(network_mode="host", networks=None)
    made = {each.name: each for each in instances(services(on_host), networks(on_host), "host")}
    assert (made["web-1"].namespace, made["web-1"].addresses) == ("host", {})
    assert made["store"].namespace == "host-store"


def test_deployments_side_by_side_share_no_namespace() -> None:
    """
    Although their services have the same names.
    """
    first, second = (
        {each.namespace for each in instances(services(project()), networks(project()), host)}
        for host in ("host-1", "host-2")
    )
    assert first == {"host-1-web-1", "host-1-web-2", "host-1-store"}
    assert not first & second


def test_replicas_cannot_share_a_fixed_address() -> None:
    """
    Docker refuses that too.
    """
    shared = project(networks={"stack": {"ipv4_address": "198.18.0.9"}})
    with pytest.raises(ComposeError, match=r"services\.web\.networks\.stack: 2 replicas cannot"):
        instances(services(shared), networks(shared), "host")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("future", [1], r"services\.web\.future is refused \(.*\): raw namespaces do not know it"),
        ("devices", ["/dev/kvm"], r"services\.web\.devices is refused .*\['/dev/kvm'\]"),
        ("secrets", [{"source": "a"}], r"secrets\.a\.file: .*; only a file of the project"),
        ("security_opt", ["seccomp=unconfined"], r"security_opt: .* only no-new-privileges"),
        ("extra_hosts", ["db=host-gateway"], r"extra_hosts: .*'db=host-gateway'; a name and an ad"),
        ("network_mode", "none", r"services\.web\.network_mode: .*'none'; only host"),
        ("privileged", True, r"services\.web\.privileged"),
        ("command", None, r"services\.web has no command"),
        ("networks", {}, r"services\.web has no network"),
        ("networks", {"stack": {"gw_priority": 1}}, r"networks\.stack\.gw_priority"),
        ("deploy", {"mode": "global"}, r"services\.web\.deploy\.mode"),
        ("deploy", {"resources": {"reservations": {"devices": [1]}}}, r"reservations\.devices"),
        ("deploy", {"resources": {"limits": {"devices": [1]}}}, r"resources\.limits\.devices"),
        (
            "depends_on",
            {"store": {"condition": "service_gone"}},
            r"depends_on\.store\.condition: .*; only service_started, service_healthy, service_com",
        ),
        ("volumes", [{"type": "npipe", "target": "/b"}], r"web\.volumes: .*the type 'npipe'"),
        (
            "healthcheck",
            {"test": ["CMD", "true"], "interval": "30s"},
            r"healthcheck\.interval: .*'30s'; a health check during a trial",
        ),
        (
            "healthcheck",
            {"test": ["CMD", "true"], "interval": "soon"},
            "'soon' is not a duration",
        ),
        ("command", "sleep 1", r"services\.web\.command is 'sleep 1'; it must be a list"),
        ("command", ["a\0b"], r"services\.web\.command is 'a\\x00b', which no command line"),
        ("environment", ["A=1"], r"services\.web\.environment is \['A=1'\]; it must be a table"),
        ("environment", {"A": []}, r"services\.web\.environment\.A is \[\]; it must be a text"),
        ("deploy", {"replicas": 1001}, r"deploy\.replicas is '1001'; .* from 0 to 1000"),
        ("deploy", {"resources": {"limits": {"cpus": "nan"}}}, r"limits\.cpus is 'nan'; .* number"),
        ("deploy", 7, r"services\.web\.deploy is 7; it must be a table"),
        ("networks", {"stack": {"ipv4_address": "x"}}, r"stack\.ipv4_address: Expected 4 octets"),
        ("depends_on", {"store": "x"}, r"depends_on\.store is 'x'; it must be a table"),
        ("healthcheck", {"test": "CMD"}, r"healthcheck\.test is 'CMD'; it must be a list"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(key: str, value: object, message: str) -> None:
    """
    No key is passed over in silence.
    """
    with pytest.raises(ComposeError, match=message):
        services(project(**{key: value}))


def test_more_replicas_than_addresses_are_refused() -> None:
    """
    With the network that is too small.
    """
    config = copy.deepcopy(COMPOSE)
    config["networks"]["stack"]["ipam"]["config"][0]["subnet"] = "198.18.0.0/30"
    small = ComposeProject((), (), config)
    with pytest.raises(
        ComposeError, match=r"networks\.stack: 198\.18\.0\.0/30 has no address left"
    ):
        instances(services(small), networks(small), "host")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("models", {"a": {"model": "a"}}, "models: raw namespaces cannot honour this key"),
        ("volumes", {"data": {"driver": "nfs"}}, r"volumes\.data\.driver: .*'nfs'; only local"),
        ("volumes", {"data": {"driver_opts": {"type": "nfs"}}}, r"volumes\.data\.driver_opts"),
    ],
)
def test_a_top_level_key_that_cannot_be_honoured_is_refused(
    key: str, value: object, message: str
) -> None:
    """
    Such as volumes of other drivers.
    """
    with pytest.raises(ComposeError, match=message):
        services(ComposeProject((), (), {**COMPOSE, key: value}))


IMAGE = Image(
    layers=(Path("/upper"), Path("/lower")),
    entrypoint=("entry",),
    command=("default",),
    environment={"PATH": "/image", "PORT": "8080"},
    user="www-data",
    working_dir="/app",
    volumes=("/data", "/cache"),
    healthcheck={"test": ["CMD", "ok"], "interval": "3600000000000ns"},
)


def test_what_the_file_does_not_say_the_image_says() -> None:
    """
    Program, environment, user, folder, volumes, health check.
    """
    bare = project(command=None, working_dir=None, user=None, healthcheck=None, volumes=None)
    web = services(bare, IMAGE)["web"]
    assert web.command == ("entry", "default")
    assert web.environment == {"PATH": "/image", "PORT": "80", "EMPTY": ""}
    assert (web.user, web.working_dir) == ("www-data", "/app")
    new = Volume("", read_only=False, is_new=True)
    assert web.volumes == {"/data": new, "/cache": new}
    assert web.healthcheck is not None
    assert (web.healthcheck.command, web.healthcheck.interval_s) == (("ok",), 3600)


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({"command": None}, ("entry", "default")),
        ({"command": ["own"]}, ("entry", "own")),
        ({"command": None, "entrypoint": ["other"]}, ("other",)),
        ({"command": ["own"], "entrypoint": ["other"]}, ("other", "own")),
        ({"command": ["own"], "entrypoint": []}, ("own",)),
    ],
)
def test_another_entry_point_has_no_default_arguments(
    changes: dict[str, Any], command: tuple[str, ...]
) -> None:
    """
    As with Docker.
    """
    assert services(project(**changes), IMAGE)["web"].command == command


def test_volumes_are_files_of_the_project_new_folders_or_in_memory() -> None:
    """
    In the place of what the image has there.
    """
    volumes = [
        {"type": "bind", "source": "/srv/conf", "target": "/etc/conf", "read_only": True},
        {"type": "volume", "source": "data", "target": "/data", "volume": {}},
        {"type": "tmpfs", "target": "/cache", "tmpfs": {"size": "1048576"}},
    ]
    web = services(project(volumes=volumes), IMAGE)["web"]
    assert web.volumes == {
        "/etc/conf": Volume("/srv/conf", read_only=True),
        "/data": Volume("data", read_only=False, is_new=True),
    }
    assert web.tmpfs["/cache"].endswith(",size=1048576")


def test_what_needs_namespaces_of_its_own_is_read() -> None:
    """
    Capabilities, limits, sysctls, names, and what only Docker honours is passed over.
    """
    web = services(
        project(
            cap_add=["NET_ADMIN"],
            cap_drop=["ALL"],
            ulimits={"nofile": {"soft": 10, "hard": 20}, "nproc": 5},
            sysctls={"net.core.somaxconn": "1024"},
            extra_hosts=["db=198.18.0.31", "old:198.18.0.32"],
            read_only=True,
            security_opt=["no-new-privileges:true"],
            shm_size="67108864",
            logging={"driver": "local"},
            ports=[{"published": "80", "target": 80}],
        )
    )["web"]
    settings = web.settings
    assert (settings.capabilities_added, settings.capabilities_dropped) == (
        ("NET_ADMIN",),
        ("ALL",),
    )
    assert settings.ulimits == {"nofile": (10, 20), "nproc": (5, 5)}
    assert settings.sysctls == {"net.core.somaxconn": "1024"}
    assert settings.hosts == (("db", "198.18.0.31"), ("old", "198.18.0.32"))
    assert settings.read_only
    assert settings.no_new_privileges
    assert settings.shm_bytes == 67108864


def test_secrets_and_configurations_are_files_that_nobody_writes() -> None:
    """
    At the places that Compose gives them, or at those of the Compose file.
    """
    both = project(
        secrets=[{"source": "key"}, {"source": "key", "target": "other", "mode": "0400"}],
        configs=[{"source": "site", "target": "/etc/site.conf"}, {"source": "site"}],
        volumes=[],
    )
    files = {"secrets": {"key": {"file": "/k"}}, "configs": {"site": {"name": "s", "file": "/s"}}}
    found = services(ComposeProject((), (), {**both.config, **files}))["web"].volumes
    secret, site = Volume("/k", read_only=True), Volume("/s", read_only=True)
    assert found == {
        "/run/secrets/key": secret,
        "/run/secrets/other": secret,
        "/etc/site.conf": site,
        "/site": site,
    }


def test_a_service_whose_end_others_wait_for_runs_once() -> None:
    """
    The others are none of those.
    """
    after = project(depends_on={"store": {"condition": "service_completed_successfully"}})
    assert {name: each.runs_once for name, each in services(after).items()} == {
        "web": False,
        "store": True,
    }


def test_a_health_check_without_a_command_is_none() -> None:
    """
    Its times may be there for an image that has no check.
    """
    checked = services(project(healthcheck={"interval": "30s", "start_period": "1s"}))
    assert checked["web"].healthcheck is None


def test_an_address_of_its_own_is_in_one_line() -> None:
    """
    Programs that ask for their host's address get it once.
    """
    made = instances(services(project(hostname="front")), networks(project()), "host")
    lines = [line for line in hosts_of(made[0], made).splitlines() if "198.18.0.3\t" in line]
    assert lines == ["198.18.0.3\tfront web web-1"]


def test_a_name_that_the_compose_file_gives_has_no_second_line() -> None:
    """
    As in a container, where such a line hides what Docker's DNS says.
    """
    told = project(extra_hosts=["store=198.18.0.2"])
    made = instances(services(told), networks(told), "host")
    lines = [line for line in hosts_of(made[0], made).splitlines() if "store" in line]
    assert lines == ["198.18.0.2\tstore"]


def test_every_service_is_found_by_its_names_in_its_networks() -> None:
    """
    Its service, its copy, its aliases, the name of its container; itself too.
    """
    changed = project(networks={"stack": {"aliases": ["www"]}}, container_name="front")
    made = instances(services(changed), networks(changed), "host")
    lines = hosts_of(made[-1], made).splitlines()
    assert "198.18.0.3\tweb web-1 www front" in lines
    assert "198.18.0.4\tweb web-2 www front" in lines
    assert any(line.split("\t")[1].split()[0] == "store" for line in lines)
    assert lines[0] == "127.0.0.1\tlocalhost"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"driver": "macvlan"}, r"networks\.stack\.driver: .*'macvlan'"),
        ({"external": True}, r"networks\.stack\.external: .*; the lab has no other project's"),
        ({"enable_ipv6": True}, r"networks\.stack\.enable_ipv6"),
        ({"ipam": {"config": []}}, "exactly one subnet, not 0"),
        (
            {"ipam": {"config": [{"subnet": "10.0.0.0/24"}]}},
            r"10\.0\.0\.0/24 is outside 198\.18",
        ),
        ({"ipam": {"config": [{"subnet": "198.18.0.1/24"}]}}, "has host bits set"),
        ({"driver_opts": {"com.docker.network.bridge.name": "x" * 16}}, "longer than the 15"),
        ({"driver_opts": {"com.docker.network.driver.mtu": "9000"}}, "driver.mtu"),
    ],
)
def test_a_network_that_is_not_a_plain_bridge_of_the_lab_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    """
    Only bridges, only addresses that are reserved for benchmarks.
    """
    config = copy.deepcopy(COMPOSE)
    config["networks"]["stack"].update(changes)
    with pytest.raises(ComposeError, match=message):
        networks(ComposeProject((), (), config))


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({"pids_limit": 5}, 5),
        ({"deploy": {"replicas": 2, "resources": {"limits": {"pids": 5}}}}, 5),
        ({"pids_limit": -1}, None),
        ({"pids_limit": 0}, None),
        ({}, None),
    ],
)
def test_a_limit_of_processes_is_read(changes: dict[str, Any], limit: int | None) -> None:
    """
    At either place; Docker takes 0 and -1 for no limit.
    """
    assert services(project(**changes))["web"].processes == limit


def test_a_container_is_started_once_whatever_its_restart_policy() -> None:
    """
    By an override file, for either key of a policy.
    """
    policy = {"restart_policy": {"condition": "any"}}
    assert started_once(project(restart="always").config)["services"]["web"] == {"restart": "no"}
    assert started_once(project(deploy=policy).config)["services"]["web"] == {
        "restart": "no",
        "deploy": {"restart_policy": {"condition": "none"}},
    }


def test_a_dollar_reaches_the_service_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Compose prints it twice, in what it is asked for.
    """
    printed = '{"services": {"web": {"command": ["sh", "-c", "echo $$HOME; kill $$$$"]}}}'
    ended = Ended((), 1, 0, printed.encode())
    monkeypatch.setattr(compose, "run_command", lambda *_, **__: ended)
    found = compose.resolve([], []).config["services"]["web"]["command"]
    assert found == ["sh", "-c", "echo $HOME; kill $$"]


@pytest.mark.parametrize(
    ("checks", "limit_s"),
    [
        ([], 60),
        ([{"start_period": "2s", "timeout": "1s"}, None], 63),
        ([{}, {}], 120),
        ([{"start_period": "1h0m0s", "timeout": "1s"}], 180),
    ],
)
def test_services_have_their_start_periods_to_become_healthy(
    checks: list[dict[str, str] | None], limit_s: float
) -> None:
    """
    Together, and at most three minutes.
    """
    config = {"services": {str(n): {"healthcheck": each} for n, each in enumerate(checks)}}
    assert starting_s(config) == limit_s


def test_how_a_service_would_be_stopped_or_started_again_changes_nothing() -> None:
    """
    Deployments end by a kill, in containers too, and a service that ends is a fault.
    """
    asked = project(stop_signal="SIGQUIT", stop_grace_period="1m0s", restart="always")
    assert services(asked) == services(project())


@pytest.mark.parametrize(
    ("text", "value"),
    [("1h0m0s", 3600), ("100ms", 0.1), ("1m30s", 90), ("1.5s", 1.5), ("2m", 120), ("5us", 5e-6)],
)
def test_durations_are_read_as_compose_prints_them(text: str, value: float) -> None:
    """
    In seconds.
    """
    assert seconds(text) == pytest.approx(value)

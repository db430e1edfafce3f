"""
The pure parts of the probes: reading counters, and what they should be for which levels.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from pathlib import Path

import pytest
from msgspec import structs

from experiments.declare.reading import load_variants
from experiments.errors import ProofError, WrongAnswerError
from experiments.hardware import available_bytes
from experiments.lab.cgroups import ControlGroup, Hierarchy
from experiments.probes.cpu import (
    CpuCounters,
    add_costs,
    cpu_cost,
    group_time,
    interrupts_are_apart,
    machine_time,
    throttled_s,
)
from experiments.probes.facts import differences, process_facts, without_secrets
from experiments.probes.parity import EXPLAINED_BY, VARIABLES, Parity, prove_levels, undeclared
from experiments.probes.path import check_path, parse_counters
from experiments.records.cpu import CLIENT, RUNNER, STAT_FIELDS
from experiments.records.trials import CpuTime, PathCounters, ServiceFacts
from tests.unit.samples import facts

VARIANTS = load_variants().variants

PRINTED = """\
*nat
[3:180] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
[7:420] -A DOCKER ! -i stack -p tcp -m tcp --dport 3000 -j DNAT --to-destination 198.18.0.11:3000
[1:60] -A DOCKER -p tcp -m tcp --dport 3001 -j DNAT --to-destination 198.18.0.12:3001
COMMIT
conntrack 42
Ip: Forwarding ForwDatagrams
Ip: 1 77
Tcp: RtoAlgorithm ActiveOpens PassiveOpens
Tcp: 1 11 12
"""


def test_counters_are_read_from_what_the_tools_print() -> None:
    """
    Only rules that translate a destination count, all of them together.
    """
    assert parse_counters(PRINTED) == {
        "translated": 8,
        "tracked": 42,
        "accepted": 12,
        "forwarded": 77,
    }


def grown(**changes: object) -> PathCounters:
    """
    Counters as a load of 100 requests through docker-proxy leaves them.
    """
    usual = PathCounters(
        links={"lo": 1000, "docker0": 0, "stack": 1200, "veth1": 1200},
        kinds={"lo": "loopback", "docker0": "bridge", "stack": "bridge", "veth1": "veth"},
        forwarded=0,
        translated=0,
        accepted=100,
        tracked=300,
        proxies=2,
        proxy_s=0.5,
    )
    return structs.replace(usual, **changes)


def test_a_path_that_fits_passes() -> None:
    """
    Through docker-proxy, as published.
    """
    check_path(VARIANTS["docker-as-published"].levels, grown(), 100)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"links": {"lo": 10, "stack": 1200}}, r"packets on lo \(loopback\): 10, but should be at"),
        ({"links": {"lo": 1000}}, "packets on stack .*: 0, but should be at least 100"),
        ({"proxy_s": 0.0}, "CPU time of docker-proxies in s: 0.0, but should be more than 0.001"),
        ({"proxies": 0}, "docker-proxies: 0"),
        ({"translated": 100}, "translated destination: 100, but should be 0"),
        ({"accepted": 3}, "accepted on the host: 3"),
        ({"tracked": 0}, "tracked connections: 0, but should be more than 0"),
        (
            {"links": {"lo": 1000, "docker0": 51, "stack": 1200}},
            r"packets on docker0 \(bridge\): 51, but should be at most 50",
        ),
    ],
)
def test_each_counter_that_does_not_fit_is_named(changes: dict[str, object], message: str) -> None:
    """
    With what was counted and what it should be.
    """
    with pytest.raises(ProofError, match=message):
        check_path(VARIANTS["docker-as-published"].levels, grown(**changes), 100)


@pytest.mark.parametrize("made", [1, 2, 4, 8])
@pytest.mark.parametrize("asked", ["2", "4", "8"])
def test_calls_that_were_not_made_are_found_by_their_packets(made: int, asked: str) -> None:
    """
    A hundred requests with so many calls each, twelve packets a connection, as in real loads.
    """
    levels = {**VARIANTS["docker"].levels, "calls": asked}
    links = {"stack": 1200, "veth0": 1200 * (1 + made), "veth1": 600 * made, "veth2": 600 * made}
    counted = grown(
        links=links,
        kinds=dict.fromkeys(links, "veth") | {"stack": "bridge"},
        accepted=0,
        proxies=0,
        proxy_s=0.0,
    )
    if made >= int(asked):
        check_path(levels, counted, 100, 3)
    else:
        with pytest.raises(ProofError, match=f"other ports: {1200 * made}, but should be at least"):
            check_path(levels, counted, 100, 3)


def test_bad_answers_are_told_before_the_path_that_they_did_not_take() -> None:
    """
    A gateway that answers 502 by itself asks no other service.
    """
    short = grown(links={"lo": 1000, "stack": 10})
    levels = VARIANTS["docker-as-published"].levels
    with pytest.raises(WrongAnswerError, match=r"90 of 100 answers were not good, so .*stack"):
        check_path(levels, short, 100, bad=90)
    check_path(levels, grown(), 100, bad=90)


def test_proxies_that_only_wake_at_each_thaw_are_idle() -> None:
    """
    By the time under load; a hundredth of it is what no working proxy gets along with.
    """
    levels = VARIANTS["container-external"].levels
    counted = grown(
        links={"lo": 0, "stack": 1200, "uplink": 1200},
        kinds={"lo": "loopback", "stack": "bridge", "uplink": "veth", "veth1": "veth"},
        translated=100,
        proxy_s=0.02,
    )
    counted.links["veth1"] = 1200
    check_path(levels, counted, 100, seconds=2.1)
    with pytest.raises(
        ProofError, match=r"docker-proxies in s: 0\.02, but should be at most 0\.01"
    ):
        check_path(levels, counted, 100, seconds=1.0)


def test_connections_that_were_tracked_and_forgotten_were_tracked() -> None:
    """
    The kernel forgets them after two minutes, which a block may take longer than.
    """
    counted = grown(tracked=0).since(grown(tracked=8))
    assert counted.tracked == 8


@pytest.fixture
def group(tmp_path: Path) -> ControlGroup:
    """
    A group on v2, whose files a test writes itself.
    """
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    (tmp_path / "service").mkdir()
    return ControlGroup("service", [Hierarchy(2, tmp_path, tmp_path, ())])


def test_cpu_time_is_read_on_v2(group: ControlGroup) -> None:
    """
    In microseconds there.
    """
    text = "usage_usec 3500000\nuser_usec 2000000\nsystem_usec 1500000\nthrottled_usec 250000\n"
    (group.directories()[0] / "cpu.stat").write_text(text)
    assert group_time(group) == CpuTime(2.0, 1.5)
    assert throttled_s(group) == 0.25


def test_cpu_time_is_read_on_v1(tmp_path: Path) -> None:
    """
    In nanoseconds there, in hierarchies of their own.
    """
    found = [Hierarchy(1, tmp_path / name, tmp_path / name, (name,)) for name in ("cpu", "cpuacct")]
    group = ControlGroup("service", found)
    for directory in group.directories():
        directory.mkdir(parents=True)
    (tmp_path / "cpuacct/service/cpuacct.usage").write_text("3500000000\n")
    (tmp_path / "cpuacct/service/cpuacct.usage_user").write_text("2000000000\n")
    (tmp_path / "cpu/service/cpu.stat").write_text("nr_periods 4\nthrottled_time 250000000\n")
    assert group_time(group) == CpuTime(2.0, 1.5)
    assert throttled_s(group) == 0.25


def test_the_machine_s_own_account_is_read(tmp_path: Path) -> None:
    """
    Ticks as seconds, and the context switches.
    """
    (tmp_path / "stat").write_text("cpu  100 0 50 900 0 0 25 10 0 0\ncpu0 1 2\nctxt 12345\n")
    seconds, switches = machine_time(tmp_path)
    assert (seconds["user"], seconds["softirq"], seconds["steal"]) == (1.0, 0.25, 0.1)
    assert switches == 12345


def test_a_kernel_that_hides_its_configuration_is_not_guessed_about(tmp_path: Path) -> None:
    """
    Whether interrupts are counted apart is then unknown.
    """
    assert interrupts_are_apart(tmp_path) is None


def counters(at: float, busy_s: float, **parts: float) -> CpuCounters:
    """
    A reading at a time, with so much user time for each part.
    """
    times = {name: CpuTime(seconds, 0.0) for name, seconds in parts.items()}
    machine = dict.fromkeys(STAT_FIELDS, 0.0) | {"user": busy_s}
    return CpuCounters(at, times, {"gateway": at / 10}, machine, int(at * 100))


def test_what_no_part_accounts_for_is_told() -> None:
    """
    The machine was busy for three seconds, and the parts for two and a half.
    """
    before = counters(0.0, 10.0, **{"gateway": 1.0, CLIENT: 1.0, RUNNER: 0.0})
    after = counters(2.0, 13.0, **{"gateway": 2.8, CLIENT: 1.6, RUNNER: 0.1})
    cost = cpu_cost(before, after)
    assert cost.parts["gateway"].user_s == pytest.approx(1.8)
    assert cost.unaccounted_s == pytest.approx(0.5)
    assert cost.client_share == pytest.approx(0.3)
    assert cost.throttled_s == {"gateway": pytest.approx(0.2)}
    assert cost.context_switches == 200


def test_the_costs_of_several_loads_are_added_up() -> None:
    """
    The client's share is of all their time, and a part that is there in one of them counts.
    """
    nothing = counters(0.0, 0.0, **{"gateway": 0.0, CLIENT: 0.0, "docker-proxy": 0.0})
    first = cpu_cost(
        counters(0.0, 0.0, **{"gateway": 0.0, CLIENT: 0.0}),
        counters(2.0, 3.0, **{"gateway": 1.0, CLIENT: 1.0}),
    )
    second = cpu_cost(
        nothing, counters(8.0, 5.0, **{"gateway": 2.0, CLIENT: 1.0, "docker-proxy": 0.5})
    )
    assert add_costs(None, first) == first
    both = add_costs(add_costs(None, first), second)
    spent = {name: part.user_s for name, part in both.parts.items()}
    assert spent == {"gateway": 3.0, CLIENT: 2.0, "docker-proxy": 0.5}
    assert both.duration_s == 10.0
    assert both.client_share == pytest.approx(0.2)
    assert both.machine_s["user"] == 8.0
    assert both.unaccounted_s == pytest.approx(1.0 + 1.5)
    assert both.throttled_s == {"gateway": pytest.approx(1.0)}
    assert both.context_switches == 1000


def test_the_memory_that_is_available_is_read(tmp_path: Path) -> None:
    """
    As the kernel estimates it, in bytes; none where it does not.
    """
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemFree: 3 kB\nMemAvailable:    5 kB\n")
    assert available_bytes(tmp_path) == 5 * 1024
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\n")
    assert available_bytes(tmp_path) == 0


def test_every_fact_says_what_explains_a_difference_in_it() -> None:
    """
    Else a difference in it would be a fault of the project.
    """
    assert set(EXPLAINED_BY) == {"answer", "helpers", *ServiceFacts.__struct_fields__}


def test_a_difference_needs_a_factor_that_explains_it() -> None:
    """
    The same difference is declared between some variants, and undeclared between others.
    """
    bare, cgroups, logging = (VARIANTS[name] for name in ("bare", "cgroups", "bare-logging"))
    assert not undeclared(bare, facts(own_group=False), cgroups, facts())
    ((fact, words),) = undeclared(bare, facts(own_group=False), logging, facts())
    assert fact == "own_group"
    assert words == "gateway.own_group is False in bare, True in bare-logging"


def test_the_environment_is_compared_variable_by_variable() -> None:
    """
    One that no factor sets must be the same everywhere.
    """
    bare, logging = VARIANTS["bare"], VARIANTS["bare-logging"]
    other = facts(environment={"PORT": "3000", "LOG_REQUESTS": "off", "LANG": "C"})
    ((_, words),) = undeclared(logging, facts(), bare, other)
    assert "environment LANG is None in bare-logging, 'C' in bare" in words


def test_a_service_whose_workers_differ_from_it_is_an_error() -> None:
    """
    No level of any factor has such workers.
    """
    odd = facts(others=["seccomp '0' instead of '2'"])
    with pytest.raises(ProofError, match=r"gateway\.others is .*seccomp '0' instead of '2'"):
        prove_levels(VARIANTS["docker"], odd)


def test_two_trials_of_one_variant_may_not_differ_in_anything() -> None:
    """
    No factor differs between them.
    """
    parity = Parity()
    parity.check(VARIANTS["bare"], facts())
    with pytest.raises(ProofError, match=r"gateway\.open_files .*--allow open_files"):
        parity.check(VARIANTS["bare"], facts(open_files=["1024", "4096"]))


def test_a_trial_of_an_earlier_session_is_compared_with_too() -> None:
    """
    So a resumed run notices what has changed in its pause.
    """
    parity = Parity()
    parity.remember(VARIANTS["bare"], facts())
    with pytest.raises(ProofError, match=r"gateway\.interpreter is "):
        parity.check(VARIANTS["bare"], facts(interpreter="9" * 64))


def test_anybody_s_services_may_have_more_or_fewer_processes() -> None:
    """
    Such as a database's workers; in everything else they must be equal.
    """
    parity = Parity(own=False)
    parity.check(VARIANTS["bare"], facts())
    assert parity.check(VARIANTS["bare"], facts(processes=7)) == []
    with pytest.raises(ProofError, match=r"gateway\.interpreter is "):
        parity.check(VARIANTS["bare"], facts(processes=7, interpreter="9" * 64))


def test_no_value_that_may_be_a_secret_is_kept() -> None:
    """
    The names are, and the program; equal values remain equal.
    """
    kept = without_secrets(
        facts(environment={"KEY": "hunter2"}, command=["redis", "--pass", "hunter2"]).services[
            "gateway"
        ]
    )
    assert "hunter2" not in str(kept)
    assert list(kept.environment) == ["KEY"]
    assert kept.command[0] == "redis"
    assert kept.command[2] == kept.environment["KEY"]


def test_every_variable_that_an_override_file_sets_has_its_factor() -> None:
    """
    Else every variant that has it would be refused.
    """
    services = Path(__file__).parents[2] / "services"
    for file in services.glob("*.yaml"):
        if file.name == "compose.yaml":
            continue
        lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
        names = re.findall(r"\b([A-Z][A-Z_]{3,}): ", "\n".join(lines))
        assert set(names) <= VARIABLES.keys(), file.name


def levels_of(**changes: str) -> dict[str, str]:
    """
    The levels of the matched container, with changes.
    """
    return VARIANTS["docker"].levels | changes


def test_a_worker_that_differs_from_the_first_process_of_its_service_is_named() -> None:
    """
    Another program with another output; a process that has ended meanwhile is passed over.
    """
    own = process_facts(Path("/proc/self"))
    with subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE) as worker:
        found = differences(own, [os.getpid(), worker.pid])
        worker.kill()
    assert differences(own, [worker.pid]) == []
    assert len([words for words in found if words.startswith("interpreter ")]) == 1
    assert [words for words in found if not words.startswith("interpreter ")] == (
        [] if own.stdout == "pipe" else [f"stdout 'pipe' instead of {own.stdout!r}"]
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memory": "64m"}, "memory_limit_bytes is None, but should be 67108864"),
        ({"cpus": "0.5"}, "cpu_limit is None, but should be 0.5"),
        ({"stdio": "null"}, "stdout is 'pipe', but should be 'null'"),
        ({"server": "gunicorn", "workers": "3"}, "processes is 1, but should be 4"),
        ({"confinement": "capabilities"}, "seccomp is '2', but should be '0'"),
        ({"confinement": "overlay"}, "capabilities is '00000000a80425fb', but should be '0000"),
        ({"confinement": "namespaces"}, "root is 'overlay', but should be 'plain'"),
        ({"confinement": "cgroups"}, r"namespaces is \['pid', .*, but should be \[\]"),
    ],
)
def test_a_level_that_did_not_take_effect_is_an_error(
    changes: dict[str, str], message: str
) -> None:
    """
    Whatever no two variants could show.
    """
    prove_levels(VARIANTS["docker"], facts())
    odd = dataclasses.replace(VARIANTS["docker"], levels=levels_of(**changes))
    with pytest.raises(ProofError, match=message):
        prove_levels(odd, facts())

"""
The trials of a run as CSV: one tidy row for each, and nothing lost on the way.
"""

from __future__ import annotations

import csv
import io

import pytest
from msgspec import structs

from analysis.report.trials_csv import GROUPS, trials_csv
from analysis.topics.cpu.findings import BESIDE
from experiments.records.trials import CpuTime, RoundLoad, TrialRecord
from tests.unit.samples import cpu_spent, failed_trial, load, manifest, trial


def rows(trials: list[TrialRecord]) -> list[dict[str, str]]:
    """
    The rows as another program reads them.
    """
    return list(csv.DictReader(io.StringIO(trials_csv(manifest(), trials), newline="")))


CPU = cpu_spent(
    {
        "gateway": CpuTime(0.5, 0.25),
        "product-1": CpuTime(0.125, 0.125),
        "client": CpuTime(0.1),
        "runner": CpuTime(0.002),
        "dockerd, containerd, shims": CpuTime(0.2, 0.1),
        "docker-proxy": CpuTime(0.03),
        "log reader of gateway": CpuTime(0.01),
        "log reader of product-1": CpuTime(0.02),
    },
    client_share=0.25,
    unaccounted_s=-0.001,
    throttled_s={"gateway": 0.5, "product-1": 0.25},
)


def test_every_trial_is_one_row_with_its_place_and_its_factors() -> None:
    """
    In the order of the records.
    """
    found = rows([trial(1, 1, "netns", 250.0), trial(2, 1, "docker", 200.0)])
    assert [row["variant"] for row in found] == ["netns", "docker"]
    first = found[0]
    assert (first["run"], first["number"], first["block"]) == ("20260101T000000Z", "1", "1")
    assert (first["part"], first["position"]) == ("1", "1")
    assert (first["factor_runtime"], found[1]["factor_runtime"]) == ("netns", "docker")
    assert (first["status"], first["phase_deploy_s"], first["phase_open_s"]) == ("ok", "1.0", "")
    assert (first["requests"], first["requests_ok"], first["concurrency"]) == ("1000", "1000", "50")
    assert (first["us_per_request"], first["requests_per_second"]) == ("4000.0", "250.0")
    assert float(first["latency_p99_us"]) == load(250.0).latency_p99_us


def test_numbers_come_back_as_they_were() -> None:
    """
    To the last digit.
    """
    rate = 1e6 / 3
    (row,) = rows([trial(1, 1, "netns", rate)])
    assert float(row["requests_per_second"]) == rate
    assert float(row["us_per_request"]) == 1e6 / rate


def test_a_trial_without_a_result_has_its_error_and_no_numbers() -> None:
    """
    Whatever the error holds, it is one cell.
    """
    (row,) = rows([failed_trial(2, 1, "docker")])
    assert (row["status"], row["failed_phase"]) == ("error", "deploy")
    assert row["error"] == "gateway did not become healthy\nits last line: a | b"
    empty = ("requests", "us_per_request", "rounds", "cold_us_per_request", "client_share")
    assert all(row[name] == "" for name in empty)


def test_cpu_time_is_per_request_by_who_spent_it() -> None:
    """
    Services together and readers together; what a trial has nothing of spent nothing.
    """
    (row,) = rows([structs.replace(trial(1, 1, "docker", 200.0), cpu=CPU)])
    found = {
        name.removeprefix("cpu_").removesuffix("_us_per_request"): float(value)
        for name, value in row.items()
        if name.startswith("cpu_")
    }
    assert found == pytest.approx(
        {
            "services": 1000.0,
            "docker": 300.0,
            "proxy": 30.0,
            "readers": 30.0,
            "client": 100.0,
            "runner": 2.0,
            "unaccounted": -1.0,
        }
    )
    assert (row["client_share"], row["throttled_s"]) == ("0.25", "0.75")
    bare = structs.replace(CPU, parts={"gateway": CpuTime(1.0)}, throttled_s={})
    (row,) = rows([structs.replace(trial(1, 1, "netns", 200.0), cpu=bare)])
    assert (row["cpu_docker_us_per_request"], row["throttled_s"]) == ("0.0", "0.0")


def test_cpu_time_is_also_of_the_samples_beside_a_load() -> None:
    """
    Which are in columns of their own.
    """
    made = structs.replace(load(200.0), sampled=1000, sampled_bad=1)
    (row,) = rows([structs.replace(trial(1, 1, "docker", 200.0), cpu=CPU, load=made)])
    assert (row["sampled"], row["sampled_bad"]) == ("1000", "1")
    assert float(row["cpu_services_us_per_request"]) == pytest.approx(500)


def test_cpu_time_without_a_load_is_per_nothing() -> None:
    """
    A trial whose proof failed has spent time, and no requests that count.
    """
    (row,) = rows([structs.replace(failed_trial(1, 1, "docker"), cpu=CPU)])
    assert (row["client_share"], row["cpu_services_us_per_request"]) == ("0.25", "")


def test_every_part_that_is_no_service_has_a_column() -> None:
    """
    A new one would be counted as nothing else.
    """
    assert set(GROUPS) == set(BESIDE)


def round_load(number: int, completed: int = 250) -> RoundLoad:
    """
    A load of 250 requests beside five frozen deployments.
    """
    return RoundLoad(number, 3, 1e9, 250, completed, 0, completed, 0, 4000.0, 5, 7)


def test_the_loads_of_a_trial_are_counted_where_they_are_whole() -> None:
    """
    What frozen deployments took meanwhile is the sum over all of them.
    """
    loads = [round_load(1), round_load(2), round_load(3, completed=17)]
    one = structs.replace(trial(1, 1, "netns", 250.0), loads=loads, at_once=load(240.0))
    (row,) = rows([one])
    assert (row["rounds"], row["others_ran_us"]) == ("2", "21")
    assert float(row["at_once_us_per_request"]) == 1e6 / 240
    (row,) = rows([structs.replace(one, loads=[], at_once=None)])
    assert {row[name] for name in ("rounds", "others_ran_us", "at_once_us_per_request")} == {""}


def test_the_first_answer_and_the_first_requests_are_there() -> None:
    """
    As times.
    """
    made = structs.replace(trial(1, 1, "netns", 250.0), first_answer_s=0.75, cold=load(200.0))
    (row,) = rows([made])
    assert (row["first_answer_s"], row["cold_us_per_request"]) == ("0.75", "5000.0")


def test_a_run_without_trials_has_a_header() -> None:
    """
    The same as with trials.
    """
    header = trials_csv(manifest(), [])
    assert header.endswith(",error\n")
    assert trials_csv(manifest(), [trial(1, 1, "netns", 250.0)]).startswith(header)


def test_a_phase_that_nobody_knows_gets_a_column_of_its_own() -> None:
    """
    After those that are known.
    """
    made = structs.replace(trial(1, 1, "netns", 250.0), phases_s={"rest": 2.0, "load": 1.0})
    (row,) = rows([made])
    assert (row["phase_rest_s"], row["phase_load_s"]) == ("2.0", "1.0")


def test_the_same_records_give_the_same_bytes_and_plain_line_ends() -> None:
    """
    Also on a system whose lines end otherwise.
    """
    trials = [trial(1, 1, "netns", 250.0), failed_trial(2, 1, "docker")]
    text = trials_csv(manifest(), trials)
    assert text == trials_csv(manifest(), list(trials))
    assert "\r" not in text

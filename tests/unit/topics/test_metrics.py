"""
The published report's own tables: parameters, key metrics of each pair, variants, failed trials.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from analysis.topics.environment.parameters import parameters
from analysis.topics.metrics.section import key_metrics
from analysis.topics.variants.section import details, errors
from experiments.records.manifest import PilotPlan, RoundsPilot
from tests.unit.reading import columns_of, number_of, row_of, rows_of
from tests.unit.samples import failed_trial, findings, load, manifest
from tests.unit.topics.samples import LADDER, failing, loaded, pair_of, rounds, run_of

if TYPE_CHECKING:
    from experiments.records.manifest import Manifest

METRICS = [
    "Requests per second (RPS)",
    "Mean latency (ms)",
    "Median latency (ms)",
    "99th percentile latency (ms)",
    "Time per request (µs)",
]


def parameter(made: Manifest, name: str) -> str:
    """
    The value of one benchmark parameter.
    """
    return row_of(parameters(findings(made, [])), name)[1]


def test_a_pair_has_the_published_rows() -> None:
    """
    A reader of the published report finds everything in its place.
    """
    section = key_metrics(findings(manifest(), pair_of([1.2, 1.3])))
    assert [row[0] for row in rows_of(section)] == [
        *METRICS,
        "Failed requests",
        "Reliability",
        "Trials (blocks with both)",
    ]
    rate = row_of(section, METRICS[0])
    assert rate[1] == "250.00 ± 0.00"
    assert number_of(rate[2]) == pytest.approx(200, abs=0.5)


def test_what_a_run_is_for_has_a_table_and_all_else_a_row() -> None:
    """
    With three differences, how reliable both were, and how many blocks there are.
    """
    section = key_metrics(findings(*run_of(LADDER)))
    assert "### Matched" in section
    assert "### Host network" not in section
    row = columns_of(section, "Host network (`docker-host` against `docker`)")
    assert number_of(row["Baseline RPS"]) == pytest.approx(390, abs=1)
    assert number_of(row["Time per request"]) == pytest.approx(-7.9, abs=0.1)
    assert row["Reliability"] == "100.00 % and 100.00 %"
    assert row["Blocks"] == "4"


def test_without_a_focal_pair_each_comparison_has_a_table() -> None:
    """
    And one variant alone has none.
    """
    made, trials = run_of(LADDER)
    section = key_metrics(findings(dataclasses.replace(made, focal=[]), trials))
    assert len(rows_of(section, METRICS[0])) == 2
    alone = dataclasses.replace(manifest(), comparisons=[])
    assert rows_of(key_metrics(findings(alone, pair_of([1.0])[::2]))) == []


def test_a_load_that_broke_off_counts_as_none_answered() -> None:
    """
    Reliability is then a lower bound, and the table says how many such loads there were.
    """
    broken = structs.replace(failed_trial(5, 3, "docker"), requests_lost=1000)
    section = key_metrics(findings(manifest(), [*pair_of([1.1, 1.2]), broken]))
    assert row_of(section, "Reliability")[1:3] == ["100.00 %", "at least 66.67 %"]
    assert row_of(section, "Trials without a result")[2].startswith("1 (1 ended under load")
    made, trials = run_of(LADDER)
    lost = structs.replace(failed_trial(99, 4, "docker-host"), requests_lost=1000)
    row = columns_of(key_metrics(findings(made, [*trials, lost])), "Host network")
    assert row["Reliability"] == "100.00 % and at least 80.00 %"


def test_a_short_load_that_broke_off_counts_for_no_load_at_once() -> None:
    """
    Its trial is without a result, and the table of the loads at once is of the others.
    """
    made = dataclasses.replace(manifest(), requests_at_once=1000, at_once=["netns", "docker"])
    lost = structs.replace(failed_trial(9, 3, "docker"), requests_lost=250)
    section = key_metrics(findings(made, [*rounds(), lost]))
    assert row_of(section, "Reliability")[1:3] == ["100.00 %", "100.00 %"]
    assert "not counted" in row_of(section, "Trials without a result")[2]


def test_arms_that_answer_unlike_have_no_difference_in_time() -> None:
    """
    Errors are quick: neither in the pair's own table nor in a row.
    """
    made, trials = run_of(LADDER)
    found = findings(made, failing(trials, "docker-host"))
    row = columns_of(key_metrics(found), "Host network")
    for name in ("Time per request", "Median latency", "99th percentile latency"):
        assert row[name] == "not comparable"
    made = manifest()
    section = key_metrics(findings(made, failing(pair_of([0.7, 0.8]), "docker", non_2xx=72)))
    for metric in METRICS:
        assert row_of(section, metric)[3] == "not comparable"
    assert row_of(section, "Reliability")[1:3] == ["100.00 %", "92.80 %"]


def test_a_pair_without_a_block_of_both_has_no_difference() -> None:
    """
    And what has no trial has no number.
    """
    section = key_metrics(findings(manifest(), pair_of([1.1, 1.2])[::2]))
    rate = row_of(section, METRICS[0])
    assert rate[1].startswith("250.00")
    assert rate[2:] == ["–", "–"]
    assert row_of(section, "Reliability")[2] == "–"


def test_the_published_table_is_of_loads_that_were_never_cut() -> None:
    """
    With the verdict's quantity beside it.
    """
    made = dataclasses.replace(
        manifest(blocks=4),
        rounds=4,
        requests=250,
        requests_at_once=1000,
        at_once=["netns", "docker"],
    )
    section = key_metrics(findings(made, rounds()))
    assert number_of(row_of(section, METRICS[0])[1]) == pytest.approx(252.2, abs=1)
    assert number_of(row_of(section, METRICS[4])[1]) == pytest.approx(3964, abs=5)
    short = row_of(section, "Time per request, short loads (µs)")
    assert number_of(short[1]) == pytest.approx(4012, abs=5)
    assert number_of(short[3]) == pytest.approx(25, abs=0.3)
    assert row_of(section, "Failed requests")[1:3] == ["0 of 4000", "0 of 4000"]
    assert parameter(made, "Requests at once") == "1000, once in each trial of netns, docker"
    plain = findings(dataclasses.replace(made, at_once=[]), rounds())
    assert rows_of(key_metrics(plain), "Time per request, short loads") == []


def test_what_a_pilot_found_stands_beside_the_rounds() -> None:
    """
    Both spreads, both costs, and how many rounds would be best.
    """
    pilot = RoundsPilot("netns", 4, 5, 250, 0.018, 0.011, 3.2, 0.65, 6)
    cell = parameter(
        dataclasses.replace(manifest(), rounds=6, pilot=PilotPlan(rounds=pilot)), "Rounds per block"
    )
    assert cell.startswith("6, by a pilot")
    for words in ("1.8 % within", "1.1 % between", "3.2 s", "6 rounds"):
        assert words in cell
    assert parameter(manifest(), "Rounds per block") == "1"


def test_how_a_run_was_to_end_and_how_it_did_are_told() -> None:
    """
    By a number of blocks, or by the width of an interval.
    """
    made = manifest(blocks=3)
    assert parameter(made, "Blocks") == "3 blocks (3 asked for); 3 blocks are enough"
    narrow = dataclasses.replace(made, half_width=0.02, ending="")
    assert "until the half-width is 2 %" in parameter(narrow, "Blocks")


def test_the_reference_length_of_ab_is_among_the_parameters() -> None:
    """
    It decides what ab counts as failed; the commands say what it was.
    """
    (trial, *_) = pair_of([1.2])
    for words, options in (("with `-l`", ["-l"]), ("without `-l`", [])):
        commanded = structs.replace(loaded(trial), command=["ab", *options])
        made = findings(manifest(), [structs.replace(trial, load=commanded)])
        assert words in row_of(parameters(made), "Tool")[1]


def test_each_variant_has_a_row_with_the_levels_that_are_its_own() -> None:
    """
    Those of most variants are told once.
    """
    made, trials = run_of(LADDER)
    broken = failed_trial(99, 4, "docker")
    section = details(findings(made, [*trials, broken]))
    assert columns_of(section, "netns")["Levels"] == "runtime = process, stdio = file"
    row = columns_of(section, "docker-host")
    assert row["Levels"] == "network = host"
    assert (row["Trials"], row["Failed trials"]) == ("4", "0")
    assert len(rows_of(section)) == 3
    (docker,) = [row for row in rows_of(section) if row[0] == "docker"]
    assert docker[2:4] == ["4", "1"]


def test_the_range_of_a_rate_stands_beside_its_mean() -> None:
    """
    From the least to the greatest of all trials, with the answers that were errors.
    """
    trials = failing(pair_of([1.0, 1.25]), "docker", non_2xx=3)
    row = columns_of(details(findings(manifest(), trials)), "docker")
    assert "(200 to 250)" in row["RPS (minimum to maximum)"]
    assert row["Non-2xx answers"] == "6"


def test_failed_trials_are_listed_and_break_no_table() -> None:
    """
    Pipes and line ends in a reason stay inside their cell; a run without any has no list.
    """
    section = errors(findings(manifest(), [*pair_of([1.1]), failed_trial(3, 2, "docker")]))
    row = columns_of(section, "3")
    assert (row["Variant"], row["Block"]) == ("docker", "2")
    assert "healthy its last line: a \\| b" in row["Reason"]
    assert errors(findings(manifest(), pair_of([1.1]))) == ""


def test_a_fault_after_a_load_is_listed_though_its_trial_counts() -> None:
    """
    A deployment that did not go away left its numbers as they were.
    """
    trials = pair_of([1.1])
    trials[0] = structs.replace(trials[0], failed_phase="teardown", error="did not stop")
    found = findings(manifest(), trials)
    assert columns_of(errors(found), "1")["Reason"] == "did not stop"
    assert found.summaries["netns"].trials == 1


def test_a_load_at_once_that_nobody_made_has_the_short_loads_table() -> None:
    """
    As where every such load broke off.
    """
    made = dataclasses.replace(manifest(), requests_at_once=1000, at_once=["netns", "docker"])
    section = key_metrics(findings(made, pair_of([1.2, 1.3])))
    assert row_of(section, METRICS[0])[1] == "250.00 ± 0.00"
    half = [
        structs.replace(each, at_once=load(500)) if each.variant == "netns" else each
        for each in pair_of([1.2, 1.3])
    ]
    assert row_of(key_metrics(findings(made, half)), METRICS[0])[1] == "250.00 ± 0.00"

"""
Changes: what each buys, what is left after it, and what it gives up.
"""

from __future__ import annotations

import dataclasses
import re

import pytest

from analysis.topics.recommendations import figure
from analysis.topics.recommendations.findings import GIVES_UP, gives_up
from analysis.topics.recommendations.section import recommendations
from experiments.declare.factors import FACTORS
from experiments.declare.variants import Search
from tests.unit.reading import columns_of, data_of, number_of, shown
from tests.unit.samples import findings
from tests.unit.topics.samples import DOCKER, LADDER, failing, run_of

OWN_NETWORK = "a network of its own for each service"


def test_a_difference_between_runtimes_is_no_change_and_neither_is_a_a() -> None:
    """
    What one can do is a change within one runtime.
    """
    found = findings(*run_of([*LADDER, "netns-again"])).changes
    assert [each.comparison.name for each in found] == ["host network"]


def test_a_change_stands_beside_what_it_buys_leaves_and_gives_up() -> None:
    """
    What is left is against raw namespaces with the same server.
    """
    section = recommendations(findings(*run_of(LADDER)))
    row = columns_of(section, "Host network")
    assert row["Measured as"] == "`docker-host` against `docker`"
    assert number_of(row["Time per request"]) == pytest.approx(-7.9, abs=0.1)
    assert row["Verdict"] == "faster"
    assert re.fullmatch(r"\+15[\d.]* % \[.*\] \(`netns`\)", row["Left against raw namespaces"])
    assert row["Gives up"] == OWN_NETWORK


def test_a_change_that_answers_worse_has_no_difference_in_time() -> None:
    """
    Errors are quick: neither what it buys nor what it leaves is a number.
    """
    made, trials = run_of(LADDER)
    section = recommendations(findings(made, failing(trials, "docker-host")))
    row = columns_of(section, "Host network")
    for name in ("Time per request", "Median latency", "p99", "Verdict"):
        assert row[name] == "not comparable"
    assert row["Left against raw namespaces"] == "not comparable (`netns`)"


def test_a_change_without_a_block_of_both_has_no_numbers() -> None:
    """
    Its row says why.
    """
    made, trials = run_of(LADDER)
    lacking = [each for each in trials if each.variant != "docker-host"]
    row = columns_of(recommendations(findings(made, lacking)), "Host network")
    assert (row["Time per request"], row["Verdict"]) == ("–", "no block has both")


def test_a_run_without_a_change_has_no_section() -> None:
    """
    Nor a figure.
    """
    found = findings(*run_of(["netns", "docker"]))
    assert recommendations(found) == ""
    assert figure.recommendations(found) is None


def test_what_a_change_gives_up_is_made_of_its_parts() -> None:
    """
    A level that was there before gives up nothing, and neither does one that nobody knows of.
    """
    published = {**DOCKER, "entry": "published", "discovery": "names", "network": "bridge"}
    direct = {**published, "entry": "direct"}
    assert gives_up(published, direct) == ["a port at the host's own address"]
    best = {**direct, "network": "host", "discovery": "addresses"}
    assert gives_up(published, best) == [OWN_NETWORK, "finding services by name"]
    assert gives_up(best, {**best, "workers": "4"}) == []


@pytest.mark.parametrize(("factor", "level"), GIVES_UP)
def test_every_level_that_gives_something_up_exists(factor: str, level: str) -> None:
    """
    The table names no factor and no level that no variant can have.
    """
    assert FACTORS[factor].allows(level)


def test_the_figure_has_what_each_change_gives_up() -> None:
    """
    In its data, and in the words on the one that saves most.
    """
    drawn = figure.recommendations(findings(*run_of([*LADDER, "netns-again"])))
    (row,) = data_of(drawn)
    assert (row["comparison"], row["verdict"]) == ("host network", "faster")
    assert row["gives_up"] == OWN_NETWORK
    words = shown(drawn).alternative
    assert "1 is significantly faster" in words
    assert OWN_NETWORK in words


def test_the_figure_has_no_number_of_what_is_not_comparable() -> None:
    """
    And calls nothing faster that only fails faster.
    """
    made, trials = run_of(LADDER)
    drawn = figure.recommendations(findings(made, failing(trials, "docker-host")))
    (row,) = data_of(drawn)
    assert (row["difference_percent"], row["verdict"]) == ("", "not comparable")
    assert "none is significantly faster" in shown(drawn).alternative


def test_a_change_to_what_a_search_found_is_one_like_any_other() -> None:
    """
    But the answer does not name it, for nobody can ask for it by its levels.
    """
    made, trials = run_of(LADDER)
    found = findings(made, trials)
    assert found.answer is not None
    assert found.answer.tried == 1
    searched = dataclasses.replace(made, search=Search("docker-host", "", "docker", ()))
    found = findings(searched, trials)
    assert len(found.changes) == 1
    assert found.answer is not None
    assert found.answer.tried == 0

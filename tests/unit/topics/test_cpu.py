"""
CPU time per request: of each variant by where it is spent, and of each comparison within blocks.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from analysis.topics.cpu import figure
from analysis.topics.cpu.findings import cpu_difference
from analysis.topics.cpu.section import cpu, cpu_details
from experiments.declare.variants import Comparison
from experiments.records.trials import CpuTime
from tests.unit.reading import columns_of, data_of, number_of, row_of, shown
from tests.unit.samples import findings, manifest, trial
from tests.unit.topics.samples import loaded, run_of, spent_by, with_cpu

if TYPE_CHECKING:
    from experiments.records.trials import TrialRecord


def counted_apart(each: TrialRecord, apart: bool | None) -> TrialRecord:  # noqa: FBT001
    """
    The trial on a kernel that counts interrupts apart, or not, or does not tell.
    """
    return structs.replace(each, cpu=structs.replace(spent_by(each), interrupts_apart=apart))


def pairs() -> list[TrialRecord]:
    """
    Three blocks in which docker's gateway spends 0.1, 0.2 and 0.3 s more, and its daemons 0.4 s.
    """
    trials = []
    for block in (1, 2, 3):
        trials.append(with_cpu(trial(2 * block, block, "netns", 250), 1.0))
        docker = with_cpu(trial(2 * block + 1, block, "docker", 200), 1.0 + block / 10)
        spent = spent_by(docker)
        spent.parts["dockerd, containerd, shims"] = CpuTime(0.4)
        spent.parts["client"] = CpuTime(9.0, 0.1)
        spent.machine_s["softirq"] += block / 100
        trials.append(docker)
    return trials


def test_cpu_time_is_shown_per_request_and_by_place() -> None:
    """
    A second over a thousand requests is a thousand microseconds, with its uncertainty.
    """
    trials = [with_cpu(trial(n, n, "netns", 250), 1.0 + n / 100) for n in (1, 2, 3)]
    section = cpu_details(findings(manifest(), trials))
    row = columns_of(section.partition("By service")[0], "netns")
    assert row["Services, user"] == "1020 ± 25"
    assert row["Services, kernel"] == "250 ± 0"
    assert row["Log readers"] == "50 ± 0"
    assert row["Docker's daemons"] == "–"
    assert row["Context switches"] == "20.0 ± 0.0"
    by_service = section.partition("By service")[2]
    assert columns_of(by_service, "netns")["gateway"] == "1270 ± 25"


def test_cpu_time_is_also_of_the_samples_beside_a_load() -> None:
    """
    The stack served them too: here one for each request of the load, on both arms or one.
    """

    def sampled(each: TrialRecord) -> TrialRecord:
        return structs.replace(each, load=structs.replace(loaded(each), sampled=1000))

    trials = [sampled(with_cpu(trial(1, 1, "netns", 250), 1.0))]
    row = columns_of(cpu_details(findings(manifest(), trials)).partition("By service")[0], "netns")
    assert row["Services, user"] == "500"
    # 0.2 s of ab's, which sent none of them.
    assert row["Client"] == "200"
    docker = with_cpu(trial(2, 1, "docker", 250), 1.0)
    for treated, ratio in ((docker, 2), (sampled(docker), 1)):
        difference = cpu_difference("netns", "docker", [*trials, treated])
        assert difference is not None
        assert difference.log_ratios == pytest.approx([math.log(ratio)])


def test_what_the_kernel_does_with_soft_interrupts_is_said() -> None:
    """
    Whether they are counted apart decides how the columns are read.
    """
    trials = [with_cpu(trial(1, 1, "netns", 250), 1.0)]
    said = {
        apart: cpu_details(findings(manifest(), [counted_apart(trials[0], apart)]))
        for apart in (True, False, None)
    }
    assert len(set(said.values())) == 3


def test_cpu_time_is_compared_within_blocks() -> None:
    """
    Services, log readers and daemons count; the client, whatever it spends, does not.
    """
    found = cpu_difference("netns", "docker", pairs())
    assert found is not None
    assert found.blocks == 3
    assert found.baseline_us.estimate == pytest.approx(1300)
    # 500, 600 and 700 microseconds: t(0.975, 2) × 100 / √3 is 248.
    assert found.difference_us.estimate == pytest.approx(600)
    assert found.difference_us.half_width == pytest.approx(248.4, abs=0.1)
    logs = [math.log(spent / 1.3) for spent in (1.8, 1.9, 2.0)]
    assert found.log_ratios == pytest.approx(logs)
    assert found.relative is not None
    assert found.relative.estimate == pytest.approx(math.expm1(sum(logs) / 3))
    assert found.interrupts_us is None


def test_a_comparison_has_a_row_with_its_difference() -> None:
    """
    In microseconds and in per cent, over so many blocks.
    """
    row = columns_of(cpu(findings(manifest(), pairs())), "matched")
    assert row["Baseline (µs)"] == "1300 ± 0"
    assert row["Difference"] == "+600 µs [+352, +848]"
    assert number_of(row["Relative"]) == pytest.approx(46, abs=0.5)
    assert (row["Soft interrupts"], row["Blocks"]) == ("–", "3")


def test_soft_interrupts_that_are_counted_apart_are_compared_apart() -> None:
    """
    In a column of their own, and not where only one of the two trials counted them so.
    """
    trials = [counted_apart(each, apart=True) for each in pairs()]
    found = cpu_difference("netns", "docker", trials)
    assert found is not None
    assert found.interrupts_us is not None
    assert found.interrupts_us.estimate == pytest.approx(20)
    assert found.difference_us.estimate == pytest.approx(600)
    row = columns_of(cpu(findings(manifest(), trials)), "matched")
    assert row["Soft interrupts"] == "+20 µs [-5, +45]"
    trials[0] = counted_apart(trials[0], apart=None)
    found = cpu_difference("netns", "docker", trials)
    assert found is not None
    assert found.interrupts_us is None


def test_comparisons_of_cpu_time_are_corrected_for_their_number() -> None:
    """
    Two of the same p-value have it doubled; A/A has a family of its own.
    """
    trials = pairs()
    (alone,) = findings(manifest(), trials).cpu_comparisons
    again = [structs.replace(each, variant="twin") for each in trials[1::2]]
    made = manifest()
    twin = dataclasses.replace(made.variants[1], name="twin")
    more = [Comparison("second", "", "netns", "twin"), Comparison("A/A", "", "docker", "twin")]
    made = dataclasses.replace(
        made, variants=[*made.variants, twin], comparisons=[*made.comparisons, *more]
    )
    found = findings(made, [*trials, *again])
    first, second, control = (each.p_value for each in found.cpu_comparisons)
    assert alone.p_value is not None
    assert first == second == pytest.approx(2 * alone.p_value)
    assert control == 1.0
    assert row_of(cpu(found), "A/A")[2:5] == ["+0 µs [+0, +0]", "+0.0 % [+0.0, +0.0]", "1.000"]


def test_cpu_time_without_a_partner_is_not_compared() -> None:
    """
    No block has both: there is no table. Nor a relative difference from less than a clock tick.
    """
    trials = pairs()
    assert cpu_difference("netns", "docker", trials[::2]) is None
    assert cpu(findings(manifest(), trials[::2])) == ""
    idle = structs.replace(trials[0], cpu=structs.replace(spent_by(trials[0]), parts={}))
    found = cpu_difference("netns", "docker", [idle, *trials[1:]])
    assert found is not None
    assert (found.log_ratios, found.relative) == ([], None)


def test_a_run_that_looked_at_no_cpu_time_has_no_section_and_no_figure() -> None:
    """
    Nothing is made up.
    """
    found = findings(manifest(), [trial(1, 1, "netns", 250), trial(2, 1, "docker", 200)])
    assert cpu(found) == cpu_details(found) == ""
    assert figure.cpu(found) is None


def test_the_figure_has_soft_interrupts_only_where_they_are_apart() -> None:
    """
    Elsewhere they are in the other places already; the client is no part of the stack.
    """
    made, trials = run_of(["netns", "docker"])
    assert "soft interrupts" in {
        row["place"] for row in data_of(figure.cpu(findings(made, trials)))
    }
    trials[0] = counted_apart(trials[0], apart=None)
    drawn = figure.cpu(findings(made, trials))
    rows = [row for row in data_of(drawn) if row["variant"] == "docker"]
    spent_us = {row["place"]: float(row["cpu_us_per_request"]) for row in rows}
    assert list(spent_us) == ["services, user", "services, kernel", "Docker's daemons", "client"]
    stack_us = sum(spent_us.values()) - spent_us["client"]
    assert f"docker spends {stack_us:.0f} µs" in shown(drawn).alternative

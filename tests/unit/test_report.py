"""
The report: the published form, honest sentences, and the same bytes every time.
"""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analysis.__main__ import main
from analysis.folders import PAGE_SUFFIX, REPORT, TRIALS_CSV
from analysis.report.gallery import FIGURES, code_of
from analysis.report.markdown import FIRST, READERS
from analysis.topics.cpu.findings import cpu_difference
from experiments.declare.variants import Comparison, Ladder, Variant
from experiments.records.manifest import NetworkState, PilotPlan, RoundsPilot, UserlandRecord
from experiments.records.store import append_agreement, append_trial, write_manifest
from experiments.records.trials import AgreementLoad, CpuTime
from tests.unit.samples import (
    STAT_COLUMNS,
    cpu_spent,
    failed_trial,
    load,
    manifest,
    report,
    side_by_side,
    trial,
)

if TYPE_CHECKING:
    from experiments.records.manifest import Manifest
    from experiments.records.trials import CpuSpent, TrialRecord

PROJECT = Path(__file__).parents[2]


def paired(ratios: list[float]) -> list[TrialRecord]:
    """
    One block for each ratio of docker's time per request to netns's.
    """
    trials = []
    for block, ratio in enumerate(ratios, start=1):
        trials.append(trial(2 * block - 1, block, "netns", 250))
        trials.append(trial(2 * block, block, "docker", 250 / ratio))
    return trials


def test_it_has_the_published_sections_and_rows() -> None:
    """
    A reader of the published report finds everything in its place.
    """
    text = report(manifest(), paired([1.2, 1.3]))
    for heading in (
        "## Overview",
        "## Benchmark parameters",
        "## Key metrics",
        "## Variants in detail",
        "## Conclusions",
        "## Environment",
        "## How to reproduce",
    ):
        assert heading in text
    for row in (
        "| Requests per second (RPS)",
        "| Mean latency (ms)",
        "| Median latency (ms)",
        "| 99th percentile latency (ms)",
        "| Failed requests",
        "| Reliability",
    ):
        assert row in text


def test_a_clear_difference_is_stated_with_its_intervals() -> None:
    """
    In per cent and in microseconds, with the number of blocks.
    """
    text = report(manifest(), paired([1.24, 1.25, 1.26]))
    assert "(docker against netns): slower by 25.0 % [" in text
    assert re.search(r"in time per request, 1000 µs \[\d+, \d+\] on 4000 µs \(3 blocks\)", text)
    assert "(3 blocks)" in text


def test_what_a_run_is_for_has_the_published_table_and_all_else_a_row() -> None:
    """
    With how reliable both were; a load that broke off counts as none answered.
    """
    made, trials = with_host()
    text = report(dataclasses.replace(made, focal=[("netns", "docker")]), trials)
    assert "### Matched: a pair" in text
    assert "### Host network" not in text
    brief = text.partition("### The other comparisons, in brief")[2].partition("\n## ")[0]
    (row,) = [line for line in brief.splitlines() if line.startswith("| Host network")]
    assert [cell.strip() for cell in row.split("|")][-3:-1] == ["100.00 % and 100.00 %", "3"]
    broken = dataclasses.replace(failed_trial(99, 3, "docker-host"), requests_lost=1000)
    text = report(dataclasses.replace(made, focal=[("netns", "docker")]), [*trials, broken])
    assert "100.00 % and at least 75.00 %" in text.partition("in brief")[2]


def test_a_change_stands_beside_what_it_buys_leaves_and_gives_up() -> None:
    """
    What is left is against raw namespaces with the same server.
    """
    text = report(*with_host())
    section = text.partition("## What each change buys, and what it gives up")[2]
    (row,) = [line for line in section.splitlines() if line.startswith("| Host network")]
    cells = [cell.strip() for cell in row.split("|")][1:-1]
    assert cells[1] == "`docker-host` against `docker`"
    assert cells[2].startswith("-16.")
    assert re.fullmatch(r"\+[\d.]+ % \[.*\] \(`netns`\)", cells[5])
    assert cells[6] == "a network of its own for each service"


def with_host() -> tuple[Manifest, list[TrialRecord]]:
    """
    Three blocks in which Docker takes 1.25 times as long, and on the host's network 1.05 times.
    """
    levels = {
        "netns": {"runtime": "process", "network": "bridge"},
        "docker": {"runtime": "container", "network": "bridge"},
        "docker-host": {"runtime": "container", "network": "host"},
    }
    made = dataclasses.replace(
        manifest(blocks=3),
        variants=[Variant(name, name, own) for name, own in levels.items()],
        comparisons=[
            *manifest().comparisons,
            Comparison("host network", "", "docker", "docker-host"),
        ],
    )
    trials = [
        trial(3 * block + place, block, name, 250 / times * (1 + 0.002 * ((block + place) % 3)))
        for block in (1, 2, 3)
        for place, (name, times) in enumerate(zip(levels, (1.0, 1.25, 1.05), strict=True))
    ]
    return made, trials


def test_an_unclear_difference_is_not_given_a_direction() -> None:
    """
    When the interval holds zero the report cannot tell.
    """
    text = report(manifest(), paired([0.9, 1.2, 1.0]))
    assert "cannot tell" in text
    # What others claimed is quoted below.
    own = text.partition("## The published claims")[0]
    assert "slower" not in own
    assert "faster" not in own


def test_one_block_is_a_reading_not_a_result() -> None:
    """
    N = 1 supports no comparison.
    """
    text = report(manifest(), paired([2.0]))
    assert "One block is a reading, not a result" in text
    assert "slower" not in text


def test_an_interrupted_run_says_so_at_the_top() -> None:
    """
    Before any number.
    """
    text = report(manifest("interrupted", blocks=5), paired([1.1, 1.2]))
    assert text.index("**This run is interrupted**: 4 of the 10") < text.index("## Overview")


def test_failed_trials_are_listed_and_break_no_table() -> None:
    """
    Pipes and line ends in a reason stay inside their cell.
    """
    text = report(manifest(), [*paired([1.1]), failed_trial(3, 2, "docker")])
    assert "**1 of 3 trials failed**" in text
    assert "healthy its last line: a \\| b" in text


def test_a_run_without_trials_still_has_a_report() -> None:
    """
    It says that there is nothing to say.
    """
    text = report(manifest("interrupted"), [])
    assert "cannot tell; no block has a trial of both" in text


def test_shared_cpus_are_said_at_the_top() -> None:
    """
    The client's work is then part of every number.
    """
    shared = [
        dataclasses.replace(each, placement=dataclasses.replace(each.placement, apart=False))
        for each in paired([1.1, 1.2])
    ]
    assert "**Client and stack shared CPUs**" in report(manifest(), shared)


def test_the_same_folder_gives_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    And the command says where the report is.
    """
    run = tmp_path / "20260101T000000Z"
    run.mkdir()
    write_manifest(run, manifest())
    for record in paired([1.1, 1.2, 1.3]):
        append_trial(run, record)
    assert main(["--results", str(tmp_path)]) == 0

    def written() -> dict[str, bytes]:
        files = [path for path in run.rglob("*") if path.is_file()]
        return {str(path.relative_to(run)): path.read_bytes() for path in files}

    first = written()
    assert {REPORT, TRIALS_CSV, "figures/comparisons.svg", "figures/comparisons.csv"} <= set(first)
    assert main([str(run)]) == 0
    assert written() == first
    text = first[REPORT].decode()
    for figure in run.glob("figures/*.svg"):
        assert f"](figures/{figure.name})" in text
        assert f"](figures/{figure.stem}.csv)" in text
    page = (run / REPORT).with_suffix(PAGE_SUFFIX)
    assert first[page.name].count(b"<img ") == len(list(run.glob("figures/*.svg")))
    said = capsys.readouterr().out
    assert f"report: {run / REPORT}\n" in said
    assert f"{page}\n" in said


def test_the_page_cannot_take_the_place_of_the_markdown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Whoever asks for HTML is told which name to give, and nothing is written.
    """
    write_manifest(tmp_path, manifest())
    for record in paired([1.1, 1.2]):
        append_trial(tmp_path, record)
    assert main([str(tmp_path), "--output", str(tmp_path / "mine.html")]) == 1
    assert "end its name in .md" in capsys.readouterr().err
    assert not list(tmp_path.glob("mine.*"))
    assert main([str(tmp_path), "--output", str(tmp_path / "mine.md")]) == 0
    assert sorted(path.name for path in tmp_path.glob("mine.*")) == ["mine.html", "mine.md"]


def test_every_figure_has_its_place_and_its_code() -> None:
    """
    The code is the folder of a topic, which has its findings or its section too.
    """
    order = [*FIRST, *(part for reader in READERS for part in reader.parts)]
    for name in FIGURES:
        assert order.count(name) == 1
        folder = PROJECT / code_of(name)
        assert (folder / "figure.py").is_file()
        assert (folder / "section.py").is_file()


def test_a_folder_without_a_run_is_an_error_with_the_next_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Status 1, and the command that makes a run.
    """
    assert main(["--results", str(tmp_path)]) == 1
    assert "`nox -s netns docker` makes one" in capsys.readouterr().err


def test_trials_without_a_result_stand_beside_reliability() -> None:
    """
    A load that broke off counts as unanswered, and the table says so.
    """
    broken = dataclasses.replace(failed_trial(5, 3, "docker"), requests_lost=1000)
    text = report(manifest(), [*paired([1.1, 1.2]), broken])
    assert "at least 66.67 %" in text
    assert "1 (1 ended under load, counted in reliability alone)" in text


def state_of(sysctl: str) -> NetworkState:
    """
    A network of which this setting alone is known.
    """
    return NetworkState(links=[], addresses=[], routes=[], firewall=[], sysctls=[sysctl])


def test_a_missing_br_netfilter_and_stolen_time_are_said_at_the_top() -> None:
    """
    One makes Docker look cheaper than it is; the other widens everything.
    """
    plan = manifest()
    netns, docker = plan.variants
    disturbed = dataclasses.replace(
        plan,
        variants=[netns, dataclasses.replace(docker, levels={"runtime": "container"})],
        environment=dataclasses.replace(
            plan.environment, stolen_s=10.0, observed_s=100.0, cpus_online=2
        ),
        network_state={"docker": state_of("/proc/sys/net/ipv4/ip_forward:1")},
    )
    text = report(disturbed, paired([1.1, 1.2]))
    assert text.index("**docker ran without br_netfilter**") < text.index("## Overview")
    assert "**The hypervisor took 5.0 % of the CPU time**" in text
    well = {"docker": state_of("/proc/sys/net/bridge/bridge-nf-call-iptables:1")}
    text = report(dataclasses.replace(disturbed, network_state=well), paired([1.1, 1.2]))
    assert "br_netfilter" not in text


def test_how_to_reproduce_names_everything_that_was_not_the_default() -> None:
    """
    The commit, the mirror, the user's own variants, and ab's reference length.
    """
    plan = dataclasses.replace(
        manifest(),
        variants_file="variants.toml",
        any_length=False,
        userland=UserlandRecord(mirror="http://m"),
    )
    text = report(plan, paired([1.1, 1.2]))
    assert f"a checkout of commit {'f' * 40}" in text
    assert "--variants-file results/20260101T000000Z/variants.toml" in text
    assert "--same-length" in text
    assert "--mirror http://m" in text


def test_a_manifest_that_contradicts_itself_is_an_error_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Whoever edited it learns which run it was.
    """
    run = tmp_path / "20260101T000000Z"
    run.mkdir()
    write_manifest(run, dataclasses.replace(manifest(), variants=manifest().variants[:1]))
    assert main([str(run)]) == 1
    words = "error: the manifest of run 20260101T000000Z compares 'docker', which is not among its"
    assert words in capsys.readouterr().err


def with_cpu(each: TrialRecord, gateway_s: float, share: float = 0.1) -> TrialRecord:
    """
    A trial whose CPU time was looked at.
    """
    parts = {
        "gateway": CpuTime(gateway_s, 0.25),
        "log reader of gateway": CpuTime(0.0, 0.05),
        "client": CpuTime(0.1, 0.1),
        "runner": CpuTime(),
    }
    spent = cpu_spent(
        parts,
        duration_s=4.0,
        machine_s=dict.fromkeys(STAT_COLUMNS, 0.0) | {"user": gateway_s + 1.0, "softirq": 0.1},
        unaccounted_s=0.05,
        context_switches=20_000,
        throttled_s={"gateway": 2.0},
        client_share=share,
    )
    return dataclasses.replace(each, cpu=spent)


def spent_by(each: TrialRecord) -> CpuSpent:
    """
    The CPU time of a trial that has it.
    """
    assert each.cpu is not None
    return each.cpu


def counted_apart(each: TrialRecord, apart: bool | None) -> TrialRecord:  # noqa: FBT001
    """
    The trial on a kernel that counts interrupts apart, or not, or does not tell.
    """
    return dataclasses.replace(
        each, cpu=dataclasses.replace(spent_by(each), interrupts_apart=apart)
    )


def test_cpu_time_is_shown_per_request_and_by_place() -> None:
    """
    A second over a thousand requests is a thousand microseconds, with its uncertainty.
    """
    trials = [with_cpu(trial(n, n, "netns", 250), 1.0 + n / 100) for n in (1, 2, 3)]
    text = report(manifest(), trials)
    assert "## CPU time per request" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| netns") and "20.0" in line]
    assert "1020 ± 25" in row
    assert "250 ± 0" in row
    assert "| 50 ± 0 " in row
    assert "counts soft interrupts as the tasks'" in text


def both_with_cpu() -> list[TrialRecord]:
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


def cpu_rows(text: str, name: str) -> list[list[str]]:
    """
    The cells of one comparison's row among those of CPU time.
    """
    section = text.partition("## CPU time per request\n")[2]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.partition("\n## ")[0].splitlines()
        if line.startswith(f"| {name} ")
    ]


def test_cpu_time_is_compared_within_blocks() -> None:
    """
    Services, log readers and daemons count; the client, whatever it spends, does not.
    """
    found = cpu_difference("netns", "docker", both_with_cpu())
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
    (row,) = cpu_rows(report(manifest(), both_with_cpu()), "matched")
    assert row[:3] == ["matched (docker against netns)", "1300 ± 0", "+600 µs [+352, +848]"]
    assert row[3].startswith("+46.0 % [")
    assert row[5:] == ["–", "3"]


def test_soft_interrupts_that_are_counted_apart_are_compared_apart() -> None:
    """
    In a column of their own, and not where only one of the two trials counted them so.
    """
    trials = [counted_apart(each, apart=True) for each in both_with_cpu()]
    found = cpu_difference("netns", "docker", trials)
    assert found is not None
    assert found.interrupts_us is not None
    assert found.interrupts_us.estimate == pytest.approx(20)
    assert found.difference_us.estimate == pytest.approx(600)
    text = report(manifest(), trials)
    assert cpu_rows(text, "matched")[0][5:] == ["+20 µs [-5, +45]", "3"]
    trials[0] = counted_apart(trials[0], apart=None)
    found = cpu_difference("netns", "docker", trials)
    assert found is not None
    assert found.interrupts_us is None


def test_comparisons_of_cpu_time_are_corrected_for_their_number() -> None:
    """
    Two of the same p-value have it doubled; A/A has a family of its own.
    """
    trials = both_with_cpu()
    alone = float(cpu_rows(report(manifest(), trials), "matched")[0][4])
    again = [dataclasses.replace(each, variant="twin") for each in trials[1::2]]
    made = manifest()
    twin = dataclasses.replace(made.variants[1], name="twin")
    pairs = [Comparison("second", "", "netns", "twin"), Comparison("A/A", "", "docker", "twin")]
    made = dataclasses.replace(
        made, variants=[*made.variants, twin], comparisons=[*made.comparisons, *pairs]
    )
    text = report(made, [*trials, *again])
    for name in ("matched", "second"):
        assert float(cpu_rows(text, name)[0][4]) == pytest.approx(2 * alone, abs=0.001)
    assert cpu_rows(text, "A/A")[0][1:] == [
        "1900 ± 248",
        "+0 µs [+0, +0]",
        "+0.0 % [+0.0, +0.0]",
        "1.000",
        "–",
        "3",
    ]


def test_cpu_time_without_a_partner_is_not_compared() -> None:
    """
    No block has both: there is no table. Nor a relative difference from less than a clock tick.
    """
    trials = both_with_cpu()
    assert cpu_difference("netns", "docker", trials[::2]) is None
    assert "of each comparison" not in report(manifest(), trials[::2])
    idle = [
        dataclasses.replace(each, cpu=dataclasses.replace(spent_by(each), parts={}))
        for each in trials[:1]
    ]
    found = cpu_difference("netns", "docker", [*idle, *trials[1:]])
    assert found is not None
    assert (found.log_ratios, found.relative) == ([], None)


def test_a_client_that_may_be_the_limit_is_said_at_the_top() -> None:
    """
    Before any number.
    """
    trials = [with_cpu(trial(1, 1, "netns", 250), 1.0, share=0.81)]
    assert "**Client-bound**: in trials of netns" in report(manifest(), trials)
    assert "Client-bound" not in report(manifest(), [with_cpu(trials[0], 1.0, share=0.8)])


def test_allowed_differences_are_said_at_the_top() -> None:
    """
    Word for word.
    """
    odd = dataclasses.replace(trial(1, 1, "netns", 250), allowed=["gateway.x is 1 in a, 2 in b"])
    text = report(manifest(), [odd])
    assert "**Undeclared differences were allowed**" in text
    assert "gateway.x is 1 in a, 2 in b" in text


def test_limits_are_a_dose_and_its_response() -> None:
    """
    Against the same variant without a limit, with the time that was spent standing still.
    """
    levels = {"runtime": "process", "cpus": "unlimited", "memory": "unlimited"}
    made = dataclasses.replace(
        manifest(),
        variants=[
            Variant("netns", "", levels),
            Variant("half", "", {**levels, "cpus": "0.5"}),
            Variant("netns-again", "", levels),
        ],
        comparisons=[],
        environment=dataclasses.replace(manifest().environment, left_out=["two"]),
    )
    trials = []
    for block in (1, 2):
        trials.append(trial(2 * block, block, "netns", 250))
        trials.append(with_cpu(trial(2 * block + 1, block, "half", 125), 1.0))
    text = report(made, trials)
    section = text.partition("## Resource limits")[2].partition("\n## ")[0]
    assert "fewer CPUs here: two" in section
    (row,) = [line for line in section.splitlines() if line.startswith("| half")]
    assert "| 8000 ± 0 " in row
    assert "+100.0 % [+100.0, +100.0]" in row
    assert "0.50 ± 0.00" in row


def rounds(
    block_count: int = 4, ratio: float = 1.25, *, names: tuple[str, ...] = ("netns", "docker")
) -> list[TrialRecord]:
    """
    Blocks of four rounds, in which the second takes so many times as long as the others.

    Every trial has a load of 1000 requests besides, which is one per cent quicker.
    """
    trials: list[TrialRecord] = []
    for block in range(1, block_count + 1):
        for place, name in enumerate(names):
            us = 4000.0 * (ratio if place == 1 else 1.0) * (1 + 0.001 * ((block + place) % 3))
            one = side_by_side(
                len(trials) + 1,
                block,
                name,
                [us * (1 + 0.002 * ((number + block * place) % 3)) for number in range(4)],
                position=1 + (place + block) % len(names),
            )
            trials.append(dataclasses.replace(one, at_once=load(1.01e6 / us)))
    return trials


def test_the_published_table_is_of_loads_that_were_never_cut() -> None:
    """
    With the verdict's quantity beside it, and by how much short loads differ from those.
    """
    made = dataclasses.replace(
        manifest(blocks=4),
        rounds=4,
        requests=250,
        requests_at_once=1000,
        at_once=["netns", "docker"],
    )
    text = report(made, rounds())
    section = text.partition("## Key metrics")[2].partition("\n## ")[0]
    assert "one load of 1000 requests in each trial" in section
    assert re.search(
        r"a request takes in short ones: netns \+1\.\d % \[.*\], docker \+1\.\d %", section
    )
    cells = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in section.splitlines()
        if line.startswith("| ")
    }
    assert float(cells["Requests per second (RPS)"][0].split(" ")[0]) == pytest.approx(252.2, abs=1)
    assert float(cells["Time per request (µs)"][0].split(" ")[0]) == pytest.approx(3964, abs=5)
    short = cells["Time per request, short loads (µs)"]
    assert float(short[0].split(" ")[0]) == pytest.approx(4012, abs=5)
    assert short[2].startswith("+25.")
    assert cells["Failed requests"][:2] == ["0 of 4000", "0 of 4000"]
    assert re.search(r"cut into loads +\| 1000, once in each trial of netns, docker", text)
    plain = report(dataclasses.replace(made, at_once=[]), rounds())
    assert "short loads (µs)" not in plain


def test_what_a_pilot_found_stands_beside_the_rounds() -> None:
    """
    Both spreads and both costs.
    """
    found = RoundsPilot("netns", 4, 5, 250, 0.018, 0.011, 3.2, 0.65, 6)
    made = dataclasses.replace(manifest(), rounds=6, pilot=PilotPlan(rounds=found))
    text = report(made, rounds())
    (row,) = [line for line in text.splitlines() if line.startswith("| Rounds, each")]
    assert "6, by a pilot: in 5 rounds of 250 requests to each of 4 deployments of netns" in row
    assert "differed by 1.8 %, and deployments beyond that by 1.1 %" in row
    assert "a deployment costs 3.2 s and a load 0.7 s, so that 6 rounds would be best" in row


def test_arms_that_answer_unlike_have_no_difference_in_time_anywhere() -> None:
    """
    Errors are quick: conclusions, tables, ladder and recommendations say that it is not comparable.
    """
    made, trials = with_host()
    bad = [
        dataclasses.replace(each, load=load(500.0, non_2xx=72))
        if each.variant == "docker-host"
        else each
        for each in trials
    ]
    ladder = Ladder("up", "", ("netns", "docker", "docker-host"))
    text = report(dataclasses.replace(made, ladders=[ladder]), bad)
    assert (
        "**host network** (docker-host against docker): not comparable: 100.00 % of the baseline's "
        "answers were good, and 92.80 % of the treatment's."
    ) in text
    metrics = text.partition("### Host network")[2].partition("\n## ")[0]
    assert metrics.count("not comparable") == 5
    (step,) = [line for line in text.splitlines() if line.startswith("| `docker-host`")]
    assert [cell.strip() for cell in step.split("|")][4:7] == [
        "–",
        "not comparable",
        "not comparable",
    ]
    (change,) = [line for line in text.splitlines() if line.startswith("| Host network |")]
    assert [cell.strip() for cell in change.split("|")][3:7] == [
        *("not comparable",) * 3,
        "not comparable (`netns`)",
    ]
    assert "faster by" not in text


def test_places_silence_and_other_protocols_are_told_of_the_a_a_pair() -> None:
    """
    From its own loads, resampled.
    """
    made = manifest(blocks=12)
    twin = dataclasses.replace(made.variants[0], name="netns-again", twin_of="netns")
    control = Comparison("A/A", "", "netns", "netns-again")
    twice = dataclasses.replace(
        made, variants=[*made.variants, twin], comparisons=[*made.comparisons, control]
    )
    trials = rounds(12, 1.25, names=("netns", "docker", "netns-again"))
    text = report(twice, trials).partition("## How far these numbers")[2].partition("\n## ")[0]
    assert "**By place.**" in text
    rows = [line for line in text.splitlines() if re.match(r"\| [123] ", line)]
    assert len(rows) == 3
    assert (
        "During the 144 loads of the rounds the frozen deployments beside the one under load, 1 "
        "each time, took 0 µs of CPU time in all"
    ) in text
    assert "**Whether this keeps its word.**" in text
    assert "| rounds side by side, 12 blocks (as here)" in text
    assert re.search(r"\| Minutes for ±0.5 % +\|", text)
    alone = report(made, paired([1.1, 1.2]))
    assert "By place" not in alone
    assert "Only one ran" not in alone


def test_the_agreement_of_short_loads_has_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    One row for each question, one column for each variant, from the file of the run.
    """
    run = tmp_path / "20260101T000000Z"
    run.mkdir()
    write_manifest(run, manifest())
    append_trial(run, trial(1, 1, "netns", 250))
    us = {
        (False, 0, 1000): 2000.0,
        (False, 0, 250): 2020.0,
        (False, 3, 250): 2020.0,
        (True, 3, 250): 2040.2,
    }
    for repetition in (1, 2, 3):
        for (thawed, beside, requests), us_per_request in us.items():
            append_agreement(
                run,
                AgreementLoad(
                    repetition=repetition,
                    variant="netns",
                    thawed=thawed,
                    beside=beside,
                    requests=requests,
                    requests_ok=requests,
                    started_at=1e9,
                    us_per_request=us_per_request,
                ),
            )
    assert main([str(run)]) == 0
    capsys.readouterr()
    text = (run / REPORT).read_text()
    rows = {
        line.split("|")[1].strip(): line.split("|")[2].strip()
        for line in text.partition("## Calibration")[2].partition("\n## ")[0].splitlines()
        if line.startswith("| ")
    }
    assert rows == {
        "A request takes longer by": "netns",
        "250 requests against 1000, alone and never frozen": "+1.0 % [+1.0, +1.0]",
        "Thawed against never frozen, 250 requests beside frozen ones": "+1.0 % [+1.0, +1.0]",
        "Beside frozen ones against alone, 250 requests, never frozen": "+0.0 % [+0.0, +0.0]",
        "250 requests, thawed and beside frozen ones, against 1000, alone": "+2.0 % [+2.0, +2.0]",
    }

"""
The figures: the same bytes every time, the same numbers in drawing and data, nothing made up.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest

from analysis.drawing.canvas import PAPER, even_ticks, log_ticks, ratio_ticks, signed_percent
from analysis.drawing.figure import csv_text, write
from analysis.drawing.series import STROKES, main_variants
from analysis.report.gallery import figures
from analysis.statistics.intervals import Interval
from analysis.statistics.verdicts import Kind, Verdict
from analysis.topics.calibration.figure import calibration
from analysis.topics.comparisons.figure import comparisons
from analysis.topics.cpu.figure import cpu
from analysis.topics.ladder.figure import ladder
from analysis.topics.ladder.findings import Step
from analysis.topics.ladder.waterfall import Told, told
from analysis.topics.latency.figure import latency
from analysis.topics.latency.findings import HEADER
from analysis.topics.limits.figure import limits, size_of
from analysis.topics.recommendations.figure import recommendations
from analysis.topics.recommendations.findings import GIVES_UP, gives_up
from analysis.topics.trust.figure import blocks
from experiments.declare.factors import FACTORS
from experiments.declare.variants import Comparison, Ladder, Variant, Whole
from experiments.errors import ResultsError
from experiments.records.trials import CpuTime, OpenLoad
from tests.unit.samples import (
    STAT_COLUMNS,
    cpu_spent,
    details,
    facts,
    failed_trial,
    findings,
    manifest,
    side_by_side,
    trial,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from analysis.drawing.figure import Figure
    from experiments.records.manifest import Manifest
    from experiments.records.trials import LoadResult, TrialRecord

CHECKOUT = Path(__file__).parents[2]
NAMES = [
    *("comparisons", "ladder", "recommendations", "limits"),
    *("cpu", "latency", "blocks", "calibration"),
]

PLAIN = {
    "runtime": "process",
    "network": "bridge",
    "entry": "direct",
    "discovery": "addresses",
    "stdio": "file",
    "server": "werkzeug",
    "cpus": "unlimited",
    "memory": "unlimited",
    "userland_proxy": "on",
    "burn_us": "none",
    "sleep_us": "none",
}
DOCKER = {"runtime": "container", "stdio": "docker-json-file"}
INJECT = {"burn_us": "0", "sleep_us": "0"}
VARIANTS: dict[str, tuple[dict[str, str], float]] = {
    "netns": ({}, 2000.0),
    "docker": (DOCKER, 2500.0),
    "netns-again": ({}, 2002.0),
    "docker-host": ({**DOCKER, "network": "host"}, 2300.0),
    "netns-cpus-0.5": ({"cpus": "0.5"}, 6000.0),
    "netns-memory-256m": ({"memory": "256m"}, 2010.0),
    "netns-memory-64m": ({"memory": "64m"}, 2900.0),
    "inject-0": (INJECT, 1500.0),
    "burn-50": ({**INJECT, "burn_us": "50"}, 1550.0),
    "burn-500": ({**INJECT, "burn_us": "500"}, 2000.0),
}
"""Levels beside the plain ones, and microseconds per request."""

PAIRS = [
    ("matched", "netns", "docker"),
    ("host network", "docker", "docker-host"),
    ("A/A", "netns", "netns-again"),
]


def manifest_of(names: Sequence[str]) -> Manifest:
    """
    The manifest of a run of these variants, with what can be compared and climbed among them.
    """
    pairs = [pair for pair in PAIRS if {*pair[1:]} <= {*names}]
    ladders = [Ladder("steps", "", ("netns", "docker", "docker-host"))]
    wholes = [Whole("from one to the other", "netns", "docker-host", ("steps",))]
    climbed = {"netns", "docker", "docker-host"} <= {*names}
    return dataclasses.replace(
        manifest(),
        variants=[Variant(name, name, {**PLAIN, **VARIANTS[name][0]}) for name in names],
        comparisons=[Comparison(name, "", one, other) for name, one, other in pairs],
        focal=[("netns", "docker")] if "docker" in names else [],
        ladders=ladders if climbed else [],
        wholes=wholes if climbed else [],
    )


def one_trial(number: int, block: int, name: str, us: float) -> TrialRecord:
    """
    A trial with everything: rounds, and CPU time of all its places.
    """
    levels = VARIANTS[name][0]
    parts = {
        "gateway": CpuTime(us / 2000, 0.25),
        "client": CpuTime(0.1, 0.1),
        "runner": CpuTime(),
    }
    if levels.get("runtime") == "container":
        parts["dockerd, containerd, shims"] = CpuTime(0.3, 0.1)
    spent = cpu_spent(
        parts,
        machine_s=dict.fromkeys(STAT_COLUMNS, 1.0) | {"softirq": 0.1},
        interrupts_apart=True,
    )
    good = side_by_side(number, block, name, [0.99 * us, us, 1.01 * us, us])
    return dataclasses.replace(good, cpu=spent, facts=facts())


def run_of(
    names: Sequence[str], block_count: int = 4, noise: Mapping[str, float] | None = None
) -> tuple[Manifest, list[TrialRecord]]:
    """
    A run of these variants on a machine that is slower in every other block.

    ``noise`` is by how many per cent a variant is dearer in the odd ones of each two blocks.
    """
    trials: list[TrialRecord] = []
    for block in range(1, block_count + 1):
        for place, name in enumerate(names):
            slow = 1 + 0.05 * (block % 2) + 0.001 * place
            own = 1 + (noise or {}).get(name, 0.1) / 100 * (1 if block % 4 < 2 else -1)
            us = VARIANTS[name][1] * slow * own
            trials.append(one_trial(len(trials) + 1, block, name, us))
    return manifest_of(names), trials


def with_logs(
    run: Path, trials: Sequence[TrialRecord], latencies_us: Callable[[str], Sequence[int]]
) -> list[TrialRecord]:
    """
    The same trials, each with a load at the common rate; a latency below zero is a failed request.
    """
    found = []
    for each in trials:
        lines = [HEADER]
        for number, latency_us in enumerate(latencies_us(each.variant)):
            at_us = 10_000 * (number + 1)
            status = 200 if latency_us >= 0 else 503
            lines.append(f"{at_us},{at_us},{at_us + abs(latency_us)},{status}")
        (run / f"{each.number}.csv").write_text("\n".join([*lines, ""]))
        load = OpenLoad(None, 100.0, len(lines) - 1, 0, 0, 0.0, 0, f"{each.number}.csv")
        found.append(dataclasses.replace(each, open_loads=[load]))
    return found


def everything() -> list[Figure]:
    """
    Every figure there is.
    """
    return figures(findings(*run_of(list(VARIANTS))))


def digest(drawn: Sequence[Figure]) -> str:
    """
    One number for all that figures consist of.
    """
    parts = [part for each in drawn for part in dataclasses.astuple(each)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def named(drawn: Sequence[Figure], name: str) -> Figure:
    """
    The one figure of this name.
    """
    (found,) = [each for each in drawn if each.name == name]
    return found


def shown(figure: Figure | None) -> Figure:
    """
    A figure that must be there.
    """
    assert figure is not None
    return figure


def rows_of(figure: Figure) -> list[dict[str, str]]:
    """
    The data of a figure.
    """
    return list(csv.DictReader(io.StringIO(figure.csv)))


@pytest.fixture(scope="module")
def drawn() -> list[Figure]:
    """
    Every figure, drawn once for all tests that only look.
    """
    return everything()


def test_a_run_with_everything_has_every_figure(drawn: list[Figure]) -> None:
    """
    In the order in which a report shows them.
    """
    assert [each.name for each in drawn] == NAMES


def test_the_same_run_gives_the_same_bytes(drawn: list[Figure]) -> None:
    """
    Again, whatever style a user has, and in another process with another order of hashes.
    """
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": "other"}):
        assert digest(everything()) == digest(drawn)
    code = "from tests.unit.test_figures import *; print(digest(everything()))"
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.strip() == digest(drawn)


@pytest.mark.parametrize("name", NAMES)
def test_a_drawing_is_whole_and_says_what_it_is(drawn: list[Figure], name: str) -> None:
    """
    Well-formed, with its title and words in it, text as text, and no day nor version.
    """
    figure = named(drawn, name)
    root = ET.fromstring(figure.svg)  # noqa: S314 - it was made here
    svg = "{http://www.w3.org/2000/svg}"
    assert [each.text for each in root.iter(f"{svg}title")] == [figure.title]
    described = root.iter("{http://purl.org/dc/elements/1.1/}description")
    assert [each.text for each in described] == [figure.alternative]
    assert figure.title in [each.text for each in root.iter(f"{svg}text")]
    assert mpl.__version__ not in figure.svg
    assert "dc:date" not in figure.svg


@pytest.mark.parametrize("name", NAMES)
def test_a_drawing_has_a_ground_of_its_own(drawn: list[Figure], name: str) -> None:
    """
    Over all of it, so that its ink is as legible on a dark page as on a white one.
    """
    svg = named(drawn, name).svg
    _, _, width, height = svg.partition('viewBox="')[2].partition('"')[0].split()
    ground = svg.partition('<g id="patch_1">')[2].partition("/>")[0]
    assert f"fill: {PAPER}" in ground
    assert f"M 0 {height}" in ground
    assert f"L {width} 0" in ground


@pytest.mark.parametrize("name", NAMES)
def test_words_stand_for_every_figure(drawn: list[Figure], name: str) -> None:
    """
    One sentence or two with a number in it, without a break, and a caption.
    """
    figure = named(drawn, name)
    assert figure.alternative.endswith(".")
    assert "\n" not in figure.alternative
    assert any(letter.isdigit() for letter in figure.alternative)
    assert figure.alternative.count(". ") <= 1
    assert figure.caption.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_data_has_a_header_with_units_and_whole_rows(drawn: list[Figure], name: str) -> None:
    """
    Lines end as everywhere, and no cell is lost.
    """
    figure = named(drawn, name)
    assert "\r" not in figure.csv
    assert figure.csv.endswith("\n")
    header, *rows = csv.reader(io.StringIO(figure.csv))
    assert any(key.endswith(("_us", "_ms", "_percent", "_us_per_request")) for key in header)
    assert rows
    assert {len(row) for row in rows} == {len(header)}


def test_a_run_without_data_has_no_figure() -> None:
    """
    Nor has one whose trials all failed.
    """
    assert figures(findings(manifest(), [])) == []
    assert figures(findings(manifest(), [failed_trial(1, 1, "docker")])) == []


def test_what_a_run_lacks_is_left_out() -> None:
    """
    A pair of one block without CPU time has a comparison and latencies, and nothing else.
    """
    trials = [trial(1, 1, "netns", 250), trial(2, 1, "docker", 200)]
    assert [each.name for each in figures(findings(manifest(), trials))] == [
        "comparisons",
        "latency",
    ]


def test_numbers_are_written_to_six_digits_and_nothing_is_no_number() -> None:
    """
    What is left of a sum that should be none is none, on every machine.
    """
    assert csv_text(["a", "b", "c", "d"], [[1234567.8, None, "x", -1e-13]]) == (
        "a,b,c,d\n1.23457e+06,,x,0\n"
    )
    assert csv_text(["a", "b"], [[math.inf, 2.0]]) == "a,b\ninf,2\n"


def test_files_are_written_beside_each_other(drawn: list[Figure], tmp_path: Path) -> None:
    """
    Into a directory that is made, and to the byte what the figures are.
    """
    directory = tmp_path / "run" / "figures"
    written = write(drawn, directory)
    assert sorted(written) == sorted(directory.iterdir())
    assert len(written) == 2 * len(drawn)
    assert (directory / "cpu.svg").read_bytes() == named(drawn, "cpu").svg.encode()
    assert (directory / "cpu.csv").read_bytes() == named(drawn, "cpu").csv.encode()


def test_a_figure_that_a_report_no_longer_has_goes(drawn: list[Figure], tmp_path: Path) -> None:
    """
    And what somebody else put there stays.
    """
    write(drawn, tmp_path)
    (tmp_path / "mine.svg").write_text("")
    write(drawn[:1], tmp_path, known=NAMES)
    kept = {f"{drawn[0].name}.svg", f"{drawn[0].name}.csv", "mine.svg"}
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_a_directory_that_cannot_be_written_is_an_error(
    drawn: list[Figure], tmp_path: Path
) -> None:
    """
    With its name.
    """
    (tmp_path / "figures").write_text("in the way")
    with pytest.raises(ResultsError, match="figures cannot be written"):
        write(drawn, tmp_path / "figures")


def hollow_bars(svg: str) -> int:
    """
    How many bars have a dashed outline and nothing in it, without the one of the legend.
    """
    bars = [line for line in svg.splitlines() if f"fill: {PAPER}; stroke-dasharray" in line]
    return len(bars) - 1


LADDER = ["netns", "docker", "docker-host"]


def test_a_step_that_can_be_told_from_zero_is_full() -> None:
    """
    And says nothing more; its numbers in the drawing are those of the data.
    """
    figure = shown(ladder(findings(*run_of(LADDER))))
    rows = [row for row in rows_of(figure) if row["ladder"] == "steps"]
    assert [row["step"] for row in rows] == ["docker", "docker-host"]
    assert {row["told_apart_from_zero"] for row in rows} == {"told apart from zero"}
    for row in rows:
        cost, low, high = (float(row[key]) for key in ("cost_us", "low_us", "high_us"))
        assert f">{cost:+.0f} µs [{low:+.0f}, {high:+.0f}]<" in figure.svg
    assert float(rows[1]["starts_at_us"]) == pytest.approx(float(rows[0]["cost_us"]))
    # What is left of the whole is nothing here, which is the only bar that holds zero.
    assert hollow_bars(figure.svg) == 1
    assert "Of 2 steps of 1 ladder, 2 can be told apart from zero" in figure.alternative


def test_a_step_that_holds_zero_is_hollow_and_says_so() -> None:
    """
    In the drawing, in the data and in the words.
    """
    made, trials = run_of(LADDER, noise={"docker": 60.0})
    figure = shown(ladder(findings(dataclasses.replace(made, wholes=[]), trials)))
    words = "cannot be told apart from zero"
    assert [row["told_apart_from_zero"] for row in rows_of(figure)] == [words] * 2
    assert hollow_bars(figure.svg) == 2
    # Beside each of the two steps, in the legend, and not in the description of the file.
    assert figure.svg.count(f">{words}<") == 3
    assert "none can be told apart from zero" in figure.alternative


def test_a_step_that_is_clear_by_itself_alone_is_marked() -> None:
    """
    Its interval excludes zero, but among so many steps one such is no surprise.
    """
    step = Step("a", "b", "factor", "a → b", "b", None, Verdict(Kind.CANNOT_TELL, 0.02))
    assert told(Interval(5.0, 1.0, 9.0), step) is Told.UNCORRECTED
    assert told(Interval(5.0, 1.0, 9.0)) is Told.APART
    assert told(Interval(5.0, -1.0, 9.0), step) is Told.HOLDS_ZERO
    assert told(Interval(5.0, None, None), step) is Told.ONE_BLOCK
    assert told(None, step) is Told.MISSING


def test_what_a_whole_is_made_of_comes_first() -> None:
    """
    Then the whole, and then what stands beside it.
    """
    made, trials = run_of(LADDER)
    aside = Ladder("aside", "", ("netns", "docker-host"))
    beside = dataclasses.replace(made, ladders=[aside, *made.ladders])
    names = [row["ladder"] for row in rows_of(shown(ladder(findings(beside, trials))))]
    whole = made.wholes[0].name
    assert list(dict.fromkeys(names)) == ["steps", whole, "aside"]


def test_a_step_without_trials_has_no_bar() -> None:
    """
    But a row that says why.
    """
    made, trials = run_of(LADDER)
    lacking = [each for each in trials if each.variant != "docker-host"]
    figure = shown(ladder(findings(made, lacking)))
    assert [row["cost_us"] for row in rows_of(figure)][1:] == [""]
    assert ">no block has both<" in figure.svg


def test_a_comparison_has_its_numbers_and_its_verdict() -> None:
    """
    In the drawing as in the data, and A/A is marked as one.
    """
    made, trials = run_of(["netns", "docker", "netns-again"])
    figure = shown(comparisons(findings(made, trials)))
    matched, control = rows_of(figure)
    assert (matched["verdict"], control["verdict"]) == ("slower", "equivalent within ±2 %")
    assert (matched["same_thing"], control["same_thing"]) == ("no", "yes")
    keys = ("difference_percent", "low_percent", "high_percent")
    estimate, low, high = (float(matched[key]) for key in keys)
    assert estimate == pytest.approx(25, abs=0.2)
    assert f">{estimate:+.1f} % [{low:+.1f}, {high:+.1f}]<" in figure.svg
    assert ">A/A: one thing with itself<" in figure.svg
    assert "Slower: matched +25" in figure.alternative


def test_a_difference_between_runtimes_is_no_recommendation() -> None:
    """
    Nor is A/A; what is left has what it gives up beside it.
    """
    made, trials = run_of([*LADDER, "netns-again"])
    figure = shown(recommendations(findings(made, trials)))
    (row,) = rows_of(figure)
    assert (row["comparison"], row["verdict"]) == ("host network", "faster")
    assert row["gives_up"] == "a network of its own for each service"
    assert f">gives up: {row['gives_up']}<" in figure.svg
    assert "1 is told to be faster" in figure.alternative


def test_what_a_change_gives_up_is_made_of_its_parts() -> None:
    """
    A level that was there before gives up nothing, and neither does one that nobody knows of.
    """
    published = {**DOCKER, "entry": "published", "discovery": "names", "network": "bridge"}
    direct = {**published, "entry": "direct"}
    assert gives_up(published, direct) == "a port at the host's own address"
    best = {**direct, "network": "host", "discovery": "addresses"}
    assert gives_up(published, best) == (
        "a network of its own for each service; finding services by name"
    )
    assert gives_up(best, {**best, "workers": "4"}) == ""


def test_every_level_that_gives_something_up_exists() -> None:
    """
    The table names no factor and no level that no variant can have.
    """
    for factor, level in GIVES_UP:
        assert FACTORS[factor].allows(level)


def test_doses_rise_and_none_comes_last() -> None:
    """
    Whatever the order in which they were declared, and whatever their units.
    """
    figure = shown(limits(findings(*run_of(["netns-memory-256m", "netns", "netns-memory-64m"]))))
    assert [row["dose"] for row in rows_of(figure)] == ["64m", "256m", "unlimited"]
    assert size_of("0.25") < size_of("2") < size_of("64m") < size_of("1g") < size_of("unlimited")


def test_soft_interrupts_are_shown_only_where_they_are_apart() -> None:
    """
    Elsewhere they are in the other places already.
    """
    made, trials = run_of(["netns", "docker"])
    places = {row["place"] for row in rows_of(shown(cpu(findings(made, trials))))}
    assert "soft interrupts" in places
    assert trials[0].cpu is not None
    unknown = dataclasses.replace(trials[0].cpu, interrupts_apart=None)
    trials[0] = dataclasses.replace(trials[0], cpu=unknown)
    figure = shown(cpu(findings(made, trials)))
    rows = [row for row in rows_of(figure) if row["variant"] == "docker"]
    shares_us = {row["place"]: float(row["cpu_us_per_request"]) for row in rows}
    assert list(shares_us) == ["services, user", "services, kernel", "Docker's daemons", "client"]
    stack_us = sum(shares_us.values()) - shares_us["client"]
    assert f">{stack_us:.0f} + client 200 µs<" in figure.svg
    assert f"docker spends {stack_us:.0f} µs" in figure.alternative


def test_latency_by_schedule_is_a_curve_and_quantiles(tmp_path: Path) -> None:
    """
    The curve goes through the quantiles, and ends where ten requests are left.
    """
    made, trials = run_of(["netns", "docker"])
    made = dataclasses.replace(made, common_rate_per_s=100.0)
    slower = {"netns": 1000, "docker": 1500}
    logged = with_logs(
        tmp_path, trials, lambda name: [slower[name] + 10 * number for number in range(500)]
    )
    figure = shown(latency(findings(made, logged, tmp_path)))
    assert "100 requests per second" in figure.title
    rows = [row for row in rows_of(figure) if row["variant"] == "docker"]
    curve = {float(row["share_slower"]): float(row["latency_ms"]) for row in rows[3:]}
    assert [row["what"] for row in rows[:3]] == ["p50", "p90", "p99"]
    assert float(rows[0]["latency_ms"]) == pytest.approx(3.99)
    # Ten of all requests of the four trials together.
    assert min(curve) == pytest.approx(10 / 2000)
    assert all(later >= sooner for later, sooner in pairwise(curve.values()))
    assert "p50 from 3.49 ms (netns) to 3.99 ms (docker)" in figure.alternative


def test_failed_requests_end_the_curve_and_have_no_quantile(tmp_path: Path) -> None:
    """
    They are slower than any latency, and nothing breaks where a quantile is among them.
    """
    made, trials = run_of(["netns", "docker"])
    made = dataclasses.replace(made, common_rate_per_s=100.0)
    logged = with_logs(
        tmp_path, trials, lambda _: [*range(1000, 1400), *[-1] * 20, *range(1400, 1480)]
    )
    rows = rows_of(shown(latency(findings(made, logged, tmp_path))))
    own = [row for row in rows if row["variant"] == "netns"]
    assert {row["what"]: row["latency_ms"] for row in own[:2]}["p90"] == "1.449"
    curve = [float(row["share_slower"]) for row in own if row["what"] == "curve"]
    assert 20 / 500 <= min(curve) < 25 / 500


def test_an_overloaded_variant_has_no_latency(tmp_path: Path) -> None:
    """
    Its queue grows, so what is measured is for how long.
    """
    made, trials = run_of(["netns", "docker"])
    made = dataclasses.replace(made, common_rate_per_s=100.0)
    late = {"netns": 0, "docker": 10_000}
    logged = with_logs(
        tmp_path, trials, lambda name: [1000 + late[name] * number for number in range(200)]
    )
    figure = shown(latency(findings(made, logged, tmp_path)))
    assert {row["variant"] for row in rows_of(figure)} == {"netns"}
    assert ">docker: overloaded<" in figure.svg
    assert "overloaded: docker" in figure.alternative


def test_without_logs_latency_is_that_of_the_closed_loop(tmp_path: Path) -> None:
    """
    As for several runs together, whose logs are in folders of their own.
    """
    made, trials = run_of(["netns", "docker"], block_count=2, noise={"docker": 30.0})
    logged = with_logs(tmp_path, trials, lambda _: [1000] * 20)
    figure = shown(latency(findings(made, logged)))
    assert figure.title == "Latency in the closed loop"
    assert [row["what"] for row in rows_of(figure)] == ["p50", "p90", "p99"] * 2
    # An interval from two blocks may reach below zero, where a logarithmic scale has no place.
    assert float(rows_of(figure)[3]["low_ms"]) < 0


def test_the_closed_loop_has_the_curve_of_the_table_that_ab_prints() -> None:
    """
    Means over trials, by the share of requests that are slower, as far as ten requests are.
    """
    made, trials = run_of(["netns", "docker"], block_count=2)
    tables = {
        name: {50: ms, 90: 2 * ms, 99: 3 * ms, 100: 9 * ms}
        for name, ms in (("netns", 10), ("docker", 20))
    }
    printed = [
        dataclasses.replace(
            each,
            load=dataclasses.replace(
                loaded(each),
                requests_completed=999,
                details=details(percentiles_ms=tables[each.variant]),
            ),
        )
        for each in trials
    ]
    curves: dict[str, list[tuple[str, str]]] = {}
    for row in rows_of(shown(latency(findings(made, printed)))):
        if row["what"] == "curve":
            point = (row["share_slower"], row["latency_ms"])
            curves.setdefault(row["variant"], []).append(point)
    # Of 999 requests fewer than ten are beyond the 99th percentile.
    assert curves == {
        "netns": [("0.5", "10"), ("0.1", "20")],
        "docker": [("0.5", "20"), ("0.1", "40")],
    }


def loaded(each: TrialRecord) -> LoadResult:
    """
    The load of a trial that has one.
    """
    assert each.load is not None
    return each.load


def test_blocks_are_shown_load_by_load() -> None:
    """
    One value for each round of each trial, and how far they are from each other.
    """
    made, trials = run_of(["netns", "docker", "netns-again"], block_count=8)
    figure = shown(blocks(findings(made, trials)))
    rows = [row for row in rows_of(figure) if row["variant"] == "netns"]
    assert [row["block"] for row in rows[::4]] == [str(block) for block in range(1, 9)]
    assert [row["round"] for row in rows[:5]] == ["1", "2", "3", "4", "1"]
    measured = [load.us_per_request for load in trials[0].loads]
    found = [float(row["measured_us_per_request"]) for row in rows[:4]]
    assert found == pytest.approx(measured, rel=1e-5)
    assert "netns 2.6 % and from round to round 0.8 %" in figure.alternative
    assert ">block<" in figure.svg


def test_a_trial_without_rounds_is_one_point() -> None:
    """
    And a run of one block has nothing that drifts.
    """
    made = manifest_of(["netns", "docker"])
    trials = [
        trial(2 * block + place, block, name, 250)
        for block in (1, 2)
        for place, name in enumerate(("netns", "docker"))
    ]
    figure = shown(blocks(findings(made, trials)))
    assert [row["measured_us_per_request"] for row in rows_of(figure)] == ["4000"] * 4
    assert blocks(findings(made, trials[:2])) is None


def failing(each: TrialRecord) -> TrialRecord:
    """
    The same trial with one bad answer in ten.
    """
    load = loaded(each)
    return dataclasses.replace(
        each, load=dataclasses.replace(load, requests_ok=load.requests * 9 // 10)
    )


def test_what_is_not_comparable_has_no_mark_in_any_figure() -> None:
    """
    But words, because errors are quick.
    """
    made, trials = run_of([*LADDER, "netns-again", "netns-cpus-0.5"])
    bad = {"docker-host", "netns-cpus-0.5"}
    mixed = [failing(each) if each.variant in bad else each for each in trials]
    found = findings(made, mixed)
    for figure in (shown(comparisons(found)), shown(recommendations(found))):
        (row,) = [row for row in rows_of(figure) if row["comparison"] == "host network"]
        assert (row["difference_percent"], row["verdict"]) == ("", "not comparable")
        assert ">not comparable<" in figure.svg
    climbed = shown(ladder(findings(made, mixed)))
    (row,) = [row for row in rows_of(climbed) if row["step"] == "docker-host"]
    assert (row["cost_us"], row["told_apart_from_zero"]) == ("", "not comparable")
    assert ">not comparable<" in climbed.svg
    doses = shown(limits(findings(made, mixed)))
    assert [row["comparable"] for row in rows_of(doses)] == ["no", "yes"]
    assert ">not comparable<" in doses.svg
    assert "netns at cpus 0.5 is not comparable" in doses.alternative


def test_the_main_variants_are_few_enough_to_be_told_apart() -> None:
    """
    The focal pair, the one that is measured twice, and the ends of the whole; or the first ones.
    """
    assert main_variants(manifest_of(list(VARIANTS))) == [
        *("netns", "docker", "netns-again", "docker-host")
    ]
    many = [Variant(f"v{number}", "", {}) for number in range(20)]
    bare = dataclasses.replace(manifest(), variants=many, comparisons=[])
    assert len(main_variants(bare)) == len(STROKES)


def test_what_came_out_of_a_calibration_is_beside_what_should() -> None:
    """
    Every dose of every measure, with its interval.
    """
    figure = shown(calibration(findings(*run_of(["inject-0", "burn-50", "burn-500"]))))
    rows = rows_of(figure)
    assert [row["injected_us"] for row in rows] == ["50", "500"] * 3
    assert [row["should_come_out_us"] for row in rows] == [*["50", "500"] * 2, "0", "0"]
    assert float(rows[1]["recovered_us"]) == pytest.approx(500, rel=0.05)
    assert "CPU time in time per request: slope 1.0" in figure.alternative


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.2), (3.0, 4.0), (1.0, 30.0), (0.5, 90_000.0)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    """
    At least two, and no more than there is room for.
    """
    for ticks in (log_ticks(low, high), even_ticks(low, high)):
        assert 2 <= len(ticks) <= 9
        assert ticks == sorted(ticks)
        assert all(low <= tick <= high for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (-0.03, 0.03, ["-2 %", "-1 %", "0", "+1 %", "+2 %", "+3 %"]),
        (-0.5, 0.8, ["-20 %", "0", "+20 %", "+50 %", "+100 %"]),
        (-2.4, 2.4, ["-90 %", "-80 %", "-50 %", "0", "+200 %", "+500 %", "+1000 %"]),
    ],
)
def test_ticks_of_ratios_are_round_and_apart(low: float, high: float, labels: list[str]) -> None:
    """
    On a scale on which twice and half are equally far from none.
    """
    ticks = ratio_ticks(low, high)
    assert [signed_percent(tick) for tick in ticks] == labels
    logs = [math.log1p(tick) for tick in ticks]
    assert all(after - before >= (high - low) / 8 for before, after in pairwise(logs))

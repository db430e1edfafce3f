"""
The audit of what other versions of ab print: their formulas, their units, their printing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analysis.audit.checks import audit
from analysis.audit.findings import Finding, Severity
from analysis.audit.result import audit_arms
from analysis.audit.sources import source_of
from analysis.audit.versions import VERSIONS, as_measured
from experiments.records.ab.output import seconds_per_request
from tests.unit.test_audit import PUBLISHED, file

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.records.ab.output import AbOutput

V2_0 = """\
This is ApacheBench, Version 2.0.41-dev <$Revision: 1.121.2.12 $> apache-2.0

Document Path:          /
Document Length:        1494 bytes

Concurrency Level:      10
Time taken for tests:   17.28184 seconds
Complete requests:      10000
Failed requests:        0
Write errors:           0
Total transferred:      17280000 bytes
HTML transferred:       14940000 bytes
Requests per second:    587.26 [#/sec] (mean)
Time per request:       17.028 [ms] (mean)
Time per request:       1.703 [ms] (mean, across all concurrent requests)
Transfer rate:          991.00 [Kbytes/sec] received

Connection Times (ms)
              min  mean[+/-sd] median   max
Connect:        0    0   0.9      0      84
Processing:     2   15   3.2     16     102
Waiting:        0    8   5.3     10     100
Total:          2   15   3.3     16     102

Percentage of the requests served within a certain time (ms)
  50%     16
  90%     17
  99%     19
 100%    102 (longest request)
"""
"""ab 2.0.51 and later: 17 s and 28184 µs, whole kilobytes, cut milliseconds."""

V2_0_FASTER = (
    V2_0.replace("17.28184", "6.337037")
    .replace("587.26", "1578.02")
    .replace("17.028", "6.337")
    .replace("1.703", "0.634")
    .replace("17280000", "17270000")
    .replace("991.00", "2661.34")
    .replace("   15   3.", "    5   3.")
    .replace("     16     102", "      5     102")
    .replace("    8   5.3     10", "    4   5.3      5")
    .replace("50%     16", "50%      5")
    .replace("90%     17", "90%      6")
)

V2_0_28 = (
    V2_0.replace("2.0.41-dev <$Revision: 1.121.2.12 $>", "2.0.28 <$Revision: 1.83 $>")
    .replace("17.028 [ms]", "0.017 [ms]")
    .replace("1.703 [ms]", "0.002 [ms]")
)
"""ab 2.0.17 to 2.0.36: seconds per request, labelled as milliseconds."""

V2_0_16 = (
    V2_0.replace("2.0.41-dev <$Revision: 1.121.2.12 $>", "1.3e <$Revision: 1.69 $>")
    .replace("17.28184", "0.17028")
    .replace("587.26", "587.27")
    .replace("17.028 [ms]", "17.03 [ms]")
    .replace("1.703 [ms]", "1.70 [ms]")
    .replace("991.00", "1014.80")
)
"""ab 2.0.16: 17028 ms over a million, kB of 1000 bytes."""

V1_3 = """\
      Document Path:          /perl/access/access.cgi
      Document Length:        16 bytes

      Concurrency Level:      10
      Time taken for tests:   1.683 seconds
      Complete requests:      100
      Failed requests:        0
      Total transferred:      16100 bytes
      HTML transferred:       1600 bytes
      Requests per second:    59.42
      Transfer rate:          9.57 kb/s received

      Connnection Times (ms)
                    min   avg   max
      Connect:        0    29   101
      Processing:    77   124  1259
      Total:         77   153  1360
"""
"""ab 1.3 to 1.3.19, without its headline: kB of 1000 bytes, three columns."""

V1_3D = (
    V2_0_16.replace("1.3e <$Revision: 1.69 $> apache-2.0", "1.3d <$Revision: 1.73 $> apache-1.3")
    .replace("0.17028", "17.028")
    .replace("Write errors", "Broken pipe errors")
)

TODAY_S = (
    PUBLISHED.partition("Connection Times")[0]
    + """\
Connection Times (ms)
              min   avg   max
Connect:        0    29   130
Processing:    77   124    60
Total:         77   153   190
"""
)
"""ab 2.2.9 to 2.4.6 with -S: "Processing" is the difference of the other rows."""

ALL = {
    "2.0.37 to 2.2.8": V2_0,
    "2.0.17 to 2.0.36": V2_0_28,
    "2.0.16": V2_0_16,
    "1.3 to 1.3.19 and 2.0.1 to 2.0.15": V1_3,
    "1.3.20 to 1.3.42": V1_3D,
    "2.2.9 to 2.4": TODAY_S,
}


def reading(text: str) -> AbOutput:
    """
    The one output in a text.
    """
    (output,) = source_of("", text.encode()).outputs
    return output


def found(text: str) -> dict[str, Finding]:
    """
    The findings on the output in a text by their checks.
    """
    return {finding.check: finding for finding in audit(reading(text))}


def test_every_version_has_a_sample() -> None:
    """
    The table has no row that no test reads.
    """
    assert {version.name for version in VERSIONS} == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_nothing_that_a_known_version_prints_is_called_wrong(name: str) -> None:
    """
    Each version's numbers hold by that version's rules.
    """
    outcome = found(ALL[name])
    assert "identity" not in outcome
    assert outcome["identities"].values["version"] == name


@pytest.mark.parametrize(
    "name", [name for name in ALL if name != "1.3 to 1.3.19 and 2.0.1 to 2.0.15"]
)
def test_the_rules_are_found_without_the_headline(name: str) -> None:
    """
    A text that begins at the report has the numbers of its version all the same.
    """
    _, _, headless = ALL[name].partition("\n")
    assert "identity" not in found(headless)
    rate = seconds_per_request(reading(headless))
    assert rate == pytest.approx(seconds_per_request(reading(ALL[name])), rel=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_measured_numbers_are_not_changed_again(name: str) -> None:
    """
    Seconds are read once, however often an output passes.
    """
    once = reading(ALL[name])
    assert as_measured(once) == once


def test_microseconds_without_zeros_are_read_as_they_were() -> None:
    """
    “17.28184 seconds” of ab 2.0.4x are 17 s and 28184 µs, and the audit says so.
    """
    outcome = found(V2_0)
    assert reading(V2_0).duration_s == pytest.approx((17.028184, 0.5e-6))
    assert outcome["printed_time"].severity is Severity.NOTE
    assert "took 17.028184 s, printed “17.28184 seconds”" in outcome["printed_time"].text
    assert "printed_time" not in found(V2_0_FASTER)
    few = found(V2_0.replace("17.28184", "17.012"))["printed_time"]
    assert few.values["duration_s"] == pytest.approx(17.000012)


def test_a_time_of_few_digits_is_decided_by_the_rate() -> None:
    """
    Without a headline, 17.028 s are 17 s and 28 ms, or 28 µs.
    """
    excerpt = V2_0.partition("\n")[2].replace("17.28184", "17.028")
    assert reading(excerpt).duration_s == (17.028, 0.0005)
    of_microseconds = excerpt.replace("587.26", "588.23").replace("17.028 [ms]", "17.000 [ms]")
    assert reading(of_microseconds).duration_s == pytest.approx((17.000028, 0.5e-6))


def test_a_time_of_five_digits_is_microseconds() -> None:
    """
    No other version prints so many, so nothing else must decide it.
    """
    lines = [line for line in V2_0.splitlines()[1:] if " per " not in line]
    assert reading("\n".join(lines) + "\n").duration_s == pytest.approx((17.028184, 0.5e-6))


def test_seconds_per_request_that_are_labelled_milliseconds_are_seconds() -> None:
    """
    Versions 2.0.17 to 2.0.36 forgot the factor: 0.017 are 17 ms.
    """
    assert reading(V2_0_28).latency_mean_ms == pytest.approx((17, 0.5))
    assert "(17 ms)" in found(V2_0_28)["one_number"].text


def test_comparisons_use_times_as_they_were(tmp_path: Path) -> None:
    """
    587.26/s against 1578.02/s are +168.7 %.
    """
    names = [file(tmp_path, "a", V2_0), file(tmp_path, "b", V2_0_FASTER)]
    result = audit_arms({name: [name] for name in names})
    (difference,) = [each for each in result.comparison if each.check == "difference"]
    assert difference.values["ratio_percent"] == pytest.approx(168.7, abs=0.05)


def test_cut_milliseconds_are_no_idle_connections() -> None:
    """
    A mean of 15 ms may be of nearly 17: times and their mean were cut, one after the other.
    """
    finding = found(V2_0)["under_way"]
    assert finding.severity is Severity.OK
    assert finding.text.startswith(
        "As far as whole milliseconds tell, the load had its concurrency"
    )


def test_another_version_is_named_where_the_headline_is_missing() -> None:
    """
    Nobody is accused of what ab 1.3 computes in another way.
    """
    finding = found(V1_3)["version"]
    assert finding.severity is Severity.NOTE
    assert "those of ab 1.3 to 1.3.19" in finding.text
    assert "version" not in found(PUBLISHED.partition("\n")[2])


def test_what_no_version_prints_is_another_version_or_edited() -> None:
    """
    Without a headline the audit does not say which of both.
    """
    headless = PUBLISHED.partition("\n")[2].replace("48.75", "48.77")
    finding = found(headless)["identity"]
    assert finding.severity is Severity.ERROR
    assert "of another version than those known, or edited" in finding.text


def test_a_headline_of_another_output_is_said_so() -> None:
    """
    Numbers of ab 2.0.4x below today's headline were not changed by hand.
    """
    mixed = V2_0_FASTER.replace("2.0.41-dev <$Revision: 1.121.2.12 $> apache-2.0", "2.3")
    finding = found(mixed)["identity"]
    assert finding.severity is Severity.WARNING
    assert finding.values["explained_by"][0] == "2.0.37 to 2.2.8"


@pytest.mark.parametrize(
    ("old", "new"), [("991.00", "991.03"), ("587.26", "587.28"), ("14940000", "14939999")]
)
def test_an_edited_number_is_found_by_its_version_s_own_rules(old: str, new: str) -> None:
    """
    Other formulas are no excuse.
    """
    assert found(V2_0.replace(old, new))["identity"].severity is Severity.ERROR


@pytest.mark.parametrize(("headline", "adds_up"), [("2.0.40-dev", True), ("2.0.41-dev", False)])
def test_times_on_a_kept_connection_may_count_from_its_beginning(
    headline: str, *, adds_up: bool
) -> None:
    """
    Before 2.0.51 they add up, so that more requests than connections seem to be under way.
    """
    kept = V2_0.replace("Write errors:", "Keep-Alive requests:    10000\nWrite errors:")
    kept = kept.replace("2.0.41-dev", headline).replace("   15   3.3     16", "   55   3.3     16")
    findings = found(kept)
    assert (
        "mean total ≤" in findings.get("identity", Finding("", Severity.OK, "")).text
    ) is not adds_up
    said = "Nothing can be said of a tail: before 2.0.51, ab counts times on a kept connection"
    assert findings["tail"].text.startswith(said) is adds_up


def test_a_negative_port_is_one_above_32767() -> None:
    """
    Ab 2.0 prints ports as signed numbers of 16 bits; no other number is read so.
    """
    (output,) = source_of("x", f"{V2_0}Server Port:            -28215\n".encode()).outputs
    assert output.server_port == 37321
    (output,) = source_of("x", V2_0.replace(":        0", ":        -1").encode()).outputs
    assert output.requests_failed is None


def test_bytes_beyond_32_bits_are_no_contradiction() -> None:
    """
    Before 2.2.9 the sums of bytes may have begun again at zero.
    """
    for length in (1_494_000, 429_496):
        html, total = (each % 2**32 for each in (10_000 * length, 10_000 * length + 2_340_000))
        wrapped = V2_0.replace("1494 bytes", f"{length} bytes").replace("14940000", f"{html}")
        wrapped = wrapped.replace("17280000", f"{total}")
        wrapped = wrapped.replace("991.00", f"{total // 1024 / 17.028184:.2f}")
        assert "identity" not in found(wrapped)


@pytest.mark.parametrize(
    ("failed", "wrong"), [(995, True), (996, False), (1007, False), (1008, True)]
)
def test_few_failures_may_be_of_no_kind(failed: int, *, wrong: bool) -> None:
    """
    A header without an end is counted as failed alone; after ten of them ab gives up.
    """
    text = PUBLISHED.replace("requests:        996", f"requests:        {failed}")
    assert ("identity" in found(text)) is wrong


def test_the_trunk_counts_a_failed_request_once() -> None:
    """
    Its kinds may overlap, or be missing.
    """
    trunk = PUBLISHED.replace("Concurrency Level", "Number of workers: 2\nConcurrency Level")
    assert "identity" not in found(trunk.replace("Receive: 0", "Receive: 9"))
    assert "identity" in found(trunk.replace("Receive: 0", "Receive: 997"))
    assert found(trunk)["identities"].values["version"] == "trunk"


@pytest.mark.parametrize("change", ["Keep-Alive requests:    9", "Write errors:           1"])
def test_bodies_are_not_judged_where_ab_may_take_another_reference(change: str) -> None:
    """
    With -k, and after requests that were not sent, no length failure is no proof of lengths.
    """
    text = V2_0.replace("Write errors:           0", change).replace("14940000", "1494000")
    assert "identity" not in found(text)

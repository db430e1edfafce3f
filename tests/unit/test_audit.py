"""
The audit of ab's text: each finding, the comparison, exit statuses and JSON.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analysis.audit.__main__ import main
from analysis.audit.checks import audit
from analysis.audit.findings import Finding, Severity
from analysis.audit.sources import source_of
from experiments.records.ab.numbers import Printed
from experiments.records.ab.output import AbOutput

SAMPLES = Path(__file__).parent / "ab"

PUBLISHED = """\
This is ApacheBench, Version 2.3 <$Revision: 1913912 $>

Benchmarking 127.0.0.1 (be patient).....done


Server Software:        Werkzeug/3.1.3
Server Hostname:        127.0.0.1
Server Port:            3000

Document Path:          /api/products
Document Length:        207 bytes

Concurrency Level:      50
Time taken for tests:   34.231 seconds
Complete requests:      1000
Failed requests:        996
   (Connect: 0, Receive: 0, Length: 996, Exceptions: 0)
Non-2xx responses:      4
Total transferred:      1708660 bytes
HTML transferred:       1536660 bytes
Requests per second:    29.21 [#/sec] (mean)
Time per request:       1711.550 [ms] (mean)
Time per request:       34.231 [ms] (mean, across all concurrent requests)
Transfer rate:          48.75 [Kbytes/sec] received

Connection Times (ms)
              min  mean[+/-sd] median   max
Connect:        0    1   2.3      0      19
Processing:    12 1706 3901.2    804   19305
Waiting:       11 1702 3899.9    803   19304
Total:         13 1707 3901.0    805   19310

Percentage of the requests served within a certain time (ms)
  50%    805
  66%    870
  75%    905
  80%    926
  90%   1010
  95%  17855
  98%  18633
  99%  19002
 100%  19310 (longest request)
"""
"""The published Docker run: its table's numbers, in a text that ab would print with them."""

NETNS = (
    PUBLISHED.replace("34.231", "18.494")
    .replace("Failed requests:        996\n", "Failed requests:        0\n")
    .replace("   (Connect: 0, Receive: 0, Length: 996, Exceptions: 0)\n", "")
    .replace("Non-2xx responses:      4\n", "")
    .replace("207 bytes", "1542 bytes")
    .replace("HTML transferred:       1536660", "HTML transferred:       1542000")
    .replace("1708660", "1714000")
    .replace("29.21", "54.07")
    .replace("1711.550", "924.700")
    .replace("48.75", "90.51")
    .partition("\nConnection Times")[0]
    + "\nPercentage of the requests served within a certain time (ms)\n  50%    806\n"
    "  66%    901\n 100%   2101 (longest request)\n"
)
"""The published run in raw namespaces, likewise."""


def reading(text: str = PUBLISHED) -> AbOutput:
    """
    The first output in a text.
    """
    return source_of("", text.encode()).outputs[0]


def found(of: AbOutput | str) -> dict[str, Finding]:
    """
    The findings on an output by their checks.
    """
    findings = audit(of if isinstance(of, AbOutput) else reading(of))
    return {finding.check: finding for finding in findings}


def sample(name: str) -> str:
    """
    A text that ab printed.
    """
    return (SAMPLES / f"{name}.txt").read_text()


def without(*labels: str) -> str:
    """
    The published text without the lines that begin so.
    """
    kept = [line for line in PUBLISHED.splitlines() if not line.startswith(labels)]
    return "\n".join(kept) + "\n"


def file(tmp_path: Path, name: str, text: str) -> str:
    """
    A file with a text.
    """
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def errors(of: str) -> list[str]:
    """
    The words of every error.
    """
    return [one.text for one in audit(reading(of)) if one.severity is Severity.ERROR]


def test_the_published_run_was_reliable() -> None:
    """
    996 length failures and 4 non-2xx are all 1000: the first answer was bad, 99.6 % were good.
    """
    length, reliability = found(PUBLISHED)["length"], found(PUBLISHED)["reliability"]
    assert length.severity is Severity.WARNING
    assert length.values["cause"] == "first_response"
    assert length.values["other_mean_bytes"] == 1542
    assert "the first response, here one of the 4 non-2xx" in length.text
    assert "-l" in length.text
    assert reliability.values["as_printed"] == 4
    assert reliability.values["good_at_least"] == reliability.values["good_at_most"] == 996
    assert reliability.text.startswith("99.6 % good (996 of 1000)")


def test_the_published_run_s_mean_is_made_by_a_tail() -> None:
    """
    50 of 1000 requests took 17.9 s or more, longer than half of the run: one stall of all.
    """
    tail = found(PUBLISHED)["tail"]
    assert tail.severity is Severity.WARNING
    assert tail.values["share_in_tail"] == pytest.approx(0.53, abs=0.005)
    assert tail.values["reading"] == "stall"
    assert "One stall of at most 19310 ms fits the tail" in tail.text
    assert "50 of 1000 requests took 17854 ms or more" in tail.text


def test_a_sound_text_holds_every_identity() -> None:
    """
    No real output, and not the published numbers, contradict themselves.
    """
    assert not errors(PUBLISHED)
    assert not errors(NETNS)
    for name in ("length-artefact", "post-no-deviations", "tls-keep-alive-trunk"):
        assert not errors(sample(name))
    assert len(found(PUBLISHED)["identities"].values["holding"]) == 16


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("1711.550", "1711.650", "mean latency = concurrency × time / requests"),
        ("34.231 [ms]", "34.241 [ms]", "mean across all concurrent requests"),
        ("29.21", "29.23", "requests per second = requests / time"),
        ("29.21", "29.23", "requests per second = concurrency / mean latency"),
        ("Receive: 0", "Receive: 1", "failed = connect + receive + length + exceptions"),
        ("98%  18633", "98%  17633", "percentiles rise"),
        ("50%    805", "50%    806", "median of the total times = 50 % line"),
        ("100%  19310", "100%  19311", "longest request = 100 % line"),
        ("12 1706", "12 1704", "mean total = mean connect + mean processing"),
        ("48.75", "48.77", "transfer rate = total transferred / time"),
        ("11 1702", "1801 1702", "min ≤ mean, median ≤ max"),
        ("3901.2    804", "93901.2    804", "min ≤ mean, median ≤ max"),
        ("90%   1010", "90%  16010", "mean total fits the percentiles"),
        ("19310", "39310", "longest request ≤ time of the run"),
        ("13 1707", "13 2707", "mean total ≤ concurrency × time / requests"),
        ("responses:      4", "responses:      1051", "non-2xx, kept connections ≤ requests"),
        ("1536660", "1708661", "HTML transferred ≤ total transferred"),
        (
            "Total transferred",
            "Keep-Alive requests:    1051\nTotal transferred",
            "non-2xx, kept connections ≤ requests",
        ),
    ],
)
def test_an_identity_that_does_not_hold_is_an_error(old: str, new: str, words: str) -> None:
    """
    A single number that was changed, beyond its rounding, is found.
    """
    assert any(words in text for text in errors(PUBLISHED.replace(old, new)))


def test_a_wait_longer_than_the_processing_is_an_error_where_nothing_failed() -> None:
    """
    A request that failed may show the wait of an earlier one.
    """
    longer = "Waiting:       11 1702 3899.9    803   19309"
    whole = "Waiting:       11 1702 3899.9    803   19304"
    assert whole in PUBLISHED
    changed = PUBLISHED.replace(whole, longer)
    assert not errors(changed)
    kinds = "   (Connect: 0, Receive: 0, Length: 996, Exceptions: 0)\n"
    sound = changed.replace(kinds, "").replace("Failed requests:        996", "Failed requests: 0")
    assert any("waiting ≤ processing" in text for text in errors(sound))
    assert "of another output" not in "".join(errors(sound))


def test_what_was_under_way_at_the_end_is_counted_without_a_contradiction() -> None:
    """
    Fifty more than complete, at concurrency 50.
    """
    assert not errors(PUBLISHED.replace("responses:      4", "responses:      1050"))


def test_changed_bodies_are_found_where_no_length_failed() -> None:
    """
    Then HTML transferred is the document's length times the requests.
    """
    changed = errors(NETNS.replace("1542000", "1541999"))
    assert any("HTML transferred = document length × requests" in text for text in changed)


def test_a_missing_number_makes_a_check_impossible_and_nothing_else() -> None:
    """
    What cannot be checked says which of ab's lines it lacks.
    """
    outcome = found(without("Time taken", "Non-2xx", "Total transferred", "HTML transferred"))
    lacking = outcome["identities_not_checked"].values["lacking"]
    assert lacking["requests per second = requests / time"] == "no “Time taken for tests”"
    assert outcome["duration"].values["missing"] == ["Time taken for tests"]
    assert outcome["connections"].values["missing"] == ["Total transferred"]
    assert outcome["incomplete"].severity is Severity.ERROR


def test_mean_latency_and_rate_are_one_number() -> None:
    """
    A table with both reports one difference twice.
    """
    finding = found(PUBLISHED)["one_number"]
    assert finding.severity is Severity.NOTE
    assert {"(1711.55 ms)", "(29.21)"} <= set(re.findall(r"\(.*?\)", finding.text))


def test_a_connection_for_each_request_is_said() -> None:
    """
    Without -k the handshake is part of every time; with it, of those that were not kept.
    """
    assert found(PUBLISHED)["connections"].values["keep_alive"] is False
    assert "TCP handshake (mean connect 1 of 1707 ms)" in found(PUBLISHED)["connections"].text
    kept = found(sample("tls-keep-alive-trunk"))["connections"]
    assert "480 of 500 requests" in kept.text
    refused = dataclasses.replace(reading(), keep_alive_requests=0)
    assert found(refused)["connections"].severity is Severity.WARNING


def test_a_rate_at_ab_s_own_limit_is_a_warning() -> None:
    """
    At 20 000 requests a second it may be ab that was measured.
    """
    fast = dataclasses.replace(reading(), requests_per_second=Printed(20000, 0.005))
    assert found(fast)["client"].severity is Severity.WARNING
    assert "single-threaded" in found(fast)["client"].text
    assert found(PUBLISHED)["client"].severity is Severity.OK
    secured = dataclasses.replace(reading(), tls_protocol="TLSv1.3")
    assert found(secured)["client"].text.startswith("Whether ab was the bottleneck is not known")


def test_more_requests_under_way_than_connections_are_no_load_as_planned() -> None:
    """
    Little's law leaves no room for them.
    """
    finding = found(PUBLISHED.replace("13 1707", "13 2707"))["under_way"]
    assert finding.severity is Severity.WARNING
    assert finding.text.startswith("Rate × mean time is 79.1 requests under way, more than the")


def test_idle_connections_are_a_warning() -> None:
    """
    A mean time of half of the mean latency says that half of the connections had nothing to do.
    """
    idle = PUBLISHED.replace("Total:         13 1707", "Total:         13  850")
    outcome = found(idle)["under_way"]
    assert outcome.severity is Severity.WARNING
    assert outcome.values["at_most_under_way"] == pytest.approx(24.8, abs=0.1)
    assert found(PUBLISHED)["under_way"].severity is Severity.OK
    assert found(PUBLISHED)["under_way"].text.startswith("The load had its concurrency of 50")


@pytest.mark.parametrize(
    ("duration_s", "concurrency", "words"),
    [(0.4, 5, "less than 1 s"), (30.0, 150, "1000 requests at concurrency 150"), (30.0, 100, None)],
)
def test_a_run_too_short_is_mostly_beginning_and_end(
    duration_s: float, concurrency: int, words: str | None
) -> None:
    """
    Less than a second, or fewer than ten requests one after another, is a warning.
    """
    short = dataclasses.replace(
        reading(), duration_s=Printed(duration_s, 0.0005), concurrency=concurrency
    )
    outcome = found(short)["duration"]
    assert outcome.severity is (Severity.WARNING if words else Severity.OK)
    assert (words or "10 requests in sequence") in outcome.text


def test_rounding_to_milliseconds_is_told_in_per_cent() -> None:
    """
    3 ms may be 2.5 or 3.5; 805 ms is precise enough.
    """
    outcome = found(sample("length-artefact"))["rounding"]
    assert outcome.severity is Severity.WARNING
    assert "50 % is 3 ms (±17 %)" in outcome.text
    assert outcome.values["error_percent"]["99"] == 5
    assert found(PUBLISHED)["rounding"].severity is Severity.OK
    nothing = dataclasses.replace(reading(), percentiles_ms={50: Printed(0, 0.5)})
    assert "50 % is 0 ms (no significant digit)" in found(nothing)["rounding"].text


def test_percentiles_on_too_few_requests_are_named() -> None:
    """
    Ten requests beyond p99 need 1000; 20 requests support the median alone.
    """
    assert found(PUBLISHED)["percentiles"].severity is Severity.OK
    few = found(sample("post-no-deviations"))["percentiles"]
    assert few.values["supported"] == [50]
    assert few.values["longest_request"] == [95, 98, 99]
    assert "99 % needs 1000 requests" in few.text
    assert "(-e) reads 99 % beyond" in few.text
    one_less = dataclasses.replace(reading(), requests_completed=999)
    assert found(one_less)["percentiles"].values["unsupported"] == [99]
    three = found(dataclasses.replace(reading(), requests_completed=3))["percentiles"]
    assert "3 requests support none of the percentiles: fewer than 10 lie beyond." in three.text


def test_an_excerpt_without_the_number_of_requests_is_checked_as_far_as_it_goes() -> None:
    """
    What could not be checked is named in one sentence, and no number of requests is made up.
    """
    excerpt = (
        "Concurrency Level: 50\nTime taken for tests: 2.000 seconds\n"
        "Requests per second: 2499.56 [#/sec] (mean)\nTime per request: 20.003 [ms] (mean)\n"
    )
    of = found(excerpt)
    assert of["identities"].values["holding"] == [
        "requests per second = concurrency / mean latency"
    ]
    assert of["excerpt"].text == (
        "Not checked, because lines are missing: reliability, connections, under way, duration, "
        "rounding, percentiles and tail."
    )
    assert "however many requests it has. It" in of["one_run"].text
    wrong = found(excerpt.replace("20.003", "10.003"))
    assert wrong["identity"].severity is Severity.ERROR
    head = found(PUBLISHED.partition("Server Software")[0])
    assert set(head) == {"read", "incomplete"}


def test_the_host_is_known_from_the_first_line_of_progress() -> None:
    """
    Also through a proxy; the line of the report is the better one.
    """
    for proxy in ("", "[through p:8080] "):
        head = "This is ApacheBench, Version 2.3 <$Revision$>\n"
        line = f"{head}Benchmarking h.example {proxy}(be patient)...socket: Too many (24)\n"
        assert "at h.example; path" in found(line)["read"].text
    assert reading(PUBLISHED.replace("Benchmarking ", "Benchmarking x")) == reading()


def test_a_table_of_the_longest_request_alone_is_too_little() -> None:
    """
    It names the line whose value it needs.
    """
    text = re.sub(r"\n +[5-9][0-9]% .*", "", PUBLISHED)
    assert found(text)["percentiles"].text == "Not checked: “50%” is missing or zero."


def test_times_that_round_to_nothing_are_less_than_one() -> None:
    """
    A mean connection time of 0 ms is not none.
    """
    text = sample("length-artefact")
    assert "mean connect less than 1 of " in found(text)["connections"].text


def test_one_run_has_no_interval() -> None:
    """
    A single text says nothing about another run.
    """
    assert found(PUBLISHED)["one_run"].values == {"runs": 1}
    assert "1000 requests" in found(PUBLISHED)["one_run"].text


def test_an_aborted_run_is_an_error_with_ab_s_reason() -> None:
    """
    What ab gave up has no result.
    """
    for name, words in (
        ("aborted", "after 37 requests: apr_socket_recv: Connection reset by peer (104)"),
        ("refused", "ab gave up: apr_socket_recv: Connection refused (111)"),
    ):
        assert words in found(sample(name))["aborted"].text
        assert found(sample(name))["aborted"].severity is Severity.ERROR


def test_a_reason_on_standard_error_is_missing_and_was_given() -> None:
    """
    Ab prints it there, and only the number of requests to standard output.
    """
    begun = PUBLISHED[: PUBLISHED.index(".....done")]
    finding = found(f"{begun}\nTotal of 199 requests completed\n")["aborted"]
    assert "after 199 requests: the text lacks the reason (standard error has it)" in finding.text


def test_a_run_without_a_complete_request_has_no_rate() -> None:
    """
    Ab prints none, so that none is missing.
    """
    none = PUBLISHED[: PUBLISHED.index("Requests per second")].replace("996", "0")
    none = none.replace("Complete requests:      1000", "Complete requests:      0")
    outcome = found(none)
    assert "incomplete" not in outcome
    assert outcome["reliability"].severity is Severity.ERROR


def test_an_interrupted_run_is_a_warning() -> None:
    """
    After Ctrl-C ab prints what it has, but never that it finished.
    """
    assert "interrupted" in found(PUBLISHED.replace(".....done", "..."))
    assert "interrupted" not in found(PUBLISHED)
    unfinished = sample("length-artefact").replace("Finished 1000 requests\n", "")
    assert "interrupted" in found(unfinished)


def test_ab_s_own_warnings_are_passed_on() -> None:
    """
    They are shown as ab's.
    """
    assert (
        "ab itself warns: “WARNING: " in found(sample("tls-keep-alive-trunk"))["own_warnings"].text
    )


SOUND = NETNS.replace("  50%    806\n", "  50%    901\n")
"""A run with nothing worse than notes."""


def test_exit_statuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    0 for notes at most, 10 for a warning or an error, 2 for what is not an output of ab.
    """
    sound = file(tmp_path, "sound", SOUND)
    assert main([sound]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    assert main([file(tmp_path, "published", PUBLISHED)]) == 10
    assert main([file(tmp_path, "empty", "")]) == 2
    assert "it is empty" in capsys.readouterr().out
    assert main([sound, str(tmp_path / "missing")]) == 2
    assert main([str(tmp_path)]) == 2
    assert main(["\0"]) == 2
    assert "No such file" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--arm", "a"], ["x", "x"], ["-", "--arm", "a", "-"]])
def test_wrong_options_are_explained(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """
    An arm without files, a name twice, and standard input twice have exit status 2.
    """
    with pytest.raises(SystemExit) as raised:
        main(wrong)
    assert raised.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_arms_have_names_and_several_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The first word after --arm is its name, and the outputs in its files are its runs.
    """
    one = file(tmp_path, "one", NETNS + NETNS.replace("54.07", "54.08"))
    two = file(tmp_path, "two", NETNS)
    three = file(tmp_path, "three", PUBLISHED)
    assert main(["--arm", "raw", one, two, "--arm", "docker", three]) == 10
    text = capsys.readouterr().out
    assert f"{one} (output 2)" in text
    assert "(docker 29.213/s (1 run) against raw 54.07" in " ".join(text.split())


def test_standard_input_is_the_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Without a file, what is piped in is audited.
    """
    piped = SimpleNamespace(buffer=io.BytesIO(PUBLISHED.encode()), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", piped)
    assert main([]) == 10
    assert capsys.readouterr().out.startswith("standard input\n  ok       read: ApacheBench 2.3")


def as_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Any:  # noqa: ANN401
    """
    The JSON that is printed, which agrees with the exit status.
    """
    status = main([*arguments, "--json"])
    whole = json.loads(capsys.readouterr().out)
    assert whole["exit_status"] == status
    return whole


def test_json_has_stable_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Scripts find every file, reading and finding, and null for what is not there.
    """
    whole = as_json(
        [file(tmp_path, "d", PUBLISHED), file(tmp_path, "n", NETNS), str(tmp_path)], capsys
    )
    assert list(whole) == ["format", "exit_status", "files", "comparison"]
    docker, _, unreadable = whole["files"]
    assert list(docker) == ["name", "error", "outputs"]
    assert unreadable["error"] == "cannot be read: Is a directory"
    (output,) = docker["outputs"]
    assert list(output) == ["name", "reading", "findings"]
    assert output["reading"]["requests_per_second"] == 29.21
    assert output["reading"]["percentiles_ms"]["50"] == 805
    assert output["reading"]["workers"] is None
    for finding in (*output["findings"], *whole["comparison"]):
        assert list(finding) == ["check", "severity", "text", "values"]
        assert finding["severity"] in {"ok", "note", "warning", "error"}
    assert {"difference", "order"} <= {finding["check"] for finding in whole["comparison"]}


def test_an_ascii_terminal_and_a_closed_pipe_are_survived(tmp_path: Path) -> None:
    """
    Neither an encoding without “×” nor a reader that leaves makes a traceback.
    """
    command = [sys.executable, "-m", "analysis.audit", file(tmp_path, "p", PUBLISHED)]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (10, "")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            command, cwd=root, stdout=closed, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (10, "")


def test_numbers_that_contradict_each_other_are_said_to_be_taken_as_printed() -> None:
    """
    Before anything is said that stands on them.
    """
    edited = audit(reading(PUBLISHED.replace("29.21", "92.21")))
    checks = [finding.check for finding in edited]
    assert checks.index("contradiction") == checks.index("identity") - 1 < checks.index("tail")
    assert "takes each of them as it is printed" in edited[checks.index("contradiction")].text
    assert "contradiction" not in found(PUBLISHED)


def test_failures_without_an_answer_are_named() -> None:
    """
    All complete requests may be good, and some attempts to connect have failed.
    """
    one = dataclasses.replace(reading(), failed_connect=1, failed_exceptions=7, failed_length=0)
    named = found(dataclasses.replace(one, requests_failed=8))
    assert named["connect"].text.startswith("1 attempt to connect failed (“Connect”): ab tries")
    assert named["exceptions"].text.startswith("The kernel reported 7 errors of connections")
    assert not {"connect", "exceptions"} & set(found(PUBLISHED))


def test_no_list_of_missing_values_is_empty() -> None:
    """
    A table may be there without what is needed of it.
    """
    longest = dataclasses.replace(reading(), percentiles_ms={100: Printed(19310, 0.5)})
    assert found(longest)["percentiles"].text == "Not checked: “50%” is missing or zero."
    rows = {
        row: {name: columns[name] for name in ("min", "mean", "max")}
        for row, columns in reading().connection_times_ms.items()
    }
    old = dataclasses.replace(reading(), version="2.0.41-dev", connection_times_ms=rows)
    assert found(old)["under_way"].text == "Not checked: “Total, mean” is missing or zero."
    assert "mean connect" not in found(old)["connections"].text

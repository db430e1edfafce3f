"""
The audit's reader: other encodings, other tools, cut, joined and hostile texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.audit.__main__ import main
from analysis.audit.arms import Arm
from analysis.audit.checks import audit
from analysis.audit.comparison import compare
from analysis.audit.findings import Severity
from analysis.audit.printing import as_json, as_text
from analysis.audit.result import Result, audited
from analysis.audit.sources import HALF_BYTES, LARGEST_OUTPUTS, source_of
from experiments.records.ab.numbers import Printed, read_count, read_decimal
from tests.unit.test_audit import NETNS, PUBLISHED, SAMPLES, reading, sample

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = [PUBLISHED, *(path.read_text() for path in sorted(SAMPLES.glob("*.txt")))]


def audit_whole(data: bytes) -> None:
    """
    All that the command does with the content of a file.
    """
    source = source_of("x", data)
    arms = [Arm("x", source.outputs), Arm("y", [reading(), reading()])]
    result = Result([audited(source)], compare(arms) if source.outputs else [])
    as_text(result)
    as_json(result)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_survived(data: bytes) -> None:
    """
    Whatever is not an output of ab is said not to be one.
    """
    source = source_of("x", data)
    assert not source.outputs
    assert source.error is not None
    assert source.error.startswith("this is not an output of ab: it ")


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.sampled_from(TEXTS), st.data())
def test_any_truncation_is_survived_and_contradicts_nothing(text: str, data: st.DataObject) -> None:
    """
    A text that ends anywhere lacks something, but accuses no number of being wrong.
    """
    cut = text.encode()[: data.draw(st.integers(0, len(text.encode())))]
    audit_whole(cut)
    findings = [finding for output in source_of("x", cut).outputs for finding in audit(output)]
    assert "identity" not in {finding.check for finding in findings}


NUMBERS = st.sampled_from(
    ["0", "-1", "nan", "inf", "1e999", "9" * 15, "9" * 5000, "0.0001", "", "x", "1,5", "٣", "0.000"]
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.sampled_from(TEXTS), st.lists(st.tuples(st.integers(0, 50), NUMBERS), max_size=12))
def test_any_numbers_are_survived(text: str, changes: list[tuple[int, str]]) -> None:
    """
    Zero, negative, infinite, huge and senseless numbers make no traceback, in text or in JSON.
    """
    lines = text.splitlines()
    for where, number in changes:
        line = lines[where % len(lines)]
        label, colon, value = line.partition(":")
        changed = [number, *value.split()[1:]]
        lines[where % len(lines)] = f"{label}{colon} {' '.join(changed)}" if colon else number
    audit_whole("\n".join(lines).encode() + b"\n")


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.sampled_from(TEXTS), st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=4))))
def test_any_damage_is_survived(text: str, changes: list[tuple[int, bytes]]) -> None:
    """
    Bytes that were overwritten make no traceback.
    """
    data = bytearray(text.encode())
    for where, damage in changes:
        start = where % len(data)
        data[start : start + len(damage)] = damage
    audit_whole(bytes(data))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "latin-1"])
def test_other_encodings_and_line_ends_are_read(encoding: str) -> None:
    """
    What a shell of another system redirects is the same output.
    """
    text = PUBLISHED.replace("Werkzeug/3.1.3", "Zürich/1").replace("\n", "\r\n")
    (found,) = source_of("x", text.encode(encoding)).outputs
    assert found.requests_per_second == Printed(29.21, 0.005)
    assert found.percentiles_ms[100].value == 19310
    assert found.server_software is not None
    assert found.server_software.startswith("Z")


def test_escapes_quoting_and_progress_are_passed_over() -> None:
    """
    Colours, a mail's marks and a heartbeat change nothing.
    """
    plain = reading(sample("length-artefact"))
    coloured = "".join(
        f"\x1b[1;31m{line}\x1b[0m\n" for line in sample("length-artefact").split("\n")
    )
    quoted = "".join(f"> {line}\n" for line in sample("length-artefact").split("\n"))
    assert reading(coloured) == plain
    assert reading(quoted) == plain


def test_decimal_commas_are_read() -> None:
    """
    A number of another language is the same number.
    """
    text = PUBLISHED.replace("29.21", "29,21").replace("1711.550", "1.711,550")
    assert (
        reading(text.replace("Complete requests:      1000", "Complete requests: 1.000"))
        == reading()
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [("12,34", 12.34), ("1,401.95", 1401.95), ("3 [ms]", 3.0), ("0.713 seconds", 0.713)],
)
def test_amounts_are_read(text: str, value: float) -> None:
    """
    With the place to which they are rounded.
    """
    number = read_decimal(text)
    assert number is not None
    assert number.value == value


@pytest.mark.parametrize("text", ["nan", "inf", "-3", "1e5", "", "12.34.56", "9" * 16, "٣"])
def test_what_is_no_amount_is_not_there(text: str) -> None:
    """
    Such a number is None, and its label is named.
    """
    assert read_decimal(text) is None
    assert read_count(text) is None
    unreadable = reading(PUBLISHED.replace("34.231 seconds", text))
    assert unreadable.duration_s is None
    assert unreadable.unreadable == ("Time taken for tests",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ("\n \n", "it holds nothing that can be seen"),
        ('{"rps": 3}', "it looks like JSON"),
        (
            "zsh: command not found: ab\n",
            "it looks like a shell's message that ab is not installed",
        ),
        ("AB(1)    ab    AB(1)\n", "it looks like ab's manual page"),
        ('.TH "AB" 1 "2026-04-30"\n', "it looks like ab's manual page"),
        ("\0" * 3000, "it holds nothing that can be seen"),
        ("\x7fELF\2\1", "it is a program: audit the text that it prints"),
        ("Beginning round 1...\n", "it looks like the output of rewrk"),
        ("Total requests    5\nSuccessful requests   5\n", "it looks like the output of drill"),
        ("Running 10s test @ http://x/\n  2 threads\n", "the output of wrk"),
        ("starting benchmark...\nfinished in 1.0s, 10 req/s\n", "the output of h2load"),
        ("\nSummary:\n  Total: 1.2 secs\n", "the output of hey"),
        ("Percentage served,Time in ms\n0,1.0\n", "percentile file (-e)"),
        ("starttime\tseconds\tctime\n", "gnuplot file (-g)"),
        ("Complete requests:      %d\n<th colspan=2 %s>Server Software:</th>", "its source"),
        ("<table >\n<tr ><th colspan=2 >Server Software:</th>", "HTML (-w)"),
        ("hello\x1b[2J\x07 world", "it begins “hello? world”"),
    ],
)
def test_other_texts_are_recognised(text: str, words: str) -> None:
    """
    What was given instead is named, without its control characters.
    """
    assert words in str(source_of("x", text.encode()).error)


def test_a_run_that_gave_up_at_once_has_one_line() -> None:
    """
    Without its headline, too.
    """
    line = "Benchmarking x (be patient)...apr_sockaddr_info_get() for x: Name not known (670002)\n"
    (output,) = source_of("x", line.encode()).outputs
    assert output.failure is not None
    assert "Name not known" in output.failure


def test_a_summary_of_a_run_is_no_further_run() -> None:
    """
    Its numbers are those of the run, rounded or not; other numbers are another run.
    """
    summary = (
        "== summary ==\nConcurrency Level: 50\nTime taken for tests: 34.2 seconds\n"
        "Complete requests: 1000\nRequests per second: 29.2 [#/sec] (mean)\n"
    )
    source = source_of("x", f"{PUBLISHED}\n{summary}".encode())
    assert len(source.outputs) == 1
    assert "summary" in [finding.check for finding in source.notes[0]]
    another = source_of("x", f"{PUBLISHED}\n{summary.replace('29.2', '29.4')}".encode())
    assert len(another.outputs) == 2


def test_a_label_within_a_path_is_no_line_of_its_own() -> None:
    """
    A query may have any words.
    """
    path = "/a?Failed requests: 5"
    (output,) = source_of("x", PUBLISHED.replace("/api/products", path).encode()).outputs
    assert output.document_path == path
    assert output.requests_failed == 996


def test_several_outputs_in_one_file_are_told_apart() -> None:
    """
    With headlines or without, each is read for itself.
    """
    headless = PUBLISHED[PUBLISHED.index("Server Software") :]
    other = headless.replace("29.21", "29.22")
    source = source_of("x", (PUBLISHED + other + headless).encode())
    rates = [output.requests_per_second for output in source.outputs]
    assert [rate.value for rate in rates if rate] == [29.21, 29.22, 29.21]


def test_huge_files_are_read_at_both_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    What is between the two halves, or after two hundred outputs, is not read, and it is said so.
    """
    path = tmp_path / "huge"
    filler = b"A " * (2 * HALF_BYTES)
    path.write_bytes(PUBLISHED.encode() + filler + b"\n" + NETNS.encode())
    assert main([str(path)]) == 10
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "Only the first 0.5 MB, the last 0.5 MB and up to 0.5 MB near lines of ab were read of 2 MB"
        in (printed)
    )
    assert "server Werkzeug/3.1.3 at" in printed
    assert "54.07" in printed
    assert "29.21" in printed
    path.write_text(PUBLISHED * (LARGEST_OUTPUTS + 10))
    assert main([str(path)]) == 10
    assert f"Only the first {LARGEST_OUTPUTS} outputs" in capsys.readouterr().out


def test_hostile_names_do_not_reach_the_terminal() -> None:
    """
    What a server calls itself is shown without control characters, and cut after 80 of them.
    """
    text = PUBLISHED.replace("Werkzeug/3.1.3", "evil\x07\x08" + "x" * 300)
    assert f"server evil??{'x' * 73}… at" in audit(reading(text))[0].text
    assert str(reading(text).server_software).isprintable()


def test_an_older_breakdown_of_failures_is_read() -> None:
    """
    Before 2.2 ab counted no receive failures.
    """
    found = reading(PUBLISHED.replace("Receive: 0, ", ""))
    assert (found.failed_receive, found.failed_length) == (0, 996)
    assert all(finding.severity is not Severity.ERROR for finding in audit(found))

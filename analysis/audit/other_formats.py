"""
What a text that holds no output of ab is instead: another tool's output, or another file of ab.
"""

from __future__ import annotations

import re

from analysis.audit.findings import shortened
from analysis.audit.markup import ESCAPES
from analysis.audit.prefixes import ANCHOR

SAMPLE_CHARACTERS = 100_000
SHOWN_CHARACTERS = 60

AB_HTML = re.compile(
    r"(?i)<th colspan=2[^<>]{0,200}>\s{0,20}(?:Server Software|Document Path):\s{0,20}</th"
)
"""A row of the table that ab prints with -w."""

AB_ITSELF = re.compile(r"Complete requests: +%")
"""What ab's program and its source have where ab prints a number."""

FORMATS = {
    "ab's percentile file (-e); the audit reads the text that ab printed": (
        r"(?m)^Percentage served,Time in ms"
    ),
    "ab's gnuplot file (-g); the audit reads the text that ab printed": (
        r"(?m)^starttime\s+seconds\s+ctime"
    ),
    "the usage message of ab: it did not run": (
        r"Usage: \S*ab\S* \[options\] \[?http|ab: (?:wrong number of arguments|invalid URL)"
        r"|ab: Cannot use concurrency level"
    ),
    "a shell's message that ab is not installed": (
        r"(?i)\bab: (?:command )?not found|command not found: ab\b"
        r"|.ab. is not recognized as|command .ab. not found"
    ),
    "ab's manual page": r"(?m)\AAB\(1\)|^\.TH \"?AB\"? ",
    "the JSON of k6": r'"http_req_duration"|\A\s*\{"type":\s*"(?:Metric|Point)"',
    "the JSON of oha": r'"successRate":',
    "the JSON of vegeta": r'"latencies":\s*\{\s*"total":|\A\s*\{"attack":',
    "the JSON of bombardier": r'"numberOfConnections":',
    "the JSON of autocannon": r'"requests":\s*\{\s*"average":[^{}]*"(?:p2_5|p1|mean)":',
    "the JSON of siege": r'"transactions":\s*[0-9]+,\s*"availability":',
    "the JSON of wrk or of another tool": r'"requests_?[pP]er_?[sS]ec(?:ond)?":',
    "the output of autocannon": (
        r"(?s)Running .{1,40} test @ .{1,300}[0-9] connections(?:\n\n| with [0-9]+ pipelining)"
        r"|Req/Bytes counts sampled once per second|[│|] Stat +[│|] 2\.5%"
    ),
    "the output of wrk2": r"Thread calibration: mean lat|Recorded Latency\)|HdrHistogram - ",
    "the output of wrk": r"Running .{1,40} test @ |Thread Stats +Avg +Stdev",
    "the output of rewrk": r"Beginning round [0-9]+\.\.\.",
    "the output of drill": r"(?m)^Total requests +[0-9]+\s+Successful requests +[0-9]",
    "the output of boom": r"-------- Results --------\s+Successful calls",
    "the output of weighttp": r"weighttp|finished in [0-9]+ sec, [0-9]+ millisec",
    "the output of h2load": (
        r"starting benchmark\.\.\.|finished in [0-9.]+m?u?s, [0-9.]+ req/s"
        r"|time for request: +[0-9.]+"
    ),
    "the output of oha": r"Success rate:\s+[0-9.]+|Response time distribution:",
    "the output of hey": (
        r"(?m)Summary:\s*\n.{0,80}Total:\s+[0-9.]+ secs|Status code distribution:"
        r"|Details \(average, fastest, slowest\)"
    ),
    "the output of bombardier": (
        r"Bombarding http|Statistics +Avg +Stdev +Max|Reqs/sec +[0-9.]+ +[0-9.]+"
    ),
    "the output of siege": r"\*\* SIEGE|Transactions:\s+[0-9]+ hits|Longest transaction:",
    "the output of Gatling": r"---- Global Information -|> request count +[0-9]+ \(OK=",
    "the output of vegeta": r"Requests\s+\[total, rate|Bytes In\s+\[total, mean\]",
    "the output of k6": r"http_reqs?[._a-z]*: |iteration_duration\.*: avg=",
    "the output of JMeter": (
        r"summary [=+] +[0-9]+ in +[0-9:.]+s? = |timeStamp,elapsed,label,|<testResults version="
        r"|Label,# Samples,Average"
    ),
    "the output of Locust": (
        r"# reqs +# fails|Type,Name,Request Count,Failure Count|Response time percentiles \(approx"
    ),
    "the output of httperf": r"httperf --|Maximum connect burst length:|Reply rate \[replies/s\]:",
    "the output of Fortio": r"Fortio [0-9.]+ running at|All done [0-9]+ calls",
    "the output of Artillery": r"http\.response_time:|Summary report @",
    "the output of tsung": r"name=tsung|Tsung ",
    "the output of redis-benchmark": r"====== [A-Z_]+ .*======",
    "the output of pgbench": r"(?m)^tps = [0-9.]+",
    "the output of hyperfine": r"(?m)^Benchmark (?:#?[0-9]+): ",
    "the status page of Apache's server": r"Apache Server Status for|Scoreboard Key:",
    "JSON": r"\A\s*[{\[]\s*[\"{\[]",
    "HTML": r"(?i)\A\s*<(?:!doctype html|html)",
}
"""Each format by the end of a sentence that names it."""

MAGIC = {
    b"\x7fELF": "a program: audit the text that it prints",
    b"\x1f\x8b": "compressed with gzip: unpack it",
    b"PK\x03\x04": "a ZIP archive: unpack it",
    b"BZh": "compressed with bzip2: unpack it",
    b"\xfd7zXZ": "compressed with xz: unpack it",
    b"(\xb5/\xfd": "compressed with zstd: unpack it",
    b"%PDF": "a PDF: copy the text of ab out of it",
    b"\x89PNG": "a picture: the audit reads text",
    b"\xff\xd8\xff": "a picture: the audit reads text",
    b"GIF8": "a picture: the audit reads text",
}
"""What the first bytes of a file say that it is."""


def describe(data: bytes, text: str) -> str:
    """
    What the content of a file looks like, as the end of a sentence.
    """
    for magic, name in MAGIC.items():
        if data.startswith(magic):
            return f"it is {name}"
    text = ESCAPES.sub("", text).replace("\0", "").strip()
    if not text:
        return "it holds nothing that can be seen" if data else "it is empty"
    for name, mark in FORMATS.items():
        if re.search(mark, text[:SAMPLE_CHARACTERS]):
            return f"it looks like {name}"
    if match := ANCHOR.search(text):
        line = text[text.rfind("\n", 0, match.start()) + 1 :].split("\n", 1)[0]
        shown = shortened(line.strip(), SHOWN_CHARACTERS)
        return f"it has lines like those of ab, but no output of it; the first is “{shown}”"
    return f"it begins “{shortened(text.splitlines()[0].strip(), SHOWN_CHARACTERS)}”"

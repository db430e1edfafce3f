"""
What every field of a record is, with its unit and what is known of its values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.schema import shapes_of_run as of_run
from analysis.schema import shapes_of_trial as of_trial
from analysis.schema.words import NAMES, PAIR, by_name, listed, number, said
from experiments.records import (
    COMPLETE,
    ERROR,
    FAILED,
    INTERRUPTED,
    OK,
    PROBES,
    RUNNING,
    SCHEMA_VERSION,
    LoadResult,
    Manifest,
    OpenLoad,
    Pulse,
    TrialRecord,
)

if TYPE_CHECKING:
    from analysis.schema.words import Schema

TITLES = {
    LoadResult: "What a load generator measured over one load",
    OpenLoad: "One load whose requests were sent by a schedule",
    Pulse: "What was seen while a load ran, one value a beat, in the order of time",
    TrialRecord: "One fresh deployment of one variant, loaded once, torn down",
    Manifest: "Everything about a run that is not a trial",
}

_LEAST_0 = {"minimum": 0}
_LEAST_1 = {"minimum": 1}
_POSITIVE = {"exclusiveMinimum": 0}
_SHARE = {"exclusiveMinimum": 0, "maximum": 1}
_VERSION = said("version of this schema", const=SCHEMA_VERSION)

FIELDS: dict[type, dict[str, Schema]] = {
    LoadResult: {
        "tool": said("the load generator", minLength=1),
        "command": said("the command that ran it", minItems=1),
        "requests": said("requests that were asked for", **_LEAST_1),
        "concurrency": said("requests under way at once", **_LEAST_1),
        "requests_completed": said("requests that were completed", **_LEAST_0),
        "requests_failed": said(
            "requests that the tool counts as failed, also for a body of another length", **_LEAST_0
        ),
        "requests_ok": said("requests with a 2xx answer and without an error", **_LEAST_0),
        "responses_non_2xx": said("answers with another status", **_LEAST_0),
        "duration_s": said("duration of the load, in seconds", **_POSITIVE),
        "requests_per_second": said("completed requests over the duration", **_POSITIVE),
        "latency_mean_us": said(
            "mean over requests, from the connection's start to its last byte, in microseconds",
            **_LEAST_0,
        ),
        "latency_p50_us": said("median over requests, in microseconds", **_LEAST_0),
        "latency_p90_us": said("90th percentile over requests, in microseconds", **_LEAST_0),
        "latency_p99_us": said("99th percentile over requests, in microseconds", **_LEAST_0),
        "latency_max_us": said("the slowest request, in microseconds", **_LEAST_0),
        "details": said("everything that the tool printed, parsed; by tool"),
    },
    OpenLoad: {
        "fraction": said(
            "share of the trial's own closed-loop capacity; null for the rate that all variants "
            "have in common",
            **_POSITIVE,
        ),
        "rate_per_s": said("rate that was asked for, in requests per second", **_POSITIVE),
        "requests": said("requests of the schedule", **_LEAST_1),
        "requests_completed": said("requests that were completed", **_LEAST_0),
        "requests_ok": said("requests with a 2xx answer and without an error", **_LEAST_0),
        "achieved_per_s": said(
            "completed requests over the time from the first one's intended start to the last "
            "one's end, per second",
            **_LEAST_0,
        ),
        "latest_us": said(
            "how long after its intended start the latest request was sent, in microseconds"
        ),
        "log": said("file of the run with one line for each request", minLength=1),
    },
    Pulse: {
        "at_s": said("when, in seconds since the load began"),
        "opened": listed(
            "connections that the client had opened since then", {"type": "integer", **_LEAST_0}
        ),
        "work_us": listed(
            "time that a fixed piece of work takes uninterrupted on the stack's CPUs, in µs",
            {"type": "number", **_POSITIVE},
        ),
    },
    TrialRecord: {
        "number": said("of the trial in its run, from 1", **_LEAST_1),
        "block": said("of the block, from 1; 0 for trials that are no results", **_LEAST_0),
        "position": said("of the trial in its block, from 1; 0 where that is 0", **_LEAST_0),
        "variant": said("name of the variant", minLength=1),
        "status": said("whether there is a result", enum=[OK, ERROR]),
        "started_at": said("in seconds since the epoch", **_LEAST_0),
        "phases_s": by_name("how long each phase took, in seconds", number("seconds")),
        "check": of_trial.CHECK,
        "placement": of_trial.PLACEMENT,
        "load": said("the load that counts; null exactly where the status is an error"),
        "facts": of_trial.FACTS,
        "allowed": said("differences that no variant declares and the user allows"),
        "path": of_trial.PATH,
        "cpu": of_trial.CPU,
        "first_answer_s": said(
            "from the making of the stack's networks to the first good answer, in seconds",
            **_POSITIVE,
        ),
        "cold": said("load of the very first requests, before any warm-up"),
        "pulse": said("what was seen while the load ran"),
        "open_loads": said("loads by schedule, after the load that counts"),
        "repeated_us": listed(
            "what a pilot's further loads of the same deployment took, in microseconds per request",
            {"type": "number", **_POSITIVE},
        ),
        "failed_phase": said("the phase in which a fault came up; empty without one"),
        "error": said("what the fault was; empty without one"),
        "schema_version": _VERSION,
    },
    Manifest: {
        "run": said("name of the run, which begins with its date and time (UTC)", minLength=1),
        "state": said(
            "how it stands; one that is running when nobody runs it was killed",
            enum=[COMPLETE, INTERRUPTED, FAILED, RUNNING],
        ),
        "seed": said("what orders and schedules are drawn from"),
        "profile": said("how much was asked for"),
        "blocks": said("how many blocks there are to be at least", **_LEAST_1),
        "minutes": said("no block begins that would not end within so many minutes", **_LEAST_0),
        "requests": said("requests of each trial's load", **_LEAST_1),
        "concurrency": said("requests under way at once", **_LEAST_1),
        "warmup_requests": said("requests before those that count", **_LEAST_0),
        "any_length": said("whether an answer may have another length than the first one"),
        "workload": of_run.WORKLOAD,
        "variants": listed("the variants as declared", of_run.VARIANT),
        "comparisons": listed("the comparisons as declared", of_run.COMPARISON),
        "variants_file": said("file of the run that declares the user's own variants; else empty"),
        "machine": of_run.MACHINE,
        "userland": of_run.USERLAND,
        "git": of_run.GIT,
        "created_at": said("in seconds since the epoch", **_LEAST_0),
        "half_width": said(
            "half-width that the focal intervals are to reach, of the logarithm of a ratio; null "
            "where the number of blocks was all that was asked for",
            **_POSITIVE,
        ),
        "focal": listed("pairs of baseline and treatment that the run is for", PAIR),
        "margin": said("relative difference that is taken to be none", **_POSITIVE),
        "together": listed("pairs whose trials follow each other in a block", PAIR),
        "order": listed(
            "the blocks that were begun, each with its variants in the order of their trials",
            NAMES,
        ),
        "ending": said("why no further block was begun"),
        "ladders": listed("the ladders as declared", of_run.LADDER),
        "wholes": listed("what ladders should add up to, as declared", of_run.WHOLE),
        "allowed": said("facts in which trials may differ undeclared"),
        "probes": said("of which trials parity, path and CPU cost are looked at", enum=[*PROBES]),
        "open_fractions": listed(
            "shares of a trial's own capacity at which it is loaded by schedule",
            {"type": "number", **_SHARE},
        ),
        "open_requests": said("requests of each load by schedule", **_LEAST_0),
        "common_rate_per_s": said(
            "rate by schedule that is the same for all, in requests per second; null without one",
            **_POSITIVE,
        ),
        "pilot": of_run.PILOT,
        "artefact": said(
            "the variant that is loaded before it is up, after the last block; empty for none"
        ),
        "search": of_run.SEARCH,
        "finished_at": said("in seconds since the epoch; null before that", **_LEAST_0),
        "environment": of_run.ENVIRONMENT,
        "network_state": of_run.NETWORK_STATE,
        "note": said("why it did not end as planned; else empty"),
        "schema_version": _VERSION,
    },
}

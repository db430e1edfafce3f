"""
Shapes of the tables in a trial's record, as far as they are certain; the rest is left open.
"""

from __future__ import annotations

from analysis.schema.words import (
    CPUS,
    LINES,
    NAMES,
    SHA256,
    Schema,
    by_name,
    flag,
    number,
    or_empty,
    said,
    shape,
    signed,
    string,
    unknown_too,
    whole,
)

ANSWER: dict[str, Schema] = {
    "status": whole("HTTP status", 100),
    "body_bytes": whole("length of the body, in bytes"),
    "body_sha256": {**SHA256, **said("SHA-256 of the body")},
}

CHECK = or_empty(
    shape(
        "the answer that was looked at before the load; empty where a trial did not get so far",
        {
            **ANSWER,
            "answers": whole("how many answers were looked at", 1),
            "server": string("the Server header"),
            "address": string("what was loaded: host and port"),
        },
    )
)

PLACEMENT = shape(
    "the CPUs of client and stack",
    {
        "client": {**CPUS, **said("CPUs of the client, by their numbers")},
        "stack": {**CPUS, **said("CPUs of the stack and of all that Docker runs for it")},
        "apart": flag("whether they have none in common"),
        "pinned": flag("whether processes are bound to them"),
    },
    {
        "processes": whole("how many processes of the stack were looked at, and are there", 1),
    },
)

TIME = shape(
    "CPU time of one part",
    {"user_s": number("in user mode, in seconds"), "system_s": number("in the kernel, in seconds")},
)

CPU = or_empty(
    shape(
        "where CPU time was spent during all loads; empty where that was not looked at",
        {
            "duration_s": number("between the readings of the counters, in seconds"),
            "parts": by_name("by part: services, client, runner, Docker's", TIME),
            "machine_s": by_name(
                "columns of /proc/stat over all CPUs, in seconds; the kernel lets some of them "
                "fall",
                signed("seconds"),
            ),
            "interrupts_apart": {
                "type": ["boolean", "null"],
                **said(
                    "whether the kernel takes interrupts off the tasks that they interrupt; null "
                    "where it does not tell"
                ),
            },
            "unaccounted_s": signed("what the machine was busy with beyond all parts, in seconds"),
            "context_switches": whole("of the whole machine"),
            "throttled_s": by_name("standing still at a limit, by part", number("seconds")),
            "client_share": number("share of the time for which the client used its CPU"),
        },
    )
)

PATH = or_empty(
    shape(
        "what was counted on the way of the requests, in the network namespace of the host; empty "
        "where that was not looked at",
        {
            "links": by_name("packets received and sent, by link", whole("packets", None)),
            "kinds": by_name("what each link is", {"type": "string"}),
            "forwarded": whole("packets that were routed on to another link", None),
            "translated": whole("connections whose destination was translated", None),
            "accepted": whole("connections that were accepted there", None),
            "tracked": whole("by how much the entries of connection tracking grew", None),
            "proxies": whole("docker-proxies that there were"),
            "proxy_s": signed("their CPU time, in seconds"),
        },
    )
)

SERVICE_FACTS = shape(
    "what one service really is, by its first process",
    {},
    {
        "command": LINES,
        "environment": by_name("environment variables", {"type": "string"}),
        "interpreter": {**SHA256, **said("SHA-256 of the program's file")},
        "packages": {**SHA256, **said("SHA-256 over the records of all Python packages")},
        "processes": whole("how many processes it has", 1),
        "cpu_limit": unknown_too(number("CPUs whose time it may take; null for no limit")),
        "memory_limit_bytes": unknown_too(whole("bytes that it may take; null for no limit")),
        "namespaces": {**NAMES, **said("kinds of namespaces of its own")},
        "sysctls": by_name("settings of its network namespace", {"type": "string"}),
    },
    closed=False,
)

FACTS = {
    **by_name("what really ran, by service; empty where that was not looked at", SERVICE_FACTS),
    "properties": {
        "stack": shape(
            "what belongs to no service",
            {
                "answer": shape("of the answer that was looked at", ANSWER),
                "helpers": {**NAMES, **said("kinds of processes beside the services")},
            },
        )
    },
}

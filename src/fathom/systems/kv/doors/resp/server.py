"""What a node says of itself: PING, TIME, COMMAND, CONFIG GET, INFO."""

from __future__ import annotations

import os
import platform
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .asked import integer
from .clients import REDIS_VERSION
from .command import Command
from .glob import matcher
from .limits import COUNTED_MAX, PATTERN_BYTES_MAX
from .operating import Operated
from .replies import OK, Status, Text, Wrong, bulk
from .scanning import counted

if TYPE_CHECKING:
    from .session import Session

__all__ = ["COMMANDS", "about_commands"]

Words = list[bytes]


def ping(client: Session, args: Words) -> bytes:
    if len(args) > 2:
        raise Wrong("ERR wrong number of arguments for 'ping' command")
    return bulk(args[1]) if len(args) == 2 else b"+PONG\r\n"


def select(client: Session, args: Words) -> bytes:
    if integer(args[1]) != 0:
        raise Wrong("ERR SELECT is not allowed in cluster mode")
    return OK


def now(client: Session, args: Words) -> list[bytes]:
    seconds, micros = divmod(time.time_ns() // 1_000, 1_000_000)
    return [b"%d" % seconds, b"%d" % micros]


# CONFIG --------------------------------------------------------------------------------------------------------------


def config_get(client: Session, args: Words) -> dict[str, str]:
    limits = client.limits
    known = {
        "appendonly": "yes",
        "cluster-enabled": "yes",
        "databases": "1",
        "maxclients": str(limits.connections_max),
        "maxmemory": "0",
        "proto-max-bulk-len": str(limits.bulk_bytes_max),
        "save": "",
        "timeout": str(int(limits.idle_s)),
    }
    if sum(len(pattern) + 1 for pattern in args[2:]) > PATTERN_BYTES_MAX:
        raise Wrong(f"ERR patterns of at most {PATTERN_BYTES_MAX:,} bytes are taken at once")
    fits = [matcher(pattern.lower()) for pattern in args[2:]]
    return {name: value for name, value in known.items() if any(fit(name.encode()) for fit in fits)}


# INFO ----------------------------------------------------------------------------------------------------------------


def info(client: Session, args: Words) -> Any:
    """INFO [section …]."""
    wanted = {arg.lower().decode("utf-8", "replace") for arg in args[1:]}
    return _info(client, wanted - {"default", "all", "everything"} if wanted else set())


async def _info(client: Session, wanted: set[str]) -> Text:
    told: list[str] = []
    for section, facts in _SECTIONS.items():
        if not wanted or section in wanted:
            lines = [f"{name}:{value}\r\n" for name, value in facts(client).items()]
            told.append(f"# {section.capitalize()}\r\n{''.join(lines)}")
    if (not wanted or "store" in wanted) and isinstance(client.store, Operated):
        figures = await client.store.figures()
        told.append("# Store\r\n" + "".join(f"{name}:{count}\r\n" for name, count in figures.items()))
    if not wanted or "keyspace" in wanted:
        try:
            count = await counted(client.store, COUNTED_MAX)
        except Wrong:  # it is of no cluster yet
            count = 0
        more = ",more=1" if count >= COUNTED_MAX else ""
        told.append("# Keyspace\r\n" + (f"db0:keys={count},expires=0,avg_ttl=0{more}\r\n" if count else ""))
    return Text("\r\n".join(told))


def _server(client: Session) -> dict[str, Any]:
    door = client.door
    up_s = int(time.monotonic() - door.since_s)
    return {
        "redis_version": REDIS_VERSION,
        "server_name": "fathom-kv",
        "redis_mode": "cluster",
        "os": platform.system(),
        "process_id": os.getpid(),
        "run_id": door.run_id,
        "tcp_port": door.port,
        "uptime_in_seconds": up_s,
        "uptime_in_days": up_s // 86_400,
        "node": client.store.me,
    }


def _clients(client: Session) -> dict[str, Any]:
    door = client.door
    return {
        "connected_clients": len(door.connections),
        "maxclients": client.limits.connections_max,
        "blocked_clients": sum(connection.waits for connection in door.connections),
    }


def _memory(client: Session) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024
    statm = Path("/proc/self/statm")
    rss = int(statm.read_text().split()[1]) * resource.getpagesize() if statm.exists() else peak
    return {"used_memory": rss, "used_memory_rss": rss, "used_memory_peak": max(peak, rss), "maxmemory": 0}


def _stats(client: Session) -> dict[str, Any]:
    door = client.door
    return {
        "total_connections_received": door.received,
        "total_commands_processed": door.commands,
        "rejected_connections": door.rejected,
        "total_error_replies": door.errors,
        "evicted_clients": door.evicted,
    }


_SECTIONS = {
    "server": _server,
    "clients": _clients,
    "memory": _memory,
    "stats": _stats,
    "cluster": lambda client: {"cluster_enabled": 1},
}


# COMMAND -------------------------------------------------------------------------------------------------------------


def about_commands(known: dict[str, Command]) -> Command:
    """Return COMMAND itself, which tells of all others."""

    def named(client: Session, words: Words) -> list[str]:
        if len(words) > client.limits.keys_max:
            raise Wrong(
                f"ERR at most {client.limits.keys_max:,} commands are told of at once: these are {len(words):,}"
            )
        return [word.decode("utf-8", "replace").lower() for word in words] or list(known)

    def every(client: Session, args: Words) -> Any:
        return [_about(command) for command in known.values()]

    def some(client: Session, args: Words) -> Any:
        return [_about(known[name]) if name in known else None for name in named(client, args[2:])]

    def docs(client: Session, args: Words) -> Any:
        return {name: _docs(known[name]) for name in named(client, args[2:]) if name in known}

    seconds = (
        _second("command|count", 2, lambda client, args: len(known), "Counts the commands."),
        _second("command|docs", -2, docs, "Tells what commands are for."),
        _second("command|info", -2, some, "Tells about commands."),
        _second("command|list", 2, lambda client, args: list(known), "Lists the commands."),
    )
    return Command(
        name="command", arity=-1, plan=every, says="Tells about the commands.", group="server", since="2.8.13",
        under={second.name.partition("|")[2].encode(): second for second in seconds},
    )  # fmt: skip


def _about(command: Command) -> list[Any]:
    flags = [Status(flag) for flag in command.flags]
    under = [_about(second) for second in command.under.values()]
    return [command.name, command.arity, flags, *command.keys, [], list(command.tips), [], under]


def _docs(command: Command) -> dict[str, Any]:
    told: dict[str, Any] = {"summary": command.says, "since": command.since, "group": command.group}
    if command.under:
        told["subcommands"] = {second.name: _docs(second) for second in command.under.values()}
    return told


def _second(name: str, arity: int, plan: Any, says: str, group: str = "server") -> Command:
    return Command(name=name, arity=arity, plan=plan, says=says, group=group, since="2.8.13")


COMMANDS = (
    Command(name="ping", arity=-1, plan=ping, says="Answers.", flags=("fast",), group="connection",
            tips=("request_policy:all_shards", "response_policy:all_succeeded")),
    Command(name="echo", arity=2, plan=lambda client, args: bulk(args[1]), says="Returns what it was given.",
            flags=("fast",), group="connection"),
    Command(name="select", arity=2, plan=select, says="Takes 0 alone: there is one space of keys.", flags=("fast",),
            group="connection"),
    Command(name="time", arity=1, plan=now, says="Tells the time of this node.", flags=("fast",), group="server",
            since="2.6.0"),
    Command(name="info", arity=-1, plan=info, says="Tells about this node.", group="server",
            tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special")),
    Command(name="config", arity=-2, says="Tells how this node is set up.", group="server", since="2.0.0",
            under={b"get": _second("config|get", -3, config_get, "Tells some settings, by pattern.")}),
)  # fmt: skip

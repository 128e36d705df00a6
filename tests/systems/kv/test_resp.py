"""The door, asked in its own words: every command, and what it says when it will not."""

from __future__ import annotations

import time

import pytest

from tests.features import feature

from .wire import Failed, Wire

NO_INTEGER = "ERR value is not an integer or out of range"


async def says(wire: Wire, table: list[tuple[object, object]]) -> None:
    for command, wanted in table:
        said = await wire.ask(command)  # type: ignore[arg-type]
        assert said == wanted and isinstance(said, Failed) == isinstance(wanted, Failed), (command, said)


async def test_values_are_set_and_got(wire: Wire):
    await says(wire, [
        ("GET k", None), ("SET k v", b"OK"), ("GET k", b"v"), ("get k", b"v"), ("gEt k", b"v"),
        ("SET k w NX", None), ("GET k", b"v"), ("SET new w NX", b"OK"), ("SET k w XX", b"OK"), ("SET none w XX", None),
        ("SET k x GET", b"w"), ("SET fresh x GET", None), ("SET fresh y NX GET", b"x"), ("GET fresh", b"x"),
        ("SETNX k z", 0), ("SETNX k2 z", 1), ("GETSET k a", b"x"), ("GETDEL k", b"a"), ("GETDEL k", None),
        ("STRLEN k2", 1), ("STRLEN k", 0), ("APPEND k ab", 2), ("APPEND k cd", 4), ("GET k", b"abcd"),
        (("SET", b"\x00\r\n\xff", b"\r\n$3\r\n"), b"OK"), (("GET", b"\x00\r\n\xff"), b"\r\n$3\r\n"),
        (("SET", "e", ""), b"OK"), ("GET e", b""),
    ])  # fmt: skip


async def test_numbers_are_counted_exactly(wire: Wire):
    await says(wire, [
        ("INCR n", 1), ("INCRBY n 41", 42), ("DECR n", 41), ("DECRBY n 50", -9), ("GET n", b"-9"),
        ("INCRBY n x", Failed(NO_INTEGER)), ("INCRBY n 9223372036854775808", Failed(NO_INTEGER)),
        ("SET n 9223372036854775807", b"OK"), ("DECRBY n -9223372036854775808", Failed("ERR decrement would overflow")),
        ("SET t 1x", b"OK"), ("INCR t", Failed(NO_INTEGER)),
    ])  # fmt: skip
    assert isinstance(await wire.ask("INCR n"), Failed)


async def test_keys_live_as_long_as_they_were_told(wire: Wire):
    await says(wire, [
        ("SET k v EX 100", b"OK"), ("TTL k", 100), ("SET k w KEEPTTL", b"OK"), ("TTL k", 100), ("GET k", b"w"),
        ("SET k x KEEPTTL GET", b"w"), ("SET none x KEEPTTL XX", None), ("SET kept x KEEPTTL", b"OK"), ("TTL kept", -1),
        ("PERSIST k", 1), ("PERSIST k", 0), ("PERSIST none", 0), ("TTL k", -1), ("TTL none", -2), ("PTTL none", -2),
        ("EXPIRE k 50", 1), ("EXPIRE none 50", 0), ("EXPIRE k 60 NX", 0), ("EXPIRE k 40 GT", 0), ("EXPIRE k 60 GT", 1),
        ("EXPIRE k 50 LT XX", 1), ("TTL k", 50), ("PEXPIREAT k 9999999999999", 1), ("PEXPIRETIME k", 9999999999999),
        ("PEXPIREAT k 9999999999999", 1), ("EXPIREAT k 9999999999", 1), ("EXPIRETIME k", 9999999999),
        ("GETEX k PERSIST", b"x"), ("GETEX k PERSIST", b"x"), ("TTL k", -1), ("GETEX k EX 10", b"x"), ("TTL k", 10),
        ("GETEX k", b"x"), ("TTL k", 10), ("GETEX none EX 10", None), ("APPEND k y", 2), ("TTL k", 10),
        ("SET k v", b"OK"), ("TTL k", -1), ("SETEX k 7 v", b"OK"), ("TTL k", 7), ("PSETEX k 7000 v", b"OK"),
        ("EXPIRE k -1", 1), ("GET k", None), ("EXPIREAT k 0", 0), ("SET k v", b"OK"), ("EXPIREAT k 0", 1),
        ("EXISTS k", 0),
        ("SET k v EX 0", Failed("ERR invalid expire time in 'set' command")),
        ("SETEX k -1 v", Failed("ERR invalid expire time in 'setex' command")),
        ("SET k v PX 9223372036854775807", Failed("ERR invalid expire time in 'set' command")),
        ("SET k v EX 10 PX 10", Failed("ERR syntax error")), ("SET k v EX", Failed("ERR syntax error")),
        ("SET k v NX XX", Failed("ERR syntax error")), ("SET k v EX x", Failed(NO_INTEGER)),
        ("EXPIRE k 1 FOO", Failed("ERR Unsupported option FOO")),
    ])  # fmt: skip
    await says(
        wire, [(f"SET soon v PXAT {int(time.time() * 1000) - 1}", b"OK"), ("GET soon", None), ("EXISTS soon", 0)]
    )


async def test_several_keys_are_of_one_slot_or_refused_as_in_a_cluster(wire: Wire):
    other = Failed("CROSSSLOT Keys in request don't hash to the same slot")
    await says(wire, [
        ("MSET {t}a 1 {t}b 2", b"OK"), ("MGET {t}a {t}c {t}b", [b"1", None, b"2"]), ("MGET a b", other),
        ("MSET a 1 b 2", other), ("GET a", None), ("EXISTS {t}a {t}b {t}a {t}c", 3), ("DEL a b", other),
        ("MSET {t}a 1 {t}b", Failed("ERR wrong number of arguments for 'mset' command")),
        ("UNLINK {t}a {t}b {t}a", 2), ("DEL {t}a", 0), ("TYPE {t}a", b"none"), ("SET a 1", b"OK"),
        ("TYPE a", b"string"), ("TOUCH a", 1),
    ])  # fmt: skip


async def test_what_is_not_known_is_answered_in_the_words_of_redis(wire: Wire):
    long = "x" * 200
    await says(wire, [
        ("FOO", Failed("ERR unknown command 'FOO', with args beginning with: ")),
        (("foo", "a\r\nb", "c"), Failed("ERR unknown command 'foo', with args beginning with: 'a  b' 'c' ")),
        (("foo", long, "b"), Failed(f"ERR unknown command 'foo', with args beginning with: '{long[:128]}' ")),
        ("GET", Failed("ERR wrong number of arguments for 'get' command")),
        ("GET a b", Failed("ERR wrong number of arguments for 'get' command")),
        ("SET k", Failed("ERR wrong number of arguments for 'set' command")),
        ("CLIENT", Failed("ERR wrong number of arguments for 'client' command")),
        ("CLIENT SETNAME", Failed("ERR wrong number of arguments for 'client|setname' command")),
        ("CLIENT NOPE", Failed("ERR unknown subcommand 'NOPE'. Try CLIENT HELP.")),
        ("SELECT 0", b"OK"), ("SELECT 1", Failed("ERR SELECT is not allowed in cluster mode")),
        ("SELECT x", Failed(NO_INTEGER)), ("PING", b"PONG"), ("PING hi", b"hi"), ("ECHO hi", b"hi"),
        (("GET", ""), Failed("ERR a key has 1 to 1,024 bytes, and this one has 0")),
        (("GET", "k" * 1_025), Failed("ERR a key has 1 to 1,024 bytes, and this one has 1,025")),
        (("SET", "k" * 1_024, "v"), b"OK"), ("READONLY", b"OK"), ("READWRITE", b"OK"), ("ASKING", b"OK"),
    ])  # fmt: skip
    for refused in ("KEYS *", "WATCH a", "MULTI"):
        assert "refused" in await wire.ask(refused)


async def test_of_a_transaction_nothing_is_done(wire: Wire):
    multi, put, done = await wire.ask("MULTI", "SET t 1", "EXEC")
    assert multi.startswith("ERR MULTI is refused: keys are kept by different nodes")
    assert put.startswith("ERR not done") and done.startswith("EXECABORT")
    assert await wire.ask("GET t", "EXEC", "DISCARD") == [None, "ERR EXEC without MULTI", "ERR DISCARD without MULTI"]
    assert (await wire.ask("MULTI", "DISCARD", "SET t 1"))[1:] == [b"OK", b"OK"]


@feature("KV-51")
async def test_versions_are_compared_in_one_step(wire: Wire):
    assert await wire.ask("KV.GET k") == [[], b"", 0, 0, 0]
    done, version, value = await wire.ask("KV.CAS k 0 a")
    assert (done, value) == (1, b"a") and (await wire.ask("KV.GET k"))[2] == version
    assert await wire.ask("KV.CAS k 0 b") == [0, version, b"a"]
    done, newer, _ = await wire.ask(f"KV.CAS k {version} b EX 100")
    assert done == 1 and newer > version and await wire.ask("GET k", "TTL k") == [b"b", 100]
    assert isinstance(await wire.ask("KV.PUT k v CONTEXT x"), Failed)


@feature("KV-22")
async def test_siblings_are_read_together_and_written_over_with_what_was_read(wire: Wire):
    assert await wire.ask("SET s:k a", "GET s:k", "STRLEN s:k") == [b"OK", b"a", 1]
    assert await wire.ask("SET s:k b") == b"OK"  # blind: nobody knows what this writer had read
    several = await wire.ask("GET s:k")
    assert isinstance(several, Failed) and "2 siblings" in several and "KV.GET" in several
    values, context, *_ = await wire.ask("KV.GET s:k R 1")
    assert sorted(values) == [b"a", b"b"]
    context, *_ = await wire.ask(("KV.PUT", "s:k", "ab", "CONTEXT", context, "W", 1))
    assert await wire.ask("GET s:k") == b"ab"
    assert isinstance(await wire.ask(("KV.PUT", "s:k", "x", "CONTEXT", b"nonsense")), Failed)
    assert await wire.ask("SET s:k c", "DEL s:k", "GET s:k", "DEL s:k") == [b"OK", 1, None, 0]
    assert isinstance(await wire.ask("SET s:k v EX 10"), Failed) and isinstance(await wire.ask("INCR s:k"), Failed)
    await wire.ask("SET s:k d")
    context = (await wire.ask("KV.GET s:k"))[1]
    await wire.ask(("KV.DEL", "s:k", "CONTEXT", context))
    assert await wire.ask("EXISTS s:k") == 0


@feature("KV-21")
async def test_the_last_write_wins_where_the_bucket_says_so(wire: Wire):
    await says(wire, [
        ("SET l:k a EX 100", b"OK"), ("GET l:k", b"a"), ("TTL l:k", 100), ("SET l:k b", b"OK"), ("GET l:k", b"b"),
        ("DEL l:k", 1), ("DEL l:k", 0), ("GET l:k", None), ("MSET l:{t}a 1 l:{t}b 2", b"OK"), ("DEL l:{t}a l:{t}b", 2),
    ])  # fmt: skip
    for atomic in ("SET l:k a NX", "SET l:k a GET", "INCR l:k", "EXPIRE l:k 10", "APPEND l:k x", "KV.CAS l:k 0 x"):
        assert isinstance(await wire.ask(atomic), Failed), atomic


@pytest.mark.slow
async def test_scan_tells_every_key_once(wire: Wire):
    keys = {b"user:%d" % n for n in range(300)} | {b"{hot}%d" % n for n in range(120)} | {b"s:x", b"l:x"}
    await wire.ask(*(("SET", key, "v") for key in sorted(keys)))
    assert await wire.ask("DBSIZE") == len(keys)
    for options, wanted in (("", keys), (" COUNT 7", keys), (" COUNT 1000", keys), (" TYPE list", set()),
                            (" MATCH user:1?", {b"user:%d" % n for n in range(10, 20)})):  # fmt: skip
        found, cursor = list[bytes](), b"0"
        while True:
            cursor, page = await wire.ask(f"SCAN {cursor.decode()}{options}")
            found += page
            assert int(cursor) < 1 << 62
            if cursor == b"0":
                break
        assert sorted(found) == sorted(wanted), options
    slot = await wire.ask("CLUSTER KEYSLOT {hot}1")
    assert await wire.ask(f"CLUSTER COUNTKEYSINSLOT {slot}", "CLUSTER COUNTKEYSINSLOT 1") == [120, 0]
    for wrong in ("SCAN x", "SCAN -1", f"SCAN {1 << 62}"):
        assert await wire.ask(wrong) == "ERR invalid cursor"
    assert await wire.ask("SCAN 0 FOO") == "ERR syntax error"


async def test_a_cursor_stands_for_its_place_also_where_it_was_forgotten(wire: Wire, door):
    await wire.ask(*(f"SET {{hot}}{n:03} v" for n in range(50)))
    cursor, first = await wire.ask("SCAN 0 COUNT 20")
    door.cursors._known.clear()
    assert (await wire.ask(f"SCAN {cursor.decode()} COUNT 1000"))[1][0] == b"{hot}020"
    door.cursors._known.clear()
    await wire.ask(("DEL", first[-1]))
    again = (await wire.ask(f"SCAN {cursor.decode()} COUNT 1000"))[1]
    assert set(again) == {b"{hot}%03d" % n for n in range(50)} - {first[-1]}  # some twice, none left out


async def test_both_versions_of_the_protocol_are_spoken(wire: Wire):
    told = await wire.ask("HELLO 3 SETNAME me")
    assert told[b"proto"] == 3 and told[b"server"] == b"redis"
    wire.send("GET none")
    assert await wire.reader.readexactly(3) == b"_\r\n"
    assert await wire.ask("CLIENT GETNAME") == b"me" and b"resp=3" in await wire.ask("CLIENT INFO")
    assert (await wire.ask("CONFIG GET max*"))[b"maxclients"] == b"10000"
    assert (await wire.ask("CLUSTER SHARDS"))[0][b"slots"] == [0, 16_383]
    told = await wire.ask("HELLO 2")
    assert told[:2] == [b"server", b"redis"]
    for wrong, said in (
        ("HELLO 4", "NOPROTO"),
        ("HELLO x", "ERR Protocol version"),
        ("HELLO 3 FOO", "ERR Syntax error"),
    ):
        assert (await wire.ask(wrong)).startswith(said)


async def test_a_node_tells_about_itself(wire: Wire):
    info = (await wire.ask("INFO")).decode()
    for line in ("redis_version:7", "cluster_enabled:1", "connected_clients:1", "used_memory:", "# Keyspace"):
        assert line in info
    assert "# Stats" not in (await wire.ask("INFO server")).decode()
    seconds, micros = await wire.ask("TIME")
    assert abs(int(seconds) - time.time()) < 5 and 0 <= int(micros) < 1_000_000
    told = {command[0]: command for command in await wire.ask("COMMAND")}
    assert len(told) == await wire.ask("COMMAND COUNT") and told[b"get"][1:6] == [2, [b"readonly", b"fast"], 1, 1, 1]
    docs = await wire.ask("COMMAND DOCS mset")
    assert docs[0] == b"mset" and b"others may see some set" in docs[1][1]
    assert await wire.ask("COMMAND INFO nope") == [None]
    assert await wire.ask("CLIENT SETINFO lib-name x") == b"OK" and b"lib-name=x" in await wire.ask("CLIENT LIST")
    assert (await wire.ask("CLIENT SETINFO foo x")).startswith("ERR Unrecognized option")
    assert (await wire.ask(("CLIENT", "SETNAME", "a b"))).startswith("ERR Client names cannot")
    assert await wire.ask("CLIENT ID") > 0 and await wire.ask("CLIENT NO-EVICT ON") == b"OK"


async def test_slots_are_told_to_clients_of_clusters(wire: Wire, door):
    ((first, last, node),) = await wire.ask("CLUSTER SLOTS")
    assert (first, last, node[:2]) == (0, 16_383, [b"127.0.0.1", door.port])
    id = await wire.ask("CLUSTER MYID")
    assert len(id) == 40 and node[2] == id
    (line,) = (await wire.ask("CLUSTER NODES")).decode().splitlines()
    assert line.startswith(f"{id.decode()} 127.0.0.1:{door.port}@") and line.endswith(
        "myself,master - 0 0 1 connected 0-16383"
    )
    assert b"cluster_state:ok" in await wire.ask("CLUSTER INFO")
    assert await wire.ask("CLUSTER COUNTKEYSINSLOT 16384") == "ERR Invalid slot"


@pytest.mark.parametrize("version", [2, 3])
async def test_a_pipeline_is_answered_in_order(wire: Wire, version: int):
    await wire.ask(f"HELLO {version}")
    sent = [command for n in range(200) for command in (f"SET k{n % 7} {n}", f"GET k{n % 7}", "PING", "MGET {a}1 {a}2")]
    replies = await wire.ask(*sent)
    assert replies == [reply for n in range(200) for reply in (b"OK", str(n).encode(), b"PONG", [None, None])]

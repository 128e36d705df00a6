"""Compute a record's numbers again from its run folder, with the standard library alone: python reproduce.py RUN"""

import csv
import itertools
import json
import math
import statistics as st
import sys
from pathlib import Path

RUN = Path(sys.argv[1])
FOUND = {f["id"]: f for f in json.loads((RUN / "findings.json").read_text())}
ALL = {s["id"]: s for s in map(json.loads, (RUN / "segments.jsonl").read_text().splitlines()) if s["valid"]}
RACED = {(s["block"], s["approach"], s["twin"]) for s in ALL.values() if s["part"] == "duel"}
KIND = "part", "approach", "twin", "point", "slice", "fault", "flip"  # of which a number stands on all
WHOLE = {b for b, *_ in RACED if all((b, *name) in RACED for name in {key[1:] for key in RACED})}


def shifts(logs):  # the mean, and all that flipping the blocks' signs does not reject: 2.5 % of the means of subsets
    subsets = itertools.chain(*(itertools.combinations(logs, k + 1) for k in range(len(logs))))
    means, beyond = sorted(st.fmean(subset) for subset in subsets), int(0.025 * 2 ** len(logs))
    return [math.exp(m) for m in ([st.fmean(logs), means[beyond - 1], means[-beyond]] if beyond else [st.fmean(logs)])]


def value(f):
    def cpu(s, group=""):  # what the lab itself used is no cost of the system
        return sum(t for g, t in s["cpu_s"].items() if g == (group or g) and g not in ("generator", "runner", "link"))

    def measure(segments, ops, name):  # CPU, outcomes, or seconds since it was due; what failed took forever
        if name == "cpu_s":
            return st.fmean(cpu(s) / sum(s["done"].values()) for s in segments)
        rows = [r for s in segments for r in csv.DictReader((RUN / s["samples"]).open()) if r["op"] in ops]
        if name in ("ok", "failed", "unknown", "censored"):
            return sum(r["outcome"] == name for r in rows)
        took = [(int(r["done_ns"]) - int(r["intended_ns"])) / 1e9 if r["outcome"] == "ok" else math.inf for r in rows]
        rank = math.ceil(round(int(name[1:]) / 100 * len(took), 9)) if name != "mean" else 0  # nearest rank
        return sorted(took)[rank - 1] if rank else st.fmean(t for t in took if t < math.inf)

    def unit(who, shares):  # CPU of so many of each operation
        return sum(n * value(FOUND[f"census/{who}/{f['point']}/{op}.cpu_s"]) for op, n in shares.items())

    how, op, name, more = f["how"], f["op"], f["measure"], f["detail"]
    kinds = [[ALL[id][k] for k in KIND] for id in f["from"] if id in ALL]
    source = [s for s in ALL.values() if [s[k] for k in KIND] in kinds and (s["part"] != "duel" or s["block"] in WHOLE)]
    if how == "count":
        return sum(s["counts"].get(op, {}).get(name, 0) for s in source) / sum(s["done"].get(op, 0) for s in source)
    if how == "cpu" and f["part"] in ("census", "bisect"):  # what an idle system uses is taken off
        idle = st.median([cpu(s, name[6:]) / s["covers_s"] for s in source if s["slice"] == "idle"] or [0])
        return st.median((cpu(s, name[6:]) - idle * s["covers_s"]) / s["done"][op] for s in source if s["done"].get(op))
    if how == "cost":
        return unit(f["approach"], more["rates"]) / sum(more["rates"].values())
    if how == "flip":  # the writes of the one that is cheaper above cost more, the reads of the other
        writes, reads = (unit(f["versus"], s) - unit(f["approach"], s) for s in (more["others"], {more["often"]: 1}))
        return -writes / reads
    if f["part"] == "duel" and how != "goal" and "pooled" not in f["over"]:  # beside the default in the same block
        mine = {(s["block"], s["approach"] + "'" * s["twin"]): measure([s], [op], name) for s in source}
        logs = [math.log(v / mine[b, f["versus"]]) for (b, n), v in mine.items() if how == "ratio" and n != f["versus"]]
        return shifts(logs) if how == "ratio" else st.median(mine.values())
    known = how in ("quantile", "mean") or (how == "trial" and name in ("mean", "ok", "failed", "unknown", "censored"))
    return measure(source, more.get("ops") or [op], name) if known else None


MINE = {id: v for id, f in FOUND.items() if f["value"] is not None and (v := value(f)) is not None}
MINE = {id: v if isinstance(v, list) else [v] * (3 if FOUND[id]["exact"] else 1) for id, v in MINE.items()}
SAID = {id: [FOUND[id][end] for end in ("value", "low", "high")[: len(mine)]] for id, mine in MINE.items()}
OFF = [id for id in MINE if not all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(MINE[id], SAID[id], strict=True))]
print(*[f"{id}: the record says {SAID[id]}, the raw files give {MINE[id]}\n" for id in OFF], sep="", end="")
sys.exit(print(f"{len(MINE)} of {len(FOUND)} numbers computed again: {len(OFF)} differ") or bool(OFF))

#!/usr/bin/env python3
"""timeline_tracks.py TRACE: the same table as timeline_viewer.js, from the file's own numbers."""
import json
import sys
from decimal import Decimal

events = json.load(open(sys.argv[1]), parse_float=Decimal)["traceEvents"]
names, rows = {}, {}
for e in events:
    if e["ph"] == "M":
        names[e["name"], e["pid"], e["tid"] if e["name"] == "thread_name" else 0] = e["args"]["name"]
for e in events:
    if e["ph"] == "M":
        continue
    key = (names["process_name", e["pid"], 0], names["thread_name", e["pid"], e["tid"]], e["name"],
           "slices" if e["ph"] == "X" else "moments")
    n, us = rows.get(key, (0, Decimal(0)))
    rows[key] = (n + 1, us + e.get("dur", 0))
for key, (n, us) in sorted(rows.items(), key=lambda r: "|".join(r[0])):
    print("|".join(key), n, round(us * 1000), sep="|")

#!/usr/bin/env python3
"""tree_seen.py JSON PROGRAMS [WHY:NAME ...]: was a tree really observed? Every process was modelled, the programs
they executed are as many as said (-: any number), and those that ran on unobserved are those named, no others."""
import collections
import json
import os
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    doc = json.load(f)
tree = doc["processes"]
programs = sum(p["programs"] for p in tree)
lost = sorted(f"{p['unfollowed']}:{os.path.basename(p['unfollowed_path'])}" for p in tree if p["unfollowed"])
wrong = []
if sys.argv[2] != "-" and programs != int(sys.argv[2]):
    wrong.append(f"{programs} programs instead of {sys.argv[2]}")
if lost != sorted(sys.argv[3:]):
    wrong.append(f"ran on unobserved: {lost} instead of {sorted(sys.argv[3:])}")
if doc["incomplete"] is not None:
    wrong.append(f"incomplete: {doc['incomplete']}")
if doc["counters"]["sim.children_unobserved"]:
    wrong.append(f"children unobserved: {doc['counters']['sim.children_unobserved']}")
for p in tree:
    if p["exit"]["how"] in ("unseen", "running"):
        wrong.append(f"{p['comm']} {p['pid']}: {p['exit']['how']}")
    if p["counters"].get("instructions", 0) == 0:
        wrong.append(f"{p['comm']} {p['pid']} did nothing")
for (pid, n), times in collections.Counter((p["pid"], p["generation"]) for p in tree).items():
    if times > 1:
        wrong.append(f"pid {pid}, generation {n}: {times} processes")
if wrong:
    print("; ".join(wrong), [(p["comm"], p["pid"], p["programs"], p["exit"]["how"]) for p in tree])
sys.exit(bool(wrong))

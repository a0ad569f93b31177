#!/usr/bin/env python3
"""tree_seen.py JSON PROGRAMS [unread] [WHY:NAME ...]: was a tree really observed? Every process was modelled, the programs
they executed are as many as said (-: any number), those that ran on unobserved are those named, no others (of a
process of which no word came: unseen:NAME of its parent), and what they did fits the model (unread: but for a program whose file has no name that the model could read)."""
import collections
import json
import os
import sys

UNREAD = "unread"
with open(sys.argv[1], encoding="utf-8") as f:
    doc = json.load(f)
tree = doc["processes"]
programs = sum(p["programs"] for p in tree)
lost = sorted(f"{p['unfollowed']}:{os.path.basename(p['unfollowed_path'])}" for p in tree if p["unfollowed"])
lost = sorted(lost + [f"unseen:{p['comm']}" for p in tree if p["exit"]["how"] == "unseen"])
wrong = []
if sys.argv[2] != "-" and programs != int(sys.argv[2]):
    wrong.append(f"{programs} programs instead of {sys.argv[2]}")
named = sorted(a for a in sys.argv[3:] if a != UNREAD)
if lost != named:
    wrong.append(f"ran on unobserved: {lost} instead of {named}")
if doc["incomplete"] is not None:
    wrong.append(f"incomplete: {doc['incomplete']}")
for name in ("sim.children_unobserved", "divergence.no_vma"):
    if doc["counters"][name] and not (UNREAD in sys.argv and name == "divergence.no_vma"):
        wrong.append(f"{name} {doc['counters'][name]}")
for p in tree:
    if p["exit"]["how"] == "running":
        wrong.append(f"{p['comm']} {p['pid']} runs")
    if p["exit"]["how"] != "unseen" and p["counters"].get("instructions", 0) == 0:
        wrong.append(f"{p['comm']} {p['pid']} did nothing")
for (pid, n), times in collections.Counter((p["pid"], p["generation"]) for p in tree).items():
    if times > 1:
        wrong.append(f"pid {pid}, generation {n}: {times} processes")
if wrong:
    print("; ".join(wrong), [(p["comm"], p["pid"], p["programs"], p["exit"]["how"]) for p in tree])
sys.exit(bool(wrong))

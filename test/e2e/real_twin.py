#!/usr/bin/env python3
"""real_twin.py: what real_faults.sh needs to compare a modelled run with a native one page by page.

  real_twin.py places MAPS STRACE          PLACES of tools/twin.c, from the maps of the modelled run's end
                                           and the log of `qemu-x86_64 -strace` of the same program
  real_twin.py files PAGES                 the files mapped at the end of a run of twin -m PAGES
  real_twin.py pages PAGES MAPS PAGEMAP    "N M": of M pages resident at the end of the native run or of
                                           the modelled one, N are not so, or not the same sort, in both

vdso and vvar, which the emulator does not give programs, are left out.
"""
import re
import struct
import sys

CHOSEN = re.compile(r"(\d+) mmap\(NULL,(\d+),.*\) = (0x[0-9a-f]+)$")
MOVED = re.compile(r"(\d+) mremap\(\d+,\d+,(\d+),(\d+),.*\) = (\d+)$")
MAYMOVE, FIXED = 1, 2


def mappings(lines):
    """(start, end, path) of each line of maps."""
    for line in lines:
        fields = line.split(None, 5)
        start, end = (int(word, 16) for word in fields[0].split("-"))
        yield start, end, fields[5].strip() if len(fields) > 5 else ""


def calls(strace):
    """(length, address) of each call of the first thread that let the kernel choose."""
    first = None
    for line in strace:
        first = first or line.split()[0]
        if line.split()[0] != first:
            continue
        if (m := CHOSEN.match(line)):
            yield int(m[2]), int(m[3], 16)
        elif (m := MOVED.match(line)) and int(m[3]) & (MAYMOVE | FIXED) == MAYMOVE:
            yield int(m[2]), int(m[4])


def places(maps, strace):
    rows = list(mappings(open(maps)))
    files = [row for row in rows if row[2].startswith("/")]
    loaders = [start for start, _, path in files if "/ld-linux" in path]
    stack = [row[1] for row in rows if row[2] == "[stack]"]
    brk = [line for line in open(strace, errors="replace") if "brk(NULL) = 0x" in line]
    print(f"{files[0][0]:x} {loaders[0] if loaders else 0:x} {stack[0]:x}", brk[0].split("= 0x")[1].strip())
    for length, address in calls(open(strace, errors="replace")):
        print(f"{length:x} {address:x}")


def native_pages(name):
    """{place: 'a' or 'f'} of the pages that twin saw."""
    lines, pages = open(name).read().split("\n"), {}
    for (start, _, path), letters in zip(mappings(lines[0:-1:2]), lines[1::2]):
        if path not in ("[vdso]", "[vvar]", "[vvar_vclock]", "[vsyscall]"):
            for i, letter in enumerate(letters):
                if letter != "-":
                    pages[start + i * 4096] = letter
    return pages


def modelled_pages(maps, pagemap):
    """The same of the saved end of a modelled run."""
    pages, words = {}, open(pagemap, "rb")
    for start, end, path in mappings(open(maps)):
        if start >> 47 or path in ("[vdso]", "[vvar]", "[vvar_vclock]"):
            continue
        words.seek(start // 4096 * 8)
        count = (end - start) // 4096
        for i, word in enumerate(struct.unpack(f"<{count}Q", words.read(count * 8))):
            if word >> 63:
                pages[start + i * 4096] = "f" if word >> 61 & 1 else "a"
    return pages


def main(verb, *names):
    if verb == "places":
        places(*names)
    elif verb == "files":
        rows = mappings(open(names[0]).read().split("\n")[0:-1:2])
        print("\n".join(sorted({path for _, _, path in rows if path.startswith("/")})))
    else:
        native, modelled = native_pages(names[0]), modelled_pages(*names[1:])
        every = native.keys() | modelled.keys()
        print(sum(native.get(k) != modelled.get(k) for k in every), len(every))


main(*sys.argv[1:])

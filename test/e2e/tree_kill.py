"""tree_kill.py PAGEWALK TREE KILLS SEED [OPTION...]: kills at random moments.

Each time pagewalk runs a tree of processes (fixtures/tree.c), and at a random moment somebody of it is
killed: a process of the guest, pagewalk, the keeper, or the whole process group. Then nothing may hang,
no process of the tree may be left, no shared-memory object, no file; and where pagewalk was not killed
itself its summary must be there. OPTIONs go to pagewalk. Prints TAP; what failed is told in detail.
"""
import os, random, signal, subprocess, sys, tempfile, time

PAGEWALK, TREE, KILLS, SEED = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
OPTIONS = sys.argv[5:]
WATCHDOG, GONE = 40, 10  # seconds for a run to end, and for processes to be gone after it
TIMES = 0.6              # a kill comes within so many seconds of the start
WHOM = ["guest", "guest", "guest", "pagewalk", "pagewalk", "keeper", "group", "stopped"]
SIGNALS = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV]


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def stat_of(pid):
    text = read(f"/proc/{pid}/stat").decode(errors="replace")
    return text[text.rfind(")") + 2:].split() if ")" in text else None


def alive(tag):
    """Processes that have the tag in their environment and are no zombies: pid, name."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if tag in read(f"/proc/{pid}/environ"):
            stat = stat_of(pid)
            if stat and stat[0] not in "ZX":
                found.append((int(pid), read(f"/proc/{pid}/comm").decode(errors="replace").strip()))
    return found


def kill(pid, sig):
    try:
        os.kill(pid, sig)
        return True
    except ProcessLookupError:
        return False


def choose(rng, run, tag, whom):
    """The pid to be killed, negative for a group; None when there is nobody of the kind."""
    if whom == "pagewalk":
        return run.pid
    if whom == "group":
        return -run.pid
    names = {"keeper": lambda n: n == "pw-keeper", "guest": lambda n: n != "pw-keeper"}[whom]
    pids = [pid for pid, name in alive(tag) if pid != run.pid and names(name)]
    return rng.choice(pids) if pids else None


def strike(rng, run, tag):
    """Kills somebody; returns what was done, and whether pagewalk can have survived it."""
    whom, sig = rng.choice(WHOM), rng.choice(SIGNALS)
    if whom == "stopped":  # one that does not move, then pagewalk
        pid = choose(rng, run, tag, "guest")
        if pid:
            kill(pid, signal.SIGSTOP)
        time.sleep(rng.random() * 0.05)
        whom, sig = "pagewalk", rng.choice([signal.SIGKILL, signal.SIGSEGV])
    if whom == "keeper":
        sig = signal.SIGKILL  # it blocks all others
    pid = choose(rng, run, tag, whom)
    if pid is None or not kill(pid, sig):
        return f"nobody ({whom})", True
    dies = whom in ("pagewalk", "group") and sig in (signal.SIGKILL, signal.SIGSEGV)
    return f"{sig.name} to {whom} {pid}", not dies


def wait_gone(tag):
    until = time.monotonic() + GONE
    while True:
        left = alive(tag)
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.02)


def one(rng, nth, work):
    """One run and one kill; returns what was wrong, None if nothing."""
    tag = f"PW_TREE_KILL={os.getpid()}.{nth}"
    out = os.path.join(work, "summary")
    name, value = tag.split("=")
    shm = set(os.listdir("/dev/shm"))
    before = set(os.listdir(work))
    command = [PAGEWALK, "run", *OPTIONS, "-o", out, "--", TREE, str(rng.randrange(1 << 30)), "400"]
    if "--front-only" in OPTIONS:
        command.remove("-o"), command.remove(out)
    said = tempfile.TemporaryFile()
    run = subprocess.Popen(command, env={**os.environ, name: value, "TMPDIR": work, "XDG_STATE_HOME": work},
                           stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
    time.sleep(rng.random() * TIMES)
    done, survives = strike(rng, run, tag.encode())
    wrong = []
    try:
        run.wait(WATCHDOG)
    except subprocess.TimeoutExpired:
        states = [(pid, n, (stat_of(pid) or "?")[0], read(f"/proc/{pid}/wchan").decode()) for pid, n in alive(tag.encode())]
        wrong.append(f"hangs: {states}")
    left = wait_gone(tag.encode())
    if left:
        wrong.append(f"left behind: {left}")
        for pid, _ in left:
            kill(pid, signal.SIGKILL)
    run.wait()
    said.seek(0)
    text = said.read().decode(errors="replace")
    if survives and run.returncode not in (-signal.SIGKILL, -signal.SIGSEGV) and not (
            os.path.exists(out) or "events" in text):
        # Before it has begun to run the program, pagewalk is a program like any other.
        if -run.returncode not in (signal.SIGTERM, signal.SIGINT):
            wrong.append(f"no summary, status {run.returncode}: {text[-300:]}")
    if os.path.exists(out):
        os.unlink(out)
    extra = set(os.listdir("/dev/shm")) - shm
    if any("pagewalk" in e for e in extra):
        wrong.append(f"shared memory left: {extra}")
    files = {f for f in set(os.listdir(work)) - before if f != "pagewalk"}
    if files:
        wrong.append(f"files left: {files}")
    return f"kill {nth} of seed {SEED}: {done}: {'; '.join(wrong)}" if wrong else None


def main():
    rng, failed, began = random.Random(SEED), [], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pagewalk-kill-") as work:
        for nth in range(KILLS):
            wrong = one(random.Random(rng.random()), nth, work)
            if wrong:
                failed.append(wrong)
                print("#", wrong, flush=True)
    print(f"# {KILLS} kills in {time.monotonic() - began:.1f} s, seed {SEED}")
    print(f"{'not ok' if failed else 'ok'} - after {KILLS} kills at random moments nothing hangs, "
          "nothing is left, and the summary is there")
    return 1 if failed else 0


sys.exit(main())

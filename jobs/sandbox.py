r"""Launcher that puts limits on itself and then becomes another program.

Run as a script, by the standard library only, in the place of ``preexec_fn`` (which is not safe in a process
that has threads):

    python -I -S jobs/sandbox.py --parent PID --cpu S --address-space B --file-size B --open-files N \
        -- PROGRAM ARGS…

What the program then has: an empty environment, CPU, address space, file size and open file limits, no core
dumps, nice 10, umask 077, no way to gain privileges, and death together with the process that started it.

The kernel binds "die with the parent" to the *thread* that forked, not to its process: whoever starts this
launcher must stay in the same thread until the child has ended (`jobs.child` does: it watches from the
calling thread). Starting a child in one thread and leaving that thread kills the child.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
EXIT_ORPHANED = 125
EXIT_UNUSABLE = 126
NICENESS = 10
# SIGXCPU comes at the soft limit, SIGKILL this much later: ffmpeg answers the first by closing its files.
CPU_GRACE_SECONDS = 5


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGKILL when the starting thread ends; leave at once if the parent is gone."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    if os.getppid() != parent:  # it died between fork and prctl: no signal will come any more
        os._exit(EXIT_ORPHANED)


def set_limit(which: int, soft: int, hard: int) -> None:
    """Lower a resource limit; never above the hard limit that is in force already."""
    ceiling = resource.getrlimit(which)[1]
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(which, (soft, hard))


def parse(argv: list[str]) -> tuple[dict[str, int], list[str]]:
    """Split ``--name value … -- program args`` into the numbers and the command. Raises ValueError."""
    split = argv.index("--")
    options, command = argv[:split], argv[split + 1 :]
    if len(options) % 2 or not command:
        raise ValueError("expected --name value pairs, then -- and a program")
    pairs = zip(options[::2], options[1::2], strict=True)
    return {name.removeprefix("--"): int(value) for name, value in pairs}, command


def main(argv: list[str]) -> None:
    """Set the limits and become the program; never returns."""
    numbers, command = parse(argv)
    die_with_parent(numbers["parent"])
    os.umask(0o077)
    os.nice(NICENESS)
    # Python ignores these two and ignoring survives exec: a program that writes too much shall die of it.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    set_limit(resource.RLIMIT_CORE, 0, 0)
    set_limit(resource.RLIMIT_CPU, numbers["cpu"], numbers["cpu"] + CPU_GRACE_SECONDS)
    set_limit(resource.RLIMIT_FSIZE, numbers["file-size"], numbers["file-size"])
    set_limit(resource.RLIMIT_NOFILE, numbers["open-files"], numbers["open-files"])
    set_limit(resource.RLIMIT_AS, numbers["address-space"], numbers["address-space"])
    os.execve(command[0], command, {})


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, ValueError, KeyError, MemoryError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        sys.exit(EXIT_UNUSABLE)

"""Become another program that ends with its parent: `python leash.py <parent pid> <program> <argument>…`.

A child started from a process with threads must not run Python between fork and exec, so the request to the kernel is made
here, in a process of its own that then turns into the program.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Ask the kernel for SIGTERM at the parent's death (Linux only), then become `command`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel knew
            return
    os.execv(command[0], command)  # noqa: S606 - the command is our own


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

"""Name this process as no other is named, and tell if the process behind a name is still there.

A process that was killed on this very machine need not be waited for: its lease counts as expired at once. For any
other machine only the lease tells.
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
from pathlib import Path


def machine() -> str:
    """Return this machine's boot and process namespace, hashed: two containers never share it."""
    parts = [platform.node()]
    for source in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        path = Path(source)
        try:
            parts.append(str(path.readlink()) if "ns" in source else path.read_text().strip())
        except OSError:
            parts.append("-")
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]


def born(pid: int) -> str:
    """Return when the process was started, in clock ticks since boot: a later process of the same number differs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "0"


def owner_name() -> str:
    """Return ``host:pid:born:machine:nonce`` of this process, another one for each runtime."""
    pid = os.getpid()
    return f"{platform.node()[:60]}:{pid}:{born(pid)}:{machine()}:{secrets.token_hex(4)}"


def is_dead(name: str) -> bool:
    """True if the owner was a process of this machine that is gone. False whenever that cannot be known."""
    parts = name.split(":")
    if len(parts) != 5 or parts[3] != machine():  # noqa: PLR2004 - the five parts of owner_name
        return False
    pid = int(parts[1])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return born(pid) not in {parts[2], "0"} or _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False

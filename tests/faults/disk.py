"""A disk of a few megabytes for one test: a tmpfs that only the test and the programs that it starts can see."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CLONE_FS, CLONE_NEWNS = 0x200, 0x20000  # of <linux/sched.h>; os.unshare is in Python 3.12

_LIBC = ctypes.CDLL(None, use_errno=True)


class SmallDisk:
    """A file system of its own at `folder`; a file that is not the gateway's can take up its space."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._other = folder / "somebody-else"

    @property
    def free(self) -> int:
        """The bytes that are left."""
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Take up everything but `leave` bytes, at once."""
        with self._other.open("ab") as file:
            while (rest := self.free - leave) > 0:
                with suppress(OSError):  # somebody else was faster to take a part of it
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), rest)

    def clear(self) -> None:
        """Give the space back."""
        self._other.unlink()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount a disk at `folder` in a mount namespace of this thread's own, and leave both at the end. Root only."""
    folder.mkdir(parents=True)
    with _mounts_of_our_own():
        _mount("--make-rprivate", "/")
        _mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=0750", "tmpfs", str(folder))
        yield SmallDisk(folder)


@contextmanager
def _mounts_of_our_own() -> Iterator[None]:
    """Let what is mounted in the block be seen by this thread and the processes that it starts only."""
    working_folder = Path.cwd()
    before = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
    try:
        _call("unshare", CLONE_NEWNS)
        try:
            yield
        finally:
            _call("unshare", CLONE_FS)  # threads of servers may share it, and then there would be no way back
            _call("setns", before, CLONE_NEWNS)
            os.chdir(working_folder)
    finally:
        os.close(before)


def _call(name: str, *arguments: int) -> None:
    if getattr(_LIBC, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)

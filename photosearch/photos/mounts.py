"""Which file systems are on a network: there, changes that other computers make are reported to nobody here."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

LINUX_TABLE = "/proc/self/mountinfo"
MAC_COMMAND = "/sbin/mount"
NETWORK = frozenset(  # kinds of file systems, of Linux's /proc/filesystems, FUSE's subtypes and macOS's mount
    "nfs nfs3 nfs4 cifs smb smb2 smb3 smbfs afpfs webdav ftp davfs 9p virtiofs afs ceph coda gfs gfs2 glusterfs lustre "
    "beegfs ncpfs ocfs2 orangefs vboxsf vmhgfs prl_fs fuse.sshfs fuse.rclone fuse.s3fs fuse.goofys fuse.gcsfuse "
    "fuse.davfs fuse.gvfsd-fuse fuse.curlftpfs fuse.glusterfs fuse.ceph fuse.ceph-fuse fuse.cephfs fuse.juicefs "
    "fuse.smbnetfs fuse.vmhgfs-fuse fuse.hdfs fuse.seaf-fuse fuse.onedriver fuse.google-drive-ocamlfuse fuse.jmtpfs "
    "fuse.simple-mtpfs fuse.afpfs fuse.mount.nfs-ganesha macfuse.sshfs".split()
)
_ESCAPED = re.compile(r"\\([0-7]{3})")
_MAC_LINE = re.compile(r".* on (?P<path>/.*) \((?P<kind>[^,)]+).*\)")


@dataclass(frozen=True, slots=True)
class Mount:
    """path: where it begins. kind: of the file system, as its system names it: ext4, nfs4, fuse.sshfs."""

    path: str
    kind: str


def list_mounts() -> tuple[Mount, ...]:
    """The mounted file systems in the order in which they were mounted; none where the system doesn't tell."""
    try:
        if sys.platform == "darwin":
            told = subprocess.run([MAC_COMMAND], capture_output=True, check=False, timeout=10).stdout
            return parse_mac(os.fsdecode(told))
        with open(LINUX_TABLE, "rb") as file:
            return parse_linux(os.fsdecode(file.read()))
    except (OSError, subprocess.SubprocessError):
        return ()


def parse_linux(table: str) -> tuple[Mount, ...]:
    """From the text of /proc/self/mountinfo (https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html)."""
    found = []
    for line in table.splitlines():
        left, dash, right = line.partition(" - ")
        words, kinds = left.split(" "), right.split(" ")
        if dash and len(words) > 4:
            found.append(Mount(_ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), words[4]), kinds[0]))
    return tuple(found)


def parse_mac(told: str) -> tuple[Mount, ...]:
    """From what `mount` prints: //me@nas/photos on /Volumes/photos (smbfs, nodev, nosuid)."""
    lines = filter(None, map(_MAC_LINE.fullmatch, told.splitlines()))
    return tuple(Mount(line["path"], line["kind"]) for line in lines)


def find_network(path: str, mounts: Sequence[Mount]) -> str | None:
    """The kind of the network file system that holds an absolute path; None where it is on this computer."""
    if path.startswith("\\\\"):
        return "a network share"  # Windows gives the path of a mapped drive so, once its links are resolved
    best = Mount("", "")
    for mount in mounts:
        holds = mount.path == "/" or path == mount.path or path.startswith(mount.path + "/")
        if holds and len(mount.path) >= len(best.path):  # of two at one place, the later one hides the other
            best = mount
    return best.kind if best.kind in NETWORK else None

"""Which folders are on a network."""

import pytest

from photosearch.photos.mounts import Mount, find_network, list_mounts, parse_linux, parse_mac

LINUX = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 22 0:27 / /mnt/my\040photos rw,relatime shared:2 - nfs4 nas:/photos rw,vers=4.2
32 22 0:28 / /mnt/usb rw - vfat /dev/sdb1 rw
33 31 0:29 / /mnt/my\040photos/ssh rw,nosuid master:3 - fuse.sshfs me@host: rw
34 22 0:30 / /auto rw - autofs systemd-1 rw
35 34 0:31 / /auto rw - cifs //nas/share rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/Pictures", None),
        ("/mnt/my photos", "nfs4"),
        ("/mnt/my photos/2019", "nfs4"),
        ("/mnt/my photos/ssh/a", "fuse.sshfs"),
        ("/mnt/my photos2", None),
        ("/mnt/usb", None),
        ("/auto/x", "cifs"),
        (r"\\nas\photos\2019", "a network share"),
    ],
)
def test_network_is_that_of_the_innermost_mount(path: str, kind: str | None) -> None:
    assert find_network(path, parse_linux(LINUX)) == kind


def test_mac_mounts_are_parsed() -> None:
    told = (
        "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n"
        "//me@nas._smb._tcp.local/photos on /Volumes/my (best) photos (smbfs, nodev, nosuid, mounted by me)\n"
    )
    mounts = parse_mac(told)
    assert mounts == (Mount("/", "apfs"), Mount("/Volumes/my (best) photos", "smbfs"))
    assert find_network("/Volumes/my (best) photos/a", mounts) == "smbfs"


def test_unreadable_lines_are_passed_over() -> None:
    assert parse_linux("nonsense\n\n1 2 - x") == ()
    assert find_network("/home", ()) is None


def test_mounts_of_this_computer_include_the_root() -> None:
    mounts = list_mounts()
    assert not mounts or "/" in [mount.path for mount in mounts]

import io
import os
import socket
import stat
import tracemalloc

import pytest

from encoders import DecodeError, files
from encoders.files import open_inside, read_inside


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "catalogue"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.txt").write_bytes(b"inside")
    (tmp_path / "secret.txt").write_bytes(b"outside")
    return folder


def test_reads_a_file_and_a_link_that_stay_inside(root):
    (root / "link.txt").symlink_to("sub/a.txt")
    assert read_inside(root, "sub/a.txt", 100) == b"inside"
    assert read_inside(root, "./sub/a.txt", 100) == b"inside"
    assert read_inside(root, "link.txt", 100) == b"inside"


def test_reads_under_a_root_that_is_a_link_itself(root, tmp_path):
    (tmp_path / "alias").symlink_to(root)
    assert read_inside(tmp_path / "alias", "sub/a.txt", 100) == b"inside"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("../secret.txt", "'..'"),
        ("sub/../../secret.txt", "'..'"),
        ("sub\\..\\a.txt", "'..'"),
        ("/etc/passwd", "absolute"),
        ("C:\\windows", "absolute"),
        ("https://example.org/a.png", "URL"),
        ("file:///etc/passwd", "URL"),
        ("", "empty"),
        ("a\0b", "NUL"),
        ("sub", "a folder"),
        (".", "a folder"),
        ("missing.png", "does not exist"),
        ("x" * 5000, "cannot be opened"),
    ],
)
def test_refuses_names_that_lead_elsewhere(root, uri, reason):
    with pytest.raises(DecodeError, match=reason) as error:
        open_inside(root, uri)
    assert "\n" not in str(error.value)


def test_refuses_links_outside_fifos_sockets_devices(root, tmp_path):
    (root / "out.txt").symlink_to(tmp_path / "secret.txt")
    (root / "folder").symlink_to(tmp_path)
    os.mkfifo(root / "fifo")
    (root / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
        for uri, reason in [
            ("out.txt", "outside"),
            ("folder/secret.txt", "outside"),
            ("null", "outside"),
            ("fifo", "a FIFO"),
            ("socket", "a socket"),
        ]:
            with pytest.raises(DecodeError, match=reason):
                open_inside(root, uri)


def test_refuses_too_large_and_empty(root):
    (root / "empty").touch()
    with pytest.raises(DecodeError, match="6 bytes is over the limit of 5"):
        read_inside(root, "sub/a.txt", 5)
    with pytest.raises(DecodeError, match="empty"):
        read_inside(root, "empty", 5)


def test_a_loop_of_links_is_refused(root):
    (root / "loop").symlink_to("loop")
    with pytest.raises(DecodeError):
        open_inside(root, "loop")


def test_a_device_inside_the_folder_is_refused(root):
    try:
        os.mknod(root / "zero", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")
    with pytest.raises(DecodeError, match="a device, not a regular file"):
        open_inside(root, "zero")


@pytest.mark.parametrize("change", [b"inside and more", b"in"])
def test_a_file_that_changes_while_it_is_read_is_refused(root, monkeypatch, change):
    class Changing(io.FileIO):
        def read(self, size=-1):
            (root / "sub" / "a.txt").write_bytes(change)
            return super().read(size)

    monkeypatch.setattr(files, "open_inside", lambda root, uri: Changing(root / uri))
    with pytest.raises(DecodeError, match="changed while it was read"):
        read_inside(root, "sub/a.txt", 100)


def test_reading_takes_the_memory_of_the_file_not_of_the_limit(root):
    tracemalloc.start()
    read_inside(root, "sub/a.txt", 2**30)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20

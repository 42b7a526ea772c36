"""image/index.py: where hostile names end."""

from __future__ import annotations

import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proa.errors import InvalidRequest
from proa.image import tar
from proa.image.index import Directory, Index, canonical, merge
from proa.image.member import Limits, Member
from unit.image.tars import E, device, directory, hardlink, make, paths, read, symlink


def code(*entries: E) -> str:
    with pytest.raises(InvalidRequest) as caught:
        read(make(*entries))
    return caught.value.code


def at(index: Index, path: str) -> Member:
    node = index.root
    for part in path.split("/"):
        node = node.children[part.encode()]  # type: ignore[assignment]
    return node  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([E("../x")], "tar-escapes"),
        ([E("a/../../x")], "tar-escapes"),
        ([E("/../x")], "tar-escapes"),
        ([directory("..")], "tar-escapes"),
        ([symlink("s", "/etc"), E("s/passwd", b"x")], "tar-through-link"),
        ([symlink("s", "."), directory("s/d")], "tar-through-link"),
        ([symlink("s", "../../.."), symlink("s/x", "y")], "tar-through-link"),
        ([E("d"), symlink("s", "/tmp"), hardlink("s/x", "d")], "tar-through-link"),
        ([E("f"), E("f/x")], "tar-invalid"),
        ([device("c", 1, 3), E("c/x")], "tar-invalid"),
        ([hardlink("h", "/etc/shadow")], "tar-link-escapes"),
        ([hardlink("h", "../../etc/shadow")], "tar-escapes"),
        ([hardlink("h", "later"), E("later")], "tar-link-escapes"),
        ([directory("d"), hardlink("h", "d")], "tar-link-escapes"),
        ([symlink("s", "/etc"), hardlink("h", "s/shadow")], "tar-link-escapes"),
        ([hardlink("h", "h")], "tar-link-escapes"),
        ([E(".wh.gone"), hardlink("h", "gone")], "tar-link-escapes"),
        ([E("d/.wh...")], "tar-escapes"),
        ([E(".wh...")], "tar-escapes"),
        ([E("d/.wh..")], "tar-escapes"),
        ([E("d/.wh.")], "tar-escapes"),
        ([E("n" * 256)], "tar-name-too-long"),
        ([E("a/" * 300 + "x")], "tar-name-too-long"),
        ([E(("b" * 200 + "/") * 25)], "tar-name-too-long"),
        ([E("/")], "tar-invalid"),
        ([symlink("s", "x" * 5000)], "tar-invalid"),
        ([device("c", 1 << 12, 0)], "tar-corrupt"),
    ],
)
def test_hostile(entries: list[E], expected: str) -> None:
    assert code(*entries) == expected


def test_harmless_forms_of_a_path() -> None:
    index = read(make(directory("./"), directory("./a/"), E("/a//b"), E("a/x/../c"), E("./././d")))
    assert paths(index) == ["a", "a/b", "a/c", "d"]


def test_root_attributes_and_implied_directories() -> None:
    index = read(make(directory("./", mode=0o1700, uid=7, gid=8), E("p/q/r")))
    assert (index.root.mode, index.root.uid, index.root.gid) == (0o1700, 7, 8)
    assert at(index, "p/q").mode == 0o755
    assert read(make()).root.mode == 0o755


def test_a_later_entry_replaces_an_earlier_one() -> None:
    index = read(make(E("f", b"one"), E("f", b"three"), directory("d"), E("d/x"), symlink("d", "e"), E("e", b"")))
    assert at(index, "f").size == 5 and at(index, "d").kind == tar.SYMLINK
    assert paths(index) == ["f", "d", "e"]


def test_a_directory_on_a_directory_only_changes_it() -> None:
    index = read(make(directory("d"), E("d/x"), directory("d", mode=0o700)))
    assert at(index, "d").mode == 0o700 and paths(index) == ["d", "d/x"]


def test_the_last_parent_is_forgotten_when_it_is_replaced() -> None:
    assert code(directory("a/b"), E("a/b/x"), symlink("a", "/etc"), E("a/b/y")) == "tar-through-link"


def test_a_hard_link_keeps_the_data_of_a_replaced_name() -> None:
    index = read(make(E("f", b"old!"), hardlink("h", "./f"), E("f", b"new")))
    assert (at(index, "h").size, at(index, "f").size) == (4, 3)


def test_hard_links_to_links_and_devices_are_shared_inodes() -> None:
    index = read(make(symlink("s", "x"), hardlink("s2", "s"), device("c", 1, 3), hardlink("c2", "/c")))
    assert at(index, "s") is at(index, "s2") and at(index, "c") is at(index, "c2")


def test_dangerous_attributes_are_dropped() -> None:
    names = {
        "trusted.overlay.redirect": "/etc",
        "user.overlay.metacopy": "y",
        "security.selinux": "system_u",
        "security.capability": "c",
        "user.ok": "1",
        "trusted.x": "1",
    }
    index = read(make(E("f", pax={"SCHILY.xattr." + k: v for k, v in names.items()})))
    assert set(at(index, "f").xattrs) == {b"security.capability", b"user.ok"}


def layers(*archives: bytes) -> Index:
    index = Index(Limits())
    index.root = merge([read(archive) for archive in archives])
    return index


def test_merge_carries_out_whiteouts() -> None:
    base = make(directory("d"), E("d/a", b"1"), E("d/b"), E("gone"), directory("o"), E("o/x"), E("file"))
    upper = make(
        E("d/.wh.a"), E("d/c"), E(".wh.gone"), directory("o"), E("o/.wh..wh..opq"), E("o/y"), directory("file")
    )
    assert paths(layers(base, upper)) == ["d", "d/b", "d/c", "o", "o/y", "file"]


def test_a_whiteout_with_its_own_replacement() -> None:
    base = make(directory("d"), E("d/a"), E("f", b"old"))
    upper = make(E(".wh.d"), directory("d"), E("d/b"), E("f", b"newer"), E(".wh.f"))
    merged = layers(base, upper)
    assert paths(merged) == ["f", "d", "d/b"] or paths(merged) == ["d", "d/b", "f"]
    assert at(merged, "f").size == 5


def test_whiteouts_of_nothing_and_aufs_books_vanish() -> None:
    assert paths(layers(make(E("a")), make(E(".wh.zz"), E("new/.wh.x"), E(".wh..wh.plnk/1.2"), E(".wh..wh.aufs")))) == [
        "a",
        "new",
    ]


def test_merge_changes_attributes_of_directories() -> None:
    merged = layers(make(directory("d"), E("d/x")), make(directory("d", mode=0o700, uid=3)))
    assert (at(merged, "d").mode, at(merged, "d").uid) == (0o700, 3) and paths(merged) == ["d", "d/x"]


components = st.sampled_from(["a", "b", "..", ".", "", ".wh.a", ".wh..wh..opq", "c" * 255])
names = st.lists(components, min_size=1, max_size=5).map("/".join)
entries = st.one_of(
    names.map(lambda n: E(n, b"data")),
    names.map(directory),
    st.tuples(names, names).map(lambda t: symlink(*t)),
    st.tuples(names, names).map(lambda t: hardlink(*t)),
)


@given(st.lists(entries, max_size=12), st.lists(entries, max_size=12))
def test_whatever_is_accepted_is_one_component_a_name(first: list[E], second: list[E]) -> None:
    try:
        indexes = [read(make(*first, form=tarfile.PAX_FORMAT)), read(make(*second))]
    except InvalidRequest:
        return
    pending = [merge(indexes)]
    while pending:
        node = pending.pop()
        for name, child in node.children.items():
            assert name not in (b"", b".", b"..") and b"/" not in name and b"\0" not in name and len(name) < 256
            if isinstance(child, Directory):
                pending.append(child)


def test_canonical() -> None:
    assert canonical(b"//a/./b/../c/", Limits()) == [b"a", b"c"]


def test_its_weight_is_what_dockerd_counts() -> None:
    """Files and symbolic links; an inode with two names once, one that was replaced not at all."""
    entries = (
        E("f", b"12345"), hardlink("h", "f"), symlink("s", "abc"), directory("d"), E("d/g", b"x" * 100),
        E("d/g", b"xy"), device("n", 1, 3), E("d/.wh.gone"),
    )  # fmt: skip
    assert read(make(*entries)).weight() == 5 + 3 + 2

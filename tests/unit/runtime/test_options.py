"""Mount options told apart."""

import pytest

from proa.linux import mount as m
from proa.linux import mounttree as t
from proa.runtime.options import Options


def test_flags_data_and_the_last_word_wins() -> None:
    options = Options(["nosuid", "noexec", "ro", "rw", "size=64k", "mode=755"])
    assert options.flags == m.MS_NOSUID | m.MS_NOEXEC
    assert options.cleared == m.MS_RDONLY
    assert options.data == "size=64k,mode=755"


def test_propagation_and_recursive_attributes() -> None:
    options = Options(["rbind", "rslave", "shared", "rro", "rnosuid"])
    assert options.flags == m.MS_BIND | m.MS_REC
    assert options.propagation == [m.MS_SLAVE | m.MS_REC, m.MS_SHARED]
    assert options.recursive == t.MOUNT_ATTR_RDONLY | t.MOUNT_ATTR_NOSUID


def test_attributes_of_a_bind() -> None:
    assert Options(["ro", "dev", "noatime"]).attributes == (
        t.MOUNT_ATTR_RDONLY | t.MOUNT_ATTR_NOATIME,
        t.MOUNT_ATTR_NODEV | t.MOUNT_ATTR_ATIME,
    )
    assert Options(["rbind"]).attributes == (0, 0)


@pytest.mark.parametrize("word", ["idmap", "ridmap", "idmap=uids=0-1-2", "remount", "tmpcopyup"])
def test_what_cannot_be_had_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="not supported"):
        Options([word])

"""STATE/state.db: what should be. One writer, one transaction a state change, no fsync on the launch path.

WAL with synchronous=NORMAL syncs only at a checkpoint, and once more when the next writer reuses the log: so
checkpoints run in a thread when the engine is idle, and end with a write of their own that takes that second sync.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from ..errors import HostCannot, Internal, ProaError
from .records import Exec, Record, State
from .reserve import Reserve

VERSION = 1
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE containers (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL, state BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE execs (id TEXT PRIMARY KEY, container TEXT NOT NULL, exec BLOB NOT NULL) WITHOUT ROWID;
    CREATE INDEX execs_container ON execs (container);
    CREATE TABLE images (id TEXT PRIMARY KEY, image BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE tags (name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images (id)) WITHOUT ROWID;
    CREATE INDEX tags_image ON tags (image);
    CREATE TABLE events (seq INTEGER PRIMARY KEY, event BLOB NOT NULL);
    """,
)

_encode = msgspec.json.Encoder().encode


def _connect(path: str) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # it holds what environments hold
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256, timeout=10)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("PRAGMA foreign_keys=ON")
    return db


def _explain(problem: sqlite3.Error, path: str) -> ProaError:
    """SQLite's error as one for people."""
    text = str(problem)
    if "full" in text:
        return Internal(
            f"the state directory is full: {os.path.dirname(path)}", code="state-full", input=path, exit=125
        )
    if "readonly" in text or "unable to open" in text or "read-only" in text:
        return HostCannot(
            f"cannot write {path}: {text}", code="state-not-writable", input=path, missing="a writable state directory"
        )
    return Internal(f"state database {path}: {text}", code="state-broken", input=path, exit=125)


class Database:
    """The open state.db. Its methods that write are called inside ``transaction`` only."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.on_write: Callable[[], None] = lambda: None
        self.reserve = Reserve(path + ".reserve")
        try:
            self._db = _connect(path)
            self._migrate()
            self.reserve.fill()
        except sqlite3.Error as problem:
            raise _explain(problem, path) from problem
        except OSError as problem:
            raise HostCannot(
                f"cannot write {path}: {problem.strerror}",
                code="state-not-writable",
                input=path,
                missing="a writable state directory",
            ) from problem

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            self._db.close()
            raise HostCannot(
                f"{self.path} was written by a newer version (format {version}, this one reads {VERSION})",
                code="state-newer",
                input=self.path,
                missing="a newer version of this program",
            )
        for number in range(version, VERSION):
            self._db.executescript(f"BEGIN;{MIGRATIONS[number]};PRAGMA user_version={number + 1};COMMIT;")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Raises ProaError for what SQLite refuses. Never spans an await."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as problem:
            raise _explain(problem, self.path) from problem
        self.on_write()

    def meta(self, key: str) -> str:
        """A value of the engine's own, "" if there is none."""
        row = self._db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return row[0] if row else ""

    def set_meta(self, key: str, value: str) -> None:
        """Remember a value of the engine's own."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def containers(self) -> list[tuple[str, Record, State]]:
        """Every container: (name, record, state)."""
        record = msgspec.json.Decoder(Record).decode
        state = msgspec.json.Decoder(State).decode
        rows = self._db.execute("SELECT name, record, state FROM containers")
        return [(name, record(one), state(two)) for name, one, two in rows]

    def add_container(self, name: str, record: Record, state: State) -> None:
        """Raises sqlite3.IntegrityError when the id or the name is taken."""
        self._db.execute(
            "INSERT INTO containers VALUES (?, ?, ?, ?)", (record.id, name, _encode(record), _encode(state))
        )

    def set_state(self, id: str, state: State) -> None:
        """The state that a container is now in."""
        self._db.execute("UPDATE containers SET state=? WHERE id=?", (_encode(state), id))

    def rename_container(self, id: str, name: str) -> None:
        """Raises sqlite3.IntegrityError when the name is taken."""
        self._db.execute("UPDATE containers SET name=? WHERE id=?", (name, id))

    def remove_container(self, id: str) -> None:
        """Forget a container and its execs."""
        self._db.execute("DELETE FROM execs WHERE container=?", (id,))
        self._db.execute("DELETE FROM containers WHERE id=?", (id,))

    def execs(self) -> list[Exec]:
        """Every exec instance of the containers there are."""
        decode = msgspec.json.Decoder(Exec).decode
        return [decode(row[0]) for row in self._db.execute("SELECT exec FROM execs")]

    def put_exec(self, exec: Exec) -> None:
        """Add or replace an exec instance."""
        self._db.execute("INSERT OR REPLACE INTO execs VALUES (?, ?, ?)", (exec.id, exec.container, _encode(exec)))

    def remove_exec(self, id: str) -> None:
        """Forget an exec instance."""
        self._db.execute("DELETE FROM execs WHERE id=?", (id,))

    def images(self) -> list[bytes]:
        """The JSON of every image's record."""
        return [row[0] for row in self._db.execute("SELECT image FROM images")]

    def put_image(self, id: str, image: Any) -> None:
        """Add an image, or replace its record."""
        self._db.execute(
            "INSERT INTO images VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET image=excluded.image",
            (id, _encode(image)),
        )

    def remove_image(self, id: str) -> None:
        """Forget an image and its tags."""
        self._db.execute("DELETE FROM tags WHERE image=?", (id,))
        self._db.execute("DELETE FROM images WHERE id=?", (id,))

    def tags(self) -> dict[str, str]:
        """Image id by full name."""
        return dict(self._db.execute("SELECT name, image FROM tags"))

    def set_tag(self, name: str, image: str) -> None:
        """Let ``name`` mean ``image`` from now on."""
        self._db.execute("INSERT OR REPLACE INTO tags VALUES (?, ?)", (name, image))

    def remove_tag(self, name: str) -> None:
        """Let ``name`` mean nothing."""
        self._db.execute("DELETE FROM tags WHERE name=?", (name,))

    def events(self) -> list[bytes]:
        """The ring of events, oldest first."""
        return [row[0] for row in self._db.execute("SELECT event FROM events ORDER BY seq")]

    def add_event(self, seq: int, event: Any) -> None:
        """Append to the ring."""
        self._db.execute("INSERT INTO events VALUES (?, ?)", (seq, _encode(event)))

    def drop_events(self, before: int) -> None:
        """Shorten the ring: forget those with a number below ``before``."""
        self._db.execute("DELETE FROM events WHERE seq < ?", (before,))

    def close(self) -> None:
        """Checkpoint all of the log and close."""
        self.reserve.release()
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as problem:  # a full disk: the log stays and is read again at the next start
            print(f"{self.path}: {problem}", file=sys.stderr)
        self._db.close()


def checkpoint(path: str) -> None:
    """Move the log into the database. Blocks on fsync: for a thread. Sees to the sync of the next write too."""
    db = _connect(path)
    try:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        db.execute("INSERT OR REPLACE INTO meta VALUES ('checkpoint', strftime('%s', 'now'))")
    finally:
        db.close()

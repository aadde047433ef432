"""What isn't kept is gone: no transaction stays open behind one that failed."""

import sqlite3
from pathlib import Path

import pytest

from offchain.dso.database import Database


def test_a_transaction_that_cant_be_kept_swallows_nothing_that_follows(tmp_path: Path) -> None:
    schema = (
        "PRAGMA foreign_keys = ON; CREATE TABLE one (n INTEGER PRIMARY KEY);"
        "CREATE TABLE two (n INTEGER REFERENCES one DEFERRABLE INITIALLY DEFERRED)"
    )
    kept = Database(tmp_path / "kept.sqlite", schema)
    with pytest.raises(sqlite3.IntegrityError), kept.transaction():
        kept._rows("INSERT INTO two VALUES (7)")
    kept._rows("INSERT INTO one VALUES (1)")
    kept.close()
    again = Database(tmp_path / "kept.sqlite", "")
    assert again._rows("SELECT n FROM one") == [(1,)]
    assert again._rows("SELECT n FROM two") == []
    again.close()

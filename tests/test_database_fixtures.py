"""The databases that the other tests stand on: empty, one's own, and gone afterwards."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, inspect, text

from tests.postgres import fresh_database, running_server, start, stop


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_finds_an_empty_database(database_url, turn):
    engine = create_engine(database_url, poolclass=NullPool)
    assert inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE left_behind (a INTEGER)"))


def test_a_database_is_nobody_elses_and_is_dropped_afterwards(postgres_server):
    with fresh_database(postgres_server) as one, fresh_database(postgres_server) as other:
        assert one != other
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(one.replace("+psycopg", ""))


def test_a_server_ends_with_its_block_and_no_other_does(postgres_server):
    with running_server() as own:
        assert own != postgres_server
        psycopg.connect(own.replace("+psycopg", "")).close()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(own.replace("+psycopg", ""))
    psycopg.connect(postgres_server.replace("+psycopg", "")).close()


def test_a_server_that_cannot_start_is_an_error(tmp_path):
    (tmp_path / "data").write_text("in the way of the folder")
    with pytest.raises(Exception, match=r"exist|directory|returned non-zero"):
        start(tmp_path)
    stop(tmp_path)

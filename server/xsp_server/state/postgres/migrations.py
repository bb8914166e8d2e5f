"""Versions of the tables: each `versions/NNN.sql` makes one from the one before; only added to."""

from importlib.resources import files
from typing import Any, Final

import asyncpg

from xsp_server.errors import ConfigError

LATEST: Final = 1
"""The newest version that this server knows."""


async def migrate(connection: "asyncpg.Connection[Any]", schema: str) -> None:
    """Brings the schema to the newest version, in one transaction, under a lock of its own.

    Servers that start together wait for one another; those that come second find all done.

    Raises:
        ConfigError: the schema is another program's, or of a newer server, or the database does
            not keep its texts in UTF-8.
    """
    async with connection.transaction():
        encoding = await connection.fetchval("SHOW server_encoding")
        if encoding != "UTF8":
            raise ConfigError(f"the database keeps text in {encoding}; expected UTF8")
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"xsp state {schema}"
        )
        version = await _version(connection, schema)
        if version > LATEST:
            raise ConfigError(
                f"schema {schema!r}: has tables of version {version};"
                f" this server knows up to {LATEST}"
            )
        for number in range(version + 1, LATEST + 1):
            await connection.execute(_read(number))
        if version < LATEST:
            await connection.execute("UPDATE schema_version SET version = $1", LATEST)


async def _version(connection: "asyncpg.Connection[Any]", schema: str) -> int:
    """The version of the schema; one that is not there, or is empty, is made ours with 0."""
    name = _quoted(schema)
    # "IF NOT EXISTS" needs the right to create, even where nothing is to be created.
    if await connection.fetchval("SELECT to_regnamespace($1) IS NULL", name):
        await connection.execute(f"CREATE SCHEMA {name}")
    if await connection.fetchval("SELECT to_regclass($1) IS NULL", f"{name}.schema_version"):
        if await connection.fetchval(
            "SELECT EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = $1::regnamespace)", name
        ):
            raise ConfigError(
                f"schema {schema!r}: is another program's; expected one of ours, or none"
            )
        await connection.execute("CREATE TABLE schema_version (version integer NOT NULL)")
        await connection.execute("INSERT INTO schema_version VALUES (0)")
    return int(await connection.fetchval("SELECT version FROM schema_version"))


def _read(number: int) -> str:
    """The statements of a version."""
    return files(__package__).joinpath("versions", f"{number:03}.sql").read_text("utf-8")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

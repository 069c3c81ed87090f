"""Places: where an order and its outside are kept, so that the next process, or a copy of the world, finds them."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import make_url

from durable.checkpoint import migrations
from durable.checkpoint.database import Database
from tests.contract import processes
from tests.contract.outside import Outside
from tests.postgres import fresh_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.contract.subject import Subject


class Place:
    """One world: a database, a folder, and the class of what is driven there. ``plant`` spoils each process."""

    def __init__(
        self, kind: type[Subject], url: str, folder: Path, *, server: str | None, plant: Callable[[], Any] | None = None
    ) -> None:
        self.kind, self.url, self.folder, self._server, self._plant = kind, url, folder, server, plant

    @property
    def outside(self) -> Outside:
        """What arrived."""
        return Outside(self.folder / "outside")

    def run(self, act: str, **outside: Any) -> Any:
        """Let a new process do one thing. Raises Failed."""
        return processes.run(self._doing(act, **outside))

    def killed(self, act: str, dies: str) -> None:
        """Let a new process do one thing and be killed at it. Raises Failed if it lived."""
        processes.killed(self._doing(act, dies=dies))

    def race(self, act: str, count: int, **outside: Any) -> None:
        """Let so many processes do the same thing at once."""
        processes.race([self._doing(act, **outside)] * count)

    def _doing(self, act: str, **outside: Any) -> Callable[[], Any]:
        def work() -> Any:
            if self._plant is not None:
                self._plant()
            return getattr(self.kind(self.url, self.folder, Outside(self.folder / "outside", **outside)), act)()

        return work

    @contextmanager
    def copied(self) -> Iterator[Place]:
        """A copy of this world as it stands now."""
        folder = self.folder.with_name(f"{self.folder.name}-copy")
        shutil.copytree(self.folder, folder)
        if self._server is None:
            yield Place(self.kind, _sqlite(folder), folder, server=None, plant=self._plant)
        else:
            with fresh_database(self._server, template=str(make_url(self.url).database)) as url:
                yield Place(self.kind, url, folder, server=self._server, plant=self._plant)
        shutil.rmtree(folder)


@contextmanager
def new_place(
    kind: type[Subject], root: Path, server: str | None, *, plant: Callable[[], Any] | None = None
) -> Iterator[Place]:
    """An empty world: a SQLite file, or a database of the server."""
    folder = root / f"{os.getpid()}-{len(list(root.iterdir()))}"
    folder.mkdir()
    if server is None:
        shutil.copy(_template(root), folder / "durable.db")
        yield Place(kind, _sqlite(folder), folder, server=None, plant=plant)
        return
    with fresh_database(server) as url:
        processes.run(lambda: _migrate(url))
        yield Place(kind, url, folder, server=server, plant=plant)


def _template(root: Path) -> Path:
    path = root.with_name(f"{root.name}-template.db")
    if not path.exists():
        processes.run(lambda: _migrate(f"sqlite:///{path}"))
    return path


def _migrate(url: str) -> None:
    database = Database(url)
    migrations.upgrade(database)
    database.close()


def _sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'durable.db'}"

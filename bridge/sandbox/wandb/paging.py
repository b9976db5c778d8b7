"""Pages of a listing: read in SQL, by position in the order rather than by offset."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.records import ALWAYS, Record, Sql

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.sandbox.wandb.context import Context

R = TypeVar("R", bound=Record)
N = TypeVar("N")

PAGE_DEFAULT = 50  # a guess; the SDK always says how many it wants
FILE_PAGE_MAX = 10_000  # the SDK asks for 5,000 file URLs at once


@dataclass(frozen=True, slots=True)
class PageInfo:
    """`PageInfo`."""

    end_cursor: str | None
    start_cursor: str | None
    has_next_page: bool
    has_previous_page: bool


@dataclass(frozen=True, slots=True)
class Edge(Generic[N]):
    """Any `...Edge`; `version` is for VersionedArtifactEdge alone."""

    node: N
    cursor: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[N]):
    """Any `...Connection`. The count is made when somebody asks for it."""

    edges: Sequence[Edge[N]]
    page_info: PageInfo
    count: Callable[[], int]

    def totalCount(self, context: Context) -> int | None:
        """Count the whole listing, or keep silent, as `total_count` says."""
        return self.count() if context.switches.total_count == "exact" else None


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """What is paged: rows of one table, joined with those that its conditions and orders speak of."""

    record: type[R]
    joins: str = ""
    where: Sql = ALWAYS
    orders: Mapping[str, str] | None = None  # what a client may order by -> the SQL for it, never NULL
    default_order: str = ""  # "" is the order of creation
    page_max: int | None = None  # None: as the switch says
    prepare: Callable[[Context, Sequence[R]], None] | None = None  # reads in one go what answers about a page need

    def page(self, context: Context, first: int | None, after: str | None, order: str | None = None) -> Page[R]:
        """Return at most `first` rows that come after the cursor `after`."""
        size = min(PAGE_DEFAULT if first is None else first, self.page_max or context.switches.page_size_max)
        rows = self._rows(context, size + 1, after, order)
        edges = [Edge(row, cursor) for row, cursor in rows[:size]]
        if self.prepare is not None:
            self.prepare(context, [edge.node for edge in edges])
        info = PageInfo(
            end_cursor=edges[-1].cursor if edges else None,
            start_cursor=edges[0].cursor if edges else None,
            has_next_page=len(rows) > size,
            has_previous_page=after is not None,
        )
        return Page(edges, info, lambda: self.count(context))

    def count(self, context: Context) -> int:
        """Count all rows."""
        query = f"SELECT count(*) FROM {self.record.table} {self.joins} WHERE {self.where.text}"  # noqa: S608  our own texts
        [[number]] = context.rows(query, *self.where.parameters)
        assert isinstance(number, int)  # noqa: S101  count(*) is
        return number

    def _rows(self, context: Context, limit: int, after: str | None, order: str | None) -> list[tuple[R, str]]:
        order = order or self.default_order
        downwards = order.startswith("-")
        key = f"{self.record.table}.key"
        column = self._column(order.lstrip("+-")) or key
        where = self.where
        if after:
            where &= Sql(f"({column}, {key}) {'<' if downwards else '>'} (?, ?)", _position(after))
        direction = "DESC" if downwards else "ASC"
        query = (
            f"SELECT {column}, {self.record.columns()} FROM {self.record.table} {self.joins} "  # noqa: S608  our own texts
            f"WHERE {where.text} ORDER BY {column} {direction}, {key} {direction} LIMIT ?"
        )
        found = context.database.execute(query, (*where.parameters, limit))
        return [(self.record(*row[1:]), _cursor(row[0], row[1])) for row in found]

    def _column(self, name: str) -> str | None:
        if not name:
            return None
        if name not in (self.orders or {}):
            raise Refused(f"cannot order by {name!r}", 400)
        return (self.orders or {})[name]


def slice_of(nodes: Sequence[N], first: int | None, after: str | None, cap: int) -> Page[N]:
    """Return a page of a list that is already in memory."""
    start = int(_position(after)[0]) if after else 0  # type: ignore[call-overload]  # a cursor of this function's own
    end = start + min(len(nodes) if first is None else first, cap)
    edges = [Edge(node, _cursor(start + at, 0)) for at, node in enumerate(nodes[start:end], start=1)]
    info = PageInfo(
        end_cursor=edges[-1].cursor if edges else None,
        start_cursor=edges[0].cursor if edges else None,
        has_next_page=end < len(nodes),
        has_previous_page=start > 0,
    )
    return Page(edges, info, lambda: len(nodes))


def _cursor(*position: object) -> str:
    return base64.b64encode(json.dumps(position).encode()).decode()


def _position(cursor: str) -> tuple[object, ...]:
    try:
        return tuple(json.loads(base64.b64decode(cursor)))
    except ValueError as error:
        raise Refused(f"not a cursor: {cursor}", 400) from error

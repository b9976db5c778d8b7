"""How much goes at once: counted before anybody is asked, so never too little, for the guard of a whole mapping."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.core.departures import absent
from bridge.core.desired import desire
from bridge.core.model import DEFAULT, OnSourceDelete
from bridge.core.policy import NONE, Count
from bridge.reconcile.orders import Beside

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.core.ports import Store
    from bridge.reconcile.orders import Order


@dataclass(frozen=True, slots=True)
class Losses:
    """What the orders of a pass may take away, as far as the store knows what there is."""

    store: Store

    def of(self, order: Order) -> Count:
        """Count what a model may lose: aliases, and versions if the mapping deletes those that are gone."""
        if order.state.is_missing and order.spec.on_source_delete is OnSourceDelete.RETAIN:
            return NONE  # it is only settled
        desired = desire(order.spec, order.state)
        kept = {DEFAULT, *desired.aliases, *desired.unclear}
        aliases = sum(alias not in kept for alias in self.store.mirrored(order.key))
        if order.spec.on_source_delete is not OnSourceDelete.DELETE:
            return Count(aliases)
        return Count(aliases, len(absent(listed(order), self.store.records(order.key))))

    def together(self, to_do: Sequence[Order], found: Iterable[Order]) -> list[Order]:
        """Tell each order what the mapping's other models have and may lose in this pass."""
        loses = {order.key: self.of(order) for order in to_do}
        mappings = {key.mapping for key, count in loses.items() if count != NONE}
        keys = [order.key for order in found if order.key.mapping in mappings]
        has = {key: Count(len(self.store.mirrored(key)), len(self.store.records(key))) for key in keys}

        def beside(order: Order) -> Beside:
            others = [key for key in has if key.mapping == order.key.mapping and key != order.key]
            return Beside(sum((has[key] for key in others), NONE), sum((loses.get(key, NONE) for key in others), NONE))

        return [replace(o, beside=beside(o)) if o.key.mapping in mappings else o for o in to_do]


def listed(order: Order) -> set[str]:
    """Return the ids of all versions that an order's collection holds."""
    return {version.id for version in order.state.versions}

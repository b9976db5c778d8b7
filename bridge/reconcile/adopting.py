"""Versions that a person made, taken into ownership on a person's word, once their bytes are those of the source."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from bridge.core.changes import AdoptVersion
from bridge.core.errors import BridgeError, IntegrityError, NeedsPerson, NotFound, TakenElsewhere, TryAgain
from bridge.core.model import State
from bridge.core.naming import is_our_name
from bridge.core.ownership import alive, whose
from bridge.core.refs import may_mean, means, model_of
from bridge.reconcile.fencing import fenced
from bridge.reconcile.pausing import due
from bridge.reconcile.sweeping import Sweeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bridge.core.model import MappingSpec, ModelKey, ModelVersion, SourceVersion
    from bridge.core.ports import Store
    from bridge.core.refs import Ref
    from bridge.reconcile.orders import Order
    from bridge.reconcile.passes import Passes
    from bridge.reconcile.reconciler import Reconciler

WHY = "bridge adopt"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for."""

    ref: Ref  # a version in Vertex; or a model: all its versions that are not the bridge's
    source: Ref | None = None  # the version of the source that it is; None: to be told by its bytes
    deep: bool = False  # read bytes where no digest tells
    who: str = ""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What becomes of one version in Vertex."""

    key: ModelKey
    version_id: str
    source: SourceVersion | None = None  # that it is taken for; None: it could not be told
    problem: BridgeError | None = None  # why it is not adopted


@dataclass(frozen=True, slots=True)
class Adopter:
    """Takes versions over: compares their bytes with the source's, marks and records them, one journaled at a time."""

    passes: Passes  # its ends, store and leases

    def find(self, specs: Sequence[MappingSpec], wish: Wish) -> list[Adoption]:
        """Say what would be adopted, and why what is not would not be; change nothing anywhere."""
        order = self._order(specs, wish)
        reconciler = self.passes.reconciler(order.spec)

        def compare(found: AdoptVersion) -> None:
            reconciler.copier.compare(found.version, found.artifact_uri, deep=found.deep)

        return [_tried(order, each, compare) for each in _Look(reconciler, self.passes.store, order, wish).found()]

    def adopt(self, specs: Sequence[MappingSpec], wish: Wish) -> list[Adoption]:
        """Adopt what can be, under the model's lease; say of the rest why it cannot."""
        order = self._order(specs, wish)
        with self.passes.leases.of(order.key) as lease:
            store = self.passes.store.fenced(lease)
            reconciler = fenced(self.passes.reconciler(order.spec), store, lease, self.passes.leases)
            adopt = partial(reconciler.adopt, order)
            done = [_tried(order, each, adopt) for each in _Look(reconciler, store, order, wish).found()]
            if (status := store.status(order.key)) is not None:
                again = replace(due(status), state=State.PENDING, message="a person had versions adopted")
                store.save_status(replace(again, remedy="the next pass compares it"))
        return done

    def _order(self, specs: Sequence[MappingSpec], wish: Wish) -> Order:
        """Find the one model that is meant, with all versions of its collection."""
        ref = wish.ref
        if ref.at_source:
            raise NeedsPerson(
                f"{ref.name!a} is at the source, and what is adopted is a version in Vertex",
                f"name that, and say which it is: bridge adopt MODEL@ID --as {ref.name}:{ref.version or 'VERSION'}",
            )
        may = [spec for spec in specs if may_mean(ref, spec)]
        look = Sweeper(self.passes.source, self.passes.clock).look(may, self.passes.known())
        orders = {order.key: order for order in look.orders}
        followed = {key: order.state.collection for key, order in orders.items()}
        key = model_of(ref, followed, "name one of them: bridge adopt MAPPING/MODEL@ID")
        if key is None:
            for status in look.unread:
                if means(ref, status.key, status.collection):
                    raise NeedsPerson(status.message, status.remedy)
            raise NotFound(f"no mapping brings anything to a Vertex model {ref.name!a}", "see: bridge plan --all")
        return replace(self._whole(orders[key]), why=f"{WHY} by {wish.who}")

    def _whole(self, order: Order) -> Order:
        """Have all versions of a collection, also those that the mapping does not ask for."""
        selector = replace(order.spec.source, name=order.state.name, is_pattern=False, aliases=None)
        sweep = self.passes.source(selector.connection).sweep([selector])
        if selector in sweep.failed:
            raise sweep.failed[selector]
        return replace(order, state=replace(order.state, versions=sweep.found[selector][0].versions))


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a model's versions: which are adopted for which source version; nothing is written."""

    reconciler: Reconciler
    store: Store
    order: Order
    wish: Wish
    taken: set[tuple[str, str | None]] = field(default_factory=set)  # ids and digests of what is spoken for

    @property
    def model(self) -> str:
        return self.order.key.model

    def found(self) -> Iterator[AdoptVersion | Adoption]:
        actual = self.reconciler.registry.observe(self.model)
        if not actual.exists:
            raise NotFound(f"Vertex has no model {self.model!a}", "nothing is to be adopted: bridge sync makes it")
        ours = alive(self.store.records(self.order.key), actual.versions)
        self.taken.update((record.source.id, record.source.digest) for record in ours)
        ids = {record.version_id for record in ours}
        at = self.wish.ref.version
        chosen = [v for v in actual.versions if (v.id not in ids if at is None else at == v.id or at in v.aliases)]
        if at is not None and not chosen and at.isdecimal():  # lists may lag
            chosen = [there for there in [self.reconciler.registry.version(self.model, at)] if there is not None]
        if not chosen:
            what = "version that is not the bridge's" if at is None else f"version {at!a}"
            raise NotFound(f"Vertex model {self.model!a} has no {what}", f"see: bridge explain {self.model}")
        for version in chosen:
            try:
                change = self._change(version)
            except BridgeError as problem:
                yield Adoption(self.order.key, version.id, None, problem)
            else:
                self.taken.add((change.version.id, change.version.digest))
                yield change

    def _change(self, version: ModelVersion) -> AdoptVersion:
        """Say which source version it is taken for. Raises why it is not."""
        where, records = f"{self.model}@{version.id}", self.store.all_records()
        record = whose(records, self.model, version)
        if record is not None and record.key != self.order.key:
            raise NeedsPerson(
                f"{where} belongs to the mapping {record.key.mapping!a}", "that mapping moves its aliases"
            )
        if record is not None and version.marked:
            raise NeedsPerson(f"{where} is the bridge's already, for {record.source}", "there is nothing to do")
        if version.owner is not None:
            raise NeedsPerson(
                f"{where} carries the mark of another bridge, {version.owner!a}",
                "change it there, or take its label away in Vertex if that bridge is no more",
            )
        source = self._meant() or (record.source if record else self._told(version))
        if (source.id, source.digest) in self.taken:
            raise NeedsPerson(
                f"{source} has a version in Vertex model {self.model!a} already, and one stands for each",
                "delete that which is not needed in Vertex",
            )
        if any(intent.version.id == source.id for intent in self.store.intents(self.order.key)):
            raise TryAgain(f"a registration of {source} is under way, or its end is not known yet")
        return AdoptVersion(source, version.artifact_uri, version.id, WHY, self.wish.deep)

    def _meant(self) -> SourceVersion | None:
        """Find the source version that a person named."""
        named, state = self.wish.source, self.order.state
        if named is None:
            return None
        if named.at_source and not means(named, self.order.key, state.collection):
            raise NeedsPerson(
                f"mapping {self.order.key.mapping!a} follows {state.collection}, not {named.name!a}",
                f"name a version of that: --as {state.collection}:VERSION",
            )
        name = named.version if named.at_source else named.name
        for version in state.versions:
            if name is not None and (name == version.label or state.aliases.get(name) == version.id):
                return version
        raise NotFound(f"{state.collection} has no version {name!a}", "look at the source which it has")

    def _told(self, version: ModelVersion) -> SourceVersion:
        """Tell by its folder's manifest, or by its bytes, as far as metadata say, which source version it is."""
        copier, folder, state = self.reconciler.copier, version.artifact_uri, self.order.state
        header = copier.header(folder)
        for each in state.versions:
            if header is not None and header.is_of(each) and is_our_name(folder, self.model, each):
                return each
        same: list[SourceVersion] = []
        unsure: list[SourceVersion] = []
        for each in reversed(state.versions):
            try:
                copier.compare(each, folder)
            except (IntegrityError, NotFound):
                continue
            except NeedsPerson:
                unsure.append(each)
            else:
                same.append(each)
        if len(same) == 1:
            return same[0]
        say = f"say which: bridge adopt {self.model}@{version.id} --as {state.collection}:VERSION"
        if same:
            raise NeedsPerson(f"{folder} has the files of {_listed(same)} alike", say)
        if unsure:
            raise NeedsPerson(f"no digest tells whether {folder} has the files of {_listed(unsure)}", f"{say} --deep")
        raise NeedsPerson(f"no version of {state.collection} has the files of {folder}", "have the bridge register one")


def _tried(order: Order, found: AdoptVersion | Adoption, deed: Callable[[AdoptVersion], None]) -> Adoption:
    """Do what is to be done with a version that may be adopted; say what became of it."""
    if isinstance(found, Adoption):
        return found
    problem: BridgeError | None = None
    try:
        deed(found)
    except TakenElsewhere:
        raise
    except BridgeError as refused:
        problem = refused
    return Adoption(order.key, found.version_id, found.version, problem)


def _listed(versions: Sequence[SourceVersion]) -> str:
    shown = ", ".join(version.label for version in versions[:5])
    return f"{shown} and {len(versions) - 5} more" if len(versions) > 5 else shown  # noqa: PLR2004  the same

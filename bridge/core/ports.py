"""The doors to the outside: one small Protocol each; every docstring is a promise that the contract tests hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from bridge.core.changes import Change
    from bridge.core.deeds import Word
    from bridge.core.model import (
        Alias,
        ArtifactFile,
        BucketPlace,
        CollectionSelector,
        Container,
        Description,
        Digest,
        Facts,
        Hold,
        Manifest,
        ManifestHeader,
        MappingRecord,
        ModelKey,
        ModelVersion,
        SourceVersion,
        StoredFile,
        Sweep,
        TargetState,
        Tombstone,
    )
    from bridge.core.records import (
        Content,
        EntryId,
        Intent,
        JournalEntry,
        Lease,
        Operation,
        Outcome,
        Status,
        Tally,
        Token,
        Upload,
    )
    from bridge.core.webhooks import Webhook

    Reader = Callable[[int], AbstractContextManager[Iterator[bytes]]]  # opens the bytes of a file from an offset on


class Clock(Protocol):
    """Time, as an argument."""

    def now(self) -> datetime:
        """Return the time now, with UTC as its zone."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return when `seconds` have passed."""
        ...


class Source(Protocol):
    """Where versions and aliases are published: one connection to W&B or MLflow. Reads only."""

    def sweep(self, selectors: Sequence[CollectionSelector]) -> Sweep:
        """
        Look at the aliases and versions of all selected collections, in as few requests as the service allows.

        A collection without versions is found and empty; one that does not exist is failed, with NotFound.
        Versions that carry no alias that a selector asks for may be left out if all its selectors name aliases.
        Raises TryAgain or NeedsPerson if the connection as a whole cannot be read.
        """
        ...

    def describe(self, version: SourceVersion) -> Description:
        """
        List a version's files, by path, with sizes and the digests that the source keeps, and say what the model is.

        Raises NotFound if the version is gone, or another one has its label (another id); IntegrityError if it has
        another digest; NeedsPerson if it has a file that cannot be copied; TryAgain if the source was unwell.
        """
        ...

    def open(
        self, version: SourceVersion, file: ArtifactFile, start: int = 0
    ) -> AbstractContextManager[Iterator[bytes]]:
        """
        Stream a file from byte `start` on; nothing is written to disk.

        A URL that has expired is renewed, a connection that breaks is taken up where it broke.
        Raises TryAgain or NeedsPerson, at the opening or between two pieces. The number of bytes is not promised.
        """
        ...

    def is_gone(self, collection: str, alias: str, selector: CollectionSelector | None = None) -> bool:
        """
        Ask for one alias by name; True only if the source says positively that nothing has it.

        With a selector, only what it selects counts: an alias of that name, a stage of that name, or both.

        Raises NotFound if the collection is not there: it may have been renamed, with all its aliases. Raises TryAgain
        or NeedsPerson if the source says anything else than yes or no.
        """
        ...

    def is_deleted(self, version: SourceVersion, selector: CollectionSelector) -> bool:
        """
        Ask for one version by its label; True only if the source says positively that its collection has it no more.

        Another version that has the label now is not it; a collection that was renamed still has it. If the collection
        is not there either, what holds it must show another one: a place that shows nothing may be one that this
        account lost the right to see. Raises TryAgain or NeedsPerson if the source says anything else than yes or no.
        """
        ...

    def check_access(self) -> str | None:
        """
        Ask for next to nothing, with our credentials; return as whom the source knows us, None if it does not tell.

        Raises NeedsPerson if they are missing or refused, or if the connection names something that is not there.
        """
        ...


class Webhooks(Protocol):
    """
    The webhooks of one connection that tell a bridge of changes; ours are known by their names, which no other has.

    Everything may raise NeedsPerson or TryAgain. Installing and removing are idempotent.
    """

    def install(self, url: str, selectors: Sequence[CollectionSelector], *, again: bool = False) -> list[Webhook]:
        """
        Have the source tell the service at `url`, which has no "/" at its end, of changes to selected collections.

        What is as it should be is left alone, unless `again`: a source does not tell which secret it has.
        """
        ...

    def installed(self, selectors: Sequence[CollectionSelector]) -> list[Webhook]:
        """Say what is there, of ours."""
        ...

    def remove(self, selectors: Sequence[CollectionSelector]) -> list[Webhook]:
        """Take away what is ours, and return it."""
        ...

    def test(self, selectors: Sequence[CollectionSelector]) -> str:
        """
        Have one webhook reach the service, sent by the source if it can, and say how it was answered.

        Raises NeedsPerson if it was not taken.
        """
        ...


class Bucket(Protocol):
    """What lies in a bucket. Folders end in "/". Reads only."""

    def manifest(self, folder: str) -> Manifest | None:
        """Read a folder's manifest; None if it has none, and so is not whole."""
        ...

    def header(self, folder: str) -> ManifestHeader | None:
        """Read what the manifest says besides its files, in one request however many they are; None as above."""
        ...

    def held(self, folder: str) -> Iterator[StoredFile]:
        """
        List what lies below a folder, by path, as it comes, with the digests that the bucket keeps.

        Left out are the manifest, and empty objects named "…/", which a console makes for a directory. An absent
        folder is empty. Raises TryAgain or NeedsPerson, at the call or between two objects.
        """
        ...

    def reread(self, folder: str, files: Iterable[StoredFile]) -> Iterator[tuple[StoredFile, StoredFile]]:
        """
        Read files again, every byte; yield each, in the order given, with what its bytes are now.

        Of the bytes those digests are taken that the file has. A few files are read at a time, in bounded memory.
        Bytes that are not the file's are read twice before they are told, since they may have changed on their way.
        Raises NeedsPerson if an object is not there, or TryAgain.
        """
        ...

    def read(self, folder: str, path: str, start: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """
        Stream the bytes of a file from byte `start` on, whatever they are. Bounded memory.

        Raises NeedsPerson if there is no such object, or TryAgain, at the opening or between two pieces.
        """
        ...

    def where(self, folder: str) -> BucketPlace | None:
        """
        Say where the bucket of a folder keeps its bytes; None if this account may not know.

        Raises NeedsPerson if there is no such bucket, or TryAgain.
        """
        ...

    def lacking(self, folder: str) -> tuple[str, ...]:
        """
        Name the rights in the bucket of a folder that copies need, and this account has not, as the service does.

        Raises NeedsPerson if there is no such bucket, or TryAgain.
        """
        ...


class Storage(Bucket, Protocol):
    """A bucket that is written; nothing is ever overwritten."""

    def put(self, folder: str, file: ArtifactFile, read: Reader, there: StoredFile | None = None) -> StoredFile:
        """
        Store one file under its path; bounded memory, whatever its size. Idempotent.

        `read` opens the file at an offset, and is asked again where sending breaks. What was begun by an earlier
        call, by whatever process, is gone on with. The receiving end verifies md5 where the source has it, crc32c
        always. An object that is already there, as `there` says or as turns out, is kept if size and digests are the
        file's; then bytes are read only where no digest can tell. Raises IntegrityError, with no object left by this
        call, if size or digest differ from `file`'s, and NeedsPerson if another object has the name.
        """
        ...

    def weight(self, file: ArtifactFile) -> int:
        """Return how many bytes of memory `put` takes for a file, at most."""
        ...

    def rewrite(self, folder: str, file: ArtifactFile, source: str) -> StoredFile:
        """
        Store a copy of another object, `source` being its gs:// URI, as `put` would; no byte passes through here.

        Raises as `put` does, and NeedsPerson if there is no such object or it may not be read.
        """
        ...

    def discard(self, upload: Upload, before: datetime) -> int:
        """
        Remove what is left in the bucket of something that was begun and will not be finished; return how many objects.

        A session or an upload in parts is ended. In a folder, objects that carry our mark and are older than
        `before` are removed, unless it has a manifest: then it is whole, and nothing is. Idempotent.
        """
        ...

    def commit(self, folder: str, manifest: Manifest) -> None:
        """Write the manifest. Idempotent; raises NeedsPerson if one with other files is there."""
        ...

    def remove(self, folder: str, go_on: Callable[[], None]) -> int:
        """
        Remove what carries our mark below a folder, its manifest before all else; return how many objects. Idempotent.

        So a folder that is not whole any more is never taken for one. `go_on` is called before each object, from
        several threads, and ends it by what it raises. What others have written stays. Raises NeedsPerson, and nothing
        is removed, if the manifest itself is not ours.
        """
        ...


class ObjectStore(Protocol):
    """Buckets that a source keeps its versions' files in: `gs://` or `s3://`. Reads only."""

    def list(self, folder: str) -> Sequence[ArtifactFile]:
        """
        List all objects below a folder, a URI that ends in "/", by path; paths are relative to it and not checked.

        An absent folder is empty. Raises TryAgain, or NeedsPerson if the bucket is absent or may not be read.
        """
        ...

    def open(self, uri: str, start: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """Stream an object from byte `start` on, as Source.open does."""
        ...


class Copier(Protocol):
    """Brings a version's files into a bucket."""

    def copy(self, version: SourceVersion, folder: str) -> Manifest:
        """
        Copy and verify every file, then write the manifest; a folder that is whole is left as it is. Idempotent.

        Raises IntegrityError if bytes are not what the source says, TryAgain, or NeedsPerson.
        """
        ...

    def arrange(self, version: SourceVersion, copied: str, folder: str, renames: Sequence[tuple[str, str]]) -> Manifest:
        """
        Copy files of the whole folder `copied` to `folder`, inside the bucket, under new names; then its manifest.

        Idempotent. Raises as `copy` does, and NeedsPerson if `copied` is not whole or has no such file.
        """
        ...

    def compare(self, version: SourceVersion, folder: str, *, deep: bool = False) -> Manifest:
        """
        Make sure that a folder which a person filled holds a version's files and no others; return their manifest.

        By name, size and the digests that source and bucket keep. Where these do not tell, every byte is read if
        `deep`, else NeedsPerson is raised. A folder that the bridge filled is compared with its own manifest, since
        its files may have been arranged. Writes nothing. Raises IntegrityError if the files differ, and as
        Source.describe does.
        """
        ...

    def adopt(self, version: SourceVersion, folder: str, kept: str, *, deep: bool = False) -> Manifest:
        """
        Compare, as above, and write the manifest to `kept`, a folder of ours that holds nothing else. Idempotent.

        The folder of a person stays as it is. Raises as `compare` does, and NeedsPerson if `kept` has a manifest
        of other files.
        """
        ...

    def remove(self, version: SourceVersion, folder: str, go_on: Callable[[], None]) -> int:
        """
        Remove a version's folder, as Storage.remove does; nobody enters it meanwhile. Idempotent.

        Raises NeedsPerson, and nothing is removed, if the folder holds another version.
        """
        ...

    def manifest(self, folder: str) -> Manifest | None:
        """Read a folder's manifest; None if the folder is not whole."""
        ...

    def header(self, folder: str) -> ManifestHeader | None:
        """Read what the manifest says besides its files, which may be many; None if the folder is not whole."""
        ...


class Registry(Protocol):
    """The Vertex AI Model Registry of one project and location. TryAgain means: it may have happened, look again."""

    def check_access(self) -> None:
        """List one model. Raises NeedsPerson if we may not, or if there is no such project or location; TryAgain."""
        ...

    def models(self) -> tuple[str, ...]:
        """
        Name the models that show our mark, in the order of their names.

        A model shows the labels of its own and of its `default` version; one that has versions of ours and shows no
        mark is not among them.
        """
        ...

    def observe(self, model: str) -> TargetState:
        """Look at a model with all its versions; absent is `exists=False`. `committed` is left empty."""
        ...

    def version(self, model: str, version_id: str) -> ModelVersion | None:
        """Ask for one version; None only if Vertex says that there is none. It may show here before it is listed."""
        ...

    def holder(self, model: str, alias: Alias) -> ModelVersion | None:
        """Ask which version has an alias; None only if Vertex says that none has. Lists may show that later."""
        ...

    def register(
        self,
        model: str,
        name: str,
        version: SourceVersion,
        artifact_uri: str,
        container: Container,
        *,
        facts: Facts,
        first: bool,
    ) -> str:
        """
        Ask for a new version, without aliases; return the operation's name. Not idempotent: see reconcile.registering.

        No other request is made before it, and no budget waited for. `first`: makes the model, with `name` for display;
        where it came to exist, or is gone if not `first`, raises TryAgain with `nothing_happened`, or the operation
        fails. Raises TryAgain if the reply was lost: the version may come to exist.
        """
        ...

    def operation(self, name: str) -> Operation:
        """Ask how an operation goes."""
        ...

    def running(self, model: str) -> tuple[str, ...]:
        """List the operations of a model that have not ended, as far as the service tells."""
        ...

    def move_alias(self, model: str, alias: Alias, version_id: str) -> None:
        """
        Make `alias` name the version and no other of the model. Idempotent; read back before it returns.

        Raises TryAgain if Vertex was unwell: the alias may or may not have moved, so observe again.
        """
        ...

    def remove_alias(self, model: str, alias: Alias, version_id: str) -> None:
        """Take `alias` away from that version, if it has it. Idempotent; read back before it returns."""
        ...

    def mark_ours(self, model: str, version_id: str) -> None:
        """
        Put our mark on a version, beside the labels that it has, and take that of a duplicate away.

        Idempotent; read back before it returns. Raises NotFound if the version is gone, and NeedsPerson if it carries
        somebody else's mark; then nothing has happened.
        """
        ...

    def mark_duplicate(self, model: str, version_id: str, of: str) -> None:
        """Say on a version of ours that it is one too many, beside the version `of`. Otherwise as `mark_ours`."""
        ...

    def delete(self, model: str, version_id: str) -> str | None:
        """
        Ask for a version to be deleted; return the operation's name, or None if there is no such version. Idempotent.

        Raises NeedsPerson if Vertex refuses it: one that is deployed, has `default` or is a model's only one.
        """
        ...


class Uploads(Protocol):
    """Uploads that have begun and not ended: who sends files saves them, so that a later process goes on with them."""

    @property
    def lasting(self) -> bool:
        """Whether a later process can read the addresses that are saved now."""
        ...

    def upload(self, uri: str) -> Upload | None:
        """Return the upload of the object with that URI; None if there is none, or its address cannot be read."""
        ...

    def save_upload(self, upload: Upload) -> None:
        """Remember an upload, in place of one of the same URI. Its address is kept as the secret that it is."""
        ...

    def forget_upload(self, uri: str) -> None:
        """Forget an upload: it has ended, or was given up. Idempotent."""
        ...

    def begin_removal(self, folder: str, at: datetime) -> None:
        """Begin to remove a folder, or go on with it: for an hour, or until it is forgotten, nobody enters it."""
        ...

    def enter(self, folder: str, at: datetime) -> bool:
        """Begin the copy to a folder, or go on with it; False if somebody began to remove it within the last hour."""
        ...

    def stay(self, folder: str, since: datetime, at: datetime) -> bool:
        """Say that a copy that began, or said this last, at `since` goes on; False if it has lost its folder."""
        ...

    def claim(self, upload: Upload, at: datetime) -> bool:
        """Take what is left of an upload for removal; False if it has ended, or was gone on with, or was claimed."""
        ...

    def uploads(self, before: datetime) -> tuple[Upload, ...]:
        """
        Return what was begun before that time, oldest first, so that it is removed.

        The address is empty if it cannot be read: its key was lost, or is another process's. All that is left to do
        with such an upload is to forget it.
        """
        ...


class Contents(Protocol):
    """Which verified object of a bucket holds which bytes: who copies files asks, so that no byte is sent twice."""

    def contents(self, bucket: str, wanted: Sequence[tuple[Digest, int]]) -> Mapping[tuple[Digest, int], Content]:
        """
        Return what is known of these digests and sizes, however many; what is not known is left out.

        The object may be gone or written again since, which only the bucket knows.
        """
        ...

    def save_contents(self, contents: Iterable[Content]) -> None:
        """
        Remember where bytes lie, any number; a death in the middle keeps the first of them.

        Of two objects with the same bytes the one that is known first stays; one of the same URI is replaced.
        """
        ...

    def forget_content(self, uri: str) -> None:
        """Forget an object, under all its digests: it is gone, or holds other bytes. Idempotent."""
        ...

    def forget_folder(self, folder: str) -> None:
        """Forget all objects below a folder, which ends in "/". Idempotent."""
        ...


class Tokens(Protocol):
    """Who may ask a service over HTTP, and for what. The tokens themselves are kept by those who were given them."""

    def tokens(self) -> tuple[Token, ...]:
        """Return all tokens, by name."""
        ...

    def add_token(self, token: Token) -> bool:
        """Remember a token; False, and nothing happens, if one has its name."""
        ...

    def revoke_token(self, name: str) -> bool:
        """Forget a token; False if there is none of that name."""
        ...


class Store(Uploads, Contents, Tokens, Protocol):
    """What the bridge remembers, copies included. Every method is one transaction, but for those on contents."""

    # records and aliases
    def records(self, key: ModelKey) -> tuple[MappingRecord, ...]:
        """Return a key's records, oldest first."""
        ...

    def all_records(self) -> tuple[MappingRecord, ...]:
        """Return every record, by key and age."""
        ...

    def save_record(self, record: MappingRecord) -> None:
        """Remember a registered version; a record of the same key and folder is replaced, but for `first_seen`."""
        ...

    def bury(self, record: MappingRecord, why: str, at: datetime) -> None:
        """Have a tombstone take the place of a record, whose version we have deleted; nothing if there is none."""
        ...

    def tombstones(self, key: ModelKey | None = None) -> tuple[Tombstone, ...]:
        """Return a key's tombstones, or all, oldest first. They stay, also when the version is registered again."""
        ...

    def files_removed(self, key: ModelKey, artifact_uri: str, at: datetime) -> None:
        """Write down that a folder is removed, on those of its tombstones that do not say so. Idempotent."""
        ...

    def mirrored(self, key: ModelKey) -> Mapping[Alias, str]:
        """Return the aliases as the bridge last set them: alias -> Vertex version id."""
        ...

    def save_mirrored(self, key: ModelKey, alias: Alias, version_id: str | None) -> None:
        """Remember where an alias was set; None forgets it. Idempotent."""
        ...

    # journal and intents
    def begin(self, key: ModelKey, change: Change, why: str, at: datetime) -> EntryId:
        """Write down that a change is about to be made."""
        ...

    def finish(self, entry: EntryId, outcome: Outcome, detail: str, at: datetime) -> None:
        """Write down how it ended."""
        ...

    def jot(self, key: ModelKey, word: Word, who: str, at: datetime) -> None:
        """Write down what a person has said, as a line that is finished: no pass has to settle it."""
        ...

    def unfinished(self, key: ModelKey) -> tuple[JournalEntry, ...]:
        """Return what was begun and never finished, oldest first: the process died there."""
        ...

    def journal(
        self, key: ModelKey | None = None, limit: int = 100, before: EntryId | None = None
    ) -> tuple[JournalEntry, ...]:
        """Return the newest entries, newest first; with `before`, of those that are older than that one."""
        ...

    def intent(self, key: ModelKey, artifact_uri: str) -> Intent | None:
        """Return the open intent to register that folder, if there is one."""
        ...

    def intents(self, key: ModelKey) -> tuple[Intent, ...]:
        """Return a key's open intents, oldest first."""
        ...

    def save_intent(self, intent: Intent) -> None:
        """Write an intent, or what has become known of it (`sent_at`, `operation`). Idempotent."""
        ...

    def close_intent(self, key: ModelKey, artifact_uri: str) -> None:
        """Forget an intent: its version is recorded, or it ended in an error. Idempotent."""
        ...

    # snapshots, status, holds
    def seen_before(self, key: ModelKey) -> frozenset[Alias] | None:
        """Return the aliases desired in the last complete listing; None if there was none."""
        ...

    def absent_before(self, key: ModelKey) -> frozenset[str]:
        """Return the ids of recorded versions that the last complete listing did not hold."""
        ...

    def save_seen(self, key: ModelKey, aliases: frozenset[Alias], absent: frozenset[str] = frozenset()) -> None:
        """Remember the aliases desired in a complete listing, and the ids of recorded versions it did not hold."""
        ...

    def status(self, key: ModelKey) -> Status | None:
        """Return what is known of a model; None if it was never looked at."""
        ...

    def statuses(self) -> tuple[Status, ...]:
        """Return every model's status, by key."""
        ...

    def save_status(self, status: Status) -> None:
        """
        Remember a model's state.

        This and the next two keep `behind_since` by core.records.behind_since, in the statement that writes: whoever
        wrote before, and whatever the caller has read, a model that is not SYNCED stays behind since the same time.
        """
        ...

    def save_states(self, found: Sequence[Status]) -> None:
        """
        Remember what a look at the source alone says of models, all in one transaction.

        Their fingerprints stay, whatever the statuses say: what was well is well when the source is back. What was
        tried in vain is forgotten, so it is tried again then.
        """
        ...

    def save_waiting(self, found: Sequence[Status]) -> None:
        """
        Remember of models that a change waits for them, all in one transaction.

        Only of those that are new, or still SYNCED with just that fingerprint: whoever works on one meanwhile has the
        last word. All but state, message, remedy and `behind_since` stays as it was, so what was well is well if the
        source goes back.
        """
        ...

    def holds(self, key: ModelKey, at: datetime) -> Mapping[Alias, Hold]:
        """Return the holds in force at that time: the model's own, and else those on EVERY model of its mapping."""
        ...

    def save_hold(self, key: ModelKey, hold: Hold) -> None:
        """Put a hold on an alias; it replaces an earlier one."""
        ...

    def lift_hold(self, key: ModelKey, alias: Alias) -> None:
        """End a hold. Idempotent."""
        ...

    # for those who look on
    def tally(self) -> tuple[Tally, ...]:
        """Count the models by mapping and state; the cost does not grow with what is told."""
        ...

    def tell(self, key: ModelKey, about: str, word: str) -> bool:
        """Remember that people are told a word about something of a model; False: it is what they were told last."""
        ...

    def untell(self, key: ModelKey, about: str) -> bool:
        """Forget what they were told; False: there was nothing. Whoever else asks at the same time hears the other."""
        ...

    # leases
    def take_lease(self, key: ModelKey, owner: str, now: datetime, until: datetime) -> Lease | None:
        """
        Take the lease of a model if nobody has it, its time is over, or it is the owner's own; else None.

        The epoch is higher than that of every earlier lease of the model.
        """
        ...

    def renew_lease(self, lease: Lease, until: datetime) -> bool:
        """Have a lease last until that time; False if it is not its owner's any more, for ever. Idempotent."""
        ...

    def release_lease(self, lease: Lease) -> None:
        """Give a lease back, if it still is its owner's. Idempotent."""
        ...

    def leases(self) -> tuple[Lease, ...]:
        """Return the leases that were not given back, by key; the time of some may be over."""
        ...

    def fenced(self, lease: Lease) -> Store:
        """
        Return this store for as long as the lease is its owner's: then every method raises TakenElsewhere.

        A write is refused in the transaction that would have made it, so none slips in behind a later claim.
        """
        ...


class Limit(Protocol):
    """A budget of requests to one outside API, shared by all who ask it."""

    def take(self) -> None:
        """Return when one more request may be made."""
        ...

    def slow(self, after: float | None = None) -> None:
        """Learn that the API asked for fewer requests; `after` is in seconds, None if it did not say."""
        ...

    def answered(self, status: int | None) -> None:
        """Learn how one request was answered: an HTTP status, or as good as that; None: it was not."""
        ...


class Runner(Protocol):
    """Executes work per key: never two at once for one key."""

    def run(self, keys: Sequence[ModelKey], work: Callable[[ModelKey], None]) -> None:
        """Do `work` for every key; return when all is done. `work` handles its own errors."""
        ...


class Queue(Protocol):
    """Executes work per key some time soon: never two at once for one key, and as seldom as will do."""

    def submit(self, key: ModelKey, why: str, *, full: bool = False) -> bool:
        """
        Have a key worked on; False if that was to happen anyhow.

        One that is queued is not queued twice; one that is at work is worked on once more afterwards. `full` has it
        compared with Vertex even if its source is as it was.
        """
        ...

    def left(self, mapping: str) -> int:
        """Count the keys of a mapping that wait or are at work; one that is both counts twice."""
        ...

"""
The bugs, as small changes of the product's text, and the tests that find them.

Two are of what judges the product: of the oracle of the storms, and of the search for secrets.
"""

from __future__ import annotations

from dataclasses import dataclass

STATEFUL = "tests/stateful/test_convergence.py::TestConvergence::runTest"
SCHEDULES = "tests/stateful/test_schedules.py::test_whatever_fails_no_promise_is_broken_and_a_quiet_pass_converges"
CRASH = "tests/crash/test_passes.py::"
PROTOCOL = "tests/crash/test_upload_protocol.py::"
ANY_POINT = CRASH + "test_a_pass_recovers_from_death_at_any_point"
ONCE = PROTOCOL + "test_a_version_is_registered_once_whatever_happens"
PLANNER = "tests/core/test_planner.py::"
REGISTRAR = "tests/reconcile/test_registrar.py::"
RECONCILER = "tests/reconcile/test_reconciler.py::"
PASSES = "tests/reconcile/test_passes.py::"
REGISTRY = "tests/contracts/test_registry.py::"
LEASING = "tests/reconcile/test_leasing.py::"
LEADING = "tests/sources/test_leading.py::"
SEALING = "tests/store/test_sealing.py::"
KILLED = "tests/e2e/test_killed.py::"
ORACLE = "tests/chaos/test_oracle.py::"
PACE = "tests/copying/test_pace.py::"
BUDGET = "tests/copying/test_budget.py::"
REBUILD = "tests/e2e/test_rebuild.py::"
LOOKED = "test_who_looks_is_told_what_is_there_or_that_it_cannot_be_known"
REMOVED = "test_what_is_removed_is_gone_in_the_end_and_nothing_else_is"
SOURCE_FAULTS = f"tests/sources/test_faults.py::{LOOKED}"
COPY_FAULTS = "tests/copying/test_faults.py::test_a_fault_ends_in_a_whole_folder_or_in_none"
OTHER_FAULTS = "tests/copying/test_other_faults.py::"
VERTEX_FAULTS = "tests/crash/test_vertex_faults.py::test_whatever_goes_wrong_once_a_quiet_pass_converges"


@dataclass(frozen=True, slots=True)
class Bug:
    """One change of a file of the house, and the tests of which each must fail on it."""

    promise: str
    what: str
    file: str
    before: str  # stands there once
    after: str
    tests: tuple[str, ...]

    def planted(self, text: str) -> str:
        """Return the file's text with the bug. Raises ValueError if the text has moved on."""
        if text.count(self.before) != 1:
            raise ValueError(f"{self.file} has the text of {self.what!r} {text.count(self.before)} times, not once")
        return text.replace(self.before, self.after)


BUGS = (
    Bug(
        "P5",
        "a removal that a death left open is given up before what takes its place is confirmed",
        "bridge/reconcile/reconciler.py",
        """            self._confirm(order, change, entry)
            for line in () if goes_on else begun:
                self.store.finish(line, Outcome.ABANDONED, "made anew", self.clock.now())
""",
        """            for line in () if goes_on else begun:
                self.store.finish(line, Outcome.ABANDONED, "made anew", self.clock.now())
            self._confirm(order, change, entry)
""",
        (RECONCILER + "test_a_removal_that_an_old_list_showed_as_made_stays_open_until_a_setting_is_confirmed",),
    ),
    Bug(
        "P5",
        "a removal that a death left open counts as made once a list does not show the alias",
        "bridge/core/settling.py",
        "        waits = is_early and was_set in (None, on_it)\n",
        "        waits = False\n",
        (RECONCILER + "test_a_removal_that_an_old_list_showed_as_made_is_made_after_all",),
    ),
    Bug(
        "P1",
        "what a crash left open is given up, though it took effect",
        "bridge/core/settling.py",
        "        elif took_effect(change, actual, known.records):\n",
        "        elif False:\n",
        (KILLED + "test_a_process_killed_before_it_learns_of_its_change_is_followed_by_one_that_finds_it",),
    ),
    Bug(
        "P1",
        "what a crash left open of an alias is given up, though it took effect",
        "bridge/core/settling.py",
        "actual.holder(change.alias), took_effect(change, actual)\n",
        "actual.holder(change.alias), False\n",
        (ANY_POINT, SCHEDULES),
    ),
    Bug(
        "P1",
        "a change that took effect is made before its line in the journal",
        "bridge/reconcile/reconciler.py",
        """        entry = begun[0] if goes_on else self.store.begin(order.key, change, order.why, self.clock.now())
        try:
            self._confirm(order, change, entry)
            for line in () if goes_on else begun:
                self.store.finish(line, Outcome.ABANDONED, "made anew", self.clock.now())
            detail = self._effect(order, change)
""",
        """        try:
            detail = self._effect(order, change)
            entry = begun[0] if goes_on else self.store.begin(order.key, change, order.why, self.clock.now())
""",
        (
            CRASH + "test_a_source_that_goes_back_after_a_death_is_followed",
            CRASH + "test_a_deletion_recovers_from_two_deaths",
        ),
    ),
    Bug(
        "P1",
        "a model counts as settled while changes are under way",
        "bridge/reconcile/reconciler.py",
        '            self._show(order, State.PENDING, "changes are under way")\n',
        "            pass\n",
        (CRASH + "test_a_source_that_goes_back_after_a_death_is_followed",),
    ),
    Bug(
        "P1",
        "a version that got an alias before a death is not asked for where no list shows it",
        "bridge/reconcile/observing.py",
        "        meant |= {change.artifact_uri for change in begun if isinstance(change, MoveAlias)}\n",
        "",
        (CRASH,),
    ),
    Bug(
        "P1",
        "a version that an alias was set on is not asked for where no list shows it",
        "bridge/reconcile/observing.py",
        "        touched = set(mirrored.values())\n",
        "        touched: set[str] = set()\n",
        (
            CRASH + "test_an_alias_that_was_to_move_from_a_version_that_no_list_shows_is_not_forgotten",
            RECONCILER + "test_an_alias_is_removed_from_a_version_that_is_not_listed_yet",
        ),
    ),
    Bug(
        "P5",
        "an alias that an old answer does not show is taken for removed",
        "bridge/vertex/registry.py",
        "        if there is None:\n            return\n        try:\n            self._merge",
        "        if there is None or alias not in there.aliases:\n"
        "            return\n        try:\n            self._merge",
        (REGISTRY + "test_an_alias_that_an_old_answer_does_not_show_is_removed_all_the_same",),
    ),
    Bug(
        "P5",
        "an alias is not removed from a version that no list shows",
        "bridge/vertex/registry.py",
        "        there = self.version(model, version_id)\n        if there is None:\n            return\n        try",
        "        there = next((v for v in self.observe(model).versions if v.id == version_id), None)\n"
        "        if there is None:\n            return\n        try",
        (REGISTRY + "test_an_alias_is_removed_from_a_version_that_is_not_listed_yet[sandbox]",),
    ),
    Bug(
        "P5",
        "what a process sent before it died is given up while it may still come",
        "bridge/reconcile/reconciler.py",
        "window=self.settle)",
        "window=self.settle * 0)",
        (
            CRASH + "test_an_alias_that_is_set_after_its_process_has_died_is_known_as_ours[2]",
            CRASH + "test_an_alias_that_is_taken_away_after_its_process_has_died_comes_back",
            STATEFUL,
        ),
    ),
    Bug(
        "P9",
        "a version is registered though its scanner did not call it clean",
        "bridge/reconcile/registering.py",
        "        self._refuse_unclean(intent)",
        "        # self._refuse_unclean(intent)",
        (RECONCILER + "test_a_version_that_is_not_clean_is_not_registered_and_moves_no_alias_until_it_is",),
    ),
    Bug(
        "P9",
        "a scanner that ended before it had read all of a version is believed",
        "bridge/copying/scanning.py",
        "        if not run.took_all:\n",
        "        if False:\n",
        ("tests/copying/test_scanning.py::test_a_scanner_that_does_not_read_all_has_not_looked_at_all",),
    ),
    Bug(
        "P10",
        "a scanner is given the bridge's environment",
        "bridge/copying/scanning.py",
        "                    env=environment,\n",
        "                    env=None,\n",
        ("tests/copying/test_scanning.py::test_a_scanner_gets_no_credentials",),
    ),
    Bug(
        "P5",
        "what may still come is not looked for",
        "bridge/core/retrying.py",
        "    if awaited is None:\n",
        "    if awaited:\n",
        (CRASH + "test_an_alias_that_is_set_after_its_process_has_died_is_known_as_ours[2]",),
    ),
    Bug(
        "P1",
        "the line of a change that was refused stays open, and tells what a person did then as ours",
        "bridge/reconcile/reconciler.py",
        "            self.store.finish(entry, Outcome.ABANDONED, str(refused), self.clock.now())\n",
        "            assert refused\n",
        (RECONCILER + "test_a_removal_that_was_refused_is_not_told_as_made_when_a_person_makes_it",),
    ),
    Bug(
        "P2",
        "the settle window is skipped",
        "bridge/reconcile/registering.py",
        "        if left > timedelta(0):\n",
        "        if left > timedelta(0) and False:\n",
        (ONCE, STATEFUL),
    ),
    Bug(
        "P2",
        "nobody looks for the version before it is sent",
        "bridge/reconcile/registering.py",
        "        version_id = self._earlier_attempt(intent) if intent.sent_at else self._look(intent)\n",
        "        version_id = None\n",
        (ONCE, STATEFUL, SCHEDULES),
    ),
    Bug(
        "P2",
        "a registration waits for an answer of Vertex after it was written down as sent",
        "bridge/reconcile/registering.py",
        "        self.store.save_intent(sent)\n        try:\n",
        "        self.store.save_intent(sent)\n        there = self.registry.observe(intent.key.model)\n        try:\n",
        ("tests/reconcile/test_registrar.py::test_nothing_is_waited_for_between_writing_when_it_is_sent_and_sending",),
    ),
    Bug(
        "P2",
        "the intent does not say that it was sent",
        "bridge/reconcile/registering.py",
        "        self.store.save_intent(sent)\n        try:\n",
        "        try:\n",
        (ONCE, STATEFUL),
    ),
    Bug(
        "P2",
        "of two versions of a folder the later one is recorded",
        "bridge/reconcile/registering.py",
        "        return str(min(ids)) if ids else None\n",
        "        return str(max(ids)) if ids else None\n",
        (REGISTRAR,),
    ),
    Bug(
        "P2",
        "a process writes on though another one has its lease",
        "bridge/reconcile/passes.py",
        "        store = self.store.fenced(lease)\n",
        "        store = self.store\n",
        (LEASING,),
    ),
    Bug(
        "P2",
        "a process registers on though another one has its lease",
        "bridge/reconcile/fencing.py",
        """        self.leases.check(self.lease)
        return self.registry.register(""",
        """        return self.registry.register(""",
        (LEASING,),
    ),
    Bug(
        "P2",
        "a process deletes a version though another one has its lease",
        "bridge/reconcile/fencing.py",
        "        self.leases.check(self.lease)\n        return self.registry.delete(model, version_id)\n",
        "        return self.registry.delete(model, version_id)\n",
        (LEASING + "test_no_effect_begins_when_the_lease_is_lost_between_two[delete]",),
    ),
    Bug(
        "P2",
        "a process removes objects though another one has its lease",
        "bridge/reconcile/fencing.py",
        "            self.leases.check(self.lease)\n            go_on()\n",
        "            go_on()\n",
        (
            LEASING + "test_no_effect_begins_when_the_lease_is_lost_between_two[remove]",
            LEASING + "test_a_removal_ends_before_the_next_object_when_the_lease_is_lost",
        ),
    ),
    Bug(
        "P2",
        "a second version of a folder is not marked",
        "bridge/core/planner.py",
        "            if not version.duplicate:\n",
        "            if False:\n",
        (
            "tests/reconcile/test_duplicates.py::",
            "tests/e2e/test_duplicates.py::test_it_is_found_and_marked_in_one_pass_and_never_has_an_alias",
        ),
    ),
    Bug(
        "P2",
        "a lease that another process has is given to whoever asks",
        "bridge/store/leases.py",
        """    free = or_(leases.c.owner.in_(("", owner)), leases.c.until <= _time(now))
    changed = {"owner": owner, "epoch": leases.c.epoch + 1, "until": _time(until)}
""",
        """    free = or_(leases.c.owner == owner, leases.c.owner != owner)
    changed = {"until": _time(until)}
""",
        ("tests/e2e/test_racing.py::",),
    ),
    Bug(
        "P2",
        "a registration is sent again where no answer came",
        "bridge/vertex/registry.py",
        "self._client.upload_model(request, timeout=TIMEOUT)",
        "self._client.upload_model(request, timeout=TIMEOUT, retry=self._retry)",
        (VERTEX_FAULTS + "[UploadModel-timeout_after-503]",),
    ),
    Bug(
        "P3",
        "a version is registered without its files",
        "bridge/core/planner.py",
        "        copy = () if copied in self.actual.committed else (CopyFiles(version, copied),)\n",
        "        copy: tuple[CopyFiles, ...] = ()\n",
        (PLANNER, STATEFUL, SCHEDULES),
    ),
    Bug(
        "P3",
        "no manifest is written",
        "bridge/copying/copier.py",
        "            self.storage.commit(folder, manifest)\n            self.uploads",
        "            self.uploads",
        (ANY_POINT, STATEFUL, SCHEDULES),
    ),
    Bug(
        "P3",
        "the manifest is written before the files",
        "bridge/copying/copier.py",
        "            stored = self._all(\n                self._jobs",
        """            names = version.collection, version.label, version.id, version.digest
            early = Manifest(*names, (), "", described.facts)
            self.storage.commit(folder, early)
            stored = self._all(
                self._jobs""",
        (ANY_POINT, SCHEDULES),
    ),
    Bug(
        "P4",
        "bytes with a wrong digest are let through",
        "bridge/copying/verifying.py",
        "        if digest is not None and taken is not None and _base64(taken.digest()) != digest.value:\n",
        "        if False:\n",
        ("tests/copying/test_verifying.py::",),
    ),
    Bug(
        "P4",
        "a whole folder of another version is taken for this one's",
        "bridge/copying/copier.py",
        "    if not manifest.is_of(version):\n",
        "    if False:\n",
        ("tests/contracts/test_copier.py::",),
    ),
    Bug(
        "P4",
        "an alias is set on the model's first version, whichever is meant",
        "bridge/reconcile/reconciler.py",
        "for record in self.store.records(key) if record.artifact_uri == folder)",
        "for record in self.store.records(key))",
        (STATEFUL, SCHEDULES),
    ),
    Bug(
        "P4",
        "the oracle of the storms does not look at where the source had an alias",
        "tests/chaos/oracle.py",
        "not ledger.pointed(collection, alias, files, look.at)",
        "not collection",
        (ORACLE + "test_an_alias_on_bytes_that_it_never_had_at_the_source_is_found_at_every_moment",),
    ),
    Bug(
        "P5",
        "an alias that is on another version of ours counts as in place",
        "bridge/core/planner.py",
        "        if holder is not None and holder.artifact_uri == uri and self.is_ours(holder):\n",
        "        if holder is not None and self.is_ours(holder):\n",
        (PLANNER, STATEFUL, SCHEDULES),
    ),
    Bug(
        "P5",
        "a registration that does not end holds up the other changes of its model",
        "bridge/reconcile/reconciler.py",
        "                waiting = waiting or pending\n",
        "                return done, late, pending\n",
        (
            RECONCILER + "test_a_registration_that_does_not_end_holds_up_neither_others_nor_aliases",
            "tests/crash/test_vertex_faults.py::test_an_upload_that_never_ends_is_never_sent_again_and_holds_up_nothing_else",
        ),
    ),
    Bug(
        "P5",
        "a model is well whatever its source says",
        "bridge/reconcile/passes.py",
        "        return checksum_of(wish, self.target(order.spec), order.name, desire(wish, order.state), *versions)\n",
        "        return checksum_of(wish, self.target(order.spec), order.name, *versions)\n",
        (PASSES,),
    ),
    Bug(
        "P5",
        "an alias that the source has no more is left where it is",
        "bridge/core/planner.py",
        "            if alias == DEFAULT or still_meant or holder is None:\n",
        "            if alias:\n",
        (PLANNER, STATEFUL, SCHEDULES),
    ),
    Bug(
        "P5",
        "an alias that was set is not read back",
        "bridge/vertex/registry.py",
        "        if version_id not in holders and not self._has(model, version_id, alias):",
        "        if False:",
        ("tests/contracts/test_registry.py::test_an_alias_that_does_not_show_where_it_was_set_is_not_believed",),
    ),
    Bug(
        "P6",
        "an alias that a person holds is moved all the same",
        "bridge/core/planner.py",
        "        return step if hold is None or is_final else",
        "        return step if True else",
        ("tests/core/test_planner.py::test_a_held_alias_is_not",),
    ),
    Bug(
        "P6",
        "a version needs no mark of ours to be ours",
        "bridge/core/planner.py",
        "        return version.marked and (version.artifact_uri, version.id) in own\n",
        "        return (version.artifact_uri, version.id) in own\n",
        (PLANNER,),
    ),
    Bug(
        "P6",
        "a version needs no record to be ours",
        "bridge/core/planner.py",
        "        return version.marked and (version.artifact_uri, version.id) in own\n",
        "        return version.marked\n",
        (PLANNER, STATEFUL),
    ),
    Bug(
        "P6",
        "an alias is taken from a version that is not ours",
        "bridge/core/planner.py",
        "        if holder is not None and not self.is_ours(holder):\n",
        "        if False:\n",
        (PLANNER, STATEFUL),
    ),
    Bug(
        "P6",
        "an alias that a person moved in mid-pass is taken back",
        "bridge/reconcile/confirming.py",
        "    if found not in (expected, to) and not (alias == DEFAULT and previous is None):\n",
        "    if False:\n",
        (RECONCILER,),
    ),
    Bug(
        "P6",
        "an alias is looked for in a list, which may lag, before it is taken",
        "bridge/reconcile/confirming.py",
        "    holder = registry.holder(model, alias)\n",
        "    holder = registry.observe(model).holder(alias)\n",
        (RECONCILER + "test_an_alias_that_a_person_put_on_a_version_that_is_not_listed_yet_is_not_stolen",),
    ),
    Bug(
        "P6",
        "what somebody else has put into a folder is removed with it",
        "bridge/copying/gcs/removing.py",
        "filter(is_ours, blobs)",
        "iter(blobs)",
        (OTHER_FAULTS + REMOVED + "[a version: objects.delete status 403]",),
    ),
    Bug(
        "P7",
        "a request waits for no budget",
        "bridge/run/buckets.py",
        "            if ready > now:\n                self._clock.sleep",
        "            if False:\n                self._clock.sleep",
        ("tests/run/test_buckets.py::",),
    ),
    Bug(
        "P7",
        "files are sent to a bucket past its budget of requests",
        "bridge/copying/gcs/wire.py",
        "        self._limit.take()\n",
        "",
        ("tests/e2e/test_limits.py::test_requests_to_a_bucket_keep_to_one_budget_whoever_makes_them",),
    ),
    Bug(
        "P7",
        "Google's client goes past the bucket's budget of requests",
        "bridge/copying/gcs/client.py",
        "        self._limit.take()\n",
        "",
        (
            "tests/copying/test_gcs.py::test_a_budget_lets_every_request_of_googles_client_pass_and_hears_how_it_was_answered",
        ),
    ),
    Bug(
        "P7",
        "a crowd of one connection is let before all others",
        "bridge/run/buckets.py",
        "        with turn:\n",
        "        if turn:\n",
        ("tests/run/test_buckets.py::test_a_crowd_of_one_lane_does_not_hold_up_another",),
    ),
    Bug(
        "P7",
        "Retry-After is not heeded",
        "bridge/core/retrying.py",
        "max(doubled * (1 - SHARE * chance), asked or 0.0)",
        "doubled * (1 - SHARE * chance)",
        ("tests/core/test_retrying.py::",),
    ),
    Bug(
        "P7",
        "a bucket or a source that is unwell is not asked again",
        "bridge/net/insisting.py",
        "UNWELL = (408, 429, 500, 502, 503, 504)",
        "UNWELL = (429, 502, 503, 504)",
        ("tests/sources/test_streams.py::",),
    ),
    Bug(
        "P7",
        "an MLflow that is unwell needs a person",
        "bridge/sources/mlflow/failures.py",
        "        if status in UNWELL:\n",
        "        if status in UNWELL - {503}:\n",
        (SOURCE_FAULTS + "[mlflow: gone: registered-models/get: status 503]",),
    ),
    Bug(
        "P7",
        "an upload that broke is asked after, and never gone on with",
        "bridge/copying/gcs/uploading.py",
        "                at = kept\n",
        "                at = size\n",
        (COPY_FAULTS + "[large: resumable.put 1: half_body ]",),
    ),
    Bug(
        "P7",
        "an object that may not be removed counts as removed",
        "bridge/copying/gcs/removing.py",
        "    except (api.NotFound, api.PreconditionFailed):\n",
        "    except (api.NotFound, api.PreconditionFailed, api.Forbidden):\n",
        (OTHER_FAULTS + REMOVED + "[what is left of a copy: objects.delete status 403]",),
    ),
    Bug(
        "P7",
        "a manifest that may not be read counts as missing",
        "bridge/copying/gcs/storage.py",
        "except api.NotFound:\n                return None\n            except NotAManifest",
        "except (api.NotFound, api.Forbidden):\n                return None\n            except NotAManifest",
        (OTHER_FAULTS + LOOKED + "[manifest: status 403]",),
    ),
    Bug(
        "P7",
        "bytes that were to wait pass at once",
        "bridge/copying/throttle.py",
        "        if wait > 0:\n",
        "        if wait < 0:\n",
        ("tests/copying/test_throttle.py::test_bytes_take_their_time[1000]",),
    ),
    Bug(
        "P7",
        "a bucket that refuses is asked for as many files at a time as before",
        "bridge/copying/pace.py",
        "                self._limit = max(1, self._limit // 2)\n",
        "                self._limit = max(1, self._limit)\n",
        (PACE + "test_a_bucket_that_refuses_again_and_again_is_asked_for_one_file_at_a_time_in_the_end",),
    ),
    Bug(
        "P7",
        "memory for bytes that are on their way has no end",
        "bridge/copying/budget.py",
        "self._taken + size <= self._size or not self._taken",
        "True",
        (BUDGET + "test_there_is_never_more_on_its_way_than_there_is_room_for",),
    ),
    Bug(
        "P7",
        "a service that follows another has a budget for copies beside it",
        "bridge/copying/budget.py",
        "        if before is not None and before.settings == self.settings:\n",
        "        if False and before is not None:\n",
        (BUDGET + "test_a_budget_with_the_settings_of_one_before_shares_all_with_it_but_the_word_to_stop",),
    ),
    Bug(
        "P8",
        "a rebuilt store does not know which aliases it had set",
        "bridge/core/rebuilding.py",
        "            mirrored[alias] = version_id\n",
        "            pass\n",
        ("tests/core/test_rebuilding.py::", "tests/reconcile/test_rebuilding.py::"),
    ),
    Bug(
        "P8",
        "a version without our mark is taken for ours when the store is rebuilt",
        "bridge/core/rebuilding.py",
        "    if not version.marked:\n",
        "    if False:\n",
        ("tests/core/test_rebuilding.py::",),
    ),
    Bug(
        "P8",
        "which aliases are known again is told, and not written down",
        "bridge/reconcile/rebuilding.py",
        "                store.save_mirrored(key, alias, version_id)\n",
        "                _ = alias, version_id\n",
        (REBUILD + "test_a_lost_store_is_made_again_without_a_write_or_a_byte",),
    ),
    Bug(
        "P9",
        "a version whose copy failed is registered all the same",
        "bridge/reconcile/reconciler.py",
        "            left.add(version)\n",
        "",
        (RECONCILER, STATEFUL, SCHEDULES),
    ),
    Bug(
        "P9",
        "a file that is longer than its size is let through",
        "bridge/copying/verifying.py",
        "        if at != size or more or self._hashed > size:\n",
        "        if at < size:\n",
        ("tests/copying/test_verifying.py::",),
    ),
    Bug(
        "P10",
        "the address of an upload is kept as it is",
        "bridge/store/rows.py",
        '        "sealed_address": seal(secret, upload.uri, upload.address),\n',
        '        "sealed_address": upload.address,\n',
        (
            SEALING + "test_no_file_of_the_store_holds_an_address",
            SEALING + "test_an_upload_is_taken_up_by_whoever_has_the_key",
        ),
    ),
    Bug(
        "P10",
        "a line of a configuration that may hold a secret is shown",
        "bridge/config/report.py",
        "        if at is None or self.may_be_secret(at.file, at.line):\n",
        "        if at is None:\n",
        ("tests/config/test_secrets.py::",),
    ),
    Bug(
        "P10",
        "tokens are kept in clear",
        "bridge/service/tokens.py",
        "    return hashlib.sha256(text.encode()).hexdigest()\n",
        "    return text\n",
        ("tests/service/test_tokens.py::",),
    ),
    Bug(
        "P10",
        "a source leads to any address that a name hides",
        "bridge/net/lines.py",
        "                check(origin.host, line.peer)\n",
        "                pass\n",
        (LEADING + "test_a_name_does_not_hide_an_address", LEADING + "test_a_kept_connection_is_not_asked_either"),
    ),
    Bug(
        "P10",
        "a name from outside begins a line of its own on a terminal",
        "bridge/cli/printing.py",
        'return "".join(c.encode("unicode_escape").decode() if _unsafe(c) else c for c in text)',
        'return "".join(c.encode("unicode_escape").decode() if c != "\\n" and _unsafe(c) else c for c in text)',
        ("tests/edges/test_printing.py::test_a_name_from_outside_stays_in_its_line_and_moves_no_cursor",),
    ),
    Bug(
        "P10",
        "redirects lead anywhere",
        "bridge/sources/streams.py",
        "            check = led_by_peer(first, what)\n",
        "",
        (LEADING + "test_a_redirect_does_not_lead_inside",),
    ),
    Bug(
        "P10",
        "the doctor shows the secrets that it has found",
        "bridge/doctor/rounds.py",
        """f"it is in {f'the variable {ref.env}' if ref.env else f'the file {ref.file}'}")""",
        """f"it is {secret}")""",
        ("tests/e2e/test_doctor.py::test_nothing_is_written_anywhere",),
    ),
    Bug(
        "P10",
        "what commands say is not searched for secrets",
        "tests/e2e/conftest.py",
        """        places["output"] = "\\n".join(self.said).encode()\n""",
        "",
        ("tests/e2e/test_leaks.py::",),
    ),
    Bug(
        "P11",
        "one listing is enough to believe an absence",
        "bridge/core/departures.py",
        "not meant and known.seen_before is not None and alias not in known.seen_before\n",
        "not meant\n",
        (PLANNER,),
    ),
    Bug(
        "P11",
        "a listing that is not complete is believed",
        "bridge/core/departures.py",
        "    return desired.complete and not meant",
        "    return not meant",
        (PLANNER,),
    ),
    Bug(
        "P11",
        "nobody is asked for an alias by its name before it is removed",
        "bridge/reconcile/removing.py",
        "            if not is_gone:\n",
        "            if False:\n",
        (RECONCILER, SCHEDULES),
    ),
    Bug(
        "P11",
        "an alias counts as gone though its collection is not there, and may have been renamed",
        "bridge/sources/wandb/source.py",
        "            self._demand(collection, selector)\n",
        "",
        ("tests/contracts/test_source.py::test_of_a_collection_that_is_not_there_no_alias_is_gone",),
    ),
    Bug(
        "P11",
        "nobody is asked for a version by its name before ours is deleted",
        "bridge/reconcile/removing.py",
        "        if not self.source.is_deleted(version, self.selector):\n",
        "        if False:\n",
        ("tests/reconcile/test_deletions.py::",),
    ),
    Bug(
        "P11",
        "a version of W&B counts as deleted when it may not be read",
        "bridge/sources/wandb/deleted.py",
        "    except NoSuchVersion:\n",
        "    except (NoSuchVersion, NeedsPerson):\n",
        (SOURCE_FAULTS + "[wandb: deleted: ArtifactMembershipByName: status 403]",),
    ),
    Bug(
        "P11",
        "any number of aliases is removed at once",
        "bridge/core/policy.py",
        "    return lost >= guard.min_count and lost > guard.max_share * of\n",
        "    return False\n",
        ("tests/core/test_policy.py::",),
    ),
)

-- The stand-in's state. Times are seconds since the epoch by the SandboxClock; *_key columns name rows of other tables.

CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

-- People -------------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS organizations (
    key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS users (
    key INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE, api_key TEXT NOT NULL UNIQUE,
    default_entity_key INTEGER REFERENCES entities (key), joins_all INTEGER NOT NULL DEFAULT 0, created_at REAL NOT NULL
);

-- An owner of projects: a user's own, a team's, or the one that holds an organization's registries.
CREATE TABLE IF NOT EXISTS entities (
    key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    entity_type TEXT NOT NULL CHECK (entity_type IN ('user', 'team', 'organization')),
    user_key INTEGER REFERENCES users (key), organization_key INTEGER REFERENCES organizations (key),
    created_at REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS organization_members (
    organization_key INTEGER NOT NULL REFERENCES organizations (key), user_key INTEGER NOT NULL REFERENCES users (key),
    PRIMARY KEY (organization_key, user_key)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS team_members (
    entity_key INTEGER NOT NULL REFERENCES entities (key), user_key INTEGER NOT NULL REFERENCES users (key),
    PRIMARY KEY (entity_key, user_key)
) WITHOUT ROWID;

-- Projects; a registry is a project "wandb-registry-<name>" of an organization's entity ------------------------

CREATE TABLE IF NOT EXISTS projects (
    key INTEGER PRIMARY KEY, entity_key INTEGER NOT NULL REFERENCES entities (key), name TEXT NOT NULL,
    description TEXT, access TEXT NOT NULL, allow_all_types INTEGER NOT NULL, user_key INTEGER REFERENCES users (key),
    views TEXT, created_at REAL NOT NULL, updated_at REAL NOT NULL,
    UNIQUE (entity_key, name)
);

CREATE TABLE IF NOT EXISTS project_members (
    key INTEGER PRIMARY KEY, project_key INTEGER NOT NULL REFERENCES projects (key) ON DELETE CASCADE,
    user_key INTEGER REFERENCES users (key), team_key INTEGER REFERENCES entities (key), role TEXT NOT NULL,
    UNIQUE (project_key, user_key), UNIQUE (project_key, team_key)
);

CREATE TABLE IF NOT EXISTS artifact_types (
    key INTEGER PRIMARY KEY, project_key INTEGER NOT NULL REFERENCES projects (key) ON DELETE CASCADE,
    name TEXT NOT NULL, description TEXT, created_at REAL NOT NULL,
    UNIQUE (project_key, name)
);

-- Collections and versions -------------------------------------------------------------------------------------

-- A SEQUENCE is where versions are born; a PORTFOLIO is what they are linked into.
CREATE TABLE IF NOT EXISTS collections (
    key INTEGER PRIMARY KEY, project_key INTEGER NOT NULL REFERENCES projects (key) ON DELETE CASCADE,
    type_key INTEGER NOT NULL REFERENCES artifact_types (key),
    collection_type TEXT NOT NULL CHECK (collection_type IN ('SEQUENCE', 'PORTFOLIO')),
    name TEXT NOT NULL, description TEXT, state TEXT NOT NULL CHECK (state IN ('READY', 'DELETED')),
    digest_algorithm TEXT, next_version INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL, updated_at REAL NOT NULL
);

-- this lets a name be used again once its collection is deleted, and by nobody before
CREATE UNIQUE INDEX IF NOT EXISTS collection_names ON collections (project_key, name) WHERE state = 'READY';

CREATE TABLE IF NOT EXISTS artifacts (
    key INTEGER PRIMARY KEY, sequence_key INTEGER NOT NULL REFERENCES collections (key) ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'COMMITTED', 'DELETED')),
    version_index INTEGER, digest TEXT NOT NULL, digest_algorithm TEXT NOT NULL, commit_hash TEXT,
    client_id TEXT UNIQUE, sequence_client_id TEXT, distributed_id TEXT,
    description TEXT, metadata TEXT NOT NULL, history_step INTEGER,
    ttl_seconds INTEGER, expires_at REAL, pending_aliases TEXT NOT NULL DEFAULT '[]',
    size INTEGER NOT NULL DEFAULT 0, file_count INTEGER NOT NULL DEFAULT 0,
    manifest_blob TEXT, run_key INTEGER REFERENCES runs (key) ON DELETE SET NULL, user_key INTEGER REFERENCES users (key),
    created_at REAL NOT NULL, updated_at REAL NOT NULL
);

CREATE INDEX IF NOT EXISTS artifacts_by_digest ON artifacts (sequence_key, digest);

CREATE INDEX IF NOT EXISTS artifacts_that_expire ON artifacts (expires_at) WHERE expires_at IS NOT NULL;

-- An artifact's place in one collection: vN there, and its own aliases there.
CREATE TABLE IF NOT EXISTS memberships (
    key INTEGER PRIMARY KEY, collection_key INTEGER NOT NULL REFERENCES collections (key) ON DELETE CASCADE,
    artifact_key INTEGER NOT NULL REFERENCES artifacts (key) ON DELETE CASCADE,
    version_index INTEGER NOT NULL, created_at REAL NOT NULL,
    UNIQUE (collection_key, artifact_key), UNIQUE (collection_key, version_index)
);

CREATE INDEX IF NOT EXISTS memberships_by_artifact ON memberships (artifact_key);

-- Within a collection an alias names one version: the database holds that.
CREATE TABLE IF NOT EXISTS aliases (
    key INTEGER PRIMARY KEY, collection_key INTEGER NOT NULL REFERENCES collections (key) ON DELETE CASCADE,
    membership_key INTEGER NOT NULL REFERENCES memberships (key) ON DELETE CASCADE, alias TEXT NOT NULL,
    UNIQUE (collection_key, alias)
);

CREATE INDEX IF NOT EXISTS aliases_by_membership ON aliases (membership_key, alias);

-- What each alias named, and from when to when: written by triggers, so that no way to move an alias can forget it.
CREATE TABLE IF NOT EXISTS alias_history (
    key INTEGER PRIMARY KEY, alias_key INTEGER NOT NULL, alias TEXT NOT NULL,
    membership_key INTEGER NOT NULL REFERENCES memberships (key) ON DELETE CASCADE,
    set_at REAL NOT NULL, gone_at REAL
);

CREATE INDEX IF NOT EXISTS alias_history_by_alias ON alias_history (alias_key) WHERE gone_at IS NULL;

CREATE INDEX IF NOT EXISTS alias_history_by_membership ON alias_history (membership_key, alias);

CREATE TRIGGER IF NOT EXISTS alias_is_set AFTER INSERT ON aliases
BEGIN
    INSERT INTO alias_history (alias_key, alias, membership_key, set_at)
    VALUES (new.key, new.alias, new.membership_key, sandbox_now());
END;

CREATE TRIGGER IF NOT EXISTS alias_moves AFTER UPDATE OF membership_key ON aliases
BEGIN
    UPDATE alias_history SET gone_at = sandbox_now() WHERE alias_key = old.key AND gone_at IS NULL;
    INSERT INTO alias_history (alias_key, alias, membership_key, set_at)
    VALUES (new.key, new.alias, new.membership_key, sandbox_now());
END;

CREATE TRIGGER IF NOT EXISTS alias_is_removed AFTER DELETE ON aliases
BEGIN
    UPDATE alias_history SET gone_at = sandbox_now() WHERE alias_key = old.key AND gone_at IS NULL;
END;

CREATE TABLE IF NOT EXISTS artifact_tags (
    key INTEGER PRIMARY KEY, artifact_key INTEGER NOT NULL REFERENCES artifacts (key) ON DELETE CASCADE,
    name TEXT NOT NULL, UNIQUE (artifact_key, name)
);

CREATE TABLE IF NOT EXISTS collection_tags (
    key INTEGER PRIMARY KEY, collection_key INTEGER NOT NULL REFERENCES collections (key) ON DELETE CASCADE,
    name TEXT NOT NULL, UNIQUE (collection_key, name)
);

-- Files --------------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS manifests (
    key INTEGER PRIMARY KEY, artifact_key INTEGER NOT NULL REFERENCES artifacts (key) ON DELETE CASCADE,
    manifest_type TEXT NOT NULL CHECK (manifest_type IN ('FULL', 'INCREMENTAL', 'PATCH')),
    base_artifact_key INTEGER REFERENCES artifacts (key) ON DELETE SET NULL, blob TEXT
);

CREATE INDEX IF NOT EXISTS manifests_by_artifact ON manifests (artifact_key);

-- The entries of committed manifests. `name` is UTF-8 with surrogates let through: a hostile name is stored as it came.
CREATE TABLE IF NOT EXISTS files (
    key INTEGER PRIMARY KEY, artifact_key INTEGER NOT NULL REFERENCES artifacts (key) ON DELETE CASCADE,
    name_bytes BLOB NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, ref TEXT,
    birth_key INTEGER NOT NULL, blob TEXT NOT NULL,
    UNIQUE (artifact_key, name_bytes)
);

CREATE INDEX IF NOT EXISTS files_by_digest ON files (digest, name_bytes);

-- Runs ---------------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS runs (
    key INTEGER PRIMARY KEY, project_key INTEGER NOT NULL REFERENCES projects (key) ON DELETE CASCADE,
    name TEXT NOT NULL, display_name TEXT NOT NULL, description TEXT, notes TEXT, run_group TEXT, job_type TEXT,
    "commit" TEXT, config TEXT NOT NULL DEFAULT '{}', summary_metrics TEXT NOT NULL DEFAULT '{}',
    tags TEXT NOT NULL DEFAULT '[]', state TEXT NOT NULL, stopped INTEGER NOT NULL DEFAULT 0,
    host TEXT, program TEXT, user_key INTEGER REFERENCES users (key),
    created_at REAL NOT NULL, updated_at REAL NOT NULL, heartbeat_at REAL NOT NULL,
    UNIQUE (project_key, name)
);

-- One line of a run's streams: history, system metrics ("events") and console output.
CREATE TABLE IF NOT EXISTS run_lines (
    run_key INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE, stream TEXT NOT NULL,
    number INTEGER NOT NULL, content TEXT NOT NULL,
    PRIMARY KEY (run_key, stream, number)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS run_files (
    key INTEGER PRIMARY KEY, run_key INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE, name TEXT NOT NULL,
    blob TEXT NOT NULL, updated_at REAL NOT NULL, UNIQUE (run_key, name)
);

CREATE TABLE IF NOT EXISTS run_artifacts (
    key INTEGER PRIMARY KEY, run_key INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    artifact_key INTEGER NOT NULL REFERENCES artifacts (key) ON DELETE CASCADE,
    direction TEXT NOT NULL CHECK (direction IN ('input', 'output')),
    UNIQUE (run_key, artifact_key, direction)
);

-- Automations --------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS team_secrets (
    entity_key INTEGER NOT NULL REFERENCES entities (key), name TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (entity_key, name)
) WITHOUT ROWID;

-- Webhooks of a team; the two `_ref` columns are names of its secrets.
CREATE TABLE IF NOT EXISTS integrations (
    key INTEGER PRIMARY KEY, entity_key INTEGER NOT NULL REFERENCES entities (key), name TEXT NOT NULL,
    url_endpoint TEXT NOT NULL, access_token_ref TEXT, secret_ref TEXT, created_at REAL NOT NULL,
    UNIQUE (entity_key, name)
);

-- The scope is the collection; if there is none, the project; if there is none, the entity. Without an integration
-- an automation does nothing.
CREATE TABLE IF NOT EXISTS automations (
    key INTEGER PRIMARY KEY, entity_key INTEGER NOT NULL REFERENCES entities (key),
    project_key INTEGER REFERENCES projects (key) ON DELETE CASCADE,
    collection_key INTEGER REFERENCES collections (key) ON DELETE CASCADE,
    name TEXT NOT NULL, description TEXT, enabled INTEGER NOT NULL, event_type TEXT NOT NULL,
    event_filter TEXT NOT NULL, integration_key INTEGER REFERENCES integrations (key), request_payload TEXT,
    last_triggered_at REAL, created_at REAL NOT NULL, updated_at REAL,
    UNIQUE (entity_key, name)
);

CREATE INDEX IF NOT EXISTS automations_by_event ON automations (event_type);

-- What automations did, and what they still have to: sent in order of `position`, not before `due_at`.
CREATE TABLE IF NOT EXISTS deliveries (
    key INTEGER PRIMARY KEY, automation_key INTEGER NOT NULL REFERENCES automations (key) ON DELETE CASCADE,
    position INTEGER NOT NULL, event_type TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('Finished', 'Failed', 'Pending')),
    happened_at REAL NOT NULL, due_at REAL NOT NULL DEFAULT 0, ended_at REAL,
    url TEXT, headers TEXT, body BLOB NOT NULL DEFAULT x'', http_status INTEGER, reason TEXT
);

CREATE INDEX IF NOT EXISTS deliveries_to_send ON deliveries (position) WHERE state = 'Pending';

CREATE INDEX IF NOT EXISTS deliveries_by_position ON deliveries (position);

CREATE INDEX IF NOT EXISTS deliveries_by_automation ON deliveries (automation_key);

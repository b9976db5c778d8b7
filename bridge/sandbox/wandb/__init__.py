"""
The local stand-in of Weights & Biases: artifacts, registries, aliases and runs, as the real SDK speaks of them.

One request's way: `routes` (HTTP) -> `gateway` (one GraphQL document, one transaction) -> `resolvers` (which
class answers which type of the schema) -> the topics (`people`, `projects`, `collections`, `artifacts`, `files`,
`runs`; `aliases`, `uploads` and the `..._changes` for what changes them).
A webhook's way: a change tells `events`, which finds the `automations` that watch for it; `payloads` writes the
request, `deliveries` keeps it with the change and sends it from a thread of its own.
State is in SQLite (`store`, tables.sql), bytes are files on disk (`blobs`), URLs to them are signed (`signing`).

Facts and their sources: design/facts-wandb.md. What the real service does is often unknown; each such place is
a switch (`switches`) or is marked "a guess" where it is written.
"""

"""
The chaos harness: real SDKs, real processes, and everything going wrong at once, from a seed.

    ledger.py    what the harness knows to be true, because it did it
    seen.py      what the sides say, as values
    oracle.py    which promises the one and the other show to be broken; pure
    doings.py    what happens, as values, written from the seed alone
    scene.py     the sandbox and the services, and how both are looked at
    processes.py a service with all that it starts, never signalled once its number may be another's
    people.py    carries the doings out, with the vendors' SDKs, and writes the ledger
    storm.py     one storm, then quiet, then judgement
    __main__.py  many storms, and a report

The oracle is written apart from the product: it knows what product.md and promises.md say, the format of the
manifest's name, and nothing of bridge/ but what `bridge status --json` and `bridge history --json` print.
"""

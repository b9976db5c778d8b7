"""What commands pick out of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.core.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.config.model import Config, SecretRef
    from bridge.core.model import MappingSpec


def chosen(config: Config, names: Sequence[str]) -> list[MappingSpec]:
    """Return the mappings of these names, all if there are none. Raises ConfigErrors for an unknown one."""
    known = {spec.name: spec for spec in config.mappings}
    for name in names:
        if name not in known:
            choices = ", ".join(sorted(known)) or "(none)"
            raise ConfigErrors((ConfigError(f"there is no mapping {name!a}; choose from: {choices}"),))
    return [known[name] for name in names] if names else list(config.mappings)


def store_url(config: Config) -> str:
    """Return the store's SQLAlchemy URL; it may hold a password, so it is never shown."""
    store: str | SecretRef = config.store
    return store if isinstance(store, str) else store.read()

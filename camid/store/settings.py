"""Settings that a store is made with, and that a configuration takes over from it."""

from dataclasses import replace
from typing import Any

from camid.config import Config, Residual, config_tree
from camid.store.store import Store, open_store

ADOPTED = ("images", "strips", "residual", "chunks")
"""Sections of the configuration that a store sets for its readers."""
SETTINGS = ("seed", *ADOPTED)
"""Sections that a store's bytes depend on."""


def store_settings(config: Config) -> dict[str, Any]:
    """Return the settings that a store made with a configuration has in ``store.json``."""
    tree = config_tree(config)
    return {"data": config.paths.data} | {section: tree[section] for section in SETTINGS}


def stored_config(store: Store) -> Config:
    """Return the configuration that a store was made with, with the paths of data and store."""
    settings = store.description["settings"]
    config = Config()
    for section in SETTINGS:
        values = settings[section]
        section_type = type(getattr(config, section))
        value = section_type(**values) if isinstance(values, dict) else values
        config = replace(config, **{section: value})
    paths = replace(config.paths, data=settings["data"], store=store.folder.uri)
    return replace(config, paths=paths)


def stored_residual(store: Store) -> Residual:
    """Return the settings that a store's residuals were made with."""
    return Residual(**store.description["settings"].get("residual", {}))


def adopted(config: Config) -> Config:
    """Return a configuration with the sections that its store was made with, and no photographs.

    Raises
    ------
    ValueError
        If a section differs from both the store's and the defaults.
    """
    settings = open_store(config.paths.store).description["settings"]
    config = replace(config, paths=replace(config.paths, data=""))  # only the store is read
    sections, defaults = config_tree(config), config_tree(Config())
    for section in ADOPTED:
        section_type = type(getattr(config, section))
        stored = config_tree(section_type(**settings[section]))  # an older store lacks newer fields
        if sections[section] not in (stored, defaults[section]):
            raise ValueError(
                f"{config.paths.store}: made with {section} = {stored}, "
                f"and the configuration says {sections[section]}; preprocess into another store"
            )
        config = replace(config, **{section: section_type(**stored)})
    return config

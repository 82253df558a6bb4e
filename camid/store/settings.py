"""What a configuration takes over from the store that it reads."""

from dataclasses import replace

from camid.config import Config, Residual, config_tree
from camid.store.store import Store, open_store

ADOPTED = ("images", "strips", "residual", "chunks")
"""Sections of the configuration that a store decides for whoever reads it."""


def stored_residual(store: Store) -> Residual:
    """Return the settings that a store's residuals were made with."""
    return Residual(**store.description["settings"].get("residual", {}))


def adopted(config: Config) -> Config:
    """Return a configuration with the sections that its store was made with, and no photographs.

    Raises
    ------
    ValueError
        If the configuration states something else than the store's and than the defaults.
    """
    settings = open_store(config.paths.store).description["settings"]
    config = replace(config, paths=replace(config.paths, data=""))  # the store is what is read
    mine, defaults = config_tree(config), config_tree(Config())
    for section in ADOPTED:
        of = type(getattr(config, section))
        stored = config_tree(of(**settings[section]))  # an older store lacks newer fields
        if mine[section] not in (stored, defaults[section]):
            raise ValueError(
                f"{config.paths.store}: made with {section} = {stored}, "
                f"and the configuration says {mine[section]}; preprocess into another store"
            )
        config = replace(config, **{section: of(**stored)})
    return config

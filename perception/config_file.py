"""Configurations as TOML: the table [network] is a DetectorConfig, [train] a TrainConfig; those in perception/configs ship."""
from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from data_specs.errors import InputError, MissingInput
from perception.config import DetectorConfig, TrainConfig
from perception.tables import from_table, nearest

SHIPPED = Path(__file__).parent / "configs"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A network and how it is trained."""

    network: DetectorConfig = DetectorConfig()  # noqa: RUF009 (frozen)
    train: TrainConfig = TrainConfig()  # noqa: RUF009 (frozen)


def read_recipe(name: str) -> Recipe:
    """The recipe of a TOML file, or of a shipped name such as "nano"; keys that are left out keep their defaults.

    Raises MissingInput if there is neither, InputError that names the key that is wrong.
    """
    path = Path(name) if name.endswith(".toml") else SHIPPED / f"{name}.toml"
    if not path.is_file():
        names = shipped_names()
        raise MissingInput(f"configuration {name}{nearest(name, names)}", f"a TOML file, or one of {', '.join(names)}")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(path, str(error), "TOML") from error
    return from_table(Recipe, tables, str(path))


def shipped_names() -> list[str]:
    """Names of the recipes that come with Roadweave."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))

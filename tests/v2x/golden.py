"""The golden vectors, and how what a newer sender adds is shown in them."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from v2x.codecs.schema import ADDITIONS, UNKNOWN_ALTERNATIVE

FOLDER = Path(__file__).parent / "vectors"
LAST_KNOWN_CONTAINER = 5


def vectors(name: str, message: str = "cpm_v211") -> list[dict[str, Any]]:
    """The lines of one vector file."""
    return [json.loads(line) for line in (FOLDER / f"{message}_{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def without_novelties(value: Any) -> Any:
    """The value without what is unknown here: additions and containers are dropped, alternatives lose their octets."""
    if isinstance(value, list):
        return [without_novelties(item) for item in value
                if not (isinstance(item, dict) and item.get("containerId", 0) > LAST_KNOWN_CONTAINER)]
    if not isinstance(value, dict):
        return value
    if str(value.get("choice", "")).startswith(UNKNOWN_ALTERNATIVE):
        return {"choice": value["choice"], "value": None}
    return {key: without_novelties(item) for key, item in value.items() if key != ADDITIONS}

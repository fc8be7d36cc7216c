"""The core of a BSM as older ODEs write it (payload J2735Bsm, schemaVersion 6): degrees, metres and m/s, back to coded units.

What is not in the record is unavailable; part II is left out, for its numbers are rounded too. Source: jpo-ode's own samples.
"""
from __future__ import annotations

from typing import Any

from data_specs.errors import InputError
from v2x.codecs import j2735

_WHEELS = ("unavailable", "leftFront", "leftRear", "rightFront", "rightRear")
_TRANSMISSIONS = {"NEUTRAL": "neutral", "PARK": "park", "FORWARDGEARS": "forwardGears", "REVERSEGEARS": "reverseGears"}


def is_core(data: dict[str, Any]) -> bool:
    """Whether a payload is a BSM in this form."""
    return "coreData" in data


def frame_of(data: dict[str, Any], where: str) -> dict[str, Any]:
    """Plain values of the message frame; InputError names the part that is missing or no number."""
    try:
        return {"messageId": j2735.BASIC_SAFETY, "value": {"coreData": _core(data["coreData"])}}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(where, f"coreData that is not read ({type(error).__name__}: {error})", "a J2735Bsm of the ODE") from None


def _core(core: dict[str, Any]) -> dict[str, Any]:
    place, accuracy, acceleration = core["position"], core.get("accuracy", {}), core.get("accelSet", {})
    return {
        "msgCnt": core["msgCnt"], "id": core["id"].lower(), "secMark": _coded(core.get("secMark"), 1, 65_535),
        "lat": _coded(place.get("latitude"), 1e-7, 900_000_001), "long": _coded(place.get("longitude"), 1e-7, 1_800_000_001),
        "elev": _coded(place.get("elevation"), 0.1, -4096),
        "accuracy": {"semiMajor": _coded(accuracy.get("semiMajor"), 0.05, 255),
                     "semiMinor": _coded(accuracy.get("semiMinor"), 0.05, 255),
                     "orientation": _coded(accuracy.get("orientation"), 360 / 65_535, 65_535)},
        "transmission": _TRANSMISSIONS.get(core.get("transmission", ""), "unavailable"),
        "speed": _coded(core.get("speed"), 0.02, 8191), "heading": _coded(core.get("heading"), 0.0125, 28_800),
        "angle": _coded(core.get("angle"), 1.5, 127),
        "accelSet": {"long": _coded(acceleration.get("accelLong"), 0.01, 2001),
                     "lat": _coded(acceleration.get("accelLat"), 0.01, 2001),
                     "vert": _coded(acceleration.get("accelVert"), 0.02, -127),
                     "yaw": _coded(acceleration.get("accelYaw"), 0.01, 0)},
        "brakes": _brakes(core.get("brakes", {})),
        "size": {name: core.get("size", {}).get(name) or 0 for name in ("width", "length")},
    }


def _brakes(brakes: dict[str, Any]) -> dict[str, Any]:
    wheels = brakes.get("wheelBrakes", {"unavailable": True})
    bits = sum(1 << 7 - place for place, name in enumerate(_WHEELS) if wheels.get(name))
    names = ("traction", "abs", "scs", "brakeBoost", "auxBrakes")
    return {"wheelBrakes": {"hex": f"{bits:02x}", "length": 5}} | {name: brakes.get(name, "unavailable") for name in names}


def _coded(value: float | None, unit: float, unavailable: int) -> int:
    return unavailable if value is None else round(value / unit)

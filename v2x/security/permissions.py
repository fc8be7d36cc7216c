"""What a certificate may sign, and what the authorities above it may let it sign.

Source: IEEE Std 1609.2-2022, PsidSsp, BitmapSsp, PsidSspRange, SspRange and PsidGroupPermissions, with their rules of
consistency with the issuing certificate.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from v2x.security.tables import DEFAULT_CHAIN_LENGTH_RANGE, DEFAULT_EE_TYPE, DEFAULT_MIN_CHAIN_LENGTH

_APPLICATION = 0x80  # EndEntityType, bit app(0)
_ANY_LENGTH = -1
Ssp = tuple[str, bytes] | None  # ("opaque" | "bitmapSsp", octets); None: none given


def may_issue(groups: Iterable[dict[str, Any]], psid: int, ssp: Ssp, certificates_below: int) -> bool:
    """Whether certIssuePermissions let a chain of that many certificates end in one that signs for an application.

    `certificates_below` counts down to the signing certificate, it included: 1 for its issuer.
    """
    return any(_length_fits(group, certificates_below) and _for_applications(group) and _covers(group, psid, ssp)
               for group in _relevant(list(groups), psid))


def issued_psids(groups: Iterable[dict[str, Any]]) -> list[int | str]:
    """The applications that certIssuePermissions are about; "all others" stands for those not named."""
    named: set[int] = set()
    others = False
    for group in groups:
        named |= {entry["psid"] for entry in _explicit(group)}
        others = others or group["subjectPermissions"][0] == "all"
    return [*sorted(named), *(["all others"] if others else [])]


def _relevant(groups: list[dict[str, Any]], psid: int) -> list[dict[str, Any]]:
    """The groups that name the application; only where none does, those for all others."""
    named = [group for group in groups if any(entry["psid"] == psid for entry in _explicit(group))]
    return named or [group for group in groups if group["subjectPermissions"][0] == "all"]


def _explicit(group: dict[str, Any]) -> list[dict[str, Any]]:
    choice, entries = group["subjectPermissions"]
    return entries if choice == "explicit" else []


def _length_fits(group: dict[str, Any], certificates_below: int) -> bool:
    shortest = group.get("minChainLength", DEFAULT_MIN_CHAIN_LENGTH)
    more = group.get("chainLengthRange", DEFAULT_CHAIN_LENGTH_RANGE)
    return 1 <= shortest <= certificates_below and (more == _ANY_LENGTH or certificates_below <= shortest + more)


def _for_applications(group: dict[str, Any]) -> bool:
    return bool(group.get("eeType", DEFAULT_EE_TYPE)[0] & _APPLICATION)


def _covers(group: dict[str, Any], psid: int, ssp: Ssp) -> bool:
    if group["subjectPermissions"][0] == "all":
        return True
    return any(entry["psid"] == psid and _in_range(entry.get("sspRange", ("all", None)), ssp) for entry in _explicit(group))


def _in_range(ssp_range: tuple[str, Any], ssp: Ssp) -> bool:
    choice, allowed = ssp_range
    match choice, ssp:
        case "all", _:
            return True
        case "opaque", None:
            return b"" in allowed
        case "opaque", ("opaque", octets):
            return octets in allowed
        case "bitmapSspRange", ("bitmapSsp", octets):
            return _bits_fit(octets, allowed["sspValue"], allowed["sspBitmask"])
        case _:
            return False


def _bits_fit(octets: bytes, value: bytes, mask: bytes) -> bool:
    """Every bit that the mask sets is as the value has it (BitmapSsp)."""
    return len(octets) == len(value) == len(mask) and all(
        (bits ^ wanted) & cared == 0 for bits, wanted, cared in zip(octets, value, mask))

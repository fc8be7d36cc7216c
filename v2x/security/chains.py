"""Chains from a signing certificate up to a root: checked once, then known.

Source: IEEE Std 1609.2-2022, 5.1.2 (chains and their consistency); ETSI TS 103 097 V2.1.1, 6 and 7 (root, authority,
authorization ticket). What the standard asks of a certificate against its issuer (validity, region, permissions within the
issuer's) is asked here of what is used: a time, a place and an application must fit every certificate of the chain.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from data_specs.messages import GeoPoint
from v2x.security.certificate import Certificate, certificate_of
from v2x.security.errors import SignatureRefused
from v2x.security.oer import OCTETS
from v2x.security.permissions import may_issue
from v2x.security.region import inside

_MOST_ABOVE = 7  # certificates above a signing one; real chains have two or three


@dataclass(frozen=True)
class Chain:
    """A certificate whose signature holds, and those above it."""

    certificate: Certificate
    above: tuple[Certificate, ...]  # the issuer first, the root last

    @cached_property
    def all(self) -> tuple[Certificate, ...]:
        """The certificate and all above it."""
        return (self.certificate, *self.above)

    @cached_property
    def start_ns(self) -> int:
        """When the last of them becomes valid."""
        return max(certificate.start_ns for certificate in self.all)

    @cached_property
    def end_ns(self) -> int:
        """When the first of them expires."""
        return min(certificate.end_ns for certificate in self.all)

    @cached_property
    def psids(self) -> frozenset[int]:
        """Applications that it may sign for, by its own word and that of all above it."""
        return frozenset(psid for psid, ssp in self.certificate.permissions.items() if all(
            may_issue(issuer.issue, psid, ssp, below) for below, issuer in enumerate(self.above, 1)))

    @cached_property
    def ids(self) -> frozenset[bytes]:
        """HashedId8 and HashedId10 of all of them: what a revocation list may name."""
        return frozenset(certificate.hash[-octets:] for certificate in self.all for octets in (8, 10))

    @cached_property
    def bound(self) -> bool:
        """Whether any of them is bound to a region."""
        return any(certificate.region is not None for certificate in self.all)

    def holds_at(self, place: GeoPoint, countries: frozenset[int]) -> bool:
        """Whether the place lies in the regions of all of them."""
        return all(certificate.region is None or inside(certificate.region, place, countries) for certificate in self.all)


def chain_below(certificate: Certificate, authorities: Mapping[bytes, Chain]) -> Chain:
    """The chain of a certificate issued by a known authority.

    SignatureRefused: unknown-signer where nobody known issued it, bad-signature where who is said to have issued it did not.
    """
    if certificate.issuer is None:
        raise SignatureRefused("unknown-signer", f"certificate {certificate}, signed by itself", "one of a known authority")
    issuer = authorities.get(certificate.issuer)
    if issuer is None or len(issuer.above) >= _MOST_ABOVE:
        raise SignatureRefused("unknown-signer", f"certificate {certificate} of authority {certificate.issuer.hex()}",
                               "one of a known authority")
    if not certificate.is_signed_by(issuer.certificate):
        raise SignatureRefused("bad-signature", f"certificate {certificate}", f"one that {issuer.certificate} signed")
    return Chain(certificate, issuer.all)


class KnownChains:
    """The chains that a receiver starts with, and those it learns from messages: the latter bounded, the longest unused go."""

    def __init__(self, authorities: Mapping[bytes, Chain], units: Mapping[bytes, Chain], most_learned: int) -> None:
        self._authorities = dict(authorities)
        self._units = dict(units)
        self._most_learned = most_learned
        self._learned: OrderedDict[bytes, Chain] = OrderedDict()
        self._learned_authorities: OrderedDict[bytes, None] = OrderedDict()

    def by_digest(self, hashed_id8: bytes) -> Chain:
        """The chain of a signer known by its digest; SignatureRefused("unknown-signer")."""
        chain = self._known(hashed_id8)
        if chain is None:
            raise SignatureRefused("unknown-signer", f"digest {hashed_id8.hex()}", "that of a certificate seen before")
        return chain

    def by_certificates(self, values: list[dict[str, Any]]) -> Chain:
        """The chain of the first of some certificates (read values), each issued by the next; SignatureRefused."""
        if not 1 <= len(values) <= _MOST_ABOVE:
            raise SignatureRefused("malformed", f"{len(values)} certificates", f"1 to {_MOST_ABOVE}")
        known = self._known(sha256(values[0][OCTETS]).digest()[-8:])
        if known is not None and known.certificate.octets == values[0][OCTETS]:
            return known
        certificate = certificate_of(values[0])
        known = self._known(certificate.hashed_id8)  # its octets may spell the same certificate in another form
        if known is not None and known.certificate.octets == certificate.octets:
            return known
        for authority in reversed(values[1:]):
            self.learn_authority(authority)
        return self._learn(chain_below(certificate, self._authorities))

    def learn_authority(self, value: dict[str, Any]) -> None:
        """Note an authority that somebody sent along; SignatureRefused where no known authority issued it."""
        certificate = certificate_of(value)
        if certificate.hashed_id8 in self._authorities or not certificate.issue:
            return
        self._authorities[certificate.hashed_id8] = chain_below(certificate, self._authorities)
        self._learned_authorities[certificate.hashed_id8] = None
        if len(self._learned_authorities) > self._most_learned:
            del self._authorities[self._learned_authorities.popitem(last=False)[0]]

    def _known(self, hashed_id8: bytes) -> Chain | None:
        if hashed_id8 in self._learned:
            self._learned.move_to_end(hashed_id8)
            return self._learned[hashed_id8]
        return self._units.get(hashed_id8) or self._authorities.get(hashed_id8)

    def _learn(self, chain: Chain) -> Chain:
        self._learned[chain.certificate.hashed_id8] = chain
        if len(self._learned) > self._most_learned:
            self._learned.popitem(last=False)
        return chain

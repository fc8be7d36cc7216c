"""A small PKI for the tests: made once, since keys take time and every test may share them."""
from __future__ import annotations

from functools import cache

from data_specs.clock import NS_PER_S
from v2x.security.certificate import Certificate
from v2x.security.pki import UNIT_PSIDS, Identity, certify, issue_permissions, make_authorities, make_unit
from v2x.security.psids import CPM
from v2x.security.region import Region
from v2x.security.sign import Signer
from v2x.security.store import TrustStore, trust_store
from v2x.security.verify import Limits, Verifier

NOW_NS = 1_790_000_000_000_000_000
START_NS = NOW_NS - 3600 * NS_PER_S
PAYLOAD = b"what a roadside unit says"


@cache
def authorities() -> tuple[Identity, Identity]:
    """A root and an authority below it, valid from an hour before NOW_NS for a day."""
    return make_authorities(START_NS, 24)


@cache
def unit(psids: tuple[int, ...] = UNIT_PSIDS) -> Identity:
    """A unit that may sign for some applications."""
    return make_unit("rsu-north", authorities()[1], START_NS, 24, psids)


def bound_unit(region: Region) -> Identity:
    """A unit bound to a region."""
    return certify("rsu-bound", authorities()[1], START_NS, 24, app={CPM: None}, region=region)


def foreign_unit() -> Identity:
    """A unit of a root that nobody here trusts."""
    root = certify("elsewhere", None, START_NS, 24, issue=issue_permissions(UNIT_PSIDS, 1))
    return make_unit("rsu-elsewhere", root, START_NS, 24)


def signer(identity: Identity | None = None) -> Signer:
    """A signer that has sent nothing yet, so that its first message brings its certificate."""
    identity = identity or unit()
    return Signer(identity.key, identity.certificate)


def store(units: tuple[Certificate, ...] = (), revoked: frozenset[bytes] = frozenset()) -> TrustStore:
    """A store that trusts the root of `authorities`."""
    root, authority = authorities()
    return trust_store([root.certificate], [authority.certificate], list(units), revoked)


def verifier(limits: Limits | None = None) -> Verifier:
    """A verifier that knows the authorities and no unit."""
    return Verifier(store(), limits=limits)


def message(psid: int = CPM, generated_ns: int = NOW_NS, identity: Identity | None = None, payload: bytes = PAYLOAD) -> bytes:
    """A signed message that brings its certificate."""
    return signer(identity).sign(payload, psid, generated_ns)

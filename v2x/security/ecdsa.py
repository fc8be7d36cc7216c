"""ECDSA on NIST P-256 with SHA-256 over the hash input of IEEE 1609.2, and points as the standard writes them.

Source: IEEE Std 1609.2-2022, 5.3.1 (a signature is over SHA-256(SHA-256(data) || SHA-256(signer's certificate)), the second
hash being that of no octets where the signer is `self`); EccP256CurvePoint, EcdsaP256Signature and their canonical form.
A signature is two numbers, r and s. `rSig` may be spelled as the point whose x is r (compressed-y-0, compressed-y-1,
uncompressed); its y serves faster checks, is no part of the signature and is not looked at.
"""
from __future__ import annotations

from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from v2x.security.errors import SignatureRefused

Point = tuple[str, Any]  # a value of EccP256CurvePoint: (form, coordinates)
NO_SIGNER = sha256(b"").digest()  # hash of the signer identifier input of what is self-signed
_PREHASHED = ec.ECDSA(Prehashed(SHA256()))
_CURVE = ec.SECP256R1()


def signed_hash(data_hash: bytes, signer_hash: bytes) -> bytes:
    """What a signature is over, of the hashes of the data and of the signer's certificate (5.3.1.2.2)."""
    return sha256(data_hash + signer_hash).digest()


def compressed(point: Point) -> Point:
    """The point in its canonical form: an uncompressed one is compressed; SignatureRefused for one without a y."""
    form, coordinates = point
    match form:
        case "uncompressedP256":
            return f"compressed-y-{coordinates['y'][-1] & 1}", coordinates["x"]
        case "compressed-y-0" | "compressed-y-1":
            return point
        case _:
            raise SignatureRefused("malformed", f"a key point of form {form}", "compressed-y-0, compressed-y-1 or uncompressed")


def public_key(point: Point) -> ec.EllipticCurvePublicKey:
    """The key at a point; SignatureRefused where there is no such point on the curve."""
    form, coordinates = point
    try:
        if form == "uncompressedP256":
            return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x04" + coordinates["x"] + coordinates["y"])
        form, x = compressed(point)
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, (b"\x02" if form == "compressed-y-0" else b"\x03") + x)
    except ValueError:
        raise SignatureRefused("malformed", "a key that is no point of the curve", "a point of NIST P-256") from None


def point_of(key: ec.EllipticCurvePublicKey) -> Point:
    """The compressed point of a key."""
    numbers = key.public_numbers()
    return f"compressed-y-{numbers.y & 1}", numbers.x.to_bytes(32)


def signature_x(point: Point) -> bytes:
    """r of a signature, from the point that spells it; SignatureRefused for one without an x."""
    form, coordinates = point
    if form == "fill":
        raise SignatureRefused("malformed", "a signature without r", "the x of a point")
    return coordinates["x"] if form == "uncompressedP256" else coordinates


def signature_holds(key: ec.EllipticCurvePublicKey, signature: tuple[str, Any], digest: bytes) -> bool:
    """Whether a signature (a value of Signature) is the key's, over a `signed_hash`."""
    r, s = int.from_bytes(signature_x(signature[1]["rSig"])), int.from_bytes(signature[1]["sSig"])
    try:
        key.verify(encode_dss_signature(r, s), digest, _PREHASHED)
    except InvalidSignature:
        return False
    return True


def sign_hash(key: ec.EllipticCurvePrivateKey, digest: bytes) -> tuple[str, Any]:
    """The key's signature over a `signed_hash`, as a value of Signature with r alone (the canonical form)."""
    r, s = decode_dss_signature(key.sign(digest, _PREHASHED))
    return "ecdsaNistP256Signature", {"rSig": ("x-only", r.to_bytes(32)), "sSig": s.to_bytes(32)}

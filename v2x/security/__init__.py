"""Signed messages: IEEE 1609.2 data as ETSI TS 103 097 profiles it, checked and made.

`verify.Verifier` opens what came over the air, `sign.Signer` signs what goes out, `store.read_trust_store` reads whom to trust.
"""

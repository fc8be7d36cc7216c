"""IEEE 1609.2 data and certificates as tables, named as in the standard.

Source: IEEE Std 1609.2-2022, ASN.1 modules Ieee1609Dot2 (2.6) and Ieee1609Dot2BaseTypes (2.4), as the open copies in
librasn/compiler (rasn-compiler-tests/src/asn1/ieee1609_2.rs) and riebl/vanetza (asn1/IEEE1609dot2*.asn, the edition of 2016)
have them; ETSI TS 103 097 V2.1.1, module EtsiTs103097Module, for what its profile leaves out. What is refused here: encrypted
data, certificate requests, implicit certificates, keys and signatures other than ECDSA on NIST P-256, and signed data inside
signed data (TS 103 097, 5.1 and 6).
"""
from __future__ import annotations

from v2x.security.oer import (
    Choice,
    Enumerated,
    Field,
    Integer,
    Nothing,
    Octets,
    Refused,
    Rest,
    Sequence,
    SequenceOf,
    Text,
    Unbounded,
    optional,
)

PROTOCOL_VERSION = 3
DEFAULT_MIN_CHAIN_LENGTH, DEFAULT_CHAIN_LENGTH_RANGE, DEFAULT_EE_TYPE = 1, 0, b"\x80"  # PsidGroupPermissions; eeType {app}

UINT8, UINT16, UINT32 = Integer(0, 255), Integer(0, 2**16 - 1), Integer(0, 2**32 - 1)
TIME64 = Integer(0, 2**64 - 1)  # TAI microseconds since 2004-01-01
VERSION = Integer(PROTOCOL_VERSION, PROTOCOL_VERSION)
HASHED_ID3, HASHED_ID8 = Octets(3, 3), Octets(8, 8)
OPAQUE = Octets(0, None)
PSID = Unbounded()
HASH_ALGORITHM = Enumerated(("sha256", "sha384", "sm3"))

UNITS_PER_DEGREE = 1e7  # of latitudes and longitudes
LATITUDE = Integer(-900_000_000, 900_000_001)  # 0.1 microdegree; the highest = unknown
LONGITUDE = Integer(-1_799_999_999, 1_800_000_001)
TWO_D_LOCATION = Sequence("TwoDLocation", (  # here "unknown" is not valid
    Field("latitude", Integer(-900_000_000, 900_000_000)), Field("longitude", Integer(-1_799_999_999, 1_800_000_000))))
THREE_D_LOCATION = Sequence("ThreeDLocation", (
    Field("latitude", LATITUDE), Field("longitude", LONGITUDE), Field("elevation", UINT16)))

POINT = Choice("EccP256CurvePoint", (
    Field("x-only", Octets(32, 32)), Field("fill", Nothing()),
    Field("compressed-y-0", Octets(32, 32)), Field("compressed-y-1", Octets(32, 32)),
    Field("uncompressedP256", Sequence("uncompressedP256", (Field("x", Octets(32, 32)), Field("y", Octets(32, 32)))))))
SIGNATURE = Choice("Signature", (
    Field("ecdsaNistP256Signature", Sequence("EcdsaP256Signature", (Field("rSig", POINT), Field("sSig", Octets(32, 32))))),
    Field("ecdsaBrainpoolP256r1Signature", Refused())), (
    Field("ecdsaBrainpoolP384r1Signature", Refused()), Field("ecdsaNistP384Signature", Refused()),
    Field("sm2Signature", Refused())))
VERIFICATION_KEY = Choice("PublicVerificationKey", (
    Field("ecdsaNistP256", POINT), Field("ecdsaBrainpoolP256r1", Refused())), (
    Field("ecdsaBrainpoolP384r1", Refused()), Field("ecdsaNistP384", Refused()), Field("ecsigSm2", Refused())))
PUBLIC_ENCRYPTION_KEY = Sequence("PublicEncryptionKey", (
    Field("supportedSymmAlg", Enumerated(("aes128Ccm", "sm4Ccm"))),
    Field("publicKey", Choice("BasePublicEncryptionKey", (
        Field("eciesNistP256", POINT), Field("eciesBrainpoolP256r1", POINT)), (Field("ecencSm2", POINT),)))))
ENCRYPTION_KEY = Choice("EncryptionKey", (
    Field("public", PUBLIC_ENCRYPTION_KEY),
    Field("symmetric", Choice("SymmetricEncryptionKey", (Field("aes128Ccm", Octets(16, 16)),),
                              (Field("sm4Ccm", Octets(16, 16)),)))))

REGION = Choice("GeographicRegion", (
    Field("circularRegion", Sequence("CircularRegion", (Field("center", TWO_D_LOCATION), Field("radius", UINT16)))),
    Field("rectangularRegion", SequenceOf(Sequence("RectangularRegion", (
        Field("northWest", TWO_D_LOCATION), Field("southEast", TWO_D_LOCATION))))),
    Field("polygonalRegion", SequenceOf(TWO_D_LOCATION, low=3)),
    Field("identifiedRegion", SequenceOf(Choice("IdentifiedRegion", (
        Field("countryOnly", UINT16),
        Field("countryAndRegions", Sequence("CountryAndRegions", (
            Field("countryOnly", UINT16), Field("regions", SequenceOf(UINT8))))),
        Field("countryAndSubregions", Sequence("CountryAndSubregions", (
            Field("countryOnly", UINT16),
            Field("regionAndSubregions", SequenceOf(Sequence("RegionAndSubregions", (
                Field("region", UINT8), Field("subregions", SequenceOf(UINT16)))))))))))))))

PSID_SSP = Sequence("PsidSsp", (
    Field("psid", PSID),
    optional("ssp", Choice("ServiceSpecificPermissions", (Field("opaque", OPAQUE),), (Field("bitmapSsp", Octets(0, 31)),)))))
PSID_SSP_RANGE = Sequence("PsidSspRange", (
    Field("psid", PSID),
    optional("sspRange", Choice("SspRange", (Field("opaque", SequenceOf(OPAQUE)), Field("all", Nothing())), (
        Field("bitmapSspRange", Sequence("BitmapSspRange", (
            Field("sspValue", Octets(1, 32)), Field("sspBitmask", Octets(1, 32))))),)))))
PSID_GROUP_PERMISSIONS = SequenceOf(Sequence("PsidGroupPermissions", (
    Field("subjectPermissions", Choice("SubjectPermissions", (
        Field("explicit", SequenceOf(PSID_SSP_RANGE)), Field("all", Nothing())))),
    optional("minChainLength", Unbounded(signed=True)),
    optional("chainLengthRange", Unbounded(signed=True)),
    optional("eeType", Octets(1, 1)))))

DURATION_UNITS = ("microseconds", "milliseconds", "seconds", "minutes", "hours", "sixtyHours", "years")
VALIDITY = Sequence("ValidityPeriod", (
    Field("start", UINT32), Field("duration", Choice("Duration", tuple(Field(unit, UINT16) for unit in DURATION_UNITS)))))
CERTIFICATE_ID = Choice("CertificateId", (
    Field("linkageData", Sequence("LinkageData", (
        Field("iCert", UINT16), Field("linkage-value", Octets(9, 9)),
        optional("group-linkage-value", Sequence("GroupLinkageValue", (
            Field("jValue", Octets(4, 4)), Field("value", Octets(9, 9)))))))),
    Field("name", Text(255)), Field("binaryId", Octets(1, 64)), Field("none", Nothing())))
TO_BE_SIGNED_CERTIFICATE = Sequence("ToBeSignedCertificate", (
    Field("id", CERTIFICATE_ID),
    Field("cracaId", HASHED_ID3),
    Field("crlSeries", UINT16),
    Field("validityPeriod", VALIDITY),
    optional("region", REGION),
    optional("assuranceLevel", Octets(1, 1)),
    optional("appPermissions", SequenceOf(PSID_SSP)),
    optional("certIssuePermissions", PSID_GROUP_PERMISSIONS),
    optional("certRequestPermissions", PSID_GROUP_PERMISSIONS),
    optional("canRequestRollover", Nothing()),
    optional("encryptionKey", PUBLIC_ENCRYPTION_KEY),
    Field("verifyKeyIndicator", Choice("VerificationKeyIndicator", (
        Field("verificationKey", VERIFICATION_KEY), Field("reconstructionValue", Refused())))),
), extensible=True, keep=True)
CERTIFICATE = Sequence("Certificate", (
    Field("version", VERSION),
    Field("type", Enumerated(("explicit", "implicit"))),
    Field("issuer", Choice("IssuerIdentifier", (
        Field("sha256AndDigest", HASHED_ID8), Field("self", HASH_ALGORITHM)), (
        Field("sha384AndDigest", HASHED_ID8), Field("sm3AndDigest", HASHED_ID8)))),
    Field("toBeSigned", TO_BE_SIGNED_CERTIFICATE),
    optional("signature", SIGNATURE),
), keep=True)

HEADER_INFO = Sequence("HeaderInfo", (
    Field("psid", PSID),
    optional("generationTime", TIME64),
    optional("expiryTime", TIME64),
    optional("generationLocation", THREE_D_LOCATION),
    optional("p2pcdLearningRequest", HASHED_ID3),
    optional("missingCrlIdentifier", Sequence("MissingCrlIdentifier", (
        Field("cracaId", HASHED_ID3), Field("crlSeries", UINT16)), extensible=True)),
    optional("encryptionKey", ENCRYPTION_KEY),
), extensible=True, additions=(
    Field("inlineP2pcdRequest", SequenceOf(HASHED_ID3)),
    Field("requestedCertificate", CERTIFICATE),
    Field("pduFunctionalType", UINT8),
    Field("contributedExtensions", Rest()),
))
UNSECURED_DATA = Sequence("Ieee1609Dot2Data", (
    Field("protocolVersion", VERSION),
    Field("content", Choice("Ieee1609Dot2Content", (
        Field("unsecuredData", OPAQUE), Field("signedData", Refused()), Field("encryptedData", Refused()),
        Field("signedCertificateRequest", Refused())), (Field("signedX509CertificateRequest", Refused()),)))))
TO_BE_SIGNED_DATA = Sequence("ToBeSignedData", (
    Field("payload", Sequence("SignedDataPayload", (
        optional("data", UNSECURED_DATA),
        optional("extDataHash", Choice("HashedData", (Field("sha256HashedData", Octets(32, 32)),), (
            Field("sha384HashedData", Octets(48, 48)), Field("sm3HashedData", Octets(32, 32))))),
    ), extensible=True, additions=(Field("omitted", Nothing()),))),
    Field("headerInfo", HEADER_INFO),
), keep=True)
SIGNED_DATA = Sequence("SignedData", (
    Field("hashId", HASH_ALGORITHM),
    Field("tbsData", TO_BE_SIGNED_DATA),
    Field("signer", Choice("SignerIdentifier", (
        Field("digest", HASHED_ID8), Field("certificate", SequenceOf(CERTIFICATE)), Field("self", Nothing())))),
    Field("signature", SIGNATURE)))
DATA = Sequence("Ieee1609Dot2Data", (
    Field("protocolVersion", VERSION),
    Field("content", Choice("Ieee1609Dot2Content", (
        Field("unsecuredData", OPAQUE), Field("signedData", SIGNED_DATA), Field("encryptedData", Refused()),
        Field("signedCertificateRequest", Refused())), (Field("signedX509CertificateRequest", Refused()),)))))

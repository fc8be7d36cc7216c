from __future__ import annotations

import pytest

from v2x.security.permissions import issued_psids, may_issue

APP, ENROL = b"\x80", b"\x40"


def explicit(*ranges, **limits) -> dict:
    return {"subjectPermissions": ("explicit", [{"psid": psid} | ({} if allowed is None else {"sspRange": allowed})
                                                for psid, allowed in ranges])} | limits


def others(**limits) -> dict:
    return {"subjectPermissions": ("all", None)} | limits


BITS = ("bitmapSspRange", {"sspValue": b"\x01\x80", "sspBitmask": b"\xff\xf0"})


@pytest.mark.parametrize(("ssp_range", "ssp", "may"), [
    (None, None, True), (None, ("opaque", b"any"), True), (None, ("bitmapSsp", b"\x01"), True),
    (("all", None), ("opaque", b"any"), True),
    (("opaque", [b"\x01", b"\x02"]), ("opaque", b"\x02"), True), (("opaque", [b"\x01"]), ("opaque", b"\x02"), False),
    (("opaque", [b""]), None, True), (("opaque", [b"\x01"]), None, False),
    (("opaque", [b"\x01"]), ("bitmapSsp", b"\x01"), False),
    (BITS, ("bitmapSsp", b"\x01\x8f"), True), (BITS, ("bitmapSsp", b"\x01\x9f"), False),
    (BITS, ("bitmapSsp", b"\x02\x80"), False), (BITS, ("bitmapSsp", b"\x01"), False),
    (BITS, None, False), (BITS, ("opaque", b"\x01\x80"), False),
])
def test_specific_permissions_must_lie_in_the_authority_s_range(ssp_range, ssp, may):
    assert may_issue([explicit((36, ssp_range))], 36, ssp, 1) is may


@pytest.mark.parametrize(("limits", "lengths"), [
    ({}, {1}), ({"minChainLength": 2}, {2}), ({"minChainLength": 2, "chainLengthRange": 1}, {2, 3}),
    ({"minChainLength": 2, "chainLengthRange": -1}, {2, 3, 4}), ({"minChainLength": 0, "chainLengthRange": -1}, set()),
])
def test_a_chain_may_be_as_long_as_is_said(limits, lengths):
    assert {length for length in range(1, 5) if may_issue([others(**limits)], 36, None, length)} == lengths


def test_authorities_of_enrolment_issue_nothing_that_signs_messages():
    assert not may_issue([others(eeType=ENROL)], 36, None, 1)
    assert may_issue([others(eeType=b"\xc0")], 36, None, 1)


def test_all_means_all_that_is_not_named_elsewhere():
    groups = [explicit((35, None), minChainLength=2), others()]
    assert may_issue(groups, 36, None, 1)
    assert not may_issue(groups, 35, None, 1)
    assert may_issue(groups, 35, None, 2)


def test_no_permissions_allow_nothing():
    assert not may_issue([], 36, None, 1)
    assert not may_issue([explicit((37, None))], 36, None, 1)


def test_what_an_authority_issues_is_listed():
    assert issued_psids([explicit((37, None), (36, None)), others()]) == [36, 37, "all others"]
    assert issued_psids([]) == []

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from data_specs.errors import SpecError
from data_specs.messages import GeoPoint
from data_specs.site import Crossing, Site
from v2x import asyncapi
from v2x.commands import app
from v2x.records import BUS_TOPICS
from v2x.topics import TOPICS, TopicState, mismatches, plan, shortages, troubles

SPECS = Path(asyncapi.__file__).parent.parent / "data_specs"


def site_of(*names: str) -> Site:
    return Site(tuple(Crossing(name, GeoPoint(48.1, 11.5, 520.0), np.zeros((3, 2)), "off") for name in names), ())


SITE = site_of("east", "station", "bridge")  # in 3 partitions two of them meet, in 4 none


def present(partitions: int = 4) -> dict[str, TopicState]:
    return {spec.name: TopicState(partitions if spec.keyed_by_crossing else 1, 3, dict(spec.settings)) for spec in TOPICS}


def test_the_asyncapi_file_is_what_the_table_says():
    assert (SPECS / "asyncapi.yaml").read_text() == asyncapi.text()


def test_every_reference_of_the_asyncapi_document_leads_somewhere():
    document = asyncapi.document()
    found = [word for word in json.dumps(document).split('"') if word.startswith("#/")]
    for reference in found:
        place = document
        for step in reference[2:].split("/"):
            place = place[step]
    assert len(found) == 3 * len(TOPICS)


def test_the_table_covers_what_travels_and_the_page_names_every_topic_and_header():
    assert {spec.name for spec in TOPICS} >= set(BUS_TOPICS)
    page = (SPECS / "topics.md").read_text()
    for spec in TOPICS:
        assert f"| `{spec.name}` |" in page
        assert all(f"`{header}`" in page for header in spec.headers)


def test_an_empty_cluster_gets_every_topic_with_partitions_that_set_crossings_apart():
    changes = plan(SITE, {})
    assert all(change.create for change in changes)
    assert {change.name: change.partitions for change in changes} == {
        spec.name: 4 if spec.keyed_by_crossing else 1 for spec in TOPICS}


def test_a_cluster_that_has_them_is_left_alone():
    assert not any(change.is_needed for change in plan(SITE, present()))
    assert troubles(SITE, present()) == []


def test_partitions_grow_and_never_shrink():
    grown = {change.name: change for change in plan(SITE, present(1))}
    assert (grown["rsu.messages"].partitions, grown["rsu.messages"].said) == (4, "partitions 1 -> 4")
    kept = {change.name: change for change in plan(SITE, present(8))}
    assert (kept["rsu.messages"].partitions, kept["rsu.messages"].is_needed) == (8, False)
    assert kept["rsu.messages"].note == "8 partitions where 4 would do: none can be taken away"


def test_a_setting_that_differs_is_set_and_the_others_are_not():
    state = present()
    state["rsu.messages"] = TopicState(4, 3, {**state["rsu.messages"].settings, "retention.ms": "5"})
    (change,) = [change for change in plan(SITE, state) if change.is_needed]
    assert dict(change.settings) == {"retention.ms": "604800000"}
    assert change.said == "retention.ms 5 -> 604800000"
    assert troubles(SITE, state) == ["rsu.messages: needs retention.ms 5 -> 604800000"]


def test_a_topic_with_too_few_partitions_is_told():
    assert shortages(SITE, {"rsu.messages": 1, "vehicle.objects": 1}) == [
        "vehicle.objects has 1 partition, expected 4 to set the crossings apart",
        "rsu.messages has 1 partition, expected 4 to set the crossings apart"]


def test_topics_read_together_must_have_as_many_partitions():
    assert mismatches({"a": 1, "b": 3}, ("a", "b")) == [
        "a 1 partition, b 3 partitions: expected as many, else a crossing's records reach different workers"]
    assert mismatches({"a": 3, "b": 3, "c": 1}, ("a", "b")) == []


def test_a_site_without_a_crossing_is_refused():
    with pytest.raises(SpecError, match="site: no crossing, expected at least one"):
        plan(site_of(), {})


def test_a_bus_of_one_process_has_no_topics_to_apply(tmp_path):
    (tmp_path / "site.toml").write_text('[[crossing]]\nid = "x"\norigin = [48.0, 11.0, 500.0]\npolygon_m = [[0, 0]]\n')
    found = CliRunner().invoke(app, ["topics", "apply", str(tmp_path / "site.toml"), "--bus", "memory:"])
    assert "topics apply: memory: lives inside one process" in str(found.exception)

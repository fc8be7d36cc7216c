"""The bus as an AsyncAPI document, written from the table of topics: other programs' generators read it.

Source: AsyncAPI Specification 3.0.0 (https://www.asyncapi.com/docs/reference/specification/v3.0.0); Kafka bindings 0.5.0
(https://github.com/asyncapi/bindings/tree/master/kafka).
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from v2x.topics import TOPICS, TopicSpec

_BINDING = "0.5.0"
_PLAIN = re.compile(r"[A-Za-z#/][A-Za-z0-9 ._/#-]*")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def document() -> dict[str, Any]:
    """The document as plain structures."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Roadweave bus", "version": "1.0.0", "license": {"name": "Apache-2.0"},
            "description": "Topics of keyed records, ordered within a key. Written by: roadweave topics asyncapi"},
        "defaultContentType": "application/octet-stream",
        "servers": {"development": {"host": "127.0.0.1:29092", "protocol": "kafka",
                                    "description": "What roadweave broker start runs."}},
        "channels": {_name(spec): _channel(spec) for spec in TOPICS},
        "operations": {f"{action}_{_name(spec)}": _operation(spec, action) for spec in TOPICS for action in ("send", "receive")},
        "components": {"messages": {_name(spec): _message(spec) for spec in TOPICS}},
    }


def text() -> str:
    """The document as YAML."""
    return "\n".join(["# Written by 'roadweave topics asyncapi' from v2x/topics.py.", *_yaml(document()), ""])


def _channel(spec: TopicSpec) -> dict[str, Any]:
    settings = spec.settings
    said = {"cleanup.policy": [settings["cleanup.policy"]], "retention.ms": int(settings["retention.ms"]),
            "max.message.bytes": int(settings["max.message.bytes"])}
    crossings = "Partitions enough to set the crossings apart." if spec.keyed_by_crossing else "One partition."
    return {"address": spec.name, "description": f"{spec.summary[0].upper()}{spec.summary[1:]}. {crossings}",
            "messages": {_name(spec): {"$ref": f"#/components/messages/{_name(spec)}"}},
            "bindings": {"kafka": {"topicConfiguration": said, "bindingVersion": _BINDING}}}


def _operation(spec: TopicSpec, action: str) -> dict[str, Any]:
    who = spec.publishers if action == "send" else spec.readers
    return {"action": action, "summary": f"By: {who}.", "channel": {"$ref": f"#/channels/{_name(spec)}"}}


def _message(spec: TopicSpec) -> dict[str, Any]:
    headers = {"time_ns": "measurement time, decimal Unix nanoseconds", **spec.headers}
    return {"title": spec.summary, "contentType": spec.media_type,
            "headers": {"type": "object", "required": ["time_ns"],
                        "properties": {name: {"type": "string", "description": said} for name, said in headers.items()}},
            "payload": {"type": "string", "format": "binary", "description": spec.value},
            "bindings": {"kafka": {"key": {"type": "string", "description": spec.key}, "bindingVersion": _BINDING}}}


def _name(spec: TopicSpec) -> str:
    """The topic's name as a key that needs no escaping in a reference: vehicle.objects becomes vehicleObjects."""
    first, *others = re.split(r"[.-]", spec.name)
    return first + "".join(part.capitalize() for part in others)


def _yaml(value: Any, indent: str = "") -> Iterator[str]:
    """Lines of YAML for dictionaries, lists of scalars, texts and whole numbers."""
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield f"{indent}{_scalar(key)}:"
            yield from _yaml(inner, indent + "  ")
        elif isinstance(inner, list):
            yield f"{indent}{_scalar(key)}: [{', '.join(map(_scalar, inner))}]"
        else:
            yield f"{indent}{_scalar(key)}: {_scalar(inner)}"


def _scalar(value: object) -> str:
    """A text as it is where YAML takes it for nothing else, else as JSON, which YAML holds."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and " #" not in value and value.lower() not in _WORDS \
            and not value.startswith("#") and not value.endswith(" "):
        return value
    return json.dumps(value)

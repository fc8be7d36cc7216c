"""The Live page: the crossing now. The picture polls by itself; only the figures beside it are rerun, once a second."""
from __future__ import annotations

import streamlit as st

from dashboards import look
from dashboards.canvas import live_canvas
from dashboards.state import served

LINKS = {"up": "ok:up", "connecting": "late:connecting", "down": "silent:down"}


@st.fragment(run_every=1.0)
def figures() -> None:
    """Rates, latencies, units and tracks beside the picture, once a second."""
    status = served().feed.status()
    total_hz, v2x_ms, fusion_ms = sum(status.rates_hz.values()), status.latency_ms, status.fusion_ms
    st.html(look.tiles([
        ("messages", look.number(total_hz), "/ s"), ("fused tracks", str(sum(status.fused.values())), ""),
        ("V2X latency, p50", look.number(v2x_ms[0]), "ms"), ("V2X latency, p99", look.number(v2x_ms[1]), "ms"),
        ("fused after, p50", look.number(fusion_ms[0]), "ms"), ("fused after, p99", look.number(fusion_ms[1]), "ms"),
    ]))
    st.html(look.bars("fused after, latest", status.recent_fusion_ms, "ms"))
    st.html(look.table("Roadside units", ["unit", "last seen", "rate", "objects", "latency", "refused"], [
        (rsu.name, f"{rsu.state}:{rsu.seen_s:.1f} s", f"{rsu.rate_hz:.1f} Hz", str(rsu.objects),
         f"{look.number(rsu.latency_p50_ms)} ms", str(rsu.refused)) for rsu in status.rsus]))
    st.html(look.table("Bus", ["topic", "rate"], [("link", LINKS[status.link])] + [
        (topic, f"{rate_hz:.1f} /s") for topic, rate_hz in status.rates_hz.items()]))
    st.html(look.table("Fused tracks by class", ["class", "tracks"], [
        (name, str(count)) for name, count in sorted(status.fused.items())]))
    if status.link == "down":
        st.warning(status.trouble)
    if status.unreadable:
        st.caption(f"{status.unreadable} records could not be read; the last: {status.last_unreadable}")


st.html(look.facts_line([("showing", served().live_source)]))
picture, beside = st.columns([3, 1])
with picture:
    live_canvas()
with beside:
    figures()

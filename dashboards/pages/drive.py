"""The Drive page: choose a recorded drive, then look at it. Streamlit runs this file as a script."""
from __future__ import annotations

import streamlit as st

from dashboards.canvas import drive_canvas
from dashboards.look import facts_line
from dashboards.state import served
from data_specs.errors import RoadweaveError

library = served().library
names = library.names()
if not names:
    st.info(f"No drive in {library.folder} yet. Make one: roadweave simulate {library.folder / 'crossing'}")
    st.stop()
asked = st.query_params.get("drive", "")
choice, facts = st.columns([1, 3], vertical_alignment="center")
with choice:
    name = st.selectbox("Drive", names, index=names.index(asked) if asked in names else 0, label_visibility="collapsed")
st.query_params["drive"] = name
try:
    view = library.view(name)
except RoadweaveError as error:
    st.error(str(error))
    st.stop()
info = view.info
with facts:
    st.html(facts_line([
        ("made by", info.importer), ("length", f"{info.duration_s:.1f} s"), ("moments", f"{len(view.moments_ns):,}"),
        ("roadside units", f"{len(info.site.rsus)}"),
    ]))
drive_canvas(name)

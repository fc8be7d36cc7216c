"""The pages and how they hang together; Streamlit runs this file anew for every visit and every change of a widget."""
from __future__ import annotations

import streamlit as st

from dashboards.look import ICON, page_style

st.set_page_config(page_title="Roadweave", page_icon=ICON, layout="wide",
                   initial_sidebar_state="collapsed")
page_style()
drive = st.Page("pages/drive.py", title="Drive", icon=":material/movie:", url_path="drive")
live = st.Page("pages/live.py", title="Live", icon=":material/sensors:", url_path="live")
home = st.Page(lambda: st.switch_page(drive, query_params=st.query_params.to_dict()), title="Roadweave", url_path="home",
               default=True, visibility="hidden")
st.navigation([home, drive, live], position="top").run()

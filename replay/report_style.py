"""How the gate's page looks: one style sheet, light or dark as the reader's machine is."""
from __future__ import annotations

STYLE = """
:root{--ink:#1c2430;--soft:#5b6675;--line:#dfe4ea;--page:#f6f7f9;--card:#fff;--run:#1769c2;--base:#8d98a6;--pass:#1a7f4b;
--fail:#c8321f;--unclear:#b27a00;--right:#1769c2;--wrong:#d9822b}
@media (prefers-color-scheme:dark){:root{--ink:#d9e0e8;--soft:#8c98a7;--line:#2a323d;--page:#0d1117;--card:#151b23;--run:#56b4e9;
--base:#7d8896;--pass:#3fb57a;--fail:#ff6b57;--unclear:#e0b13c;--right:#56b4e9;--wrong:#f0a050}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.5rem 4rem;max-width:80rem;font:14px/1.5 system-ui,sans-serif;color:var(--ink);
background:var(--page);font-variant-numeric:tabular-nums}
header{display:flex;gap:1rem;align-items:center;padding:1.1rem 1.4rem;border-radius:10px;color:#fff;background:var(--unclear)}
header.pass{background:var(--pass)}header.fail{background:var(--fail)}
header h1{margin:0;font-size:1.5rem;line-height:1.2}header p{margin:.15rem 0 0;opacity:.9}
.sign{display:grid;place-items:center;width:2.6rem;height:2.6rem;border-radius:50%;background:#ffffff33;font-size:1.4rem}
.reasons{margin:1rem 0 0;padding:.8rem 1.2rem;background:var(--card);border:1px solid var(--line);border-radius:10px}
.reasons ul{margin:0;padding-left:1.1rem}summary{cursor:pointer;color:var(--soft);margin-top:.3rem}
section{margin-top:1.4rem;padding:1rem 1.2rem;background:var(--card);border:1px solid var(--line);border-radius:10px;
overflow-x:auto}
h2{margin:.1rem 0 .6rem;font-size:1.05rem}.note{margin:0 0 .7rem;color:var(--soft)}
table{border-collapse:collapse;white-space:nowrap}.gate{width:100%;font-size:13px}td,th{padding:.26rem .55rem;text-align:right}
th{font-weight:600;color:var(--soft);font-size:.86em}thead th{border-bottom:1px solid var(--line)}
tbody tr+tr td{border-top:1px solid var(--line)}td:first-child,th:first-child,.gate td:nth-child(2),.gate th:nth-child(2)
{text-align:left}tr.between th{padding-top:1rem}
.badge{padding:.1rem .55rem;border-radius:99px;font-size:.86em;color:#fff;background:var(--unclear)}
.badge.pass{background:var(--pass)}.badge.fail{background:var(--fail)}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1.2rem}
figure{margin:0}figcaption{display:flex;justify-content:space-between;gap:.6rem;margin-bottom:.2rem}
figcaption>span{color:var(--soft);font-size:.86em}figure svg{display:block;width:100%;height:auto}a{color:var(--run)}
.legend span{margin-left:.8rem}.legend span::before{content:"";display:inline-block;width:1rem;height:3px;margin-right:.3rem;
vertical-align:middle;background:currentColor}.legend .run{color:var(--run)}.legend .base{color:var(--base)}
svg{font:10px system-ui,sans-serif}svg text{fill:var(--soft)}svg .axis{fill:var(--ink)}
.grid{stroke:var(--line);fill:none;stroke-width:.8}.limit{stroke:var(--fail);stroke-dasharray:2 2;fill:none}
.bar{fill:var(--line)}polyline{fill:none;stroke-width:1.8;stroke-linejoin:round}
polyline.run{stroke:var(--run)}polyline.base{stroke:var(--base)}polyline.ideal{stroke:var(--soft);stroke-dasharray:3 3;
stroke-width:1}circle.run{fill:var(--run)}circle.base{fill:var(--base)}.interval{vertical-align:middle}
.interval path.pass,.interval path.fail,.interval path.unclear{fill:none;stroke-width:1.6;stroke:var(--unclear)}
.interval path.pass{stroke:var(--pass)}.interval path.fail{stroke:var(--fail)}circle.unclear{fill:var(--unclear)}
circle.pass{fill:var(--pass)}circle.fail{fill:var(--fail)}
.bev svg{background:var(--page);border:1px solid var(--line);border-radius:8px}.bev figcaption{flex-direction:column;gap:0}
.ring{fill:none;stroke:var(--line);stroke-width:.25}text.ring{fill:var(--base);stroke:none;font-size:2.4px}
.ego{fill:var(--ink)}.truth,.right,.wrong,.missed,.lost{fill:none;stroke-width:.35}
.truth{stroke:var(--pass);fill:color-mix(in srgb,var(--pass) 14%,transparent)}.right{stroke:var(--right)}
.wrong{stroke:var(--wrong);stroke-dasharray:.9 .5}.missed{stroke:var(--fail);fill:color-mix(in srgb,var(--fail) 14%,transparent)}
.lost{stroke:var(--fail);fill:var(--fail)}.keys{display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;margin:0 0 .8rem;color:var(--soft)}
.key svg{vertical-align:middle;margin-right:.35rem}
@media print{body{max-width:none}section{break-inside:avoid}}
""".replace("\n", "")

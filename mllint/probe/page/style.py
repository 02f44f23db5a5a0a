"""The look of the page, light and dark, on wide and narrow screens.

May not: load anything from elsewhere.
"""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #5c6670; --line: #d9dee3; --page: #ffffff; --card: #f6f8fa;
  --error: #b42318; --warning: #9a6700; --info: #1f6feb; --good: #1a7f37; --mark: #dbe4ff;
  --forward: #4c78a8; --backward: #e07b39; --optimizer: #59a14f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --dim: #98a2ad; --line: #343b43; --page: #14181c; --card: #1c2126;
  --error: #ff7b72; --warning: #e3b341; --info: #79b8ff; --good: #56d364; --mark: #263a66;
  --forward: #79a8d8; --backward: #f0a06a; --optimizer: #86c87c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 36px 0 10px; padding-top: 12px; border-top: 1px solid var(--line); }
p { margin: 6px 0; }
code, pre, .path { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 0.88em; }
.dim { color: var(--dim); }
.facts { display: flex; flex-wrap: wrap; gap: 6px 22px; margin: 10px 0 0; color: var(--dim); }
.facts b { color: var(--ink); font-weight: 600; }
.verdict { display: inline-block; margin: 14px 0 0; padding: 6px 12px; border-radius: 6px; background: var(--card); font-weight: 600; }
.error { color: var(--error); } .warning { color: var(--warning); } .info { color: var(--info); } .good { color: var(--good); }
.finding { border: 1px solid var(--line); border-left: 4px solid var(--dim); border-radius: 6px; padding: 10px 14px; margin: 10px 0; }
.finding.error { border-left-color: var(--error); color: inherit; } .finding.warning { border-left-color: var(--warning); color: inherit; }
.finding.info { border-left-color: var(--info); color: inherit; }
.finding .head { display: flex; flex-wrap: wrap; gap: 2px 12px; align-items: baseline; }
.finding .head b { font-weight: 600; overflow-wrap: anywhere; }
.path { color: var(--dim); overflow-wrap: anywhere; }
pre { margin: 8px 0; padding: 8px 10px; background: var(--card); border-radius: 6px; overflow-x: auto; line-height: 1.45; }
pre .hit { background: var(--mark); display: inline-block; min-width: 100%; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
th { text-align: left; color: var(--dim); font-weight: 600; }
th, td { padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td code { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--dim); font: 11px system-ui, sans-serif; }
svg .axis { stroke: var(--line); } svg .label { fill: var(--ink); }
.chart { overflow-x: auto; } .chart svg { min-width: 620px; }
.forward { fill: var(--forward); } .backward { fill: var(--backward); } .optimizer { fill: var(--optimizer); }
circle.good, rect.good { fill: var(--good); } circle.error, rect.error { fill: var(--error); }
circle.warning, rect.warning { fill: var(--warning); } circle.info, rect.info { fill: var(--info); } rect.quiet, circle.quiet { fill: var(--dim); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 6px 0; color: var(--dim); font-size: 0.88rem; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; background: var(--dim); }
.legend i.forward { background: var(--forward); } .legend i.backward { background: var(--backward); }
.legend i.optimizer { background: var(--optimizer); } .legend i.good { background: var(--good); }
.legend i.error { background: var(--error); } .legend i.warning { background: var(--warning); } .legend i.info { background: var(--info); }
details > summary { cursor: pointer; color: var(--dim); margin: 6px 0; }
.tree { font-size: 0.9rem; } .tree details { margin-left: 18px; } .tree > details { margin-left: 0; }
.tree .leaf { margin: 2px 0 2px 32px; } .tree summary { margin: 2px 0; color: var(--ink); }
.dot { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 7px; background: var(--line); }
.dot.good { background: var(--good); } .dot.error { background: var(--error); } .dot.warning { background: var(--warning); }
.dot.info { background: var(--info); } .dot.quiet { background: var(--dim); }
@media (max-width: 560px) { main { padding: 16px 12px 48px; } h1 { font-size: 1.25rem; } body { font-size: 14px; } }
"""

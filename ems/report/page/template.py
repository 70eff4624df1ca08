"""The page of a report: one template with its style inside, which asks nothing of the network."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ report.title }}</title>
<style>
:root {
  color-scheme: light dark;
  --page: #ffffff; --card: #f5f6f8; --text: #1b1f24; --soft: #59636e; --rule: #d5dae0;
  --link: #0b5cad; --warn: #a33a00; --warn-card: #fff1e8;
  --sun: #b98700; --grid: #8a8f98; --sold: #3d94c8; --house: #5f6771; --battery: #009e73;
  --car: #0b4a85; --machine: #c56b9d; --heat: #d55e00; --worth: #b8400e; --saved: #009e73;
  --lost: #d55e00; --plan: #1b1f24;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --card: #1e2329; --text: #e6e9ed; --soft: #a3adb8; --rule: #39414a;
    --link: #7cb8f5; --warn: #ffb184; --warn-card: #3a2416;
    --sun: #f0c83c; --grid: #7b838d; --sold: #8fd0f5; --house: #a8b0ba; --battery: #1fc495;
    --car: #3f7fe0; --machine: #dd98bd; --heat: #f08038; --worth: #ff9a66; --saved: #1fc495;
    --lost: #f08038; --plan: #e6e9ed;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 40px 0 8px; padding-top: 12px; border-top: 1px solid var(--rule); }
p { margin: 8px 0; overflow-wrap: anywhere; }
a { color: var(--link); }
.soft { color: var(--soft); }
.mark { background: var(--warn-card); color: var(--warn); border: 1px solid currentColor;
  border-radius: 6px; padding: 8px 12px; font-weight: 600; margin: 12px 0; }
.wide { overflow-x: auto; margin: 12px 0; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding-bottom: 4px; }
th, td { padding: 5px 10px 5px 0; text-align: right; border-bottom: 1px solid var(--rule);
  vertical-align: top; font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: 600; }
th.text, td.text { text-align: left; }
td.number { white-space: nowrap; }
tr > :first-child { position: sticky; left: 0; background: var(--page); }
table.words td:last-child { overflow-wrap: anywhere; }
pre { background: var(--card); padding: 12px; border-radius: 6px; overflow-x: auto;
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: .9rem; }
figure { margin: 16px 0; }
figcaption { font-size: .9rem; }
svg { width: 100%; max-width: 620px; height: auto; display: block; }
svg text { fill: var(--soft); font-size: 12px; }
.keys { display: block; }
.keys span { margin-right: 10px; white-space: nowrap; color: var(--soft); }
.key { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 4px; }
.dash { display: inline-block; width: 20px; margin-right: 4px; vertical-align: middle;
  border-top: 2px solid; }
.axis { stroke: var(--text); stroke-width: 1; fill: none; }
path.level { stroke: var(--rule); stroke-width: .6; fill: none; }
.fill { stroke: var(--page); stroke-width: .5; }
.line { fill: none; stroke-width: 2; }
{% for name in colours -%}
.fill.{{ name }} { fill: var(--{{ name }}); } .line.{{ name }} { stroke: var(--{{ name }}); }
.key.{{ name }} { background: var(--{{ name }}); }
.dash.{{ name }} { border-color: var(--{{ name }}); }
{% endfor -%}
.line.halo { stroke: var(--page); stroke-width: 4.5; }
.line.sold { stroke-dasharray: 6 4; } .line.grid { stroke-dasharray: 2 2; }
.dash.sold { border-top-style: dashed; } .dash.grid { border-top-style: dotted; }
.hour { display: grid; grid-template-columns: 6.4rem 1fr; gap: 0 12px; padding: 8px 0;
  border-bottom: 1px solid var(--rule); }
.hour time { font-weight: 700; font-variant-numeric: tabular-nums; }
.hour p { margin: 0 0 2px; }
.hour .soft { font-size: .85rem; }
.hour .came { border-left: 3px solid var(--link); padding-left: 9px; margin-top: 4px; }
details { margin: 8px 0; } summary { cursor: pointer; color: var(--link); }
@media (max-width: 560px) {
  main { padding: 16px 12px 48px; } h1 { font-size: 1.35rem; }
  .hour { grid-template-columns: 1fr; } table { font-size: .85rem; }
  .hour div:first-child { display: flex; gap: 10px; align-items: baseline; }
  svg text { font-size: 15px; }
}
@media print { details:not([open]) > * { display: block; } }
</style>
</head>
<body>
<main>
<h1>{{ report.title }}</h1>
<p class="soft">{{ linked(report.subtitle) }}</p>
{% if report.synthetic %}
<p class="mark">SYNTHETIC DATA: made up, not measurements.
No figure on this page says anything about a real house.</p>
{% endif %}
{% for section in report.sections %}
<section>
<h2>{{ section.title }}</h2>
{% for text in section.paragraphs %}<p>{{ linked(text) }}</p>
{% endfor %}
{% for figure in section.figures %}{{ figure }}
{% endfor %}
{% for table in section.tables %}
{% if table.folded %}<details><summary>{{ table.caption }}</summary>{% endif %}
<div class="wide" tabindex="0" role="region" aria-label="{{ table.caption }}">
<table{% if table.words %} class="words"{% endif %}>
{% if not table.folded and table.caption %}<caption>{{ table.caption }}</caption>{% endif %}
<thead><tr>
{% for head in table.heads %}
<th scope="col" class="{{ kind(table, loop.index0) }}">{{ head }}</th>
{% endfor %}
</tr></thead>
<tbody>
{% for row in table.rows %}
<tr>
{% for cell in row %}<td class="{{ kind(table, loop.index0) }}">{{ linked(cell) }}</td>
{% endfor %}
</tr>
{% endfor %}
</tbody>
</table></div>
{% if table.folded %}</details>{% endif %}
{% endfor %}
{% for hour in section.hours %}
<div class="hour"><div><time datetime="{{ hour.local.isoformat() }}">{{ hour.clock }}</time>
<p class="soft">worth {{ ct(hour.worth_ct) }}</p></div>
<div>{% for sentence in hour.sentences %}<p>{{ sentence }}</p>{% endfor %}
{% if hour.came %}<p class="came">{{ hour.came }}</p>{% endif %}</div></div>
{% endfor %}
{% for command in section.commands %}<pre>{{ command }}</pre>
{% endfor %}
</section>
{% endfor %}
</main>
</body>
</html>
"""

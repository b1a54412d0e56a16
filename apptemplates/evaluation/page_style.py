"""How the page of a report looks; every rule stays inside the report, so that a notebook around it is not touched."""

STYLE = """
.at-report {
  --ground: #f5f6f8; --card: #ffffff; --ink: #1b2129; --quiet: #5a6472; --line: #e1e5ea; --accent: #0067a8;
  --theirs: #c24e00; --good: #00704e; --bad: #b3261e; --soft: #eaf2f9;
  background: var(--ground); color: var(--ink); box-sizing: border-box; min-height: 100%;
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; padding: 40px max(20px, calc(50% - 540px)) 28px; text-align: left;
}
@media (prefers-color-scheme: dark) {
  .at-report {
    --ground: #12151a; --card: #1b2027; --ink: #e7eaef; --quiet: #a0aab7; --line: #2f3742; --accent: #63b3ed;
    --theirs: #f2994a; --good: #4cc38a; --bad: #ff8a80; --soft: #1a2a38;
  }
}
.at-report * { box-sizing: border-box; }
.at-report p, .at-report h1, .at-report h2, .at-report h3, .at-report ul, .at-report dl, .at-report dd,
.at-report figure { margin: 0; padding: 0; }
.at-report header { margin-bottom: 22px; }
.at-report .kind {
  color: var(--accent); font-size: 12px; font-weight: 650; letter-spacing: .09em; text-transform: uppercase;
}
.at-report h1 {
  font-size: 30px; line-height: 1.2; letter-spacing: -.015em; font-weight: 700;
  overflow-wrap: anywhere;
}
.at-report h2 { font-size: 19px; letter-spacing: -.005em; margin-bottom: 12px; font-weight: 650; }
.at-report h3 { font-size: 13px; color: var(--quiet); font-weight: 600; }
.at-report section { margin: 0 0 34px; }
.at-report .quiet { color: var(--quiet); }
.at-report small { font-size: 12px; font-weight: 400; }
.at-report code { font: 12px ui-monospace, "SF Mono", Menlo, Consolas, monospace; background: none; color: inherit; }

.at-report .verdict {
  background: var(--soft); border-left: 5px solid var(--accent); border-radius: 4px 12px 12px 4px;
  padding: 20px 24px; margin-bottom: 26px;
}
.at-report .verdict p { max-width: 96ch; }
.at-report .verdict p:first-child { font-size: 19px; line-height: 1.45; font-weight: 600; }
.at-report .verdict p + p { margin-top: 8px; }

.at-report .cards { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(215px, 1fr)); }
.at-report .card, .at-report .scroll, .at-report figure, .at-report .findings {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
}
.at-report .card { padding: 16px 18px; min-width: 0; }
.at-report .cards .value {
  font-size: 38px; line-height: 1.15; font-weight: 700; letter-spacing: -.025em; margin-top: 2px;
}
.at-report .cards .quiet { font-size: 13px; }
.at-report .cards .track { margin: 12px 0 8px; }

.at-report .track { display: block; position: relative; height: 12px; min-width: 110px; }
.at-report .track::before {
  content: ""; position: absolute; left: 0; right: 0; top: 5px; height: 2px; background: var(--line);
}
.at-report .track i { position: absolute; display: block; }
.at-report .track .range { top: 3px; height: 6px; background: var(--accent); opacity: .38; border-radius: 3px; }
.at-report .track .ours {
  top: 0; width: 4px; height: 12px; margin-left: -2px; background: var(--accent); border-radius: 2px;
}
.at-report .track .theirs {
  top: 2px; width: 8px; height: 8px; margin-left: -4px; border: 2px solid var(--theirs); transform: rotate(45deg);
  background: var(--card);
}
.at-report .better { color: var(--good); font-weight: 600; white-space: nowrap; }
.at-report .worse { color: var(--bad); font-weight: 600; white-space: nowrap; }
.at-report .unclear { color: var(--quiet); white-space: nowrap; }

.at-report .scroll { overflow-x: auto; }
.at-report table { border-collapse: collapse; width: 100%; font-size: 14px; color: inherit; margin: 0; border: 0; }
.at-report th, .at-report td {
  padding: 9px 14px; text-align: left; vertical-align: top; border: 0; border-bottom: 1px solid var(--line);
  line-height: 1.4; background: none; white-space: normal; max-width: 34em; overflow-wrap: break-word;
}
.at-report tbody tr:last-child > * { border-bottom: 0; }
.at-report thead th { color: var(--quiet); font-size: 12.5px; font-weight: 600; vertical-align: bottom; }
.at-report tbody th { font-weight: 600; }
.at-report .n { text-align: right; }
.at-report td.n { white-space: nowrap; }
.at-report td.wide { width: 28%; padding-top: 14px; }
.at-report .dense th, .at-report .dense td { padding: 8px 8px; }
.at-report .dense th:first-child {
  position: sticky; left: 0; background: var(--card); padding-left: 14px; min-width: 84px;
}
.at-report .dense small { font-size: 11px; letter-spacing: -.01em; }
.at-report .end { font-weight: 650; color: var(--theirs); }
.at-report p + .scroll, .at-report .gaps + *, .at-report summary + * { margin-top: 10px; }
.at-report .gaps { padding-left: 18px; }

.at-report .findings { list-style: none; }
.at-report .findings li {
  display: flex; gap: 14px; padding: 14px 18px; border-bottom: 1px solid var(--line); margin: 0;
}
.at-report .findings li:last-child { border-bottom: 0; }
.at-report .findings li > div { min-width: 0; overflow-wrap: anywhere; }
.at-report .findings .fix { font-weight: 600; }
.at-report .findings .fix::before { content: "→ "; }
.at-report .findings .quiet { font-size: 13px; }
.at-report .severity {
  flex: 0 0 74px; align-self: flex-start; text-align: center; font-size: 12px; font-weight: 650; border-radius: 99px;
  border: 1.5px solid currentColor; padding: 1px 0; color: var(--quiet);
}
.at-report .severity.error { background: var(--bad); border-color: var(--bad); color: var(--card); }
.at-report .severity.warning { color: var(--theirs); }

.at-report .figures {
  display: grid; gap: 16px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr));
}
.at-report figure { overflow: hidden; }
.at-report figure img {
  display: block; width: 100%; max-width: 640px; height: auto; background: #fff; padding: 12px;
  margin: 0 auto;
}
.at-report figcaption {
  padding: 10px 16px 14px; font-size: 13px; color: var(--quiet); border-top: 1px solid var(--line);
}

.at-report .facts {
  display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr));
  align-items: start;
}
.at-report dl {
  display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); margin-top: 8px;
  font-size: 14px;
}
.at-report dt, .at-report dd { padding: 6px 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.at-report dt { color: var(--quiet); font-weight: 400; padding-right: 12px; }
.at-report dd { text-align: right; }
.at-report dd ul { padding-left: 18px; text-align: left; }

.at-report summary { cursor: pointer; font-weight: 600; color: var(--accent); }
.at-report footer {
  color: var(--quiet); font-size: 12.5px; border-top: 1px solid var(--line); padding-top: 14px;
  max-width: none;
}

@media (max-width: 640px) {
  .at-report { padding: 22px 14px 20px; }
  .at-report h1 { font-size: 24px; }
  .at-report .verdict { padding: 15px 16px; }
  .at-report .verdict p:first-child { font-size: 17px; }
  .at-report .cards { grid-template-columns: 1fr 1fr; gap: 10px; }
  .at-report .cards .value { font-size: 28px; }
  .at-report .card { padding: 13px 14px; }
  .at-report .wide, .at-report .base br, .at-report .base small { display: none; }
  .at-report table { font-size: 13px; }
  .at-report th, .at-report td { padding: 8px 7px; }
  .at-report th:first-child, .at-report td:first-child { padding-left: 12px; }
  .at-report .findings li { flex-direction: column; gap: 6px; padding: 12px 14px; }
  .at-report .severity { flex: 0 0 auto; padding: 1px 12px; }
}
@media print {
  .at-report { --ground: #fff; padding: 0; font-size: 12px; }
  .at-report .card, .at-report figure, .at-report tr, .at-report .findings li { break-inside: avoid; }
}
"""

"""The page on which served models are tried in a browser: a form for each, files, and a microphone."""

import html
import json
from collections.abc import Mapping
from typing import Any

STYLE = """
:root{color-scheme:light dark}*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:46rem;padding:1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin:0 0 .5rem}
form{border:1px solid #8886;border-radius:.6rem;padding:1rem;margin:1rem 0}
label{display:block;margin:.6rem 0 .2rem;font-weight:600}small{font-weight:400;opacity:.75}
input,textarea{width:100%;padding:.5rem;font:inherit;border:1px solid #8888;border-radius:.4rem}
button{margin-top:.8rem;padding:.5rem 1rem;font:inherit;border-radius:.4rem;border:1px solid #0072b2;
background:#0072b2;color:#fff;cursor:pointer}button.quiet{background:transparent;color:inherit}
output{display:block;margin-top:.8rem;white-space:pre-wrap;overflow-wrap:anywhere;font-family:ui-monospace,monospace}
output.wrong::before{content:"Refused: "}
"""
SCRIPT = """
const content = file => new Promise((done, lost) => {
  const reader = new FileReader(); reader.onload = () => done(reader.result); reader.onerror = lost;
  reader.readAsDataURL(file); });
const wave = (samples, rate) => {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (place, word) => [...word].forEach((c, i) => view.setUint8(place + i, c.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true);
  view.setUint16(34, 16, true); text(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((s, i) => view.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, s)) * 32767, true));
  return new Blob([view], {type: "audio/wav"}); };
const record = async (seconds) => {
  const stream = await navigator.mediaDevices.getUserMedia({audio: true});
  const context = new AudioContext(), source = context.createMediaStreamSource(stream);
  const node = context.createScriptProcessor(4096, 1, 1), parts = [];
  node.onaudioprocess = event => parts.push(...event.inputBuffer.getChannelData(0));
  source.connect(node); node.connect(context.destination);
  await new Promise(done => setTimeout(done, 1000 * seconds));
  stream.getTracks().forEach(track => track.stop()); const rate = context.sampleRate; await context.close();
  return wave(parts, rate); };
document.querySelectorAll("form").forEach(form => {
  const said = form.querySelector("output"), fields = JSON.parse(form.dataset.fields), recorded = {};
  form.querySelectorAll("button[data-record]").forEach(button => button.onclick = async () => {
    button.textContent = "Listening …";
    try { recorded[button.dataset.record] = await record(1.5); button.textContent = "Recorded; record again"; }
    catch (error) { button.textContent = "No microphone (" + error.message + ")"; } });
  form.onsubmit = async event => {
    event.preventDefault(); said.className = ""; said.textContent = "…";
    const query = {}, headers = {"Content-Type": "application/json"};
    for (const [name, kind] of Object.entries(fields)) {
      const input = form.elements["field " + name];
      if (kind === "image" || kind === "sound") {
        const file = recorded[name] || input.files[0]; if (file) query[name] = await content(file); continue; }
      const text = input.value; if (text === "") continue;
      query[name] = kind === "number" ? Number(text) : kind === "vector" || text.startsWith("[") ?
        JSON.parse(text) : text; }
    const token = document.querySelector("#token");
    if (token && token.value) headers.Authorization = "Bearer " + token.value;
    try {
      const answer = await fetch(form.action, {method: "POST", headers, body: JSON.stringify(query)});
      const told = await answer.json(); said.className = answer.ok ? "" : "wrong";
      const shown = value => typeof value === "object" ? JSON.stringify(value) : value;
      const lines = Object.entries(told).filter(([name]) => name !== "problem");
      said.textContent = answer.ok ? lines.map(([name, value]) => name + ": " + shown(value)).join("\\n") : told.error;
    } catch (error) { said.className = "wrong"; said.textContent = error.message; } }; });
"""


def page(apps: Mapping[str, Any], token: bool) -> str:
    """The page as HTML.

    Args:
        apps: The served models by name.
        token: Whether requests must bring one.
    """
    asked = '<label for="token">Token</label><input id="token" type="password" autocomplete="off">' if token else ""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>apptemplates</title><style>{STYLE}</style><h1>Served models</h1>{asked}"
        f"{''.join(form(name, app) for name, app in apps.items())}"
        f'<p><a href="docs">The interface</a> · <a href="health">health</a> · <a href="metrics">metrics</a></p>'
        f"<script>{SCRIPT}</script>"
    )


def form(name: str, app: Any) -> str:
    """The form of one model."""
    kinds = {column: field.kind for column, field in app.query.items()}
    rows = "".join(row(name, column, field) for column, field in app.query.items())
    return (
        f'<form action="{html.escape(name)}/predict" data-fields="{html.escape(json.dumps(kinds))}">'
        f"<h2>{html.escape(name)} <small>{html.escape(app.name)}</small></h2>{rows}"
        '<button>Ask</button><output aria-live="polite"></output></form>'
    )


def row(model: str, column: str, field: Any) -> str:
    """The line of one column."""
    key, shown = html.escape(f"{model} {column}"), html.escape(column)
    meaning = html.escape(field.meaning + (f", {field.unit}" if field.unit else ""))
    optional = "" if field.required and not field.missing else " (may be left out)"
    more = ""
    if field.kind in ("image", "sound"):
        entry = f'type="file" accept="{field.kind if field.kind == "image" else "audio"}/*"'
        if field.kind == "sound":
            more = f'<button type="button" class="quiet" data-record="{shown}">Record a second and a half</button>'
    elif field.kind == "number":
        entry = 'type="number" step="any"'
    else:
        entry = 'type="text"'
    return (
        f'<label for="{key}">{shown} <small>{meaning}{optional}</small></label>'
        f'<input id="{key}" name="field {shown}" {entry}>{more}'
    )

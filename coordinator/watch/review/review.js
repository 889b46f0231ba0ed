"use strict";
/* The review page. Everything shown comes from the ledger by text nodes, never as HTML. */
const words = {
  de: { by: "Prüferin oder Prüfer", clips: "Clips", search: "Suchen", show: "Zeigen", open: "unentschieden", held: "von einer Prüfung angehalten", all: "alle",
        gates: "Prüfungen", gate: "Prüfung", value: "Wert", bound: "Grenze", verdict: "Urteil", at: "Bei", reason: "Grund", approve: "Freigeben", reject: "Ablehnen",
        again: "Neu rendern", undo: "Zurücknehmen", bulk: "Alle aufgeführten freigeben", left: "unentschieden von", who: "Wer entscheidet? Bitte den Namen eintragen.",
        why: "Eine Ablehnung braucht einen Grund.", none: "Nichts mehr zu entscheiden.", sure: "Clips freigeben?",
        keys: "Tasten: j nächster, k voriger, a freigeben, r ablehnen (fragt nach dem Grund), n neu rendern, u zurücknehmen, / suchen, Leertaste spielt ab.",
        prompt: "Prompt", row: "Zeile", title: "Sichtung" },
  en: { left: "undecided of", who: "Who decides? Please enter a name.", why: "A rejection needs a reason.", none: "Nothing left to decide.", sure: "clips: approve them?",
        prompt: "Prompt", row: "Row", title: "Review" } };
const language = (navigator.language || "en").startsWith("de") ? "de" : "en", say = (k) => words[language][k] || words.en[k] || k;
const $ = (id) => document.getElementById(id);
let clips = [], shown = [], current = null, secret = "", last = [], busy = false;

function translate() {
  document.documentElement.lang = language;
  document.querySelectorAll("[data-t]").forEach((e) => { if (words[language][e.dataset.t]) e.textContent = words[language][e.dataset.t]; });
}
async function ask(path, body) {
  const r = await fetch(path, body ? { method: "POST", headers: { "Content-Type": "application/json", "X-Review": secret }, body: JSON.stringify(body) } : {});
  if (!r.ok) throw new Error(await r.text());
  return r.json();
}
const isOpen = (c) => c.state === "held" || c.state === "in review";
async function load() {
  const all = await ask("/clips.json");
  secret = all.secret; clips = all.clips;
  $("campaign").textContent = say("title") + ": " + all.campaign;
  list();
}
function list() {
  const text = $("search").value.toLowerCase(), want = $("filter").value;
  shown = clips.filter((c) => (want === "all" || (want === "held" ? c.state === "held" : isOpen(c)) || (current && c.clip === current.clip)) && c.clip.toLowerCase().includes(text));
  $("progress").textContent = clips.filter(isOpen).length + " " + say("left") + " " + clips.length;
  draw();
}
/* Only what can be seen of ten thousand rows is made. */
function draw() {
  const ul = $("list"), row = 32, from = Math.max(0, Math.floor(ul.scrollTop / row) - 10), to = Math.min(shown.length, from + Math.ceil(ul.clientHeight / row) + 20);
  ul.replaceChildren();
  const pad = (n) => { const li = document.createElement("li"); li.style.height = n * row + "px"; li.style.padding = "0"; li.setAttribute("aria-hidden", "true"); ul.append(li); };
  if (from) pad(from);
  for (const c of shown.slice(from, to)) {
    const li = document.createElement("li"), name = document.createElement("span"), state = document.createElement("span");
    name.textContent = c.clip; state.textContent = c.state; if (c.state === "held") state.className = "held";
    li.append(name, state); li.onclick = () => open(c);
    if (current && c.clip === current.clip) li.setAttribute("aria-current", "true");
    ul.append(li);
  }
  if (to < shown.length) pad(shown.length - to);
}
async function open(c) {
  current = c; draw();
  const d = await ask("/clip.json?id=" + encodeURIComponent(c.clip)), id = encodeURIComponent(c.clip) + "&v=" + d.sha256.slice(0, 12);
  if (current !== c) return;
  $("clip").textContent = c.clip; $("state").textContent = d.state + (d.reason ? ": " + d.reason : "") + (d.reviewer ? " (" + d.reviewer + ")" : "");
  $("video").src = "/file?what=video&id=" + id; $("video").poster = "/file?what=thumbnail&id=" + id; $("sheet").src = "/file?what=sheet&id=" + id; $("sheet").alt = c.clip;
  const facts = $("facts"); facts.replaceChildren();
  const fact = (k, v) => { const dt = document.createElement("dt"), dd = document.createElement("dd"); dt.textContent = k; dd.textContent = v; facts.append(dt, dd); };
  fact(say("prompt"), d.prompt); d.columns.forEach((k, i) => fact(k, d.row[i] || ""));
  const body = $("gates"); body.replaceChildren();
  const order = { fail: 0, hold: 1, pass: 2 };
  Object.entries(d.gates).sort((a, b) => order[a[1].verdict] - order[b[1].verdict]).forEach(([name, g]) => {
    const tr = document.createElement("tr"); tr.className = g.verdict;
    [name, g.value === null ? "" : g.value.toPrecision(4), g.threshold === null ? "" : g.threshold, g.verdict, (g.at || []).slice(0, 4).map((s) => s.toFixed(2) + " s").join(", ")].forEach((t) => { const td = document.createElement("td"); td.textContent = t; tr.append(td); });
    body.append(tr);
  });
  $("reason").value = ""; $("message").textContent = "";
}
function step(by, openOnly) {
  if (!shown.length) return;
  let i = current ? shown.findIndex((c) => c.clip === current.clip) : -1;
  for (let n = 0; n < shown.length; n++) {
    i = (i + by + shown.length) % shown.length;
    if (!openOnly || isOpen(shown[i])) { const ul = $("list"); if (i * 32 < ul.scrollTop || (i + 2) * 32 > ul.scrollTop + ul.clientHeight) ul.scrollTop = Math.max(0, i * 32 - ul.clientHeight / 2); return open(shown[i]); }
  }
  $("message").textContent = say("none");
}
async function decide(verb, many) {
  const by = $("by").value.trim(), reason = $("reason").value.trim(), meant = many || (current ? [current] : []);
  if (busy || !meant.length) return;
  if (!by) { $("message").textContent = say("who"); $("by").focus(); return; }
  if (verb === "reject" && !reason) { $("message").textContent = say("why"); $("reason").focus(); return; }
  busy = true;
  try {
    localStorage.setItem("reviewer", by);
    const done = await ask("/decide", { verb, clips: meant.map((c) => c.clip), seen: meant.map((c) => c.state), by, reason });
    last = meant;
    for (const c of meant) { const now = done.states[c.clip]; if (now) c.state = now; }
    if (done.message) $("message").textContent = done.message;
    list();
    if (verb === "reopen") await open(meant[0]); else if (!done.message) step(1, true);
  } catch (e) { $("message").textContent = e.message; await load(); } finally { busy = false; }
}
addEventListener("DOMContentLoaded", async () => {
  translate(); $("by").value = localStorage.getItem("reviewer") || "";
  $("approve").onclick = () => decide("approve"); $("reject").onclick = () => decide("reject"); $("again").onclick = () => decide("rerender");
  $("undo").onclick = () => decide("reopen", last.length ? last : current ? [current] : []);
  $("bulk").onclick = () => { const open = shown.filter(isOpen); if (open.length && confirm(open.length + " " + say("sure"))) decide("approve", open); };
  $("search").oninput = list; $("filter").onchange = list; $("list").onscroll = draw; $("form").onsubmit = (e) => e.preventDefault();
  await load(); step(1, true); setInterval(() => { if (!busy) load().catch(() => {}); }, 5000);
});
addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.target.matches("input, select")) { if (e.key === "Escape") e.target.blur(); if (e.key === "Enter" && e.target.id === "reason") { e.target.blur(); decide("reject"); } return; }
  const keys = { j: () => step(1), k: () => step(-1), a: () => decide("approve"), r: () => decide("reject"), n: () => decide("rerender"), u: () => $("undo").click(),
                 "/": () => $("search").focus(), " ": () => { const v = $("video"); if (v.paused) v.play(); else v.pause(); } };
  if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
});

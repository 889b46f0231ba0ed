"use strict";
/* The review page. Everything shown comes from the ledger by text nodes, never as HTML. */
const words = {
  de: { by: "Prüferin oder Prüfer", language: "Sprache", skip: "Zur Entscheidung", clips: "Clips", search: "Filtern", searchHelp: "Wörter oder Bedingungen: stadt=Berlin, gate=flicker, state!=held", show: "Zeigen",
        open: "unentschieden", held: "von einer Prüfung angehalten", rejectedOnes: "abgelehnt", all: "alle", bulk: "Mit allen aufgeführten", go: "Los", compare: "Vergleichen mit", wipe: "Wo der eine endet und der andere beginnt",
        gates: "Prüfungen", nogates: "Diese Kampagne hat keine Prüfungen.", gate: "Prüfung", value: "Wert", bound: "Grenze", verdict: "Urteil", at: "Bei", history: "Was gesagt wurde", reason: "Grund", approve: "Freigeben", reject: "Ablehnen", again: "Neu rendern",
        undo: "Zurücknehmen", no: "Nein", yes: "Ja", title: "Sichtung", prompt: "Prompt", nothing: "nichts", earlier: "der früheren Fassung", pilot: "Pilot: ", sides: "links dieser Clip, rechts: ", sheet: "Kontaktbogen von ",
        progress: (n, all) => n + " von " + all + " unentschieden", left: (n) => ", " + n + " noch in Arbeit", found: (n) => n === 1 ? "1 Clip" : n + " Clips",
        lot: (l) => "Stichprobe: " + l.decided + " von " + l.sample + " entschieden (von " + l.clips + " Clips), " + l.bad + " schlecht, erlaubt " + l.accept + (l.verdict === "rejected" ? ": Los abgelehnt, alle Clips werden gesichtet" : l.verdict === "accepted" ? ": Los angenommen" : ""),
        who: "Wer entscheidet? Bitte den Namen eintragen.", why: "Eine Ablehnung braucht einen Grund.", none: "Nichts mehr zu entscheiden.", reloaded: "Bitte die Seite mit der ausgegebenen Adresse neu öffnen.",
        sure: { approve: (n) => n + " Clips freigeben?", reject: (n) => n + " Clips ablehnen?", rerender: (n) => n + " Clips neu rendern?" },
        done: { approve: (n) => n + " freigegeben", reject: (n) => n + " abgelehnt", rerender: (n) => n + " zum Neurendern", reopen: (n) => n + " zurückgenommen" },
        noted: (n) => n + " vermerkt: eine zweite Person muss noch zustimmen", other: (n) => n + " nicht geändert: jemand anderes war schneller", unchanged: (n) => n + " unverändert", pending: (n) => n + " an den laufenden Lauf übergeben", late: (n) => n + " nicht zurückgenommen: das neue Rendern hat schon begonnen, oder der Clip wurde seitdem abgesagt oder durch eine geänderte Kampagne neu geplant", readOnly: "Dieser Ordner kann nur gelesen werden: Entscheiden geht hier nicht.",
        state: { held: "angehalten", "in review": "in Sichtung", approved: "freigegeben", delivered: "ausgeliefert", rejected: "abgelehnt", planned: "geplant", waiting: "wartet", finishing: "wird fertiggestellt", revoked: "zurückgezogen" },
        said: { approve: "freigegeben", reject: "abgelehnt", rerender: "neu rendern", reopen: "zurückgenommen", again: "von einer Prüfung neu gerendert" }, verdicts: { pass: "gut", hold: "angehalten", fail: "durchgefallen" }, heldBy: "angehalten von: ",
        gateNames: { nan: "keine Zahlen", saturated: "übersteuertes Bild", black: "schwarzes Bild", frozen: "Standbild", flicker: "Flackern", jump: "Bildsprung", slip: "Objektsprung", order: "Bildreihenfolge", blur: "Unschärfe", blur_change: "Schärfeverlust", blockiness: "Blöcke",
                     banding: "Farbstufen", flash: "Blitze", red_flash: "rote Blitze", exposure: "Belichtung", length: "Länge", streams: "Spuren", loudness: "Lautheit", true_peak: "Spitzenpegel", clipping: "übersteuerter Ton",
                     silence: "Stille", av_offset: "Ton gegen Bild", subject: "anderes Motiv", permanence: "Verdecktes verändert", face: "Gesicht", duplicate: "wie in anderer Kampagne", alike: "wie ein anderer Clip",
                     label: "Kennzeichnung", legibility: "Lesbarkeit", qr: "QR-Code", watermark: "Wasserzeichen" },
        keys: "Tasten: j nächster, k voriger, a freigeben, r ablehnen (fragt nach dem Grund), n neu rendern, u zurücknehmen, c vergleichen, m Ton, / filtern, Leertaste spielt ab.",
        reasons: ["Flackern", "Hände oder Gesicht falsch", "falscher Text", "Ton passt nicht", "nicht wie bestellt"] },
  en: { title: "Review", prompt: "Prompt", nothing: "nothing", earlier: "the earlier version", pilot: "pilot: ", sides: "left this clip, right: ", sheet: "Contact sheet of ",
        progress: (n, all) => n + " of " + all + " undecided", left: (n) => ", " + n + " still being made", found: (n) => n === 1 ? "1 clip" : n + " clips",
        lot: (l) => "Sample: " + l.decided + " of " + l.sample + " decided (of " + l.clips + " clips), " + l.bad + " bad, " + l.accept + " allowed" + (l.verdict === "rejected" ? ": lot rejected, all clips are looked at" : l.verdict === "accepted" ? ": lot accepted" : ""),
        who: "Who decides? Please enter a name.", why: "A rejection needs a reason.", none: "Nothing left to decide.", reloaded: "Please open the page again by the address that was printed.",
        sure: { approve: (n) => "Approve " + n + " clips?", reject: (n) => "Reject " + n + " clips?", rerender: (n) => "Render " + n + " clips again?" },
        done: { approve: (n) => n + " approved", reject: (n) => n + " rejected", rerender: (n) => n + " to be rendered again", reopen: (n) => n + " taken back" },
        noted: (n) => n + " noted: a second person has to agree", other: (n) => n + " not changed: somebody else was faster", unchanged: (n) => n + " unchanged", pending: (n) => n + " handed to the run that goes on", late: (n) => n + " not taken back: the new render has begun, or the clip was cancelled, or planned anew by a changed campaign since", readOnly: "This folder can only be read: nothing can be decided here.",
        state: {}, said: { approve: "approved", reject: "rejected", rerender: "render again", reopen: "taken back", again: "rendered again by a gate" }, verdicts: {}, gateNames: {}, heldBy: "held by: ",
        reasons: ["flicker", "hands or face are wrong", "wrong text", "sound does not fit", "not as ordered"] } };
const $ = (id) => document.getElementById(id), row = 56, calm = matchMedia("(prefers-reduced-motion: reduce)");
let language = "en", clips = [], shown = [], current = null, secret = "", version = "", last = [], busy = false, found = null, asked = 0, typing = 0, readOnly = false;
const say = (k) => words[language][k] !== undefined ? words[language][k] : words.en[k] !== undefined ? words.en[k] : k;
const stateName = (s) => say("state")[s] || s;
const gateName = (g) => say("gateNames")[g] || g;

/* ---- language ---- */

const first = {}; /* the page's own words, English */
function translate(to) {
  language = words[to] ? to : "en";
  document.documentElement.lang = language;
  document.querySelectorAll("[data-t]").forEach((e) => {
    const k = e.dataset.t;
    if (first[k] === undefined) first[k] = e.textContent;
    e.textContent = language === "en" ? first[k] : words[language][k] || first[k];
  });
  $("language").value = language;
  $("reasons").replaceChildren(...say("reasons").map((t) => { const o = document.createElement("option"); o.value = t; return o; }));
}

/* ---- the server ---- */

async function ask(path, body) {
  const r = await fetch(path, body ? { method: "POST", headers: { "Content-Type": "application/json", "X-Review": secret }, body: JSON.stringify(body) } : {});
  if (r.status === 204) return null;
  const text = await r.text();
  if (!r.ok) throw new Error(r.status === 403 ? say("reloaded") : text.trim());
  return JSON.parse(text);
}
function tell(text, wrong) { $("message").textContent = text; $("message").classList.toggle("wrong", !!wrong); }
const isOpen = (c) => c.state === "held" || c.state === "in review";

/* "flicker city=Berlin name="Zoë M"" -> words, and conditions that the server looks at */
function readSearch() {
  const query = new URLSearchParams(), text = [];
  for (const t of $("search").value.match(/[^\s"=]+!?=(?:"[^"]*"|\S*)|\S+/g) || [])
    if (/^[^=]+=/.test(t)) query.append("where", t.replace(/="([^"]*)"$/, "=$1")); else text.push(t);
  if (text.length) query.set("text", text.join(" "));
  return query;
}
async function load(anew) {
  const n = ++asked, query = readSearch();
  if (!anew && version) query.set("seen", version);
  const all = await ask("/clips.json?" + query);
  if (!all || n !== asked) return;
  secret = all.secret; version = all.version;
  clips = all.clips.map(([id, state, hash, held]) => ({ id, state, hash, held }));
  document.title = $("campaign").textContent = say("title") + ": " + all.campaign;
  $("progress").textContent = say("progress")(all.open, all.made) + (all.left ? say("left")(all.left) : "");
  $("read-only").textContent = all.read_only ? say("readOnly") : ""; $("read-only").hidden = !all.read_only;
  for (const id of ["approve", "reject", "again", "undo", "bulk"]) $(id).disabled = all.read_only;
  readOnly = all.read_only;
  $("lot").textContent = all.lot ? say("lot")(all.lot) : "";
  list();
}

/* ---- the list: only what can be seen of ten thousand rows is made ---- */

function list() {
  const want = $("filter").value, wanted = { open: isOpen, held: (c) => c.state === "held", rejected: (c) => c.state === "rejected", all: () => true }[want];
  shown = clips.filter((c) => wanted(c) || (current && c.id === current.id));
  const now = current && shown.find((c) => c.id === current.id);
  if (now && now !== current) { const old = current; current = now; if (old.state !== now.state || old.hash !== now.hash) open(now, true).catch(fail); }
  $("found").textContent = say("found")(clips.filter(wanted).length);
  draw();
}
function option(c) {
  const o = document.createElement("div"), img = document.createElement("img"), text = document.createElement("span"), name = document.createElement("span"), what = document.createElement("span");
  o.setAttribute("role", "option"); o.id = "o-" + clips.indexOf(c); o.className = c.state.replace(" ", "-");
  img.loading = "lazy"; img.decoding = "async"; img.alt = ""; img.src = "/file?what=thumbnail&id=" + encodeURIComponent(c.id) + "&v=" + c.hash;
  name.className = "name"; name.textContent = c.id; what.className = "what"; what.textContent = stateName(c.state) + (c.held ? ": " + c.held.replace(/^held by /, "").split(", ").map(gateName).join(", ") : "");
  text.append(name, what); o.append(img, text); o.onclick = () => open(c).catch(fail);
  const selected = !!current && c.id === current.id;
  o.setAttribute("aria-selected", selected ? "true" : "false"); o.setAttribute("aria-setsize", shown.length); o.setAttribute("aria-posinset", shown.indexOf(c) + 1);
  if (selected) $("list").setAttribute("aria-activedescendant", o.id);
  return o;
}
function draw() {
  const ul = $("list"), from = Math.max(0, Math.floor(ul.scrollTop / row) - 5), to = Math.min(shown.length, from + Math.ceil(ul.clientHeight / row) + 10), parts = [];
  const pad = (n) => { const p = document.createElement("span"); p.className = "pad"; p.style.height = n * row + "px"; p.setAttribute("aria-hidden", "true"); return p; };
  ul.removeAttribute("aria-activedescendant");
  if (from) parts.push(pad(from));
  const kept = new Map([...ul.querySelectorAll("[role=option]")].map((o) => [o.dataset.key, o]));
  for (const c of shown.slice(from, to)) {
    const key = c.id + "\n" + c.state + "\n" + c.hash + "\n" + (current && c.id === current.id) + language + shown.length, old = kept.get(key), o = old || option(c);
    if (old) { o.id = "o-" + clips.indexOf(c); o.onclick = () => open(c).catch(fail); if (o.getAttribute("aria-selected") === "true") ul.setAttribute("aria-activedescendant", o.id); }
    o.dataset.key = key; parts.push(o);
  }
  if (to < shown.length) parts.push(pad(shown.length - to));
  ul.replaceChildren(...parts);
}

/* ---- one clip ---- */

function fact(k, v) { const dt = document.createElement("dt"), dd = document.createElement("dd"); dt.textContent = k; dd.textContent = v; $("facts").append(dt, dd); }
function showGates(d) {
  const order = { fail: 0, hold: 1, pass: 2 }, gates = Object.entries(d.gates).sort((a, b) => order[a[1].verdict] - order[b[1].verdict]), number = (v) => v === null || v === undefined ? "" : Number(v.toPrecision(4)).toString();
  $("gates").replaceChildren(...gates.map(([name, g]) => {
    const tr = document.createElement("tr"); tr.className = g.verdict;
    [gateName(name), number(g.value), number(g.threshold), say("verdicts")[g.verdict] || g.verdict, (g.at || []).slice(0, 4).map((s) => s.toFixed(2) + " s").join(", ")].forEach((t) => { const td = document.createElement("td"); td.textContent = t; tr.append(td); });
    tr.firstChild.title = name; /* what a filter calls it: gate=flicker */
    return tr;
  }));
  $("gatetable").hidden = !gates.length; $("nogates").hidden = !!gates.length;
}
function showHistory(d) {
  $("history-title").hidden = !d.decisions.length;
  $("history").replaceChildren(...d.decisions.map((x) => {
    const li = document.createElement("li");
    li.textContent = new Date(x.at * 1000).toLocaleString(language) + " " + x.by + ": " + (say("said")[x.verb] || x.verb) + (x.reason ? " – " + x.reason : "");
    return li;
  }));
}
async function open(c, quiet) {
  const before = found && found.clip;
  current = c; list0();
  const d = await ask("/clip.json?id=" + encodeURIComponent(c.id));
  if (!current || current.id !== c.id) return;
  const same = before === d.clip && found.version === d.version, id = encodeURIComponent(d.clip) + "&v=" + d.version;
  found = d;
  $("clip").textContent = d.clip;
  const byGates = d.state === "held" && d.held_by.length, because = byGates ? say("heldBy") + d.held_by.map(gateName).join(", ") : stateName(d.state) + (d.reason ? ": " + d.reason : "");
  $("state").textContent = because + (d.reviewer ? " (" + d.reviewer + ")" : "");
  $("state").className = d.state.replace(" ", "-");
  $("facts").replaceChildren(); fact(say("prompt"), d.prompt); d.columns.forEach((k, i) => fact(k, d.row[i] || ""));
  showGates(d); showHistory(d);
  if (!quiet) { $("reason").value = ""; }
  if (same) return;
  $("video").src = "/file?what=video&id=" + id; $("video").poster = "/file?what=thumbnail&id=" + id;
  $("sheet").src = "/file?what=sheet&id=" + id; $("sheet").alt = say("sheet") + d.clip; $("sheet").hidden = false;
  offer(d);
  if (!calm.matches) $("video").play().catch(() => {});
}
const list0 = () => draw();
function step(by, openOnly) {
  let i = current ? shown.findIndex((c) => c.id === current.id) : -1;
  if (i < 0 && by < 0) i = 0;
  for (let n = 0; n < shown.length; n++) {
    i = (i + by + shown.length) % shown.length;
    if (openOnly && !isOpen(shown[i])) continue;
    const ul = $("list");
    if (i * row < ul.scrollTop || (i + 1) * row > ul.scrollTop + ul.clientHeight) ul.scrollTop = Math.max(0, i * row - ul.clientHeight / 2);
    return open(shown[i]);
  }
  if (openOnly) tell(say("none"));
  return Promise.resolve();
}

/* ---- compare: the other clip lies over this one, from the edge on ---- */

function offer(d) {
  const add = (value, text) => { const o = document.createElement("option"); o.value = value; o.textContent = text; return o; }, all = [add("", say("nothing"))];
  if (d.earlier) all.push(add("earlier", say("earlier")));
  d.pilot.forEach((p) => all.push(add("pilot:" + p, say("pilot") + p)));
  $("compare").replaceChildren(...all); $("compare").disabled = all.length === 1;
  compare("");
}
function compare(what) {
  const other = $("other"), on = what !== "";
  $("compare").value = what;
  for (const id of ["other", "edge", "wipe-label", "sides"]) $(id).hidden = !on;
  if (!on) { other.removeAttribute("src"); other.load(); return; }
  other.src = what === "earlier" ? "/file?what=earlier&id=" + encodeURIComponent(found.clip) + "&v=" + found.version : "/file?what=video&id=" + encodeURIComponent(what.slice(6));
  $("sides").textContent = say("sides") + $("compare").selectedOptions[0].textContent;
  wipe(); follow();
}
function wipe() { $("screen").style.setProperty("--wipe", $("wipe").value + "%"); }
function follow() {
  const v = $("video"), o = $("other");
  if (o.hidden || !o.duration) return;
  const t = v.currentTime % o.duration;
  if (Math.abs(o.currentTime - t) > 0.08) o.currentTime = t;
  if (v.paused !== o.paused) { if (v.paused) o.pause(); else o.play().catch(() => {}); }
}

/* ---- decisions ---- */

function fail(e) { tell(e.message, true); }
async function decide(verb, many, why) {
  const by = $("by").value.trim(), meant = many || (current ? [current] : []), reason = why !== undefined ? why : $("reason").value.trim();
  if (busy || !meant.length) return;
  if (readOnly) { tell(say("readOnly"), true); return; }
  if (!by) { tell(say("who"), true); $("by").focus(); return; }
  if (verb === "reject" && !reason) { tell(say("why"), true); $("reason").focus(); return; }
  busy = true;
  try {
    localStorage.setItem("reviewer", by);
    const { answers } = await ask("/decide", { verb, clips: meant.map((c) => c.id), seen: meant.map((c) => c.gone ? "" : c.state + " " + c.hash), by, reason });
    const count = (o) => meant.filter((c) => answers[c.id] === o).length, parts = [];
    if (count("done")) parts.push(say("done")[verb](count("done")));
    if (count("noted")) parts.push(say("noted")(count("noted")));
    if (count("other")) parts.push(say("other")(count("other")));
    if (count("open")) parts.push(say("pending")(count("open")));
    const late = meant.filter((c) => c.gone && answers[c.id] === "nothing").length;
    if (late) parts.push(say("late")(late));
    if (count("nothing") > late) parts.push(say("unchanged")(count("nothing") - late));
    if (verb !== "reopen") last = meant.filter((c) => answers[c.id] === "done" || answers[c.id] === "noted"); else last = [];
    await load(true);
    const text = parts.join("; "), wrong = count("other") > 0;
    if (verb === "reopen") { const c = clips.find((x) => x.id === meant[0].id); if (c) await open(c); }
    else if (!many && !wrong) await step(1, true);
    else if (current) await open(current, true);
    if (!clips.some(isOpen)) parts.push(say("none"));
    tell(parts.join("; ") || text, wrong);
  } catch (e) { fail(e); await load(true).catch(() => {}); } finally { busy = false; }
}
function undo() {
  const meant = last.length ? last : current && !isOpen(current) ? [current] : [];
  const now = meant.map((c) => clips.find((x) => x.id === c.id) || { id: c.id, gone: true }); /* gone: it is to be rendered again */
  if (!now.length) { tell(say("unchanged")(0)); return; }
  decide("reopen", now);
}
function bulk() {
  const verb = $("bulk-verb").value, want = $("filter").value, meant = shown.filter((c) => verb === "approve" || verb === "reject" ? isOpen(c) || (want !== "open" && c.state === "rejected" && verb === "approve") : c.state !== "delivered");
  if (!meant.length) { tell(say("none")); return; }
  $("sure-text").textContent = say("sure")[verb](meant.length); $("sure-reason").value = ""; $("sure-reason-label").hidden = verb === "approve"; $("sure-reason").required = verb === "reject";
  $("sure").returnValue = "no"; $("sure").showModal();
  $("sure").onclose = () => { if ($("sure").returnValue === "yes") decide(verb, meant, $("sure-reason").value.trim()); };
}

/* ---- keys and the rest ---- */

const keys = { j: () => step(1).catch(fail), k: () => step(-1).catch(fail), a: () => decide("approve"), r: () => decide("reject"), n: () => decide("rerender"), u: undo,
               c: () => { const all = [...$("compare").options].map((o) => o.value); compare(all[(all.indexOf($("compare").value) + 1) % all.length]); }, m: () => { const v = $("video"); v.muted = !v.muted; },
               "/": () => { $("search").focus(); $("search").select(); }, " ": () => { const v = $("video"); if (v.paused) v.play().catch(() => {}); else v.pause(); } };
addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || $("sure").open) return;
  if (e.target.matches("input, select")) {
    if (e.key === "Escape" || (e.key === "Enter" && e.target.id !== "reason")) { e.target.blur(); $("list").focus(); }
    if (e.key === "Enter" && e.target.id === "reason") { e.preventDefault(); e.target.blur(); decide("reject"); }
    return;
  }
  if (e.key === " " && e.target.matches("button, a, video")) return;
  if (e.target.id === "list" && (e.key === "ArrowDown" || e.key === "ArrowUp")) { e.preventDefault(); step(e.key === "ArrowDown" ? 1 : -1).catch(fail); return; }
  if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
});
addEventListener("DOMContentLoaded", async () => {
  translate(localStorage.getItem("language") || (navigator.language || "en").slice(0, 2)); $("by").value = localStorage.getItem("reviewer") || "";
  $("approve").onclick = keys.a; $("reject").onclick = keys.r; $("again").onclick = keys.n; $("undo").onclick = undo; $("bulk").onclick = bulk;
  $("filter").onchange = () => { list(); if (!shown.includes(current)) step(1).catch(fail); };
  $("search").oninput = () => { clearTimeout(typing); typing = setTimeout(() => load(true).then(() => tell(""), fail), 150); };
  $("language").onchange = () => { localStorage.setItem("language", $("language").value); translate($("language").value); load(true).then(() => current && open(current, true)).catch(fail); };
  $("list").onscroll = draw; addEventListener("resize", draw); $("form").onsubmit = (e) => e.preventDefault();
  $("compare").onchange = () => compare($("compare").value); $("wipe").oninput = wipe; $("sheet").onerror = () => { $("sheet").hidden = true; };
  for (const e of ["play", "pause", "seeked", "timeupdate"]) $("video").addEventListener(e, follow);
  $("other").addEventListener("loadedmetadata", follow);
  try { await load(true); await step(1, true); if (!current) await step(1); } catch (e) { fail(e); }
  setInterval(() => { if (!busy && !document.hidden) load(false).catch(fail); }, 2000);
});

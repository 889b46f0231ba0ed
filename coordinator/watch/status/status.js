"use strict";
/* Brings the page up to date without blinking, and keeps its last state when nobody answers any more. */
const every_ms = 5000;

async function refresh() {
  try {
    const answer = await fetch("/", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html"), said = document.getElementById("said").textContent;
    const shown = new Map([...document.images].map((i) => [i.getAttribute("src"), i]));
    for (const i of next.images) { const old = shown.get(i.getAttribute("src")); if (old) i.replaceWith(old); }
    document.querySelector("main").replaceWith(next.querySelector("main"));
    document.getElementById("said").textContent = said;
    listen();
  } catch (e) {
    document.getElementById("gone").hidden = false;
    document.querySelectorAll("button").forEach((b) => { b.disabled = true; });
  }
}
async function steer(button) {
  if (button.dataset.sure && !confirm(button.dataset.sure)) return;
  const said = document.getElementById("said");
  try {
    const answer = await fetch("/steer", { method: "POST", headers: { "Content-Type": "application/json", "X-Page": document.body.dataset.secret },
                                           body: JSON.stringify({ campaign: Number(button.dataset.campaign), verb: button.dataset.verb }) });
    said.textContent = answer.ok ? (await answer.json()).message : await answer.text();
  } catch (e) { said.textContent = e.message; }
  setTimeout(refresh, 1500);
}
function listen() { document.querySelectorAll("button").forEach((b) => { b.onclick = () => steer(b); }); }
listen();
setInterval(refresh, every_ms);

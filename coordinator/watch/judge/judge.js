"use strict";
/* Sends what was decided, and shows what became of it. */
const form = document.getElementById("form"), said = document.getElementById("said");
const stop = (yes) => form.querySelectorAll("button, input").forEach((e) => { e.disabled = yes; });

async function decide(good) {
  const wish = { by: document.getElementById("by").value.trim(), heard: document.getElementById("heard").value.trim(), good };
  said.className = "bad";
  if (!wish.by) { said.textContent = "Who judges? Expected a name."; return; }
  if (good && !wish.heard) { said.textContent = "Expected the code that you hear in the recording."; return; }
  stop(true);
  try {
    const answer = await fetch("/decide", { method: "POST", headers: { "Content-Type": "application/json", "X-Page": document.body.dataset.secret }, body: JSON.stringify(wish) });
    if (!answer.ok) throw new Error(await answer.text());
    const { message, verified, over } = await answer.json();
    said.className = verified ? "" : "bad";
    said.textContent = message + (over ? " This page can be closed." : "");
    stop(over);
  } catch (e) { said.textContent = e.message; stop(false); }
}
form.addEventListener("submit", (e) => { e.preventDefault(); decide(true); });
document.getElementById("reject").addEventListener("click", () => decide(false));
document.getElementById("recording").addEventListener("error", () => {
  said.className = "bad";
  said.textContent = "This browser cannot play the recording: play the file in a player on this machine, and judge it here.";
});

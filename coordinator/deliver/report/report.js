"use strict";
/* Hides what does not hold every word. Where scripts are off the field stays hidden, and a contact sheet is a link to its clip. */
const field = document.getElementById("search");
if (field) field.hidden = false;
if (field) field.oninput = () => {
  const words = field.value.toLowerCase().split(/\s+/);
  for (const e of document.querySelectorAll(".card, #all tr:not(:first-child)")) {
    const text = e.textContent.toLowerCase();
    e.style.display = words.every((w) => text.includes(w)) ? "" : "none";
  }
};
/* A contact sheet becomes its clip, where it stands. */
for (const link of document.querySelectorAll("a.play")) {
  link.onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || !link.pathname.endsWith(".mp4")) return;
    event.preventDefault();
    const video = document.createElement("video");
    video.controls = true;
    video.src = link.href;
    link.replaceWith(video);
    video.play().catch(() => {}); // where the browser does not allow that, the button plays
  };
}

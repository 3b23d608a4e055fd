// What every page has: times in the reader's zone, shortcuts, dialogs, words from the server.

const language = document.documentElement.lang;
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockSeconds = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(language, { month: "short", day: "numeric" });
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });

const told = { at: Date.parse(document.documentElement.dataset.now), speed: Number(document.documentElement.dataset.speed), here: performance.now() };

/** Strike's time: the reader's own clock may be wrong, and a demo's runs faster. */
export const now = () => new Date(told.at + (performance.now() - told.here) * told.speed);

/** The words for a moment: "ago" counts, "time" has the day only if it is another one. */
export function words(at, kind, from = now()) {
  if (kind === "ago") return ago(at, from);
  const isToday = at.toDateString() === from.toDateString();
  const time = (kind === "second" ? clockSeconds : clock).format(at);
  return isToday ? time : `${day.format(at)} ${time}`;
}

function ago(at, from) {
  const seconds = Math.round((at - from) / 1000);
  const size = Math.abs(seconds);
  if (size < 60) return relative.format(seconds, "second");
  if (size < 3600) return relative.format(Math.trunc(seconds / 60), "minute");
  if (size < 86400) return relative.format(Math.trunc(seconds / 3600), "hour");
  return relative.format(Math.trunc(seconds / 86400), "day");
}

/** Show the times below `root` in the reader's zone; UTC stays as what hovering tells. */
export function showTimes(root = document) {
  const from = now();
  for (const one of root.querySelectorAll("time[data-show]")) {
    const text = words(new Date(one.dateTime), one.dataset.show, from);
    if (one.textContent !== text) one.textContent = text;
  }
}

/** Say something to everybody, screen readers included; it goes by itself. */
export function say(text, kind = "info") {
  const line = document.createElement("p");
  line.className = kind;
  line.textContent = text;
  document.getElementById("said").append(line);
  setTimeout(() => line.remove(), 8000);
}

/** Tell whether the server can be reached. */
export function showLink(isUp) {
  const line = document.getElementById("link-state");
  if (line.hidden !== isUp) line.hidden = isUp;
}

const isTyping = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;

let first = "";
function onKey(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    const form = event.target.closest("form[data-ctrl-enter]") ?? document.querySelector("form[data-ctrl-enter]");
    if (form) { event.preventDefault(); form.requestSubmit(); }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const pressed = first + event.key;
  first = "";
  if (event.key === "?") return document.getElementById("shortcuts").showModal();
  if (event.key === "g") { first = "g"; return; }
  const go = document.querySelector(`[data-key="${CSS.escape(pressed)}"]`);
  if (go) { event.preventDefault(); go.matches("input, select, textarea") ? go.focus() : go.click(); return; }
  if (pressed === "gb") location.assign(document.querySelector(".brand").href);
  if (pressed === "j" || pressed === "k") step(pressed === "j" ? 1 : -1);
}

function step(by) {
  const rows = [...document.querySelectorAll("[data-row] a[data-open]")];
  const here = rows.indexOf(document.activeElement);
  rows[Math.min(Math.max(here + by, 0), rows.length - 1)]?.focus();
}

document.addEventListener("keydown", onKey);
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens).showModal();
  for (const one of document.querySelectorAll("header details[open]")) {
    if (!one.contains(event.target)) one.open = false;
  }
});
document.addEventListener("htmx:afterSwap", (event) => showTimes(event.target));
document.addEventListener("htmx:sendError", () => showLink(false));
document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.xhr?.status) showLink(true); });
window.addEventListener("offline", () => showLink(false));
window.addEventListener("online", () => showLink(true));
for (const one of document.querySelectorAll("input[data-zone]")) one.value = Intl.DateTimeFormat().resolvedOptions().timeZone;
showTimes();
setInterval(() => { if (!document.hidden) showTimes(); }, 5000);

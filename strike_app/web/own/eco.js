// The ECO's page: parts come anew when something changed, seconds count down, time goes back.
import { now, showTimes, words } from "./console.js";
import { lookAt, openMap, placeLayer, regionLayer } from "./map.js";
import { whenChanged } from "./live.js";
/* global htmx */

const box = document.getElementById("eco");
const parts = () => document.getElementById("eco-parts");
const then = document.getElementById("then");
const thenWords = document.getElementById("then-words");
// A script's moment has milliseconds only: the next one, or the first would be before the creation.
const created = new Date(Date.parse(then.dataset.from) + 1);
const nowWord = thenWords.textContent;
let past = "";
let sending = 0;

// The place ------------------------------------------------------------------------------------

let drawn = "";
let layer = null;
const map = await openMap(document.getElementById("map"));
function showPlace() {
  const key = parts().dataset.place + parts().dataset.tone;
  if (key === drawn) return;
  const isFirst = drawn === "";
  drawn = key;
  layer?.remove();
  layer = placeLayer(JSON.parse(parts().dataset.place), parts().dataset.tone).addTo(map);
  if (isFirst) lookAt(map, layer.getBounds());
}

// The region of the list that is rung ----------------------------------------------------------

let list = "";
let region = null;

/** Fetched once for each list: it can be large, and does not change with a call. */
async function showRegion() {
  if (parts().dataset.list !== list) {
    list = parts().dataset.list;
    region?.remove();
    region = null;
    const answer = list ? await fetch(`${box.dataset.address}/region`) : null;
    const geometry = answer?.ok ? await answer.json() : null;
    if (geometry) {
      region = regionLayer(geometry, { interactive: false }).addTo(map).bringToBack();
      lookAt(map, region.getBounds().extend(layer.getBounds()));
    }
  }
  for (const line of document.querySelectorAll("[data-region-told]")) line.hidden = region === null;
}

// The parts ------------------------------------------------------------------------------------

/** What somebody is typing must outlive a change that arrives meanwhile. */
function kept() {
  const note = document.getElementById("note");
  const active = document.activeElement?.id ?? "";
  return { note: note?.value ?? "", active, at: note?.selectionStart ?? 0 };
}

function restore(before) {
  const note = document.getElementById("note");
  if (note && before.note && !note.value) note.value = before.note;
  if (before.active) document.getElementById(before.active)?.focus({ preventScroll: true });
  if (before.active === "note" && note) note.setSelectionRange(before.at, before.at);
}

/** While somebody decides in a dialog, or a command is under way, nothing is taken from below. */
const isBusy = () => sending > 0 || document.querySelector("#eco-parts dialog[open]") !== null;

async function look() {
  if (isBusy()) return;
  const address = box.dataset.address + (past ? `?at=${encodeURIComponent(past)}` : "");
  const answer = await fetch(address, { headers: { "HX-Request": "true" } });
  if (!answer.ok) throw new Error(String(answer.status));
  const text = await answer.text();
  if (isBusy()) return;
  const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("eco-parts");
  const again = kept();
  parts().replaceWith(fresh);
  htmx.process(fresh);
  restore(again);
  shown();
}

function shown() {
  showTimes(parts());
  showPlace();
  showRegion();
  tick();
}

const changed = whenChanged(box.dataset.live, look);
document.addEventListener("htmx:afterSwap", shown);
document.addEventListener("htmx:beforeRequest", () => { sending += 1; });
document.addEventListener("htmx:afterRequest", () => { sending -= 1; if (!sending) changed(); });
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status === 422) { event.detail.shouldSwap = true; event.detail.isError = false; }
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-closes]")) { event.target.closest("dialog").close(); changed(); }
});

// Seconds --------------------------------------------------------------------------------------

function tick() {
  for (const one of document.querySelectorAll("[data-deadline]")) {
    const left = Math.max(0, Math.ceil((new Date(one.dataset.deadline) - now()) / 1000));
    one.textContent = `${left} s`;
  }
}
setInterval(tick, 500);

// The past -------------------------------------------------------------------------------------

function momentOf(value) {
  const part = Number(value) / Number(then.max);
  return part >= 1 ? null : new Date(created.getTime() + part * (now() - created));
}

let waiting = 0;
function travel() {
  const moment = momentOf(then.value);
  past = moment ? moment.toISOString() : "";
  thenWords.textContent = moment ? words(moment, "second") : nowWord;
  then.setAttribute("aria-valuetext", thenWords.textContent);
  clearTimeout(waiting);
  waiting = setTimeout(changed, 120);
}
then.addEventListener("input", travel);
document.getElementById("then-now").addEventListener("click", () => { then.value = then.max; travel(); });
const asked = new URLSearchParams(location.search).get("at");
if (asked) {
  past = asked;
  then.value = String(Math.floor((1000 * (new Date(asked) - created)) / (now() - created)));
  thenWords.textContent = words(new Date(asked), "second");
}
shown();

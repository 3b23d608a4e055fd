// The board: rows and counts come anew when something changed, without losing scroll or focus.
import { say, showTimes } from "./console.js";
import { lookAt, openMap, placeLayer } from "./map.js";
import { whenChanged } from "./live.js";
/* global L, htmx */

const LOOK_EVERY = 1000;
const box = document.getElementById("board");

// Rows -----------------------------------------------------------------------------------------

/** Rows by id: those that changed are put in anew, the others only moved if they have to be. */
function merge(fresh) {
  const body = document.querySelector("#ecos tbody");
  const wanted = [...fresh.querySelectorAll("#ecos tbody > tr[data-row]")];
  const known = new Map([...body.querySelectorAll(":scope > tr[data-row]")].map((row) => [row.id, row]));
  const focused = document.activeElement?.closest?.("tr[data-row]")?.id;
  let at = body.firstElementChild;
  for (const row of wanted) {
    const before = known.get(row.id);
    known.delete(row.id);
    const put = before && before.dataset.position === row.dataset.position ? before : row;
    if (put !== before && before === at) at = at.nextElementSibling;
    if (put !== before) { before?.remove(); showTimes(put); if (before) flash(put); }
    if (put === at) at = at.nextElementSibling;
    else body.insertBefore(put, at);
  }
  const limit = wanted.length;
  for (const row of known.values()) if (wanted.length < PAGE || isAbove(row, limit)) row.remove();
  const more = fresh.querySelector("#ecos tbody > tr.more");
  body.querySelector(":scope > tr.more")?.remove();
  if (more && body.querySelectorAll(":scope > tr[data-row]").length <= limit) { body.append(more); htmx.process(more); }
  if (focused && document.activeElement?.closest?.("tr")?.id !== focused) document.querySelector(`#${focused} a`)?.focus({ preventScroll: true });
}

const PAGE = 100;
const isAbove = (row, limit) => [...row.parentElement.children].indexOf(row) < limit;

function flash(row) {
  row.classList.add("fresh");
  setTimeout(() => row.classList.remove("fresh"), 2000);
}

function replace(fresh, id) {
  const old = document.getElementById(id);
  const put = fresh.querySelector(`#${id}`);
  if (old && put) { if (old.outerHTML !== put.outerHTML) old.replaceWith(put); }
  else if (old) old.remove();
  else if (put) document.getElementById("ecos").before(put);
}

let last = 0;
async function look() {
  const pause = last + LOOK_EVERY - performance.now();
  if (pause > 0) await new Promise((done) => setTimeout(done, pause));
  last = performance.now();
  const answer = await fetch(location.href, { headers: { "HX-Request": "true" } });
  if (!answer.ok) throw new Error(String(answer.status));
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focusedChip = document.activeElement?.closest?.("#counts a")?.getAttribute("href");
  replace(fresh, "counts");
  if (focusedChip) document.querySelector(`#counts a[href="${CSS.escape(focusedChip)}"]`)?.focus({ preventScroll: true });
  replace(fresh, "nothing");
  replace(fresh, "total");
  document.getElementById("ecos").hidden = fresh.querySelector("#ecos").hidden;
  merge(fresh);
  alarms();
  await drawPoints();
}

// Alarms ---------------------------------------------------------------------------------------

const sound = document.getElementById("sound");
const title = document.title;
let heard = Number(document.getElementById("counts").dataset.alarms);
let audio = null;

function soundIsOn() { return localStorage.getItem("strike-sound") === "on"; }

function showSound() {
  sound.setAttribute("aria-pressed", String(soundIsOn()));
  sound.textContent = soundIsOn() ? sound.dataset.on : sound.dataset.off;
}

sound.addEventListener("click", () => {
  localStorage.setItem("strike-sound", soundIsOn() ? "off" : "on");
  showSound();
  if (soundIsOn()) beep();
});

/** Two tones, made here: no file, and nothing that a policy has to allow. */
function beep() {
  audio ??= new AudioContext();
  for (const [start, pitch] of [[0, 880], [0.22, 660]]) {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.2, audio.currentTime + start);
    volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + start + 0.2);
    tone.connect(volume).connect(audio.destination);
    tone.start(audio.currentTime + start);
    tone.stop(audio.currentTime + start + 0.2);
  }
}

function alarms() {
  const count = Number(document.getElementById("counts").dataset.alarms);
  document.title = count ? `(${count}) ${box.dataset.alarm} · ${title}` : title;
  if (count > heard) {
    document.getElementById("alarm").textContent = `${box.dataset.alarm}: ${count}`;
    say(`${box.dataset.alarm}: ${count}`, "bad");
    if (soundIsOn()) beep();
  }
  heard = count;
}

// The map --------------------------------------------------------------------------------------

const element = document.getElementById("map");
let map = null;
let places = null;
async function drawPoints() {
  if (!map) return;
  const answer = await fetch(box.dataset.points);
  if (!answer.ok) return;
  const { points } = await answer.json();
  const fresh = L.featureGroup();
  for (const one of points) {
    const layer = placeLayer(one.place, one.tone, { radius: one.tone === "bad" ? 10 : 7 });
    const words = document.createElement("span"); // A tooltip's string would be HTML.
    words.textContent = one.words;
    layer.bindTooltip(words);
    layer.on("click", () => location.assign(`${box.dataset.eco}/${one.id}`));
    fresh.addLayer(layer);
  }
  const isFirst = places === null;
  places?.remove();
  places = fresh.addTo(map);
  if (isFirst && points.length) lookAt(map, places, 9);
}
if (element) {
  map = await openMap(element);
  await drawPoints();
}

whenChanged(box.dataset.live, look);
document.querySelectorAll("#filter select").forEach((one) => one.addEventListener("change", () => one.form.requestSubmit()));
showSound();
alarms();

// The board: what has changed comes anew, and nothing else, without losing scroll or focus.
import { say, showTimes } from "./console.js";
import { Dots, lookAt, openMap, placeLayer } from "./map.js";
import { whenChanged } from "./live.js";
/* global L, htmx */

const LOOK_EVERY = 1000;
/** As the server has them: rows of a page, ECOs asked for at once, characters that tell ids apart. */
const PAGE = 100, MOST_CHANGED = 100, MARK = 8;
const box = document.getElementById("board");

// Rows -----------------------------------------------------------------------------------------

const rowsOf = (root) => [...root.querySelectorAll("#ecos tbody > tr[data-row]")];
const idOf = (row) => row.id.slice("eco-".length);

/**
 * Put in the rows that came, and bring all into `order`: the ids of the first page, the rest behind.
 * `gone`: ids of rows to take away. Returns whether all of `order` is here.
 */
function merge(came, order, gone) {
  const body = document.querySelector("#ecos tbody");
  const known = new Map(rowsOf(document).map((row) => [idOf(row), row]));
  const focused = document.activeElement?.closest?.("tr[data-row]");
  const isOnePage = known.size <= PAGE;
  const changed = new Set();
  for (const row of came) {
    showTimes(row);
    const before = known.get(idOf(row));
    if (before) { if (patch(before, row)) flash(before); }
    else known.set(idOf(row), row);
    changed.add(known.get(idOf(row)));
  }
  const wanted = new Set(order);
  const after = new Set(gone);
  for (const [id, row] of known) if (after.has(id) || (isOnePage && !wanted.has(id))) row.remove();
  let at = body.firstElementChild;
  for (const id of order) {
    const row = known.get(id);
    if (!row) continue;
    // Only what has changed can stand elsewhere than before: its turn comes, or has been.
    while (at && at !== row && changed.has(at)) at = at.nextElementSibling;
    if (at === row) at = at.nextElementSibling;
    else body.insertBefore(row, at);
  }
  if (focused?.isConnected && !focused.contains(document.activeElement)) focused.querySelector("a").focus({ preventScroll: true });
  return order.every((id) => known.has(id));
}

/** Change only those cells of a row that differ, so that focus and selection stay. */
function patch(row, fresh) {
  row.dataset.position = fresh.dataset.position;
  row.classList.toggle("alarm", fresh.classList.contains("alarm"));
  const olds = [...row.cells];
  const differs = [...fresh.cells].filter((cell, at) => !cell.isEqualNode(olds[at]));
  for (const cell of differs) olds[cell.cellIndex].replaceChildren(...cell.childNodes);
  return differs.length > 0;
}

function flash(row) {
  row.classList.add("fresh");
  setTimeout(() => row.classList.remove("fresh"), 2000);
}

function replace(fresh, id) {
  const old = document.getElementById(id);
  const put = fresh.querySelector(`#${id}`);
  if (old && put) { if (!old.isEqualNode(put)) old.replaceWith(put); }
  else if (old) old.remove();
  else if (put) document.getElementById("ecos").before(put);
}

function more(fresh) {
  const body = document.querySelector("#ecos tbody");
  const put = fresh.querySelector("tr.more");
  if (rowsOf(document).length > PAGE) return;
  body.querySelector(":scope > tr.more")?.remove();
  if (put) { body.append(put); htmx.process(put); }
}

/** The row with the focus, or else the first in sight, stays where it is, whatever comes or goes. */
function held(change, moving) {
  const top = document.querySelector("header.top").getBoundingClientRect().bottom;
  const isStill = (row) => {
    const { top: from, bottom: to } = row.getBoundingClientRect();
    return from >= Math.max(top, 0) && to <= innerHeight && !moving.has(idOf(row));
  };
  const focused = document.activeElement?.closest?.("tr[data-row]");
  const row = scrollY > 0 ? [...(focused ? [focused] : []), ...rowsOf(document)].find(isStill) : null;
  const before = row?.getBoundingClientRect().top;
  change();
  if (row?.isConnected) scrollBy({ top: row.getBoundingClientRect().top - before, behavior: "instant" });
}

let last = 0;
async function look(ids) {
  const pause = last + LOOK_EVERY - performance.now();
  if (pause > 0) await new Promise((done) => setTimeout(done, pause));
  last = performance.now();
  if (!ids) { show(await everything()); await drawPoints(); return; }
  let isAllHere = true;
  for (let from = 0; from < ids.length; from += MOST_CHANGED) {
    const told = await changes(ids.slice(from, from + MOST_CHANGED));
    isAllHere = show(told, new Set(ids)) && isAllHere;
    drawChanged(told.points, told.gone);
  }
  if (!isAllHere) await look(null);
}

/** Bring the page to what the server told; returns whether it had all rows that it was not sent. */
function show(told, moving = new Set()) {
  const fresh = new DOMParser().parseFromString(told.parts, "text/html");
  const came = rowsOf(fresh);
  const order = told.order ?? came.map(idOf);
  const gone = told.gone ?? rowsOf(document).map(idOf).filter((id) => !order.includes(id));
  const focusedChip = document.activeElement?.closest?.("#counts a")?.getAttribute("href");
  let isAllHere = true;
  held(() => {
    replace(fresh, "counts");
    replace(fresh, "nothing");
    replace(fresh, "total");
    document.getElementById("ecos").hidden = fresh.querySelector("#ecos").hidden;
    isAllHere = merge(came, order, gone);
    more(fresh);
  }, moving);
  if (focusedChip) document.querySelector(`#counts a[href="${CSS.escape(focusedChip)}"]`)?.focus({ preventScroll: true });
  alarms();
  return isAllHere;
}

async function answered(address, headers = {}) {
  const answer = await fetch(address, { headers });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer;
}

/** All of the first page, as htmx asks for it. */
async function everything() {
  const answer = await answered(location.href, { "HX-Request": "true" });
  return { parts: await answer.text() };
}

/** What became of some ECOs; the server is told what is here, and sends only what is not. */
async function changes(ids) {
  const here = rowsOf(document).map(idOf);
  const isHere = new Set(here);
  const address = new URL(box.dataset.changes + location.search, location.href);
  address.searchParams.set("shown", ids.filter((id) => isHere.has(id)).join("."));
  address.searchParams.set("other", ids.filter((id) => !isHere.has(id)).join("."));
  address.searchParams.set("has", here.slice(0, PAGE).map((id) => id.slice(0, MARK)).join("."));
  return (await answered(address)).json();
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

/** So many places are drawn before the browser may do something else. */
const AT_ONCE = 200;

const element = document.getElementById("map");
const drawn = new Map();
let map = null;
let places = null;
let renderer = null;

async function drawPoints(isFirst = false) {
  if (!map) return;
  const { points } = await (await answered(box.dataset.points)).json();
  if (isFirst && points.length) lookAt(map, boundsOf(points), 9);
  const wanted = new Set(points.map((one) => one.id));
  for (const id of [...drawn.keys()]) if (!wanted.has(id)) undraw(id);
  for (let from = 0; from < points.length; from += AT_ONCE) {
    points.slice(from, from + AT_ONCE).forEach(draw);
    await new Promise((done) => setTimeout(done));
  }
}

const boundsOf = (points) => L.latLngBounds(points.flatMap(({ place }) => {
  const pairs = place.type === "Point" ? [place.coordinates] : place.coordinates;
  return L.GeoJSON.coordsToLatLngs(pairs);
}));

function drawChanged(points, gone) {
  if (!map) return;
  gone.forEach(undraw);
  points.forEach(draw);
}

function draw(one) {
  const key = JSON.stringify(one);
  const before = drawn.get(one.id);
  if (before?.key === key) return;
  undraw(one.id);
  const layer = placeLayer(one.place, one.tone, { radius: one.tone === "bad" ? 10 : 7, renderer });
  layer.eachLayer((part) => { part.told = one; });
  drawn.set(one.id, { key, layer });
  places.addLayer(layer);
}

function undraw(id) {
  const before = drawn.get(id);
  if (before) places.removeLayer(before.layer);
  drawn.delete(id);
}

/** The words of a place; as text, since a tooltip's string would be HTML. */
function label(layer) {
  const words = document.createElement("span");
  words.textContent = layer.told.words;
  return words;
}

if (element) {
  map = await openMap(element);
  renderer = Dots();
  places = L.featureGroup().addTo(map);
  // One tooltip and one listener for all places: two thousand of each take long to make.
  places.bindTooltip(label);
  places.on("click", (event) => location.assign(`${box.dataset.eco}/${event.propagatedFrom.told.id}`));
  await drawPoints(true);
}

whenChanged(box.dataset.live, look);
document.querySelectorAll("#filter select").forEach((one) => one.addEventListener("change", () => one.form.requestSubmit()));
showSound();
alarms();

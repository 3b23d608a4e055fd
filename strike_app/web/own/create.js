// A new callout: click on the map, type what is broken, Ctrl-Enter. The form works without this.
import { combobox } from "./combobox.js";
import { fragment, sender } from "./sending.js";
import { openMap, placeLayer, lookAt } from "./map.js";
/* global L */

const form = document.getElementById("new");
const field = (name) => form.elements.namedItem(name);
const words = form.dataset;
const place = field("place");
const exact = document.getElementById("place-exact");
const contractors = document.getElementById("contractors");
const LARGEST = 900_000;
const hasMouse = matchMedia("(pointer: fine)").matches;

// The draft: what was typed stays over a reload, until the callout is created. -------------------

const KEY = `strike.new.${words.tenant}`;
const KEPT = ["place", "location", "located", "previewed", "jobType", "priority", "description", "ticket", "affectedCustomers", "clientReference"];

function keep(more = {}) {
  const values = Object.fromEntries(KEPT.map((name) => [name, field(name).value]));
  sessionStorage.setItem(KEY, JSON.stringify({ ...values, byHand, ...more }));
}

function kept() {
  try { return JSON.parse(sessionStorage.getItem(KEY)); } catch { return null; }
}

// The place. ---------------------------------------------------------------------------------

let map = null, shown = null, preview = Promise.resolve(), asked = 0;
let byHand = ""; // The contractor that a person chose: it stays when the place is moved.
let draws = null;

const chosen = () => form.querySelector('input[name="ospId"]:checked')?.value ?? "";
const geometry = () => (field("location").value && field("located").value === place.value ? JSON.parse(field("location").value) : null);

function setPlace(found, text, { note = "", look = true } = {}) {
  place.value = text;
  field("location").value = found ? JSON.stringify(found) : "";
  field("located").value = place.value;
  exact.textContent = note;
  wrong("place", "");
  draw(look);
  preview = showContractors();
  keep();
}

function draw(look) {
  document.getElementById("undraw").hidden = !geometry();
  if (!map) return;
  shown?.remove();
  shown = geometry() ? placeLayer(geometry()).addTo(map) : null;
  if (shown && look) lookAt(map, shown.getBounds(), 9);
}

const written = (at) => `${at.lat.toFixed(6)}, ${at.lng.toFixed(6)}`;

function setPoint(at) {
  const there = at.wrap();
  setPlace({ type: "Point", coordinates: [Number(there.lng.toFixed(6)), Number(there.lat.toFixed(6))] }, written(there), { look: false });
  if (hasMouse && !field("description").value) field("description").focus({ preventScroll: true });
}

/** `keep`: what was said at the contractor stays, because it is why they are shown again. */
async function showContractors({ keep: isKept = false } = {}) {
  const mine = ++asked;
  const location = field("location").value;
  if (!location) { contractors.replaceChildren(); return; }
  let answer;
  try {
    answer = await fragment(`${form.action}/contractors`, { location, ospId: byHand });
  } catch {
    if (mine === asked) setTimeout(() => { if (mine === asked) preview = showContractors({ keep: isKept }); }, 2000);
    return;
  }
  if (mine !== asked) return;
  contractors.replaceChildren(...answer);
  const refused = contractors.querySelector('[data-at="place"]');
  if (refused) { wrong("place", refused.textContent); refused.remove(); }
  field("previewed").value = contractors.querySelector("[data-previewed]") ? location : "";
  if (!isKept) wrong("ospId", "");
  keep();
}

contractors.addEventListener("change", () => { byHand = chosen(); keep(); });

// Typing, pasting, files. ------------------------------------------------------------------------

const list = combobox(place, document.getElementById("places"), {
  ask: (text) => fragment(`${form.action}/places`, { text, near: near() }),
  choose: take,
  edited: () => {
    if (field("located").value === place.value) return;
    field("location").value = "";
    exact.textContent = "";
    draw(false);
    preview = showContractors();
  },
  refuse: (text) => wrong("place", text),
});

/** What is in the middle of the map, if it shows a part of the country only. */
function near() {
  if (!map || map.getZoom() < 6) return "";
  const at = map.getCenter().wrap();
  return JSON.stringify({ type: "Point", coordinates: [at.lng, at.lat] });
}

/** `isChosen`: by a person, who goes on to say what is broken; else it was clear from what is being typed. */
function take(option, isChosen) {
  const found = JSON.parse(option.dataset.location);
  const kind = option.dataset.kind;
  const isTown = kind === "TOWN" || kind === "COUNTY";
  const text = kind === "COORDINATES" && !isChosen ? place.value : option.dataset.label;
  setPlace(found, text, { note: isTown ? words.moved : option.dataset.detail });
  if (isChosen && !field("description").value) field("description").focus({ preventScroll: !hasMouse });
}

async function readFile(file) {
  if (!file) return;
  if (file.size > LARGEST) { wrong("place", words.large); return; }
  field("location").value = "";
  place.value = file.name;
  wrong("place", "");
  await list.search(await file.text());
}

const chooser = document.getElementById("file");
chooser.addEventListener("change", async () => { await readFile(chooser.files[0]); chooser.value = ""; });
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) readFile(file); else list.search(event.dataTransfer.getData("text"));
});

// The map. ---------------------------------------------------------------------------------------

async function startMap() {
  const box = document.getElementById("map");
  map = await openMap(box);
  map.on("click", (event) => { if (!draws) setPoint(event.latlng); });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && event.target === box) { event.preventDefault(); setPoint(map.getCenter()); }
  });
  draw(true);
  const button = document.getElementById("draw");
  button.hidden = false;
  button.addEventListener("click", drawLine);
  document.getElementById("undraw").addEventListener("click", () => { setPlace(null, ""); place.focus(); });
}

/** Geoman comes with the first line that is drawn: most callouts are a point. */
let geoman = null;
function loadGeoman() {
  geoman ??= new Promise((resolve, reject) => {
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/assets/leaflet-geoman.css" });
    const script = Object.assign(document.createElement("script"), { src: "/assets/leaflet-geoman.min.js" });
    script.onload = resolve;
    script.onerror = () => { script.remove(); geoman = null; reject(new Error("geoman")); };
    document.head.append(style, script);
  });
  return geoman;
}

async function drawLine() {
  const button = document.getElementById("draw");
  if (draws) { map.pm.disableDraw(); return; }
  try { await loadGeoman(); } catch { wrong("place", words.geoman); return; }
  map.pm ??= new L.PM.Map(map);
  draws = true;
  button.setAttribute("aria-pressed", "true");
  map.pm.setLang(document.documentElement.lang);
  map.once("pm:create", ({ layer }) => {
    const found = layer.toGeoJSON(6).geometry;
    layer.remove();
    setPlace(found, found.coordinates.map(([x, y]) => `${y}, ${x}`).join("; "), { look: false });
    if (hasMouse) field("description").focus({ preventScroll: true });
  });
  map.once("pm:drawend", () => setTimeout(() => { draws = null; button.removeAttribute("aria-pressed"); }));
  map.pm.enableDraw("Line", { finishOn: "dblclick", tooltips: true, continueDrawing: false, snappable: false });
}

// Errors, and sending. -----------------------------------------------------------------------------

function wrong(name, message) {
  const line = document.getElementById(`${name}-error`);
  if (!line) return;
  line.textContent = message;
  line.hidden = !message;
  const input = document.getElementById(name);
  if (message) input?.setAttribute("aria-invalid", "true"); else input?.removeAttribute("aria-invalid");
}

function showErrors(answer) {
  for (const line of form.querySelectorAll("[data-error]")) wrong(line.dataset.error, answer.errors[line.dataset.error] ?? "");
  field("clientReference").value = answer.clientReference;
  const [first] = Object.keys(answer.errors);
  const input = first === "ospId" ? form.querySelector('input[name="ospId"]') : document.getElementById(first);
  input?.focus();
  keep({ sending: null });
  if ("ospId" in answer.errors) preview = showContractors({ keep: true });
}

/** What is sent: read after the place and the contractors have been looked up. */
async function ready() {
  await list.settled();
  await preview;
  const values = new URLSearchParams();
  for (const name of KEPT) values.set(name, field(name).value);
  values.set("ospId", chosen());
  return values;
}

const send = sender(form, {
  ready,
  sending: (values) => keep({ sending: values.toString() }),
  created: (go) => { sessionStorage.removeItem(KEY); location.assign(go); },
  refused: showErrors,
  stopped: () => keep({ sending: null }),
});

form.addEventListener("input", () => keep());
form.addEventListener("submit", (event) => { event.preventDefault(); send.start(); });
// A page that the back button brings back has the reference of a callout that exists already.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

const draft = kept();
if (draft && !form.querySelector(".field-error:not([hidden])")) {
  for (const name of KEPT) if (draft[name] !== undefined) field(name).value = draft[name];
  byHand = draft.byHand ?? "";
  if (draft.description || draft.place) send.tell(words.kept);
  if (draft.location) preview = showContractors();
  if (draft.sending) send.start(new URLSearchParams(draft.sending));
}
startMap();

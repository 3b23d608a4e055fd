// The region of a list: drawn, cut and moved on the map; what it overlaps is shown at once.
/* global htmx, L */
import { say } from "./console.js";
import { drawFaults } from "./ground.js";
import { colour, lookAt, openMap } from "./map.js";

const form = document.getElementById("list-form");
const box = document.getElementById("region-map");
const text = document.getElementById("region");
const told = document.getElementById("others").dataset;
const part = document.getElementById("region-part");
const check = document.getElementById("check");

const map = await openMap(box);
const others = L.featureGroup().addTo(map);
const mine = L.featureGroup().addTo(map);
const faults = L.layerGroup().addTo(map);
const style = { color: colour("side"), weight: 3, fillColor: colour("side"), fillOpacity: 0.25 };

function tooltip(layer, name) {
  const line = document.createElement("span");
  line.textContent = name;
  layer.bindTooltip(line, { sticky: true });
}

for (const one of JSON.parse(told.regions)) {
  const layer = L.geoJSON(one.geometry, { style: { color: colour("faint"), weight: 1.5, dashArray: "4 4", fillColor: colour("faint"), fillOpacity: 0.08 } });
  tooltip(layer, one.listName);
  others.addLayer(layer);
  // New corners snap to the neighbours' borders, which stay as they are.
  layer.eachLayer((shape) => shape.pm.setOptions({ allowEditing: false, allowRemoval: false, allowCutting: false, draggable: false }));
}

/** The polygons that are drawn, as the text of the form. */
function write() {
  const polygons = mine.getLayers().flatMap((layer) => {
    const { type, coordinates } = layer.toGeoJSON(6).geometry;
    return type === "MultiPolygon" ? coordinates : [coordinates];
  }).filter((polygon) => polygon.length && polygon[0].length > 3);
  const geometry = polygons.length === 1 ? { type: "Polygon", coordinates: polygons[0] } : { type: "MultiPolygon", coordinates: polygons };
  text.value = polygons.length ? JSON.stringify(geometry) : "";
  if (polygons.length) form.elements.ground.value = "region";
  askAgain();
}

function read() {
  mine.clearLayers();
  if (!text.value.trim()) return;
  try {
    const { type, coordinates } = JSON.parse(text.value);
    const polygons = type === "MultiPolygon" ? coordinates : [coordinates];
    for (const polygon of polygons) {
      L.geoJSON({ type: "Polygon", coordinates: polygon }, { style }).eachLayer((layer) => mine.addLayer(layer));
    }
  } catch {
    mine.clearLayers();
    say(told.cleared, "bad");
  }
}

let waiting = null;
function askAgain() {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const values = {};
    for (const [name, value] of new FormData(form)) {
      if (typeof value === "string") values[name] = name in values ? [values[name], value].flat() : value;
    }
    htmx.ajax("POST", form.dataset.check, { values, target: "#check", swap: "innerHTML" });
  }, 400);
}

function showFound() {
  faults.clearLayers();
  const found = check.querySelector("[data-found]");
  if (found) drawFaults(faults, JSON.parse(found.dataset.found), { overlap: told.overlap, gap: told.gap });
  faults.eachLayer((layer) => layer.eachLayer((shape) => shape.pm?.setOptions({ allowEditing: false, allowRemoval: false, allowCutting: false, draggable: false })));
  check.dataset.checked = String(Number(check.dataset.checked ?? 0) + 1);
}

const showPart = () => { part.hidden = form.elements.ground.value === "everywhere"; if (!part.hidden) map.invalidateSize(); };

map.pm.setLang(document.documentElement.lang);
map.pm.addControls({
  position: "topright", drawMarker: false, drawPolyline: false, drawCircle: false, drawCircleMarker: false, drawText: false,
  dragMode: false, rotateMode: false,
});
for (const tool of box.querySelectorAll(".leaflet-pm-toolbar [title] > a")) {
  if (!tool.textContent.trim()) tool.setAttribute("aria-label", tool.parentElement.title);
}
map.pm.setGlobalOptions({ layerGroup: mine, allowSelfIntersection: false, pathOptions: style, templineStyle: { color: colour("side") }, hintlineStyle: { color: colour("side"), dashArray: [5, 5] } });
map.on("pm:create pm:remove pm:cut", () => setTimeout(write));
mine.on("pm:edit", write);

form.addEventListener("change", (event) => {
  if (event.target === text) read();
  if (event.target.name === "ground") showPart();
  if (!event.target.matches("#file, #paste, #buffer")) askAgain();
});
document.addEventListener("htmx:afterSwap", (event) => { if (event.target === check) showFound(); });

read();
lookAt(map, (mine.getLayers().length ? mine : others).getBounds(), 12);
showFound();
showPart();
if (text.value) askAgain();
box.dataset.ready = "yes";

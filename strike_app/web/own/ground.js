// How regions, overlaps and gaps look on a map. Names go in as text, never as markup.
/* global L */
import { colour } from "./map.js";

function label(layer, text) {
  const line = document.createElement("span");
  line.textContent = text;
  layer.bindTooltip(line, { sticky: true });
}

function area(map, geometry, text, style) {
  const layer = L.geoJSON(geometry, { style });
  label(layer, text);
  return layer.addTo(map);
}

/** Draw `{regions, overlaps, gaps}`; `words` are those for the labels and the regions' ink. */
export function drawGround(map, ground, words) {
  const parts = [
    ...ground.regions.map((one) => area(map, one.geometry, one.listName, { color: words.ink, weight: 2, fillColor: words.ink, fillOpacity: 0.12 })),
    ...drawFaults(map, ground, words),
  ];
  return L.featureGroup(parts);
}

export function drawFaults(map, ground, words) {
  const overlaps = ground.overlaps.map((one) => area(map, one.geometry, `${one.first} / ${one.second}: ${words.overlap}`, { color: colour("busy"), weight: 2, fillColor: colour("busy"), fillOpacity: 0.55 }));
  const gaps = ground.gaps.map((one) => area(map, one.geometry, words.gap, { color: colour("bad"), weight: 2, dashArray: "5 4", fillColor: colour("bad"), fillOpacity: 0.3 }));
  return [...overlaps, ...gaps];
}

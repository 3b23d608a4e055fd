// A map without any outside address: the outlines of states, of counties from near by, and tiles
// only where the operator of Strike has set a server for them. Drawn on a canvas, so no WebGL.
/* global L, topojson */

const COUNTIES_FROM = 7;
const WORLD = { maxBounds: [[-85, -360], [85, 360]], minZoom: 3, maxZoom: 19, worldCopyJump: true };
export const USA = [[24.5, -125], [49.5, -66.5]];

const outlines = new Map();

/** The features of an object of a TopoJSON file, fetched once a page. */
function features(file, object) {
  if (!outlines.has(file)) {
    const fetched = fetch(`/assets/${file}`).then((answer) => answer.json());
    outlines.set(file, fetched.then((topology) => topojson.feature(topology, topology.objects[object])));
  }
  return outlines.get(file);
}

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** How each tone of a badge looks on the map. */
export const TONES = { bad: "bad", warn: "warn", busy: "busy", good: "good", calm: "faint" };

/**
 * A map in `element`, which may name tiles by data-tiles and data-tiles-credit.
 * Resolves as soon as the states are drawn.
 */
export async function openMap(element, options = {}) {
  const map = L.map(element, { preferCanvas: true, attributionControl: true, zoomSnap: 0.5, ...WORLD, ...options });
  map.attributionControl.setPrefix(false);
  map.fitBounds(USA);
  map.createPane("outlines").style.zIndex = 250;
  const renderer = L.canvas({ pane: "outlines", padding: 0.3 });
  const outline = (data, weight) => L.geoJSON(data, {
    pane: "outlines", interactive: false, renderer,
    style: { color: colour("border"), weight, fillColor: colour("land"), fillOpacity: hasTiles ? 0 : 1 },
  });
  const hasTiles = Boolean(element.dataset.tiles);
  if (hasTiles) L.tileLayer(element.dataset.tiles, { attribution: element.dataset.tilesCredit ?? "" }).addTo(map);
  outline(await features("states-10m.json", "states"), 1.2).addTo(map);
  let counties = null;
  async function showCounties() {
    const isNear = map.getZoom() >= COUNTIES_FROM;
    if (isNear && counties === null) {
      counties = outline(await features("counties-10m.json", "counties"), 0.6);
      counties.options.style.fillOpacity = 0;
    }
    if (counties === null) return;
    if (isNear && !map.hasLayer(counties)) counties.addTo(map);
    if (!isNear && map.hasLayer(counties)) map.removeLayer(counties);
  }
  map.on("zoomend", showCounties);
  await showCounties();
  L.control.scale({ imperial: true, metric: true }).addTo(map);
  return map;
}

/** A place of a callout: a point as a dot, a line with a dot in its middle. */
export function placeLayer(geometry, tone = "busy", options = {}) {
  const ink = colour(TONES[tone] ?? tone);
  return L.geoJSON(geometry, {
    pointToLayer: (_, at) => L.circleMarker(at, { radius: 9, weight: 3, color: ink, fillColor: ink, fillOpacity: 0.45, ...options }),
    style: { color: ink, weight: 5, opacity: 0.9, ...options },
  });
}

/** A region of a pager list. */
export function regionLayer(geometry, options = {}) {
  return L.geoJSON(geometry, {
    style: { color: colour("side"), weight: 2, fillColor: colour("side"), fillOpacity: 0.12, ...options },
  });
}

/** Show all of `layer`, but not so near that nobody knows where it is. */
export function lookAt(map, layer, maxZoom = 11) {
  const bounds = layer.getBounds();
  if (bounds.isValid()) map.fitBounds(bounds.pad(0.3), { maxZoom, animate: false });
}

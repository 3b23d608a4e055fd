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
    pane: "outlines", interactive: false, snapIgnore: true, renderer,
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

/**
 * Draws dots as pictures that are made once for each look of a dot: of two thousand circles, each
 * filled and stroked, a canvas without a graphics card takes half a second; of pictures, a few ms.
 */
export const Dots = () => new (L.Canvas.extend({
  _updateCircle(layer) {
    if (!this._drawing || layer._empty()) return;
    const picture = dotOf(layer.options);
    const size = picture.width / devicePixelRatio;
    this._ctx.drawImage(picture, layer._point.x - size / 2, layer._point.y - size / 2, size, size);
  },
}))();

const dots = new Map();

function dotOf({ radius, weight, color, fillColor, fillOpacity }) {
  const key = [radius, weight, color, fillColor, fillOpacity, devicePixelRatio].join(" ");
  if (!dots.has(key)) dots.set(key, newDot(radius, weight, color, fillColor, fillOpacity));
  return dots.get(key);
}

function newDot(radius, weight, color, fillColor, fillOpacity) {
  const size = Math.ceil((2 * radius + weight + 2) * devicePixelRatio);
  const canvas = new OffscreenCanvas(size, size);
  const pen = canvas.getContext("2d");
  pen.scale(devicePixelRatio, devicePixelRatio);
  pen.arc(size / devicePixelRatio / 2, size / devicePixelRatio / 2, radius, 0, 2 * Math.PI);
  pen.globalAlpha = fillOpacity;
  pen.fillStyle = fillColor;
  pen.fill();
  pen.globalAlpha = 1;
  pen.lineWidth = weight;
  pen.strokeStyle = color;
  pen.stroke();
  return canvas.transferToImageBitmap();
}

/** A place of a callout: a point as a dot, a line as a line. */
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

/** Show all of these bounds, but not so near that nobody knows where it is. */
export function lookAt(map, bounds, maxZoom = 11) {
  if (bounds.isValid()) map.fitBounds(bounds.pad(0.3), { maxZoom, animate: false });
}

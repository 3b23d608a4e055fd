// The regions of all lists on one map, with overlaps and gaps; a click drills a place.
/* global htmx, L */
import { colour, lookAt, openMap, placeLayer } from "./map.js";
import { drawGround } from "./ground.js";

const box = document.getElementById("ground");
const told = document.getElementById("ground-data");

if (box) {
  const map = await openMap(box);
  const all = drawGround(map, JSON.parse(told.dataset.ground), { overlap: told.dataset.overlap, gap: told.dataset.gap, ink: colour("side") });
  lookAt(map, all.getBounds());
  let place = null;
  const form = document.querySelector("[data-drill]");

  function showPlace() {
    const drilled = document.getElementById("drill")?.dataset.place;
    place?.remove();
    place = drilled ? placeLayer(JSON.parse(drilled), "bad", { interactive: false }).addTo(map) : null;
  }

  if (form) {
    map.on("click", ({ latlng }) => {
      const at = latlng.wrap();
      const values = { latitude: at.lat.toFixed(5), longitude: at.lng.toFixed(5) };
      htmx.ajax("GET", form.action, { values, target: "#drill", select: "#drill", swap: "outerHTML" });
    });
    document.addEventListener("htmx:afterSwap", showPlace);
    showPlace();
  }
  box.dataset.ready = "yes";
}

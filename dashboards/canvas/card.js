// What is known of one object, in words and figures: under the mouse and in the panel.

import { css } from "./look.js";

/** A small element that describes a box: source, class, score, identity, age, motion, uncertainty, what the ego saw of it. */
export function describe(box) {
  const card = document.createElement("div");
  card.className = "card";
  const title = card.appendChild(document.createElement("div"));
  title.className = "card-title";
  title.style.color = css(box.style.rgb);
  title.textContent = `${box.layer.name} · ${box.kind}`;
  const table = card.appendChild(document.createElement("dl"));
  for (const [name, value] of facts(box)) {
    table.appendChild(document.createElement("dt")).textContent = name;
    table.appendChild(document.createElement("dd")).textContent = value;
  }
  return card;
}

function facts(box) {
  const rows = [];
  if (box.layer.kind !== "truth") rows.push(["score", box.score.toFixed(2)], ["age", `${Math.round(box.age * 1e3)} ms`]);
  if (box.id >= 0n) rows.push(["id", String(box.id)]);
  rows.push(["size", [box.length, box.width, box.height].map((v) => v.toFixed(1)).join(" × ") + " m"]);
  rows.push(["heading", `${(box.yaw * 180 / Math.PI).toFixed(0)}°`]);
  if (box.vx === box.vx) rows.push(["speed", `${Math.hypot(box.vx, box.vy).toFixed(1)} m/s`]);
  if (box.sigma === box.sigma) rows.push(["position ±", `${box.sigma.toFixed(2)} m`]);
  if (box.lidarPoints >= 0) rows.push(["LiDAR points", String(box.lidarPoints)]);
  if (box.hidden) rows.push(["from the ego", "hidden"]);
  if (box.pixels >= 0) rows.push(["pixels seen", String(box.pixels)]);
  return rows;
}

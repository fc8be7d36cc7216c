// The layer list (which is the legend too) and the buttons over the picture. Keyboard and screen readers get real buttons.

import { css, stylesOf } from "./look.js";

/** An element with a class and text. */
export function element(parent, tag, className = "", text = "") {
  const made = parent.appendChild(document.createElement(tag));
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** The sources with swatch, name and count, clicking one hides or shows it; and the least score that is drawn. */
export class LayerList {
  constructor(host, scene, onChange) {
    this.host = element(host, "div", "rows"); this.scene = scene; this.hidden = scene.hidden; this.onChange = onChange;
    this.rows = new Map();
    const least = element(host, "label", "least"), said = element(least, "span"), bar = element(least, "input");
    Object.assign(bar, { type: "range", min: 0, max: 0.95, step: 0.05, value: scene.leastScore, title: "Hide detections and tracks below this score" });
    const say = () => { said.textContent = `score ≥ ${scene.leastScore.toFixed(2)}`; };
    bar.addEventListener("input", () => { scene.leastScore = Number(bar.value); say(); this.count(); onChange(); });
    say();
  }

  update(layers) {
    const styles = stylesOf(layers);
    layers.forEach((layer, i) => {
      let row = this.rows.get(layer.name);
      if (!row) {
        if (!styles[i].shown) this.hidden.add(layer.name);
        row = this.add(layer, styles[i]);
      }
      row.button.classList.remove("absent");
    });
    const present = new Set(layers.map((layer) => layer.name));
    for (const [name, row] of this.rows) if (!present.has(name)) { row.count.textContent = "–"; row.button.classList.add("absent"); }
  }

  /** Say of every layer how many of its objects score high enough. */
  count() {
    const found = {};
    for (const box of this.scene.boxes) if (this.scene.scoresEnough(box)) found[box.layer.name] = (found[box.layer.name] ?? 0) + 1;
    for (const [name, row] of this.rows) if (!row.button.classList.contains("absent")) row.count.textContent = String(found[name] ?? 0);
  }

  add(layer, style) {
    const button = element(this.host, "button", "layer");
    button.dataset.layer = layer.name;
    button.setAttribute("aria-pressed", String(!this.hidden.has(layer.name)));
    const swatch = element(button, "span", "swatch");
    swatch.style.borderTop = `${Math.max(2, style.width * 1.4)}px ${style.dash ? "dashed" : "solid"} ${css(style.rgb)}`;
    if (layer.kind === "truth") button.title = "A cross marks what is hidden from the ego: no LiDAR return, under 25 pixels in any camera";
    element(button, "span", "name", layer.kind === "roadside" ? `roadside ${layer.name}` : layer.name);
    const row = { button, count: element(button, "span", "count") };
    button.addEventListener("click", () => {
      if (!this.hidden.delete(layer.name)) this.hidden.add(layer.name);
      button.setAttribute("aria-pressed", String(!this.hidden.has(layer.name)));
      this.onChange();
    });
    this.rows.set(layer.name, row);
    return row;
  }
}

/** The buttons in the picture's corner; those for points where `onRoadside` says whether roadside points are wanted. */
export function viewButtons(host, scene, onRoadside = null) {
  const bar = element(host, "div", "view-buttons");
  const toggle = (text, title, on, change) => {
    const button = element(bar, "button", "", text);
    button.title = title;
    button.setAttribute("aria-pressed", String(on));
    button.addEventListener("click", () => {
      const now = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(now));
      change(now);
      scene.draw();
    });
  };
  toggle("3D", "Tilt the view (right-drag turns it)", false, (on) => scene.tilt(on));
  toggle("Follow", "Keep the ego in place", true, (on) => { scene.follow = on; });
  toggle("IDs", "Show track ids when close enough", true, (on) => { scene.labels = on; });
  if (onRoadside) {
    toggle("Points", "Show LiDAR points", true, (on) => { scene.points.shown[0] = on; });
    toggle("RSU points", "Show the roadside units' LiDAR points, in warm colours", false, (on) => { scene.points.shown[1] = on; onRoadside(on); });
    toggle("Intensity", "Colour points by intensity instead of height", false, (on) => { scene.points.colouring = on ? "intensity" : "height"; });
  }
  const home = element(bar, "button", "", "Home");
  home.title = "Look at the ego again";
  home.addEventListener("click", () => { scene.home(); scene.draw(); });
}

// The cameras' images with the boxes projected into them: drawn on one small canvas each, the boxes clipped at the lens.

import { css } from "./look.js";
import { EDGES, cornersOf } from "./packet.js";
import { same } from "./scene.js";

const NEAREST_M = 0.4; // a box edge is cut where it comes closer to the lens than this
const FURTHEST_M = 90;
const ORDER = ["FRONT_LEFT", "FRONT", "FRONT_RIGHT", "BACK_LEFT", "BACK", "BACK_RIGHT"];

export class Cameras {
  constructor(host) {
    this.host = host;
    this.views = new Map(); // by name: {figure, canvas, bitmap}
    this.shown = 0;
    this.enlarged = null;
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(host);
  }

  /** Decode a packet's images and draw them with its boxes; a later call overtakes an earlier one. */
  async show(packet, boxes, lit) {
    const turn = ++this.shown;
    const images = packet.meta.images;
    const bitmaps = await Promise.all(images.map(({ name }) => createImageBitmap(
      new Blob([packet.arrays[`image/${name}`].data], { type: "image/jpeg" }))));
    if (turn !== this.shown) return bitmaps.forEach((bitmap) => bitmap.close());
    this.arrange(images);
    images.forEach((image, i) => {
      const view = this.views.get(image.name);
      view.bitmap?.close();
      Object.assign(view, { image, bitmap: bitmaps[i] });
    });
    this.mark(boxes, lit);
  }

  /** Draw again with other boxes, or another one lit. */
  mark(boxes, lit) {
    this.boxes = boxes; this.lit = lit;
    this.draw();
  }

  draw() {
    for (const view of this.views.values()) if (view.bitmap) drawView(view, this.boxes, this.lit);
  }

  arrange(images) {
    const names = images.map((image) => image.name);
    if (names.length === this.views.size && names.every((name) => this.views.has(name))) return;
    this.views.forEach((view) => view.bitmap?.close());
    this.views.clear();
    this.host.replaceChildren();
    this.host.dataset.count = String(names.length);
    const place = (name) => { const at = ORDER.findIndex((part) => name.endsWith(part)); return at < 0 ? ORDER.length : at; };
    for (const { name, width, height } of [...images].sort((a, b) => place(a.name) - place(b.name))) {
      const figure = this.host.appendChild(document.createElement("figure"));
      const canvas = figure.appendChild(document.createElement("canvas"));
      canvas.style.aspectRatio = `${width} / ${height}`;
      figure.appendChild(document.createElement("figcaption")).textContent = name.replaceAll("_", " ").toLowerCase();
      figure.title = "Click to enlarge";
      figure.addEventListener("click", () => { figure.classList.toggle("enlarged"); this.draw(); });
      this.views.set(name, { figure, canvas });
    }
  }

  close() {
    this.shown++;
    this.watcher.disconnect();
    this.views.forEach((view) => view.bitmap?.close());
  }
}

function drawView({ canvas, bitmap, image }, boxes, lit) {
  const scale = Math.min(window.devicePixelRatio || 1, 2);
  const width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
  if (!width || !height) return;
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const pen = canvas.getContext("2d");
  pen.drawImage(bitmap, 0, 0, width, height);
  pen.lineJoin = "round";
  const toCanvas = width / image.width;
  for (const box of boxes) {
    const seen = cornersOf(asOf(box, image.age_s)).map((corner) => project(image.pixels_from_map, corner));
    const depth = seen.reduce((sum, p) => sum + p[2], 0) / 8;
    if (depth < NEAREST_M || depth > FURTHEST_M) continue;
    const isLit = same(box, lit);
    pen.strokeStyle = css(box.style.rgb, isLit ? 1 : Math.max(0.45, 0.95 - depth / 120));
    pen.lineWidth = box.style.width * scale * (isLit ? 1.3 : Math.max(0.35, 0.7 - depth / 150));
    pen.setLineDash(box.style.dash ? [box.style.dash * scale * 0.7, box.style.dash * scale * 0.6] : []);
    pen.beginPath();
    for (const [from, to] of EDGES) {
      const cut = clip(seen[from], seen[to]);
      if (!cut) continue;
      pen.moveTo(cut[0][0] / cut[0][2] * toCanvas, cut[0][1] / cut[0][2] * toCanvas);
      pen.lineTo(cut[1][0] / cut[1][2] * toCanvas, cut[1][1] / cut[1][2] * toCanvas);
    }
    pen.stroke();
  }
}

/** The box where it was `age` seconds ago, when the image was taken, by its own velocity. */
function asOf(box, age) {
  return age > 1e-3 && box.vx === box.vx ? { ...box, x: box.x - box.vx * age, y: box.y - box.vy * age } : box;
}

/** Homogeneous pixel [u w, v w, w] of a place in the map; w is the depth in metres. */
function project(m, [x, y, z]) {
  return [0, 1, 2].map((row) => m[row * 4] * x + m[row * 4 + 1] * y + m[row * 4 + 2] * z + m[row * 4 + 3]);
}

/** The part of a homogeneous line in front of the lens, or null. */
function clip(a, b) {
  if (a[2] < NEAREST_M && b[2] < NEAREST_M) return null;
  if (a[2] >= NEAREST_M && b[2] >= NEAREST_M) return [a, b];
  const t = (NEAREST_M - a[2]) / (b[2] - a[2]);
  const cut = a.map((v, i) => v + t * (b[i] - v));
  return a[2] < NEAREST_M ? [cut, b] : [a, cut];
}

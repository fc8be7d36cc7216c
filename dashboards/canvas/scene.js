// The bird's-eye picture of one scene: grid, points, boxes, trails, the ego and the roadside units, and what the mouse does.

import { Batch, Painter } from "./gl.js";
import { View, TOP } from "./view.js";
import { EGO, GRID, GROUND, css, stylesOf } from "./look.js";
import { EDGES, boxesOf, cornersOf } from "./packet.js";
import { describe } from "./card.js";

const EGO_SIZE_M = [4.6, 1.9]; // drawn, not measured
const RINGS_M = [20, 40, 60];
const POINT_HEIGHTS_M = [-1.0, 5.0]; // over the ground that the lowest points stand on
const PICK_PX = 6;

export class SceneCanvas {
  /** Draws into `host`; `onPick` is told the box under the mouse or the one clicked, or null. */
  constructor(host, onPick = () => {}) {
    this.host = host; this.onPick = onPick;
    this.canvas = host.appendChild(document.createElement("canvas"));
    this.canvas.className = "bev";
    this.marks = host.appendChild(document.createElement("canvas"));
    this.marks.className = "marks";
    this.tip = host.appendChild(document.createElement("div"));
    this.tip.className = "tip";
    this.painter = new Painter(this.canvas);
    this.view = new View();
    this.hidden = new Set(); // names of layers
    this.follow = true; this.labels = true; this.leastScore = 0.3;
    this.points = { shown: [true, false], colouring: "height", size: 1.7, heights: POINT_HEIGHTS_M };
    this.boxes = []; this.styles = []; this.rsus = []; this.path = []; this.meta = null;
    this.hovered = null; this.pinned = null;
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(host);
    this.listen();
    this.resize();
  }

  /** What stays the same for a whole drive. */
  setPlace({ rsus, path, classes }) {
    this.rsus = rsus; this.path = path; this.classes = classes;
  }

  /** Show a packet's scene. */
  show(packet) {
    const last = this.meta;
    this.meta = packet.meta;
    this.styles = stylesOf(packet.meta.layers);
    this.boxes = boxesOf(packet, this.classes);
    for (const box of this.boxes) box.style = this.styles[packet.meta.layers.indexOf(box.layer)];
    this.trails = packet.arrays.trails.data;
    const points = packet.arrays.points.data;
    this.painter.setPoints(0, points);
    this.painter.setPoints(1, packet.arrays.roadside_points.data);
    this.points.heights = heightsOf(points);
    this.hovered = null;
    const ego = packet.meta.ego;
    if (ego && this.follow && last?.ego) { this.view.x += ego[0] - last.ego[0]; this.view.y += ego[1] - last.ego[1]; }
    if (!last) this.home();
    if (this.pinned) this.pin(this.boxes.find((box) => same(box, this.pinned)) ?? null);
    this.draw();
  }

  /** Look at the ego, or at all there is where there is none. */
  home() {
    const ego = this.meta?.ego;
    this.view.yaw = 0;
    if (ego) { [this.view.x, this.view.y] = ego; this.view.spanM = this.view.tilted ? 60 : 95; return; }
    this.view.fit(this.boxes.map((box) => [box.x, box.y]).concat(this.path, this.rsus.map((rsu) => rsu.xyz_m)));
  }

  tilt(on) {
    this.view.pitch = on ? 0.62 : TOP;
    if (!on) this.view.yaw = 0;
    this.draw();
  }

  /** Boxes of shown layers whose score is high enough. */
  visible() { return this.boxes.filter((box) => !this.hidden.has(box.layer.name) && this.scoresEnough(box)); }

  /** Whether a box is sure enough to be drawn; truth has no score. */
  scoresEnough(box) { return box.layer.kind === "truth" || box.score >= this.leastScore; }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.host;
    this.scale = Math.min(window.devicePixelRatio || 1, 2);
    for (const canvas of [this.canvas, this.marks]) {
      canvas.width = Math.max(1, width * this.scale); canvas.height = Math.max(1, height * this.scale);
    }
    this.view.width = Math.max(1, width); this.view.height = Math.max(1, height);
    this.draw();
  }

  draw() {
    const below = new Batch(), above = new Batch();
    drawGrid(below, this.view);
    if (this.path.length > 1) below.path(this.path.map(([x, y]) => [x, y, 0]), EGO, 0.16, 1.5);
    const ego = this.meta?.ego;
    if (ego) for (const radius of RINGS_M) below.path(ring(ego, radius), GRID, 0.2, 1, 3);
    drawTrails(above, this.trails ?? [], this.styles, this.meta?.layers ?? [], this.hidden);
    for (const box of this.visible()) drawBox(above, box, same(box, this.hovered) || same(box, this.pinned), this.view.tilted);
    if (ego) drawEgo(above, ego);
    this.painter.draw(this.view, this.scale, GROUND, below, above, this.points);
    this.drawMarks();
  }

  drawMarks() {
    const pen = this.marks.getContext("2d");
    pen.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    pen.clearRect(0, 0, this.view.width, this.view.height);
    pen.font = "11px ui-sans-serif, system-ui, sans-serif";
    pen.textAlign = "left";
    for (const rsu of this.rsus) markRsu(pen, this.view.pixelOf(...rsu.xyz_m), rsu.name);
    if (this.labels && this.view.pixelsPerM > 5) {
      for (const box of this.visible()) if (box.layer.kind === "fused" && box.id >= 0n) markTrack(pen, this.view, box);
    }
    if (!this.view.tilted) markScale(pen, this.view);
  }

  listen() {
    const { marks, view } = this;
    let drag = null, moved = 0;
    marks.addEventListener("contextmenu", (event) => event.preventDefault());
    marks.addEventListener("pointerdown", (event) => {
      drag = { turning: event.button === 2 || event.shiftKey }; moved = 0;
      marks.setPointerCapture(event.pointerId);
    });
    marks.addEventListener("pointermove", (event) => {
      if (!drag) return this.hover(event.offsetX, event.offsetY);
      moved += Math.abs(event.movementX) + Math.abs(event.movementY);
      drag.turning ? view.turn(event.movementX, event.movementY) : view.pan(event.movementX, event.movementY);
      this.draw();
    });
    marks.addEventListener("pointerup", (event) => {
      if (drag && moved < 4) this.pin(this.boxAt(event.offsetX, event.offsetY));
      drag = null;
      this.draw();
    });
    marks.addEventListener("pointerleave", () => this.hover(-1e6, -1e6));
    marks.addEventListener("wheel", (event) => {
      event.preventDefault();
      view.zoom(Math.exp(event.deltaY * 0.0012), event.offsetX, event.offsetY);
      this.draw();
    }, { passive: false });
  }

  /** The topmost visible box whose outline holds a pixel, or whose centre is within a few pixels of it. */
  boxAt(u, v) {
    const ground = this.view.groundAt(u, v);
    if (!ground) return null;
    const reach = PICK_PX / this.view.pixelsPerM;
    let best = null;
    for (const box of this.visible()) {
      const dx = ground[0] - box.x, dy = ground[1] - box.y, c = Math.cos(box.yaw), s = Math.sin(box.yaw);
      if (Math.abs(c * dx + s * dy) <= box.length / 2 + reach && Math.abs(c * dy - s * dx) <= box.width / 2 + reach) best = box;
    }
    return best;
  }

  hover(u, v) {
    const box = this.boxAt(u, v);
    this.tip.style.display = box ? "block" : "none";
    if (box) {
      this.tip.replaceChildren(describe(box));
      this.tip.style.left = `${Math.min(u + 16, this.view.width - 200)}px`;
      this.tip.style.top = `${Math.min(v + 12, this.view.height - 150)}px`;
    }
    if (same(box, this.hovered)) return;
    this.hovered = box;
    this.onPick(box ?? this.pinned);
    this.draw();
  }

  pin(box) {
    this.pinned = box;
    this.onPick(box);
  }

  close() { this.watcher.disconnect(); this.painter.close(); }
}

/** Whether two boxes are the same object of the same source. */
export function same(a, b) {
  if (!a || !b || a.layer.name !== b.layer.name) return false;
  return a.id >= 0n ? a.id === b.id : a.row === b.row && a.x === b.x && a.y === b.y;
}

/** Heights between which points are coloured: from the ground (5th percentile) to 5 m over it. */
function heightsOf(points) {
  const sample = [];
  for (let i = 2; i < points.length; i += 4 * Math.max(1, Math.floor(points.length / 4 / 500))) sample.push(points[i]);
  if (!sample.length) return POINT_HEIGHTS_M;
  const ground = sample.sort((a, b) => a - b)[Math.floor(sample.length * 0.05)];
  return [ground - 0.3, ground + 5];
}

function drawGrid(batch, view) {
  const reach = view.tilted ? view.spanM * 3 : Math.hypot(view.spanM, view.spanM * view.width / view.height) / 2;
  const step = [5, 10, 20, 50, 100, 200, 500].find((s) => reach / s < 24) ?? 1000;
  for (let i = Math.ceil((view.x - reach) / step); i <= (view.x + reach) / step; i++) {
    batch.line([i * step, view.y - reach, 0], [i * step, view.y + reach, 0], GRID, i % 5 ? 0.07 : 0.14, 1);
  }
  for (let i = Math.ceil((view.y - reach) / step); i <= (view.y + reach) / step; i++) {
    batch.line([view.x - reach, i * step, 0], [view.x + reach, i * step, 0], GRID, i % 5 ? 0.07 : 0.14, 1);
  }
}

function drawTrails(batch, rows, styles, layers, hidden) {
  for (let i = 4; i < rows.length; i += 4) {
    const layer = rows[i + 3];
    if (!(rows[i] === rows[i]) || !(rows[i - 4] === rows[i - 4]) || hidden.has(layers[layer]?.name)) continue;
    const alpha = 0.7 * Math.max(0, 1 - rows[i + 2] / 3);
    batch.line([rows[i - 4], rows[i - 3], 0], [rows[i], rows[i + 1], 0], styles[layer]?.rgb ?? GRID, alpha, 1.6);
  }
}

function drawBox(batch, box, lit, tilted) {
  const { style } = box, corners = cornersOf(box);
  const width = style.width * (lit ? 1.8 : 1), alpha = lit ? 1 : 0.55 + 0.45 * Math.min(1, box.score * 1.2);
  if (style.fill || lit) batch.fill(corners.slice(0, 4), style.rgb, style.fill + (lit ? 0.2 : 0));
  for (const [from, to] of tilted ? EDGES : EDGES.slice(4, 8)) batch.line(corners[from], corners[to], style.rgb, alpha, width, style.dash);
  if (box.hidden) for (const [from, to] of [[4, 6], [5, 7]]) batch.line(corners[from], corners[to], style.rgb, 0.7, 1.1);
  const c = Math.cos(box.yaw), s = Math.sin(box.yaw), top = box.z + box.height / 2;
  const front = (by) => [box.x + c * by, box.y + s * by, top];
  batch.line(front(box.length * 0.5), front(box.length * 0.5 + Math.min(1.2, box.length * 0.3)), style.rgb, alpha, width, 0);
  const speed = Math.hypot(box.vx, box.vy);
  if (speed > 0.5) {
    const tip = [box.x + box.vx, box.y + box.vy, top];
    batch.line([box.x, box.y, top], tip, style.rgb, alpha * 0.55, 1.2, 0);
  }
}

function drawEgo(batch, [x, y, , yaw]) {
  const c = Math.cos(yaw), s = Math.sin(yaw), [length, width] = EGO_SIZE_M;
  const at = (along, across) => [x + c * along - s * across, y + s * along + c * across, 0.1];
  const outline = [at(length / 2, 0), at(length / 4, width / 2), at(-length / 2, width / 2), at(-length / 2, -width / 2), at(length / 4, -width / 2)];
  batch.fill(outline, EGO, 0.8);
  batch.path([...outline, outline[0]], GROUND, 0.9, 1.2);
}

function ring([x, y], radius) {
  return Array.from({ length: 73 }, (_, i) => [x + radius * Math.cos(i * Math.PI / 36), y + radius * Math.sin(i * Math.PI / 36), 0]);
}

function markRsu(pen, at, name) {
  if (!at) return;
  const [u, v] = at;
  pen.strokeStyle = css([0.98, 0.68, 0.08]); pen.fillStyle = css(GROUND, 0.85); pen.lineWidth = 1.6;
  pen.beginPath(); pen.moveTo(u, v - 7); pen.lineTo(u + 6, v + 5); pen.lineTo(u - 6, v + 5); pen.closePath(); pen.fill(); pen.stroke();
  label(pen, name, u + 10, v + 4, css([0.98, 0.78, 0.35]));
}

function markTrack(pen, view, box) {
  const at = view.pixelOf(box.x, box.y, box.z + box.height / 2);
  if (at) label(pen, String(box.id), at[0] + 8, at[1] - 8, css(box.style.rgb, 0.9));
}

function markScale(pen, view) {
  const metres = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((m) => m * view.pixelsPerM > 60) ?? 1000;
  const length = metres * view.pixelsPerM, x = 14, y = view.height - 14;
  pen.strokeStyle = css(GRID, 0.9); pen.lineWidth = 1.5;
  pen.beginPath(); pen.moveTo(x, y - 4); pen.lineTo(x, y); pen.lineTo(x + length, y); pen.lineTo(x + length, y - 4); pen.stroke();
  label(pen, `${metres} m`, x + length + 6, y + 2, css(GRID));
}

function label(pen, text, x, y, colour) {
  pen.lineWidth = 3; pen.strokeStyle = css(GROUND, 0.8); pen.strokeText(text, x, y);
  pen.fillStyle = colour; pen.fillText(text, x, y);
}

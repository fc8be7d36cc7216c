// The Drive page's canvas: bird's-eye view, cameras, layers, and the transport (play, step, scrub) of one recorded drive.

import { SceneCanvas } from "./scene.js";
import { Cameras } from "./cameras.js";
import { LayerList, element, viewButtons } from "./panel.js";
import { describe } from "./card.js";
import { Store, whyNot } from "./store.js";

const SPEEDS = [0.25, 0.5, 1, 2, 4];
const mounted = new WeakMap();

/** Entry point of the component: mounts once, and again where another drive is chosen. Returns how to take it down. */
export async function mount(parent, data, base) {
  const root = parent.querySelector(".roadweave");
  const known = mounted.get(root);
  if (known?.drive === data.drive) return known.close;
  known?.page?.close();
  root.replaceChildren();
  delete root.dataset.shown;
  delete root.dataset.pictured;
  const entry = { drive: data.drive, page: null, close: () => { entry.page?.close(); mounted.delete(root); } };
  mounted.set(root, entry);
  try {
    const url = `${base}drives/${encodeURIComponent(data.drive)}`;
    const response = await fetch(`${url}/index`);
    if (!response.ok) throw new Error(await whyNot(response));
    const index = await response.json();
    if (mounted.get(root) === entry) entry.page = new DrivePage(root, index, url, new URLSearchParams(location.search));
  } catch (error) {
    element(root, "div", "trouble", String(error.message ?? error));
  }
  return entry.close;
}

class DrivePage {
  constructor(root, index, url, options) {
    this.root = root; this.index = index;
    this.times = index.moments_ns;
    this.store = new Store(url, this.times.length, options.get("prefetch") !== "off");
    this.moment = -1; this.wanted = 0; this.playing = false; this.speed = 1;
    root.classList.add("drive");
    const stage = element(root, "div", "stage"), side = element(root, "div", "side");
    this.scene = new SceneCanvas(element(stage, "div", "bev-host"), (box) => this.pick(box));
    this.scene.setPlace({ rsus: index.rsus, path: index.path_m, classes: index.classes });
    viewButtons(stage, this.scene, (on) => { this.store.ask(on ? "?roadside_points=1" : ""); this.again(); });
    this.layers = new LayerList(element(stage, "div", "layers"), this.scene, () => this.redraw());
    this.banner = element(stage, "div", "banner");
    this.say("");
    this.cameras = new Cameras(element(side, "div", "cameras"));
    this.picked = element(side, "div", "picked");
    this.pick(null);
    topicTable(side, index.topics);
    for (const note of index.notes) element(side, "p", "hint", note);
    this.buildTransport(element(root, "div", "transport"));
    this.onKey = (event) => this.key(event);
    window.addEventListener("keydown", this.onKey);
    const start = Number(options.get("t"));
    this.go(start > 0 ? this.momentAt(start * 1e9) : 0);
  }

  buildTransport(bar) {
    const button = (sign, title, act) => {
      const made = element(bar, "button");
      made.appendChild(icon(sign));
      made.title = title; made.ariaLabel = title;
      made.addEventListener("click", act);
      return made;
    };
    button("back", "One step back (left arrow)", () => this.step(-1));
    this.playButton = button("play", "Play or pause (space)", () => this.play(!this.playing));
    this.playButton.classList.add("play");
    button("on", "One step on (right arrow)", () => this.step(1));
    this.clock = element(bar, "output", "clock");
    const track = element(bar, "div", "track");
    this.strip = element(track, "canvas", "strip");
    this.scrub = element(track, "input", "scrub");
    Object.assign(this.scrub, { type: "range", min: 0, max: Math.max(0, this.times.length - 1), step: 1, value: 0, ariaLabel: "Moment" });
    this.scrub.addEventListener("input", () => { this.play(false); this.go(Number(this.scrub.value)); });
    const speed = element(bar, "select", "speed");
    speed.ariaLabel = "Speed";
    for (const s of SPEEDS) element(speed, "option", "", `${s}×`).value = String(s);
    speed.value = "1";
    speed.addEventListener("change", () => { this.speed = Number(speed.value); this.rebase(); });
    this.stripWatcher = new ResizeObserver(() => drawStrip(this.strip, this.index.topics));
    this.stripWatcher.observe(track);
  }

  momentAt(ns) {
    let best = 0;
    while (best + 1 < this.times.length && this.times[best + 1] <= ns) best++;
    return best;
  }

  /** Show a moment; while one is still coming, only the last one asked for is shown after it. */
  async go(moment) {
    this.wanted = Math.min(Math.max(moment, 0), this.times.length - 1);
    this.store.direction = this.wanted >= this.moment ? 1 : -1;
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.wanted !== this.moment && !this.closed) {
        const target = this.wanted;
        const packet = await this.store.get(target);
        if (this.closed) return;
        this.show(target, packet);
      }
    } catch (error) {
      this.say(String(error.message ?? error));
      this.play(false);
    } finally {
      this.busy = false;
    }
  }

  say(text) {
    this.banner.textContent = text;
    this.banner.style.display = text ? "block" : "none";
  }

  show(moment, packet) {
    this.moment = moment;
    this.say("");
    this.layers.update(packet.meta.layers);
    this.scene.show(packet);
    this.layers.count();
    this.cameras.show(packet, this.scene.visible(), this.scene.pinned).then(() => { this.root.dataset.pictured = String(moment); });
    this.root.classList.toggle("blind", !packet.meta.images.length);
    this.scrub.value = String(moment);
    this.clock.textContent = `${(this.times[moment] / 1e9).toFixed(2)} s / ${(this.index.duration_ns / 1e9).toFixed(1)} s`;
    this.root.dataset.shown = String(moment);
    this.store.ahead(moment);
  }

  /** Fetch and show the present moment once more. */
  again() {
    this.moment = -1;
    this.go(this.wanted);
  }

  redraw() { this.scene.draw(); this.cameras.mark(this.scene.visible(), this.scene.pinned); }

  pick(box) {
    this.picked.replaceChildren();
    if (box) this.picked.appendChild(describe(box));
    else element(this.picked, "p", "hint", "Point at a box for what is known of it, click to keep it. Drag pans, the wheel zooms, right-drag turns.");
    this.cameras.mark(this.scene.visible(), box);
  }

  step(by) { this.play(false); this.go(this.wanted + by); }

  play(on) {
    if (on === this.playing) return;
    this.playing = on;
    this.playButton.replaceChildren(icon(on ? "pause" : "play"));
    this.playButton.setAttribute("aria-pressed", String(on));
    if (!on) return;
    if (this.moment >= this.times.length - 1) this.go(0);
    this.rebase();
    requestAnimationFrame(() => this.tick());
  }

  rebase() { this.startedAt = performance.now(); this.startedNs = this.times[this.wanted]; }

  tick() {
    if (!this.playing || this.closed) return;
    const due = this.startedNs + (performance.now() - this.startedAt) * 1e6 * this.speed;
    const moment = this.momentAt(due);
    if (moment > this.wanted) this.go(moment);
    if (moment >= this.times.length - 1) return this.play(false);
    requestAnimationFrame(() => this.tick());
  }

  key(event) {
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.composedPath()[0]?.tagName) && event.composedPath()[0] !== this.scrub) return;
    const act = { " ": () => this.play(!this.playing), ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1) }[event.key];
    if (act) { event.preventDefault(); act(); }
  }

  close() {
    this.closed = true; this.playing = false;
    window.removeEventListener("keydown", this.onKey);
    this.stripWatcher.disconnect();
    this.store.close(); this.cameras.close(); this.scene.close();
  }
}

const SIGNS = {
  play: "M5 3 L13 8 L5 13 Z", pause: "M4 3 H7 V13 H4 Z M9 3 H12 V13 H9 Z",
  back: "M12 3 L5 8 L12 13 Z M3 3 H4.6 V13 H3 Z", on: "M4 3 L11 8 L4 13 Z M11.4 3 H13 V13 H11.4 Z",
};

function icon(sign) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.appendChild(document.createElementNS(svg.namespaceURI, "path")).setAttribute("d", SIGNS[sign]);
  return svg;
}

/** What the drive holds, in the order of the strip's rows. */
function topicTable(side, topics) {
  const table = element(side, "table", "topics");
  for (const { name, kind, count } of topics) {
    const row = element(table, "tr");
    element(row, "td", "", name);
    element(row, "td", "kind", kind);
    element(row, "td", "count", count.toLocaleString("en"));
  }
}

/** One thin row per topic: how much was said when. */
function drawStrip(canvas, topics) {
  const scale = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width || !height) return;
  canvas.width = width * scale; canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const row = height / Math.max(1, topics.length);
  topics.forEach(({ activity }, i) => {
    const most = Math.max(1, ...activity), bin = width / activity.length;
    activity.forEach((count, j) => {
      if (!count) return;
      pen.fillStyle = `rgba(120,150,180,${0.2 + 0.6 * count / most})`;
      pen.fillRect(j * bin, i * row, Math.max(1, bin - 0.5), Math.max(1, row - 0.6));
    });
  });
}

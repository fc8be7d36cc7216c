// The Live page's canvas: asks for the newest scene a few times a second, and says so when the link is down.

import { SceneCanvas } from "./scene.js";
import { LayerList, element, viewButtons } from "./panel.js";
import { unpack } from "./packet.js";

const EVERY_MS = 110, RETRY_MS = 1000;
const BEHIND_S = 1.5; // more than any lateness that fusion waits for
const mounted = new WeakMap();

/** Entry point of the component. Returns how to take it down. */
export async function mount(parent, data, base) {
  const root = parent.querySelector(".roadweave");
  if (!mounted.has(root)) {
    try {
      mounted.set(root, new LivePage(root, `${base}live`));
    } catch (error) {
      root.replaceChildren();
      element(root, "div", "trouble", String(error.message ?? error));
    }
  }
  return () => { mounted.get(root)?.close(); mounted.delete(root); root.replaceChildren(); };
}

class LivePage {
  constructor(root, url) {
    this.root = root; this.url = url; this.revision = -1;
    root.classList.add("live");
    const stage = element(root, "div", "stage");
    this.scene = new SceneCanvas(element(stage, "div", "bev-host"));
    viewButtons(stage, this.scene);
    this.layers = new LayerList(element(stage, "div", "layers"), this.scene, () => this.scene.draw());
    this.banner = element(stage, "div", "banner", "Waiting for the first objects …");
    this.poll();
  }

  async poll() {
    let wait = EVERY_MS;
    try {
      const response = await fetch(`${this.url}?after=${this.revision}`);
      if (response.status === 200) this.show(unpack(await response.arrayBuffer()));
      else if (response.status !== 204) throw new Error(`${response.status} ${response.statusText}`);
    } catch {
      this.say("The dashboard does not answer; trying again …");
      wait = RETRY_MS;
    }
    if (!this.closed) this.timer = setTimeout(() => this.poll(), wait);
  }

  show(packet) {
    if (this.closed) return;
    const { meta } = packet;
    this.revision = meta.revision;
    this.say(trouble(meta));
    if (meta.empty) return;
    this.scene.setPlace({ rsus: meta.rsus, path: [], classes: meta.classes });
    this.layers.update(meta.layers);
    this.scene.show(packet);
    this.layers.count();
    this.root.dataset.shown = String(meta.revision);
  }

  say(text) {
    this.banner.textContent = text;
    this.banner.style.display = text ? "block" : "none";
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.scene.close();
  }
}

/** What a viewer must know before trusting the picture, or nothing. */
function trouble(meta) {
  if (meta.link === "down") return `No link: ${meta.trouble}`;
  if (meta.empty) return "Connected; waiting for the first objects …";
  return meta.behind_s > BEHIND_S ? `Fusion is ${meta.behind_s.toFixed(1)} s behind` : "";
}

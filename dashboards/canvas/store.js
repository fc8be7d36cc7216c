// The moments of one drive: fetched once, kept for a while, and fetched ahead in the direction of travel.

import { unpack } from "./packet.js";

const KEPT = 60, AHEAD = 8, AT_ONCE = 3;

/** What the server says is wrong. */
export async function whyNot(response) {
  return (await response.json().catch(() => ({}))).error ?? `The server answers ${response.status} ${response.statusText}`;
}

export class Store {
  /** `prefetch` false turns the fetching ahead off (for measuring what it brings). */
  constructor(url, count, prefetch = true) {
    this.url = url; this.count = count; this.prefetch = prefetch;
    this.query = "";
    this.packets = new Map(); // by moment, oldest use first
    this.loading = new Map();
    this.direction = 1;
    this.closed = false;
  }

  has(moment) { return this.packets.has(moment); }

  /** The packet of a moment; rejects with the server's words where there is none. */
  async get(moment) {
    const known = this.packets.get(moment);
    if (known) {
      this.packets.delete(moment);
      this.packets.set(moment, known);
      return known;
    }
    if (!this.loading.has(moment)) this.loading.set(moment, this.fetch(moment).finally(() => this.loading.delete(moment)));
    return this.loading.get(moment);
  }

  async fetch(moment) {
    const { query } = this;
    const response = await fetch(`${this.url}/moments/${moment}${query}`);
    if (!response.ok) throw new Error(await whyNot(response));
    const packet = unpack(await response.arrayBuffer());
    if (query !== this.query) return this.fetch(moment);
    this.packets.set(moment, packet);
    for (const oldest of this.packets.keys()) {
      if (this.packets.size <= KEPT) break;
      this.packets.delete(oldest);
    }
    return packet;
  }

  /** Fetch what will probably be asked for next: mostly ahead, a little behind. */
  ahead(moment) {
    if (!this.prefetch || this.closed) return;
    const steps = [...Array.from({ length: AHEAD }, (_, i) => i + 1), -1, -2].map((step) => moment + step * this.direction);
    for (const next of steps) {
      if (this.loading.size >= AT_ONCE) return;
      if (next < 0 || next >= this.count || this.packets.has(next) || this.loading.has(next)) continue;
      this.get(next).then(() => this.ahead(moment), () => {});
    }
  }

  /** Ask for more or less of every moment from now on: what was fetched before is dropped. */
  ask(query) {
    this.query = query;
    this.packets.clear();
  }

  close() { this.closed = true; this.packets.clear(); }
}

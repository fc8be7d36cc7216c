// Where the viewer stands: straight above (orthographic) or tilted (perspective), over a point of the map.

const FIELD_OF_VIEW = 0.6; // radians, of the tilted view
export const TOP = Math.PI / 2;
const LOWEST = 0.2, NARROWEST_M = 4, WIDEST_M = 4000;

export class View {
  constructor() {
    this.x = 0; this.y = 0; this.spanM = 90; this.yaw = 0; this.pitch = TOP;
    this.width = 1; this.height = 1;
  }

  get tilted() { return this.pitch < TOP - 1e-3; }

  get pixelsPerM() { return this.height / this.spanM; }

  /** Axes of the screen in the map: right, up, and towards the viewer. */
  axes() {
    const cy = Math.cos(this.yaw), sy = Math.sin(this.yaw), cp = Math.cos(this.pitch), sp = Math.sin(this.pitch);
    return { right: [cy, sy, 0], up: [-sy * sp, cy * sp, cp], back: [sy * cp, -cy * cp, sp] };
  }

  /** Column-major clip-from-map matrix. */
  matrix() {
    const { right, up, back } = this.axes();
    const along = (a) => -(a[0] * this.x + a[1] * this.y);
    const half = this.spanM / 2, aspect = this.width / this.height;
    if (!this.tilted) {
      const sx = 1 / (half * aspect), sy = 1 / half, sz = 1e-4;
      return columns([right.map((v) => v * sx), up.map((v) => v * sy), back.map((v) => -v * sz), [0, 0, 0]],
        [along(right) * sx, along(up) * sy, -along(back) * sz, 1]);
    }
    const f = 1 / Math.tan(FIELD_OF_VIEW / 2), distance = half * f, near = 0.5;
    // depth w = distance - back.(p - target); z is set so that the near plane falls on -1 and infinity on 1
    return columns([right.map((v) => v * f / aspect), up.map((v) => v * f), back.map((v) => -v), back.map((v) => -v)],
      [along(right) * f / aspect, along(up) * f, distance - along(back) - 2 * near, distance - along(back)]);
  }

  /** Pixel [u, v] of a place in the map, or null behind the viewer. */
  pixelOf(x, y, z = 0) {
    const m = this.matrix();
    const w = m[3] * x + m[7] * y + m[11] * z + m[15];
    if (w < 0.3) return null;
    const u = (m[0] * x + m[4] * y + m[8] * z + m[12]) / w, v = (m[1] * x + m[5] * y + m[9] * z + m[13]) / w;
    return [(u + 1) / 2 * this.width, (1 - v) / 2 * this.height];
  }

  /** The place [x, y] on the plane z = 0 under a pixel, or null above the horizon. */
  groundAt(u, v) {
    const { right, up, back } = this.axes();
    const half = this.spanM / 2, aspect = this.width / this.height;
    const a = (2 * u / this.width - 1) * half * aspect, b = (1 - 2 * v / this.height) * half;
    const at = [0, 1, 2].map((i) => right[i] * a + up[i] * b);
    let ray = back;
    if (this.tilted) {
      const distance = half / Math.tan(FIELD_OF_VIEW / 2);
      ray = [0, 1, 2].map((i) => back[i] * distance - at[i]);
    }
    if (ray[2] < 1e-6) return null;
    const t = -at[2] / ray[2];
    if (this.tilted && t > 0.98) return null;
    return [this.x + at[0] + ray[0] * t, this.y + at[1] + ray[1] * t];
  }

  /** Scale about a pixel, which stays over the same place. */
  zoom(factor, u, v) {
    const before = this.groundAt(u, v);
    this.spanM = Math.min(Math.max(this.spanM * factor, NARROWEST_M), WIDEST_M);
    const after = this.groundAt(u, v);
    if (before && after) { this.x += before[0] - after[0]; this.y += before[1] - after[1]; }
  }

  pan(du, dv) {
    const { right } = this.axes();
    const a = du / this.pixelsPerM, b = dv / this.pixelsPerM / Math.max(Math.sin(this.pitch), 0.3);
    this.x += -right[0] * a - right[1] * b;
    this.y += -right[1] * a + right[0] * b;
  }

  turn(du, dv) {
    this.yaw -= du * 0.006;
    this.pitch = Math.min(Math.max(this.pitch + dv * 0.006, LOWEST), TOP);
  }

  /** Show all of the places [[x, y], ...] with a margin. */
  fit(places, atLeastM = 80) {
    if (!places.length) return;
    const xs = places.map((p) => p[0]), ys = places.map((p) => p[1]);
    const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    this.x = (x0 + x1) / 2; this.y = (y0 + y1) / 2;
    this.spanM = Math.max(atLeastM, (y1 - y0) * 1.15, (x1 - x0) * 1.15 * this.height / this.width);
  }
}

function columns(rows, last) {
  return new Float32Array([0, 1, 2].flatMap((i) => rows.map((row) => row[i])).concat(last));
}

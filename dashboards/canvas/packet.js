// Reads the packets of dashboards/packet.py: named typed arrays behind a JSON header, mapped without a copy.

const MAGIC = 0x31505752; // "RWP1", little-endian
const TYPES = { f4: Float32Array, f8: Float64Array, i8: BigInt64Array, u1: Uint8Array };

/** {meta, arrays: {name: {data, shape}}} of a packet's ArrayBuffer; throws where it is none. */
export function unpack(buffer) {
  const head = new DataView(buffer);
  if (buffer.byteLength < 8 || head.getUint32(0, true) !== MAGIC) {
    throw new Error(`packet: ${buffer.byteLength} bytes that do not start with "RWP1"`);
  }
  const length = head.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const arrays = {};
  for (const [name, { dtype, shape, at }] of Object.entries(header.arrays)) {
    const count = shape.reduce((product, n) => product * n, 1);
    arrays[name] = { data: new TYPES[dtype](buffer, 8 + length + at, count), shape };
  }
  return { meta: header.meta, arrays };
}

/** Columns of the "boxes" array, as dashboards/scene.py numbers them. */
const COLUMNS = 16;

/** A true object without a LiDAR return and with fewer visible pixels than this in every camera is hidden from the ego. */
const HIDDEN_PIXELS = 25;

/** One object per row of a scene's boxes. */
export function boxesOf(packet, classes) {
  const { data } = packet.arrays.boxes;
  const ids = packet.arrays.ids.data;
  const layers = packet.meta.layers;
  const boxes = [];
  for (let row = 0; row * COLUMNS < data.length; row++) {
    const v = data.subarray(row * COLUMNS, (row + 1) * COLUMNS);
    boxes.push({
      row, x: v[0], y: v[1], z: v[2], length: v[3], width: v[4], height: v[5], yaw: v[6], vx: v[7], vy: v[8],
      score: v[9], kind: classes[v[10]] ?? "unknown", layer: layers[v[11]], age: v[12], sigma: v[13],
      lidarPoints: v[14], pixels: v[15], id: ids[row],
      hidden: v[14] === 0 && v[15] >= 0 && v[15] < HIDDEN_PIXELS,
    });
  }
  return boxes;
}

/** The eight corners [x, y, z] of a box: bottom face counter-clockwise from front left, then the top face. */
export function cornersOf(box) {
  const c = Math.cos(box.yaw), s = Math.sin(box.yaw), corners = [];
  for (const up of [-0.5, 0.5]) {
    for (const [along, across] of [[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]]) {
      const dx = along * box.length, dy = across * box.width;
      corners.push([box.x + c * dx - s * dy, box.y + s * dx + c * dy, box.z + up * box.height]);
    }
  }
  return corners;
}

/** Pairs of corners that the twelve edges of a box join. */
export const EDGES = [[0, 1], [1, 2], [2, 3], [3, 0], [4, 5], [5, 6], [6, 7], [7, 4], [0, 4], [1, 5], [2, 6], [3, 7]];

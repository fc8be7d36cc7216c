// The three things WebGL 2 draws here: points, filled triangles, and lines of any width on the screen (instanced quads).

const POINTS_VERTEX = `#version 300 es
uniform mat4 clipFromMap; uniform float size; uniform float warm; uniform vec2 heights; uniform int colouring;
in vec4 point; out vec4 colour;
vec3 ramp(float t) { // dark slate over teal-grey to near white: monotonic in lightness, quiet behind the boxes
  return t < 0.5 ? mix(vec3(0.17, 0.23, 0.33), vec3(0.36, 0.49, 0.56), t * 2.0)
                 : mix(vec3(0.36, 0.49, 0.56), vec3(0.84, 0.87, 0.80), t * 2.0 - 1.0);
}
void main() {
  gl_Position = clipFromMap * vec4(point.xyz, 1.0);
  gl_PointSize = size;
  float t = colouring == 1 ? sqrt(clamp(point.w, 0.0, 1.0)) : clamp((point.z - heights.x) / (heights.y - heights.x), 0.0, 1.0);
  colour = vec4(mix(ramp(t), ramp(t).bgr * vec3(1.0, 0.85, 0.75), warm), 0.92);
}`;

const PLAIN_FRAGMENT = `#version 300 es
precision mediump float; in vec4 colour; out vec4 pixel;
void main() { pixel = vec4(colour.rgb * colour.a, colour.a); }`;

const FILL_VERTEX = `#version 300 es
uniform mat4 clipFromMap; in vec3 place; in vec4 tint; out vec4 colour;
void main() { gl_Position = clipFromMap * vec4(place, 1.0); colour = tint; }`;

const LINE_VERTEX = `#version 300 es
uniform mat4 clipFromMap; uniform vec2 viewport;
in vec3 start; in vec3 end; in vec4 tint; in vec2 stroke; // stroke: width and dash length in pixels, dash 0 = solid
out vec4 colour; out float along; out float across; flat out vec2 shape;
void main() {
  vec4 a = clipFromMap * vec4(start, 1.0), b = clipFromMap * vec4(end, 1.0);
  const float near = 0.3; // of w: metres before the eye where the view is tilted, never reached where it is not
  if (a.w < near && b.w < near) { gl_Position = vec4(2.0, 2.0, 2.0, 1.0); return; }
  if (a.w < near) a = mix(a, b, (near - a.w) / (b.w - a.w));
  if (b.w < near) b = mix(b, a, (near - b.w) / (a.w - b.w));
  vec2 pa = a.xy / a.w * viewport * 0.5, pb = b.xy / b.w * viewport * 0.5;
  float length = max(distance(pa, pb), 1e-3);
  vec2 direction = (pb - pa) / length, normal = vec2(-direction.y, direction.x);
  float side = float(gl_VertexID & 1) * 2.0 - 1.0, tip = float(gl_VertexID >> 1);
  float half_width = stroke.x * 0.5 + 0.75; // and a soft edge
  vec2 place = mix(pa, pb, tip) + normal * side * half_width + direction * (tip * 2.0 - 1.0) * stroke.x * 0.4;
  gl_Position = vec4(place / viewport * 2.0, 0.0, 1.0);
  colour = tint; along = tip * length; across = side * half_width; shape = stroke;
}`;

const LINE_FRAGMENT = `#version 300 es
precision mediump float; in vec4 colour; in float along; in float across; flat in vec2 shape; out vec4 pixel;
void main() {
  if (shape.y > 0.0 && mod(along, shape.y * 1.8) > shape.y) discard;
  float alpha = colour.a * clamp(shape.x * 0.5 + 0.75 - abs(across), 0.0, 1.0);
  pixel = vec4(colour.rgb * alpha, alpha);
}`;

const LINE_FLOATS = 12, FILL_FLOATS = 7, POINT_FLOATS = 4;

/** A growing batch of lines or triangles to draw in one call. */
export class Batch {
  constructor() { this.lines = []; this.fills = []; }

  line(a, b, rgb, alpha, width, dash = 0) {
    this.lines.push(a[0], a[1], a[2], b[0], b[1], b[2], rgb[0], rgb[1], rgb[2], alpha, width, dash);
  }

  path(places, rgb, alpha, width, dash = 0) {
    for (let i = 1; i < places.length; i++) this.line(places[i - 1], places[i], rgb, alpha, width, dash);
  }

  /** A convex polygon. */
  fill(places, rgb, alpha) {
    for (let i = 2; i < places.length; i++) {
      for (const p of [places[0], places[i - 1], places[i]]) this.fills.push(p[0], p[1], p[2], rgb[0], rgb[1], rgb[2], alpha);
    }
  }
}

/** Draws on one canvas; throws where the browser has no WebGL 2. */
export class Painter {
  constructor(canvas) {
    // lines soften their own edges: multisampling would cost a software renderer most of its time
    const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    if (!gl) throw new Error("This browser has no WebGL 2, which the picture is drawn with.");
    this.gl = gl;
    this.points = program(gl, POINTS_VERTEX, PLAIN_FRAGMENT);
    this.fills = program(gl, FILL_VERTEX, PLAIN_FRAGMENT);
    this.lines = program(gl, LINE_VERTEX, LINE_FRAGMENT);
    this.clouds = [0, 1].map(() => ({ count: 0, buffer: vertices(gl, this.points, POINT_FLOATS, [["point", 4]], 0) }));
    this.fillBuffer = vertices(gl, this.fills, FILL_FLOATS, [["place", 3], ["tint", 4]], 0);
    this.lineBuffer = vertices(gl, this.lines, LINE_FLOATS, [["start", 3], ["end", 3], ["tint", 4], ["stroke", 2]], 1);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /** Points [x, y, z, intensity, ...] of cloud 0 (the ego's) or 1 (the roadside units'). */
  setPoints(cloud, data) {
    upload(this.gl, this.clouds[cloud].buffer, data);
    this.clouds[cloud].count = data.length / POINT_FLOATS;
  }

  /** One frame: ground colour, `below`, points, `above`. */
  draw(view, scale, ground, below, above, points) {
    const { gl } = this;
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.clearColor(...ground, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const matrix = view.matrix();
    this.drawBatch(below, matrix, view, scale);
    this.clouds.forEach((cloud, i) => { if (points.shown[i] && cloud.count) this.drawCloud(cloud, i, matrix, scale, points); });
    this.drawBatch(above, matrix, view, scale);
  }

  drawCloud({ count, buffer }, warm, matrix, scale, points) {
    const { gl } = this;
    gl.useProgram(this.points.program);
    gl.uniformMatrix4fv(this.points.at("clipFromMap"), false, matrix);
    gl.uniform1f(this.points.at("size"), points.size * scale);
    gl.uniform1f(this.points.at("warm"), warm);
    gl.uniform2f(this.points.at("heights"), ...points.heights);
    gl.uniform1i(this.points.at("colouring"), points.colouring === "intensity" ? 1 : 0);
    gl.bindVertexArray(buffer.array);
    gl.drawArrays(gl.POINTS, 0, count);
  }

  drawBatch(batch, matrix, view, scale) {
    const { gl } = this;
    if (batch.fills.length) {
      upload(gl, this.fillBuffer, new Float32Array(batch.fills));
      gl.useProgram(this.fills.program);
      gl.uniformMatrix4fv(this.fills.at("clipFromMap"), false, matrix);
      gl.bindVertexArray(this.fillBuffer.array);
      gl.drawArrays(gl.TRIANGLES, 0, batch.fills.length / FILL_FLOATS);
    }
    if (batch.lines.length) {
      upload(gl, this.lineBuffer, new Float32Array(batch.lines));
      gl.useProgram(this.lines.program);
      gl.uniformMatrix4fv(this.lines.at("clipFromMap"), false, matrix);
      gl.uniform2f(this.lines.at("viewport"), view.width, view.height);
      gl.bindVertexArray(this.lineBuffer.array);
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, batch.lines.length / LINE_FLOATS);
    }
  }

  /** Free what the graphics card holds. */
  close() { this.gl.getExtension("WEBGL_lose_context")?.loseContext(); }
}

function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  const places = {};
  return { program: made, at: (name) => (places[name] ??= gl.getUniformLocation(made, name)) };
}

function vertices(gl, { program: made }, floats, fields, divisor) {
  const array = gl.createVertexArray(), buffer = gl.createBuffer();
  gl.bindVertexArray(array);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  let offset = 0;
  for (const [name, count] of fields) {
    const at = gl.getAttribLocation(made, name);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, count, gl.FLOAT, false, floats * 4, offset * 4);
    gl.vertexAttribDivisor(at, divisor);
    offset += count;
  }
  return { array, buffer };
}

function upload(gl, { buffer }, data) {
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
}

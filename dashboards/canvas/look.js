// Colours and line styles of the canvas. Sources differ in hue, width and dash at once, so that no reader depends on hue
// alone; hues are from Okabe and Ito's palette for colour-blind readers (Color Universal Design, 2008), lightened for a dark ground.

export const STYLE = {
  truth: { title: "Truth", rgb: [0.85, 0.88, 0.92], width: 1.3, dash: 5, fill: 0.0, shown: true },
  vehicle: { title: "Vehicle", rgb: [0.34, 0.71, 0.95], width: 1.6, dash: 0, fill: 0.1, shown: true },
  roadside: { title: "Roadside", rgb: [0.98, 0.68, 0.08], width: 1.5, dash: 0, fill: 0.08, shown: true },
  sensor: { title: "Roadside sensor", rgb: [0.8, 0.52, 0.2], width: 1.2, dash: 2, fill: 0.0, shown: false },
  fused: { title: "Fused", rgb: [0.16, 0.92, 0.64], width: 2.1, dash: 0, fill: 0.14, shown: true },
};

/** Further sources of a kind (a second roadside unit) take a neighbouring colour. */
const FURTHER = { roadside: [[0.98, 0.68, 0.08], [0.96, 0.9, 0.35], [0.95, 0.47, 0.2], [0.85, 0.55, 0.75]] };

export const GROUND = [0.043, 0.059, 0.082];
export const GRID = [0.42, 0.5, 0.6];
export const EGO = [0.93, 0.95, 0.98];

/** The style of every layer of a scene, in order. */
export function stylesOf(layers) {
  const seen = {};
  return layers.map((layer) => {
    const style = STYLE[layer.kind];
    const nth = (seen[layer.kind] = (seen[layer.kind] ?? -1) + 1);
    const hues = FURTHER[layer.kind];
    return { ...style, rgb: hues ? hues[nth % hues.length] : style.rgb };
  });
}

export const css = (rgb, alpha = 1) => `rgba(${rgb.map((v) => Math.round(v * 255)).join(",")},${alpha})`;

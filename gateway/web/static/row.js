// One sensor as a row of a table: state, name, level, baseline, ratio, trend, time.

import { element, icon, link, setAttribute, setIcon, setText, shape } from "./dom.js";
import { present } from "./model.js";
import { levelOf, moment, number, ratio, ratioOf } from "./words.js";

const POINTS = 60;
const TREND = { width: 120, height: 28, edge: 3 };

export const HEADS = [
  ["state", "State"], ["name", "Sensor"], ["level", "Level"], ["baseline", "Baseline"],
  ["ratio", "Level / baseline"], ["trend", "Trend"], ["time", "Last reading"],
];

export function cell(name, ...children) {
  return element("td", { role: "cell", class: name }, ...children);
}

// The ratio at the right end of every bar.
export function scale() {
  return (present.about.criticalRatio ?? 2.5) * 1.25;
}

export function bar() {
  const fill = element("i");
  return { figure: element("span", { class: "figure" }), fill, whole: element("span", { class: "bar" }, fill) };
}

export function drawBar(parts, value) {
  setText(parts.figure, ratio(value));
  const length = Math.min(1, Math.max(0, (value ?? 0) / scale())).toFixed(3);
  if (parts.length !== length) parts.fill.style.transform = `scaleX(${length})`;
  parts.length = length;
}

export function createRow(sensor) {
  const measure = bar();
  const parts = {
    measure,
    icon: icon(),
    word: element("span", { class: "word" }),
    level: element("strong"),
    unit: element("span", { class: "unit" }),
    baseline: cell("baseline"),
    base: shape("line", { x1: 0, x2: TREND.width }),
    trace: shape("polyline"),
    time: cell("time"),
  };
  const { width, height } = TREND;
  const box = { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" };
  parts.row = element(
    "tr",
    { role: "row", class: "sensor" },
    cell("state", parts.icon, parts.word),
    element("th", { role: "rowheader", scope: "row", class: "name" }, link(["sensor", sensor.id], sensor.id)),
    cell("level", parts.level, " ", parts.unit),
    parts.baseline,
    cell("ratio", element("div", { class: "measure" }, measure.figure, measure.whole)),
    cell("trend", shape("svg", box, parts.base, parts.trace)),
    parts.time,
  );
  return parts;
}

export function drawRow(parts, sensor) {
  setAttribute(parts.row, "data-state", sensor.state);
  setIcon(parts.icon, sensor.state);
  setText(parts.word, sensor.state);
  const [level, unit] = levelOf(sensor);
  setText(parts.level, level);
  setText(parts.unit, unit);
  setText(parts.baseline, number(sensor.baseline));
  drawBar(parts.measure, ratioOf(sensor));
  setText(parts.time, sensor.time ? moment(sensor.time * 1000) : "–");
  drawTrend(parts, sensor);
}

// The range is never less than half of the middle, so that noise looks like noise.
function drawTrend(parts, { spark, baseline }) {
  const points = spark.filter((level) => level !== null);
  const known = baseline === null ? points : [...points, baseline];
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const span = Math.max(high - low, Math.abs(high + low) / 4, Number.MIN_VALUE);
  const bottom = (high + low - span) / 2;
  const { width, height, edge } = TREND;
  const y = (level) => (height - edge - ((level - bottom) / span) * (height - 2 * edge)).toFixed(1);
  const x = (index) => (width - ((points.length - 1 - index) * width) / (POINTS - 1)).toFixed(1);
  parts.trace.setAttribute("points", points.map((level, index) => `${x(index)},${y(level)}`).join(" "));
  parts.base.toggleAttribute("hidden", baseline === null);
  if (baseline !== null) {
    setAttribute(parts.base, "y1", y(baseline));
    setAttribute(parts.base, "y2", y(baseline));
  }
}

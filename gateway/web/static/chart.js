// Levels over time, drawn by uPlot: the band from lowest to highest, the mean, the baseline, the limits, the alerts.

import { element } from "./dom.js";
import { number, whole } from "./words.js";

const DAY = 86_400;
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SECONDS = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const MONTH = new Intl.DateTimeFormat("en-GB", { month: "short", year: "numeric" });

let loading = null;

// uPlot comes only when the first chart does.
function load() {
  loading ??= new Promise((done, failed) => {
    const script = element("script", { src: "/static/uplot/uPlot.js" });
    script.addEventListener("load", () => done(window.uPlot));
    script.addEventListener("error", failed);
    document.head.append(element("link", { rel: "stylesheet", href: "/static/uplot/uPlot.css" }), script);
  });
  return loading;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function ticks(_plot, splits, _axis, _space, step) {
  return splits.map((time) => {
    const date = new Date(time * 1000);
    if (step >= 28 * DAY) return MONTH.format(date);
    const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
    if (step >= DAY || midnight) return DATE.format(date);
    return (step < 60 ? SECONDS : CLOCK).format(date);
  });
}

function axis(more) {
  return {
    stroke: colour("--muted"),
    grid: { stroke: colour("--rule"), width: 1 },
    ticks: { stroke: colour("--rule"), width: 1 },
    font: '13px system-ui, "DejaVu Sans", sans-serif',
    ...more,
  };
}

// What `lines` and `spans` are drawn with: { at, colour, dash } in units of y, { from, to, colour } in seconds.
function draw(plot, lines, spans) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const { from, to, colour: fill, mark } of spans.filter((span) => !span.label)) {
    const [left, right] = [from, to].map((time) => plot.valToPos(time, "x", true));
    ctx.fillStyle = fill;
    ctx.globalAlpha = 0.18;
    ctx.fillRect(left, bbox.top, Math.max(right - left, 2), bbox.height);
    ctx.globalAlpha = 1;
    if (mark) ctx.fillRect(left, bbox.top, 2 * devicePixelRatio, bbox.height);
  }
  ctx.globalAlpha = 1;
  drawStates(plot, spans.filter((span) => span.label));
  for (const { points, colour: stroke, dash } of lines) {
    ctx.strokeStyle = stroke;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
    ctx.beginPath();
    points.forEach(([time, level], index) => {
      const [x, y] = [plot.valToPos(time, "x", true), plot.valToPos(level, "y", true)];
      if (index) ctx.lineTo(x, y);
      else ctx.moveTo(x, y);
    });
    ctx.stroke();
  }
  ctx.restore();
}

// Operating states are a strip at the foot of the chart, each with its name where there is room.
function drawStates(plot, states) {
  const { ctx, bbox } = plot;
  const height = 18 * devicePixelRatio;
  ctx.font = `${12 * devicePixelRatio}px system-ui, "DejaVu Sans", sans-serif`;
  ctx.textBaseline = "middle";
  states.forEach(({ from, to, label, colour: fill }, index) => {
    const left = Math.max(plot.valToPos(from, "x", true), bbox.left);
    const width = Math.min(plot.valToPos(to, "x", true), bbox.left + bbox.width) - left;
    const top = bbox.top + bbox.height - height;
    ctx.fillStyle = fill;
    ctx.globalAlpha = index % 2 ? 0.3 : 0.15;
    ctx.fillRect(left, top, width, height);
    ctx.globalAlpha = 1;
    if (ctx.measureText(label).width + height < width) ctx.fillText(label, left + height / 3, top + height / 2);
  });
}

// Steps without a reading are a gap, not a line across it.
function withGaps(columns) {
  const [times] = columns;
  const apart = times.slice(1).map((time, index) => time - times[index]).sort((a, b) => a - b);
  const usual = apart[apart.length >> 1] ?? 0;
  const made = columns.map(() => []);
  times.forEach((time, index) => {
    if (index && time - times[index - 1] > 5 * usual) {
      made.forEach((column, which) => column.push(which ? null : times[index - 1] + usual));
    }
    made.forEach((column, which) => column.push(columns[which][index]));
  });
  return made;
}

// A chart that fills `node`; `set` replaces what it shows, and it is drawn anew when the size or the scheme changes.
export class Chart {
  constructor(node, height) {
    this.node = node;
    this.height = height;
    this.plot = null;
    this.shown = null;
    this.sizes = new ResizeObserver(() => this.plot?.setSize({ width: this.width, height }));
    this.sizes.observe(node);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.again = () => this.shown && this.set(this.shown);
    this.scheme.addEventListener("change", this.again);
  }

  get width() {
    return Math.max(200, Math.floor(this.node.clientWidth));
  }

  close() {
    this.sizes.disconnect();
    this.scheme.removeEventListener("change", this.again);
    this.plot?.destroy();
    this.plot = null;
    this.shown = null;
  }

  // { columns: [time, mean] or [time, low, mean, high], window: [from, to], range: [bottom, top], lines, spans, unit }
  async set(shown) {
    this.shown = shown;
    const UPlot = await load();
    if (this.shown !== shown) return;
    this.plot?.destroy();
    this.plot = new UPlot(this.options(shown), withGaps(shown.columns), this.node);
  }

  options({ columns, window, range, lines = [], spans = [], unit }) {
    const trace = colour("--trace-strong");
    const value = (_plot, level) => (level === null ? "–" : `${number(level)} ${unit}`);
    const soft = { width: 0, points: { show: false }, value };
    const mean = { label: columns.length > 2 ? "Mean" : "Level", stroke: trace, width: 1.6, points: { show: columns[0].length < 40, size: 5 }, value };
    const banded = [{ ...soft, label: "Lowest", stroke: trace }, mean, { ...soft, label: "Highest", stroke: trace }];
    return {
      width: this.width,
      height: this.height,
      scales: { x: { range: () => window }, y: { range: () => range } },
      series: [{ label: "Time", value: (_plot, time) => (time === null ? "–" : whole(time * 1000)) }, ...(columns.length > 2 ? banded : [mean])],
      bands: columns.length > 2 ? [{ series: [3, 1], fill: colour("--band") }] : [],
      axes: [axis({ values: ticks, space: 70 }), axis({ size: 62, values: (_plot, splits) => splits.map((level) => (level === 0 ? "0" : number(level))) })],
      cursor: { drag: { x: false, y: false }, points: { size: 7 } },
      hooks: { drawAxes: [(plot) => draw(plot, lines(), spans())] },
    };
  }
}

export function rangeOf(levels, marks) {
  const known = levels.filter((level) => level !== null);
  if (!known.length) return [0, marks[0] ? marks[0] * 1.2 : 1];
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const near = marks.filter((mark) => mark <= 1.8 * Math.max(high, marks[0] ?? 0));
  const top = Math.max(high, ...near);
  if (low >= 0) return [0, top * 1.08 || 1];
  const spare = (top - low) * 0.08;
  return [low - spare, top + spare];
}

export { colour };

// One sensor: what it says now, its history with baseline, limits and alerts, its features, its alerts.

import { AlertList, closedTable } from "./alerts.js";
import { Chart, colour, rangeOf } from "./chart.js";
import { element, icon, link, setAttribute, setIcon, setText } from "./dom.js";
import { sensors } from "./model.js";
import { capital, count, levelOf, moment, number, ratio, ratioOf, where, whole } from "./words.js";

const RANGES = [["15m", "15 min", 900], ["1h", "1 hour", 3600], ["6h", "6 hours", 21_600], ["1d", "1 day", 86_400],
  ["7d", "1 week", 604_800], ["30d", "30 days", 2_592_000], ["365d", "1 year", 31_536_000]];
const ACCELERATION = /(s²|g)$/;
const SOURCES = { event: "the sensor's own", set: "set by hand" };
const READINGS = 400; // that features are drawn from at most
const HOUR = 3600;

let chosen = "1h";

export function title(id) {
  return id;
}

export function open(root, id) {
  const view = new SensorView(root, id);
  view.look();
  return view;
}

class SensorView {
  constructor(root, id) {
    this.id = id;
    this.path = `/api/v1/sensors/${encodeURIComponent(id)}`;
    this.closing = new AbortController();
    this.features = new Map(); // name -> { chart, node, now }
    this.createHead(root);
    this.createHistory(root);
    this.alerts = new AlertList({ heading: "Open alerts", wanted: (alert) => alert.sensorId === id, more: false, none: "None." });
    this.closed = element("div");
    this.featureList = element("div", { class: "features" });
    this.featureNote = element("p", { class: "note coverage" });
    this.featureSection = element("section", { hidden: "" }, element("h2", {}, "Features"), this.featureNote, this.featureList);
    const earlier = element("section", {}, element("h2", {}, "Alerts in this span of time"), this.closed);
    root.append(this.alerts.node, this.featureSection, earlier);
  }

  createHead(root) {
    this.icon = icon();
    this.word = element("span", { class: "word" });
    this.level = element("strong");
    this.unit = element("span", { class: "unit" });
    this.compared = element("span", { class: "compared" });
    this.time = element("span", { class: "of" });
    this.crumbs = element("p", { class: "crumbs" });
    this.now = element("p", { class: "now" }, this.icon, this.word, " ", this.level, " ", this.unit, " ", this.compared, " ", this.time);
    root.append(this.crumbs, element("h2", { class: "name" }, this.id), this.now);
  }

  createHistory(root) {
    const buttons = RANGES.map(([value, text]) => {
      const button = element("button", { type: "button", "aria-pressed": String(value === chosen), "data-range": value }, text);
      button.addEventListener("click", () => this.choose(value));
      return button;
    });
    this.buttons = element("div", { class: "ranges", role: "group", "aria-label": "Span of time" }, ...buttons);
    this.figure = element("div", { class: "chart", role: "img", "aria-label": "Level over time" });
    this.caption = element("p", { class: "note caption" });
    this.facts = element("dl", { class: "facts" });
    this.standing = element("p", { class: "note" });
    this.chart = new Chart(this.figure, 320);
    const heading = element("div", { class: "bar-above" }, element("h2", {}, "Level"), this.buttons);
    root.append(element("section", {}, heading, this.figure, this.caption, this.facts, this.standing));
  }

  choose(value) {
    chosen = value;
    for (const button of this.buttons.children) setAttribute(button, "aria-pressed", String(button.dataset.range === value));
    this.look();
  }

  close() {
    this.closing.abort();
    clearTimeout(this.timer);
    this.chart.close();
    for (const { chart } of this.features.values()) chart.close();
  }

  draw({ fresh }) {
    this.alerts.draw(fresh);
    const sensor = sensors.get(this.id);
    if (!sensor) return;
    setAttribute(this.now, "data-state", sensor.state);
    setIcon(this.icon, sensor.state);
    setText(this.word, capital(sensor.state));
    const [level, unit] = levelOf(sensor);
    setText(this.level, level);
    setText(this.unit, unit);
    setText(this.compared, sensor.level === null && sensor.measured ? "" : sensor.baseline === null ? "no baseline yet" : `${ratio(ratioOf(sensor))} its baseline ${number(sensor.baseline)}`);
    setText(this.time, sensor.time ? `at ${moment(sensor.time * 1000)}` : "no reading since the start");
    if (this.crumbs.childElementCount) return;
    const [machine] = [sensor.machine];
    const above = [sensor.site, sensor.area].filter(Boolean).join(" › ");
    const self = machine ? link(["machine", sensor.site, sensor.area, machine], machine) : "";
    this.crumbs.append(link([], "Overview"), where(sensor).length ? " › " : "", above, above && machine ? " › " : "", self);
  }

  // Ask for everything, draw it, and ask again after a fiftieth of the span.
  async look() {
    clearTimeout(this.timer);
    const [, , seconds] = RANGES.find(([value]) => value === chosen);
    const asked = chosen;
    try {
      const features = this.ask(`readings?since=${Math.min(seconds, HOUR)}s&limit=${READINGS}`).catch(() => null); // among very many it may take too long
      const [past, last, quantities] = await Promise.all([this.ask(`history?from=${asked}&points=600`), features, knownQuantities()]);
      if (asked !== chosen || this.closing.signal.aborted) return;
      this.drawHistory(past, seconds);
      this.lookBeside().catch(() => {}); // it is asked again with the next look
      if (last) this.drawFeatures(last, quantities, seconds);
      else setText(this.featureNote, "The newest readings could not be looked up in time.");
    } catch (error) {
      if (this.closing.signal.aborted) return;
      this.figure.hidden = !this.facts.childElementCount; // nothing has ever been drawn
      const more = this.figure.hidden ? [" What came and could not be used is counted on the page of the ", link(["gateway"], "gateway"), "."] : [];
      this.caption.replaceChildren(error.message, ...more);
    }
    this.timer = setTimeout(() => this.look(), Math.min(Math.max(seconds / 50, 10), 300) * 1000);
  }

  // How its machine was said to run, and what of it was not judged.
  async lookBeside() {
    const { machineState: said, notJudged, contradiction } = await this.ask("");
    const run = said ? `Machine state: ${said.state}, ${said.since ? `since ${moment(said.since)}, ` : ""}by ${said.by}. ` : "";
    const counts = Object.entries(notJudged).map(([reason, times]) => `${times} ${reason}`);
    setText(this.standing, run + (counts.length ? `Readings not judged: ${counts.join(", ")}. ` : "") + (contradiction ? `${capital(contradiction)}.` : ""));
  }

  async ask(what) {
    const answer = await fetch(`${this.path}${what && "/"}${what}`, { signal: this.closing.signal });
    if (answer.ok) return answer.json();
    const { detail } = await answer.json().catch(() => ({}));
    throw new Error(typeof detail === "string" ? `${capital(detail)}.` : `The gateway answered ${answer.status}.`);
  }

  drawHistory(past, seconds) {
    const { limits, unit } = past;
    const to = Math.max(new Date(past.to) / 1000, 0);
    const window = [to - seconds, to];
    const marks = limits ? [limits.warning, limits.critical, limits.baseline] : [];
    this.figure.hidden = false;
    this.chart.set({
      unit,
      window,
      columns: [past.time.map((time) => time + past.step / 2), past.low, past.mean, past.high],
      range: rangeOf([...past.low, ...past.high], marks),
      lines: () => linesOf(past, window),
      spans: () => spansOf(past, to),
    });
    const words = summary(past);
    setText(this.caption, words);
    setAttribute(this.figure, "aria-label", `Level of ${this.id}. ${words}`);
    this.drawFacts(limits, unit, past);
    this.closed.replaceChildren(closedTable([...past.alerts].reverse()));
  }

  drawFacts(limits, unit, past) {
    const version = limits?.version ? `, version ${limits.version}` : "";
    const facts = limits
      ? [["baseline", `Baseline (${SOURCES[limits.source] ?? limits.source}${version})`, limits.baseline], ["warning", "Warning from", limits.warning], ["critical", "Critical from", limits.critical], ["clear", "Over below", limits.clear]]
      : [];
    this.facts.replaceChildren(...facts.map(([name, text, level]) => fact(name, text, `${number(level)} ${unit}`)));
    const now = sensors.get(this.id);
    const why = now?.measured && now.level === null ? "none: it measures no level" : "none yet: it is being learned";
    if (!limits) this.facts.append(fact("baseline", "Baseline", why));
    const learned = past.baselines.at(-1);
    if (learned) this.facts.append(fact("learned", "Last learned", `${whole(learned.at)}, from ${count(learned.readings, "reading")}`));
  }

  drawFeatures(readings, quantities, seconds) {
    const last = readings.at(-1);
    const shown = quantities.filter(({ wire }) => readings.some((reading) => wire in reading.features));
    this.featureSection.hidden = !shown.length;
    setText(this.featureNote, coverage(readings, seconds));
    for (const quantity of shown) {
      const known = readings.filter((reading) => quantity.wire in reading.features);
      const [times, levels] = [known.map((reading) => new Date(reading.time) / 1000), known.map((reading) => reading.features[quantity.wire])];
      const { chart, now } = this.feature(quantity);
      const unit = unitOf(quantity, known.at(-1));
      setText(now, `${number(levels.at(-1))} ${unit}`);
      chart.set({ unit, window: [times[0], times.at(-1) + 1], columns: [times, levels], range: padded(levels), lines: () => [], spans: () => [] });
    }
    if (last) this.time.replaceChildren(`at ${moment(last.time)} (`, link(["trace", last.eventId], "trace"), ")");
  }

  feature({ wire, label }) {
    if (!this.features.has(wire)) {
      const [now, box] = [element("strong"), element("div", { class: "chart", role: "img", "aria-label": label })];
      this.featureList.append(element("div", { class: "feature" }, element("h3", {}, label, " ", now), box));
      this.features.set(wire, { now, chart: new Chart(box, 130) });
    }
    return this.features.get(wire);
  }
}

// The table of quantities, asked for once: it only changes with the program.
let quantitiesKnown = null;

function knownQuantities() {
  quantitiesKnown ??= fetch("/api/v1/quantities").then((answer) => answer.json()).catch(() => {
    quantitiesKnown = null;
    return [];
  });
  return quantitiesKnown;
}

// An event gives a peak in the unit of its level, where that is an acceleration.
function unitOf({ kind, unit }, reading) {
  return kind === "acceleration" && ACCELERATION.test(reading.unit) ? reading.unit : unit;
}

function fact(name, text, value) {
  return element("div", { class: `fact ${name}` }, element("dt", {}, text), element("dd", {}, value));
}

// Features are kept with each reading and nowhere summed up: say what of the span is drawn.
function coverage(readings, seconds) {
  if (readings.length >= READINGS) return `From the newest ${READINGS} readings, since ${moment(readings[0].time)}.`;
  if (seconds <= HOUR) return "From every reading in this span of time.";
  return "From the last hour: for longer spans the journal sums up only the level. InfluxDB, where there is one, and “events export” have the features of every reading.";
}

function padded(levels) {
  const [low, high] = [Math.min(...levels), Math.max(...levels)];
  const spare = Math.max((high - low) * 0.15, Math.abs(high) * 0.05, 1e-9);
  return [low - spare, high + spare];
}

function linesOf({ limits, baselines }, [from, to]) {
  const lines = [];
  const steps = baselines.map(({ at, level }) => [Math.max(new Date(at) / 1000, from), level]);
  const learned = steps.flatMap(([time, level], index) => [[time, level], [steps[index + 1]?.[0] ?? to, level]]);
  if (learned.length && limits?.source !== "configured" && limits?.source !== "event") lines.push({ points: learned, colour: colour("--muted"), dash: [2, 4] });
  else if (limits) lines.push({ points: [[from, limits.baseline], [to, limits.baseline]], colour: colour("--muted"), dash: [2, 4] });
  for (const name of limits ? ["warning", "critical"] : []) {
    lines.push({ points: [[from, limits[name]], [to, limits[name]]], colour: colour(name === "warning" ? "--warning-line" : "--critical-line"), dash: [7, 4] });
  }
  return lines;
}

function spansOf({ alerts, states = [] }, to) {
  const bands = states.map((state) => ({ from: new Date(state.from) / 1000, to: state.to ? new Date(state.to) / 1000 : to, colour: colour("--text"), label: state.state }));
  const seconds = (time) => new Date(time) / 1000;
  return [...bands, ...alerts.map((alert) => ({
    from: seconds(alert.openedAt),
    to: alert.clearedAt ? seconds(alert.clearedAt) : to,
    colour: colour(alert.severity === "critical" ? "--critical" : "--warning"),
    mark: true,
  }))];
}

function summary({ time, low, high, count: counts, unit, step, alerts }) {
  if (!time.length) return "No level was measured in this span of time.";
  const known = (levels) => levels.filter((level) => level !== null);
  const total = counts.reduce((sum, each) => sum + each, 0);
  const every = step < 120 ? `${step} s` : step < 7200 ? `${Math.round(step / 60)} min` : `${Math.round(step / 3600)} h`;
  return `${count(total, "reading")} between ${number(Math.min(...known(low)))} and ${number(Math.max(...known(high)))} ${unit}; a value for every ${every}; ${count(alerts.length, "alert")}.`;
}

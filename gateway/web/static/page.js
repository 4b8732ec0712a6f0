// The live page: a model that the event stream feeds, and a drawing of what changed in it, once per frame.
// Texts come from sensors: they only ever become text nodes.

import { $, element, icon, place, setAttribute, setIcon, setText, shape } from "./dom.js";

const POINTS = 60;
const SILENCE_MS = 40_000; // the gateway says something every 15 s
const CHECK_MS = 10_000;
const SEVERITIES = ["critical", "warning"];
const STATES = [...SEVERITIES, "learning", "ok", "waiting"];
const TREND = { width: 120, height: 28, edge: 3 };

// --- words -------------------------------------------------------------------------------------------------------

const collator = new Intl.Collator(undefined, { numeric: true });

function number(value) {
  if (value === null) return "–";
  return Math.abs(value) < 1000 ? value.toPrecision(3) : value.toFixed(0);
}

function ratio(value) {
  return value === null ? "–" : `${value.toFixed(value < 10 ? 2 : 1)} ×`;
}

function isToday(moment) {
  return moment.toDateString() === new Date().toDateString();
}

function clock(time) {
  const moment = new Date(time);
  return isToday(moment) ? moment.toLocaleTimeString() : moment.toLocaleDateString();
}

function toTheMinute(moment) {
  const date = isToday(moment) ? {} : { day: "numeric", month: "short" };
  return moment.toLocaleString([], { ...date, hour: "2-digit", minute: "2-digit" });
}

function ago(moment) {
  const minutes = Math.max(0, Math.floor((Date.now() - moment) / 60_000));
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60)];
  if (days >= 2) return `${days} days`;
  return hours >= 2 ? `${hours} h` : `${minutes} min`;
}

function where(tags) {
  return [tags.site, tags.area, tags.machine].filter(Boolean);
}

function capital(word) {
  return word[0].toUpperCase() + word.slice(1);
}

function count(amount, noun) {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}

// --- sensors -----------------------------------------------------------------------------------------------------

const sensors = new Map(); // id -> { now, spark, row, group }
const groups = new Map(); // place -> { key, body, members }
const changed = new Set(); // sensors to draw
let reorder = false;
let scale = 3; // the ratio at the end of the bar

function takeSensor(update) {
  const sensor = sensors.get(update.id);
  if (!sensor && !update.spark) return; // the snapshot that knows it is on its way
  if (!sensor) {
    const added = { now: update, spark: update.spark, row: null, group: null };
    sensors.set(update.id, added);
    changed.add(added);
    reorder = true;
    return;
  }
  if (update.spark) sensor.spark = update.spark;
  else if (update.time !== sensor.now.time) sensor.spark.push(update.level);
  if (sensor.spark.length > POINTS) sensor.spark.shift();
  reorder ||= update.state !== sensor.now.state;
  sensor.now = { ...sensor.now, ...update };
  changed.add(sensor);
}

function forgetSensors(known) {
  for (const [id, sensor] of sensors) {
    if (known.has(id)) continue;
    sensors.delete(id);
    changed.delete(sensor);
    sensor.group?.members.delete(sensor);
    reorder = true;
  }
}

function groupOf(now) {
  const path = where(now);
  const key = JSON.stringify(path);
  if (!groups.has(key)) {
    const machine = path.pop() ?? "Other sensors";
    const above = path.length ? `${path.join(" › ")} › ` : "";
    const title = element("th", { role: "rowheader", scope: "rowgroup", colspan: "7" }, above, element("strong", {}, machine));
    const head = element("tr", { role: "row", class: "group" }, title);
    groups.set(key, { key, body: element("tbody", { role: "rowgroup" }, head), members: new Set() });
  }
  return groups.get(key);
}

function createRow(sensor) {
  const cell = (name, ...children) => element("td", { role: "cell", class: name }, ...children);
  const parts = {
    icon: icon(),
    word: element("span", { class: "word" }),
    level: element("strong"),
    unit: element("span", { class: "unit" }),
    baseline: cell("baseline"),
    ratio: element("span", { class: "figure" }),
    fill: element("i"),
    base: shape("line", { x1: 0, x2: TREND.width }),
    trace: shape("polyline"),
    time: cell("time"),
  };
  const { width, height } = TREND;
  const box = { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" };
  const row = element(
    "tr",
    { role: "row", class: "sensor", tabindex: "-1" },
    cell("state", parts.icon, parts.word),
    element("th", { role: "rowheader", scope: "row", class: "name" }, sensor.now.id),
    cell("level", parts.level, " ", parts.unit),
    parts.baseline,
    cell("ratio", element("div", { class: "measure" }, parts.ratio, element("span", { class: "bar" }, parts.fill))),
    cell("trend", shape("svg", box, parts.base, parts.trace)),
    parts.time,
  );
  return { row, ...parts };
}

function drawSensor(sensor) {
  const { now } = sensor;
  if (!sensor.row) {
    sensor.row = createRow(sensor);
    sensor.group = groupOf(now);
    sensor.group.members.add(sensor);
  }
  const parts = sensor.row;
  setAttribute(parts.row, "data-state", now.state);
  setIcon(parts.icon, now.state);
  setText(parts.word, now.state);
  setText(parts.level, number(now.level));
  setText(parts.unit, now.unit);
  setText(parts.baseline, number(now.baseline));
  setText(parts.ratio, ratio(now.ratio));
  setText(parts.time, now.time ? clock(now.time) : "–");
  parts.fill.style.transform = `scaleX(${Math.min(1, (now.ratio ?? 0) / scale)})`;
  drawTrend(sensor);
}

// The range is never less than half of the middle, so that noise looks like noise.
function drawTrend({ now, spark, row }) {
  const points = spark.filter((level) => level !== null);
  const known = now.baseline === null ? points : [...points, now.baseline];
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const span = Math.max(high - low, Math.abs(high + low) / 4, Number.MIN_VALUE);
  const bottom = (high + low - span) / 2;
  const { width, height, edge } = TREND;
  const y = (level) => (height - edge - ((level - bottom) / span) * (height - 2 * edge)).toFixed(1);
  const x = (index) => (width - ((points.length - 1 - index) * width) / (POINTS - 1)).toFixed(1);
  row.trace.setAttribute("points", points.map((level, index) => `${x(index)},${y(level)}`).join(" "));
  row.base.toggleAttribute("hidden", now.baseline === null);
  if (now.baseline !== null) {
    setAttribute(row.base, "y1", y(now.baseline));
    setAttribute(row.base, "y2", y(now.baseline));
  }
}

// Only severity decides the order, then the name: rows must not wander with every reading.
function rank(sensor) {
  const index = SEVERITIES.indexOf(sensor.now.state);
  return index < 0 ? SEVERITIES.length : index;
}

function arrange() {
  const worst = (group) => Math.min(...[...group.members].map(rank));
  for (const [key, group] of groups) if (!group.members.size) groups.delete(key);
  const sorted = [...groups.values()]
    .map((group) => ({ group, rank: worst(group) }))
    .sort((a, b) => a.rank - b.rank || collator.compare(a.group.key, b.group.key));
  for (const { group } of sorted) {
    const members = [...group.members].sort((a, b) => rank(a) - rank(b) || collator.compare(a.now.id, b.now.id));
    place(group.body, members.map((sensor) => sensor.row.row), 1);
  }
  place($("sensors"), sorted.map(({ group }) => group.body), 1);
}

// --- alerts ------------------------------------------------------------------------------------------------------

const alertItems = new Map(); // id -> element and its parts
let alerts = null; // to draw

function createAlert() {
  const parts = {
    icon: icon(),
    word: element("span", { class: "word" }),
    machine: element("span", { class: "machine" }),
    sensor: element("a", { href: "#sensors" }),
    place: element("span", { class: "place" }),
    reason: element("span", { class: "reason" }),
    time: element("time"),
    lasting: element("span", { class: "lasting" }),
    opened: element("span", { class: "opened" }),
  };
  const what = element("span", { class: "what" }, parts.machine, parts.sensor, parts.place);
  const item = element("li", { class: "alert" }, parts.icon, parts.word, what, parts.reason, parts.time);
  parts.time.append(parts.lasting, parts.opened);
  parts.sensor.addEventListener("click", (event) => {
    event.preventDefault();
    sensors.get(parts.sensor.textContent)?.row?.row.focus();
  });
  return { item, ...parts };
}

function drawAlert(alert) {
  if (!alertItems.has(alert.id)) alertItems.set(alert.id, createAlert());
  const parts = alertItems.get(alert.id);
  const notes = [alert.state === "stale" && "no reading since", alert.acknowledged && "acknowledged"].filter(Boolean);
  setAttribute(parts.item, "data-severity", alert.severity);
  setIcon(parts.icon, alert.severity);
  setText(parts.word, capital(alert.severity));
  const path = where(alert.tags);
  setText(parts.machine, path.pop() ?? (alert.location || capital(alert.kind)));
  setText(parts.place, path.join(" › "));
  setText(parts.sensor, alert.sensorId);
  setText(parts.reason, [alert.reason, ...notes].join("; "));
  setAttribute(parts.time, "datetime", alert.openedAt);
  setText(parts.opened, `since ${toTheMinute(new Date(alert.openedAt))}`);
  drawLasting(parts);
  return parts.item;
}

function drawLasting({ time, lasting }) {
  setText(lasting, ago(new Date(time.dateTime)));
}

function drawAlerts(total) {
  const ids = new Set(alerts.map((alert) => alert.id));
  for (const id of alertItems.keys()) if (!ids.has(id)) alertItems.delete(id);
  place($("alerts"), alerts.map(drawAlert));
  $("no-alerts").hidden = total > 0;
  $("more-alerts").hidden = total <= alerts.length;
  setText($("more-alerts"), `and ${total - alerts.length} more`);
}

function announce(snapshot) {
  if (snapshot) return;
  const fresh = alerts.filter((alert) => !alertItems.has(alert.id));
  const words = fresh.slice(0, 3).map((alert) => `${alert.severity} alert, ${alert.sensorId}: ${alert.reason}`);
  if (words.length) $("announcement").textContent = words.join(". ");
}

// --- the whole page ----------------------------------------------------------------------------------------------

let about = {};
let counts = null;
let countsDrawn = "";
let fromSnapshot = false;
let waiting = false;

function drawCounts() {
  const words = JSON.stringify([counts, sensors.size, about.gateway]);
  if (words === countsDrawn) return;
  countsDrawn = words;
  const items = STATES.filter((state) => counts[state] || state === "ok").map((state) => {
    const item = element("li", { "data-state": state }, element("strong", {}, String(counts[state])), state);
    if (!SEVERITIES.includes(state)) return item;
    item.prepend(icon());
    setIcon(item.firstChild, state);
    return item;
  });
  const all = element("li", {}, element("strong", {}, String(counts.sensors)), counts.sensors === 1 ? "sensor" : "sensors");
  $("counts").replaceChildren(all, ...(counts.sensors ? items : []));
  document.title = `${counts.alerts ? `(${counts.alerts}) ` : ""}${about.gateway} · Vibration gateway`;
  $("empty").hidden = counts.sensors > 0;
  for (const id of ["sensors", "legend"]) $(id).hidden = counts.sensors === 0;
  $("more-sensors").hidden = counts.sensors <= sensors.size;
  setText($("more-sensors"), `${sensors.size} of ${count(counts.sensors, "sensor")} shown; every one with an alert is among them.`);
}

function drawAbout() {
  setText($("gateway"), about.gateway);
  scale = about.criticalRatio * 1.25;
  const root = document.documentElement.style;
  root.setProperty("--warning-mark", `${(about.warningRatio / scale) * 100}%`);
  root.setProperty("--critical-mark", `${(about.criticalRatio / scale) * 100}%`);
  const [warning, critical] = [ratio(about.warningRatio), ratio(about.criticalRatio)];
  setText($("legend"), `Marks on the bar: warning at ${warning}, critical at ${critical} the baseline, unless the sensor has limits of its own.`);
  $("topics").replaceChildren(...about.topics.map((topic) => element("li", {}, element("code", {}, topic))));
  setText($("example"), example(about.topics[0] ?? ""));
}

function example(template) {
  const names = { site: "plant-1", area: "hall-2", machine: "pump-7", sensor: "VB-1" };
  const topic = template.replace(/\{(\w+)\}/g, (_, name) => names[name] ?? name);
  const reading = { eventType: "VibrationRecorded", timestamp: new Date().toISOString(), data: { sensorId: "VB-1", vibrationLevel: 4.2 } };
  return ["mosquitto_pub -h BROKER -q 1", `-t '${topic}'`, `-m '${JSON.stringify(reading)}'`].join(" \\\n  ");
}

function draw() {
  waiting = false;
  if (fromSnapshot) drawAbout();
  for (const sensor of changed) drawSensor(sensor);
  changed.clear();
  if (reorder) arrange();
  reorder = false;
  if (alerts) {
    announce(fromSnapshot);
    drawAlerts(counts.alerts);
    alerts = null;
  }
  drawCounts();
  fromSnapshot = false;
}

function take(data, snapshot) {
  counts = data.counts;
  alerts = data.alerts ?? alerts;
  fromSnapshot ||= snapshot;
  if (snapshot) {
    about = data;
    forgetSensors(new Set(data.sensors.map((sensor) => sensor.id)));
  }
  data.sensors.forEach(takeSensor);
  if (!waiting) requestAnimationFrame(draw);
  waiting = true;
}

// --- the connection ----------------------------------------------------------------------------------------------

let source = null;
let lastHeard = Date.now();

function show(state, text) {
  setAttribute($("connection"), "data-connection", state);
  setText($("connection"), text);
  $("stale").hidden = state === "live" || !counts;
}

function lost() {
  show("lost", "reconnecting…");
  setText($("stale"), `No contact with the gateway: what you see is of ${clock(lastHeard)}.`);
}

function heard() {
  lastHeard = Date.now();
  show("live", "live");
}

function connect() {
  source?.close();
  source = new EventSource("/api/v1/stream");
  for (const name of ["snapshot", "update"]) {
    source.addEventListener(name, (event) => {
      heard();
      take(JSON.parse(event.data), name === "snapshot");
    });
  }
  source.addEventListener("ping", heard);
  source.addEventListener("error", lost);
}

setInterval(() => {
  const silent = Date.now() - lastHeard > SILENCE_MS;
  if (silent) lost();
  if (silent || source.readyState === EventSource.CLOSED) connect();
  for (const parts of alertItems.values()) drawLasting(parts);
}, CHECK_MS);

connect();

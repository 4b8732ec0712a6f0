// What the event stream says of the present, and who wants to know when it changes: once per frame at most.

const POINTS = 60;
const FIELDS = ["id", "state", "level", "baseline", "unit", "time", "measured", "site", "area", "machine", "spark"];

export const sensors = new Map(); // id -> { id, state, level, baseline, unit, time, measured, site, area, machine, spark }
export const present = { about: {}, counts: null, alerts: [], silences: [], muted: new Map(), heardAt: Date.now() };

// Before the gateway has said which kinds of alerts are about sensors, which have a page, all are.
export function isOfSensor(alert) {
  return (present.about.kindsOfSensors ?? [alert.kind]).includes(alert.kind);
}

let changed = new Set(); // sensors
let structure = true; // a sensor has come, gone, or has another state
let fresh = []; // alerts that were not there before
let waiting = false;
let draw = () => {};

// `listener` gets { changed, structure, fresh } before the next frame.
export function whenChanged(listener) {
  draw = listener;
  ask();
}

function ask() {
  if (!waiting) requestAnimationFrame(tell);
  waiting = true;
}

function tell() {
  waiting = false;
  const news = { changed, structure, fresh };
  changed = new Set();
  structure = false;
  fresh = [];
  draw(news);
}

export function take(data, isSnapshot) {
  present.counts = data.counts;
  if (isSnapshot) {
    present.about = data;
    forget(new Set(data.sensors.map((row) => row[0])));
  }
  if (data.alerts) takeAlerts(data.alerts, isSnapshot);
  for (const id of data.gone ?? []) structure = sensors.delete(id) || structure;
  data.sensors.forEach(takeRow);
  ask();
}

// `muted` is the id of an open alert -> the silence that mutes it.
export function takeSilences(silences) {
  present.silences = silences;
  present.muted = new Map(silences.flatMap((silence) => silence.mutes.map((id) => [id, silence])));
  ask();
}

function takeAlerts(alerts, isSnapshot) {
  const known = new Set(present.alerts.map((alert) => alert.id));
  if (!isSnapshot) fresh.push(...alerts.filter((alert) => !known.has(alert.id)));
  present.alerts = alerts;
}

function takeRow(row) {
  const sensor = sensors.get(row[0]);
  const isWhole = row.length === FIELDS.length;
  if (!sensor && !isWhole) return; // the snapshot that knows it is on its way
  if (!sensor || isWhole) {
    const now = Object.fromEntries(FIELDS.map((name, index) => [name, row[index]]));
    if (!now.spark.length && now.level !== null) now.spark = [now.level];
    sensors.set(now.id, Object.assign(sensor ?? {}, now));
    changed.add(sensors.get(now.id));
    structure = true;
    return;
  }
  const [, state, level, baseline, unit, time, measured] = row;
  if (time !== sensor.time && level !== null) sensor.spark.push(level);
  if (sensor.spark.length > POINTS) sensor.spark.shift();
  structure ||= state !== sensor.state;
  Object.assign(sensor, { state, level, baseline, unit, time, measured });
  changed.add(sensor);
}

function forget(known) {
  for (const id of sensors.keys()) {
    if (known.has(id)) continue;
    sensors.delete(id);
    structure = true;
  }
}

// Numbers, times and places in words: the same everywhere on the page. Times are local, with 24 hours.

export const SEVERITIES = ["critical", "warning"];
const RANKS = [...SEVERITIES, "stale", "silent", "learning", "ok"];

export const collator = new Intl.Collator(undefined, { numeric: true });

const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const SHORT_TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

export function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(2);
  return size < 1000 ? value.toPrecision(3) : value.toFixed(0);
}

// A level and its unit, with what the sensor itself calls it; or what is measured where there is no level.
export function levelOf({ level, unit, measured }) {
  if (level === null && measured) return [measured, ""];
  return [number(level), measured ? `${unit} (${measured})` : unit];
}

export function ratioOf({ level, baseline }) {
  return level !== null && baseline ? level / baseline : null;
}

export function ratio(value) {
  if (value === null || value === undefined) return "–";
  return value >= 1e5 ? "> 99999 ×" : `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ×`;
}

// 14:03:27 today, 22 Nov 14:03 on another day of this year, 22 Nov 2025 14:03 before.
export function moment(time) {
  const date = new Date(time);
  const now = new Date();
  if (date.toDateString() === now.toDateString()) return TIME.format(date);
  const day = date.getFullYear() === now.getFullYear() ? DAY : DATE;
  return `${day.format(date)} ${SHORT_TIME.format(date)}`;
}

export function whole(time) {
  const date = new Date(time);
  return `${DATE.format(date)} ${TIME.format(date)}`;
}

export function lasting(milliseconds) {
  const minutes = Math.max(0, Math.floor(milliseconds / 60_000));
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60)];
  if (days >= 2) return `${days} days`;
  return hours >= 2 ? `${hours} h` : `${minutes} min`;
}

export function bytes(size) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let index = 0;
  while (size >= 1000 && index < units.length - 1) {
    size /= 1000;
    index += 1;
  }
  return `${index ? size.toPrecision(3) : size} ${units[index]}`;
}

export function count(amount, noun) {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}

export function capital(word) {
  return word ? word[0].toUpperCase() + word.slice(1) : "";
}

export function where(place) {
  return [place.site, place.area, place.machine].filter(Boolean);
}

// Only severity decides the order, then the name: rows must not wander with every reading.
export function rank(state) {
  const index = RANKS.indexOf(state);
  return index < 0 ? RANKS.length : index;
}

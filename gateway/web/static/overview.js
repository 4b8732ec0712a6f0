// The fleet: site and area, machine, sensor, worst first. A machine's sensors are drawn only while it is unfolded.

import { element, icon, link, place, setAttribute, setIcon, setText } from "./dom.js";
import { AlertList } from "./alerts.js";
import { Empty } from "./empty.js";
import { present, sensors } from "./model.js";
import { HEADS, bar, cell, createRow, drawBar, drawRow } from "./row.js";
import { SEVERITIES, collator, count, rank, ratio, ratioOf, where } from "./words.js";

const UNFOLDED_SENSORS = 60; // a fleet as small as this is shown whole

const SHOWN_ALERTS = 6;

const folded = new Map(); // key of a machine -> as somebody chose

export function title() {
  return "Overview";
}

export function open(root) {
  const alerts = new AlertList({ heading: "Open alerts", most: SHOWN_ALERTS });
  const empty = new Empty();
  const search = element("input", { type: "search", id: "search", placeholder: "Machine or sensor", autocomplete: "off" });
  const find = element("p", { class: "find" }, element("label", { for: "search" }, "Find"), search);
  const heads = HEADS.map(([name, text]) => element("th", { role: "columnheader", scope: "col", class: name }, text));
  const head = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads));
  const title = element("h2", { id: "sensors-title" }, "Sensors");
  const tree = element("table", { id: "sensors", role: "table", "aria-labelledby": "sensors-title" }, head);
  const nothing = element("p", { class: "note", hidden: "" }, "Nothing here has such a name.");
  const more = element("p", { id: "more-sensors", class: "note", hidden: "" });
  const legend = element("p", { id: "legend", class: "note" });
  const section = element("section", {}, element("div", { class: "bar-above" }, title, find), empty.node, tree, nothing, more, legend);
  root.append(alerts.node, section);
  const fleet = new Fleet(tree);
  const arrange = () => setHidden(nothing, fleet.arrange(search.value) > 0 || !sensors.size);
  search.addEventListener("input", () => {
    arrange();
    fleet.draw(sensors.values());
  });
  let drawn = false;
  return {
    draw({ changed, structure, fresh }) {
      alerts.draw(fresh);
      if (!present.counts) return;
      if (structure || !drawn) arrange();
      fleet.draw(drawn ? changed : sensors.values());
      drawn = true;
      empty.draw(present.counts.sensors === 0);
      for (const node of [tree, legend, find]) setHidden(node, present.counts.sensors === 0);
      setHidden(more, present.counts.sensors <= sensors.size);
      setText(more, `${sensors.size} of ${count(present.counts.sensors, "sensor")} shown; every one with an alert is among them.`);
      setText(legend, marks());
    },
    close: () => empty.close(),
  };
}

function setHidden(node, value) {
  if (node.hidden !== value) node.hidden = value;
}

function marks() {
  const { warningRatio, criticalRatio } = present.about;
  return `Marks on the bar: warning at ${ratio(warningRatio)}, critical at ${ratio(criticalRatio)} the baseline, unless the sensor has limits of its own.`;
}

class Fleet {
  constructor(tree) {
    this.tree = tree;
    this.machines = new Map(); // key -> Machine
    this.areas = new Map(); // "site › area" -> tbody with a heading
    this.owner = new Map(); // sensor -> Machine
  }

  // Put everything in its place; return how many machines are shown.
  arrange(wanted) {
    for (const machine of this.machines.values()) machine.members = [];
    const words = wanted.trim().toLowerCase();
    for (const sensor of sensors.values()) {
      if (words && ![sensor.id, ...where(sensor)].some((name) => name.toLowerCase().includes(words))) continue;
      const machine = this.machineOf(sensor);
      machine.members.push(sensor);
      this.owner.set(sensor, machine);
    }
    const shown = [];
    for (const [key, machine] of this.machines) {
      if (machine.members.length) shown.push(machine);
      else this.machines.delete(key);
    }
    for (const machine of shown) machine.arrange(Boolean(words));
    const areas = Map.groupBy ? Map.groupBy(shown, (machine) => machine.area) : group(shown);
    const sorted = [...areas].sort(([a, first], [b, second]) => worst(first) - worst(second) || collator.compare(a, b));
    place(this.tree, sorted.flatMap(([area, machines]) => [this.headingOf(area, machines), ...inOrder(machines)]), 1);
    return shown.length;
  }

  machineOf(sensor) {
    const key = JSON.stringify(where(sensor));
    if (!this.machines.has(key)) this.machines.set(key, new Machine(key, sensor));
    return this.machines.get(key);
  }

  headingOf(area, machines) {
    if (!this.areas.has(area)) {
      const summary = element("span", { class: "summary" });
      const text = element("th", { role: "rowheader", scope: "rowgroup", colspan: "7" }, element("strong", {}, area), summary);
      this.areas.set(area, { summary, body: element("tbody", { role: "rowgroup", class: "area" }, element("tr", { role: "row" }, text)) });
    }
    const { body, summary } = this.areas.get(area);
    setText(summary, count(machines.length, "machine"));
    return body;
  }

  draw(changed) {
    const touched = new Set();
    for (const sensor of changed) {
      const machine = this.owner.get(sensor);
      if (machine) touched.add(machine);
      machine?.drawSensor(sensor);
    }
    for (const machine of touched) machine.draw();
  }
}

function group(machines) {
  const groups = new Map();
  for (const machine of machines) groups.set(machine.area, [...(groups.get(machine.area) ?? []), machine]);
  return groups;
}

function worst(machines) {
  return Math.min(...machines.map((machine) => machine.rank));
}

function inOrder(machines) {
  return machines.sort((a, b) => a.rank - b.rank || collator.compare(a.key, b.key)).map((machine) => machine.body);
}

class Machine {
  constructor(key, { site, area, machine }) {
    this.key = key;
    this.area = [site, area].filter(Boolean).join(" › ") || "Elsewhere";
    this.members = [];
    this.rows = new Map(); // sensor -> its row's parts
    this.measure = bar();
    this.icon = icon();
    this.word = element("span", { class: "word" });
    this.size = element("span", { class: "size" });
    this.button = element("button", { type: "button", class: "fold", "aria-label": `Sensors of ${machine || "no machine"}` });
    this.button.addEventListener("click", () => this.fold(this.isUnfolded));
    const name = machine ? link(["machine", site, area, machine], machine) : "Other sensors";
    this.row = element(
      "tr",
      { role: "row", class: "group" },
      cell("state", this.button, this.icon, this.word),
      element("th", { role: "rowheader", scope: "row", class: "name" }, name),
      element("td", { role: "cell", class: "members", colspan: "2" }, this.size),
      cell("ratio", element("div", { class: "measure" }, this.measure.figure, this.measure.whole)),
      element("td", { role: "cell", class: "rest", colspan: "2" }),
    );
    this.body = element("tbody", { role: "rowgroup", class: "machine" }, this.row);
  }

  get isUnfolded() {
    return this.button.getAttribute("aria-expanded") === "true";
  }

  fold(value) {
    folded.set(this.key, value);
    this.arrange(false);
    for (const sensor of this.members) this.drawSensor(sensor);
  }

  arrange(isWanted) {
    this.rank = Math.min(...this.members.map((sensor) => rank(sensor.state)));
    const ill = this.rank < SEVERITIES.length;
    const unfold = folded.has(this.key) ? !folded.get(this.key) : ill || isWanted || sensors.size <= UNFOLDED_SENSORS;
    setAttribute(this.button, "aria-expanded", String(unfold));
    this.row.toggleAttribute("data-unfolded", unfold);
    for (const sensor of this.rows.keys()) if (!unfold || !this.members.includes(sensor)) this.rows.delete(sensor);
    const sorted = unfold ? this.members.sort((a, b) => rank(a.state) - rank(b.state) || collator.compare(a.id, b.id)) : [];
    place(this.body, sorted.map((sensor) => this.rowOf(sensor).row), 1);
    this.draw();
  }

  rowOf(sensor) {
    if (!this.rows.has(sensor)) {
      this.rows.set(sensor, createRow(sensor));
      this.drawSensor(sensor);
    }
    return this.rows.get(sensor);
  }

  drawSensor(sensor) {
    const parts = this.rows.get(sensor);
    if (parts) drawRow(parts, sensor);
  }

  draw() {
    const state = this.members.reduce((found, { state }) => (rank(state) < rank(found) ? state : found), "waiting");
    setAttribute(this.row, "data-state", state);
    setIcon(this.icon, state);
    setText(this.word, state);
    setText(this.size, count(this.members.length, "sensor"));
    const ratios = this.members.map(ratioOf).filter((value) => value !== null);
    drawBar(this.measure, ratios.length ? Math.max(...ratios) : null);
  }
}

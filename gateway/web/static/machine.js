// One machine: its sensors, and what is wrong with it.

import { AlertList } from "./alerts.js";
import { element, link, place, setText } from "./dom.js";
import { sensors } from "./model.js";
import { HEADS, createRow, drawRow } from "./row.js";
import { collator, count, rank } from "./words.js";

export function title(_site, _area, machine) {
  return machine;
}

export function open(root, site, area, machine) {
  const isHere = (thing) => (thing.site ?? "") === site && (thing.area ?? "") === area && (thing.machine ?? "") === machine;
  const alerts = new AlertList({ heading: "Open alerts", wanted: (alert) => isHere(alert.tags), more: false, none: "None." });
  const heads = HEADS.map(([name, text]) => element("th", { role: "columnheader", scope: "col", class: name }, text));
  const body = element("tbody", { role: "rowgroup" });
  const head = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads));
  const summary = element("h2", {});
  const tree = element("table", { id: "sensors", role: "table", "aria-label": `Sensors of ${machine}` }, head, body);
  const above = [site, area].filter(Boolean).join(" › ");
  root.append(element("p", { class: "crumbs" }, link([], "Overview"), above ? ` › ${above}` : ""), element("h2", { class: "name" }, machine));
  root.append(alerts.node, element("section", {}, summary, tree));
  const rows = new Map();
  return {
    draw({ fresh }) {
      alerts.draw(fresh);
      const here = [...sensors.values()].filter(isHere).sort((a, b) => rank(a.state) - rank(b.state) || collator.compare(a.id, b.id));
      for (const sensor of here) {
        if (!rows.has(sensor)) rows.set(sensor, createRow(sensor));
        drawRow(rows.get(sensor), sensor);
      }
      place(body, here.map((sensor) => rows.get(sensor).row));
      tree.hidden = !here.length;
      setText(summary, here.length ? count(here.length, "sensor") : "No sensor of this machine has published yet");
    },
  };
}

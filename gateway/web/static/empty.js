// What to do while there is no sensor yet.

import { element } from "./dom.js";
import { Heard } from "./heard.js";
import { present } from "./model.js";

export class Empty {
  constructor() {
    this.topics = element("ul", { id: "topics" });
    this.example = element("pre", { id: "example", tabindex: "0" });
    this.heard = new Heard();
    this.node = element(
      "div",
      { id: "empty", hidden: "" },
      element("h3", {}, "No readings yet"),
      element("p", {}, "The gateway is running and waits for sensors to publish to"),
      this.topics,
      element("p", {}, "Try it with one reading:"),
      this.example,
      element(
        "p",
        {},
        "It appears here within a second. If it does not, it was heard and not understood, which is said here too, or see what is ",
        element("a", { href: "/-/ready" }, "not ready"),
        ". A reading needs these four fields at least; more of them are in the documentation.",
      ),
    );
    this.node.firstChild.after(this.heard.node);
  }

  draw(isEmpty) {
    if (this.node.hidden !== isEmpty) return;
    this.node.hidden = !isEmpty;
    if (isEmpty) this.heard.open();
    else this.heard.close();
    const topics = present.about.topics ?? [];
    this.topics.replaceChildren(...topics.map((topic) => element("li", {}, element("code", {}, topic))));
    this.example.textContent = example(topics[0] ?? "");
  }

  close() {
    this.heard.close();
  }
}

function example(template) {
  const names = { site: "plant-1", area: "hall-2", machine: "pump-7", sensor: "VB-1" };
  const topic = template.replace(/\{(\w+)\}/g, (_, name) => names[name] ?? name);
  const reading = { eventType: "VibrationRecorded", timestamp: new Date().toISOString(), data: { sensorId: "VB-1", vibrationLevel: 4.2 } };
  return ["mosquitto_pub -h BROKER -q 1", `-t '${topic}'`, `-m '${JSON.stringify(reading)}'`].join(" \\\n  ");
}

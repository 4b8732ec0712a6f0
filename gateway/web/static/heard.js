// What was heard and not understood: on which topics, what, why, and the [[inputs]] that would read it.

import { element } from "./dom.js";
import { count, moment } from "./words.js";

const EVERY_MS = 10_000;

export class Heard {
  constructor() {
    this.summary = element("p", { class: "note" });
    this.groups = element("div", {});
    this.node = element("section", { class: "heard", hidden: "" }, element("h2", {}, "Heard, not understood"), this.summary, this.groups);
    this.drawn = "";
    this.unfolded = new Map(); // group -> whether somebody wants to see it
    this.proposals = new Map(); // group -> the text that was proposed
    this.timer = 0;
  }

  // Look now and again, until `close`.
  open() {
    if (!this.timer) this.look();
  }

  close() {
    clearTimeout(this.timer);
    this.timer = 0;
  }

  async look() {
    this.timer = setTimeout(() => this.look(), EVERY_MS);
    try {
      const text = await (await fetch("/api/v1/deadletters/groups")).text();
      if (text !== this.drawn) this.draw(JSON.parse(text));
      this.drawn = text;
    } catch {
      this.drawn = ""; // that the gateway does not answer is said elsewhere
    }
  }

  draw({ summary, messages, topics, isWhole, groups }) {
    this.node.hidden = !summary;
    const newest = isWhole ? "" : "The newest ";
    this.summary.textContent = `${newest}${count(messages, "message")} on ${count(topics, "topic")}. Nothing is lost: deadletters replay reads them once an input fits.`;
    this.groups.replaceChildren(...groups.map((group, index) => this.group(group, index === 0)));
  }

  group(group, isFirst) {
    const key = `${group.reason} ${group.pattern}`;
    const heading = element("summary", {}, element("code", {}, group.pattern), ` ${count(group.messages, "message")} on ${count(group.topics, "topic")}, the newest ${moment(group.newest)}`);
    const why = [group.detail, group.looksLike && !group.detail.includes(group.looksLike) ? group.looksLike : ""].filter(Boolean).join("; ");
    const more = group.bytes > group.payload.length ? `, of ${group.bytes} bytes` : "";
    const node = element(
      "details",
      {},
      heading,
      element("p", {}, why),
      element("p", { class: "note" }, "On ", element("code", {}, group.topic), `${more}:`),
      element("pre", { tabindex: "0" }, group.payload),
      this.proposal(group, key),
    );
    node.open = this.unfolded.get(key) ?? isFirst;
    node.addEventListener("toggle", () => this.unfolded.set(key, node.open));
    return node;
  }

  proposal({ seq }, key) {
    const button = element("button", { type: "button" }, "Propose [[inputs]]");
    const node = element("div", {}, button);
    const show = () => node.replaceChildren(...written(this.proposals.get(key)));
    button.addEventListener("click", async () => {
      button.disabled = true;
      this.proposals.set(key, await propose(seq));
      show();
    });
    if (this.proposals.has(key)) show();
    return node;
  }
}

async function propose(seq) {
  try {
    const answer = await fetch(`/api/v1/deadletters/${seq}/proposal`);
    const { inputs, detail } = await answer.json();
    return answer.ok ? inputs : `# ${detail}`;
  } catch {
    return "# The gateway does not answer.";
  }
}

function written(text) {
  const copy = element("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
  });
  const hint = "Add this to the configuration once you have read it, check it, and start the gateway again:";
  return [element("p", { class: "note" }, hint), element("pre", { tabindex: "0" }, text), ...(navigator.clipboard ? [copy] : [])];
}

// Shows /openapi.json: paths with their parameters, and the answers with their fields.

import { $, element } from "./dom.js";

function typeOf(schema = {}) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return element("a", { href: `#${name}` }, name);
  }
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.anyOf) return join(schema.anyOf.map(typeOf), " | ");
  if (schema.type === "array") return join(["list of ", typeOf(schema.items)], "");
  return schema.format ?? schema.type ?? "any";
}

function join(parts, separator) {
  const whole = document.createDocumentFragment();
  parts.forEach((part, index) => whole.append(index ? separator : "", part));
  return whole;
}

function table(heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map(([first, ...rest]) =>
    element("tr", {}, element("th", { scope: "row" }, element("code", {}, first)), ...rest.map((cell) => element("td", {}, cell))),
  );
  return element("div", { class: "wide" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

function answerOf(operation) {
  const content = operation.responses?.["200"]?.content ?? {};
  const [type, { schema } = {}] = Object.entries(content)[0] ?? [];
  const known = schema && Object.keys(schema).some((key) => ["$ref", "type", "anyOf"].includes(key));
  return known ? typeOf(schema) : (type ?? "text");
}

function bounds({ type, minimum, maximum, default: standard } = {}) {
  const words = [];
  if (minimum !== undefined) words.push(`${minimum} to ${maximum}`);
  if (standard !== undefined && type !== "string") words.push(`default ${standard}`);
  return words.join(", ");
}

// `names` in a description are set as code.
function prose(text) {
  const parts = (text ?? "").split(/`([^`]*)`/);
  return join(parts.map((part, index) => (index % 2 ? element("code", {}, part) : part)), "");
}

function path([url, operations]) {
  return Object.entries(operations).map(([method, operation]) => {
    const title = element("h3", {}, element("code", {}, `${method.toUpperCase()} ${url}`));
    const section = element("section", {}, title, element("p", {}, prose(operation.description ?? operation.summary)));
    const rows = (operation.parameters ?? []).map((parameter) => [
      parameter.name,
      typeOf(parameter.schema),
      prose([parameter.description ?? parameter.schema?.description, bounds(parameter.schema)].filter(Boolean).join("; ")),
    ]);
    if (rows.length) section.append(table(["Parameter", "Type", "Meaning"], rows));
    const body = operation.requestBody?.content["application/json"]?.schema;
    if (body) section.append(element("p", {}, "Body: ", typeOf(body)));
    section.append(element("p", {}, "Answer: ", answerOf(operation)));
    return section;
  });
}

function schema([name, { description, properties = {} }]) {
  const rows = Object.entries(properties).map(([key, field]) => [key, typeOf(field), prose(field.description)]);
  return element("section", { id: name }, element("h3", {}, name), element("p", {}, prose(description)), table(["Field", "Type", "Meaning"], rows));
}

const openapi = await (await fetch("/openapi.json")).json();
$("paths").append(...Object.entries(openapi.paths).flatMap(path));
$("schemas").append(...Object.entries(openapi.components.schemas).map(schema));

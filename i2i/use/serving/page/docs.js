// The description of the HTTP interface, drawn from openapi.json without any other host.

const make = (tag, text, ...children) => {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  node.append(...children);
  return node;
};

const token = sessionStorage.getItem("token");
const root = new URL(".", location.href).href;
document.getElementById("example").textContent = `curl -F image=@photo.jpg ${root}translate --output translated.png`;
const answer = await fetch("openapi.json", token ? { headers: { Authorization: `Bearer ${token}` } } : {});
if (!answer.ok) {
  document.getElementById("problem").textContent = "This server needs a token; enter it on the page first.";
  document.getElementById("problem").hidden = false;
} else {
  const api = await answer.json();
  const resolve = (schema) => (schema?.$ref ? api.components.schemas[schema.$ref.split("/").at(-1)] : schema);
  const type = (schema) => {
    if (schema.enum) return schema.enum.join(", ");
    if (schema.anyOf) return schema.anyOf.map(type).filter((name) => name !== "null").join(" or ");
    if (schema.type === "array") return `several: ${type(schema.items)}`;
    return schema.format === "binary" || schema.contentMediaType ? "file" : schema.type;
  };
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const section = make("section", "", make("h2", `${method.toUpperCase()} ${path}`), make("p", operation.description || operation.summary));
      const form = resolve(operation.requestBody?.content?.["multipart/form-data"]?.schema);
      if (form) {
        const rows = Object.entries(form.properties).map(([name, schema]) => {
          const required = (form.required || []).includes(name) ? " (required)" : "";
          return make("tr", "", make("td", name + required), make("td", type(schema)), make("td", schema.description || ""));
        });
        section.append(make("table", "", make("tr", "", make("th", "field"), make("th", "type"), make("th", "description")), ...rows));
      }
      const codes = Object.entries(operation.responses).map(([code, response]) => make("li", `${code}: ${response.description}`));
      section.append(make("ul", "", ...codes));
      document.querySelector("main").append(section);
    }
  }
}

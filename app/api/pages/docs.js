// Start Swagger UI on this service's own document. Nothing is loaded from another host, and nothing is stored.
"use strict";

let ui;

// Programs and browsers send these automatically; for readers they are only another row for each path.
function leaveOutUnseenMethods(spec) {
  for (const path of Object.values(spec.paths)) {
    delete path.head;
    delete path.options;
  }
  const used = Object.values(spec.paths).flatMap((path) => Object.values(path)).flatMap(({ tags }) => tags);
  spec.tags = spec.tags.filter(({ name }) => used.includes(name));
}

// Swagger UI sends every example that it fills in, but all optional parameters together contradict each other.
function leaveOptionalEmpty(spec) {
  const operations = Object.values(spec.paths).flatMap((path) => Object.values(path));
  const inline = operations.flatMap((operation) => operation.parameters ?? []);
  for (const parameter of [...Object.values(spec.components.parameters), ...inline]) {
    if (parameter.required || parameter.$ref) continue;
    delete parameter.example;
    delete parameter.examples;
    if (parameter.schema.type === "object") parameter.example = {};
  }
}

// Fill in the last job of the task or workflow: the example's job does not exist.
function fillInJob(response) {
  const job = response.headers["x-job-id"];
  const kind = /\/(task|workflow)\/[^/]+\/job\b/.exec(response.url)?.[1];
  const path = `/{customer}/${kind}/{${kind}}/job/{job}`;
  for (const method of job && kind ? ["get", "delete"] : []) ui.specActions.changeParam([path, method], "job", "path", job, false);
  return response;
}

// A class switches Swagger UI to dark colours.
function followColorScheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", show);
  show();
}

async function start() {
  const response = await fetch("openapi.json");
  const spec = await response.json();
  spec.servers = [{ url: new URL(".", document.baseURI).href.replace(/\/$/, "") }];
  // A token in an address stays in histories and logs: this page offers only the bearer header.
  delete spec.components.securitySchemes.access_token;
  spec.security = spec.security.filter((way) => !("access_token" in way));
  leaveOutUnseenMethods(spec);
  leaveOptionalEmpty(spec);
  ui = SwaggerUIBundle({
    spec,
    dom_id: "#api",
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    tryItOutEnabled: true,
    displayRequestDuration: true,
    responseInterceptor: fillInJob,
    persistAuthorization: false,
    queryConfigEnabled: false,
    validatorUrl: null,
  });
}

followColorScheme();
start().catch((error) => {
  document.getElementById("api").textContent = `The document cannot be shown: ${error.message}`;
});

// Start Swagger UI on this service's own document. Nothing is loaded from another host, and nothing is stored.
"use strict";

// Swagger UI sends every example that it fills in; all optional parameters at once contradict each other.
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

// Swagger UI's dark colours hang on a class.
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
  // A token in an address stays in histories and logs: here the bearer header is the only way.
  delete spec.components.securitySchemes.access_token;
  spec.security = spec.security.filter((way) => !("access_token" in way));
  leaveOptionalEmpty(spec);
  SwaggerUIBundle({
    spec,
    dom_id: "#api",
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    tryItOutEnabled: true,
    displayRequestDuration: true,
    persistAuthorization: false,
    queryConfigEnabled: false,
    validatorUrl: null,
  });
}

followColorScheme();
start().catch((error) => {
  document.getElementById("api").textContent = `The document cannot be shown: ${error.message}`;
});

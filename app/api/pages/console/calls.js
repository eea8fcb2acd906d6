// Call the service by fetch. The token travels in the Authorization header of these calls and is stored nowhere.

function options(method, token, accept, body) {
  const headers = { Authorization: `Bearer ${token}`, Accept: accept };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const never = { cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer" };
  return { method, headers, body, ...never };
}

// Return the path below this service; every segment is encoded.
export function address(...segments) {
  return segments.map(encodeURIComponent).join("/");
}

export async function call(method, path, token, { accept = "application/json", body, signal } = {}) {
  return fetch(new URL(path, document.baseURI), { ...options(method, token, accept, body), signal });
}

// Return an answer as the page shows it: status, headers as pairs, body as bytes.
export async function plainAnswer(response) {
  const body = new Uint8Array(await response.arrayBuffer());
  return { status: response.status, headers: [...response.headers], body };
}

// Return an answer of an `answer` event: its body is text, or base64 where `isBase64Encoded`.
export function eventAnswer({ status, headers, body, isBase64Encoded }) {
  const bytes = isBase64Encoded
    ? Uint8Array.from(atob(body), (character) => character.charCodeAt(0))
    : new TextEncoder().encode(body ?? "");
  return { status, headers: Array.isArray(headers) ? headers : Object.entries(headers), body: bytes };
}

// Yield the server-sent events of a response: {event, id, data}, with data read as JSON.
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const found = parse(block);
      if (found.data !== undefined) yield found;
    }
  }
}

function parse(block) {
  const found = { event: "message", id: "", data: undefined };
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (field === "data") data.push(value);
    else if (field in found) found[field] = value;
  }
  if (data.length) found.data = JSON.parse(data.join("\n"));
  return found;
}

// Return the call as a line for a shell; the token is its variable TOKEN.
export function curlLine(method, path, body) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const line = [`curl -i -X ${method} ${quoted(String(new URL(path, document.baseURI)))}`];
  line.push(`-H "Authorization: Bearer $TOKEN"`);
  if (body !== undefined) {
    line.push("-H 'Content-Type: application/json'");
    line.push(body.length > 4000 ? "--data @body.json" : `--data ${quoted(body)}`);
  }
  return line.join(" \\\n  ");
}

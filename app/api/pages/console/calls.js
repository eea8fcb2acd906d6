// Call the service with fetch. The token is sent in the Authorization header of these calls only, and never stored.

const NEVER = { cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer" };

// Return the path below this service; every segment is encoded.
export function address(...segments) {
  return segments.map(encodeURIComponent).join("/");
}

export function call(method, path, token, { accept = "application/json", body } = {}) {
  const headers = { Accept: accept };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return fetch(new URL(path, document.baseURI), { method, headers, body, ...NEVER });
}

// Return an answer for the page: status, headers, and the body as bytes.
export async function plainAnswer(response) {
  const body = new Uint8Array(await response.arrayBuffer());
  return { status: response.status, headers: new Headers(response.headers), body };
}

// Return the answer in an `answer` event: its body is text, or base64 if `isBase64Encoded`.
export function eventAnswer({ status, headers, body, isBase64Encoded }) {
  const bytes = isBase64Encoded
    ? Uint8Array.from(atob(body), (character) => character.charCodeAt(0))
    : new TextEncoder().encode(body);
  return { status, headers: new Headers(headers), body: bytes };
}

// Return the answer in an `error` event, whose data is the error's body.
export function errorAnswer(error) {
  return eventAnswer({ status: error.statusCode, headers: { "Content-Type": "application/json" }, body: JSON.stringify(error) });
}

// Yield the server-sent events of a response as {event, data}, with data parsed as JSON. This service ends lines with \n.
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pieces = [];
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    pieces.push(read.value);
    // An answer of many megabytes comes in many pieces: only the last ones can contain its end.
    if (!pieces.slice(-2).join("").includes("\n\n")) continue;
    const blocks = pieces.join("").split("\n\n");
    pieces = [blocks.pop()];
    yield* blocks.map(parse).filter(({ data }) => data !== undefined);
  }
}

function parse(block) {
  const fields = Object.fromEntries(block.split("\n").map((line) => /^([^:]*):? ?(.*)$/s.exec(line).slice(1)));
  return { event: fields.event, data: fields.data && JSON.parse(fields.data) };
}

// Return the call as a shell command; the token is the variable TOKEN, and a long body is a file.
export function curlLine(method, path, body) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const line = [`curl -i -X ${method} ${quoted(String(new URL(path, document.baseURI)))}`];
  line.push(`-H "Authorization: Bearer $TOKEN"`);
  if (body !== undefined) {
    line.push("-H 'Content-Type: application/json'");
    line.push(isLong(body) ? "--data @body.json" : `--data ${quoted(body)}`);
  }
  return line.join(" \\\n  ");
}

export function isLong(body) {
  return body?.length > 4000;
}

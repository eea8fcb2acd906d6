// The runs of this page: make their calls, show events as they arrive, and keep the last runs with their answers.
import { download, errorWords, shownAnswer } from "./answer.js";
import { address, call, curlLine, errorAnswer, eventAnswer, events, isLong, plainAnswer } from "./calls.js";
import { $, element, forgetBlobs } from "./element.js";
import { drawGraph } from "./graph.js";
import { decimal, say } from "./words.js";

const MOST_RUNS = 20; // kept, with their answers
const TICK = 250; // milliseconds

let runs = [];
let shown; // the run on the screen

const seconds = (milliseconds) => decimal(milliseconds / 1000);
const isOver = ({ answer, problem }) => Boolean(answer ?? problem);

// Make the call {title, customer, kind, id, workflow, method, path, body} with this token; return when it has ended.
// A known workflow has a graph.
export async function follow(wanted, token) {
  const run = { job: "", lifecycles: [], steps: new Map(), began: performance.now(), ...wanted };
  keep(run);
  select(run);
  const clock = setInterval(() => showProgress(run), TICK);
  try {
    await receive(run, await call(run.method, run.path, token, { accept: "text/event-stream", body: run.body }));
  } catch (error) {
    run.problem = run.job ? say("cutOff") : say("unreachable", error.message);
  }
  clearInterval(clock);
  run.took = performance.now() - run.began;
  update(run);
}

async function receive(run, response) {
  run.job = response.headers.get("X-Job-Id") ?? run.job;
  if (!/^text\/event-stream\b/.test(response.headers.get("Content-Type") ?? "")) {
    run.answer = await plainAnswer(response);
    return;
  }
  const requestId = response.headers.get("X-Request-Id");
  for await (const { event, data } of events(response)) {
    if (event === "job") run.job = data.id;
    if (event === "lifecycle") hear(run, data);
    if (event === "answer") run.answer = eventAnswer(data);
    if (event === "error") run.answer = errorAnswer(data);
    run.expected = data.expected_seconds ?? run.expected;
    if (!isOver(run)) update(run);
  }
  if (!run.answer) run.problem = say("cutOff");
  else if (requestId) run.answer.headers.set("X-Request-Id", requestId); // the events do not repeat it
}

// Keep a lifecycle, of the job or of a task of the workflow.
function hear(run, { lifecycle, task }) {
  const words = task ? `${task.name}: ${task.lifecycle}` : lifecycle;
  run.lifecycles.push([words, performance.now() - run.began]);
  if (task) run.steps.set(task.job, task);
}

// Cancel the run on the screen. Its answer shows how it ended.
export async function cancel(token) {
  const run = shown;
  $("shown-title").focus(); // a button that is hidden or disabled loses the focus
  $("cancel").disabled = true;
  run.note = say("canceling");
  update(run);
  try {
    const response = await call("DELETE", jobPath(run), token);
    if (response.status === 204) run.note = say("canceled");
    if (!response.ok) run.note = errorWords(response.status, await response.text()).join(" · ");
  } catch (error) {
    run.note = say("unreachable", error.message);
  }
  $("cancel").disabled = false;
  update(run);
}

// Fetch the answer of the run on the screen, in the mode that is chosen now.
export async function fetchAnswer(token) {
  const { title, customer, kind, id, workflow, job } = shown;
  await follow({ title, customer, kind, id, workflow, job, method: "GET", path: jobPath(shown) + chosenQuery() }, token);
}

// Return the query for the chosen mode and wait.
export function chosenQuery() {
  const found = [];
  if ($("mode").value) found.push(encodeURIComponent($("mode").value));
  if ($("wait").value) found.push(`wait=${encodeURIComponent($("wait").value)}`);
  return found.length ? `?${found.join("&")}` : "";
}

const jobPath = ({ customer, kind, id, job }) => address(customer, kind, id, "job", job);

function keep(run) {
  run.state = element("span");
  run.button = element("button", { type: "button" }, element("b", {}, run.title), run.state);
  run.button.addEventListener("click", () => select(run));
  runs = [run, ...runs].slice(0, MOST_RUNS);
  $("runs").replaceChildren(...runs.map(({ button }) => element("li", {}, button)));
  $("no-runs").hidden = true;
}

// Show this run, and move the focus there for keyboards and screen readers.
function select(run) {
  shown = run;
  refresh();
  $("shown-title").focus();
}

// Show the run on the screen again, perhaps in another language.
export function refresh() {
  const run = shown;
  if (!run) return;
  forgetBlobs();
  $("shown").hidden = false;
  $("shown-title").textContent = run.title;
  $("lifecycles").replaceChildren();
  run.graph = run.workflow?.tasks.length ? drawGraph(run.workflow) : undefined;
  $("graph").replaceChildren(...(run.graph ? [run.graph.shown] : []));
  const file = isLong(run.body) ? [download(run.body, "body.json")] : [];
  $("curl").replaceChildren(element("pre", { tabindex: "0" }, curlLine(run.method, run.path, run.body)), ...file);
  for (const { button } of runs) button.setAttribute("aria-current", String(button === run.button));
  update(run);
}

function update(run) {
  const over = isOver(run);
  run.state.textContent = [run.answer?.status ?? (over ? "✕" : "…"), run.job].filter(Boolean).join(" · ");
  if (run !== shown) return;
  $("state").className = !over ? "" : run.answer?.status < 400 ? "good" : "bad";
  $("state").textContent = stateWords(run);
  $("cancel").hidden = over || !run.job;
  $("fetch").hidden = !over || !run.job;
  const news = run.lifecycles.slice($("lifecycles").children.length);
  $("lifecycles").append(...news.map(([name, time]) => element("li", {}, `${name} `, element("small", {}, `${seconds(time)} s`))));
  run.graph?.light([...run.steps.values()]);
  showProgress(run);
  $("answer").replaceChildren(...(run.answer ? shownAnswer(run.answer, /[?&](result|full)\b/.test(run.path)) : []));
}

function stateWords({ answer, problem, job, note }) {
  const ended = answer && [`${say("status")} ${answer.status}`, answer.headers.get("X-Job-State")].filter(Boolean).join(" · ");
  return [problem ?? ended ?? say(job ? "running" : "starting"), note].filter(Boolean).join(" · ");
}

function showProgress(run) {
  if (run !== shown) return;
  const passed = run.took ?? performance.now() - run.began;
  const bar = $("progress");
  bar.hidden = isOver(run);
  if (run.expected) {
    bar.max = run.expected * 1000;
    bar.value = passed;
  } else bar.removeAttribute("value");
  const usually = run.expected ? say("usually", decimal(run.expected)) : "";
  $("clock").textContent = [run.job, `${seconds(passed)} s`, usually].filter(Boolean).join(" · ");
}

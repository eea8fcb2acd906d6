// Draw the tasks of a workflow as a graph, whose boxes show the state of their jobs from the events.
import { say } from "./words.js";

const BOX = { width: 168, height: 46 };
const GAP = { x: 76, y: 20 };
const LETTERS = 20; // of a task's name in its box

const svg = (name, attributes = {}, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

const short = (text) => (text.length > LETTERS ? `${text.slice(0, LETTERS - 1)}…` : text);

// Return the drawing of a workflow {tasks, edges}, and `light` for the jobs of its tasks so far.
export function drawGraph(workflow) {
  const places = arrange(workflow);
  const boxes = new Map([...places].map(([task, place]) => [task, box(workflow.tasks.find(({ id }) => id === task), place)]));
  const edges = workflow.edges.filter(({ from, to }) => places.has(from) && places.has(to));
  const width = Math.max(...[...places.values()].map(({ x }) => x)) + BOX.width + 2;
  const height = Math.max(...[...places.values()].map(({ y }) => y)) + BOX.height + 2;
  const size = { width, height, viewBox: `-1 -1 ${width} ${height}`, role: "img", "aria-label": say("graph") };
  const tip = svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto-start-reverse" });
  tip.append(svg("path", { d: "M0 0 8 4 0 8z" }));
  const lines = edges.flatMap((edge) => line(edge, places));
  const shown = svg("svg", size, svg("defs", {}, tip), ...lines, ...[...boxes.values()].map(({ group }) => group));
  return { shown, light: (jobs) => jobs.forEach((job) => boxes.has(job.id) && lightUp(boxes.get(job.id), job)) };
}

// Place each task one column to the right of the first task that leads to it; this also ends for a cycle.
function arrange({ tasks, edges }) {
  const columns = new Map();
  let next = tasks.slice(0, 1).map(({ id }) => id);
  for (let column = 0; next.length; column++) {
    next.forEach((task) => columns.set(task, column));
    const reached = edges.filter(({ from }) => next.includes(from)).map(({ to }) => to);
    next = [...new Set(reached)].filter((task) => !columns.has(task) && tasks.some(({ id }) => id === task));
  }
  tasks.forEach(({ id }) => columns.has(id) || columns.set(id, 0)); // a task without a task before it
  const rows = [];
  return new Map([...columns].map(([task, column]) => {
    rows[column] = (rows[column] ?? -1) + 1;
    return [task, { x: column * (BOX.width + GAP.x), y: rows[column] * (BOX.height + GAP.y) }];
  }));
}

function box({ id, name }, { x, y }) {
  const known = name ?? id; // TheEye does not show every task to every token
  const state = svg("text", { x: 12, y: 36, class: "state" });
  const label = svg("text", { x: 12, y: 19 }, short(known));
  const group = svg("g", { transform: `translate(${x} ${y})` }, svg("title", {}, known), svg("rect", { ...BOX, rx: 6 }), label, state);
  return { group, state };
}

function lightUp({ group, state }, { lifecycle, state: how }) {
  const over = how && how !== "in_progress";
  group.setAttribute("class", !over ? "active" : how === "success" ? "good" : "bad");
  state.textContent = short(over ? how : lifecycle);
}

// Return the parts of an edge, with its event: an arc below the boxes if it leads back, else a curve.
function line({ from, event, to }, places) {
  const [start, end] = [places.get(from), places.get(to)];
  const [y1, y2] = [start.y + BOX.height / 2, end.y + BOX.height / 2];
  const [x1, x2] = [start.x + BOX.width, end.x];
  const back = x2 <= start.x;
  const bend = back ? GAP.x : GAP.x / 2;
  const path = svg("path", { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`, class: "edge", "marker-end": "url(#tip)" });
  const word = svg("text", { x: (x1 + x2) / 2, y: (y1 + y2) / 2 - 5, class: "event" }, short(event ?? ""));
  return [path, word];
}

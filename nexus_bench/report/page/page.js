// Figures drawn from their specifications; tables that can be sorted and saved; filters by task, order and model that act
// on both. What is chosen stands in the address. Without scripts all tables are shown.

// --- tables ---
const valueOf = (row, column) => {
  if ("score" in row.cells[column].dataset) return Number(row.cells[column].dataset.score);
  const text = row.cells[column].textContent.trim();
  const number = parseFloat(text.replace(/,/g, "").replace(/^x /, ""));
  return Number.isNaN(number) ? text : number;
};

const compare = (a, b, sign) => {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1; // what is no figure comes last, either way
  return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
};

const sortBy = (table, column, isAscending) => {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading) => heading.removeAttribute("aria-sort"));
  headings[column].setAttribute("aria-sort", isAscending ? "ascending" : "descending");
  const body = table.tBodies[0];
  const sign = isAscending ? 1 : -1;
  body.append(...[...body.rows].sort((a, b) => compare(valueOf(a, column), valueOf(b, column), sign)));
  state.set(table.id, `${column}${isAscending ? "up" : "down"}`);
};

const save = (name, url) => {
  const link = Object.assign(document.createElement("a"), { download: name, href: url });
  link.click();
};
const saveText = (name, text, type) => save(name, `data:${type};charset=utf-8,${encodeURIComponent(text)}`);

const gridOf = (table) => [...table.rows].filter((row) => !row.hidden).map((row) => [...row.cells].map(
  (cell) => cell.textContent.replace(/\u200b/g, "").trim().replace(/\s+/g, " ")));
const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const asCsv = (grid) => grid.map((row) => row.map(quoted).join(",")).join("\n") + "\n";
const asLatex = (grid) => {
  const told = (text) => text.replace(/\\/g, "\\textbackslash ").replace(/[&%$#_{}]/g, "\\$&").replace(/\^/g, "\\^{}");
  const [head, ...body] = grid.map((row) => row.map(told).join(" & ") + " \\\\");
  return ["\\begin{tabular}{l" + "r".repeat(grid[0].length - 1) + "}", "\\hline", head, "\\hline", ...body, "\\hline",
    "\\end{tabular}", ""].join("\n");
};

const offer = (place, label, what, action) => {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: label });
  button.setAttribute("aria-label", `Save ${what} as ${label}`);
  button.addEventListener("click", action);
  place.append(button);
};

// --- what is chosen, and its place in the address ---
const form = document.getElementById("filters");
const selects = [...form.querySelectorAll("select")];
const state = new Map();
const remember = () => {
  const kept = new URLSearchParams([...state].filter(([, value]) => value));
  history.replaceState(null, "", `#${kept}`);
};
let soon;
const rememberSoon = () => { // a wheel turns often, and browsers count how often an address changes
  clearTimeout(soon);
  soon = setTimeout(remember, 200);
};

const osTheme = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
const theme = () => document.documentElement.dataset.theme ?? osTheme();

// --- figures ---
const isShown = (row) => !("model" in row) || selects.every(({ name, value }) => value === "" || !(name in row) ||
  (name === "parameters" ? row.parameters <= Number(value) : String(row[name]) === value));

const fit = (spec, width) => {
  if (width < 600 && spec.config.legend) spec.config.legend.columns = 1;
  if (spec.facet) {
    const isApart = spec.resolve?.scale?.y === "independent"; // each panel has an axis of its own
    const n = new Set(spec.datasets[spec.data.name].map((row) => row[spec.facet.field])).size;
    spec.columns = Math.max(1, Math.min(n, Math.floor(width / 300)));
    const room = isApart ? Math.floor(width / spec.columns) - 75 : Math.floor((width - 75) / spec.columns) - 25;
    spec.spec.width = Math.min(room, 420);
    spec.facet.header.labelLimit = spec.spec.width + 20;
  } else if (spec.concat) {
    spec.columns = width < 640 ? 1 : spec.columns;
    for (const panel of spec.concat) panel.width = Math.min(Math.floor(width / spec.columns) - 75, 420);
  } else {
    const labels = width < 600 ? 165 : 320;
    Object.assign(spec.config.axis, { labelLimit: labels, labelFontSize: width < 600 ? 10 : 11 });
    spec.width = Math.min(spec.width, width - labels - 20);
  }
};

const hold = (place, view) => { // what is drawn there, which alone can be saved
  place.view?.finalize();
  place.view = view;
  for (const button of place.closest("figure").querySelectorAll(".save button")) button.disabled = !view;
};

const draw = async (place) => {
  const { spec: base, rows } = figures[place.dataset.figure];
  const spec = structuredClone(base);
  spec.datasets = Object.fromEntries(Object.entries(rows).map(([name, all]) => [name, all.filter(isShown)]));
  delete spec.title; // the page has it above
  const first = Object.keys(rows)[0];
  if (spec.datasets[first].length === 0) {
    place.textContent = "Nothing to show of what is chosen.";
    return;
  }
  fit(spec, place.clientWidth);
  let text = JSON.stringify(spec);
  if (theme() === "dark") {
    const dark = base.usermeta.dark;
    text = text.replace(new RegExp(Object.keys(dark).join("|"), "g"), (colour) => dark[colour]);
  }
  const drawn = await vegaEmbed(place, JSON.parse(text), {
    actions: false, ast: true, renderer: "svg", defaultStyle: false, tooltip: { theme: theme() },
  });
  await keepZoom(place, drawn);
  hold(place, drawn.view);
};

// Zoom: what an axis is set to is a signal of Vega, `zoom_step` or so; in the address it is `figure.step=120_840`.
const inAddress = ([from, to]) => [from, to].map((value) => { // to a thousandth of what is seen, or to four digits
  const share = Math.abs(value) / (to - from);
  return share < 1e-6 ? 0 : Number(value.toPrecision(Math.min(Math.max(4, 3 + Math.ceil(Math.log10(share))), 15)));
}).join("_");
const keepZoom = async (place, { view, vgSpec }) => {
  const axes = vgSpec.signals.filter(({ name, update }) => name.startsWith("zoom") && !update).map(({ name }) => name);
  const keyOf = (axis) => `${place.dataset.figure}.${axis.replace(/^zoom_?/, "")}`;
  const isLog = JSON.stringify(figures[place.dataset.figure].spec).includes('"type":"log"');
  for (const axis of axes) {
    const [, from, to] = (/^(-?[\d.]{1,16})_(-?[\d.]{1,16})$/.exec(state.get(keyOf(axis)) ?? "") ?? []).map(Number);
    if (from < to && !(isLog && from <= 0)) view.signal(axis, [from, to]);
  }
  await view.runAsync();
  for (const axis of axes) view.addSignalListener(axis, (_, range) => {
    state.set(keyOf(axis), range ? inAddress(range) : "");
    rememberSoon();
  });
};
const forgetZoom = () => {
  for (const key of state.keys()) if (figures[key.split(".")[0]]) state.delete(key);
};

let turn = 0;
const drawAll = async () => {
  const mine = ++turn;
  delete document.documentElement.dataset.drawn;
  const places = [...document.querySelectorAll(".drawing[data-figure]")];
  for (const place of places) hold(place);
  if (!await library) return;
  for (const place of places) {
    if (mine !== turn) return; // something else was chosen meanwhile
    if (place.closest("section").hidden || !figures[place.dataset.figure]) continue;
    await draw(place);
  }
  if (mine === turn) document.documentElement.dataset.drawn = "all";
};

// --- filters ---
const listed = (text, value) => text.split(/[ ,]/).includes(String(value));
const suits = { // filter -> whether what an element says of itself is what is chosen; rows name models and runs by number
  task: ({ task }, { value }) => listed(task, value),
  shape: ({ shape }, { value }) => shape === value,
  order: ({ orders }, { value }) => listed(orders, value),
  model: ({ models }, { selectedIndex }) => listed(models, selectedIndex - 1), // the first option is `all`
  run: ({ runs }, { selectedIndex }) => listed(runs, selectedIndex - 1),
  parameters: ({ parameters }, { value }) => Number(parameters) <= Number(value),
};
const saysOf = { order: "orders", model: "models", run: "runs" };
const ordersOf = [...document.querySelectorAll("#legend button")].map(({ dataset }) => dataset.orders);
const saidOf = ({ dataset }) => { // a row has the number of its model, and of those that this is compared with
  if (!("chip" in dataset)) return dataset;
  const models = [dataset.chip, ...(dataset.with?.split(",") ?? [])];
  return { ...dataset, models: models.join(), orders: models.map((number) => ordersOf[number]).join() };
};
const isChosen = (element) => {
  const said = saidOf(element);
  return selects.every((select) => select.value === "" || !((saysOf[select.name] ?? select.name) in said) ||
    suits[select.name](said, select));
};

const filter = () => {
  for (const { name, value } of selects) state.set(name, value);
  remember();
  let shown = 0;
  for (const section of document.querySelectorAll("section[data-task]")) {
    const rows = [...section.querySelectorAll("tr[data-chip]")];
    for (const row of rows) row.hidden = !isChosen(row);
    const n = rows.filter((row) => !row.hidden).length;
    section.hidden = !isChosen(section) || n === 0;
    shown += section.hidden ? 0 : n;
  }
  document.getElementById("shown").textContent = `${shown} rows shown`;
  for (const button of document.querySelectorAll("#legend button")) {
    button.setAttribute("aria-pressed", String(button.dataset.model === form.elements.model.value));
  }
  return drawAll();
};

const setTheme = (name) => {
  if (name) document.documentElement.dataset.theme = name;
  document.getElementById("theme").textContent = theme() === "dark" ? "light" : "dark";
};

const apply = () => { // what the address says; what does not exist chooses nothing
  state.clear();
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) state.set(name, value);
  for (const select of selects) {
    const value = state.get(select.name) ?? "";
    select.value = [...select.options].some((option) => option.value === value) ? value : "";
  }
  for (const table of document.querySelectorAll("table")) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading) => heading.removeAttribute("aria-sort"));
    table.tBodies[0].append(...asMade.get(table));
    const [, column, way] = /^(\d+)(up|down)$/.exec(state.get(table.id) ?? "") ?? [];
    if (column && Number(column) < headings.length) sortBy(table, Number(column), way === "up");
  }
  setTheme(["light", "dark"].includes(state.get("theme")) ? state.get("theme") : undefined);
  return filter();
};

// --- begin ---
const asMade = new Map([...document.querySelectorAll("table")].map((table) => [table, [...table.tBodies[0].rows]]));
for (const table of document.querySelectorAll("table")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => {
      const isScored = [...table.tBodies[0].rows].some((row) => "score" in row.cells[column].dataset); // the best first
      const before = heading.getAttribute("aria-sort") ?? (isScored ? "ascending" : "descending");
      sortBy(table, column, before !== "ascending");
      remember();
    });
    heading.replaceChildren(button);
  });
}
for (const table of document.querySelectorAll("table.pairs")) { // on a small screen a row is a card that says what its numbers are
  table.classList.add("cards");
  const columns = [...table.tHead.rows[0].cells].map((heading) => heading.textContent);
  for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, column) => { cell.dataset.of = columns[column]; });
}
// The font by whose widths figures are laid out where there is none of the others; a figure takes it along.
const narrowed = [...document.styleSheets[0].cssRules].find((rule) => rule instanceof CSSFontFaceRule);
for (const place of document.querySelectorAll(".save")) {
  const name = place.dataset.of;
  const table = document.getElementById(name);
  if (table) {
    offer(place, "CSV", name, () => saveText(`${name}.csv`, asCsv(gridOf(table)), "text/csv"));
    offer(place, "LaTeX", name, () => saveText(`${name}.tex`, asLatex(gridOf(table)), "text/plain"));
  } else if (figures[name]) {
    const view = () => document.querySelector(`.drawing[data-figure="${name}"]`).view;
    offer(place, "PNG", name, async () => save(`${name}.png`, await view().toImageURL("png", 2)));
    offer(place, "SVG", name, async () => {
      const svg = (await view().toSVG()).replace(">", `><style>${narrowed.cssText}</style>`);
      saveText(`${name}.svg`, svg, "image/svg+xml");
    });
    offer(place, "CSV", name, () => {
      const rows = Object.values(figures[name].rows)[0].filter(isShown);
      const fields = Object.values(figures[name].data)[0].fields;
      saveText(`${name}.csv`, asCsv([fields, ...rows.map((row) => fields.map((f) => String(row[f] ?? "")))]), "text/csv");
    });
  }
}
form.hidden = false;
form.addEventListener("change", filter);
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("all").addEventListener("click", () => {
  form.reset();
  forgetZoom();
  filter();
});
document.getElementById("theme").addEventListener("click", () => {
  setTheme(theme() === "dark" ? "light" : "dark");
  state.set("theme", theme());
  remember();
  drawAll();
});
document.getElementById("legend").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  form.elements.model.value = form.elements.model.value === button.dataset.model ? "" : button.dataset.model;
  filter();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  setTheme();
  drawAll();
});
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  drawAll();
});
addEventListener("hashchange", () => {
  if (!document.getElementById(location.hash.slice(1))) apply(); // else a link within the page
});
apply();

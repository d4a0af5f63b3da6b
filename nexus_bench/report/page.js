"use strict";
// Tables that can be sorted by any column, and filtered by task, order and model. Without scripts all is shown.

const valueOf = (row, column) => {
  const text = row.cells[column].textContent.trim();
  const number = parseFloat(text.replace(/,/g, "").replace(/^x /, ""));
  return Number.isNaN(number) ? text : number;
};

const compare = (a, b) => {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1; // what is no figure comes last
  return a.localeCompare(b, "en", { numeric: true });
};

const sortBy = (table, column) => {
  const headings = [...table.tHead.rows[0].cells];
  const isAscending = headings[column].getAttribute("aria-sort") !== "ascending";
  headings.forEach((heading) => heading.removeAttribute("aria-sort"));
  headings[column].setAttribute("aria-sort", isAscending ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((a, b) => compare(valueOf(a, column), valueOf(b, column)));
  body.append(...(isAscending ? rows : rows.reverse()));
};

for (const table of document.querySelectorAll("table")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => sortBy(table, column));
    heading.replaceChildren(button);
  });
}

const form = document.getElementById("filters");
const chosen = (name) => form.elements[name].value;

const filter = () => {
  const [task, order, model] = ["task", "order", "model"].map(chosen);
  for (const section of document.querySelectorAll("section")) {
    section.hidden = task !== "" && section.dataset.task !== task;
  }
  let shown = 0;
  for (const row of document.querySelectorAll("tbody tr")) {
    const hasOrder = order === "" || JSON.parse(row.dataset.orders).includes(Number(order));
    const hasModel = model === "" || JSON.parse(row.dataset.models).includes(model);
    row.hidden = !(hasOrder && hasModel);
    shown += row.hidden || row.closest("section").hidden ? 0 : 1;
  }
  document.getElementById("shown").textContent = `${shown} rows shown`;
};

form.hidden = false;
form.addEventListener("change", filter);
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("all").addEventListener("click", () => {
  form.reset();
  filter();
});
filter();

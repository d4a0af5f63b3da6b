"use strict";
// The examples of a leaderboard: facts, query and right answer of the chosen one, and what each model answered.

const examples = JSON.parse(document.getElementById("examples").textContent);
const pickers = ["task", "hop", "number"].map((name) => document.getElementById(`example-${name}`));
const [taskPicker, hopPicker, numberPicker] = pickers;

const element = (name, text, properties = {}) => Object.assign(document.createElement(name), { textContent: text, ...properties });
const offerValues = (picker, values) => {
  const before = picker.value;
  picker.replaceChildren(...values.map((value) => element("option", value)));
  if (values.map(String).includes(before)) picker.value = before;
};
const distinct = (values) => [...new Set(values)];

const answersOf = (example) => {
  const table = element("table", "");
  const columns = ["model", "answered", "rank", "run", "seed", "probability"];
  const look = (place) => (place > 2 ? "at-desk" : "");
  const head = element("tr", "");
  head.append(...columns.map((column, place) => element("th", column, { scope: "col", className: look(place) })));
  const body = example.answers.map((answer) => {
    const row = element("tr", "");
    const isRight = answer.rank === 1;
    const cells = [`${answer.prediction} ${isRight ? "\u2713 right" : "\u2717 wrong"}`, answer.rank, answer.run, answer.seed,
      answer.probability.toFixed(2)];
    row.append(element("th", answer.model, { scope: "row" }),
      ...cells.map((cell, place) => element("td", cell, { className: look(place + 1) })));
    return row;
  });
  table.append(element("thead", ""), element("tbody", ""));
  table.tHead.append(head);
  table.tBodies[0].append(...body);
  const wide = element("div", "", { className: "wide", tabIndex: 0 });
  wide.setAttribute("role", "region");
  wide.setAttribute("aria-label", "Answers to this example");
  wide.append(table);
  return wide;
};

const factsOf = (example) => {
  const list = element("ul", "", { className: "facts" });
  list.append(...example.facts.map((fact) => element("li", fact)));
  return list;
};

const told = (what, text) => {
  const line = element("p", "");
  line.append(element("strong", `${what} `), element("code", text));
  return line;
};

const showExample = () => {
  const ofTask = examples.filter((example) => example.task === taskPicker.value);
  offerValues(hopPicker, distinct(ofTask.map((example) => example.hop)));
  const ofHop = ofTask.filter((example) => example.hop === Number(hopPicker.value));
  offerValues(numberPicker, ofHop.map((_, number) => number + 1));
  const example = ofHop[Number(numberPicker.value) - 1];
  document.getElementById("example").replaceChildren(element("p", "Facts", { className: "about" }), factsOf(example),
    told("Query", example.query), told("Right answer", example.answer), told("Derived by", example.chain), answersOf(example));
};

offerValues(taskPicker, distinct(examples.map((example) => example.task)));
document.querySelector(".chooser").hidden = false;
for (const picker of pickers) picker.addEventListener("change", showExample);
showExample();

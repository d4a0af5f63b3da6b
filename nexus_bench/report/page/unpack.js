"use strict";
// What the page holds packed, by `packing.py`: columns of rows and downloads, figures, the library that draws.

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const unfold = (column) => { // what `packing.py` folded
  if (Array.isArray(column)) return column;
  if (column.runs) return column.runs.flatMap((value, i) => (i % 2 ? [] : Array(column.runs[i + 1]).fill(value)));
  if (column.thousandths) return unfold(column.thousandths).map((value) => (value === null ? null : value / 1000));
  if (column.digits !== undefined) {
    const numbers = column.digits.match(/../g).map(([high, low]) => DIGITS.indexOf(high) * 64 + DIGITS.indexOf(low));
    return numbers.map((number) => (number === 4095 ? null : number));
  }
  const every = unfold(column.every);
  return Array.from({ length: column.n }, (_, i) => every[i % every.length]);
};
const joined = (table) => { // the text of a file, from its columns
  if (typeof table === "string") return table;
  const columns = table.map((column) => {
    if (typeof column === "string") return column.split("\n");
    const words = column.words.split("\n");
    return unfold(column.at).map((number) => words[number]);
  });
  return columns[0].map((_, row) => columns.map((column) => column[row]).join(",")).join("\n") + "\n";
};
const downloads = JSON.parse(document.getElementById("downloads").textContent);
for (const link of document.querySelectorAll("a[download]")) {
  const bytes = new TextEncoder().encode(joined(downloads[link.download]));
  const latin = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  link.href = `data:text/csv;charset=utf-8;base64,${btoa(latin)}`;
}

const unpack = ({ fields, words, columns: folded }) => {
  const columns = folded.map(unfold);
  return (columns[0] ?? []).map((_, row) => {
    const values = {};
    fields.forEach((field, i) => {
      const value = field in words ? words[field][columns[i][row]] : columns[i][row];
      if (value !== null) values[field] = value;
    });
    return values;
  });
};
const { specs, parts, data } = JSON.parse(document.getElementById("figures").textContent);
const ofEach = (found, action) => Object.fromEntries(Object.entries(found).map(([name, value]) => [name, action(value)]));
const whole = (value) => { // what stands once and is named elsewhere, in its places
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(whole);
  return "$part" in value ? whole(parts[value.$part]) : ofEach(value, whole);
};
const figures = {}; // name -> specification, rows by name, and the packed rows
for (const [name, spec] of Object.entries(specs)) {
  figures[name] = { spec: whole(spec), data: data[name], rows: ofEach(data[name], unpack) };
}

// Vega, Vega-Lite and Vega-Embed, unpacked; their licences begin the script that this adds to the page.
const library = (async () => {
  const bytes = Uint8Array.from(atob(document.getElementById("vega").textContent), (byte) => byte.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  document.head.append(Object.assign(document.createElement("script"), { textContent: await new Response(stream).text() }));
  return true;
})().catch(() => {
  for (const place of document.querySelectorAll(".drawing")) place.textContent = "This browser is too old to draw figures.";
  return false;
});

"use strict";
const digest = JSON.parse(document.getElementById("digest").textContent);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);  // strings become text, never markup
  return element;
}

// ---- sorting

function sortKey(row, column, numeric) {
  const cell = row.cells[column];
  if (!numeric) return cell.textContent.trim();
  return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
}

function sortBy(head) {
  const descending = head.getAttribute("aria-sort") === "ascending";
  const numeric = head.classList.contains("number"), sign = descending ? -1 : 1;
  const body = head.closest("table").tBodies[0];
  const rows = [...body.rows].map(row => [sortKey(row, head.cellIndex, numeric), row]);
  const empty = key => key === null || key === "";
  rows.sort(([a], [b]) => {
    if (empty(a) || empty(b)) return empty(a) - empty(b);  // last, whichever way it goes
    return sign * (numeric ? a - b : a.localeCompare(b, "en", { numeric: true }));
  });
  body.append(...rows.map(([, row]) => row));
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
}

// ---- records behind a number

const dialog = document.getElementById("records");

function called(measure) {
  return digest.names[measure] || measure.replaceAll("_", " ");
}

function definitions(pairs) {
  const list = make("dl");
  for (const [name, value] of pairs) {
    if (value !== undefined && value !== "") {
      list.append(make("div", {}, make("dt", {}, name), make("dd", {}, value)));
    }
  }
  return list;
}

function link(path) {
  const words = make("code", {}, "records/" + path);
  const address = "records/" + path.split("/").map(encodeURIComponent).join("/");
  return digest.linked ? make("a", { href: address }, words) : words;
}

function environment(cell) {
  const found = digest.environments[cell.environment];
  const versions = Object.entries(found.versions || {}).map(pair => pair.join(" ")).join(", ");
  const machine = [found.cpu, found.cores && found.cores + " cores", found.system, found.device,
                   found.threads && found.threads + " thread" + (found.threads > 1 ? "s" : "")];
  return [["Versions", versions], ["Machine", machine.filter(Boolean).join(", ")]];
}

function command(words) {  // no word of it is broken across lines
  return make("code", { class: "run" }, ...words.split(" ").flatMap(
    (word, i) => [i ? " " : "", make("span", {}, word)]));
}

function shown(cell, measure) {
  if (!cell.path || !measure) return "";
  const measured = { ...cell.values, seconds: cell.seconds };
  const found = measure.split("+").map(name => measured[name]).filter(v => v !== undefined);
  return found.length ? String(Number(found.map(Number).reduce((a, b) => a + b).toPrecision(6))) : "";
}

function record(cell, measure, open) {
  const summary = make("summary", {},
    make("span", { class: "seed" }, "seed " + cell.seed),
    make("span", { class: "value" }, shown(cell, measure)),
    make("span", { class: "state" }, make("i", { class: "dot " + cell.state, "aria-hidden": "true" }),
         " " + cell.state),
    make("span", { class: "seconds" },
         cell.seconds === undefined ? "" : cell.seconds.toLocaleString("en") + " s"));
  const rows = [["State", cell.state + (cell.why ? ": " + cell.why : "")],
                ["Run it again", command(cell.command)]];
  if (cell.path) {
    const values = Object.entries(cell.values || {}).map(pair => pair.join(" "));
    rows.push(["Record", link(cell.path)], ["Key", cell.key],
              ["Attempt", `${cell.attempt}, ended ${cell.status}`],
              ["Commit", (cell.commit || "not in git") + (cell.dirty ? ", with changes" : "")],
              ["Same bits by the code of", cell.verified], ["Started", cell.started],
              ...environment(cell), ["All it measured", values.join("; ")]);
  }
  const details = make("details", {}, summary, definitions(rows));
  details.open = open;
  return details;
}

function openRecords(button) {
  const group = digest.groups[button.dataset.group], measure = button.dataset.measure;
  const cells = group.cells.map(index => digest.cells[index]);
  const set = (id, words) => { document.getElementById(id).textContent = words; };
  set("records-suite", group.suite);
  set("records-title", group.title);
  const words = button.textContent.trim().replace(/\s+/g, " ");
  const label = button.dataset.label || called(measure);
  set("records-number", label && `${label}: ${words}`);
  const body = document.getElementById("records-body");
  body.replaceChildren(
    make("p", {}, "Run all of it again: ", command(group.command)),
    make("p", { class: "soft" }, group.command.includes(" --results ")
      ? "What is done and fresh would be skipped, so this goes to a results folder of its own."
      : ""),
    ...cells.map(cell => record(cell, measure, cells.length === 1)));
  dialog.showModal();
  body.scrollTop = 0;
}

// ---- records found by words

let index;  // of every group of cells: its button, and what is looked through

function searched() {
  return Object.entries(digest.groups).map(([id, group]) => {
    const cells = group.cells.map(i => digest.cells[i]), tally = new Map();
    for (const cell of cells) tally.set(cell.state, (tally.get(cell.state) || 0) + 1);
    const states = [...tally].map(([state, n]) => `${n} ${state}`).join(", ");
    const words = [id, group.suite, group.title, states,
                   ...cells.flatMap(cell => [cell.key, cell.commit, cell.started, cell.why])];
    return { id, group, states, words: words.filter(Boolean).join(" ").toLowerCase() };
  });
}

function find(input) {
  index ??= searched();
  const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean), most = 12;
  const found = wanted.length
    ? index.filter(({ words }) => wanted.every(word => words.includes(word))) : [];
  input.parentElement.querySelector("output").textContent = !wanted.length ? ""
    : `${found.length} of ${index.length} groups` + (found.length > most ? `, ${most} shown` : "");
  document.getElementById("found").replaceChildren(...found.slice(0, most).map(
    ({ id, group, states }) => make("li", {},
      make("button", { type: "button", "aria-haspopup": "dialog", "data-group": id,
                       "data-measure": "", "data-label": "Cells" },
           group.title, make("small", {}, ` ${group.suite.split(":")[0]} · ${states}`)))));
}

// ---- filters

function filter(input) {
  const rows = [...document.getElementById(input.dataset.filters).tBodies[0].rows];
  const wanted = input.value.trim().toLowerCase();
  for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  const left = rows.filter(row => !row.hidden).length;
  input.parentElement.querySelector("output").textContent = `${left} of ${rows.length} rows`;
}

// ---- events

document.addEventListener("click", event => {
  const sorter = event.target.closest("button.sort");
  const opener = event.target.closest("button[data-group]");
  const picture = event.target.closest("button.picture");
  if (sorter) sortBy(sorter.closest("th"));
  else if (picture) {
    const whole = picture.getAttribute("aria-pressed") !== "true";
    picture.setAttribute("aria-pressed", whole);
  }
  else if (opener) openRecords(opener);
  else if (event.target === dialog || event.target.closest("#records-close")) dialog.close();
});
for (const input of document.querySelectorAll("input[data-filters]")) {
  input.addEventListener("input", () => filter(input));
  filter(input);
}
const finder = document.getElementById("find");
if (finder) finder.addEventListener("input", () => find(finder));

function unfold() {  // what a link leads to, or into, or whose only content is folded
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
    fold.open = true;
  }
  const whole = target.querySelector(":scope > details.whole");
  if (whole) whole.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", unfold);
unfold();
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("main details")) details.open = true;
});

// ---- a table that fits scrolls with the page, its head under the top of the screen

const fitting = new ResizeObserver(found => {
  for (const { target } of found) {
    const fits = target.firstElementChild.offsetWidth <= target.clientWidth;
    target.classList.toggle("fits", fits);
    target.tabIndex = fits ? -1 : 0;
  }
});
for (const region of document.querySelectorAll(".scroll")) fitting.observe(region);

// ---- where the reader is

const entries = new Map([...document.querySelectorAll("nav a")].map(
  anchor => [anchor.getAttribute("href").slice(1), anchor]));
const watcher = new IntersectionObserver(found => {
  for (const one of found) {
    if (!one.isIntersecting) continue;
    for (const anchor of entries.values()) anchor.removeAttribute("aria-current");
    entries.get(one.target.id).setAttribute("aria-current", "true");
  }
}, { rootMargin: "-10% 0px -80% 0px" });
for (const id of entries.keys()) watcher.observe(document.getElementById(id));

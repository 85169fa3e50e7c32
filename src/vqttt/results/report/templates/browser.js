"use strict";
// The image browser of a report, its light and dark modes, and the sorting of its tables. Texts come from records, so they are only set as text.
(() => {
  const root = document.documentElement;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = getComputedStyle(root).colorScheme === "dark";
    root.dataset.theme = dark ? "light" : "dark";
  });

  // The value of a cell by which its column is sorted: a number where the cell starts with one, else its text.
  const value = (cell) => {
    const text = cell.textContent.trim().replace(/−/g, "-").replace(/(\d),(?=\d{3})/g, "$1");
    if (text === "–" || text === "") return null;
    const number = /^[<↓↑=]?\s*[+-]?\d+(\.\d+)?(?=$|[\s×\[(])/.exec(text);
    return number ? Number(number[0].replace(/[<↓↑=\s+]/g, "")) : text.toLowerCase();
  };
  const compare = (a, b) =>
    typeof a !== typeof b ? (typeof a === "number" ? -1 : 1) : typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0;

  function sort(table, column, way) {
    const body = table.tBodies[0];
    const known = [...body.rows].map((row) => ({ row, key: value(row.cells[column]) }));
    // Missing values come last, whichever way the column is sorted.
    known.sort((a, b) => a.key === null || b.key === null ? (a.key === null) - (b.key === null) : way * compare(a.key, b.key));
    body.append(...known.map(({ row }) => row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const rows = [...table.tBodies[0].rows], heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = "sort";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        // Up, down, and back to the order in which the table came.
        const next = { ascending: "descending", descending: null }[head.ariaSort] ?? (head.ariaSort ? null : "ascending");
        for (const other of heads) other.removeAttribute("aria-sort");
        if (next) head.setAttribute("aria-sort", next);
        table.tBodies[0].append(...rows);
        if (next) sort(table, column, next === "ascending" ? 1 : -1);
      });
    });
  }

  const source = document.getElementById("examples");
  if (!source) return;
  const { examples, images, kernels, flips } = JSON.parse(source.textContent);
  const [form, list, status, more, view] = ["filters", "cards", "shown", "more", "view"].map((id) => document.getElementById(id));
  const PAGE = 24;
  const GOOD = ["corrective", "helped"], BAD = ["destructive", "hurt"], BY_QUALITY = ["helped", "hurt"];
  const FIELDS = ["flip", "model", "task", "degradation", "severity", "method"];
  let found = [], limit = PAGE, open = -1;

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== null));
    return made;
  };
  const svg = (name, attributes = {}, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const place = (e) => {
    const severity = e.severity ? ` ${e.severity}` : "";
    const rest = [e.restorer, e.method].filter((name) => name !== "none");
    return [e.task, e.degradation + severity, ...rest].join(" · ");
  };
  const tone = (e) => (GOOD.includes(e.flip) ? "good" : BAD.includes(e.flip) ? "bad" : "note");
  // The images of an example with their names, without those that it lacks.
  const versions = (e) => e.images.map((number, i) => ({ number, words: e.versions[i] })).filter(({ number }) => number !== null);
  const image = (number, alt) => element("img", { src: images[number], alt, loading: "lazy" });

  function card(e, number) {
    const pair = versions(e).slice(0, 2).map(({ number, words }) => image(number, words));
    const made = element("button", { class: "card", type: "button", "data-number": number },
      element("span", { class: "pair" }, ...pair),
      element("span", { class: "question" }, e.question),
      element("span", { class: "answers" }, `${e.before || "(no answer)"} → ${e.answer || "(no answer)"}`),
      element("span", { class: `tag ${tone(e)}` }, flips[e.flip]),
      element("span", { class: "where" }, place(e)));
    return element("li", {}, made);
  }

  function render() {
    list.replaceChildren(...found.slice(0, limit).map(card));
    status.textContent = found.length === examples.length
      ? `${found.length} examples` : `${found.length} of ${examples.length} examples`;
    more.hidden = found.length <= limit;
  }

  function filter() {
    const wanted = Object.fromEntries(new FormData(form));
    const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
    found = examples.filter((e) =>
      FIELDS.every((name) => !wanted[name] || String(e[name]) === wanted[name]) && words.every((word) => e.words.includes(word)));
    limit = PAGE;
    render();
  }

  function heat(weights) {
    const n = weights.length, reach = Math.max(...weights.flat().map(Math.abs));
    const drawn = svg("svg", { viewBox: `0 0 ${n} ${n}`, role: "img", "aria-label": "kernel" });
    weights.forEach((row, y) => row.forEach((weight, x) => {
      const style = `fill: rgb(var(--${weight < 0 ? "down" : "up"}))`;
      // The square root makes small weights around a large centre visible.
      const strength = Math.sqrt(Math.abs(weight) / reach);
      drawn.append(svg("rect", { x, y, width: 0.94, height: 0.94, style: "fill: var(--grid)" }));
      if (weight) drawn.append(svg("rect", { x, y, width: 0.94, height: 0.94, style, "fill-opacity": strength.toFixed(2) }));
    }));
    return drawn;
  }

  function response(gain) {
    const wide = 200, high = 100, top = Math.max(1.25, ...gain);
    const y = (value) => high - (value / top) * high;
    const points = gain.map((value, i) => `${((i / (gain.length - 1)) * wide).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    const line = (x1, y1, x2, y2, dash) => svg("line", { x1, y1, x2, y2, style: "stroke: var(--rule)", "stroke-dasharray": dash });
    const text = (x, at, words, anchor) => svg("text", { x, y: at, "text-anchor": anchor }, words);
    return svg("svg", { viewBox: `-16 -4 ${wide + 24} ${high + 28}`, role: "img", "aria-label": "frequency response" },
      line(0, high, wide, high, ""), line(0, y(1), wide, y(1), "3 3"), text(-4, y(1) + 3, "1", "end"), text(-4, high + 3, "0", "end"),
      svg("polyline", { points, style: "fill: none; stroke: var(--c1); stroke-width: 2" }),
      text(0, high + 13, "0", "middle"), text(wide, high + 13, "0.5", "middle"), text(wide / 2, high + 13, "cycles/pixel", "middle"));
  }

  function numbers(name, [before, after]) {
    const shown = (value) => (value === null ? "–" : value.toFixed(2));
    return before === null && after === null ? [] : [name, shown(before), shown(after)].map((text) => element("span", {}, text));
  }

  function large(e) {
    const trio = versions(e).map(({ number, words }) =>
      element("figure", {}, image(number, words), element("figcaption", {}, words)));
    const heads = BY_QUALITY.includes(e.flip) ? ["", ...e.versions.slice(0, 2)] : ["", "before tuning", "after tuning"];
    const button = (words, label, act) => {
      const made = element("button", { class: "more", type: "button", "aria-label": label }, words);
      made.addEventListener("click", act);
      return made;
    };
    const top = element("div", { class: "top" },
      element("span", { class: "where" }, `${open + 1} of ${found.length} · ${place(e)} · ${e.sample_id}`),
      button("←", "previous", () => step(-1)), button("→", "next", () => step(1)), button("✕", "close", () => view.close()));
    const answers = [...heads, "answer", e.before || "(no answer)", e.answer || "(no answer)"].map((words) => element("span", {}, words));
    const drawn = e.kernel === null ? null : element("div", { class: "kernel" },
      element("figure", {}, heat(kernels[e.kernel].weights), element("figcaption", {}, "learned kernel")),
      element("figure", {}, response(kernels[e.kernel].gain), element("figcaption", {}, "gain by frequency")));
    view.replaceChildren(top, element("div", { class: "trio" }, ...trio),
      element("p", { class: "full-question" }, e.question),
      element("p", { class: "note" }, `reference: ${e.reference} · `, element("span", { class: `tag ${tone(e)}` }, flips[e.flip])),
      element("div", { class: "comparison" }, ...answers, ...numbers("confidence", e.confidence), ...numbers("entropy (nats)", e.entropy)),
      ...(drawn ? [drawn] : []));
  }

  function show(number) {
    const pressed = view.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : "";
    open = number;
    large(found[number]);
    if (!view.open) view.showModal();
    // Redrawing removed the button that had the focus, so focus its replacement.
    (view.querySelector(`button[aria-label="${pressed}"]`) || view.querySelector("button:last-child")).focus();
    history.replaceState(null, "", `#image-${found[number].id}`);
  }

  function step(by) {
    if (found.length) show((open + by + found.length) % found.length);
  }

  function follow() {
    const id = location.hash.replace("#image-", "");
    const number = found.findIndex((e) => e.id === id);
    if (number >= 0) show(number);
  }

  for (const e of examples) {
    e.words = [e.question, e.reference, e.before, e.answer, e.sample_id, e.degradation, e.task].join(" ").toLowerCase();
  }
  for (const name of FIELDS) {
    const select = form.elements[name];
    const values = [...new Set(examples.map((e) => e[name]))];
    if (name !== "flip") values.sort((a, b) => (typeof a === "number" ? a - b : a < b ? -1 : 1));
    for (const value of values) select.append(element("option", { value }, name === "flip" ? flips[value] : String(value)));
    select.hidden = values.length < 2;
  }
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => { limit += PAGE; render(); });
  list.addEventListener("click", (event) => {
    const chosen = event.target.closest(".card");
    if (chosen) show(Number(chosen.dataset.number));
  });
  view.addEventListener("click", (event) => { if (event.target === view) view.close(); });
  view.addEventListener("close", () => history.replaceState(null, "", "#images"));
  document.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && view.open) step(by);
  });
  window.addEventListener("hashchange", follow);
  filter();
  follow();
})();

"use strict";
// The report's tools. The page is complete without them; they sort, filter and enlarge.
const $ = (id) => document.getElementById(id);

// Values sort as numbers where they are, as text otherwise; what is missing always comes last.
function compare(a, b, sign) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const difference = Number(a) - Number(b);
  return sign * (Number.isNaN(difference) ? a.localeCompare(b, undefined, { numeric: true }) : difference);
}

// Tables: a heading's button sorts its column; numbers start with the largest.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const now = head.getAttribute("aria-sort");
    const first = head.classList.contains("n") ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const next = now === first ? other : first;
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", next);
    const value = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => compare(value(a), value(b), next === "ascending" ? 1 : -1));
    table.tBodies[0].append(...rows);
  }));
}

// Photos: filter, order, panels; the state stands in the address, so that a view can be linked.
const cards = [...document.querySelectorAll(".card")];
function gallery() {
  const find = $("find"), kind = $("class"), order = $("order"), turn = $("turn");
  const boxes = [...document.querySelectorAll(".tools fieldset input")];
  const state = new URLSearchParams(location.hash.slice(1));
  find.value = state.get("q") ?? "";
  kind.value = state.get("class") ?? "";
  order.value = state.get("sort") ?? "name";
  if (kind.selectedIndex < 0) kind.value = "";
  if (order.selectedIndex < 0) order.value = "name";
  let down = state.get("down") === "1";
  const off = new Set(state.getAll("off"));
  boxes.forEach((box) => { box.checked = !off.has(box.value); });

  function apply() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const card of cards) {
      const text = (card.dataset.name + " " + card.dataset.words).toLowerCase();
      const fits = words.every((word) => text.includes(word))
        && (!kind.value || card.dataset.classes.includes(" " + kind.value + " "));
      card.hidden = !fits;
      shown += fits;
    }
    const by = order.value, sign = down ? -1 : 1;
    cards.sort((a, b) => compare(a.dataset[by], b.dataset[by], sign)
      || a.dataset.name.localeCompare(b.dataset.name, undefined, { numeric: true }));
    $("cards").append(...cards);
    const hidden = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
    document.querySelectorAll(".panels figure").forEach((figure) => {
      figure.hidden = hidden.has(figure.dataset.kind);
    });
    turn.textContent = down ? "descending" : "ascending";
    turn.setAttribute("aria-pressed", String(down));
    $("shown").textContent = shown + " of " + cards.length;
    $("none").hidden = shown > 0;
    remember(by, hidden);
  }
  function remember(by, hidden) {
    const next = new URLSearchParams();
    if (find.value) next.set("q", find.value);
    if (kind.value) next.set("class", kind.value);
    if (by !== "name") next.set("sort", by);
    if (down) next.set("down", "1");
    hidden.forEach((name) => next.append("off", name));
    const hash = next.toString();
    try { history.replaceState(null, "", hash ? "#" + hash : location.pathname + location.search); } catch { /* not allowed here */ }
  }
  find.addEventListener("input", apply);
  kind.addEventListener("change", apply);
  // Numbers are wanted largest first, names from A to Z.
  order.addEventListener("change", () => { down = order.value !== "name"; apply(); });
  turn.addEventListener("click", () => { down = !down; apply(); });
  boxes.forEach((box) => box.addEventListener("change", apply));
  find.form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}

// The enlarged view: arrows walk over panels and photos, a click beside the picture closes it.
function lightbox() {
  const box = $("box"), picture = box.querySelector("img");
  let open = null;
  function show(figure) {
    if (!figure) return;
    open = figure;
    const source = figure.querySelector("img");
    picture.src = source.src;
    picture.alt = source.alt;
    $("box-title").textContent = figure.closest(".card").dataset.name + " \u00b7 " + figure.dataset.kind;
  }
  function go(way) {
    const side = (figure) => [...figure.closest(".card").querySelectorAll("figure:not([hidden])")];
    if (way === "left" || way === "right") {
      const row = side(open);
      show(row[(row.indexOf(open) + (way === "right" ? 1 : row.length - 1)) % row.length]);
      return;
    }
    const seen = cards.filter((card) => !card.hidden && card.querySelector("figure:not([hidden])"));
    const next = seen[seen.indexOf(open.closest(".card")) + (way === "down" ? 1 : -1)];
    if (!next) return;
    const row = side(next.querySelector("figure"));
    show(row.find((figure) => figure.dataset.kind === open.dataset.kind) ?? row[0]);
  }
  $("cards").addEventListener("click", (event) => {
    const button = event.target.closest(".open");
    if (!button) return;
    show(button.closest("figure"));
    box.showModal();
  });
  box.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" }[event.key];
    if (!way) return;
    event.preventDefault();
    go(way);
  });
  box.querySelectorAll("[data-go]").forEach((button) => button.addEventListener("click", () => go(button.dataset.go)));
  $("box-close").addEventListener("click", () => box.close());
  picture.addEventListener("click", () => box.close());
  box.addEventListener("close", () => { open?.querySelector("button").focus(); open?.scrollIntoView({ block: "nearest" }); });
}

// Charts: the values under the pointer.
const short = (value) => String(Number(value.toPrecision(4)));
function readable(svg) {
  const [low, high] = svg.dataset.x.split(" ").map(Number);
  const [bottom, top] = svg.dataset.y.split(" ").map(Number);
  const [left, right, ceiling, floor] = svg.dataset.box.split(" ").map(Number);
  const lines = [...svg.querySelectorAll("[data-name]")].map((line) => ({
    name: line.dataset.name,
    points: line.getAttribute("points").trim().split(/\s+/).filter(Boolean).map((pair) => pair.split(",").map(Number)),
  })).filter((line) => line.points.length);
  const cross = document.createElementNS(svg.namespaceURI, "line");
  cross.setAttribute("class", "cross");
  cross.setAttribute("y1", ceiling);
  cross.setAttribute("y2", floor);
  const hint = document.createElement("div");
  hint.className = "hint";
  hint.hidden = true;
  svg.parentElement.append(hint);
  svg.addEventListener("pointermove", (event) => {
    const frame = svg.getBoundingClientRect();
    const x = (event.clientX - frame.left) / frame.width * svg.viewBox.baseVal.width;
    if (x < left - 5 || x > right + 5) return leave();
    const nearest = (points) => points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
    const at = nearest(lines.map((line) => nearest(line.points)))[0];
    const rows = lines.map((line) => {
      const y = nearest(line.points)[1];
      return line.name + "  " + short(bottom + (floor - y) / (floor - ceiling) * (top - bottom));
    });
    cross.setAttribute("x1", at);
    cross.setAttribute("x2", at);
    svg.append(cross);
    hint.textContent = [short(low + (at - left) / (right - left) * (high - low)), ...rows].join("\n");
    hint.hidden = false;
    const start = frame.left - svg.parentElement.getBoundingClientRect().left + at / svg.viewBox.baseVal.width * frame.width;
    hint.style.left = Math.max(4, Math.min(start + 12, svg.parentElement.clientWidth - hint.offsetWidth - 4)) + "px";
    hint.style.top = "44px";
  });
  const leave = () => { hint.hidden = true; cross.remove(); };
  svg.addEventListener("pointerleave", leave);
}

// Colours: as the system has it, or as chosen here.
function theme() {
  const button = $("theme"), kinds = ["auto", "light", "dark"];
  const stored = () => { try { return localStorage.getItem("irn-theme"); } catch { return null; } };
  const set = (kind) => {
    document.documentElement.dataset.theme = kind;
    button.textContent = "theme: " + kind;
    try { localStorage.setItem("irn-theme", kind); } catch { /* a private window */ }
  };
  button.hidden = false;
  const known = stored();
  if (kinds.includes(known)) set(known);
  button.addEventListener("click", () => {
    set(kinds[(kinds.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % kinds.length]);
  });
}

if (cards.length) { gallery(); lightbox(); }
document.querySelectorAll(".chart svg").forEach(readable);
theme();

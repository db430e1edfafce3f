"use strict";

// The first number of a cell such as "+26.9 % [23.8, 30.0]" or "< 0.001".
const NUMBER = /[-+\u2212]?\d+(?:\.\d+)?(?:e[-+]?\d+)?/i;
const WORDS = new Intl.Collator("en", { numeric: true });

function firstNumber(text) {
  const found = NUMBER.exec(text);
  return found ? Number(found[0].replace("\u2212", "-")) : null;
}

// Rows by one column. Cells that hold nothing to compare come last in both directions.
function inOrder(rows, column, numeric, direction) {
  const keyed = rows.map((row) => {
    const text = row.cells[column].textContent.trim();
    return { row, key: numeric ? firstNumber(text) : text || null };
  });
  keyed.sort((one, other) => {
    if (one.key === null || other.key === null) {
      return (one.key === null) - (other.key === null);
    }
    return direction * (numeric ? one.key - other.key : WORDS.compare(one.key, other.key));
  });
  return keyed.map((each) => each.row);
}

// A button in each header: ascending, descending, and as the report has it.
function makeSortable(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  if (rows.length < 2) {
    return;
  }
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    if (!header.textContent.trim()) {
      return;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: null };
      const before = header.getAttribute("aria-sort");
      const order = before ? next[before] : "ascending";
      headers.forEach((each) => each.removeAttribute("aria-sort"));
      if (order) {
        header.setAttribute("aria-sort", order);
      }
      const direction = order === "descending" ? -1 : 1;
      const numeric = header.classList.contains("number");
      body.append(...(order ? inOrder(rows, column, numeric, direction) : rows));
    });
  });
}

// The contents are folded where they would stand before the report, and open where beside it.
function foldContents() {
  const details = document.querySelector("nav details");
  const beside = window.matchMedia("(min-width: 70rem)");
  const fold = () => {
    details.open = beside.matches;
  };
  fold();
  beside.addEventListener("change", fold);
  details.addEventListener("click", (event) => {
    if (event.target.closest("a") && !beside.matches) {
      details.open = false;
    }
  });
}

// The contents show which section is read: the last whose heading has passed the top.
function followReader() {
  const links = [...document.querySelectorAll("nav a")];
  const headings = links.map((link) => document.getElementById(link.hash.slice(1)));
  if (!links.length) {
    return;
  }
  const frame = document.querySelector("nav details");
  let current = null;
  let waits = false;
  const mark = () => {
    waits = false;
    const passed = headings.filter((heading) => heading.getBoundingClientRect().top < 120);
    const link = links[Math.max(passed.length - 1, 0)];
    if (link === current) {
      return;
    }
    current?.removeAttribute("aria-current");
    current = link;
    current.setAttribute("aria-current", "true");
    const [place, around] = [current, frame].map((each) => each.getBoundingClientRect());
    if (place.top < around.top || place.bottom > around.bottom) {
      frame.scrollTop += place.top - around.top - around.height / 2;
    }
  };
  document.addEventListener("scroll", () => {
    if (!waits) {
      waits = true;
      window.requestAnimationFrame(mark);
    }
  });
  mark();
}

document.querySelectorAll("table").forEach(makeSortable);
foldContents();
followReader();

// What pages do beside being read: they fold, sort, copy, keep themselves up to date, draw charts.
// Nothing here is needed to read a page or to send a form.
"use strict";
(() => {
  const LIVE = { "X-Hedgerow-Live": "1" };
  const SLOWEST_S = 60; // between two tries, while nothing answers

  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // -- light and dark

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : dark.matches;
  };
  function switchTheme() {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("theme", theme);
    } catch (error) {
      // Storage is closed to us: it lasts for this page.
    }
    redraw();
  }

  // -- buttons

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.matches("[data-theme-switch]")) switchTheme();
    else if (button.matches(".fold")) fold(button);
    else if (button.matches("[data-copy]")) copy(button);
    else if (button.closest("th[data-sort]")) sort(button.closest("th"));
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.confirm && !confirm(form.dataset.confirm)) {
      event.preventDefault();
      return;
    }
    if (form.method === "post") {
      // Once: a second click would do it twice. Later, so that its value is still sent.
      setTimeout(() => all("button", form).forEach((one) => (one.disabled = true)));
    }
  });
  addEventListener("pageshow", () => all("form button:disabled").forEach((one) => (one.disabled = false)));

  function fold(button) {
    const isOpen = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!isOpen));
  }

  async function copy(button) {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch (error) {
      // Over plain http there is no clipboard: select it, for the keyboard to copy.
      const code = button.parentElement.querySelector("code");
      if (code) getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = before), 1500);
  }

  // -- tables

  function keyOf(row, column, kind) {
    const cell = row.cells[column];
    const data = cell.querySelector("data, time");
    const text = cell.dataset.key ?? data?.value ?? data?.dateTime ?? cell.textContent.trim();
    if (kind !== "number") return text.toLowerCase();
    const number = parseFloat(text.replace(/[$,%]/g, ""));
    return Number.isNaN(number) ? -Infinity : number; // what is not known comes last
  }

  function sort(head, given) {
    const table = head.closest("table");
    const was = head.getAttribute("aria-sort");
    const first = head.dataset.sort === "number" ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const order = given ?? (was === first ? second : first);
    all("th[aria-sort]", table).forEach((one) => one.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.matches(".total"));
      const keyed = rows.map((row) => [keyOf(row, head.cellIndex, head.dataset.sort), row]);
      keyed.sort(([a], [b]) => (a < b ? -sign : a > b ? sign : 0));
      const totals = all(":scope > tr.total", body);
      body.append(...keyed.map(([, row]) => row), ...totals);
    }
  }

  // -- what keeps itself up to date

  let hasEnded = false;
  const watched = new Set();

  function ended() {
    hasEnded = true;
    all(".ended").forEach((one) => (one.hidden = false));
  }

  class Watch {
    constructor(element, url, take) {
      this.element = element;
      this.url = url;
      this.take = take;
      this.everyS = Number(element.dataset.every) || 0;
      this.pauseS = this.everyS;
      this.timer = 0;
      this.since = new Date();
      watched.add(this);
    }
    later() {
      clearTimeout(this.timer);
      if (this.everyS) this.timer = setTimeout(() => this.look(), this.pauseS * 1000);
    }
    async look() {
      if (hasEnded) return;
      if (!this.element.isConnected) {
        watched.delete(this);
        return;
      }
      if (document.hidden) return; // visibilitychange looks again
      clearTimeout(this.timer);
      try {
        const answer = await fetch(this.url, { headers: LIVE, signal: AbortSignal.timeout(20000) });
        if (answer.status === 401) return ended();
        if (!answer.ok) throw new Error(`${answer.status}`);
        await this.take(answer);
        this.since = new Date();
        this.pauseS = this.everyS;
        this.stale(false);
      } catch (error) {
        this.pauseS = Math.min(Math.max(this.pauseS, 1) * 2, SLOWEST_S);
        this.stale(true);
        if (!this.everyS) this.timer = setTimeout(() => this.look(), this.pauseS * 1000);
      }
      this.later();
    }
    stale(isStale) {
      const before = this.element.previousElementSibling;
      const sign = before?.matches(".stale") ? before : null;
      if (!isStale) return sign?.remove();
      if (sign) return;
      const said = document.createElement("p");
      said.className = "stale";
      said.setAttribute("role", "status");
      said.textContent = `Not up to date since ${this.since.toLocaleTimeString()}: nothing answers.`;
      this.element.before(said);
    }
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) watched.forEach((one) => one.everyS && one.look());
  });

  // Where something is among its like: how it is found again after a swap.
  const place = (one, root) => {
    if (one.id) return `#${CSS.escape(one.id)}`;
    const kind = one.tagName.toLowerCase();
    return { kind, at: all(kind, root).indexOf(one) };
  };
  const found = (where, root) =>
    typeof where === "string" ? root.querySelector(where) : all(where.kind, root)[where.at];

  function swap(element, html) {
    const active = element.contains(document.activeElement) ? document.activeElement : null;
    if (active?.matches("input, select, textarea")) return false; // somebody is writing there
    const focus = active && place(active, element);
    const open = all("details[open]", element).map((one) => place(one, element));
    const scrolled = all(".scroll", element).map((one) => [place(one, element), one.scrollTop, one.scrollLeft]);
    const sorted = all("th[aria-sort]:not([aria-sort=none])", element).map((one) => [
      place(one, element),
      one.getAttribute("aria-sort"),
    ]);
    const drawn = new Map(all("figure.chart[data-drawn]", element).map((one) => [one.id, one.querySelector(".plot")]));
    element.innerHTML = html;
    open.forEach((one) => found(one, element)?.setAttribute("open", ""));
    sorted.forEach(([one, order]) => found(one, element)?.matches("th") && sort(found(one, element), order));
    for (const [id, plot] of drawn) {
      const figure = element.querySelector(`#${CSS.escape(id)}`);
      figure?.querySelector(".plot")?.replaceWith(plot);
    }
    begin(element);
    for (const [one, top, left] of scrolled) found(one, element)?.scrollTo(left, top);
    if (focus) found(focus, element)?.focus({ preventScroll: true });
    return true;
  }

  function keepLive(element) {
    let last = null;
    const watch = new Watch(element, element.dataset.live, async (answer) => {
      const html = await answer.text();
      if (html === last) return;
      if (swap(element, html)) last = html;
    });
    watch.later();
  }

  // -- charts

  const probe = document.createElement("i");
  const resolved = (value) => {
    if (Array.isArray(value)) return value.map(resolved);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, resolved(one)]));
    }
    if (typeof value !== "string" || !value.startsWith("var(--")) return value;
    probe.style.color = value;
    return getComputedStyle(probe).color;
  };

  async function draw(figure) {
    const plot = figure.querySelector(".plot");
    if (!figure.plot) return;
    if (window.Plotly) {
      document.body.append(probe);
      const { data, layout } = resolved(figure.plot);
      probe.remove();
      await Plotly.react(plot, data, layout, { displayModeBar: false, responsive: true });
    } else {
      figure.querySelector("details").open = true; // there are still the numbers
    }
    figure.dataset.drawn = "";
  }
  const redraw = () => all("figure.chart").forEach(draw);
  dark.addEventListener("change", redraw);

  function cell(kind, text) {
    const one = document.createElement(kind);
    if (kind === "th") one.scope = "col";
    one.textContent = text ?? "–";
    return one;
  }

  function fill(figure, told) {
    figure.querySelector("figcaption").textContent = told.title;
    figure.querySelector(".says").textContent = told.says;
    const table = figure.querySelector("details table");
    const head = document.createElement("tr");
    head.append(...told.table.head.map((one) => cell("th", one)));
    table.tHead.replaceChildren(head);
    const rows = told.table.rows.map((row) => {
      const line = document.createElement("tr");
      line.append(...row.map((one) => cell("td", one)));
      return line;
    });
    table.tBodies[0].replaceChildren(...rows);
  }

  function chart(figure) {
    if (figure.dataset.plot) {
      figure.plot = JSON.parse(figure.dataset.plot);
      draw(figure);
    }
    if (!figure.dataset.chart) return;
    const watch = new Watch(figure, figure.dataset.chart, async (answer) => {
      const told = await answer.json();
      figure.plot = told.figure;
      fill(figure, told);
      await draw(figure);
    });
    if (figure.dataset.plot) watch.later();
    else watch.look();
  }

  function begin(root) {
    all("figure.chart", root).forEach(chart);
    if (root === document) all("[data-live]", root).forEach(keepLive);
  }
  begin(document);
})();

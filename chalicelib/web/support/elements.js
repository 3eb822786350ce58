// Elements of the page. Every text becomes a text node: no name and no reason is parsed as HTML.

import { Problem, words } from "./api.js";

export const $ = (id) => document.getElementById(id);

/**
 * Return a new element. `options` are attributes, and `on` with listeners by event. An attribute that
 * is null or false is left out. Children are nodes or texts; null is left out.
 */
export function el(name, options = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (key === "on") {
      for (const [event, listener] of Object.entries(value)) {
        element.addEventListener(event, listener);
      }
    } else if (value !== null && value !== false) {
      element.setAttribute(key, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Return a section with a heading. */
export function section(title, options, ...children) {
  return el("section", { class: "card", ...options }, el("h2", {}, title), ...children);
}

/** Return a list of terms; entries with the value null are left out. */
export function terms(entries) {
  const shown = entries.filter(([, value]) => value !== null);
  return el("dl", {}, ...shown.flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]));
}

/** Return a table; cells are nodes or texts. */
export function table(label, columns, rows) {
  const head = el("tr", {}, ...columns.map((column) => el("th", { scope: "col" }, column)));
  const lines = rows.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell))));
  return el(
    "div",
    { class: "scroll", role: "region", "aria-label": label, tabindex: "0" },
    el("table", {}, el("thead", {}, head), el("tbody", {}, ...lines)),
  );
}

/** Return a text field with its label. */
export function field(id, label, options = {}) {
  const input = el("input", { id, name: id, autocomplete: "off", ...options });
  return el("div", { class: "field" }, el("label", { for: id }, label), input);
}

const SHIFT = 28800; // s, Beijing is ahead of UTC

const iso = (seconds) => new Date((seconds + SHIFT) * 1000).toISOString();

/** Return the present day in Beijing, as 2026-11-30. */
export const today = () => iso(Date.now() / 1000).slice(0, 10);

/** Return a time in Beijing, without the year where it is the present one. */
export function time(seconds) {
  const text = iso(seconds).slice(0, 16).replace("T", " ");
  return text.slice(0, 4) === today().slice(0, 4) ? text.slice(5) : text;
}

/** Return who did something: a word of the service, or the person's name at the provider. */
export function actor(name) {
  if (words.actors[name]) return words.actors[name];
  if (name.startsWith("staff:")) return name.slice(6);
  return name.startsWith("arn:") ? `运维 ${name.split("/").pop()}` : name;
}

/** Show a message that a person must act on; "" removes it. */
export function showAlarm(text) {
  $("alarm").textContent = text;
  $("alarm").hidden = !text;
}

/** Show the result of an act; "" removes it. */
export function showNotice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

/** Return what to say of an error; errors that are no Problem are faults of the page. */
export function problemText(error) {
  if (error instanceof Problem) return error.detail;
  reportError(error);
  return "页面出错，请刷新后重试。";
}

/** Return a form that runs once at a time and shows its errors below its fields. */
export function form(id, label, children, run) {
  const error = el("p", { class: "error", id: `${id}-error`, role: "alert" });
  const button = el("button", { class: "primary", type: "submit" }, label);
  const submit = async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-disabled")) return;
    button.setAttribute("aria-disabled", "true");
    error.textContent = "";
    try {
      await run(event.target.elements);
    } catch (problem) {
      error.textContent = problemText(problem);
      const named = problem.field && event.target.elements[problem.field];
      if (named) named.focus();
    } finally {
      button.removeAttribute("aria-disabled");
    }
  };
  return el(
    "form",
    { id, novalidate: true, on: { submit } },
    ...children,
    error,
    el("p", { class: "buttons" }, button),
  );
}

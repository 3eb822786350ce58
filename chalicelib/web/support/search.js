// The search field in the bar, and its list of firms.

import { get, words } from "./api.js";
import { $, el, problemText } from "./elements.js";

const PAUSE = 400; // ms after the last key
const SHORTEST = 2; // characters that are searched for without Enter

const KINDS = { number: "编号", phone: "手机号", name: "名称", head: "主任会计师" };

let firms = [];
let chosen = -1;
let latest = 0; // number of the newest search; answers of older ones are dropped
let pending = 0;
let shownFor = ""; // the text whose results are shown
let opensOnly = false; // whether Enter was pressed before the answer came

function showPopup(visible) {
  $("popup").hidden = !visible;
  $("q").setAttribute("aria-expanded", String(visible && firms.length > 0));
  if (!visible) $("q").removeAttribute("aria-activedescendant");
}

function choose(index) {
  chosen = index;
  [...$("found").children].forEach((option, number) => {
    option.setAttribute("aria-selected", String(number === index));
  });
  if (index < 0) return;
  $("q").setAttribute("aria-activedescendant", `firm-${index}`);
  $("found").children[index].scrollIntoView({ block: "nearest" });
}

function open(firm) {
  const login = firm.logins.find(({ matches }) => matches) || firm.logins[0];
  closeSearch();
  location.hash = `logins/${login ? login.login : firm.firm_no}`;
}

/** Hide the results. */
export function closeSearch() {
  clearTimeout(pending);
  latest += 1;
  showPopup(false);
}

function option(firm, index) {
  const phones = firm.logins.map(({ phone, wechat_bound: bound }) => {
    const parts = [phone || "未绑定手机号", bound ? "已绑定微信" : ""];
    return parts.filter(Boolean).join("，");
  });
  return el(
    "li",
    {
      id: `firm-${index}`,
      role: "option",
      "aria-selected": "false",
      on: { click: () => open(firm) },
    },
    el("strong", {}, firm.closed_at ? `${firm.name}（已注销）` : firm.name),
    el(
      "span",
      { class: "hint" },
      `${firm.firm_no} · ${words.provinces[firm.province] || firm.province} · ${[...new Set(phones)].join(" / ")} · 按${KINDS[firm.by]}`,
    ),
  );
}

async function search(text) {
  clearTimeout(pending);
  const number = (latest += 1);
  let state = "";
  firms = [];
  try {
    const result = await get(`api/find?q=${encodeURIComponent(text)}`);
    if (number !== latest) return;
    firms = result.firms;
    if (!firms.length && result.more) state = "符合的可能很多，还没有找到，请输入名称中更特别的文字。";
    else if (!firms.length) {
      state = "没有找到。可以换用编号、名称的一部分或完整手机号；新开户的会计师事务所随下一次导入生效。";
    }
    else if (result.more) state = `只显示${firms.length}家，请输入更多文字。`;
  } catch (problem) {
    if (number !== latest) return;
    state = problemText(problem);
    opensOnly = false;
  }
  shownFor = text;
  $("found").replaceChildren(...firms.map(option));
  $("found").hidden = !firms.length;
  $("found-state").textContent = state;
  $("live").textContent = state || `找到${firms.length}家。`;
  showPopup(true);
  choose(firms.length ? 0 : -1);
  if (opensOnly && firms.length === 1) open(firms[0]);
  opensOnly = false;
}

function typed(event) {
  clearTimeout(pending);
  opensOnly = false;
  const text = $("q").value.trim();
  if (!text) closeSearch();
  if (event.isComposing || text.length < SHORTEST) return;
  pending = setTimeout(() => search(text), PAUSE);
}

function pressed(event) {
  if (event.isComposing) return;
  const visible = !$("popup").hidden;
  if (event.key === "Escape" && visible) {
    event.preventDefault();
    closeSearch();
  } else if (visible && firms.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : firms.length - 1;
    choose((chosen + step) % firms.length);
  }
}

function submitted(event) {
  event.preventDefault();
  const text = $("q").value.trim();
  if (!text) return;
  if (!$("popup").hidden && shownFor === text && firms[chosen]) {
    open(firms[chosen]);
    return;
  }
  opensOnly = true;
  search(text);
}

/** Make the search field usable; "/" focuses it from anywhere outside a field. */
export function startSearch() {
  $("search").hidden = false;
  $("q").addEventListener("input", typed);
  $("q").addEventListener("compositionend", typed);
  $("q").addEventListener("keydown", pressed);
  $("q").addEventListener("blur", closeSearch);
  // The field keeps the focus while a firm is clicked or the list is scrolled.
  $("popup").addEventListener("mousedown", (event) => event.preventDefault());
  $("search").addEventListener("submit", submitted);
  document.addEventListener("keydown", (event) => {
    const writing = event.target.closest("input, textarea, dialog");
    if (event.key !== "/" || writing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    $("q").focus();
    $("q").select();
  });
}

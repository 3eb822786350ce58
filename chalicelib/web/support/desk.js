// The desk: sign-in, the places of each role, and the page of the present place.

import { get, hasRole, onSignedOut, page, post, setStaff, staff } from "./api.js";
import { closeAct } from "./dialog.js";
import { $, el, problemText, showAlarm, showNotice } from "./elements.js";
import { loginPage } from "./login.js";
import { stopPhoneCard } from "./phone.js";
import { proposalsPage } from "./proposals.js";
import { auditPage, todayPage } from "./reviews.js";
import { closeSearch, startSearch } from "./search.js";

const ROLES = { agent: "坐席", supervisor: "主管", auditor: "审计" };
const AGENTS = ["agent", "supervisor"];
const REVIEWERS = ["supervisor", "auditor"];

const PLACES = [
  { place: "start", label: "查找", roles: AGENTS, render: startPage },
  { place: "proposals", label: "申请", roles: ["agent", ...REVIEWERS], render: proposalsPage },
  { place: "audit", label: "操作记录", roles: REVIEWERS, render: auditPage },
  { place: "today", label: "今日", roles: REVIEWERS, render: todayPage },
];

const LOGIN = /^logins\/([0-9]{8,20}(?:_cw)?)$/;

let turn = 0; // number of the newest rendering; older ones are dropped

async function startPage() {
  const line = (key, text) => el("li", {}, el("kbd", {}, key), ` ${text}`);
  return {
    title: "查找事务所",
    content: [
      el(
        "section",
        { class: "card start" },
        el("p", {}, "在上方输入来电人说的编号、事务所名称的一部分、主任会计师姓名，或完整手机号。"),
        el(
          "ul",
          { class: "plain-list" },
          line("/", "回到查找"),
          line("↑ ↓", "选择事务所"),
          line("Enter", "打开"),
          line("Esc", "关闭结果或对话框"),
        ),
      ),
    ],
  };
}

function showPlaces(current) {
  const shown = PLACES.filter(({ roles }) => hasRole(...roles));
  $("places").replaceChildren(
    ...shown.map(({ place, label }) =>
      el("a", { href: `#${place}`, "aria-current": place === current && "page" }, label),
    ),
  );
}

function currentPlace() {
  const place = location.hash.slice(1);
  const login = LOGIN.exec(place);
  if (login && hasRole(...AGENTS)) return { place: "start", render: (again) => loginPage(login[1], again) };
  const known = PLACES.find((each) => each.place === place && hasRole(...each.roles));
  return known || PLACES.find(({ place: name }) => name === (hasRole(...AGENTS) ? "start" : "today"));
}

/** Render the present place; `moves` where the person has come from another one. */
async function render(moves) {
  const number = (turn += 1);
  const current = currentPlace();
  stopPhoneCard();
  if (moves) {
    closeSearch();
    showAlarm("");
    showNotice("");
  }
  showPlaces(current.place);
  $("main").setAttribute("aria-busy", "true");
  try {
    const built = await current.render(() => render(false));
    if (number !== turn) return;
    const heading = el("h1", { tabindex: "-1" }, built.title);
    const line = built.subtitle ? el("p", { class: "hint" }, built.subtitle) : null;
    const head = el("div", { class: "head" }, heading, line);
    $("view").replaceChildren(head, ...built.content.filter(Boolean));
    document.title = `${built.title} - 客服工作台`;
    if (moves && current.render === startPage) $("q").focus();
    else if (moves) heading.focus({ preventScroll: true });
    if (moves) scrollTo(0, 0);
    if (built.start) await built.start();
  } catch (problem) {
    if (number !== turn || problem.code === "sign-in") return;
    if (moves) $("view").replaceChildren();
    showAlarm(problemText(problem));
  } finally {
    if (number === turn) $("main").removeAttribute("aria-busy");
  }
}

/** Let the sign-in lead back to the present place. */
function keepPlace() {
  const place = encodeURIComponent(location.hash.slice(1));
  $("sign-in").href = `${page.base}/sign-in?place=${place}`;
}

/** Show the sign-in, which leads back to this place. Nothing of what was shown remains. */
function showGate(message) {
  turn += 1;
  stopPhoneCard();
  closeAct();
  closeSearch();
  showAlarm("");
  showNotice("");
  $("bar").hidden = true;
  $("view").replaceChildren();
  if (message) {
    $("entry").textContent = message;
    $("entry").hidden = false;
  }
  keepPlace();
  $("gate").hidden = false;
  $("main").removeAttribute("aria-busy");
  document.title = "登录 - 客服工作台";
  $("sign-in").focus();
}

async function signOut() {
  try {
    const { location: next } = await post("sign-out");
    location.assign(next);
  } catch (problem) {
    showAlarm(problemText(problem));
  }
}

async function begin() {
  try {
    setStaff(await get("api/me"));
  } catch (problem) {
    if (problem.code !== "sign-in") showAlarm(problemText(problem));
    return;
  }
  // The reason of an earlier failure is over.
  history.replaceState(null, "", location.pathname + location.hash);
  $("entry").hidden = true;
  $("me").textContent = `${staff.name} · ${staff.roles.map((role) => ROLES[role]).join("、")}`;
  $("bar").hidden = false;
  if (hasRole(...AGENTS)) startSearch();
  await render(true);
}

onSignedOut((problem) => showGate(staff ? problem.detail : ""));
$("sign-out").addEventListener("click", signOut);
addEventListener("hashchange", () => {
  if (!$("gate").hidden) keepPlace();
  else if (staff) render(true);
});
// A page that the browser kept may show what its reader may no longer see.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
begin();

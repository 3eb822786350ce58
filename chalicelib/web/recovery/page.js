// Start of the page, the screen for the account, and the navigation.

import { call, dropProof, loadScreens, page, prove } from "./api.js";
import { $, clearErrors, countDown, fold, isBusy, runExclusive, setError, showAlarm, showError, showProblem } from "./messages.js";
import { begin, discard, inside, isLeaving, next, recovery, redirectToOAuth, resume, returnFromOAuth, screen, show } from "./recovery.js";

const primary = (form) => $(form).querySelector(".primary");

/* Account */

const typedLogin = () => fold($("login").value).toLowerCase();
const isLogin = (text) => /^[0-9]{8,20}(_cw)?$/.test(text);
let typing = 0;

function onLoginInput() {
  const login = typedLogin();
  $("finance").setAttribute("aria-pressed", String(login.endsWith("_cw")));
  clearTimeout(typing);
  if (isBusy()) return;
  // Compute the proof before the person presses the button.
  if (isLogin(login)) typing = setTimeout(() => prove(login).catch(() => {}), 250);
  else dropProof();
}

$("login").addEventListener("input", () => {
  setError("login");
  onLoginInput();
});

$("login").addEventListener("change", () => {
  if (isLogin(typedLogin())) $("login").value = typedLogin();
});

$("finance").addEventListener("click", () => {
  const login = typedLogin();
  $("login").value = login.endsWith("_cw") ? login.slice(0, -3) : `${login}_cw`;
  setError("login");
  onLoginInput();
  if (login) return;
  $("login").focus();
  $("login").setSelectionRange(0, 0);
});

$("types").addEventListener("change", () => {
  const firm = $("account").elements.user_type.value === "firm";
  $("firm").hidden = !firm;
  $("elsewhere").hidden = firm;
  showAlarm("");
});

$("others").addEventListener("toggle", () => {
  const { elements } = $("account");
  if ($("others").open || elements.user_type.value === "firm") return;
  // A choice is never out of sight.
  elements.user_type.value = "firm";
  $("types").dispatchEvent(new Event("change"));
});

$("account").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("firm").hidden || isBusy()) return;
  clearErrors("login");
  clearTimeout(typing);
  const login = typedLogin();
  if (!login) return showError("login", "请输入登录账号。");
  if (!isLogin(login)) {
    return showError("login", "请输入会计师事务所编号，或编号加“_cw”的财务上报账号。");
  }
  const button = primary("account");
  runExclusive(button, async () => {
    try {
      await begin(login);
      show(next());
    } catch (problem) {
      showProblem(problem, button, "login");
    }
  });
});

/* The logins of this WeChat */

async function showLogins() {
  try {
    const { logins } = await call("GET", "recovery/logins");
    for (const { login, name } of logins) $("logins").append(loginItem(login, name));
    // Not above a field that the person is about to press or fill in.
    const used = document.activeElement === $("login") || $("login").value;
    if (used) $("firm").append($("mine"));
    $("mine").hidden = !logins.length;
  } catch {
    // The login can be typed.
  }
}

function loginItem(login, name) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const parts = [
    ["strong", login],
    ["span", login.endsWith("_cw") ? "财务上报" : "年检、教育"],
    ["small", name || ""],
  ];
  for (const [tag, text] of parts) {
    const part = document.createElement(tag);
    part.textContent = text;
    button.append(part);
  }
  button.type = "button";
  button.addEventListener("click", () => {
    $("login").value = login;
    onLoginInput();
    primary("account").click();
  });
  item.append(button);
  return item;
}

/* History, reload, network state */

/** Return whether a screen can be shown in the recovery's state. */
function reachable(name) {
  if (name === "account") return true;
  if (!recovery) return false;
  if (name === "done") return !recovery.token;
  if (!recovery.token) return false;
  // Inside WeChat the QR code is unnecessary.
  return recovery.method === "follow" ? name === "follow" && !inside : name !== "follow";
}

addEventListener("popstate", ({ state }) => {
  if (isLeaving()) return show("account", { how: "replace" });
  const name = (state && state.screen) || "account";
  // After the last screen, going back starts a new recovery.
  if (screen === "done") discard();
  show(reachable(name) ? name : "account", { how: "stay" });
});

addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  // Whoever comes back after the last screen begins anew.
  if (screen === "done") {
    discard();
    show("account", { how: "replace" });
  } else refresh();
});

/** Update a resumed screen from the recovery's state on the server. */
async function refresh() {
  try {
    const { refreshState } = await loadScreens();
    await refreshState();
  } catch {
    // The screen shows what it showed before.
  }
}

const renderOnline = () => {
  $("offline").hidden = navigator.onLine;
};
addEventListener("online", renderOnline);
addEventListener("offline", renderOnline);

setInterval(countDown, 1000);

/** Return the screen to resume, or "" where the visit begins anew. */
async function findResumed() {
  const last = resume();
  if (!last) return "";
  // The last screen survives a reload, but not another visit; a link with another login starts another
  // recovery.
  const [navigation] = performance.getEntriesByType("navigation");
  const ended = last === "done" && !(history.state && navigation && navigation.type === "reload");
  const other = page.login && page.login !== recovery.login;
  if (!ended && !other && reachable(last)) {
    try {
      if (last !== "account") await loadScreens();
      return last;
    } catch {
      // Without its script the screen cannot be shown.
    }
  }
  discard();
  return "";
}

async function start() {
  const resumed = await findResumed();
  const kept = returnFromOAuth();
  const login = page.login || kept.login || (recovery && recovery.login);
  if (login) $("login").value = login;
  renderOnline();
  show(resumed || "account", { how: "replace", focus: false });
  onLoginInput();
  if (resumed && resumed !== "account") return refresh();
  if (!inside) return;
  // The link of a message or a QR code names the login: the verification is next.
  const named = page.login && $("entry").hidden;
  if (named || kept.continues) primary("account").click();
  else showLogins();
}

$("late").remove();
if (inside || !redirectToOAuth(page.login)) {
  start();
  // The further screens follow once the first one can be used.
  if (document.readyState === "complete") loadScreens().catch(() => {});
  else addEventListener("load", () => loadScreens().catch(() => {}));
}

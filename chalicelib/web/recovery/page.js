// Start of the page, the screens for account, unbinding and QR code, and the navigation.

import { call, dropProof, page, prove } from "./api.js";
import { $, announce, clearErrors, countDown, isBusy, runExclusive, setError, setLabel, showAlarm, showError, showProblem } from "./messages.js";
import { back, begin, callRecovery, discard, inside, next, onShow, pc, recovery, redirectToOAuth, restart, resume, returnFromOAuth, screen, show, updateRecovery } from "./recovery.js";
import { clearInputs, finish, firmNo, fold, renderTimeLeft } from "./verify.js";

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
    const last = recovery;
    try {
      await begin(login);
      if (!last || last.login !== recovery.login) clearInputs();
      show(next());
    } catch (problem) {
      showProblem(problem, button, "login");
    }
  });
});

/* Unbinding */

const DETAILS = ["firm_no", "approval_no", "head_name"];

setLabel($("unbind"), pc ? "解绑" : "解绑公众号");
onShow("unbinding", () => "解绑公众号");

$("unbind").addEventListener("click", () => {
  clearErrors(...DETAILS);
  if (!$("firm_no").value) $("firm_no").value = firmNo();
  show("unbinding");
});

$("keep").addEventListener("click", back);
for (const id of DETAILS) $(id).addEventListener("input", () => setError(id));

$("unbinding").addEventListener("submit", (event) => {
  event.preventDefault();
  if (isBusy()) return;
  clearErrors(...DETAILS);
  const empty = DETAILS.filter((id) => !$(id).value.trim());
  for (const id of [...empty].reverse()) showError(id, "请填写此项。");
  if (empty.length) return;
  const button = primary("unbinding");
  runExclusive(button, async () => {
    try {
      const details = Object.fromEntries(DETAILS.map((id) => [id, $(id).value]));
      const { method } = await callRecovery("POST", "recovery/unbinding", details);
      updateRecovery({ method, destination: "", sent: null, resend: 0 });
      // On a PC, a new recovery brings the QR code.
      if (method === "follow") await begin(recovery.login);
      show(next(), { how: "replace" });
      announce("已解绑公众号");
    } catch (problem) {
      if (problem.code === "recovery-expired") return restart();
      showProblem(problem, button);
    }
  });
});

/* QR code, and polling while the person uses the phone */

let pollTimer = 0;

onShow("follow", () => {
  for (const id of ["follow-whom", "phone-whom"]) $(id).textContent = recovery.login;
  $("follow-title").textContent = pc ? "扫码关注" : "请在微信中打开";
  $("follow-text").hidden = !pc;
  $("on-phone").hidden = pc;
  $("qr").src = recovery.qr;
  renderFollow("在手机上重置成功后，这里会自动提示。");
  poll(3000);
});

function renderFollow(text, expired = false) {
  if ($("follow-state").textContent !== text) $("follow-state").textContent = text;
  $("refresh").hidden = !expired;
  $("qr").classList.toggle("expired", expired);
}

/** Poll the state after `pause` ms, then at growing intervals, while the screen is visible. */
function poll(pause) {
  clearTimeout(pollTimer);
  pollTimer = setTimeout(async () => {
    if (screen !== "follow" || document.hidden) return;
    if (recovery.ends <= Date.now()) return renderFollow("二维码已过期。", true);
    const { token } = recovery;
    try {
      const { state } = await callRecovery("GET", "recovery");
      if (screen !== "follow" || recovery.token !== token) return;
      if (state === "done") return finish(false);
      if (state === "code_sent") renderFollow("手机上已获取验证码，请在手机上完成重置。");
      poll(Math.min(pause * 1.15, 15000));
    } catch (problem) {
      if (problem.code === "recovery-expired") renderFollow("二维码已过期。", true);
      else poll(Math.min(pause * 2, 30000));
    }
  }, pause);
}

$("leave").addEventListener("click", back);
$("follow").addEventListener("cancel", (event) => {
  event.preventDefault();
  back();
});
// Browsers close the dialog nevertheless when Escape is pressed repeatedly.
$("follow").addEventListener("close", () => {
  if (screen === "follow") show("account", { how: "replace" });
});
$("refresh").addEventListener("click", () => runExclusive($("refresh"), restart));

$("copy").addEventListener("click", async () => {
  const link = new URL("wechat/enter", location.href).href;
  try {
    await navigator.clipboard.writeText(link);
    $("copied").textContent = "链接已复制，请发送到微信的“文件传输助手”，再点击打开。";
  } catch {
    $("copied").textContent = `请在微信中打开 ${link}`;
  }
});

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
  const name = (state && state.screen) || "account";
  // After the last screen, going back starts a new recovery.
  if (screen === "done") discard();
  show(reachable(name) ? name : "account", { how: "stay" });
});

/** After a reload, update the screen from the recovery's state on the server. */
async function refreshState() {
  if (!recovery || !recovery.token || !["verify", "unbinding"].includes(screen)) return;
  const { token } = recovery;
  try {
    const { state, method } = await call("GET", "recovery", { token });
    if (isBusy() || recovery.token !== token) return;
    if (state === "done") return finish(false);
    if (method !== recovery.method && method !== "follow") {
      updateRecovery({ method, destination: "", sent: null });
      show("verify", { how: "replace", focus: false });
    }
  } catch (problem) {
    if (problem.code === "recovery-expired" && !isBusy()) runExclusive(primary(screen), restart);
  }
}

addEventListener("visibilitychange", () => {
  if (!document.hidden && screen === "follow") poll(300);
});
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) refreshState();
});

const renderOnline = () => {
  $("offline").hidden = navigator.onLine;
};
addEventListener("online", renderOnline);
addEventListener("offline", renderOnline);

setInterval(() => {
  countDown();
  if (screen === "verify") renderTimeLeft();
}, 1000);

function start() {
  const last = resume();
  // A link with another login starts another recovery, and so does a visit after the last screen.
  const ended = last === "done" && !history.state;
  const other = last && page.login && page.login !== recovery.login;
  const resumed = last && !ended && !other && reachable(last);
  if (last && !resumed) discard();
  const kept = returnFromOAuth();
  const login = page.login || kept.login || (recovery && recovery.login);
  if (login) $("login").value = login;
  renderOnline();
  show(resumed ? last : "account", { how: "replace", focus: false });
  onLoginInput();
  refreshState();
  if (kept.continues && inside && screen === "account") primary("account").click();
}

$("late").remove();
if (inside || !redirectToOAuth(page.login)) start();

// The page's start, the choice of the account, unbinding, the QR code, and the way back and forth.

import { call, dropProof, page, prove } from "./server.js";
import { $, alarm, clear, countDown, fault, isBusy, name, once, refused, say, wrong } from "./speech.js";
import { ask, back, begin, draws, forget, inside, next, note, pc, recovery, renew, resume, screen, show } from "./recovery.js";
import { drawLeft, finish, firmNo, fold, forgetTyped } from "./verify.js";

const primary = (form) => $(form).querySelector(".primary");

/* Which account */

const typedLogin = () => fold($("login").value).toLowerCase();
const isLogin = (text) => /^[0-9]{8,20}(_cw)?$/.test(text);
let typing = 0;

function typed() {
  const login = typedLogin();
  $("finance").setAttribute("aria-pressed", String(login.endsWith("_cw")));
  clearTimeout(typing);
  if (isBusy()) return;
  // The proof is made while the person goes on to the button.
  if (isLogin(login)) typing = setTimeout(() => prove(login).catch(() => {}), 250);
  else dropProof();
}

$("login").addEventListener("input", () => {
  fault("login");
  typed();
});

$("login").addEventListener("change", () => {
  if (isLogin(typedLogin())) $("login").value = typedLogin();
});

$("finance").addEventListener("click", () => {
  const login = typedLogin();
  $("login").value = login.endsWith("_cw") ? login.slice(0, -3) : `${login}_cw`;
  fault("login");
  typed();
  if (login) return;
  $("login").focus();
  $("login").setSelectionRange(0, 0);
});

$("types").addEventListener("change", () => {
  const firm = $("account").elements.user_type.value === "firm";
  $("firm").hidden = !firm;
  $("elsewhere").hidden = firm;
  alarm("");
});

$("account").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("firm").hidden || isBusy()) return;
  clear("login");
  clearTimeout(typing);
  const login = typedLogin();
  if (!login) return wrong("login", "请输入登录账号。");
  if (!isLogin(login)) {
    return wrong("login", "请输入会计师事务所编号，或编号加“_cw”的财务上报账号。");
  }
  const button = primary("account");
  once(button, async () => {
    const last = recovery;
    try {
      await begin(login);
      if (!last || last.login !== recovery.login) forgetTyped();
      show(next());
    } catch (problem) {
      refused(problem, button, "login");
    }
  });
});

/* Unbinding */

const DETAILS = ["firm_no", "approval_no", "head_name"];

name($("unbind"), pc ? "解绑" : "解绑公众号");
draws("unbinding", () => "解绑公众号");

$("unbind").addEventListener("click", () => {
  clear(...DETAILS);
  if (!$("firm_no").value) $("firm_no").value = firmNo();
  show("unbinding");
});

$("keep").addEventListener("click", back);
for (const id of DETAILS) $(id).addEventListener("input", () => fault(id));

$("unbinding").addEventListener("submit", (event) => {
  event.preventDefault();
  if (isBusy()) return;
  clear(...DETAILS);
  const empty = DETAILS.filter((id) => !$(id).value.trim());
  for (const id of [...empty].reverse()) wrong(id, "请填写此项。");
  if (empty.length) return;
  const button = primary("unbinding");
  once(button, async () => {
    try {
      const details = Object.fromEntries(DETAILS.map((id) => [id, $(id).value]));
      const { method } = await ask("POST", "recovery/unbinding", details);
      note({ method, destination: "", sent: null, resend: 0 });
      // The QR code of a PC comes with a new start.
      if (method === "follow") await begin(recovery.login);
      show(next(), { how: "replace" });
      say("已解绑公众号");
    } catch (problem) {
      if (problem.code === "recovery-expired") return renew();
      refused(problem, button);
    }
  });
});

/* The QR code, and the wait for the phone */

let poll = 0;

draws("follow", () => {
  for (const id of ["follow-whom", "phone-whom"]) $(id).textContent = recovery.login;
  $("follow-title").textContent = pc ? "扫码关注" : "请在微信中打开";
  $("follow-told").hidden = !pc;
  $("on-phone").hidden = pc;
  $("qr").src = recovery.qr;
  drawFollow("在手机上重置成功后，这里会自动提示。");
  watch(3000);
});

function drawFollow(text, over = false) {
  if ($("follow-state").textContent !== text) $("follow-state").textContent = text;
  $("refresh").hidden = !over;
  $("qr").classList.toggle("over", over);
}

/** Ask every `pause` ms, less and less often, while somebody looks and the recovery lasts. */
function watch(pause) {
  clearTimeout(poll);
  poll = setTimeout(async () => {
    if (screen !== "follow" || document.hidden) return;
    if (recovery.ends <= Date.now()) return drawFollow("二维码已过期。", true);
    const { token } = recovery;
    try {
      const { state } = await ask("GET", "recovery");
      if (screen !== "follow" || recovery.token !== token) return;
      if (state === "done") return finish(false);
      if (state === "code_sent") drawFollow("手机上已获取验证码，请在手机上完成重置。");
      watch(Math.min(pause * 1.15, 15000));
    } catch (problem) {
      if (problem.code === "recovery-expired") drawFollow("二维码已过期。", true);
      else watch(Math.min(pause * 2, 30000));
    }
  }, pause);
}

$("leave").addEventListener("click", back);
$("follow").addEventListener("cancel", (event) => {
  event.preventDefault();
  back();
});
// A browser closes it all the same when Escape is pressed again and again.
$("follow").addEventListener("close", () => {
  if (screen === "follow") show("account", { how: "replace" });
});
$("refresh").addEventListener("click", () => once($("refresh"), renew));

$("copy").addEventListener("click", async () => {
  const link = new URL("wechat/enter", location.href).href;
  try {
    await navigator.clipboard.writeText(link);
    $("copied").textContent = "链接已复制，请发送到微信的“文件传输助手”，再点击打开。";
  } catch {
    $("copied").textContent = `请在微信中打开 ${link}`;
  }
});

/* Going back and forth, reloading, losing the network */

/** Whether a screen can be shown with what is known. */
function reachable(name) {
  if (name === "account") return true;
  if (!recovery) return false;
  if (name === "done") return !recovery.token;
  if (!recovery.token) return false;
  // Whoever has come into WeChat by now needs no QR code any more.
  return recovery.method === "follow" ? name === "follow" && !inside : name !== "follow";
}

addEventListener("popstate", ({ state }) => {
  const name = (state && state.screen) || "account";
  // The end is left by going back, and is not come back to.
  if (screen === "done") forget();
  show(reachable(name) ? name : "account", { how: "stay" });
});

/** After a reload: how far the recovery has come meanwhile. */
async function look() {
  if (!recovery || !recovery.token || !["verify", "unbinding"].includes(screen)) return;
  const { token } = recovery;
  try {
    const { state, method } = await call("GET", "recovery", { token });
    if (isBusy() || recovery.token !== token) return;
    if (state === "done") return finish(false);
    if (method !== recovery.method && method !== "follow") {
      note({ method, destination: "", sent: null });
      show("verify", { how: "replace", focus: false });
    }
  } catch (problem) {
    if (problem.code === "recovery-expired" && !isBusy()) once(primary(screen), renew);
  }
}

addEventListener("visibilitychange", () => {
  if (!document.hidden && screen === "follow") watch(300);
});
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) look();
});

const online = () => {
  $("offline").hidden = navigator.onLine;
};
addEventListener("online", online);
addEventListener("offline", online);

setInterval(() => {
  countDown();
  if (screen === "verify") drawLeft();
}, 1000);

/** WeChat's browser says who the person is on a round trip: at most one, lest it go in circles. */
function enters() {
  const agent = navigator.userAgent;
  if (inside || !/MicroMessenger/i.test(agent) || /wxwork/i.test(agent)) return false;
  try {
    if (sessionStorage.getItem("entered")) return false;
    sessionStorage.setItem("entered", "1");
  } catch {
    return false;
  }
  location.replace("wechat/enter");
  return true;
}

function start() {
  const last = resume();
  // A link that names another login begins another recovery, and so does a visit after the end.
  const ended = last === "done" && !history.state;
  const other = last && page.login && page.login !== recovery.login;
  const goes = last && !ended && !other && reachable(last);
  if (last && !goes) forget();
  if (page.login || recovery) $("login").value = page.login || recovery.login;
  online();
  show(goes ? last : "account", { how: "replace", focus: false });
  typed();
  look();
}

$("late").remove();
if (!enters()) start();

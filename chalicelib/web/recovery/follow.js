// The QR code, and polling while the person uses the phone.

import { $, runExclusive } from "./messages.js";
import { back, callRecovery, onShow, pc, recovery, restart, screen, show } from "./recovery.js";
import { finish } from "./verify.js";

const INTERVAL = 1900; // ms; a step on the phone is shown within two seconds
const SLOWEST = 30000; // ms, while the service does not respond
// What the phone has done, in order; `open` is the state before.
const STATES = ["open", "scanned", "followed", "code_sent", "done"];
const TEXTS = {
  open: "在手机上重置成功后，这里会自动提示。",
  scanned: "已扫码，请在手机上关注公众号。",
  followed: "已关注，请在手机上继续找回密码。",
  code_sent: "手机上已获取验证码，请在手机上完成重置。",
};

let pollTimer = 0;

onShow("follow", () => {
  for (const id of ["follow-whom", "phone-whom"]) $(id).textContent = recovery.login;
  $("follow-title").textContent = pc ? "扫码关注" : "请在微信中打开";
  $("follow-text").hidden = !pc;
  $("on-phone").hidden = pc;
  $("unbound-first").hidden = !recovery.unbound;
  $("qr").src = recovery.qr;
  render("open");
  poll(INTERVAL);
});

function render(state) {
  const reached = STATES.indexOf(state);
  [...$("progress").children].forEach((item, index) => {
    item.className = index < reached ? "past" : "";
    item.lastChild.textContent = index < reached ? "，已完成" : "";
  });
  renderText(TEXTS[state]);
}

function renderText(text, expired = false) {
  if ($("follow-state").textContent !== text) $("follow-state").textContent = text;
  $("refresh").hidden = !expired;
  $("qr").classList.toggle("expired", expired);
}

/** Poll the state after `pause` ms and again, while the screen is visible. */
function poll(pause) {
  clearTimeout(pollTimer);
  pollTimer = setTimeout(async () => {
    if (screen !== "follow" || document.hidden) return;
    if (recovery.ends <= Date.now()) return renderText("二维码已过期。", true);
    const { token } = recovery;
    try {
      const { state } = await callRecovery("GET", "recovery");
      if (screen !== "follow" || recovery.token !== token) return;
      if (state === "done") return finish({});
      render(state);
      poll(INTERVAL);
    } catch (problem) {
      if (screen !== "follow" || recovery.token !== token) return;
      if (problem.code === "recovery-expired") renderText("二维码已过期。", true);
      else poll(Math.min(pause * 2, SLOWEST));
    }
  }, pause);
}

addEventListener("visibilitychange", () => {
  if (!document.hidden && screen === "follow") poll(200);
});

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

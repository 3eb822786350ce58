// The last screen: the outcome, and where to go from it.

import { $, runExclusive, setLabel, showProblem } from "./messages.js";
import { begin, discard, inside, next, onShow, recovery, show } from "./recovery.js";

/** Return the other login of the same firm. */
const otherLogin = (login) => (login.endsWith("_cw") ? login.slice(0, -3) : `${login}_cw`);

onShow("done", () => {
  const { login, method, result } = recovery;
  $("done-whom").textContent = login;
  $("done-firm").textContent = result.name || "";
  $("done-firm").hidden = !result.name;
  $("bound").hidden = !result.wechat_bound || method !== "sms";
  $("still").hidden = !result.wechat_bound || method !== "wechat";
  // Only a first recovery by SMS could have bound a WeChat.
  $("unbound").hidden = result.wechat_bound !== false || method !== "sms";
  $("account-qr").hidden = $("account-scan").hidden = !result.qr;
  if (result.qr) $("account-qr").src = result.qr;
  $("close").hidden = $("other").hidden = !inside;
  $("to-login").hidden = $("login-host").hidden = inside;
  $("to-login").href = loginAddress();
  setLabel($("other"), `找回另一个账号 ${otherLogin(login)}`);
  return "重置成功";
});

/** Return the address of the login page, which fills in the login. */
function loginAddress() {
  const url = new URL($("to-login").href);
  url.searchParams.set("login", recovery.login);
  return url.href;
}

$("close").addEventListener("click", () => {
  const bridge = window.WeixinJSBridge;
  if (bridge) bridge.call("closeWindow");
  else location.assign(loginAddress());
});

$("other").addEventListener("click", () =>
  runExclusive($("other"), async () => {
    const login = otherLogin(recovery.login);
    try {
      await begin(login);
      $("login").value = login;
      show(next(), { how: "replace" });
    } catch (problem) {
      discard();
      $("login").value = login;
      show("account", { how: "replace" });
      showProblem(problem, $("account").querySelector(".primary"), "login");
    }
  }),
);

// The screen that removes the binding of a WeChat.

import { $, announce, clearErrors, fold, isBusy, runExclusive, setError, setLabel, showError, showProblem } from "./messages.js";
import { back, begin, callRecovery, next, onShow, pc, recovery, restart, show, updateRecovery } from "./recovery.js";
import { firmNo } from "./verify.js";

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
  // People enter the login that they are used to.
  $("firm_no").value = fold($("firm_no").value).replace(/_cw$/i, "");
  const empty = DETAILS.filter((id) => !$(id).value.trim());
  for (const id of [...empty].reverse()) showError(id, "请填写此项。");
  if (empty.length) return;
  const button = $("unbinding").querySelector(".primary");
  runExclusive(button, async () => {
    try {
      const details = Object.fromEntries(DETAILS.map((id) => [id, $(id).value]));
      const { method } = await callRecovery("POST", "recovery/unbinding", details);
      updateRecovery({ method, destination: "", this_wechat: undefined, sent: null, resend: 0 });
      clearErrors("code", "password");
      await continueBy(method);
      updateRecovery({ unbound: true });
      show(next(), { how: "replace" });
      announce("已解绑公众号");
    } catch (problem) {
      if (problem.code === "recovery-expired") return restart();
      showProblem(problem, button);
    }
  });
});

/** Begin a recovery that has what the next screen shows: the QR code, or the masked number. */
async function continueBy(method) {
  try {
    await begin(recovery.login);
  } catch (problem) {
    // By SMS, the present recovery goes on.
    if (method === "follow") throw problem;
  }
}

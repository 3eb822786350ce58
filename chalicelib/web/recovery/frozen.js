// The screen for a login that is frozen: no recovery begins, and waiting does not help.

import { $, announce, onProblem, setText } from "./messages.js";
import { back, discard, onShow, show } from "./recovery.js";

onShow("frozen", () => "账号已冻结");

onProblem("frozen", ({ detail }) => {
  // What was open has ended with the freezing.
  discard();
  $("frozen-whom").textContent = $("login").value;
  setText($("frozen-text"), detail);
  show("frozen");
  announce(detail);
});

$("unfrozen").addEventListener("click", back);

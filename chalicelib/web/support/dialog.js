// The dialog before every act: what happens, the reason, and what went wrong.

import { $, problemText } from "./elements.js";

let act = null;

/**
 * Open the dialog. `run` gets the reason and may throw a Problem, which is shown; the dialog closes when
 * it succeeds. Without `reasons` there is no field for a reason.
 */
export function openAct({ title, text, confirm, reasons = false, run }) {
  act = { reasons, run };
  $("act-title").textContent = title;
  $("act-text").textContent = text;
  $("act-confirm").textContent = confirm;
  $("act-field").hidden = !reasons;
  $("act-reason").value = "";
  $("act-error").textContent = "";
  $("act").showModal();
  (reasons ? $("act-reason") : $("act-confirm")).focus();
}

/** Close the dialog without acting. */
export function closeAct() {
  $("act").close();
}

async function runAct(event) {
  event.preventDefault();
  const button = $("act-confirm");
  if (button.getAttribute("aria-disabled")) return;
  const reason = $("act-reason").value.trim();
  if (act.reasons && !reason) {
    $("act-error").textContent = "请填写原因，它会记入操作记录。";
    $("act-reason").focus();
    return;
  }
  button.setAttribute("aria-disabled", "true");
  $("act-error").textContent = "";
  try {
    const { run } = act;
    await run(reason);
    closeAct();
  } catch (problem) {
    $("act-error").textContent = problemText(problem);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

$("act-form").addEventListener("submit", runAct);
$("act-cancel").addEventListener("click", closeAct);

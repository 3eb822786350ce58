// The identity check of a firm, and the change of a login's phone.

import { get, post } from "./api.js";
import { el, field, form, section, showNotice, time } from "./elements.js";
import { isLive, proposalCard } from "./proposals.js";

const HOUR = 3600; // s, for which a check permits proposals
const PERIOD = 15000; // ms between looks at a proposal that waits

const checks = new Map(); // firm_no -> epoch seconds of the last match
let timer = 0;

/** Whether this person's identity check of the firm matched within the hour. */
export function isChecked(firmNo) {
  return (checks.get(firmNo) || 0) > Date.now() / 1000 - HOUR;
}

/** Return the card of the identity check. */
export function identityCard(firmNo) {
  const state = el("p", { class: "met", role: "status" });
  const show = () => {
    const until = isChecked(firmNo) && time(checks.get(firmNo) + HOUR);
    state.textContent = until ? `✓ 身份一致，${until}前可以申请变更手机号。` : "";
  };
  show();
  const fields = [
    field("approval_no", "成立批准文号", { placeholder: "京财会许可〔2012〕0084号" }),
    el(
      "div",
      { class: "pair" },
      field("head_name", "主任会计师"),
      field("head_id_last4", "身份证后四位", { maxlength: "4" }),
    ),
  ];
  const entry = form("identity", "核对", fields, async (elements) => {
    const names = ["approval_no", "head_name", "head_id_last4"];
    const facts = Object.fromEntries(names.map((name) => [name, elements[name].value.trim()]));
    const { matches } = await post(`api/firms/${firmNo}/identity`, facts);
    if (matches) {
      checks.set(firmNo, Date.now() / 1000);
      entry.reset();
    }
    show();
    if (!matches) state.textContent = "✗ 不一致。系统不显示哪一项不符，请来电人再说一遍。";
    state.classList.toggle("bad", !matches);
  });
  const hint = el("p", { class: "hint" }, "按来电人所说填写，系统只显示是否一致。");
  return section("核对身份", { id: "identity-card" }, hint, entry, state);
}

function proposalForm(login, refresh) {
  const fields = [
    field("phone", "新手机号", { inputmode: "numeric", maxlength: "20" }),
    field("reason", "原因", { maxlength: "200", placeholder: "来电人更换手机号" }),
    field("document", "证明材料", { maxlength: "200", placeholder: "加盖公章的申请函编号" }),
  ];
  return form("propose", "提交申请", fields, async (elements) => {
    const body = Object.fromEntries(
      ["phone", "reason", "document"].map((name) => [name, elements[name].value.trim()]),
    );
    await post(`api/logins/${login}/phone`, body);
    showNotice("申请已提交，等待另一位同事审批。请来电人稍候。");
    await refresh();
  });
}

/** Stop looking at proposals that wait. */
export function stopPhoneCard() {
  clearTimeout(timer);
  timer = 0;
}

/** Return the card of the login's phone; `reload` is called when its phone has changed. */
export function phoneCard(login, reload) {
  const content = el("div", { class: "cards" });
  let shown = "";
  let wasOpen = false;

  async function refresh() {
    clearTimeout(timer);
    const { proposals } = await get("api/proposals");
    const own = proposals.filter((proposal) => proposal.login === login);
    const open = own.filter(isLive);
    const recent = open.length ? open : own.slice(0, 1);
    // What is typed into an unchanged card stays.
    const state = JSON.stringify(recent);
    if (state !== shown) {
      const cards = recent.map((proposal) => proposalCard(proposal, reload, false));
      content.replaceChildren(...cards, ...(open.length ? [] : [proposalForm(login, refresh)]));
    }
    const ended = wasOpen && !open.length;
    shown = state;
    wasOpen = open.length > 0;
    if (ended) await reload();
    else if (wasOpen && content.isConnected) timer = setTimeout(look, PERIOD);
  }

  function look() {
    if (document.hidden) timer = setTimeout(look, PERIOD);
    // A look that fails is repeated with the next visit of the page; the card stays as it is.
    else refresh().catch(() => {});
  }

  const hint = "核对身份一致后提交；另一位同事批准后，验证码发往新手机。";
  return {
    card: section("变更手机号", { id: "phone-card" }, el("p", { class: "hint" }, hint), content),
    start: refresh,
  };
}

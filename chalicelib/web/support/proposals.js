// Proposals to change a phone: each as a card with what its reader may do.

import { get, hasRole, post, staff } from "./api.js";
import { openAct } from "./dialog.js";
import { el, field, form, section, showNotice, terms, time } from "./elements.js";

const STATES = {
  waiting: "等待审批",
  approved: "已批准，等待验证码",
  active: "已生效",
  rejected: "已驳回",
  undone: "已撤销",
};

const seconds = () => Date.now() / 1000;

/** Whether something can still be done with a proposal. */
export function isLive(proposal) {
  const open = proposal.state === "waiting" || proposal.state === "approved";
  return open && proposal.expires_at > seconds();
}

const canUndo = ({ state, undo_until: end }) => state === "active" && end > seconds();

function stateText(proposal) {
  const open = proposal.state === "waiting" || proposal.state === "approved";
  return open && !isLive(proposal) ? "已过期" : STATES[proposal.state];
}

function button(label, options, act) {
  const click = () => openAct(act);
  return el("button", { type: "button", class: "plain", ...options, on: { click } }, label);
}

function decisions(proposal, changed) {
  const at = `api/proposals/${proposal.id}`;
  const run = (name, text) => async () => {
    try {
      await post(`${at}/${name}`);
    } finally {
      // A code that was not sent leaves the proposal approved.
      await changed();
    }
    showNotice(text);
  };
  if (proposal.state === "waiting" && isLive(proposal)) {
    if (proposal.proposed_by === staff.subject) {
      return [el("p", { class: "hint" }, "本人提交的申请，须由另一位主管审批。")];
    }
    if (!hasRole("supervisor")) return [];
    const approve = {
      title: "批准变更手机号",
      text: `批准后，验证码发往新手机${proposal.phone}，原手机和微信会收到通知。输入验证码后才生效。`,
      confirm: "批准",
      run: run("approve", "已批准，验证码已发往新手机。"),
    };
    const reject = {
      title: "驳回申请",
      text: `账号${proposal.login}的手机号保持不变。`,
      confirm: "驳回",
      run: run("reject", "已驳回。"),
    };
    return [
      el(
        "p",
        { class: "buttons" },
        button("批准", { class: "primary" }, approve),
        button("驳回", {}, reject),
      ),
    ];
  }
  if (canUndo(proposal) && hasRole("supervisor")) {
    const undo = {
      title: "撤销变更",
      text: `账号${proposal.login}恢复使用${proposal.former || "没有手机号的状态"}，变更后绑定的微信会解绑。`,
      confirm: "撤销",
      run: run("undo", "已撤销，原手机号已恢复。"),
    };
    return [el("p", { class: "buttons" }, button("撤销变更", {}, undo))];
  }
  return [];
}

function confirmation(proposal, changed) {
  const at = `api/proposals/${proposal.id}`;
  const id = `code-${proposal.id}`;
  const code = field(id, "新手机收到的验证码", { inputmode: "numeric", maxlength: "8" });
  const again = async () => {
    await post(`${at}/code`);
    showNotice("已再次发送验证码，之前的作废。");
  };
  const resend = {
    title: "再次发送验证码",
    text: `向${proposal.phone}再发送一个验证码，之前的作废。`,
    confirm: "发送",
    run: again,
  };
  const confirm = async (elements) => {
    await post(`${at}/confirm`, { code: elements[id].value.trim() });
    await changed();
    showNotice("新手机号已生效，微信已解绑，新旧手机都会收到通知。");
  };
  const entry = form(`confirm-${proposal.id}`, "确认生效", [code], confirm);
  entry.querySelector(".buttons").append(button("再次发送", {}, resend));
  return entry;
}

/** Return a proposal as a card; `changed` is called after each act. `linked`: with the login's link. */
export function proposalCard(proposal, changed, linked) {
  const login = linked && hasRole("agent", "supervisor")
    ? el("a", { href: `#logins/${proposal.login}` }, proposal.login)
    : proposal.login;
  const decided = proposal.decided_by && `${proposal.decided_by}，${time(proposal.decided_at)}`;
  const open = isLive(proposal);
  const enters = open && proposal.state === "approved" && hasRole("agent", "supervisor");
  return el(
    "article",
    { class: open ? "proposal open" : "proposal", "data-state": proposal.state },
    el("p", { class: "state" }, stateText(proposal)),
    terms([
      ["账号", login],
      ["新手机号", proposal.phone],
      // Known once the change is active.
      ["原手机号", proposal.confirmed_at ? proposal.former || "未绑定" : null],
      ["原因", proposal.reason],
      ["材料", proposal.document],
      ["提交", `${proposal.proposed_by}，${time(proposal.proposed_at)}`],
      ["审批", decided || null],
      ["生效", proposal.confirmed_at ? time(proposal.confirmed_at) : null],
      ["有效至", open ? time(proposal.expires_at) : null],
      ["可撤销至", canUndo(proposal) ? time(proposal.undo_until) : null],
    ]),
    ...(enters ? [confirmation(proposal, changed)] : []),
    ...decisions(proposal, changed),
  );
}

/** Return the proposals, as a page. */
export async function proposalsPage(reload) {
  const { proposals } = await get("api/proposals");
  const cards = (list) => list.map((proposal) => proposalCard(proposal, reload, true));
  const open = proposals.filter(isLive);
  const closed = proposals.filter((proposal) => !isLive(proposal));
  const none = el("p", { class: "hint" }, "没有待处理的申请。");
  return {
    title: "变更手机号的申请",
    content: [
      section("待处理", {}, el("div", { class: "cards" }, ...(open.length ? cards(open) : [none]))),
      closed.length ? section("已处理", {}, el("div", { class: "cards" }, ...cards(closed))) : null,
    ],
  };
}

// The correction of a firm's facts, by supervisors.

import { post } from "./api.js";
import { el, field, form, section, showNotice } from "./elements.js";

const FACTS = { approval_no: "成立批准文号", head_name: "主任会计师", head_id_last4: "身份证后四位" };

// The identity check on the same page has fields of these names.
const entry = (name, label, options = {}) =>
  field(`new-${name}`, label, { name, placeholder: "不更正的留空", ...options });

/** Return the card of the correction; `reload` is called when something was corrected. */
export function factsCard(firmNo, reload) {
  const fields = [
    entry("approval_no", FACTS.approval_no, { maxlength: "120" }),
    el(
      "div",
      { class: "pair" },
      entry("head_name", FACTS.head_name, { maxlength: "120" }),
      entry("head_id_last4", FACTS.head_id_last4, { maxlength: "4" }),
    ),
    entry("reason", "原因", { maxlength: "200", placeholder: "换届，名录尚未更新" }),
    entry("document", "证明材料", { maxlength: "200", placeholder: "批复文件编号" }),
  ];
  const correction = form("correct", "更正", fields, async (elements) => {
    const names = [...Object.keys(FACTS), "reason", "document"];
    const filled = names.map((name) => [name, elements[name].value.trim()]);
    const body = Object.fromEntries(filled.filter(([, value]) => value));
    const { corrected } = await post(`api/firms/${firmNo}/facts`, body);
    await reload();
    showNotice(`已更正：${corrected.map((name) => FACTS[name]).join("、")}。`);
  });
  const hint = "按证明材料填写要更正的项。操作记录只记哪几项，不记内容；名录也须更新，否则下次导入会改回。";
  return section("更正登记信息", { id: "facts-card" }, el("p", { class: "hint" }, hint), correction);
}

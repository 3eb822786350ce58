// The service's API, as this page calls it.

/** What the service has written into the document. */
export const page = document.body.dataset;

const PATIENCE = 20000; // ms until a call counts as lost

/** What the service answers in place of a result: the members of its problem+json. */
export class Problem {
  constructor(members) {
    Object.assign(this, members);
  }
}

const NETWORK = new Problem({
  code: "network",
  detail: "网络连接失败，请检查网络后重试。已填写的内容都还在。",
});

/** Words for an answer that does not come from the service itself but from what stands before it. */
function foreign(status) {
  return status === 429
    ? { code: "too-many-requests", detail: "操作过于频繁，请稍后再试。" }
    : { code: "unavailable", detail: "服务暂时不可用，您的操作没有生效，请稍后再试。" };
}

/** One call; `token` names the recovery. Throws a Problem. */
export async function call(method, path, { body, token } = {}) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), PATIENCE);
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  try {
    const answer = await fetch(path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      cache: "no-store",
      signal: stop.signal,
    });
    const text = await answer.text();
    let found = null;
    try {
      found = JSON.parse(text);
    } catch {
      // Whatever stands between may answer in HTML.
    }
    if (answer.ok && found) return found;
    const wait = Number(answer.headers.get("Retry-After")) || undefined;
    throw new Problem({
      ...foreign(answer.status),
      retry_after: wait,
      ...(found && found.code ? found : {}),
    });
  } catch (error) {
    throw error instanceof Problem ? error : NETWORK;
  } finally {
    clearTimeout(timer);
  }
}

const trusted = window.trustedTypes
  ? trustedTypes.createPolicy("solver", { createScriptURL: (url) => url })
  : { createScriptURL: (url) => url };

const FRESH = 240000; // ms; a challenge lives five minutes, and the answer has to travel
let running = null; // {login, until, made, drop}

function solve(parameters, mine) {
  const worker = new Worker(trusted.createScriptURL(page.solver));
  const solved = new Promise((found, failed) => {
    const give = (code) =>
      failed(
        new Problem({
          code,
          detail: `浏览器不能完成安全校验，请更新微信或换用其他浏览器，也可以联系技术支持${page.support}。`,
        }),
      );
    worker.onmessage = ({ data }) => (data ? found(data) : give("no-solver"));
    worker.onerror = () => give("no-solver");
    mine.drop = () => give("dropped");
    worker.postMessage(parameters);
  });
  return solved.finally(() => worker.terminate());
}

/**
 * The proof of work for a login, as the service takes it; "" where it asks for none.
 * Called again for the same login it gives the one that is under way. Throws a Problem.
 */
export function prove(login) {
  if (page.proof !== "1") return Promise.resolve("");
  if (running && running.login === login && Date.now() < running.until) return running.made;
  dropProof();
  const mine = { login, until: Date.now() + FRESH, drop() {} };
  running = mine;
  mine.made = call("GET", `proof?login=${encodeURIComponent(login)}`).then(async (challenge) => {
    const solution = await solve(challenge.parameters, mine);
    return btoa(JSON.stringify({ challenge, solution }));
  });
  mine.made.catch(() => {
    if (running === mine) running = null;
  });
  return mine.made;
}

/** Forget the proof: it has been handed in, or the login is another now. */
export function dropProof() {
  if (running) running.drop();
  running = null;
}

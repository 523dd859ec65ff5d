// The page at `/`: asks this server alone, and puts everything into the document as text.

const INTERVAL = 2000; // milliseconds between two looks at the state, while the tab is visible
const KEPT = 200; // rows of the list of requests
const KEY = "codexapi-key";
const TABS = 5;

const $ = (id) => document.getElementById(id);

let reference = { programs: [], remedies: {}, texts: {} };
let status = null;
let skew = 0; // seconds by which the server's clock is ahead of this one
let readFor = ""; // the start and the login that `reference` is from
let models = [];
let recentRows = new Map(); // id and moment of a request -> {row, text, failed}

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function show(element, on) {
  element.hidden = !on;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text; // else it would be read out again
}

// ---- words

const number = new Intl.NumberFormat("en");

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const days = Math.floor(whole / 86400), hours = Math.floor((whole % 86400) / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min` : `${whole} s`;
}

function moment(epoch) {
  const date = new Date(epoch * 1000), today = new Date();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  if (Math.abs(date - today) < 20 * 3600 * 1000) return time; // no other day is meant
  return `${date.toLocaleDateString([], { weekday: "short", day: "numeric", month: "short" })}, ${time}`;
}

const clock = (epoch) => new Date(epoch * 1000).toLocaleTimeString([], { hourCycle: "h23" });
const seconds = (value) => (typeof value === "number" ? `${value < 10 ? value.toFixed(2) : value.toFixed(1)} s` : "–");
const now = () => Date.now() / 1000 + skew;
const ago = (epoch) => `${duration(now() - epoch)} ago`;

function windowName(entry) {
  const minutes = entry.minutes;
  if (!minutes) return entry.name;
  if (Math.abs(minutes - 10080) < 60) return "Week";
  if (minutes >= 2880) return `${Math.round(minutes / 1440)} days`;
  return minutes < 90 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`;
}

// ---- the server

function storedKey() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function ask(path, options = {}) {
  const headers = { ...options.headers }, key = storedKey();
  if (key) headers.authorization = `Bearer ${key}`;
  return fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", ...options, headers });
}

const post = (path, body, options = {}) =>
  ask(path, {
    method: "POST", body: JSON.stringify(body), ...options,
    headers: { "content-type": "application/json" },
  });

async function failure(response) {
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch { /* no JSON: the status alone is known */ }
  return Object.assign(new Error(error.message || `HTTP ${response.status}`), {
    status: response.status, code: error.code || error.type || null,
  });
}

async function read(path) {
  const response = await ask(path);
  if (!response.ok) throw await failure(response);
  return response.json();
}

// ---- small parts

async function copy(text, button) {
  const done = await copied(text);
  put($("said"), done ? "Copied" : "Select the text and copy it");
  if (!button) return;
  const before = button.dataset.label ?? (button.dataset.label = button.textContent);
  button.textContent = done ? "Copied" : "Not copied";
  setTimeout(() => { button.textContent = before; $("said").textContent = ""; }, 1500);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { /* beyond loopback a page without https has no clipboard */ }
  const area = make("textarea", { class: "away", "aria-hidden": "true" });
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

function copyButton(text, what) {
  const button = make("button", { type: "button", class: "quiet", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", () => copy(typeof text === "function" ? text() : text, button));
  return button;
}

function commandLine(command) {
  return make("div", { class: "line" },
    make("code", { tabindex: 0, role: "group", "aria-label": "Command" }, command), copyButton(command, `the command ${command}`));
}

function facts(list, pairs) {
  const wanted = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  const shape = wanted.map(([name]) => name).join("\n");
  if (list.dataset.shape !== shape) {
    list.dataset.shape = shape;
    list.replaceChildren(...wanted.flatMap(([name]) => [make("dt", {}, name), make("dd")]));
  }
  const values = list.querySelectorAll("dd");
  wanted.forEach(([, value], at) => put(values[at], String(value)));
}

// ---- ready

function remedyWords(error) {
  const remedy = reference.remedies[error?.code];
  return remedy ? `${remedy.meaning} ${remedy.remedy}` : error?.message ?? "";
}

function headline(state) {
  const login = state.login, error = state.backend?.last_error;
  if (state.demo) return ["ready", "Ready, as a demo", "Answers are simulated: no login is used, and nothing counts against a plan."];
  if (login.state !== "ready") {
    const over = /expired|reused|invalidated/.test(login.error?.code ?? "");
    const titles = { missing: "Not logged in", expired: "The login has expired", unreadable: "The login cannot be used" };
    const usual = login.error?.command === "codexapi login"; // else the login is not the client's, and its error says what helps
    const words = usual ? remedyWords(login.error) : login.error?.message ?? "";
    return ["bad", titles[over ? "expired" : login.state] ?? "Not logged in", words, (usual && reference.remedies[login.error.code]?.command) || login.error?.command];
  }
  const full = (state.limits?.windows ?? []).find((entry) => entry.used_percent >= 100 && (entry.resets_at ?? Infinity) > now());
  if (full || error?.code === "usage_limit_reached") {
    const reset = full?.resets_at ? ` It resets in ${duration(full.resets_at - now())}, ${moment(full.resets_at)}.` : "";
    const what = full ? `The window “${windowName(full)}” is used up.` : "Your plan's window is used up.";
    return ["warn", "Limit reached", `${what}${reset} Until then the backend refuses requests.`, "codexapi usage"];
  }
  if (error) {
    return ["warn", "Ready, but the last request failed", remedyWords(error), reference.remedies[error.code]?.command];
  }
  return ["ready", "Ready", "Point your programs at this address."];
}

function setState(kind, title, next, fix) {
  $("ready").dataset.state = kind;
  put($("state"), title);
  put($("next"), next);
  const line = $("fix");
  if (line.dataset.command !== (fix ?? "")) {
    line.dataset.command = fix ?? "";
    line.replaceChildren(...(fix ? commandLine(fix).childNodes : []));
  }
  show(line, Boolean(fix));
  document.title = `${title} · codexapi`;
}

function renderReady(state) {
  setState(...headline(state));
  const login = state.login, answer = state.backend?.last_answer_at;
  facts($("facts"), [
    ["Login", state.demo ? "none needed" : login.account],
    ["Plan", login.plan],
    ["Renewal", !state.demo && typeof login.renews_in === "number" ? (login.renews_in > 0 ? `in ${duration(login.renews_in)}` : "with the next request") : null],
    ["Backend", answer ? `answered ${ago(answer)} (${state.backend.last_status})` : "nothing asked yet"],
    ["Running since", state.started_at ? moment(state.started_at) : null],
  ]);
  const wrong = (state.findings ?? []).filter((finding) => !finding.ok);
  const list = $("findings"), shape = JSON.stringify(wrong);
  if (list.dataset.shape === shape) return;
  list.dataset.shape = shape;
  list.replaceChildren(...wrong.map((finding) => make("li", {},
    make("strong", {}, finding.name), ` ${finding.text}`,
    finding.command ? commandLine(finding.command) : null)));
}

// ---- limits

function renderLimits(limits) {
  const windows = limits?.windows ?? [];
  put($("age"), limits?.as_of ? `as of ${ago(limits.as_of)}` : "not known yet: they come with the first answer");
  const bars = $("bars");
  while (bars.children.length > windows.length) bars.lastChild.remove();
  while (bars.children.length < windows.length) bars.append(newBar());
  windows.forEach((entry, at) => renderBar(bars.children[at], entry));
  const credits = limits?.credits, resets = limits?.reset_credits;
  facts($("credits"), [
    ["Credits", credits && (credits.unlimited ? "unlimited" : credits.has_credits ? credits.balance ?? "some" : "none")],
    ["Reset credits", resets && resetCredits(resets)],
  ]);
}

function newBar() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  rect.setAttribute("height", "10");
  rect.setAttribute("rx", "5");
  svg.append(rect);
  return make("div", { class: "bar" },
    make("div", { class: "words" }, make("b"), make("b")),
    make("div", { role: "meter", "aria-valuemin": 0, "aria-valuemax": 100 }, svg), make("p", { class: "hint" }));
}

function renderBar(bar, entry) {
  const used = Math.max(0, Math.min(100, entry.used_percent)), left = Math.round(100 - used);
  const [name, share] = bar.querySelectorAll("b"), meter = bar.querySelector("[role=meter]");
  bar.dataset.level = used >= 100 ? "bad" : used >= 80 ? "warn" : "good";
  put(name, windowName(entry));
  put(share, `${left} % left`);
  meter.setAttribute("aria-valuenow", Math.round(used));
  meter.setAttribute("aria-valuetext", `${Math.round(used)} % used, ${left} % left`);
  meter.setAttribute("aria-label", `Window: ${windowName(entry)}`);
  bar.querySelector("rect").setAttribute("width", `${used}%`);
  const reset = entry.resets_at ? ` · resets in ${duration(entry.resets_at - now())}, ${moment(entry.resets_at)}` : "";
  put(bar.querySelector("p"), `${Math.round(used)} % used${reset}`);
}

function resetCredits(resets) {
  const count = resets.count ?? resets.available ?? resets.available_count;
  const end = resets.expires_at ? `, until ${moment(resets.expires_at)}` : "";
  return count === undefined ? "some" : `${count}${end}`;
}

async function refreshLimits() {
  const button = $("refresh");
  button.disabled = true;
  try {
    const response = await post("/status/limits", {});
    if (!response.ok) throw await failure(response);
    await look();
  } catch (error) {
    put($("age"), `not updated: ${error.message}`);
  } finally {
    button.disabled = false;
  }
}

// ---- connect

function renderPrograms() {
  const select = $("program"), wanted = select.value;
  select.replaceChildren(...reference.programs.map((program) => make("option", { value: program.name }, program.title)));
  $("tabs").replaceChildren(...reference.programs.slice(0, TABS).map((program) =>
    make("button", { type: "button", role: "tab", id: `tab-${program.name}`, "aria-controls": "snippet", onclick: () => choose(program.name) }, program.title)));
  if (reference.programs.length) choose(reference.programs.some((one) => one.name === wanted) ? wanted : reference.programs[0].name);
}

function choose(name) {
  const program = reference.programs.find((one) => one.name === name);
  $("program").value = name;
  let reachable = false;
  for (const tab of $("tabs").children) {
    const chosen = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    reachable ||= chosen;
  }
  if (!reachable && $("tabs").firstChild) $("tabs").firstChild.tabIndex = 0;
  $("snippet").replaceChildren(...program.parts.map((part) => block(part.title, part.text, program.title)),
    ...(program.after ? [make("p", { class: "hint" }, program.after)] : []));
}

function block(title, text, program) {
  return make("div", { class: "block" },
    make("div", { class: "head" }, make("span", { class: "label" }, title), copyButton(text, `${program}: ${title}`)),
    make("pre", { tabindex: 0, role: "group", "aria-label": title }, make("code", {}, text)));
}

function walkTabs(event) {
  const tabs = [...$("tabs").children], at = tabs.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  const tab = tabs[(to + tabs.length) % tabs.length];
  tab.focus();
  tab.click();
}

// ---- now

function renderRunning(running) {
  const list = $("running"), known = new Map([...list.children].map((item) => [item.dataset.id, item]));
  for (const entry of running) {
    let item = known.get(entry.request_id);
    known.delete(entry.request_id);
    if (!item) {
      item = make("li", { "data-id": entry.request_id }, make("span"),
        entry.stoppable ? make("button", { type: "button", class: "quiet", "aria-label": `Stop the request of ${entry.program || "a program"}`, onclick: () => stopRequest(entry.request_id) }, "Stop") : null);
      list.append(item);
    }
    const events = entry.events ? ` · ${number.format(entry.events)} events` : "";
    put(item.firstChild, [entry.program, withEffort(entry), `${duration(entry.seconds)}${events}`].filter(Boolean).join(" · "));
  }
  for (const item of known.values()) item.remove();
}

async function stopRequest(id) {
  try {
    const response = await post(`/status/requests/${encodeURIComponent(id)}/stop`, {});
    put($("said"), response.ok ? "Stopped" : (await failure(response)).message);
    await look();
  } catch { /* the next look tells that the server is gone */ }
}

const withEffort = (entry) => (entry.effort ? `${entry.model} · ${entry.effort}` : entry.model || "");
const requestOf = (entry) => (entry.method === "POST" ? entry.route : `${entry.method} ${entry.route}`);
const failed = (entry) => !["client_left", "stopped"].includes(entry.code) && (entry.status >= 400 || Boolean(entry.code));

function tokens(entry) {
  const counts = entry.tokens ?? {};
  if (!counts.input && !counts.output) return "–";
  return [counts.input, counts.cached, counts.output].map((count) => number.format(count ?? 0)).join(" / ");
}

function renderRecent(recent) {
  const body = $("recent").tBodies[0], gone = new Set(recentRows.keys());
  const entries = recent.slice(0, KEPT);
  for (let at = entries.length - 1; at >= 0; at -= 1) {
    const id = `${entries[at].request_id} ${entries[at].at}`; // clients may give one id twice
    gone.delete(id);
    if (recentRows.has(id)) continue;
    const row = recentRow(entries[at]);
    recentRows.set(id, row);
    body.prepend(row.row);
  }
  for (const id of gone) {
    recentRows.get(id).row.remove();
    recentRows.delete(id);
  }
  filterRows();
}

function recentRow(entry) {
  const words = entry.code ? `${entry.status} ${entry.code}` : String(entry.status);
  const open = make("button", { type: "button", class: failed(entry) ? "plain bad" : "plain", "aria-label": `${words}, details`, onclick: () => openDetails(entry) }, words);
  const cell = (text, name = "") => make("td", { class: name || null }, text);
  const row = make("tr", {}, cell(clock(entry.at)), cell(entry.program || "–"), cell(requestOf(entry), "name wide"),
    cell(withEffort(entry) || "–", "name mid"), cell(tokens(entry), "wide number"), cell(seconds(entry.first), "wide number"),
    cell(seconds(entry.seconds), "number mid"), make("td", {}, open));
  const text = [entry.program, entry.method, entry.route, entry.model, entry.effort, entry.status, entry.code, entry.request_id].join(" ").toLowerCase();
  return { row, text, failed: failed(entry) };
}

function filterRows() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean), only = $("failed").checked;
  let shown = 0;
  for (const { row, text, failed: bad } of recentRows.values()) {
    const fits = (bad || !only) && words.every((word) => text.includes(word));
    show(row, fits);
    shown += fits;
  }
  const all = recentRows.size;
  put($("count"), all ? (shown === all ? `${all} ${all === 1 ? "request" : "requests"}` : `${shown} of ${all} requests`) : "");
  show($("empty"), all === 0);
}

function renderSeen(seen) {
  const words = Object.entries(seen ?? {}).flatMap(([kind, names]) =>
    Object.entries(names).map(([name, count]) => `${kind} ${name} ${number.format(count)} ×`));
  put($("seen"), words.length ? `Unknown to codexapi, seen since start: ${words.join(", ")}` : "");
}

function openDetails(entry) {
  put($("details-title"), entry.code ? `${entry.status} ${entry.code}` : `Request ${entry.status}`);
  $("remedy").dataset.code = entry.code ?? "";
  renderRemedy();
  facts($("fields"), fieldsOf(entry));
  $("report").onclick = (event) => copy(report(entry), event.currentTarget);
  $("details").showModal();
}

function renderRemedy() {
  const code = $("remedy").dataset.code;
  const remedy = code ? reference.remedies[code] ?? reference.remedies.other : null;
  $("remedy").replaceChildren(...(remedy ? [
    make("strong", {}, remedy.meaning), make("p", {}, remedy.remedy), remedy.command ? commandLine(remedy.command) : null,
  ].filter(Boolean) : []));
}

function fieldsOf(entry) {
  return [
    ["Time", new Date(entry.at * 1000).toISOString()], ["Program", entry.program],
    ["Request", `${entry.method} ${entry.route}`], ["Model", withEffort(entry)],
    ["Tokens", tokens(entry) === "–" ? null : `${tokens(entry)} (in / cached / out)`],
    ["First event", entry.first === null ? null : seconds(entry.first)], ["Total", seconds(entry.seconds)],
    ["Ignored fields", Array.isArray(entry.ignored) ? entry.ignored.join(", ") : entry.ignored],
    ["Request id", entry.request_id],
  ];
}

function report(entry) {
  const lines = [["codexapi", `${status?.version ?? $("version").textContent} (${reference.platform ?? "?"})`],
    ["Status", entry.code ? `${entry.status} ${entry.code}` : entry.status], ...fieldsOf(entry)];
  return lines.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => `${name}: ${value}`).join("\n") + "\n";
}

// ---- models

function renderModels(list) {
  const raw = new Map((list.models ?? []).map((entry) => [entry.slug, entry]));
  const aliases = new Map();
  for (const entry of list.data) if (entry.alias_of) aliases.set(entry.alias_of, [...(aliases.get(entry.alias_of) ?? []), entry.id]);
  models = list.data.filter((entry) => !entry.alias_of);
  $("model-rows").replaceChildren(...models.map((entry) => {
    const tiers = (raw.get(entry.id)?.service_tiers ?? []).map((tier) => tier.id ?? tier);
    return make("tr", {}, make("th", { scope: "row" }, entry.id),
      make("td", { class: "number" }, entry.context_window ? number.format(entry.context_window) : "–"),
      make("td", {}, efforts(entry)), make("td", { class: "wide" }, (entry.input_modalities ?? []).join(", ")),
      make("td", { class: "wide" }, tiers.join(", ") || "–"), make("td", { class: "wide" }, (aliases.get(entry.id) ?? []).join(", ") || "–"));
  }));
  if (!models.length) $("model-rows").append(make("tr", {}, make("td", { colspan: 6 }, "The backend has not named any yet.")));
  const select = $("model"), wanted = select.value;
  select.replaceChildren(...models.map((entry) => make("option", { value: entry.id }, entry.id)));
  if (models.some((entry) => entry.id === wanted)) select.value = wanted;
  renderEfforts();
}

function efforts(entry) {
  const names = entry.reasoning_efforts ?? [];
  return names.map((name) => (name === entry.default_reasoning_effort ? `${name} (default)` : name)).join(", ") || "–";
}

function renderEfforts() {
  const entry = models.find((one) => one.id === $("model").value);
  const usual = entry?.default_reasoning_effort;
  $("effort").replaceChildren(make("option", { value: "" }, usual ? `default (${usual})` : "default"),
    ...(entry?.reasoning_efforts ?? []).map((name) => make("option", { value: name }, name)));
}

// ---- try it

let attempt = null; // the AbortController of the answer that is on its way
let address = null; // the object URL of the picture shown

const mode = () => document.querySelector("input[name=mode]:checked").value;

function setMode() {
  for (const element of document.querySelectorAll(".text-only")) show(element, mode() === "text");
}

async function send(event) {
  event.preventDefault();
  if (attempt) return;
  attempt = new AbortController();
  const began = performance.now();
  clearAnswer();
  setBusy(true);
  put($("progress"), "Waiting for the first words …");
  try {
    const usage = mode() === "picture" ? await drawPicture() : await streamText();
    const count = usage?.output_tokens ? `, ${number.format(usage.input_tokens)} tokens in, ${number.format(usage.output_tokens)} out` : "";
    put($("progress"), `Done in ${seconds((performance.now() - began) / 1000)}${count}`);
  } catch (error) {
    put($("progress"), attempt.signal.aborted ? "Stopped" : explain(error));
  } finally {
    attempt = null;
    setBusy(false);
  }
}

function clearAnswer() {
  if (address) URL.revokeObjectURL(address);
  address = null;
  for (const id of ["answer", "reasoning"]) $(id).replaceChildren();
  show($("answer"), false);
  show($("thoughts"), false);
}

function setBusy(busy) {
  $("send").disabled = busy;
  show($("stop"), busy);
  $("answer").setAttribute("aria-busy", busy); // read out when it is complete
}

function explain(error) {
  const remedy = reference.remedies[error.code];
  const help = remedy ? ` ${remedy.remedy}${remedy.command ? ` (${remedy.command})` : ""}` : "";
  return `${error.code ? `${error.code}: ` : ""}${error.message}${help}`;
}

const dataUrl = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

async function streamText() {
  if (!readFor) await readRest(); // it says which events are texts
  const content = [{ type: "input_text", text: $("prompt").value }], file = $("picture").files[0];
  if (file) content.push({ type: "input_image", image_url: await dataUrl(file) });
  const reasoning = { summary: "auto" };
  if ($("effort").value) reasoning.effort = $("effort").value;
  const response = await post("/v1/responses", {
    model: $("model").value, input: [{ role: "user", content }], reasoning, stream: true, store: false,
  }, { signal: attempt.signal });
  if (!response.ok) throw await failure(response);
  let usage = null, complete = false;
  const places = {}; // what the newest text belongs to: the message, and the part of the reasoning
  for await (const data of events(response.body)) {
    const role = reference.texts[data.type];
    if (role === "reasoning") {
      append("reasoning", data.delta, places, [data.output_index, data.summary_index, data.content_index].join());
    } else if (role === "answer" || role === "refusal") {
      append("answer", data.delta, places, data.output_index);
    } else if (data.type === "response.completed" || data.type === "response.incomplete") {
      usage = data.response.usage;
      complete = true;
    } else if (data.type === "response.failed" || data.type === "error") {
      const error = data.response?.error ?? data.error ?? data;
      throw Object.assign(new Error(error.message), { code: error.code });
    }
  }
  if (!complete) throw Object.assign(new Error("The answer broke off."), { code: "upstream_disconnected" });
  return usage;
}

function append(id, text, places, place) {
  show($(id === "answer" ? "answer" : "thoughts"), true);
  put($("progress"), id === "answer" ? "Answering …" : "Thinking …");
  $(id).append($(id).textContent && places[id] !== place ? `\n\n${text}` : text);
  places[id] = place;
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const line = block.split("\n").find((one) => one.startsWith("data: "));
      if (line && line !== "data: [DONE]") yield JSON.parse(line.slice(6));
    }
  }
}

async function drawPicture() {
  put($("progress"), "Drawing: this takes up to a minute …");
  const prompt = $("prompt").value, file = $("picture").files[0];
  const response = file ? await editPicture(prompt, file)
    : await post("/v1/images/generations", { prompt, response_format: "b64_json" }, { signal: attempt.signal });
  if (!response.ok) throw await failure(response);
  const reply = await response.json();
  const bytes = Uint8Array.from(atob(reply.data[0].b64_json), (letter) => letter.charCodeAt(0));
  const kind = reply.output_format ?? "png";
  address = URL.createObjectURL(new Blob([bytes], { type: `image/${kind}` }));
  $("answer").replaceChildren(make("img", { src: address, alt: prompt }),
    make("a", { href: address, download: `picture.${kind}` }, "Save the picture"));
  show($("answer"), true);
  return reply.usage;
}

function editPicture(prompt, file) {
  const form = new FormData();
  form.append("prompt", prompt);
  form.append("response_format", "b64_json");
  form.append("image", file);
  return ask("/v1/images/edits", { method: "POST", body: form, signal: attempt.signal });
}

// ---- the loop

let timer = null;
let looking = false;

async function look() {
  if (looking) return;
  looking = true;
  clearTimeout(timer);
  try {
    render(await read("/status.json"));
    if (readFor !== readKey()) await readRest();
  } catch (error) {
    if (error.code === "invalid_api_key") lock();
    else if (!(error.status in { 404: 1, 403: 1 })) offline(error);
  } finally {
    looking = false;
    if (!document.hidden) timer = setTimeout(look, INTERVAL);
  }
}

function render(state) {
  status = state;
  skew = state.now - Date.now() / 1000;
  show($("unlock"), false);
  for (const section of document.querySelectorAll(".live")) show(section, true);
  put($("version"), state.version);
  renderReady(state);
  renderLimits(state.limits);
  renderRunning(state.running ?? []);
  renderRecent(state.recent ?? []);
  renderSeen(state.seen);
}

const readKey = () => `${status.started_at} ${status.login.state}`;

async function readRest() {
  reference = await read("/page/reference.json");
  renderPrograms();
  renderModels(reference.models);
  renderRemedy();
  renderReady(status);
  readFor = readKey();
}

function lock() {
  const wrong = Boolean(storedKey());
  if (wrong) sessionStorage.removeItem(KEY);
  for (const section of document.querySelectorAll(".live")) show(section, false);
  if ($("unlock").hidden || wrong) setState("warn", wrong ? "That is not the key" : "This server wants its key", "It is the key that the server was started with.");
  facts($("facts"), []);
  $("findings").replaceChildren();
  show($("unlock"), true);
}

function offline(error) {
  if (error.status) setState("bad", "The server fails", error.message);
  else setState("bad", "The server does not answer", "Has it been stopped? This page goes on by itself when it is back.", "codexapi serve");
  facts($("facts"), []);
}

function unlock(event) {
  event.preventDefault();
  try {
    sessionStorage.setItem(KEY, $("key").value.trim());
  } catch { /* without storage there is no key */ }
  $("key").value = "";
  look();
}

function start() {
  document.querySelector(".address .line").append(copyButton(() => $("base").textContent, "the base URL"));
  $("unlock").addEventListener("submit", unlock);
  $("refresh").addEventListener("click", refreshLimits);
  $("program").addEventListener("change", (event) => choose(event.target.value));
  $("tabs").addEventListener("keydown", walkTabs);
  $("filter").addEventListener("input", filterRows);
  $("failed").addEventListener("change", filterRows);
  $("model").addEventListener("change", renderEfforts);
  $("ask").addEventListener("submit", send);
  $("ask").addEventListener("change", setMode);
  $("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
  });
  $("stop").addEventListener("click", () => attempt?.abort());
  $("close").addEventListener("click", () => $("details").close());
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
  look();
}

start();

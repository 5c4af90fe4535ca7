// Asks for the document while somebody looks, shows it, and says so when it is no longer fresh.

const FORMAT = 1,
  PATIENCE = 8000;
const page = {
  live: null,
  basis: 'allocated',
  pointed: null,
  tableOpen: false,
  expanded: new Set(),
  products: new Map(),
};
const poll = {
  etag: '',
  failures: 0,
  problem: '',
  timer: 0,
  asking: false,
  answered: null,
  skew: 0,
};
const spoken = { stale: null, notices: null };

// The exporter's clock, as far as its last answer told: ages do not depend on this machine's.
function clockOfServer() {
  return Date.now() / 1000 + poll.skew;
}

function pointAt(history, event) {
  page.pointed = null;
  if (event) {
    const box = event.currentTarget.getBoundingClientRect(),
      times = history.times;
    const part = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
    const at = times[0] + part * (times[times.length - 1] - times[0]);
    const i = times.findIndex((time, k) => at >= time && at < times[k + 1]);
    if (i >= 0) page.pointed = i;
  }
  showChart();
}

page.expand = (id, open) => {
  if (open) page.expanded.add(id);
  else page.expanded.delete(id);
  showAll();
};

page.openTable = (open) => {
  page.tableOpen = open;
  showChart();
};

function showChart() {
  if (!page.live) return;
  show('chart', chart(page, Math.max(260, document.getElementById('chart').clientWidth)));
}

function showNotices() {
  const { notices } = page.live;
  const top = notices.filter((each) => each.level !== 'note' || each.key === 'no workloads');
  show(
    'notices',
    top.map((each) =>
      h(
        'li',
        { key: each.key, class: each.level },
        each.title && h('strong', null, each.title, ': '),
        name(each.text),
      ),
    ),
  );
}

// What can be scrolled must be reachable by keys.
function reachable(scroll) {
  const wide = scroll.scrollWidth > scroll.clientWidth,
    own = { tabindex: '0', role: 'group', 'aria-label': 'A wide table' };
  for (const [attribute, value] of Object.entries(own)) {
    if (wide) scroll.setAttribute(attribute, value);
    else scroll.removeAttribute(attribute);
  }
}

function showAll() {
  const { live } = page;
  page.products = new Map(live.devices.map((each) => [each.device, each.product]));
  document.title = `${live.host.name} · unitcost`;
  show('host', live.host.name);
  show(
    'about',
    live.ready
      ? [
          'what requests, tokens and epochs cost here, ',
          live.host.scope === 'units' ? 'units only' : 'live',
        ]
      : `not ready: ${live.reason}`,
  );
  showNotices();
  show('tiles', tiles(page));
  showChart();
  show('now', nowSection(page));
  show('inference', inference(page));
  show('training', training(page));
  show('holders', holders(page));
  document.getElementById('s-budgets').hidden = !live.budgets.length;
  show('budgets', live.budgets.length > 0 && budgets(page));
  document.getElementById('s-devices').hidden = !live.devices.length;
  show('devices', live.devices.length > 0 && devices(page));
  show('prices', prices(page));
  show('health', health(page));
  for (const each of document.querySelectorAll('.scroll')) reachable(each);
}

// --- Freshness ------------------------------------------------------------------------------

function isStale() {
  if (!page.live) return poll.failures > 0;
  const { at, host } = page.live;
  return (
    poll.failures > 1 ||
    clockOfServer() - at > Math.max(3 * host.period_seconds, host.period_seconds + 10)
  );
}

function why() {
  if (poll.failures) return poll.problem;
  return 'The exporter answers, but its figures stand still: a tick takes too long.';
}

// Said once when something changes, so that a screen reader is not told at every tick.
function speak(stale) {
  const said = [];
  if (stale !== spoken.stale)
    said.push(stale ? `Figures are no longer fresh. ${why()}` : 'Figures are live.');
  if (page.live) {
    const now = new Map(
      page.live.notices
        .filter((each) => each.level !== 'note')
        .map((each) => [each.key, each.text]),
    );
    for (const [key, text] of now) if (spoken.notices && !spoken.notices.has(key)) said.push(text);
    for (const key of spoken.notices?.keys() || [])
      if (!now.has(key)) said.push(`No longer so: ${spoken.notices.get(key)}`);
    spoken.notices = now;
  }
  spoken.stale = stale;
  if (said.length) document.getElementById('announce').textContent = said.join(' ');
}

function showAges() {
  const now = clockOfServer(),
    stale = isStale(),
    { live } = page;
  for (const each of document.querySelectorAll('time[data-at]')) {
    const text = ago(now - Number(each.dataset.at));
    if (each.textContent !== text) each.textContent = text;
  }
  const banner = document.getElementById('stale'),
    state = document.getElementById('state');
  state.className = stale ? 'state away' : live?.ready ? 'state live' : 'state';
  document.body.classList.toggle('old', stale);
  document.getElementById('age').textContent = !live
    ? stale
      ? 'No answer'
      : 'Reading…'
    : `${stale ? 'Not live' : live.ready ? 'Live' : 'Starting'} · ${ago(now - live.at)}`;
  banner.hidden = !stale;
  if (stale) {
    banner.textContent = live
      ? `${why()} What you see is of ${clock(live.at, true)}, ${ago(now - live.at)}.`
      : `${why()} There are no figures yet.`;
  }
  const title = live ? `${live.host.name} · unitcost` : 'unitcost';
  document.title = stale && live ? `(not live) ${title}` : title;
  speak(stale);
}

// --- Asking ---------------------------------------------------------------------------------

class Unanswered extends Error {}

async function get(signal) {
  const headers = poll.etag ? { 'If-None-Match': poll.etag } : {};
  try {
    return await fetch('api/v1/live', { headers, signal, cache: 'no-store' });
  } catch {
    throw new Unanswered('The exporter does not answer.');
  }
}

async function bodyOf(response) {
  try {
    return await response.json();
  } catch {
    throw new Unanswered("The exporter's answer was cut off.");
  }
}

async function answer(signal) {
  const response = await get(signal);
  if (response.status !== 304 && !response.ok)
    throw new Unanswered(`The exporter answers ${response.status}.`);
  const live = response.status === 304 ? page.live : await bodyOf(response);
  if (live.format !== FORMAT) throw new Unanswered('This exporter was changed: reload this page.');
  const date = Date.parse(response.headers.get('date') || '');
  // The header has whole seconds: half of one is nearest on average.
  if (!Number.isNaN(date)) poll.skew = date / 1000 + 0.5 - Date.now() / 1000;
  poll.etag = response.headers.get('etag') || '';
  return live;
}

async function ask() {
  if (poll.asking || document.hidden) return;
  poll.asking = true;
  clearTimeout(poll.timer);
  const stop = new AbortController();
  const late = setTimeout(() => stop.abort(), PATIENCE);
  try {
    const live = await answer(stop.signal);
    const fresh = live !== page.live;
    page.live = live;
    poll.failures = 0;
    if (fresh) showAll();
  } catch (error) {
    failed(error);
  } finally {
    clearTimeout(late);
    poll.asking = false;
  }
  showAges();
  poll.timer = setTimeout(ask, pause());
}

// What cannot be asked for is the exporter's trouble; what cannot be shown is ours.
function failed(error) {
  poll.failures += 1;
  poll.problem = error.message;
  if (error instanceof Unanswered) return;
  poll.failures += 1;
  poll.problem = 'This page cannot show what the exporter says.';
  console.error(error);
}

// Half a second after the next tick is due; after a failure longer and longer.
function pause() {
  if (poll.failures) return Math.min(15, 2 ** poll.failures) * 1000;
  const due = page.live.at + page.live.host.period_seconds + 0.5 - clockOfServer();
  return Math.min(30, Math.max(1, due)) * 1000;
}

for (const each of document.querySelectorAll('input[name=basis]')) {
  each.addEventListener('change', () => {
    page.basis = each.value;
    if (page.live) showAll();
  });
}
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  showAges();
  ask();
});
new ResizeObserver(() => {
  showChart();
  document.querySelectorAll('.scroll').forEach(reachable);
}).observe(document.getElementById('chart'));
setInterval(showAges, 1000);
page.basis = document.querySelector('input[name=basis]:checked').value;
ask();

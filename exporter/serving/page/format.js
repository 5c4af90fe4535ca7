// Numbers as a person reads them. Unknown (null) never becomes a number here: callers say why.

const GROUPS = {
  active: ['Active', 'held by a workload, and busy'],
  loading: ['Loading', 'held before it could be used'],
  idle: ['Idle', 'held by a workload, and not busy'],
  unallocated: ['Unallocated', 'held by nobody'],
  system: ['System', 'processes that are no workload'],
  unmetered: ['Unmetered', 'the host ran, this exporter did not'],
};
const NOBODY = {
  __unallocated__: 'Held by nobody',
  __system__: 'System processes',
  __unmetered__: 'Not metered',
  __other__: 'Workloads over the limit',
};
const TERMS = { override: 'as configured', on_demand: 'on demand' };
const MINUTE = 60,
  HOUR = 3600,
  DAY = 86400;

const known = (value) => value !== null && value !== undefined;
const grouped = (value, digits) =>
  value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });

// Three significant digits below 1, cents from there on, whole dollars from 1,000.
function money(usd) {
  const size = Math.abs(usd),
    sign = usd < 0 ? '−' : '';
  if (size === 0) return '$0';
  if (size >= 1e9) return sign + '$' + size.toExponential(2);
  if (size >= 999.995) return sign + '$' + grouped(size, 0);
  if (size >= 0.9995) return sign + '$' + size.toFixed(2);
  if (size < 1e-9) return sign + '$' + size.toExponential(2);
  return sign + '$' + size.toFixed(2 - Math.floor(Math.log10(size * 1.0005)));
}

function count(value) {
  for (const [letter, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e4],
  ]) {
    if (value >= size) return (value / (letter === 'k' ? 1e3 : size)).toPrecision(3) + ' ' + letter;
  }
  return grouped(value, Number.isInteger(value) || value >= 100 ? 0 : value < 1 ? 2 : 1);
}

function percent(ratio) {
  const value = ratio * 100;
  if (value > 0 && value < 0.1) return '< 0.1 %';
  return value.toFixed(value < 9.95 && value > 0 ? 1 : 0) + ' %';
}

function amount(value) {
  return value === 0 ? '0' : value < 0.01 ? '< 0.01' : value.toFixed(value < 10 ? 2 : 1);
}

function gibs(bytes) {
  return (bytes / 2 ** 30).toFixed(bytes < 10 * 2 ** 30 ? 1 : 0);
}

// "5 s", "12 min", "3 h", "2 days"; never negative, clocks differ.
function lasting(seconds) {
  const value = Math.max(0, seconds);
  if (value < 0.001) return '< 1 ms';
  if (value < 1) return Math.round(value * 1000) + ' ms';
  if (value < 2 * MINUTE) return Math.round(value) + ' s';
  if (value < 2 * HOUR) return Math.round(value / MINUTE) + ' min';
  if (value < 2 * DAY) return Math.round(value / HOUR) + ' h';
  return Math.round(value / DAY) + ' days';
}

// A measured duration: a digit more than an age has.
const took = (seconds) =>
  seconds >= 1 && seconds < 10 ? seconds.toFixed(1) + ' s' : lasting(seconds);

const ago = (seconds) => (seconds < 1 ? 'now' : lasting(seconds) + ' ago');

function clock(unix, withSeconds) {
  const options = { hour: '2-digit', minute: '2-digit', hour12: false };
  if (withSeconds) options.second = '2-digit';
  return new Date(unix * 1000).toLocaleTimeString('en-GB', options);
}

const iso = (unix) => {
  const date = new Date(unix * 1000);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString();
};

const termsOf = (terms) => TERMS[terms] || words(terms);
const words = (name) => name.replace(/_/g, ' ').trim();

// A resource as a person calls it; GPUs by their product and the end of their UUID.
function resourceName(id, products) {
  if (id === 'cpu') return 'CPU';
  if (id === 'memory') return 'Memory';
  if (id === 'rest') return 'Rest of the host';
  const product = products.get(id);
  return product ? `${product} …${id.slice(-4)}` : id;
}

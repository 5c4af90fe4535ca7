// Cost per hour by state: steps stacked on one another, drawn to the width there is.

const HEIGHT = 230,
  LEFT = 58,
  RIGHT = 8,
  TOP = 10,
  BOTTOM = 24;

// The power of ten of a step's last digit: -2 for 0.05, -1 for 2.5, 1 for 20.
const powerOf = (step) => {
  const power = Math.floor(Math.log10(step) + 1e-9),
    lead = step / 10 ** power;
  return Math.abs(lead - Math.round(lead)) < 1e-6 ? power : power - 1;
};

// A round number not below `value`, and the distance of the lines up to it.
function scaleOf(value) {
  const power = 10 ** Math.floor(Math.log10(value / 4));
  const step = [1, 2, 2.5, 5, 10]
    .map((each) => each * power)
    .find((each) => each * 4 >= value * 0.999);
  const digits = Math.min(20, Math.max(0, -powerOf(step)));
  return { step, digits, top: Math.ceil(value / step - 0.001) * step };
}

function timesOf(from, to) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
  const step = steps.find((each) => (to - from) / each <= 6) || 7200;
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return { found, seconds: step < 60 };
}

const sumOf = (history, i) => {
  const values = Object.values(history.usd_per_hour).map((series) => series[i]);
  return values.length && values.every(known)
    ? values.reduce((sum, value) => sum + value, 0)
    : null;
};

// One path for each unbroken stretch of known intervals.
function areaPath(history, lower, upper, x, y) {
  const intervals = history.times.length - 1;
  let path = '';
  for (let i = 0; i < intervals; i += 1) {
    if (!known(upper[i])) continue;
    let end = i;
    while (end + 1 < intervals && known(upper[end + 1])) end += 1;
    const there = [],
      back = [];
    for (let k = i; k <= end; k += 1) {
      const [a, b] = [x(history.times[k]).toFixed(1), x(history.times[k + 1]).toFixed(1)];
      there.push(`${a} ${y(upper[k]).toFixed(1)}L${b} ${y(upper[k]).toFixed(1)}`);
      back.unshift(`${b} ${y(lower[k]).toFixed(1)}L${a} ${y(lower[k]).toFixed(1)}`);
    }
    path += `M${there.join('L')}L${back.join('L')}Z`;
    i = end;
  }
  return path;
}

function areas(history, x, y) {
  let lower = new Array(history.times.length - 1).fill(0);
  return Object.keys(GROUPS)
    .filter((group) => history.usd_per_hour[group])
    .map((group) => {
      const upper = history.usd_per_hour[group].map((value, i) =>
        known(value) && known(lower[i]) ? lower[i] + value : null,
      );
      const path = areaPath(history, lower, upper, x, y);
      lower = upper;
      return h('path', { class: `c-${group}`, d: path });
    });
}

function unknownParts(history, sums, x) {
  return sums.map((sum, i) =>
    known(sum)
      ? null
      : h('rect', {
          class: 'gone',
          x: x(history.times[i]).toFixed(1),
          y: TOP,
          height: HEIGHT - TOP - BOTTOM,
          width: Math.max(1, x(history.times[i + 1]) - x(history.times[i])).toFixed(1),
        }),
  );
}

function described(history, sums) {
  const all = sums.filter(known);
  if (!all.length) return 'The cost is not known in this time.';
  const [least, most] = [money(Math.min(...all)), money(Math.max(...all))];
  const between = least === most ? most : `between ${least} and ${most}`;
  const last = sums.length - 1;
  const parts = Object.keys(GROUPS)
    .filter((group) => known(history.usd_per_hour[group]?.[last]))
    .map(
      (group) => `${GROUPS[group][0].toLowerCase()} ${money(history.usd_per_hour[group][last])}`,
    );
  const gaps = sums.length - all.length ? ' Part of the time is unknown.' : '';
  return (
    `From ${clock(history.times[0])} to ${clock(history.times[last + 1])} this host cost ` +
    `${between} an hour.${gaps} Last: ${parts.join(', ') || 'unknown'}.`
  );
}

function drawing(history, sums, width, pointed) {
  const from = history.times[0],
    to = history.times[history.times.length - 1];
  const scale = scaleOf(Math.max(...sums.filter(known), 0) || 1);
  const x = (at) => LEFT + ((at - from) / (to - from)) * (width - LEFT - RIGHT);
  const y = (usd) => HEIGHT - BOTTOM - (usd / scale.top) * (HEIGHT - TOP - BOTTOM);
  // Without a price there is no scale.
  const levels = sums.some(known)
    ? Array.from({ length: Math.round(scale.top / scale.step) + 1 }, (_, i) => i * scale.step)
    : [];
  const times = timesOf(from, to);
  return h(
    'svg',
    {
      class: 'chart',
      viewBox: `0 0 ${width} ${HEIGHT}`,
      width,
      height: HEIGHT,
      role: 'img',
      'aria-labelledby': 'c-title c-desc',
      onpointermove: (event) => pointAt(history, event),
      onpointerleave: () => pointAt(history, null),
    },
    h('title', { id: 'c-title' }, 'Cost per hour by state'),
    h('desc', { id: 'c-desc' }, described(history, sums)),
    h(
      'defs',
      null,
      h(
        'pattern',
        { id: 'hatch', width: 6, height: 6, patternUnits: 'userSpaceOnUse' },
        h('path', { d: 'M0 6L6 0' }),
      ),
    ),
    levels.map((usd) => [
      h('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(usd), y2: y(usd) }),
      h(
        'text',
        { x: LEFT - 8, y: y(usd) + 4, 'text-anchor': 'end' },
        `$${grouped(usd, scale.digits)}`,
      ),
    ]),
    unknownParts(history, sums, x),
    areas(history, x, y),
    times.found.map((at) =>
      h(
        'text',
        { x: x(at), y: HEIGHT - 6, 'text-anchor': 'middle' },
        x(at) > LEFT + 16 && x(at) < width - RIGHT - 16 ? clock(at, times.seconds) : '',
      ),
    ),
    known(pointed) &&
      pointed < sums.length &&
      h('line', {
        class: 'cursor',
        y1: TOP,
        y2: HEIGHT - BOTTOM,
        x1: x((history.times[pointed] + history.times[pointed + 1]) / 2),
        x2: x((history.times[pointed] + history.times[pointed + 1]) / 2),
      }),
  );
}

// The values of one interval, in words.
function readoutOf(history, i) {
  const sum = sumOf(history, i);
  const parts = Object.keys(GROUPS)
    .filter((group) => history.usd_per_hour[group]?.[i] > 0)
    .map((group) => [
      ' · ',
      GROUPS[group][0].toLowerCase(),
      ' ',
      h('b', null, money(history.usd_per_hour[group][i])),
    ]);
  return [
    h('b', null, clock(history.times[i], true), '–', clock(history.times[i + 1], true)),
    '  ',
    known(sum) ? [h('b', null, money(sum)), ' an hour', parts] : 'no price was known',
  ];
}

// About twelve rows: means over time, unknown where a part is.
function rowsOf(history) {
  const intervals = history.times.length - 1,
    size = Math.ceil(intervals / 12),
    rows = [];
  for (let i = 0; i < intervals; i += size) {
    const end = Math.min(i + size, intervals),
      row = { from: history.times[i], to: history.times[end], usd: {} };
    for (const [group, series] of Object.entries(history.usd_per_hour)) {
      let usd = 0;
      for (let k = i; k < end; k += 1) {
        usd =
          known(usd) && known(series[k])
            ? usd + series[k] * (history.times[k + 1] - history.times[k])
            : null;
      }
      row.usd[group] = known(usd) ? usd / (row.to - row.from) : null;
    }
    rows.push(row);
  }
  return rows.reverse();
}

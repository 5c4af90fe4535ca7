// At a glance: the tiles, the last hour, and where the money goes now.

function tile(title, value, unit, under, kind) {
  return h(
    'div',
    { class: `tile ${kind || ''}` },
    h('h3', null, title),
    known(value)
      ? h('p', { class: 'value' }, value, ' ', h('span', { class: 'unit' }, unit))
      : h('p', { class: 'value none' }, 'unknown'),
    h('p', { class: 'under small' }, under),
  );
}

function hostTile({ price, now }) {
  if (known(price.usd_per_hour)) {
    const terms = [...new Set(price.resources.map((each) => each.terms))].map(termsOf).join(', ');
    return tile('This host', figure(price.usd_per_hour, money(price.usd_per_hour)), 'an hour', [
      money(price.usd_per_hour * 24),
      ' a day',
      terms && ` · ${terms}`,
    ]);
  }
  return tile('This host', null, '', price.why || now.why);
}

// Said wherever a sum of dollars is without a part that has no price.
const without = ({ price, now }) => {
  const missing = [...new Set(price.resources.flatMap((each) => each.unpriced))].map(words);
  const some = Object.values(now.usd_per_hour).some(known);
  return missing.length && some ? `Without ${missing.join(' and ')}, which has no price.` : '';
};

function wasteTile(live) {
  const { now, price } = live;
  const parts = ['idle', 'unallocated', 'unmetered']
    .map((group) => now.usd_per_hour[group])
    .filter(known);
  const all = Object.values(now.usd_per_hour)
    .filter(known)
    .reduce((sum, value) => sum + value, 0);
  const usd = parts.reduce((sum, value) => sum + value, 0);
  if (!parts.length) return tile('Paid for, not used', null, '', now.why || price.why);
  return tile(
    'Paid for, not used',
    figure(usd, money(usd)),
    'an hour',
    [
      all > 0
        ? `${percent(usd / all)} of the cost · ${money(usd * 24)} a day`
        : 'nothing is charged',
      h('span', { class: 'line' }, without(live)),
    ],
    all > 0 && usd / all >= 0.3 ? 'waste' : '',
  );
}

const modelsOf = (live) =>
  live.workloads
    .filter((each) => !each.reserved)
    .flatMap((workload) =>
      workload.models.map((model) => ({ workload, model, costs: model.unit_costs })),
    );
const servedOf = (live) =>
  modelsOf(live).filter(
    ({ workload, costs }) =>
      workload.kind === 'inference' ||
      (workload.kind === 'other' && (costs.request || costs.token)),
  );

// The dearest one whose figure is known, else the dearest.
const best = (found, of, basis) =>
  found.find((each) => known(valueOf(of(each), basis))) || found[0];
const called = ({ workload, model }) => [
  name(workload.name),
  model.model && [' · ', name(model.model)],
];

function unitTile(title, unit, factor, found, of, nobody, page) {
  const shown = best(found, of, page.basis);
  if (!shown) return tile(title, null, '', nobody);
  const cost = of(shown) || {},
    usd = valueOf(cost, page.basis),
    others = found.length - 1;
  const more = others > 0 && ` and ${others} more`;
  if (!known(usd)) return tile(title, null, '', [called(shown), ': ', whyNot(cost, page.basis)]);
  return tile(title, figure(usd, money(usd * factor)), unit, [
    called(shown),
    more,
    page.basis === 'allocated' &&
      h('span', { class: 'line' }, change(usd, cost.hour_ago, page.live.hour_ago)),
  ]);
}

function tiles(page) {
  const { live } = page,
    served = servedOf(live);
  const runs = live.runs.map((run) => ({
    workload: { name: run.workload },
    model: { model: '' },
    costs: { epoch: run.epoch_cost },
  }));
  const output = served.some((each) => known(valueOf(each.costs.output_token, page.basis)));
  const none = 'No model server is known.',
    tokens = output ? 'output_token' : 'token';
  return [
    hostTile(live),
    wasteTile(live),
    unitTile('A request', 'each', 1, served, (each) => each.costs.request, none, page),
    unitTile(
      output ? 'A million output tokens' : 'A million tokens',
      'per 1M',
      1e6,
      served,
      (each) => each.costs[tokens],
      none,
      page,
    ),
    unitTile(
      'An epoch',
      'each',
      1,
      runs.length ? runs : modelsOf(live).filter((each) => each.workload.kind === 'training'),
      (each) => each.costs.epoch,
      'No training run is known.',
      page,
    ),
  ];
}

function chart(page, width) {
  const { history, price } = page.live,
    intervals = history.times.length - 1;
  if (intervals < 1) return h('p', { class: 'why' }, 'Known from the second reading on.');
  const sums = history.times.slice(1).map((_, i) => sumOf(history, i));
  const span = history.times[intervals] - history.times[0],
    pointed = page.pointed ?? intervals - 1;
  const columns = [
    { label: 'From – to' },
    ...Object.keys(history.usd_per_hour).map((group) => ({ label: GROUPS[group][0] })),
    { label: 'Together' },
  ];
  const rows = page.tableOpen
    ? rowsOf(history).map((each) => {
        const values = Object.values(each.usd),
          all = values.length && values.every(known);
        return {
          head: `${clock(each.from)} – ${clock(each.to)}`,
          cells: [
            ...values.map((usd) => moneyCell(usd, 'unknown')),
            moneyCell(all ? values.reduce((a, b) => a + b, 0) : null, 'unknown'),
          ],
        };
      })
    : [];
  return [
    drawing(history, sums, width, page.pointed),
    h(
      'p',
      { class: 'readout', 'aria-hidden': 'true' },
      readoutOf(history, Math.min(pointed, intervals - 1)),
    ),
    span < history.span_seconds * 0.95 &&
      h(
        'p',
        { class: 'why' },
        'Known since ',
        clock(history.times[0]),
        ', when this exporter began to watch. ',
        without(page.live) || (!known(price.usd_per_hour) && price.why),
      ),
    h(
      'details',
      { ontoggle: (event) => page.openTable(event.target.open) },
      h('summary', null, 'As a table'),
      h(
        'div',
        null,
        table('t-hour', columns, rows, { caption: 'USD an hour, means.', stack: null }),
      ),
    ),
  ];
}

function nowSection({ live }) {
  const { now, price } = live,
    parts = Object.keys(GROUPS)
      .filter((group) => known(now.usd_per_hour[group]))
      .map((group) => [group, now.usd_per_hour[group]]);
  const sum = parts.reduce((all, [, value]) => all + value, 0);
  if (!parts.length) return h('p', { class: 'why' }, now.why || price.why);
  return [
    bar(parts, true),
    table(
      't-now',
      [{ label: 'State' }, { label: '$ an hour' }, { label: 'Part' }],
      parts.map(([group, usd]) => ({
        key: group,
        head: [
          h('span', { class: `swatch c-${group}`, 'aria-hidden': 'true' }),
          GROUPS[group][0],
          h('span', { class: 'under' }, GROUPS[group][1]),
        ],
        cells: [cell([figure(usd, money(usd))]), cell(sum ? percent(usd / sum) : '–')],
      })),
      { caption: `Over the last ${lasting(now.seconds)}. ${without(live)}`, stack: null },
    ),
  ];
}

// Who holds what, and how each part was found.

const HOLDERS = [
  { label: 'Who' },
  { label: 'GPUs', kind: 'inline' },
  { label: 'CPU cores', kind: 'inline' },
  { label: 'Memory, GiB', kind: 'inline' },
  { label: 'Busy', kind: 'busy' },
  { label: '$ an hour' },
  { label: '$ so far' },
];

const isGpu = (id) => id.startsWith('gpu:');

function heldCell(held, products) {
  if (!held.length) return nil();
  const amounts = held.map((each) => each.amount),
    unsaid = amounts.some((each) => !known(each));
  const names = [...new Set(held.map((each) => products.get(each.resource)).filter(known))];
  return unsaid
    ? unknown('Known shortly.')
    : cell([
        amount(amounts.reduce((a, b) => a + b, 0)),
        names.length > 0 && h('span', { class: 'under' }, names.slice(0, 2).join(', ')),
      ]);
}

function busyCell(workload) {
  const parts = Object.keys(GROUPS)
    .map((group) => [group, workload.usd_per_hour[group]])
    .filter(([, usd]) => known(usd));
  if (workload.reserved) return nil();
  if (parts.length && workload.usd_per_hour_together > 0) {
    const busy = (workload.usd_per_hour.active || 0) / workload.usd_per_hour_together;
    return cell([percent(busy), bar(parts)]);
  }
  const told = workload.held.find((each) => known(each.active_ratio));
  return told
    ? cell([
        percent(told.active_ratio),
        bar([
          ['active', told.active_ratio],
          ['idle', 1 - told.active_ratio],
        ]),
      ])
    : nil();
}

function holderRow(workload, products) {
  const of = (test) => workload.held.filter((each) => test(each.resource));
  return {
    key: workload.name,
    kind: workload.reserved ? 'nobody' : null,
    head: [
      name(NOBODY[workload.reserved && workload.name] || workload.name),
      !workload.reserved &&
        h('span', { class: 'under' }, [
          workload.kind,
          workload.owner && h('span', null, ' · ', name(workload.owner)),
          workload.hosts > 1 && ` · on ${workload.hosts} hosts`,
        ]),
    ],
    cells: [
      heldCell(of(isGpu), products),
      heldCell(
        of((id) => id === 'cpu'),
        products,
      ),
      heldCell(
        of((id) => id === 'memory'),
        products,
      ),
      busyCell(workload),
      moneyCell(workload.usd_per_hour_together, workload.why),
      moneyCell(workload.usd_total, workload.why || 'No price.'),
    ],
  };
}

function holders(page) {
  const { live, products } = page,
    more = live.more_workloads;
  const rows = live.workloads
    .filter((each) => !each.reserved)
    .map((each) => holderRow(each, products));
  const listed = live.workloads.filter((each) => !each.reserved);
  const hidden = page.expanded.has('t-holders') ? [] : listed.slice(AT_FIRST);
  rows.splice(listed.length - hidden.length);
  const left = more.count + hidden.length;
  if (left) {
    const sumOfLeft = (values, rest) =>
      [...values, ...(more.count ? [rest] : [])].reduce(
        (sum, value) => (known(sum) && known(value) ? sum + value : null),
        0,
      );
    rows.push({
      key: '…',
      head: `and ${left} more, together`,
      cells: [
        nil(),
        nil(),
        nil(),
        nil(),
        moneyCell(
          sumOfLeft(
            hidden.map((each) => each.usd_per_hour_together),
            more.usd_per_hour,
          ),
          'unknown',
        ),
        moneyCell(
          sumOfLeft(
            hidden.map((each) => each.usd_total),
            more.usd_total,
          ),
          'unknown',
        ),
      ],
    });
  }
  rows.push(
    ...live.workloads.filter((each) => each.reserved).map((each) => holderRow(each, products)),
  );
  const all = [
    ...live.workloads.map((each) => each.usd_per_hour_together),
    more.count ? more.usd_per_hour : 0,
  ];
  const sum = all.every(known) && live.workloads.length ? all.reduce((a, b) => a + b, 0) : null;
  const together = (test) => {
    const held = live.workloads.flatMap((each) => each.held.filter((one) => test(one.resource)));
    return held.length && !more.count ? heldCell(held, new Map()) : nil();
  };
  if (rows.length) {
    rows.push({
      key: 'sum',
      kind: 'sum',
      head: 'This host',
      cells: [
        together(isGpu),
        together((id) => id === 'cpu'),
        together((id) => id === 'memory'),
        nil(),
        moneyCell(sum, live.now.why || 'Known shortly.'),
        moneyCell(live.usd_total, 'No price.'),
      ],
    });
  }
  const ways = live.workloads.flatMap((workload) =>
    workload.held
      .filter((each) => each.method)
      .map((each) => ({
        key: `${workload.name}\n${each.resource}`,
        head: name(NOBODY[workload.reserved && workload.name] || workload.name),
        cells: [
          cell(name(resourceName(each.resource, products))),
          known(each.amount) ? cell(amount(each.amount)) : unknown('Known shortly.'),
          cell(words(each.method)),
          cell(
            each.busy_signal === 'none'
              ? 'nothing tells: all counts as busy'
              : words(each.busy_signal),
          ),
        ],
      })),
  );
  if (!rows.length) return h('p', { class: 'why' }, 'Known from the second reading on.');
  return [
    table('t-holders', HOLDERS, rows, {
      caption: known(live.now.seconds)
        ? `Held and charged on average over the last ${lasting(live.now.seconds)}; so far: since the ledger began.`
        : null,
    }),
    listed.length > AT_FIRST && moreButton('t-holders', hidden.length, page),
    ways.length > 0 &&
      h(
        'details',
        { key: 'ways' },
        h('summary', null, 'How each part was found'),
        h(
          'div',
          null,
          table(
            't-holders',
            [
              { label: 'Who' },
              { label: 'Resource', text: true },
              { label: 'Held' },
              { label: 'By', text: true },
              { label: 'Busy is told by', text: true },
            ],
            ways,
          ),
        ),
      ),
  ];
}

const BUDGETS = [
  { label: 'Budget' },
  { label: 'Spent' },
  { label: 'Of' },
  { label: 'Part', kind: 'busy' },
  { label: 'Period ends' },
];

// How far the period is, to hold what is spent against.
function gone({ period_start: start, period_end: end }) {
  if (!known(start) || !known(end) || end <= start) return null;
  return Math.min(1, Math.max(0, (clockOfServer() - start) / (end - start)));
}

function budgetRow(each) {
  const part = known(each.spent_usd) && each.usd > 0 ? each.spent_usd / each.usd : null;
  const late = each.since > each.period_start && `since ${iso(each.since).slice(0, 10)}`;
  const passed = gone(each);
  const parts = [
    ['idle', Math.min(part, 1)],
    ['none', Math.max(0, 1 - part)],
  ];
  return {
    key: each.name,
    head: name(each.name),
    cells: [
      known(each.spent_usd)
        ? cell([
            !each.whole && h('span', { class: 'muted' }, 'at least '),
            figure(each.spent_usd, money(each.spent_usd)),
            late && h('span', { class: 'under' }, late),
          ])
        : unknown(each.why),
      cell(figure(each.usd, money(each.usd))),
      known(part)
        ? cell([
            percent(part),
            bar(parts),
            known(passed) &&
              h('span', { class: 'under' }, percent(passed), ' of the period is over'),
          ])
        : nil(),
      known(each.period_end)
        ? cell(`${iso(each.period_end).slice(0, 16).replace('T', ' ')} UTC`)
        : nil(),
    ],
  };
}

const budgets = (page) =>
  limited('t-budgets', BUDGETS, page.live.budgets.map(budgetRow), page, {
    left: page.live.more_budgets,
  });

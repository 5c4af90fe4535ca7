// The host itself: accelerators, prices and where they come from, and the exporter.

function devices(page) {
  const { live } = page;
  const columns = [
    { label: 'Accelerator' },
    { label: 'In use', kind: 'busy' },
    { label: 'Memory, GiB' },
    { label: 'Power' },
    { label: 'State', text: true },
  ];
  return limited(
    't-devices',
    columns,
    live.devices.map((each) => ({
      key: each.device,
      head: [
        name(each.product || each.device),
        ' ',
        h('span', { class: 'muted small' }, name(each.device)),
      ],
      cells: [
        known(each.utilization)
          ? cell([
              figure(each.utilization, percent(each.utilization)),
              bar([
                ['active', each.utilization],
                ['none', Math.max(0, 1 - each.utilization)],
              ]),
            ])
          : unknown('Not measured.'),
        known(each.memory_used_bytes)
          ? cell([
              figure(each.memory_used_bytes, gibs(each.memory_used_bytes)),
              known(each.memory_total_bytes) &&
                h('span', { class: 'muted' }, ' of ', gibs(each.memory_total_bytes)),
            ])
          : unknown('Not told.'),
        known(each.power_watts)
          ? cell([figure(each.power_watts, `${Math.round(each.power_watts)} W`)])
          : unknown('Not metered.'),
        cell(
          !each.up
            ? h('span', { class: 'off' }, 'does not answer')
            : each.throttled_by.length
              ? `slowed down: ${each.throttled_by.map(words).join(', ')}`
              : 'answers',
        ),
      ],
    })),
    page,
    { left: live.more_devices, stack: 'stack tight' },
  );
}

function asOfCell(unix) {
  if (!known(unix)) return cell(h('span', { class: 'muted' }, 'not stated'));
  const old = clockOfServer() - unix > 90 * DAY;
  return cell([
    since(unix),
    h('span', { class: 'under' }, iso(unix).slice(0, 10), old && ' · old'),
  ]);
}

// GPUs of one kind at one price are one line.
function alike(resources, products) {
  const found = new Map();
  for (const each of resources) {
    const kind = products.get(each.resource) || each.resource;
    const key = JSON.stringify([
      kind,
      each.usd_per_hour,
      each.terms,
      each.source,
      each.sku,
      each.region,
      each.as_of,
      each.unpriced,
    ]);
    if (!found.has(key)) found.set(key, []);
    found.get(key).push(each);
  }
  return [...found.values()];
}

function priceRow(group, products) {
  const [each] = group,
    number = group.length;
  const cells = known(each.usd_per_hour)
    ? [
        cell([
          figure(each.usd_per_hour, money(each.usd_per_hour)),
          number > 1 && h('span', { class: 'muted' }, ' each'),
          known(each.list_usd_per_hour) &&
            h(
              'span',
              { class: 'under' },
              'list ',
              figure(each.list_usd_per_hour, money(each.list_usd_per_hour)),
            ),
        ]),
        cell(termsOf(each.terms) || '–'),
        cell([
          name(each.source),
          (each.sku || each.region) &&
            h('span', { class: 'under' }, name([each.sku, each.region].filter(Boolean).join(', '))),
        ]),
        asOfCell(each.as_of),
      ]
    : Array.from({ length: 4 }, () =>
        unknown(`No price for its ${each.unpriced.map(words).join(' and ')}.`),
      );
  const called =
    number > 1
      ? `${number} × ${products.get(each.resource)}`
      : resourceName(each.resource, products);
  return { key: each.resource, head: name(called), cells };
}

const SOURCES = [
  { label: 'Source' },
  { label: 'State', text: true },
  { label: 'Last answer' },
  { label: 'Errors' },
];

const sourcesOf = (price) =>
  table(
    't-prices',
    SOURCES,
    price.sources.map((each) => ({
      key: each.name,
      head: name(each.name),
      cells: [
        cell(
          each.up ? h('span', { class: 'ok' }, 'answers') : h('span', { class: 'off' }, 'fails'),
        ),
        known(each.last_success) ? cell(since(each.last_success)) : unknown('never'),
        known(each.errors) ? cell(count(each.errors)) : nil(),
      ],
    })),
    { stack: 'stack tight' },
  );

function prices({ live, products }) {
  const { price } = live;
  const columns = [
    { label: 'Resource' },
    { label: '$ an hour' },
    { label: 'Terms', text: true },
    { label: 'Who says so', text: true },
    { label: 'As of' },
  ];
  const rows = alike(price.resources, products).map((group) => priceRow(group, products));
  if (known(price.usd_per_hour) && rows.length) {
    rows.push({
      key: 'sum',
      kind: 'sum',
      head: 'This host',
      cells: [cell([figure(price.usd_per_hour, money(price.usd_per_hour))]), nil(), nil(), nil()],
    });
  }
  return [
    price.why && h('p', { class: 'why' }, price.why),
    rows.length > 0 && table('t-prices', columns, rows, { stack: 'stack tight' }),
    price.more > 0 && h('p', { class: 'why' }, `and ${price.more} more`),
    price.method && h('p', { class: 'why' }, 'How the price is split: ', price.method),
    known(price.on_demand_usd_per_hour) &&
      h(
        'p',
        { class: 'why' },
        'On demand it would cost ',
        figure(price.on_demand_usd_per_hour, money(price.on_demand_usd_per_hour)),
        ' an hour.',
      ),
    price.sources.length > 0 && sourcesOf(price),
    price.notes.length > 0 &&
      h(
        'ul',
        { class: 'notes' },
        price.notes.map((note) => h('li', null, name(note))),
      ),
  ];
}

function health(page) {
  const { live } = page;
  const { ledger, host, host_power_watts: watts } = live,
    columns = [
      { label: 'Collector' },
      { label: 'State', text: true },
      { label: 'Last good' },
      { label: 'Took' },
      { label: 'Errors since the start' },
    ];
  const exact = ledger.residual_usd === 0;
  return [
    h(
      'dl',
      { class: 'facts' },
      h('dt', null, 'Ledger'),
      h(
        'dd',
        null,
        ledger.writable
          ? h('span', { class: 'ok' }, 'written')
          : h('span', { class: 'off' }, ledger.writable === null ? 'unknown' : 'cannot be written'),
        known(ledger.last_commit) ? [' ', since(ledger.last_commit)] : ' never yet',
        known(ledger.size_bytes) && `, ${(ledger.size_bytes / 1e6).toFixed(1)} MB`,
      ),
      h('dt', null, 'Every dollar once'),
      h(
        'dd',
        null,
        !known(ledger.residual_usd) || !known(live.usd_total)
          ? 'nothing is charged yet'
          : exact
            ? h('span', { class: 'ok' }, 'yes: all charges sum to what the host cost')
            : h('span', { class: 'off' }, `no: they differ by ${money(ledger.residual_usd)}`),
      ),
      known(live.correction_usd) && [
        h('dt', null, 'Prices learnt late'),
        h(
          'dd',
          null,
          figure(live.correction_usd, money(live.correction_usd)),
          ' to be added to the dollars so far',
        ),
      ],
      known(watts) && [
        h('dt', null, 'Power of this host'),
        h('dd', null, figure(watts, `${Math.round(watts)} W`)),
      ],
      known(live.emissions_grams) && [
        h('dt', null, 'Emitted so far'),
        h(
          'dd',
          null,
          figure(live.emissions_grams, `${count(live.emissions_grams / 1000)} kg CO₂e`),
          ' by the energy that was measured',
        ),
      ],
      h('dt', null, 'Version'),
      h('dd', null, host.version, ` · reads every ${lasting(host.period_seconds)}`),
    ),
    live.collectors.length > 0 &&
      limited(
        't-health',
        columns,
        live.collectors.map((each) => ({
          key: each.name,
          head: name(each.name),
          cells: [
            cell(
              each.up ? h('span', { class: 'ok' }, 'reads') : h('span', { class: 'off' }, 'fails'),
            ),
            known(each.last_success) ? cell(since(each.last_success)) : unknown('never'),
            known(each.seconds) ? cell([figure(each.seconds, took(each.seconds))]) : nil(),
            Object.keys(each.errors).length
              ? cell(
                  Object.entries(each.errors).map(([kind, times]) =>
                    h('div', null, `${words(kind)} × ${count(times)}`),
                  ),
                )
              : cell('none'),
          ],
        })),
        page,
        { left: live.more_collectors, stack: 'stack tight' },
      ),
    h(
      'ul',
      { class: 'notes' },
      live.notices
        .filter((each) => each.level === 'note' && each.key !== 'no workloads')
        .map((each) => h('li', { key: each.key }, name(each.text))),
    ),
  ];
}

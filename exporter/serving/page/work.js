// Who works here: model servers and training runs, and what their units cost.

const INFERENCE = [
  { label: 'Server and model' },
  { label: '$ a request' },
  { label: '$ per 1M input' },
  { label: '$ per 1M output' },
  { label: '$ per 1M, all' },
  { label: 'Requests a minute' },
  { label: 'Latency' },
  { label: '$ an hour' },
];

function trafficCell(model) {
  const failed = (model.requests.failed || 0) + (model.requests.aborted || 0);
  const all = failed + (model.requests.succeeded || 0);
  if (!known(model.requests_per_second)) return unknown(all ? 'Known shortly.' : 'None counted.');
  return cell([
    figure(model.requests_per_second, count(model.requests_per_second * 60)),
    known(model.waiting) &&
      model.waiting > 0 &&
      h('span', { class: 'under' }, count(model.waiting), ' waiting'),
    failed > 0 && h('span', { class: 'under' }, percent(failed / all), ' failed in all'),
  ]);
}

// Against the same hour of past weeks, where that is known.
function requestCell(cost, drift, page) {
  const found = unitCell(cost, 1, page);
  if (!drift || found.why) return found;
  const size = Math.abs(drift.ratio - 1);
  const how = drift.ratio >= 1 ? 'above' : 'below';
  const text = size < 0.005 ? 'as usual' : [percent(size), ` ${how} its usual`];
  return cell([found.kids, h('span', { class: 'under' }, text)]);
}

function inference(page) {
  const found = servedOf(page.live);
  if (!found.length) {
    return h(
      'p',
      { class: 'why' },
      'No model server is known. One that unitcost recognises appears by itself; any other is named in the configuration under workloads, with its endpoint.',
    );
  }
  const left =
    page.live.more_workloads.count +
    page.live.workloads.reduce((sum, each) => sum + each.more_models, 0);
  return limited(
    't-inference',
    INFERENCE,
    found.map(({ workload, model, costs }) => ({
      key: `${workload.name}\n${model.model}`,
      head: [
        name(workload.name),
        model.model && h('span', { class: 'under' }, name(model.model)),
        known(page.live.price.usd_per_hour) &&
          known(workload.coverage) &&
          workload.coverage < 0.995 &&
          h(
            'span',
            { class: 'under' },
            percent(workload.coverage),
            ' of its units were in metered, priced time',
          ),
      ],
      cells: [
        requestCell(costs.request, model.drift, page),
        unitCell(costs.input_token, 1e6, page),
        unitCell(costs.output_token, 1e6, page),
        unitCell(costs.token, 1e6, page),
        trafficCell(model),
        known(model.latency_seconds)
          ? cell([figure(model.latency_seconds, took(model.latency_seconds))])
          : unknown('Not told.'),
        moneyCell(model.usd_per_hour, workload.why || 'Not told apart.'),
      ],
    })),
    page,
    { left, caption: `Unit costs over the last ${lasting(page.live.host.window_seconds)}.` },
  );
}

const TRAINING = [
  { label: 'Run' },
  { label: '$ an epoch' },
  { label: '$ a step' },
  { label: 'Spent so far' },
  { label: 'Expected in all', title: '9 of 10 such runs end between the two' },
  { label: 'Progress', kind: 'busy' },
  { label: 'Lost' },
];

function projectedCell({ projected }) {
  if (!known(projected.expected)) return unknown('No goal, price or rate is known.');
  return cell([
    figure(projected.expected, money(projected.expected)),
    known(projected.low) &&
      known(projected.high) &&
      money(projected.low) !== money(projected.high) &&
      h('span', { class: 'under' }, money(projected.low), ' – ', money(projected.high)),
  ]);
}

function lostCell({ stalled, repeated }) {
  const parts = [...Object.entries(stalled), ...(known(repeated) ? [['repeated', repeated]] : [])];
  if (!parts.length) return unknown('Nobody counts it.');
  return cell(
    parts.map(([reason, usd]) =>
      h('div', null, figure(usd, money(usd)), ' ', h('span', { class: 'muted' }, words(reason))),
    ),
  );
}

function stepCell(costs, page) {
  const found = unitCell(costs.step, 1, page);
  const usd = valueOf(costs.token, page.basis);
  if (!known(usd) || found.why) return found;
  const tokens = h('span', { class: 'under' }, figure(usd, money(usd * 1e6)), ' per 1M tokens');
  return cell([found.kids, tokens]);
}

function runRow(run, page) {
  const owner = page.live.workloads.find((each) => each.name === run.workload);
  const costs = owner?.models[0]?.unit_costs || {};
  return {
    key: `${run.workload}\n${run.run}`,
    head: [
      name(run.workload),
      run.run !== run.workload && h('span', { class: 'under' }, 'run ', name(run.run)),
      run.attempts > 1 && h('span', { class: 'under' }, `attempt ${run.attempts}`),
    ],
    cells: [
      known(valueOf(run.epoch_cost, page.basis)) || !known(run.epoch_part)
        ? unitCell(run.epoch_cost, 1, page)
        : cell([
            figure(run.epoch_part, money(run.epoch_part)),
            h('span', { class: 'under' }, "this host's part"),
          ]),
      stepCell(costs, page),
      moneyCell(run.usd, run.why),
      projectedCell(run),
      known(run.progress)
        ? cell([
            figure(run.progress, percent(run.progress)),
            bar([
              ['active', run.progress],
              ['none', 1 - run.progress],
            ]),
          ])
        : cell([known(run.last_epoch) ? `epoch ${run.last_epoch}` : 'no goal is told']),
      lostCell(run),
    ],
  };
}

function training(page) {
  const { live } = page,
    told = new Set(live.runs.map((each) => each.workload));
  const silent = live.workloads.filter((each) => each.kind === 'training' && !told.has(each.name));
  const rows = [
    ...live.runs.map((run) => runRow(run, page)),
    ...silent.map((workload) => ({
      key: workload.name,
      head: name(workload.name),
      cells: [
        unitCell(workload.models[0]?.unit_costs.epoch, 1, page),
        unitCell(workload.models[0]?.unit_costs.step, 1, page),
        ...Array.from({ length: 4 }, () => unknown('No run of it tells of itself.')),
      ],
    })),
  ];
  if (!rows.length)
    return h(
      'p',
      { class: 'why' },
      'No training run is known. A script counts its epochs with two lines of unitcost-client.',
    );
  return limited('t-training', TRAINING, rows, page, { left: live.more_runs });
}

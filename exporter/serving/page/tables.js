// Tables that stay tables for a screen reader on narrow screens, where each row becomes a block.

const cell = (kids, extra) => ({ kids, ...extra });
const nil = () => ({ kids: [h('span', { class: 'muted' }, '–')], nil: true });
const unknown = (why) => ({ why: why || 'Unknown.' });

// Neighbours that are unknown for the same reason say it once.
function merged(cells) {
  const found = [];
  for (const [column, each] of cells.entries()) {
    const last = found[found.length - 1];
    if (each.why && last && last.why === each.why) last.span += 1;
    else found.push({ ...each, column, span: 1 });
  }
  return found;
}

function row(columns, { key, head, cells, kind }) {
  return h(
    'tr',
    { key, class: kind, role: 'row' },
    h('th', { scope: 'row', role: 'rowheader' }, head),
    merged(cells).map((each) => {
      const column = columns[each.column + 1];
      const classes = [
        column.text && 'text',
        each.why && 'why',
        each.why && !column.text && each.span < 2 && 'num',
        each.nil && 'nil',
        column.kind,
      ]
        .filter(Boolean)
        .join(' ');
      return h(
        'td',
        {
          class: classes,
          role: 'cell',
          colspan: each.span > 1 ? each.span : null,
          'data-label': column.label,
        },
        h('div', null, each.why || each.kids),
      );
    }),
  );
}

const AT_FIRST = 12;

const moreButton = (id, hidden, page) =>
  h(
    'button',
    {
      type: 'button',
      key: `${id}-more`,
      'aria-expanded': String(!hidden),
      onclick: () => page.expand(id, hidden > 0),
    },
    hidden ? `Show ${hidden} more` : 'Show fewer',
  );

// The first rows, and a button for the rest; what the document itself leaves out is said, too.
function limited(id, columns, rows, page, { left = 0, ...options } = {}) {
  const all = page.expanded.has(id),
    hidden = all ? 0 : Math.max(0, rows.length - AT_FIRST);
  const some = hidden ? rows.slice(0, AT_FIRST) : rows;
  return [
    table(id, columns, some, options),
    rows.length > AT_FIRST && moreButton(id, hidden, page),
    left > 0 && h('p', { class: 'why' }, `and ${left} more, of which /metrics tells`),
  ];
}

// `stack`: rows become blocks on narrow screens; with `tight` of a few lines; null: they stay rows.
function table(id, columns, rows, { caption, stack = 'stack' } = {}) {
  const heads = columns.map((column) =>
    h(
      'th',
      {
        scope: 'col',
        role: 'columnheader',
        class: column.text ? 'text' : null,
        title: column.title,
      },
      column.label,
    ),
  );
  return h(
    'div',
    { class: 'scroll', key: `${id}-scroll` },
    h(
      'table',
      { role: 'table', class: stack, 'aria-labelledby': id },
      caption && h('caption', null, caption),
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, heads)),
      h(
        'tbody',
        { role: 'rowgroup' },
        rows.map((each) => row(columns, each)),
      ),
    ),
  );
}

function bar(parts, tall) {
  const sum = parts.reduce((all, [, value]) => all + value, 0);
  let at = 0;
  return h(
    'svg',
    {
      class: tall ? 'bar tall' : 'bar',
      viewBox: '0 0 100 8',
      preserveAspectRatio: 'none',
      'aria-hidden': 'true',
    },
    h('rect', { class: 'c-none', x: 0, y: 0, width: 100, height: 8 }),
    parts.map(([group, value]) => {
      const width = sum ? (value / sum) * 100 : 0,
        x = at;
      at += width;
      return h('rect', {
        class: `c-${group}`,
        x: x.toFixed(3),
        y: 0,
        width: width.toFixed(3),
        height: 8,
      });
    }),
  );
}

// How a unit cost moved since an hour ago; only where that is known.
function change(now, before, when) {
  if (!known(before) || before <= 0 || !known(when)) return null;
  const ratio = now / before - 1,
    size = Math.abs(ratio);
  const kind = size < 0.005 ? 'flat' : ratio > 0 ? 'up' : 'down';
  const amountText = size >= 10 ? `× ${(now / before).toFixed(0)}` : percent(size);
  const text = { flat: '≈', up: `▲ ${amountText}`, down: `▼ ${amountText}` }[kind];
  const said = { flat: 'unchanged', up: `up ${amountText}`, down: `down ${amountText}` }[kind];
  return h(
    'span',
    { class: `change ${kind}`, title: `${said} against ${clock(when)}` },
    ' ',
    h('span', { 'aria-hidden': 'true' }, text),
    h('span', { class: 'hidden' }, `, ${said} against ${clock(when)}`),
  );
}

const valueOf = (cost, basis) => (cost ? cost[basis] : null);
const whyNot = (cost, basis) =>
  basis === 'used' && known(cost.allocated) ? 'Nothing tells busy time from idle.' : cost.why;

function unitCell(cost, factor, page) {
  if (!cost) return nil();
  const usd = valueOf(cost, page.basis);
  if (!known(usd)) return unknown(whyNot(cost, page.basis));
  return cell([
    figure(usd, money(usd * factor)),
    page.basis === 'allocated' && change(usd, cost.hour_ago, page.live.hour_ago),
  ]);
}

const moneyCell = (usd, why) => (known(usd) ? cell([figure(usd, money(usd))]) : unknown(why));

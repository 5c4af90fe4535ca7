// A small tree of elements that is laid over the document: what did not change is not touched, so
// that focus, selection and open details stay. Text only ever becomes text nodes, never markup.

const SVG = 'http://www.w3.org/2000/svg';

function h(tag, attributes, ...kids) {
  const own = attributes || {};
  return {
    tag,
    attributes: own,
    key: own.key,
    kids: kids.flat(Infinity).filter((kid) => known(kid) && kid !== false && kid !== ''),
  };
}

function fits(node, kid) {
  if (typeof kid !== 'object') return node.nodeType === Node.TEXT_NODE;
  return node.nodeType === Node.ELEMENT_NODE && node.localName === kid.tag && !node.key;
}

function make(parent, kid) {
  if (typeof kid !== 'object') return document.createTextNode('');
  const inside = parent.namespaceURI === SVG;
  const node =
    inside || kid.tag === 'svg'
      ? document.createElementNS(SVG, kid.tag)
      : document.createElement(kid.tag);
  node.key = kid.key;
  node.shown = {};
  return node;
}

function update(node, kid) {
  if (typeof kid !== 'object') {
    if (node.data !== String(kid)) node.data = String(kid);
    return;
  }
  const before = node.shown || {};
  for (const name of Object.keys({ ...before, ...kid.attributes })) {
    const value = kid.attributes[name];
    if (name === 'key' || value === before[name]) continue;
    if (typeof value === 'function') node[name] = value;
    else if (!known(value) || value === false) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.shown = kid.attributes;
  patch(node, kid.kids);
}

function patch(parent, kids) {
  const keyed = new Map();
  for (const node of parent.childNodes) if (node.key) keyed.set(node.key, node);
  let here = parent.firstChild;
  for (const kid of kids) {
    let node = kid.key ? keyed.get(kid.key) : here && fits(here, kid) ? here : null;
    if (!node) node = make(parent, kid);
    if (node === here) here = here.nextSibling;
    else parent.insertBefore(node, here);
    update(node, kid);
  }
  while (here) {
    const next = here.nextSibling;
    here.remove();
    here = next;
  }
}

function show(id, ...kids) {
  const focused = document.activeElement;
  patch(document.getElementById(id), h('div', null, ...kids).kids);
  // A row that moves takes its focus with it.
  if (focused !== document.activeElement && focused.isConnected)
    focused.focus({ preventScroll: true });
}

const name = (text) => h('bdi', null, text);

// A number with the exact value that /metrics has, for programs and for tests.
const figure = (value, text) => h('data', { value: String(value) }, text);

// An instant, shown as its age, which goes on without a new document.
const since = (unix) =>
  h(
    'time',
    { datetime: iso(unix), 'data-at': unix, title: iso(unix) },
    ago(clockOfServer() - unix),
  );

// A table that holds only the rows in sight and asks the server for pages of short excerpts, and under it the
// opened row. Texts come as plain strings (textContent), the opened row as HTML that the server has escaped.
// TABLE (columns, filters, what names a row in the address) is put in front by rows.py.
const HEIGHT = 34, PAGE = 100, MARGIN = 12;
const COLUMNS = TABLE.columns, LINK_KEYS = ['row', 'question', 'arm', 'seed', 'rate']; // of all tables of the page
const state = {filters: {}, search: '', sort: null, descending: false, total: 0, all: 0, at: -1, opened: null};
let pages = new Map(), asked = new Map(), generation = 0, typing = null, opening = null, shown = '';

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
// A filter with nothing to choose is not shown.
const fillOptions = (select, options) => {
  if (JSON.stringify(options) === select.dataset.options) return;
  select.dataset.options = JSON.stringify(options);
  select.replaceChildren(...options.map(([value, title]) => make('option', {value}, title)));
  select.parentElement.hidden = options.length < 2;
};
const selects = TABLE.filters.map(([name, title, options, detailOnly]) => {
  const select = make('select', {name});
  make('label', {}, `${title} `, select);
  fillOptions(select, options);
  if (options.length) state.filters[name] = options[0][0];
  select.addEventListener('change', () => {
    state.filters[name] = select.value;
    if (detailOnly) { if (state.opened) open(state.opened); return; }
    state.sort = null;
    ask();
  });
  return select;
});
const search = make('input', {type: 'search', name: 'search', placeholder: TABLE.search, maxlength: '200'});
const count = make('span', {class: 'rows-count', role: 'status'});
const previous = make('button', {type: 'button'}, '‹ Previous row'), next = make('button', {type: 'button'}, 'Next row ›');
const copy = make('button', {type: 'button'}, 'Copy link');
const body = make('tbody');
const heads = COLUMNS.map(([name, title, number]) => {
  const head = make('th', {scope: 'col', 'aria-sort': 'none', class: number ? 'number' : `column-${name}`}, make('button', {type: 'button', tabindex: '-1'}, title));
  head.firstChild.addEventListener('click', () => {
    state.descending = state.sort === name ? !state.descending : number;
    state.sort = name;
    ask();
  });
  return head;
});
// A grid is one stop for the Tab key; arrows move inside it, as in a spreadsheet.
heads[0].firstChild.tabIndex = 0;
const table = make('table', {role: 'grid', 'aria-label': `${TABLE.label}; arrow keys move between rows`}, make('thead', {}, make('tr', {}, ...heads)), body);
const frame = make('div', {class: 'rows-frame'}, table);
const detail = make('div', {class: 'rows-detail', id: `${TABLE.id}-detail`, 'aria-live': 'polite'});
const head = make('div', {class: 'rows-head'});
const root = make('div', {class: 'rows'}, head,
  make('div', {class: 'rows-bar'}, ...selects.map((select) => select.parentElement), make('label', {class: 'wide'}, 'Search ', search), count,
    make('span', {class: 'rows-nav'}, previous, next, copy)),
  frame, detail);

const source = () => ({run: props.value.run, ...props.value.source, ...state.filters});
const query = () => ({...source(), search: state.search, sort: state.sort, descending: state.descending});

// One request a page, however often it is wanted while it is under way.
function page(number) {
  if (pages.has(number)) return;
  if (!asked.has(number)) asked.set(number, fetchPage(number));
  return asked.get(number);
}

async function fetchPage(number) {
  const mine = generation;
  try {
    const found = await server.read_page({...query(), start: number * PAGE, count: PAGE});
    if (mine !== generation) return;
    pages.set(number, found.rows);
    [state.total, state.all] = [found.total, found.all];
    draw();
  } finally {
    if (mine === generation) asked.delete(number);
  }
}

// A new question: filter, order, text or dataset changed. The old rows stay in sight until the new ones are here.
async function ask(find = null) {
  const mine = ++generation;
  root.setAttribute('aria-busy', 'true');
  const found = await server.read_page({...query(), start: 0, count: PAGE, find: find || state.opened}).catch(() => null);
  if (mine !== generation) return;
  root.removeAttribute('aria-busy');
  if (!found) { count.textContent = 'The rows could not be read; choose a filter to try again.'; return; }
  pages = new Map([[0, found.rows]]);
  asked = new Map();
  [state.total, state.all, state.at] = [found.total, found.all, found.index];
  if (head.dataset.html !== found.head) head.innerHTML = head.dataset.html = found.head || '';
  for (const select of selects) {
    if (found.options?.[select.name]) fillOptions(select, found.options[select.name]);
    if (found.filters && select.name in found.filters) state.filters[select.name] = found.filters[select.name];
    select.value = state.filters[select.name] ?? select.value;
  }
  draw(); // first the room to scroll in, then the place
  frame.scrollTop = find && state.at >= 0 ? Math.max(0, (state.at - 4) * HEIGHT) : 0;
  draw();
}

function draw() {
  const first = Math.max(0, Math.floor(frame.scrollTop / HEIGHT) - MARGIN);
  const last = Math.min(state.total, first + Math.ceil(frame.clientHeight / HEIGHT) + 2 * MARGIN);
  for (let number = Math.floor(first / PAGE); number * PAGE < last; number++) page(number);
  const focused = body.contains(document.activeElement);
  const before = [...body.querySelectorAll('[data-index]')], drawn = new Map(before.map((row) => [+row.dataset.index, row]));
  const rows = [];
  for (let index = first; index < last; index++) {
    const cells = (pages.get(Math.floor(index / PAGE)) || [])[index % PAGE];
    let row = drawn.get(index);
    if (!row || row.shown !== cells) { // a row that stays is the same node: a click or a key in the making finds it
      row = make('tr', {'aria-rowindex': index + 2, 'data-index': index});
      row.shown = cells;
      for (let i = 0; i < COLUMNS.length; i++) {
        const cell = make('td', COLUMNS[i][2] ? {class: 'number'} : {});
        cell.textContent = cells ? cells[i + 1] : i ? '' : '…';
        row.append(cell);
      }
    }
    row.tabIndex = -1;
    row.setAttribute('aria-selected', index === state.at);
    rows.push(row);
  }
  const space = (height) => { const row = make('tr', {'aria-hidden': 'true', class: 'space'}); row.style.height = `${height}px`; return row; };
  if (rows.length !== before.length || rows.some((row, i) => row !== before[i])) {
    const top = frame.scrollTop; // is lost where the row that has the focus is replaced
    body.replaceChildren(...(first ? [space(first * HEIGHT)] : []), ...rows, ...(last < state.total ? [space((state.total - last) * HEIGHT)] : []));
    frame.scrollTop = top;
  }
  const stop = rows.find((row) => +row.dataset.index === state.at) || rows[0];
  if (stop) stop.tabIndex = 0;
  if (focused && stop) stop.focus({preventScroll: true});
  table.setAttribute('aria-rowcount', state.total + 1);
  heads.forEach((head, i) => head.setAttribute('aria-sort', state.sort !== COLUMNS[i][0] ? 'none' : state.descending ? 'descending' : 'ascending'));
  count.textContent = state.total === state.all ? `${state.all.toLocaleString('en')} rows`
    : state.total ? `${state.total.toLocaleString('en')} of ${state.all.toLocaleString('en')} rows` : 'No row fits; change the filter or the search.';
  previous.disabled = state.at <= 0;
  next.disabled = state.at + 1 >= state.total;
}

function address() {
  const url = new URL(window.location);
  for (const key of LINK_KEYS) url.searchParams.delete(key);
  for (const [key, value] of Object.entries({...props.value.source, ...state.opened})) url.searchParams.set(key, value);
  window.history.replaceState(null, '', url);
}

async function open(row) {
  const mine = opening = Symbol();
  state.opened = row;
  copy.disabled = false;
  const html = await server.read_row({...source(), ...row}).catch(() => '<p class="note">The row could not be read; choose it again.</p>');
  if (mine !== opening) return;
  detail.innerHTML = html;
  address();
}

// Move to a row, wherever it is; the row opens once the keys rest.
async function move(index, wait = 90) {
  if (!state.total) return;
  state.at = Math.max(0, Math.min(state.total - 1, index));
  const top = state.at * HEIGHT, room = frame.clientHeight - 2 * HEIGHT;
  if (top < frame.scrollTop) frame.scrollTop = top;
  else if (top > frame.scrollTop + room) frame.scrollTop = top - room;
  draw();
  clearTimeout(typing);
  const number = Math.floor(state.at / PAGE);
  typing = setTimeout(async () => {
    const wanted = state.at;
    await page(number);
    const cells = (pages.get(number) || [])[wanted % PAGE];
    if (cells) open(cells[0]);
  }, wait);
}

const KEYS = {ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity};
body.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  event.preventDefault();
  move(Math.max(0, state.at) + KEYS[event.key]);
  const row = body.querySelector(`[data-index="${state.at}"]`);
  if (row) row.focus({preventScroll: true});
});
table.tHead.addEventListener('keydown', (event) => {
  const at = heads.findIndex((head) => head.contains(document.activeElement));
  const to = heads[at + ({ArrowRight: 1, ArrowLeft: -1}[event.key] || 0)];
  if (event.key === 'ArrowDown') { event.preventDefault(); (body.querySelector('[tabindex="0"]') || table).focus(); }
  if (!to || to === heads[at]) return;
  event.preventDefault();
  heads.forEach((head) => { head.firstChild.tabIndex = head === to ? 0 : -1; });
  to.firstChild.focus();
});
body.addEventListener('click', (event) => {
  const row = event.target.closest('tr[data-index]');
  if (row) { row.focus({preventScroll: true}); move(+row.dataset.index, 0); }
});
previous.addEventListener('click', () => move(state.at - 1));
next.addEventListener('click', () => move(state.at + 1));
copy.disabled = true;
copy.addEventListener('click', async () => {
  try { await navigator.clipboard.writeText(window.location.href); copy.textContent = 'Copied ✓'; }
  catch { copy.textContent = 'Copy it from the address bar'; } // a page that is not served securely may not copy
  setTimeout(() => { copy.textContent = 'Copy link'; }, 2000);
});
let rest = null;
search.addEventListener('input', () => { clearTimeout(rest); rest = setTimeout(() => { state.search = search.value; ask(); }, 150); });
let frames = false;
frame.addEventListener('scroll', () => { if (!frames) { frames = true; requestAnimationFrame(() => { frames = false; draw(); }); } });
new ResizeObserver(() => draw()).observe(frame);

function load() {
  if (!root.isConnected) element.appendChild(root);
  const value = props.value || {};
  root.hidden = !value.stamp;
  if (!value.stamp || value.stamp === shown) return;
  const link = new URL(window.location).searchParams, names = link.get('run') === value.run && link.has(TABLE.link[0]);
  const linked = names ? Object.fromEntries(TABLE.link.filter((key) => link.has(key)).map((key) => [key, link.get(key)])) : null;
  const fresh = shown.split(' ')[0] !== value.stamp.split(' ')[0];
  shown = value.stamp;
  if (fresh) { state.opened = linked; detail.textContent = ''; }
  if (fresh && TABLE.filters.some(([, , options]) => !options.length)) state.filters = {}; // another run has other skills
  ask(linked);
  if (fresh && linked) open(linked);
  else if (fresh) detail.replaceChildren(make('p', {class: 'note'}, TABLE.hint));
}
watch('value', load);
load();

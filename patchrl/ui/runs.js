// The list of runs. Texts come as plain strings (textContent); the comparison comes as HTML that the server has escaped.
// MAX_COMPARED and MAX_NAME are put in front by runs.py.
const HEADS = ['', 'Run', 'State', 'Plain SFT %', 'RL rewrites %', 'Backbone', 'Dataset', 'Started', 'Took', ''];
const LOOK_SECONDS = 5;
const compared = new Set(), watched = new Map(); // ids to compare; of followed runs the alarms already shown
let groups = [], editing = null, stale = true, timer = null, drawn = '';

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const button = (text, act, attributes = {}) => {
  const node = make('button', {type: 'button', ...attributes}, text);
  node.addEventListener('click', act);
  return node;
};
const body = make('tbody');
const message = make('p', {class: 'note', role: 'status'});
const compare = button('Compare', showComparison, {class: 'runs-compare'});
const comparison = make('div', {class: 'runs-comparison', 'aria-live': 'polite'});
const root = make('div', {class: 'runs'},
  make('p', {class: 'note'}, `Scores are target / general. Choose 2 to ${MAX_COMPARED} runs to compare them.`),
  make('div', {class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Runs'},
    make('table', {}, make('thead', {}, make('tr', {}, ...HEADS.map((head) => make('th', {scope: 'col'}, head)))), body)),
  make('div', {class: 'runs-bar'}, compare, message), comparison);

async function load() {
  if (!root.isConnected) element.appendChild(root);
  stale = true;
  if (!root.offsetParent || editing) return; // another tab is shown, or somebody types a name
  const answer = await server.read_runs({}).catch(() => null);
  if (!answer || editing) return;
  const state = JSON.stringify([answer, props.value]);
  [groups, stale] = [answer, false];
  if (state !== drawn) draw(); // what has the keyboard's focus stays
  drawn = state;
}

function draw() {
  const rows = [], here = new Set(groups.flatMap((group) => group.runs.map((run) => run.id)));
  for (const id of [...compared]) if (!here.has(id)) compared.delete(id);
  for (const group of groups) {
    if (group.head) rows.push(make('tr', {class: 'runs-head'}, make('th', {colspan: HEADS.length, scope: 'rowgroup'}, group.head)));
    for (const run of group.runs) rows.push(row(run));
  }
  body.replaceChildren(...rows);
  allow();
}

function allow() {
  compare.disabled = compared.size < 2 || compared.size > MAX_COMPARED;
}

function row(run) {
  const box = make('input', {type: 'checkbox', 'aria-label': `Compare ${run.name}`});
  box.checked = compared.has(run.id);
  box.disabled = run.damaged;
  box.addEventListener('change', () => { box.checked ? compared.add(run.id) : compared.delete(run.id); allow(); });
  const chosen = (props.value || {}).run === run.id;
  const started = run.started ? new Date(1000 * run.started).toLocaleString([], {dateStyle: 'short', timeStyle: 'short'}) : '–';
  const cells = [make('td', {}, box), name(run), make('td', {class: run.damaged ? 'runs-damaged' : null}, run.line)];
  for (const cell of [...run.cells, started, run.took]) cells.push(make('td', {}, cell));
  return make('tr', {'aria-current': chosen ? 'true' : null}, ...cells, actions(run));
}

function name(run) {
  if (editing && editing.id === run.id && editing.what === 'rename') {
    const field = make('input', {type: 'text', maxlength: MAX_NAME, 'aria-label': `Name of ${run.id}`, value: run.name});
    const save = () => finish(server.rename_run({run: run.id, name: field.value}), 'Renamed.');
    field.addEventListener('keydown', (event) => { if (event.key === 'Enter') save(); if (event.key === 'Escape') edit(null); });
    setTimeout(() => field.select(), 0);
    return make('td', {}, field, button('Save', save), button('Keep the old name', () => edit(null)));
  }
  const cell = make('td', {}, button(run.name, () => trigger('choose', {run: run.id, tab: 'story'}), {class: 'runs-open'}));
  if (run.name !== run.id) cell.append(make('small', {}, run.id));
  return cell;
}

function actions(run) {
  if (!run.own) return make('td');
  if (editing && editing.id === run.id && editing.what === 'delete')
    return make('td', {class: 'runs-question'}, make('span', {}, 'Delete it with everything in it? '),
      button('Delete', () => remove(run), {class: 'runs-danger'}),
      button('Keep', () => edit(null)));
  const cell = make('td');
  if (run.live) cell.append(watched.has(run.id) ? make('small', {}, 'You will be told when it ends.') : button('Tell me when it ends', () => follow(run.id)));
  else cell.append(button('Delete', () => edit(run.id, 'delete'), {'aria-label': `Delete ${run.name}`}));
  if (!run.damaged) cell.prepend(button('Rename', () => edit(run.id, 'rename'), {'aria-label': `Rename ${run.name}`}));
  return cell;
}

function edit(id, what) {
  editing = id && {id, what};
  message.textContent = '';
  stale && !editing ? load() : draw();
  if (what === 'delete') body.querySelector('.runs-question button').focus();
}

async function finish(request, done) {
  const problem = await request.catch(() => 'The page got no answer; try again.');
  editing = null;
  draw();
  message.textContent = problem || done;
  load();
  return !problem;
}

async function remove(run) {
  const shown = new URL(location).searchParams.get('run') === run.id, others = groups.flatMap((group) => group.runs);
  const removed = await finish(server.delete_run({run: run.id}), `${run.name} is deleted.`);
  if (removed && shown) trigger('choose', {run: others.find((other) => other.id !== run.id).id}); // a recording is always there
}

async function showComparison() {
  comparison.innerHTML = await server.compare_runs({runs: [...compared]}).catch(() => '<p class="note">The page got no answer; try again.</p>');
}

// --- notifications: asked for by a press only, and while the page is open -----------------------------------------------

async function follow(id) {
  const permission = 'Notification' in window ? await Notification.requestPermission().catch(() => 'denied') : 'denied';
  if (permission !== 'granted') { message.textContent = 'Your browser allows this page no notifications.'; return; }
  watched.set(id, null);
  draw();
  look();
}

async function look() {
  clearTimeout(timer);
  for (const [id, shown] of [...watched]) {
    const now = await server.watch_run({run: id}).catch(() => null);
    if (!now) continue;
    for (const alarm of now.alarms) if (shown && !shown.has(alarm)) notify(now.name, `⚠ ${alarm}`);
    watched.set(id, new Set(now.alarms));
    if (!now.ended) continue;
    notify(now.name, now.text);
    watched.delete(id);
    draw();
    load();
  }
  if (watched.size) timer = setTimeout(look, 1000 * LOOK_SECONDS);
}

function notify(title, text) {
  try { new Notification(title, {body: text}); } catch { message.textContent = `${title}: ${text}`; } // phones refuse it
}

new ResizeObserver(() => { if (stale) load(); }).observe(root);
watch('value', load);
load();

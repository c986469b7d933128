// The page around its tabs: the address that says what is shown, the drawers, and the form's answers.
window.patchrl = (() => {
  const FIRST_TAB = 'story', TABS = '#tabs [role=tab][data-tab-id]';
  const query = () => new URL(window.location).searchParams;
  const addressed = () => query().get('tab') || (query().has('row') ? 'compare' : query().has('question') ? 'forgetting' : FIRST_TAB);

  // `?run=…&tab=…&row=…`, or `&question=…`. What a person changes becomes a step of Back; what the page fills in does not.
  const change = (changes) => {
    const url = new URL(window.location), now = url.searchParams;
    const before = now.toString(), fills = !changes.tab && !now.has('run');
    if (changes.run && changes.run !== now.get('run')) for (const key of ['row', 'question', 'arm', 'seed', 'rate']) now.delete(key);
    for (const [key, value] of Object.entries(changes)) if (value) now.set(key, value);
    if (now.toString() !== before) window.history[fills ? 'replaceState' : 'pushState'](null, '', url);
  };
  // A run and a tab that are chosen together are one step.
  let waiting = null;
  const address = (changes) => {
    if (waiting) return void Object.assign(waiting, changes);
    waiting = {...changes};
    setTimeout(() => { change(waiting); waiting = null; }, 50);
  };
  const tabButton = (tab) => document.querySelector(`#tabs .tab-container:not(.visually-hidden) [data-tab-id="${CSS.escape(tab)}"]`);
  // The address follows the tab, once the page has opened the tab that the address asks for.
  let wanted = addressed() === FIRST_TAB ? null : addressed();
  const tabChanged = () => {
    const tab = document.querySelector(`${TABS}[aria-selected=true]`)?.dataset.tabId;
    if (!tab || (wanted && wanted !== tab && tabButton(wanted))) return;
    wanted = null;
    if (tab !== addressed()) address({tab});
  };
  new MutationObserver(tabChanged).observe(document, {attributeFilter: ['aria-selected'], subtree: true});
  // A link such as `?tab=compare&row=…` keeps the run, and opens without loading the page again.
  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('a[href^="?"]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || link.target) return;
    event.preventDefault();
    const to = new URL(link.href);
    if (!to.searchParams.has('run') && query().has('run')) to.searchParams.set('run', query().get('run'));
    window.history.pushState(null, '', to);
    window.dispatchEvent(new PopStateEvent('popstate'));
  });
  window.addEventListener('popstate', () => { wanted = null; tabButton(addressed())?.click(); });

  // One drawer is open at a time; what opened it has the focus again when it closes.
  let opener = null;
  const drawer = (id) => {
    for (const node of document.querySelectorAll('.drawer')) {
      const open = node.id === id;
      node.classList.toggle('open', open);
      // Where it covers the page, nothing behind it is reached by the keyboard.
      const covers = open && node.offsetWidth >= window.innerWidth - 1;
      if (open || !id) for (const other of node.parentElement.children) if (!other.matches('.drawer')) other.inert = covers;
      if (!open) continue;
      if (!document.activeElement.closest('.drawer')) opener = document.activeElement;
      node.setAttribute('role', 'dialog');
      node.setAttribute('aria-label', node.querySelector('h2').textContent);
      node.tabIndex = -1;
      node.focus({preventScroll: true});
    }
    if (!id) opener?.focus({preventScroll: true});
  };
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !event.defaultPrevented && event.target.closest?.('.drawer')) drawer(null);
  });

  // --- what the server answers to a button of the form: a run that started, a file, or what is wrong with which field
  const until = async (ready) => {
    for (let tries = 0; tries < 160; tries++) {
      const node = ready();
      if (node) return node;
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    return null;
  };
  const mark = ({field, words}) => {
    const node = document.getElementById(field), input = node?.querySelector('input, textarea');
    if (!input || document.getElementById(`${field}-problem`)) return;
    const note = Object.assign(document.createElement('p'), {className: 'field-problem', id: `${field}-problem`, textContent: words});
    node.append(note);
    input.setAttribute('aria-invalid', 'true');
    input.setAttribute('aria-describedby', note.id);
    node.addEventListener('input', () => { note.remove(); input.removeAttribute('aria-invalid'); }, {once: true});
  };
  // To a field: the folds that it lies under open, and it has the focus.
  const reach = async (problem) => {
    const visible = () => { const node = document.getElementById(problem.field); return node?.offsetParent && node; };
    for (const id of visible() ? [] : ['advanced', `advanced-${problem.section}`]) {
      const fold = await until(() => document.querySelector(`#${id} button.label-wrap`));
      if (fold && !fold.classList.contains('open')) fold.click();
    }
    const node = await until(visible);
    if (!node) return;
    mark(problem);
    node.scrollIntoView({block: 'center'});
    node.querySelector('input, textarea').focus({preventScroll: true});
  };
  // Story moves at once; the strip of the run follows when its worker is there.
  const moving = () => {
    const story = document.getElementById('story');
    story?.classList.add('starting');
    setTimeout(() => story?.classList.remove('starting'), 20000);
  };
  const answer = (element, value) => {
    document.querySelectorAll('.field-problem').forEach((note) => note.remove());
    document.querySelectorAll('.drawer [aria-invalid]').forEach((input) => input.removeAttribute('aria-invalid'));
    element.replaceChildren();
    document.body.classList.remove('starting');
    if (value.started) { moving(); drawer(null); }
    if (value.checked) until(() => document.querySelector('#preflight h3')).then((card) => card?.scrollIntoView({block: 'start'}));
    if (value.save) {
      const link = Object.assign(document.createElement('a'), {download: value.save[0], href: URL.createObjectURL(new Blob([value.save[1]]))});
      link.click();
      URL.revokeObjectURL(link.href);
    }
    if (!value.problems?.length) return;
    const summary = Object.assign(document.createElement('p'), {className: 'problem'}), fields = value.problems.filter(({field}) => field);
    summary.setAttribute('role', 'alert');
    const count = fields.length === 1 ? '1 setting cannot work: ' : `${fields.length} settings cannot work: `;
    summary.append(fields.length ? count : '', ...value.problems.flatMap((problem, i) => {
      if (!problem.field) return [problem.words];
      const link = Object.assign(document.createElement('button'), {type: 'button', className: 'link', textContent: problem.title});
      link.addEventListener('click', () => reach(problem));
      return [i ? ', ' : '', link];
    }));
    element.append(summary);
    fields.forEach(mark);
    if (fields.length) reach(fields[0]);
  };
  const pick = () => new Promise((resolve) => {
    const input = Object.assign(document.createElement('input'), {type: 'file', accept: '.toml'});
    input.addEventListener('change', async () => resolve(input.files[0].size > 1e5 ? '#'.repeat(2e5) : await input.files[0].text()));
    input.addEventListener('cancel', () => resolve(''));
    input.click();
  });
  return {address, drawer, answer, pick, moving, starting: () => document.body.classList.add('starting')};
})();

// The page around its tabs: the drawer, and the address that says which run and tab are shown.
window.patchrl = (() => {
  const FIRST_TAB = 'story';
  // `?run=…&tab=…&row=…`, or `&question=…`. What a person changes becomes a step of Back; what the page fills in does not.
  const change = (changes) => {
    const url = new URL(window.location), query = url.searchParams;
    const before = query.toString(), fills = !changes.tab && !query.has('run');
    if (changes.run && changes.run !== query.get('run')) for (const key of ['row', 'question', 'arm', 'seed', 'rate']) query.delete(key);
    for (const [key, value] of Object.entries(changes)) if (value) query.set(key, value);
    if (query.toString() === before) return;
    window.history[fills ? 'replaceState' : 'pushState'](null, '', url);
  };
  let waiting = null;
  // A run and a tab that are chosen together are one step.
  const address = (changes) => {
    if (waiting) return void Object.assign(waiting, changes);
    waiting = {...changes};
    setTimeout(() => { change(waiting); waiting = null; }, 50);
  };
  // The address follows the tab, once the page has opened the tab that the address asks for.
  let wanted = new URL(window.location).searchParams.get('tab');
  const selected = () => document.querySelector('#tabs [role=tab][aria-selected=true]')?.dataset.tabId;
  const tabChanged = () => {
    const tab = selected();
    if (wanted && wanted !== tab && document.querySelector(`#tabs [data-tab-id="${CSS.escape(wanted)}"]`)) return;
    wanted = null;
    if (tab !== (new URL(window.location).searchParams.get('tab') || FIRST_TAB)) address({tab});
  };
  new MutationObserver((_, observer) => {
    const bar = document.querySelector('#tabs [role=tab]')?.parentElement;
    if (!bar) return;
    observer.disconnect();
    new MutationObserver(tabChanged).observe(bar.parentElement, {attributeFilter: ['aria-selected'], subtree: true});
  }).observe(document.documentElement, {childList: true, subtree: true});

  let opener = null;
  const drawer = (open) => {
    const node = document.getElementById('drawer');
    if (!node || node.classList.contains('open') === open) return;
    node.classList.toggle('open', open);
    node.setAttribute('role', 'dialog');
    node.setAttribute('aria-label', 'New study');
    node.tabIndex = -1;
    if (open) opener = document.activeElement;
    // Where it covers the page, nothing behind it is reached by the keyboard.
    for (const other of node.parentElement.children) if (other !== node) other.inert = open && node.offsetWidth >= window.innerWidth - 1;
    (open ? node : opener)?.focus?.({preventScroll: true});
  };
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !event.defaultPrevented && document.activeElement?.closest('#drawer')) drawer(false);
  });
  return {address, drawer};
})();

// Tokens and terms anywhere on the page: what the label of the one under the pointer or in focus says, and arrow keys between tokens.
(() => {
  let tip = null;
  const show = (token) => {
    if (!tip) {
      tip = document.createElement('div');
      tip.className = 'tok-tip';
      tip.setAttribute('aria-hidden', 'true'); // the token's own label says the same
      document.body.append(tip);
    }
    tip.textContent = token.getAttribute('aria-label');
    tip.style.display = 'block';
    const place = token.getBoundingClientRect(), size = tip.getBoundingClientRect();
    const under = place.bottom + 6 + size.height < window.innerHeight;
    tip.style.left = `${Math.max(6, Math.min(place.left, window.innerWidth - size.width - 6))}px`;
    tip.style.top = `${under ? place.bottom + 6 : Math.max(6, place.top - size.height - 6)}px`;
  };
  const hide = () => { if (tip) tip.style.display = 'none'; };
  const token = (event) => event.target.closest && event.target.closest('.tok, .term');
  for (const kind of ['mouseover', 'focusin']) document.addEventListener(kind, (event) => { const t = token(event); t ? show(t) : hide(); });
  document.addEventListener('focusout', hide);
  document.addEventListener('scroll', hide, true);
  document.addEventListener('keydown', (event) => {
    const from = token(event);
    if (!from) return;
    if (event.key === 'Escape') return hide();
    if (!from.matches('.tok')) return;
    const all = [...from.parentElement.querySelectorAll('.tok')], at = all.indexOf(from);
    const to = all[{ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1}[event.key]];
    if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus({preventScroll: false});
    show(to);
  });
})();

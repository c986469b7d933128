// How ℓ is distributed at each recorded step of training: one chart, a slider and a play button. Shared by
// the app and the report. Returns a function that takes new data and keeps the reader's place.
window.patchrlDistributionSlider = (root) => {
  const make = (tag, attributes, text = '') => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.textContent = text;
    return node;
  };
  const chart = make('div', {'data-chart': 'spread'});
  const play = make('button', {type: 'button', class: 'slider-play'}, '▶ Play');
  const slider = make('input', {type: 'range', min: 0, value: 0, step: 1, 'aria-label': 'Training step'});
  const caption = make('p', {class: 'slider-caption'});
  const bar = make('div', {class: 'slider-bar'});
  bar.append(play, slider);
  root.append(chart, bar, caption);
  let data = null, at = 0, timer = null, stale = false; // stale: what is drawn is not the data, as nobody saw it

  const draw = () => {
    stale = false;
    const frame = data.frames[at], traces = [...data.still], ink = getComputedStyle(root);
    const size = parseFloat(ink.getPropertyValue('--figure-text')) || 12;
    const look = {...data.layout, font: {color: ink.color, size}, autosize: true};
    bar.style.display = frame ? '' : 'none';
    if (frame) {
      traces.push({...data.moving, y: frame.y});
      look.shapes = [...look.shapes, {...data.mark.shape, x0: frame.mean, x1: frame.mean}];
      look.annotations = [...look.annotations, {...data.mark.annotation, x: frame.mean}];
    }
    Plotly.react(chart, traces, look, {responsive: true, displayModeBar: false, _baseUrl: ''});
    caption.textContent = data.caption;
    if (!frame) return;
    slider.max = data.frames.length - 1;
    slider.value = at;
    slider.setAttribute('aria-valuetext', `step ${frame.step}`);
    caption.textContent = `Step ${frame.step}: ${frame.caption}. ${data.caption}`;
  };
  const pause = () => { clearInterval(timer); timer = null; play.textContent = '▶ Play'; };
  play.addEventListener('click', () => {
    if (timer) return pause();
    if (at === data.frames.length - 1) at = 0;
    draw();
    play.textContent = '❚❚ Pause';
    timer = setInterval(() => {
      if (!root.isConnected || at >= data.frames.length - 1) return pause();
      at += 1;
      draw();
    }, Math.max(120, Math.min(500, 9000 / data.frames.length)));
  });
  slider.addEventListener('input', () => { pause(); at = +slider.value; draw(); });
  let width = 0;
  new ResizeObserver(() => { if (data && root.offsetWidth && (stale || root.offsetWidth !== width)) { width = root.offsetWidth; draw(); } }).observe(root);
  return (next) => {
    const newest = !data || at >= data.frames.length - 1; // whoever watches the newest step goes on doing so
    data = next;
    at = Math.max(0, newest && !timer ? data.frames.length - 1 : Math.min(at, data.frames.length - 1));
    stale = true;
    if (root.offsetWidth) draw();
  };
};

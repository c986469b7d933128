// A grid of Plotly charts whose nodes are drawn once and then only updated: zoom, hidden series and the
// hover label survive, which a new node on every update would lose.
const grid = document.createElement('div');
grid.className = 'patchrl-charts';
const nodes = {};

// Without _baseUrl a page with a <base> clips by full address, and shows nothing once its address changed.
const CONFIG = {
  responsive: true, displaylogo: false, _baseUrl: '', modeBarButtons: [['toImage', 'zoom2d', 'pan2d', 'resetScale2d']],
};

// Titles do not wrap by themselves: break them where the node's width asks for it.
const wrapped = (text, width, size) => {
  const room = Math.max(12, Math.floor(width / (size * 0.56)));
  const lines = [''];
  for (const word of text.split(' ')) {
    if ((lines.at(-1) + ' ' + word).trim().length > room) lines.push('');
    lines[lines.length - 1] = (lines.at(-1) + ' ' + word).trim();
  }
  return lines.join('<br>');
};

// Where a page is narrow, grouped bars lie down: their names are read, and there is room for all of them.
const NARROW = 560, BAR = 7;
const lying = (figure, width) => {
  if (figure.layout.barmode !== 'group' || width >= NARROW) return figure;
  const {xaxis, yaxis, ...rest} = figure.layout, groups = Math.max(...figure.data.map((trace) => trace.x.length));
  const turn = ({x, y, hovertemplate, ...trace}) => ({
    ...trace, x: y, y: x, orientation: 'h', hovertemplate: hovertemplate.replace('%{x}: %{y:', '%{y}: %{x:'),
  });
  return {
    data: figure.data.map(turn),
    layout: {
      ...rest, margin: {...rest.margin, l: 8}, height: 150 + groups * (BAR * figure.data.length + 8),
      xaxis: {...yaxis, automargin: true, title: {...yaxis.title, standoff: 14}}, yaxis: {...xaxis, autorange: 'reversed', automargin: true},
    },
  };
};

// Room under a chart for the lines its legend takes beyond the first.
const ENTRY = 19;
const legendRoom = (traces, look, width) => {
  const entries = look.showlegend === false ? 0 : traces.filter((t) => t.showlegend !== false && t.name).length;
  const longest = Math.max(0, ...traces.map((t) => (t.name || '').length));
  const lines = Math.ceil(entries / Math.max(1, Math.floor(width / (longest * 7 + 50))));
  return ENTRY * Math.max(0, lines - 1);
};

const fitted = (figure, node) => {
  const width = node.clientWidth || 600, inner = width - 70, ink = getComputedStyle(element);
  const size = parseFloat(ink.getPropertyValue('--figure-text')) || 12, scale = size / 12; // larger in a lecture hall
  const look = {...figure.layout, font: {color: ink.color, size}, hoverlabel: {font: {size}}, hoverdistance: 60, autosize: true};
  const title = wrapped((look.title || {}).text || '', inner, 14 * scale), extra = 18 * scale * (title.split('<br>').length - 1);
  look.title = {...look.title, text: title, font: {...(look.title || {}).font, size: 14 * scale}};
  look.margin = Object.fromEntries(Object.entries(look.margin).map(([side, pixels]) => [side, pixels * scale]));
  look.margin.t += extra;
  look.annotations = (look.annotations || []).map((label) => ({...label, yshift: (label.yshift || 0) * scale}));
  look.height = (look.height || 260) * (1 + (scale - 1) / 2) + extra + legendRoom(figure.data, look, width);
  look.legend = {...look.legend, maxheight: look.height};
  const axis = look.xaxis;
  if (axis && axis.title) look.xaxis = {...axis, title: {...axis.title, text: wrapped(axis.title.text, inner, size)}};
  return look;
};

// One drawing after the other: two at once on one node leave it half drawn.
const update = (node) => { node.drawn = (node.drawn || Promise.resolve()).then(() => redraw(node)).catch(console.error); };

const redraw = async (node) => {
  if (node._dragging || !node.isConnected) return; // a zoom in the making is drawn when the mouse is up
  const figure = lying(node.figure, node.clientWidth);
  await Plotly.react(node, figure.data, fitted(figure, node), CONFIG);
  if (node.pointer && node.matches(':hover')) Plotly.Fx.hover(node, node.pointer);
};

const add = (name) => {
  const node = document.createElement('div');
  node.dataset.chart = name;
  grid.appendChild(node);
  node.addEventListener('mousemove', (event) => { node.pointer = event; });
  node.addEventListener('mouseup', () => setTimeout(() => update(node), 350));
  return node;
};

const draw = () => {
  if (!window.Plotly) { setTimeout(draw, 100); return; }
  if (!grid.isConnected) element.appendChild(grid);
  const figures = props.value || {};
  for (const name of Object.keys(nodes)) {
    if (!(name in figures)) { Plotly.purge(nodes[name]); nodes[name].remove(); delete nodes[name]; }
  }
  for (const [name, figure] of Object.entries(figures)) {
    const node = nodes[name] || (nodes[name] = add(name));
    const text = JSON.stringify(figure);
    if (node.text === text) continue;
    [node.text, node.figure] = [text, figure];
    update(node);
  }
};
let width = 0;
new ResizeObserver(() => {
  if (element.offsetWidth === width) return;
  width = element.offsetWidth;
  if (width && window.Plotly) for (const node of Object.values(nodes)) if (node.offsetWidth) update(node);
}).observe(element);
// The theme can change while the page is open; ink is the page's own.
new MutationObserver(() => { for (const node of Object.values(nodes)) update(node); }).observe(document.body, {attributeFilter: ['class']});
watch('value', draw);
draw();

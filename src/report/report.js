/* What the page can do beyond being read: the read-out of the heat map by pointer and keyboard, other criteria and scales, and the table of one
 * layer. Everything here is made from the numbers in #map-data; no text from files comes near innerHTML. */
(function () {
  'use strict';
  var $ = function (id) { return document.getElementById(id); };
  var el = function (tag, attributes, children) {
    var x = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (k) { x.setAttribute(k, attributes[k]); });
    [].concat(children === undefined ? [] : children).forEach(function (c) { x.append(c); });
    return x;
  };

  /* Printed pages show what is folded, but for lists of thousands. */
  var opened = [];
  addEventListener('beforeprint', function () {
    document.querySelectorAll('details:not([open], .long)').forEach(function (d) { d.open = true; opened.push(d); });
  });
  addEventListener('afterprint', function () {
    opened.forEach(function (d) { d.open = false; });
    opened = [];
  });

  var source = $('map-data');
  if (!source) return;
  var data = JSON.parse(source.textContent), E = data.experts, L = data.layers.length, N = E * L;
  var bytes = function (text) {
    var s = atob(text), a = new Uint8Array(s.length);
    for (var i = 0; i < s.length; i++) a[i] = s.charCodeAt(i);
    return a;
  };
  /* float32, or its first three bytes */
  var floats = function (name) {
    if (!data[name]) return null;
    var b = bytes(data[name]), out = new Float32Array(N), raw = new Uint8Array(out.buffer), size = b.length / N;
    for (var k = 0; k < N; k++) for (var i = 0; i < size; i++) raw[4 * k + 4 - size + i] = b[size * k + i];
    return out;
  };
  var count = floats('count'), keptBits = data.kept ? bytes(data.kept) : null;
  var kept = function (k) { return keptBits ? (keptBits[k >> 3] >> (k & 7)) & 1 : 1; };

  /* ---- criteria, as in docs/score.md: [name, sum, how] ---- */
  var sums = {}; /* made when a criterion asks for them */
  var sum = function (f) { return sums[f] || (sums[f] = floats(f)); };
  var forms = {
    sum: function (f) { return function (k) { return sum(f)[k]; }; },
    mean: function (f) { return function (k) { return count[k] ? sum(f)[k] / count[k] : 0; }; },
    root: function (f) { return function (k) { return count[k] ? Math.sqrt(sum(f)[k] / count[k]) : 0; }; }
  };
  var criteria = (data.criteria || []).filter(function (c) { return data[c[1]]; })
    .map(function (c) { return { name: c[0], of: forms[c[2]](c[1]), values: null }; });
  var values = function (c) {
    if (!c.values) {
      c.values = new Float64Array(N);
      for (var k = 0; k < N; k++) c.values[k] = c.of(k);
    }
    return c.values;
  };
  var current = criteria.filter(function (c) { return c.name === data.criterion; })[0] || criteria[0] || null;
  var scale = 'layer', at = 0, active = false;
  /* The cell at each place: by number, or in each layer by score, best first. */
  var byNumber = new Uint32Array(N).map(function (_, k) { return k; }), cellAt = byNumber, sorted = false;
  var arrange = function () {
    cellAt = sorted ? new Uint32Array(N) : byNumber;
    for (var l = 0; sorted && l < L; l++)
      ranksOf(current, l).forEach(function (rank, j) { cellAt[l * E + rank - 1] = l * E + j; });
  };

  /* 1 for the highest; a tie goes to the lower id, as in a plan */
  var rankOf = function (c, k) {
    var v = values(c), from = k - k % E, rank = 1;
    for (var q = from; q < from + E; q++) if (v[q] > v[k] || (v[q] === v[k] && q < k)) rank++;
    return rank;
  };
  var ranksOf = function (c, layer) {
    var v = values(c), ids = [], rank = [];
    for (var j = 0; j < E; j++) ids.push(j);
    ids.sort(function (a, b) { return v[layer * E + b] - v[layer * E + a] || a - b; });
    ids.forEach(function (j, q) { rank[j] = q + 1; });
    return rank;
  };
  var number = function (v) {
    if (!isFinite(v)) return '-';
    var a = Math.abs(v);
    if (a && (a < 1e-4 || a >= 1e15)) return v.toExponential(2);
    return a >= 999.95 ? Math.round(v).toLocaleString('en') : Number.isInteger(v) ? String(v) : v.toPrecision(4);
  };
  var percent = function (v) { return (100 * v).toFixed(1) + ' %'; };

  /* ---- colours ---- */
  var colours = new Uint8Array(257 * 3);
  for (var i = 0; i <= 256; i++) {
    var t = i / 256 * (data.scale.length - 1), n = Math.min(Math.floor(t), data.scale.length - 2);
    for (var s = 0; s < 3; s++) {
      var shift = 16 - 8 * s, a = (data.scale[n] >> shift) & 255, b = (data.scale[n + 1] >> shift) & 255;
      colours[3 * i + s] = Math.round(a + (t - n) * (b - a));
    }
  }
  /* Values to 0..1: by the layer's largest, by rank in the layer, or logarithmic over the model. */
  var levels = function () {
    var v = values(current), out = new Float64Array(N), k, l;
    if (scale === 'model') {
      var lo = Infinity, hi = 0;
      for (k = 0; k < N; k++) if (v[k] > 0) { lo = Math.min(lo, v[k]); hi = Math.max(hi, v[k]); }
      for (k = 0; k < N; k++) out[k] = v[k] > 0 ? (hi > lo ? Math.log(v[k] / lo) / Math.log(hi / lo) : 1) : 0;
      return { t: out, low: number(isFinite(lo) ? lo : 0), high: number(hi) + ' (whole model, logarithmic)' };
    }
    for (l = 0; l < L; l++) {
      if (scale === 'rank') {
        var rank = ranksOf(current, l);
        for (k = 0; k < E; k++) out[l * E + k] = E > 1 ? (E - rank[k]) / (E - 1) : 1;
      } else {
        var most = 0;
        for (k = l * E; k < l * E + E; k++) most = Math.max(most, v[k]);
        for (k = l * E; k < l * E + E; k++) out[k] = most > 0 ? v[k] / most : 0;
      }
    }
    return scale === 'rank' ? { t: out, low: 'last', high: 'first of the layer by ' + current.name }
      : { t: out, low: '0', high: 'largest ' + current.name + ' of the layer' };
  };

  /* ---- the picture ---- */
  var field = $('field'), readout = $('readout'), canvas = null, cursor = el('div', { class: 'cursor', hidden: '' });
  /* The strokes of the page, at the places of their cells; forms as in sect_map.c. */
  var mark = function () {
    var marks = $('marks'), d = '';
    if (!marks) return;
    for (var k = 0; k < N; k++) {
      var x = 4 * (k % E) + 1, y = 4 * Math.floor(k / E) + 1;
      if (!kept(cellAt[k])) d += 'M' + x + ' ' + (y + 2) + 'l2-2';
      if (!count[cellAt[k]]) d += 'M' + x + ' ' + y + 'l2 2';
    }
    marks.setAttribute('d', d);
    var columns = document.querySelectorAll('.cols span');
    columns.forEach(function (c) { c.textContent = sorted ? String(Number(c.dataset.id) + 1) : c.dataset.id; });
  };
  var paint = function () {
    if (!current) return;
    var level = levels();
    if (!canvas) {
      canvas = el('canvas', { width: E, height: L, 'aria-hidden': 'true' });
      field.querySelector('img').replaceWith(canvas);
    }
    var context = canvas.getContext('2d'), image = context.createImageData(E, L);
    arrange();
    for (var k = 0; k < N; k++) {
      var cell = cellAt[k], c = 3 * Math.round(256 * Math.max(0, Math.min(1, level.t[cell])));
      for (var s = 0; s < 3; s++) image.data[4 * k + s] = count[cell] ? colours[c + s] : 138;
      image.data[4 * k + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    mark();
    $('scale-low').textContent = level.low;
    $('scale-high').textContent = level.high;
  };
  var tokensOf = function (layer) {
    var total = 0;
    for (var k = layer * E; k < layer * E + E; k++) total += count[k];
    return total;
  };
  var say = function (place) {
    var k = cellAt[place], layer = Math.floor(k / E), expert = k % E, text = 'Layer ' + data.layers[layer] + ', expert ' + expert;
    if (keptBits) text += kept(k) ? ', stays' : ', removed';
    if (current) {
      text += ': ' + current.name + ' ' + number(values(current)[k]) + ', rank ' + rankOf(current, k) + ' of ' + E;
      criteria.forEach(function (c) {
        if (c !== current && (c.name === 'reap' || c.name === 'ean_mean' || c.name === 'gate_mean')) text += ', ' + c.name + ' ' + number(values(c)[k]);
      });
      text += '; ' + number(count[k]) + ' tokens (' + percent(count[k] / (tokensOf(layer) || 1)) + ' of the layer\u2019s routing)';
    }
    return text + '.';
  };
  var hint = 'Point at a cell or touch it, or move with the arrow keys, Home, End, Page Up and Page Down.';
  var show = function (k, scroll) {
    at = k;
    active = true;
    readout.textContent = say(k);
    cursor.hidden = false;
    cursor.style.left = 100 * (k % E) / E + '%';
    cursor.style.top = 100 * Math.floor(k / E) / L + '%';
    cursor.style.width = 100 / E + '%';
    cursor.style.height = 100 / L + '%';
    if (scroll) {
      var pan = field.parentElement, x = (k % E + .5) / E * field.offsetWidth, w = pan.clientWidth;
      if (x < pan.scrollLeft + 24 || x > pan.scrollLeft + w - 24) pan.scrollLeft = x - w / 2;
      cursor.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    }
  };
  var under = function (e) {
    var r = field.getBoundingClientRect();
    var x = Math.floor((e.clientX - r.left) / r.width * E), y = Math.floor((e.clientY - r.top) / r.height * L);
    return x >= 0 && x < E && y >= 0 && y < L ? y * E + x : -1;
  };
  if (field) {
    field.append(cursor);
    field.parentElement.removeAttribute('tabindex');
    field.parentElement.removeAttribute('role');
    field.parentElement.removeAttribute('aria-label');
    field.setAttribute('tabindex', '0');
    field.setAttribute('role', 'application');
    field.setAttribute('aria-roledescription', 'heat map');
    field.setAttribute('aria-label', 'Heat map of ' + L + ' layers by ' + E + ' experts; arrow keys move from cell to cell');
    field.setAttribute('aria-describedby', 'readout');
    readout.hidden = false;
    readout.textContent = hint;
    field.addEventListener('pointermove', function (e) { var k = under(e); if (k >= 0 && (k !== at || !active)) show(k); });
    field.addEventListener('pointerdown', function (e) { var k = under(e); if (k >= 0) show(k); });
    field.addEventListener('focus', function () { if (field.matches(':focus-visible')) show(at); });
    field.addEventListener('keydown', function (e) {
      var x = at % E, y = Math.floor(at / E), big = Math.max(1, Math.round(L / 8));
      if (e.altKey || e.ctrlKey || e.metaKey) return;
      switch (e.key) {
        case 'ArrowLeft': x--; break;
        case 'ArrowRight': x++; break;
        case 'ArrowUp': y--; break;
        case 'ArrowDown': y++; break;
        case 'Home': x = 0; break;
        case 'End': x = E - 1; break;
        case 'PageUp': y -= big; break;
        case 'PageDown': y += big; break;
        default: return;
      }
      e.preventDefault();
      show(Math.max(0, Math.min(L - 1, y)) * E + Math.max(0, Math.min(E - 1, x)), true);
    });
  }

  /* ---- controls ---- */
  var group = function (name, options, chosen, choose) {
    var set = el('fieldset', {}, el('legend', {}, name));
    options.forEach(function (o) {
      var b = el('button', { type: 'button', 'aria-pressed': String(o[0] === chosen) }, o[1]);
      b.addEventListener('click', function () {
        set.querySelectorAll('button').forEach(function (x) { x.setAttribute('aria-pressed', String(x === b)); });
        choose(o[0]);
        paint();
        if (active) readout.textContent = say(at);
        fill();
      });
      set.append(b);
    });
    return set;
  };
  var layerChoice = null, body = null, head = null;
  /* The table of one layer: every expert with every criterion. */
  var fill = function () {
    if (!body || !body.closest('details').open) return;
    var l = Number(layerChoice.value), rank = ranksOf(current, l), rows = [], total = tokensOf(l) || 1;
    head.textContent = 'rank by ' + current.name;
    for (var j = 0; j < E; j++) {
      var k = l * E + j, row = el('tr', {}, [el('th', { scope: 'row' }, String(j)), el('td', {}, String(rank[j]))]);
      if (keptBits) row.append(el('td', { class: 'left' }, kept(k) ? 'stays' : 'removed'));
      row.append(el('td', {}, percent(count[k] / total)));
      criteria.forEach(function (c) { row.append(el('td', {}, number(values(c)[k]))); });
      rows.push(row);
    }
    body.replaceChildren.apply(body, rows);
  };
  if (current && field) {
    var controls = $('map-controls');
    controls.append(
      group('Criterion', criteria.map(function (c) { return [c.name, c.name]; }), current.name, function (name) {
        current = criteria.filter(function (c) { return c.name === name; })[0];
      }),
      group('Order', [['number', 'by number'], ['score', 'by score, best first']], 'number', function (o) { sorted = o === 'score'; }),
      group('Colour', [['layer', 'by layer'], ['rank', 'by rank'], ['model', 'whole model']], scale, function (s) { scale = s; }));
    controls.hidden = false;
    layerChoice = el('select', { id: 'layer-choice' }, data.layers.map(function (il, i) { return el('option', { value: i }, 'layer ' + il); }));
    body = el('tbody');
    head = el('th', { scope: 'col' });
    var titles = [el('th', { scope: 'col' }, 'expert'), head];
    if (keptBits) titles.push(el('th', { scope: 'col', class: 'left' }, 'plan'));
    titles.push(el('th', { scope: 'col' }, 'routing'));
    criteria.forEach(function (c) { titles.push(el('th', { scope: 'col' }, c.name)); });
    var details = el('details', {}, [
      el('summary', {}, 'All numbers of one layer'),
      el('p', {}, [el('label', { for: 'layer-choice' }, 'Layer '), layerChoice]),
      el('div', { class: 'scroll', role: 'region', 'aria-label': 'All numbers of one layer', tabindex: '0' },
        el('table', {}, [el('thead', {}, el('tr', {}, titles)), body]))
    ]);
    $('layer-table').append(details);
    details.addEventListener('toggle', fill);
    layerChoice.addEventListener('change', fill);
    paint();
  }
})();

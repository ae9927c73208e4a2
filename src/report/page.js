'use strict';
// Shows what report/page_data.cc writes. Texts reach the page as text nodes and attributes alone: whatever a model has
// answered stays text.
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const main = document.querySelector('main');
  const svgSpace = 'http://www.w3.org/2000/svg';
  const words = {
    pending: 'pending', failed: 'failed', excluded: 'excluded', published: 'published', empty_set: 'empty set', no_gold: 'no gold',
  };

  // ---- elements

  const fill = (element, attributes, children) => {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
      else if (name === 'checked' || name === 'value' || name === 'disabled' || name === 'open') element[name] = value;
      else element.setAttribute(name, value === true ? '' : value);
    }
    element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ''));
    return element;
  };
  const make = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const draw = (tag, attributes, ...children) => fill(document.createElementNS(svgSpace, tag), attributes, children);
  /// A name that may go on in another line behind each of its parts.
  const breakable = (name) => name.split(/(?<=[_+/])/).map((part, i) => i ? [make('wbr'), part] : part);
  const sections = [];
  const section = (id, title, ...children) => {
    const made = make('section', {id}, make('h2', {}, title), ...children);
    sections.push([id, title]);
    main.append(made);
    return made;
  };
  const scroll = (table, label) => make('div', {class: 'scroll', role: 'region', 'aria-label': label, tabindex: '0'}, table);

  // ---- numbers

  const known = (value) => value !== null && value !== undefined;
  /// A number with so many digits; what lies in the middle goes to the even one, as in what the program prints.
  const rounded = (value, digits) => {
    const middle = Number.isInteger(value * 2 ** (digits + 1)) && !Number.isInteger(value * 2 ** digits);
    if (!middle) return value.toFixed(digits);
    const below = Math.floor(value * 10 ** digits);
    return ((below % 2 ? below + 1 : below) / 10 ** digits).toFixed(digits);
  };
  const percent = (value, digits = 2) => known(value) ? rounded(100 * value, digits) : '';
  const fixed = (value, digits) => known(value) ? value.toFixed(digits) : '';
  const whole = (value) => known(value) ? Math.round(value).toLocaleString('en') : '';
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = (values) => {
    const center = mean(values);
    return Math.sqrt(values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1));
  };
  const ratio = (part, rest) => part + rest > 0 ? part / (part + rest) : 0;
  const duration = (seconds) => seconds >= 7200 ? `${(seconds / 3600).toFixed(1)} h`
    : seconds >= 120 ? `${(seconds / 60).toFixed(1)} min` : `${seconds.toFixed(1)} s`;
  const unique = (values) => [...new Set(values)];
  const several = (count, what) => `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;

  // ---- tables

  /// A table whose columns are sorted by their heads. A column is {name, text (left-aligned), sort(row)}; a row is
  /// what `cells(row)` turns into a line's elements. What has no value stands last in both directions.
  const sortedTable = (caption, columns, rows, cells, attributes) => {
    const body = make('tbody');
    const heads = [];
    let order = null;
    const show = () => {
      const shown = [...rows];
      if (order) {
        const {sort} = columns[order.column];
        const sign = order.ascending ? 1 : -1;
        shown.sort((a, b) => {
          const x = sort(a), y = sort(b);
          if (!known(x) || !known(y)) return known(y) - known(x);
          return sign * (typeof x === 'string' ? x.localeCompare(y) : x - y);
        });
      }
      body.replaceChildren(...shown.map(cells));
      heads.forEach((head, i) => {
        if (!columns[i].sort) return;
        head.setAttribute('aria-sort', order && order.column === i ? (order.ascending ? 'ascending' : 'descending') : 'none');
      });
    };
    const press = (column) => {
      const first = Boolean(columns[column].text);  // names from A, numbers from the largest
      if (!order || order.column !== column) order = {column, ascending: first};
      else if (order.ascending === first) order = {column, ascending: !first};
      else order = null;
      show();
    };
    columns.forEach((column, i) => heads.push(make('th', {scope: 'col', class: column.text ? 'text' : null},
      column.sort ? make('button', {type: 'button', onclick: () => press(i)}, column.name) : column.name)));
    const table = make('table', attributes || {}, make('caption', {}, caption), make('thead', {}, make('tr', {}, heads)), body);
    show();
    table.refresh = show;
    return table;
  };
  /// Rows of values: each is shown as it stands, or {show, sort}. A name is that of numbers, or {name, text: true}.
  const plainTable = (caption, names, rows) => {
    const columns = names.map((name, i) => ({text: i === 0, ...(typeof name === 'string' ? {name} : name), sort: (row) => row[i]?.show !== undefined ? row[i].sort : row[i]}));
    return sortedTable(caption, columns, rows, (row) => make('tr', {}, row.map((value, i) => make(i ? 'td' : 'th',
      {scope: i ? null : 'row', class: columns[i].text ? 'text' : null}, value?.show ?? (known(value) ? breakable(String(value)) : '')))));
  };

  // ---- figures

  const dashes = ['', '7 3', '2 3', '9 3 2 3', '12 4', '4 2', '1 2', '14 3 3 3'];
  const look = (i) => ({color: `var(--c${i % 8})`, dash: dashes[(i + Math.floor(i / 8)) % 8]});
  const redraws = [];
  let drawnWidth = 0;
  const figure = (label, paint, legend) => {
    const place = make('div');
    const made = make('figure', {}, place, legend || '');
    redraws.push((width) => {
      const picture = paint(Math.max(280, Math.min(760, width || made.clientWidth || main.clientWidth)), label);
      picture.style.maxWidth = `${picture.viewBox.baseVal.width}px`;
      place.replaceChildren(picture);
    });
    return made;
  };
  const redraw = (width) => {
    drawnWidth = width || main.clientWidth;
    redraws.forEach((one) => one(width));
  };
  const ticks = (low, high, count) => {
    const span = high - low || 1;
    const rough = span / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
    const list = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) list.push(Number((i * step).toPrecision(12)));
    return list;
  };
  /// Axes with their names; gives back where values lie.
  const axes = (width, height, x, y) => {
    const box = {left: 52, right: width - 12, top: 12, bottom: height - 40};
    const scale = (low, high, from, to) => (value) => from + (to - from) * (high > low ? (value - low) / (high - low) : 0.5);
    const at = {x: scale(x.low, x.high, box.left, box.right), y: scale(y.low, y.high, box.bottom, box.top)};
    const picture = draw('g', {});
    for (const value of y.ticks || ticks(y.low, y.high, 5)) {
      picture.append(draw('line', {class: 'rule', x1: box.left, x2: box.right, y1: at.y(value), y2: at.y(value)}),
        draw('text', {x: box.left - 6, y: at.y(value) + 4, 'text-anchor': 'end'}, String(value)));
    }
    for (const value of x.ticks || ticks(x.low, x.high, width < 450 ? 4 : 8)) {
      picture.append(draw('line', {class: 'axis', x1: at.x(value), x2: at.x(value), y1: box.bottom, y2: box.bottom + 4}),
        draw('text', {x: at.x(value), y: box.bottom + 18, 'text-anchor': 'middle'}, String(value)));
    }
    picture.append(draw('line', {class: 'axis', x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom}),
      draw('line', {class: 'axis', x1: box.left, x2: box.left, y1: box.top, y2: box.bottom}),
      draw('text', {x: (box.left + box.right) / 2, y: height - 6, 'text-anchor': 'middle'}, x.name),
      draw('text', {transform: `translate(13 ${(box.top + box.bottom) / 2}) rotate(-90)`, 'text-anchor': 'middle'}, y.name));
    return {at, box, picture};
  };
  const range = (values, pad) => {
    const low = Math.min(...values), high = Math.max(...values);
    const room = (high - low || Math.abs(high) || 1) * pad;
    return {low: low - room, high: high + room};
  };
  const swatch = (style, point) => draw('svg', {viewBox: '0 0 30 12', 'aria-hidden': 'true'},
    point ? marker(point, 15, 6, style.color)
      : draw('line', {x1: 1, x2: 29, y1: 6, y2: 6, stroke: style.color, 'stroke-dasharray': style.dash, 'stroke-width': style.strong ? 3.5 : 2}));
  const legendOf = (entries) => make('ul', {class: 'legend'}, entries.map(({name, style, point}) =>
    make('li', {}, swatch(style, point), name)));
  const shapes = ['circle', 'square', 'triangle', 'diamond'];
  const marker = (shape, x, y, color, title) => {
    const points = {square: [[-4, -4], [4, -4], [4, 4], [-4, 4]], triangle: [[0, -5], [5, 4], [-5, 4]],
      diamond: [[0, -5.5], [5.5, 0], [0, 5.5], [-5.5, 0]]}[shape];
    const made = points ? draw('polygon', {points: points.map(([a, b]) => `${x + a},${y + b}`).join(' '), fill: color})
      : draw('circle', {cx: x, cy: y, r: 4.2, fill: color});
    if (title) made.append(draw('title', {}, title));
    return made;
  };
  /// Curves {name, points: [{x, y, low, high, title}], strong, flat}, with a band between low and high.
  const curves = (label, x, y, series, height = 320) => {
    const styles = new Map();
    let next = 0;
    for (const one of series) styles.set(one, one.strong ? {color: 'var(--ink)', dash: '', strong: true} : look(next++));
    const all = series.flatMap((one) => one.points);
    if (all.length === 0) return '';
    const xs = range(all.map((point) => point.x), 0.02);
    const ys = range(all.flatMap((point) => [point.y, point.low, point.high].filter(known)), 0.05);
    const paint = (width, text) => {
      const {at, picture} = axes(width, height, {...xs, ...x}, {...ys, low: y.zero ? 0 : Math.max(ys.low, y.least ?? -Infinity), ...y});
      for (const one of series) {
        const style = styles.get(one);
        const banded = one.points.filter((point) => known(point.low) && known(point.high));
        if (banded.length > 1) {
          const edge = [...banded.map((p) => [p.x, p.high]), ...banded.reverse().map((p) => [p.x, p.low])];
          picture.append(draw('polygon', {class: 'band', fill: style.color, points: edge.map(([a, b]) => `${at.x(a).toFixed(1)},${at.y(b).toFixed(1)}`).join(' ')}));
        }
      }
      for (const one of series) {
        const style = styles.get(one);
        picture.append(draw('polyline', {class: one.strong ? 'curve strong' : 'curve', stroke: style.color, 'stroke-dasharray': style.dash,
          points: one.points.map((p) => `${at.x(p.x).toFixed(1)},${at.y(p.y).toFixed(1)}`).join(' ')}, draw('title', {}, one.name)));
        if (!one.flat && one.points.length < 40)
          one.points.forEach((p) => picture.append(marker('circle', at.x(p.x), at.y(p.y), style.color, p.title || `${one.name}: ${p.y}`)));
      }
      return draw('svg', {viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': text}, picture);
    };
    return figure(label, paint, legendOf(series.map((one) => ({name: one.name, style: styles.get(one)}))));
  };

  // ---- head

  const told = new Map(data.provenance);
  const seedText = data.repeats.map(({label, seeds}) => {
    const values = Object.values(seeds);
    return values.every((value) => value === values[0]) && values[0] === label ? String(label)
      : `${label} (${Object.entries(seeds).map(([name, value]) => `${name} ${value}`).join(', ')})`;
  }).join('; ');
  const facts = [
    ['date', told.get('date')],
    ['samner', [told.get('version'), told.get('commit')].filter(Boolean).join(', commit ')],
    ['base model', data.base], ['encoder', data.encoder],
    [data.repeats.length > 1 ? `seeds (${data.repeats.length} repeats)` : 'seed', seedText],
    ...[...told].filter(([name]) => !['date', 'version', 'commit'].includes(name)).map(([name, text]) => [name.replaceAll('_', ' '), text]),
  ].filter(([, text]) => text);
  document.querySelector('header').append(make('dl', {class: 'facts', 'aria-label': 'About this run'},
    facts.map(([name, text]) => make('div', {}, make('dt', {}, name), make('dd', {}, text)))));
  const status = data.cells.reduce((counts, cell) => counts.set(cell.status, (counts.get(cell.status) || 0) + 1), new Map());
  const missing = [...status].filter(([name]) => name !== 'done' && name !== 'excluded');
  if (missing.length) {
    document.querySelector('header').append(make('p', {class: 'failed'},
      `Of ${several(data.cells.length, 'cell')}, ${missing.map(([name, count]) => `${count} ${words[name] || name}`).join(', ')}.`));
  }

  // ---- grids

  const repeats = data.repeats.length;
  const valueOf = (grid, row, column) => column < grid.targets.length ? grid.values[row][column] : grid.averages[row];
  /// The value of each repeat that has one; an average lists its cells by target and repeat.
  const byRepeat = (value, trials) => {
    const values = [];
    for (let repeat = 0; repeat < repeats; ++repeat) {
      const list = value.cells.filter((_, i) => Math.floor(i / trials) % repeats === repeat).map((cell) => data.cells[cell].f1);
      if (list.length && list.every(known)) values.push(mean(list));
    }
    return values;
  };
  const wordsOf = (value) => {
    const counts = new Map();
    for (const cell of value.cells) {
      const {status: name} = data.cells[cell];
      if (name !== 'done') counts.set(name, (counts.get(name) || 0) + 1);
    }
    return [...counts].map(([name, count]) => (value.cells.length > 1 ? `${count} of ${value.cells.length} ` : '') + (words[name] || name));
  };
  const printedRow = (grid, base, row) => grid.printed?.rows.find((one) => one.system === grid.systems[row] && one.base === base);
  const line = (kind, ...children) => make('span', {class: `line note ${kind}`}, ...children);
  /// The share of a value's answers that could not be read; null where there are none.
  const unreadable = (value) => {
    const sum = (name) => value.cells.reduce((total, cell) => total + data.cells[cell][name], 0);
    return sum('completions') > 0 ? sum('unparsable') / sum('completions') : null;
  };
  const manyUnreadable = 0.05;
  const difference = (value, printed) => {
    const gap = 100 * value.mean - printed;
    const outside = known(value.low) && (printed < 100 * value.low || printed > 100 * value.high);
    return make('span', {class: `difference ${gap >= 0 ? 'up' : 'down'}${outside ? ' outside' : ''}`,
      title: outside ? 'The printed value lies outside of the interval.' : 'The printed value lies within the interval.'},
      `${gap < 0 ? '\u2212' : '+'}${Math.abs(gap).toFixed(2)}${outside ? '\u00a0!' : ''}`);
  };
  let openSentences = null;
  const gridCell = (grid, row, column, best, shown) => {
    const value = valueOf(grid, row, column);
    const isAverage = column === grid.targets.length;
    const cell = make('td', {class: isAverage ? 'average' : null});
    const seeds = byRepeat(value, grid.trials);
    const isBest = known(value.mean) && value.mean === best && value.mean > 0;
    if (known(value.mean)) {
      const text = isBest ? make('strong', {}, percent(value.mean)) : percent(value.mean);
      const target = grid.targets[column];
      cell.append(make('span', {class: 'line'}, isAverage || !openSentences ? text : make('button', {type: 'button', class: 'value',
        title: 'Show its sentences', onclick: () => openSentences(grid, row, target)}, text),
      seeds.length > 1 ? make('small', {}, ` \u00b1\u00a0${percent(deviation(seeds))}`) : ''));
      if (value.status === 'published') cell.append(line('word', words.published));
    } else {
      const list = wordsOf(value);
      cell.append(make('span', {class: `line word${list.some((word) => word.includes('failed')) ? ' failed' : ''}`}, list.join(', ') || 'no value'));
      if (seeds.length) cell.append(line('', `${several(seeds.length, 'seed')}: ${percent(mean(seeds))}`));
    }
    if (known(value.mean) && unreadable(value) >= manyUnreadable) cell.append(line('word unreadable', `${percent(unreadable(value), 0)}\u00a0% unreadable`));
    if (shown.interval && known(value.low)) cell.append(line('', `${percent(value.low)} to ${percent(value.high)}`));
    const counted = value.tp + value.fp + value.fn > 0 || known(value.mean);
    if (shown.counts && counted) cell.append(line('', `${value.tp} / ${value.fp} / ${value.fn}`));
    if (shown.parts && counted) cell.append(line('', `P ${percent(ratio(value.tp, value.fp))} R ${percent(ratio(value.tp, value.fn))}`));
    if (shown.sentences && !isAverage) {
      const counts = unique(value.cells.map((i) => data.cells[i].sentences).filter((count) => count > 0));
      if (counts.length) cell.append(line('', several(Math.max(...counts), 'sentence')));
    }
    if (shown.answers && !isAverage) {
      const cut = value.cells.reduce((sum, i) => sum + data.cells[i].truncated, 0);
      const bad = value.cells.reduce((sum, i) => sum + data.cells[i].unparsable, 0);
      if (known(value.mean)) cell.append(line('', `${cut} cut off, ${bad} unreadable`));
    }
    const printed = shown.printed ? printedRow(grid, shown.base, row) : null;
    if (printed) {
      const number = isAverage ? printed.average : printed.cells[grid.targets[column]];
      if (known(number)) {
        const doubtful = printed.doubtful.includes(isAverage ? 'average' : grid.targets[column]);
        cell.append(line('printed', `paper ${number.toFixed(2)}`, doubtful ? make('span', {title: 'This printed value may be a misprint.'}, '\u00a0(?)') : '',
          known(value.mean) ? [' ', difference(value, number)] : ''));
      }
    }
    return cell;
  };
  const sweepOf = (name) => {
    const found = /^(.*?)([A-Za-z]\w*)\s*=\s*(-?\d+(?:\.\d+)?)$/.exec(name);
    return found && {series: found[1].replace(/[\s,;:_-]+$/, ''), variable: found[2], value: Number(found[3])};
  };
  const figuresOf = (grid) => {
    const groups = new Map();
    grid.systems.forEach((name, row) => {
      const sweep = sweepOf(name);
      if (!sweep) return;
      const key = JSON.stringify([sweep.series, sweep.variable]);
      if (!groups.has(key)) groups.set(key, {...sweep, rows: []});
      groups.get(key).rows.push([sweep.value, row]);
    });
    const made = [];
    for (const group of groups.values()) {
      if (group.rows.length < 2) continue;
      group.rows.sort(([a], [b]) => a - b);
      const pointsOf = (column) => group.rows.filter(([, row]) => known(valueOf(grid, row, column).mean)).map(([x, row]) => {
        const value = valueOf(grid, row, column);
        return {x, y: 100 * value.mean, low: known(value.low) ? 100 * value.low : null, high: known(value.high) ? 100 * value.high : null,
          title: `${group.variable} = ${x}: ${percent(value.mean)}${known(value.low) ? ` (${percent(value.low)} to ${percent(value.high)})` : ''}`};
      });
      const series = grid.targets.map((name, column) => ({name, points: pointsOf(column)}));
      if (grid.averages.length) {
        series.push({name: 'average', strong: true, points: pointsOf(grid.targets.length)});
        const ends = [group.rows[0][0], group.rows[group.rows.length - 1][0]];
        grid.systems.forEach((name, row) => {
          const value = grid.averages[row];
          if (!sweepOf(name) && known(value.mean)) series.push({name: `${name} (average)`, flat: true, points: ends.map((x) => ({x, y: 100 * value.mean}))});
        });
      }
      const full = series.filter((one) => one.points.length);
      if (!full.length) continue;
      const label = `${group.series ? `${group.series}: ` : ''}F1 over ${group.variable}`;
      made.push(make('h3', {}, label), curves(`${grid.name}, ${label}`, {name: group.variable, ticks: group.rows.map(([x]) => x)},
        {name: 'micro-F1, percent', least: 0}, full));
    }
    return made.length ? [...made, make('p', {class: 'small'}, 'Bands are 95 % intervals.')] : [];
  };
  const gridSection = (grid, index) => {
    const columns = grid.targets.length + (grid.averages.length ? 1 : 0);
    // Rows that are copied from the literature (n/a) have nothing to be compared with.
    const bases = unique((grid.printed?.rows || []).map((row) => row.base)).filter((base) => base !== 'n/a');
    const shown = {interval: true, counts: false, parts: false, sentences: false, answers: false, printed: bases.length > 0, base: bases[0]};
    const best = Array.from({length: columns}, (_, column) => Math.max(...grid.systems.map((_, row) => valueOf(grid, row, column).mean ?? -1)));
    const rows = grid.systems.map((_, row) => row);
    const heads = [{name: 'system', text: true, sort: (row) => grid.systems[row]},
      ...grid.targets.map((name, column) => ({name, sort: (row) => valueOf(grid, row, column).mean})),
      ...(grid.averages.length ? [{name: 'average', sort: (row) => grid.averages[row].mean}] : [])];
    const table = sortedTable(`Entity micro-F1 in percent${repeats > 1 ? `, mean \u00b1 standard deviation over ${repeats} seeds` : ''}; best of a column in bold.`,
      heads, rows, (row) => make('tr', {'data-system': grid.systems[row]}, make('th', {scope: 'row'}, breakable(grid.systems[row])),
        Array.from({length: columns}, (_, column) => gridCell(grid, row, column, best[column], shown))), {class: 'grid'});
    const box = (name, label) => make('label', {}, make('input', {type: 'checkbox', checked: shown[name], onchange: (event) => {
      shown[name] = event.target.checked;
      table.refresh();
    }}), label);
    const controls = make('div', {class: 'controls', role: 'group', 'aria-label': 'What the table shows'},
      box('interval', '95 % interval'), box('counts', 'tp / fp / fn'), box('parts', 'precision, recall'), box('sentences', 'sentences'),
      box('answers', 'unreadable answers'),
      bases.length ? [box('printed', `printed values (${grid.printed.place})`), make('label', {}, 'of ', make('select', {'aria-label': 'Base model of the printed values', onchange: (event) => {
        shown.base = event.target.value;
        table.refresh();
      }}, bases.map((base) => make('option', {value: base}, base))))] : '');
    const legend = bases.length ? make('p', {class: 'small'}, 'Beside each value what ', grid.printed.place, ' prints, and the difference: ',
      make('span', {class: 'difference up'}, '+ above it (blue)'), ' ', make('span', {class: 'difference down'}, '\u2212 below it (orange)'),
      '; framed and with ! where the printed value lies outside of the interval. (?) may be a misprint.') : '';
    const meaning = make('details', {class: 'meaning', open: grid.systems.length <= 12}, make('summary', {}, 'What each row is'),
      make('dl', {}, grid.systems.map((name, row) => grid.expressions[row]
        ? [make('dt', {}, name), make('dd', {}, make('code', {}, grid.expressions[row]))] : '')));
    section(`grid-${index}`, grid.name, make('p', {}, grid.title), controls, scroll(table, `${grid.name}: F1 of each system and target`),
      make('p', {class: 'small'}, 'Intervals: bootstrap over sentences. tp / fp / fn: mentions that are right, wrong and missed, summed over seeds.',
        rows.some((row) => Array.from({length: columns}, (_, column) => valueOf(grid, row, column)).some((value) => known(value.mean) && unreadable(value) >= manyUnreadable))
          ? ` Unreadable: share of the answers of which no mentions could be read, told from ${percent(manyUnreadable, 0)} % on.` : ''),
      legend, figuresOf(grid), meaning);
  };

  // ---- data

  const dataSection = () => {
    if (!data.data.length) return;
    const most = Math.max(...data.data.map(({sampled}) => sampled));
    const bar = (value) => ({sort: value, show: [whole(value), make('div', {class: 'bar', style: `width: ${100 * value / Math.max(1, most)}%`})]});
    section('data', 'Data', make('p', {}, 'The data sets of the experts whose data an experiment shows (Table 11 and Figure 6 of the paper): sentences, and samples that the expert is trained on.'),
      scroll(plainTable('Sentences of each split, and samples drawn.', ['expert', {name: 'data set', text: true}, 'entity types', 'train', 'dev', 'test', 'sampled'],
        data.data.map((one) => [one.expert, one.dataset, one.types, ...['train', 'dev', 'test'].map((split) => ({show: whole(one[split]), sort: one[split]})), bar(one.sampled)])), 'Data'));
  };

  // ---- selection

  /// The F1 of an expert alone on a target, over the repeats that have one.
  const actual = new Map();
  for (const {expert, cell} of data.experts) {
    const {target, f1} = data.cells[cell];
    const key = JSON.stringify([target, expert]);
    if (!actual.has(key)) actual.set(key, new Map());
    if (known(f1)) actual.get(key).set(data.cells[cell].repeat, f1);
  }
  const actualOf = (target, expert, repeat) => actual.get(JSON.stringify([target, expert]))?.get(repeat) ?? null;
  const rankIn = (values, value) => known(value) ? 1 + values.filter((other) => known(other) && other > value).length : null;
  const correlation = (points) => {
    const xs = points.map(({x}) => x), ys = points.map(({y}) => y);
    const a = mean(xs), b = mean(ys);
    const sum = (f) => points.reduce((total, point) => total + f(point), 0);
    const below = Math.sqrt(sum(({x}) => (x - a) ** 2) * sum(({y}) => (y - b) ** 2));
    return below > 0 ? sum(({x, y}) => (x - a) * (y - b)) / below : null;
  };
  const scatter = (label, xName, points) => {
    const targets = unique(points.map((point) => point.target));
    const style = new Map(targets.map((name, i) => [name, {color: look(i).color, point: shapes[i % shapes.length]}]));
    const paint = (width, text) => {
      const {at, picture} = axes(Math.min(width, 460), 300, {...range(points.map(({x}) => x), 0.06), name: xName},
        {...range(points.map(({y}) => y), 0.06), name: 'F1 of the expert, percent'});
      for (const point of points) {
        const {color, point: shape} = style.get(point.target);
        picture.append(marker(shape, at.x(point.x), at.y(point.y), color, `${point.expert} on ${point.target}: ${fixed(point.x, 3)}, F1 ${point.y.toFixed(2)}`));
      }
      return draw('svg', {viewBox: `0 0 ${Math.min(width, 460)} 300`, role: 'img', 'aria-label': text}, picture);
    };
    const r = points.length > 2 ? correlation(points) : null;
    return make('div', {}, make('h3', {}, label), figure(label, paint, legendOf(targets.map((name) => ({name, style: style.get(name), point: style.get(name).point})))),
      make('p', {class: 'small'}, `${several(points.length, 'pair')} of expert and target`, known(r) ? `, correlation ${r.toFixed(2)} (Pearson).` : '.'));
  };
  /// Pseudo-labels of each sampling evaluation, held against gold. Selections that read the same ones are told once.
  const labelTable = (selections) => {
    const told = new Map();
    for (const one of selections.filter((one) => one.labels_against_gold)) {
      const {tp, fp, fn} = one.labels_against_gold;
      const voters = one.candidates.map((candidate) => candidate.expert);
      const key = JSON.stringify([one.target, one.k, one.answers, voters, tp, fp, fn]);
      if (!told.has(key)) told.set(key, [one.target, one.k, {show: make('span', {title: voters.join(', ')}, String(voters.length)), sort: voters.length}, tp + fp, tp + fn,
        ...[ratio(tp, fp), ratio(tp, fn), 2 * tp / Math.max(1, 2 * tp + fp + fn)].map((value) => ({show: percent(value), sort: value}))]);
    }
    return told.size ? [make('h3', {}, 'Pseudo-labels against gold'),
      make('p', {}, 'How good the labels were that the experts voted for. No selection sees gold: this is a diagnosis.'),
      scroll(plainTable('Precision, recall and F1 of the pseudo-labels, in percent.',
        ['target', 'k', 'voting experts', 'labels', 'gold mentions', 'precision', 'recall', 'F1'], [...told.values()].sort(([a], [b]) => a.localeCompare(b))), 'Pseudo-labels against gold')] : '';
  };
  const selectionSection = () => {
    // Those for one sentence or a part of a target say nothing of the target.
    const whole = data.selections.filter((selection) => selection.whole);
    const parts = data.selections.length - whole.length;
    if (!whole.length) return;
    // What is chosen, and what the pseudo-labels are, depends on the pool.
    const poolOf = (selection) => selection.candidates.map((candidate) => candidate.expert).sort().join(', ');
    const flat = whole.flatMap((selection) => {
      const targets = selection.targets.length ? selection.targets : [selection.texts];
      const labels = selection.repeats.length ? selection.repeats : [data.repeats[0]?.label ?? 0];
      return targets.flatMap((target) => labels.map((repeat) => ({...selection, target, repeat, pool: poolOf(selection)})));
    });
    const uses = flat.reduce((counts, one) => counts.set(one.pool, (counts.get(one.pool) || 0) + 1), new Map());
    const pools = [...uses].sort(([a, i], [b, j]) => j - i || a.localeCompare(b)).map(([pool]) => pool);
    const sizeOf = (pool) => several(pool.split(', ').length, 'expert');
    const labels = unique(flat.map((one) => one.repeat)).sort((a, b) => a - b);
    const place = make('div');
    const state = {repeat: labels[0], pool: pools[0]};
    const show = () => {
      const {repeat, pool} = state;
      const mine = flat.filter((one) => one.repeat === repeat && one.pool === pool);
      if (!mine.length) {
        place.replaceChildren(make('p', {}, `With seed ${repeat} nothing is chosen from these.`));
        return;
      }
      const strategies = [...new Map(mine.map((one) => [JSON.stringify([one.metric, one.k, one.answers]), {metric: one.metric, k: one.k, answers: one.answers}])).values()]
        .sort((a, b) => (b.metric === 'similarity') - (a.metric === 'similarity') || a.metric.localeCompare(b.metric) || (a.k ?? 0) - (b.k ?? 0) ||
          a.answers - b.answers);
      const rows = [];
      for (const target of unique(mine.map((one) => one.target))) {
        const here = mine.filter((one) => one.target === target);
        const experts = unique(here.flatMap((one) => one.candidates.map((candidate) => candidate.expert))).sort();
        const similarity = new Map();
        here.forEach((one) => one.candidates.forEach((candidate) => {
          if (known(candidate.similarity)) similarity.set(candidate.expert, candidate.similarity);
        }));
        const told = strategies.map(({metric, k, answers}) => {
          const its = here.filter((one) => one.metric === metric && one.k === k && one.answers === answers);
          const value = new Map(), chosen = new Map();
          for (const one of its) {
            for (const candidate of one.candidates) {
              const number = metric === 'sampling' ? candidate.sampling_f1 : candidate.metric;
              if (known(number)) value.set(candidate.expert, number);
              if (candidate.chosen > 0) chosen.set(candidate.expert, [...(chosen.get(candidate.expert) || []), known(one.rule) ? `${one.m} (${one.rule})` : String(one.m)]);
            }
          }
          return {value, chosen, asked: its.length > 0};
        });
        const found = experts.map((expert) => actualOf(target, expert, repeat));
        experts.forEach((expert, i) => rows.push({target, expert, first: i === 0, similarity: similarity.get(expert), actual: found[i],
          actualRank: rankIn(found, found[i]),
          sampling: told.filter((_, s) => strategies[s].metric === 'sampling').map(({value}) => value.get(expert)).filter(known).pop(),
          strategies: told.map(({value, chosen, asked}) => ({value: value.get(expert), rank: rankIn([...value.values()], value.get(expert)),
            chosen: unique(chosen.get(expert) || []).sort((a, b) => parseInt(a) - parseInt(b) || a.localeCompare(b)), asked}))}));
      }
      const sampleOf = ({k, answers}) => answers > 1 ? `k = ${k}, ${answers} answers` : `k = ${k}`;
      const nameOf = (strategy) => known(strategy.k) ? `${strategy.metric}, ${sampleOf(strategy)}` : strategy.metric;
      const columns = [{name: 'target', text: true, sort: (row) => row.target}, {name: 'expert', text: true, sort: (row) => row.expert}];
      const hasSimilarity = strategies.some(({metric}) => metric === 'similarity');
      if (!hasSimilarity) columns.push({name: 'similarity', sort: (row) => row.similarity});
      strategies.forEach((strategy, i) => {
        const what = {similarity: 'similarity', sampling: 'sampling F1'}[strategy.metric] || strategy.metric;
        columns.push({name: known(strategy.k) ? `${what} (${sampleOf(strategy)})` : what, sort: (row) => row.strategies[i].value},
          {name: `rank by ${nameOf(strategy)}`, sort: (row) => row.strategies[i].rank},
          {name: `chosen by ${nameOf(strategy)}`, sort: (row) => row.strategies[i].chosen.length ? parseInt(row.strategies[i].chosen[0]) : null});
      });
      columns.push({name: 'F1 of the expert alone', sort: (row) => row.actual}, {name: 'its rank', sort: (row) => row.actualRank});
      const value = (metric, number) => metric === 'sampling' ? percent(number) : fixed(number, 3);
      const rules = unique(mine.map((one) => one.rule).filter(known));
      const table = sortedTable(`${sizeOf(pool)} to choose from for each target: ${pool}. Chosen: the m with which an expert is among the chosen${rules.length
        ? `; (${rules.join('), (')}): the rule that said how many` : ''}. F1 in percent.`, columns, rows,
        (row) => make('tr', {class: row.first ? 'group' : null}, make('th', {scope: 'row'}, row.target), make('td', {class: 'text'}, row.expert),
          hasSimilarity ? '' : make('td', {}, fixed(row.similarity, 3)),
          row.strategies.map((one, i) => [
            make('td', {}, known(one.value) ? value(strategies[i].metric, one.value) : make('span', {class: 'word'}, one.asked ? 'not evaluated' : 'not asked')),
            make('td', {}, known(one.rank) ? String(one.rank) : ''),
            make('td', {class: one.chosen.length ? 'chosen' : null}, one.chosen.length ? `\u2713 m = ${one.chosen.join(', ')}` : '')]),
          make('td', {}, known(row.actual) ? percent(row.actual) : make('span', {class: 'word'}, 'not measured')),
          make('td', {}, known(row.actualRank) ? String(row.actualRank) : '')), {class: 'selection'});
      const pointsOf = (x) => rows.filter((row) => known(x(row)) && known(row.actual)).map((row) => ({x: x(row), y: 100 * row.actual, target: row.target, expert: row.expert}));
      const similar = pointsOf((row) => row.similarity);
      const sampling = pointsOf((row) => row.sampling).map((point) => ({...point, x: 100 * point.x}));
      place.replaceChildren(scroll(table, 'Selection of experts'), make('div', {}, labelTable(mine)), make('div', {class: 'figures'},
        similar.length > 1 ? scatter('Similarity and what an expert reaches', 'similarity', similar) : '',
        sampling.length > 1 ? scatter('Sampling F1 and what an expert reaches', 'sampling F1, percent', sampling) : ''));
    };
    const pick = (name, id, values, text) => values.length > 1 ? make('label', {}, `${name} `, make('select', {id, onchange: (event) => {
      state[id.replace('pick-', '')] = values[Number(event.target.value)];
      show();
      redraw();
    }}, values.map((value, i) => make('option', {value: String(i)}, text(value))))) : '';
    const choice = labels.length + pools.length > 2 ? make('div', {class: 'controls'}, pick('seed', 'pick-repeat', labels, String),
      pick('candidates', 'pick-pool', pools, (pool) => `${sizeOf(pool)}: ${pool.length > 60 ? `${pool.slice(0, 60)}\u2026` : pool}`)) : '';
    show();
    section('selection', 'Selection', make('p', {}, 'Which experts either strategy chooses for a target: similarity of domain embeddings, and sampling F1 against the pseudo-labels of k sentences.'),
      pools.length > 1 ? make('p', {class: 'small'}, `${pools.length} pools of candidates: shown is that of most selections, or the one that is picked. `) : '',
      parts ? make('p', {class: 'small'}, `${several(parts, 'selection')} for single sentences or parts of a target are not shown; results.h5 has them.`) : '', choice, place);
  };

  // ---- training, merging, cost

  const trainingSection = () => {
    if (!data.trainings.length) return;
    const nameOf = (one) => repeats > 1 ? `${one.name}, seed ${one.repeat}` : one.name;
    const trainings = [...data.trainings].sort((a, b) => a.name.localeCompare(b.name) || a.repeat - b.repeat);
    const series = trainings.map((one) => ({name: nameOf(one), flat: true, points: one.losses.filter(([, loss]) => known(loss)).map(([x, y]) => ({x, y, title: `${nameOf(one)}, step ${x}: ${y}`}))}))
      .filter((one) => one.points.length);
    const cuts = trainings.some((one) => one.left_out || one.cut);  // answers longer than max_length
    const table = plainTable('Losses are means over the answer tokens of a step, in nats.',
      ['expert', ...(repeats > 1 ? ['seed'] : []), 'steps', 'samples', ...(cuts ? ['left out', 'cut'] : []), 'first loss', 'last loss', 'tokens', 'tokens/s', 'time'],
      trainings.map((one) => [one.name, ...(repeats > 1 ? [one.repeat] : []), one.steps, {show: whole(one.samples), sort: one.samples}, ...(cuts ? [one.left_out ?? 0, one.cut ?? 0] : []),
        {show: fixed(one.first, 3), sort: one.first}, {show: fixed(one.last, 3), sort: one.last}, {show: whole(one.tokens), sort: one.tokens},
        {show: one.step_seconds > 0 ? whole(one.tokens / one.step_seconds) : '', sort: one.step_seconds > 0 ? one.tokens / one.step_seconds : null},
        {show: duration(one.seconds ?? 0), sort: one.seconds}]));
    section('training', 'Training', series.length ? curves('Training loss over steps', {name: 'step'}, {name: 'loss, nats', zero: true}, series) : '',
      scroll(table, 'Trainings'));
  };
  const usersOf = (cells) => {
    const users = new Map();
    for (const cell of cells) {
      const {system, target} = data.cells[cell];
      if (!users.has(system)) users.set(system, new Set());
      users.get(system).add(target);
    }
    return [...users].map(([system, targets]) => `${system} (${[...targets].join(', ')})`).join('; ');
  };
  const mergeSection = () => {
    if (!data.merges.length) return;
    const told = data.merges.filter((merge) => merge.statistics);
    const firstSeed = ({cells}) => cells.length ? data.cells[cells[0]].repeat : -1;
    const rows = [...data.merges].sort((a, b) => a.experts.join().localeCompare(b.experts.join()) || firstSeed(a) - firstSeed(b)).map((merge) => {
      const is = merge.statistics;
      const equal = merge.weights.every((weight) => weight === merge.weights[0]);
      const name = merge.experts.map((expert, i) => equal ? expert : `${expert} \u00d7 ${Number(merge.weights[i].toPrecision(4))}`).join(' + ');
      const pairs = [];
      if (is) is.cosine.forEach((line, i) => line.forEach((value, j) => {
        if (j > i) pairs.push([i, j, value]);
      }));
      const values = pairs.map(([, , value]) => value).filter(known);
      const cosine = pairs.map(([i, j, value]) => make('span', {class: pairs.length > 1 ? 'line note' : 'line'},
        `${pairs.length > 1 ? `${merge.experts[i]}, ${merge.experts[j]}: ` : ''}${known(value) ? value.toFixed(3) : 'none'}`));
      const word = make('span', {class: 'word'}, is ? 'not by element' : 'not recorded');
      const seeds = unique(merge.cells.map((cell) => data.cells[cell].repeat)).sort((a, b) => a - b);
      return [name, merge.method, ...(repeats > 1 ? [{show: seeds.join(', '), sort: seeds[0]}] : []),
        is ? {show: cosine.length ? cosine : make('span', {class: 'word'}, 'one expert'), sort: values.length ? mean(values) : null} : {show: word, sort: null},
        known(is?.sign_conflicts) ? {show: `${percent(is.sign_conflicts)}\u00a0%`, sort: is.sign_conflicts} : {show: word.cloneNode(true), sort: null},
        known(is?.sparsity) ? {show: `${percent(is.sparsity)}\u00a0%`, sort: is.sparsity} : {show: '', sort: null},
        {show: is ? is.norms.map((norm) => fixed(norm, 2)).join(', ') : '', sort: null},
        {show: is ? fixed(is.merged_norm, 2) : '', sort: is?.merged_norm},
        {show: make('span', {class: 'small'}, usersOf(merge.cells)), sort: usersOf(merge.cells)}];
    });
    section('merging', 'Merging', make('p', {}, 'Of the updates of the merged experts, the model as one vector: cosine of each pair, share of elements where two experts have opposite signs, share of zeros in what comes out, and Frobenius norms.'),
      told.length < data.merges.length ? make('p', {class: 'small'}, `${several(data.merges.length - told.length, 'merge')} of an earlier version that did not record them.`) : '',
      scroll(plainTable('Merges', ['experts', {name: 'method', text: true}, ...(repeats > 1 ? ['seed'] : []), 'cosine', 'sign conflicts', 'zeros',
        'norms of the updates', 'norm of the merge', {name: 'used by', text: true}], rows), 'Merges'));
  };
  const kindStyle = new Map(['train', 'infer', 'merge', 'encode', 'cluster', 'import', 'select'].map((kind, i) => [kind, look(i).color]));
  const rankFigure = () => {
    const timed = data.costs.filter((cost) => known(cost.ended) && !cost.reused);
    const own = data.costs.filter((cost) => !cost.reused);
    const useTimes = timed.length > 0 && timed.length === own.length;
    const list = useTimes ? timed : own;
    const ranks = unique(list.flatMap((cost) => cost.ranks)).sort((a, b) => a - b);
    if (!ranks.length) return '';
    const bars = [];
    let end = 0, note = '';
    if (useTimes) {
      const spans = timed.map((cost) => [cost.ended - cost.seconds, cost.ended]).sort(([a], [b]) => a - b);
      // Where nothing ran for long (between two calls of `samner run`), the time is left out.
      const busy = [];
      for (const [from, to] of spans) {
        const last = busy[busy.length - 1];
        if (last && from <= last[1]) last[1] = Math.max(last[1], to);
        else busy.push([from, to]);
      }
      const long = Math.max(30, 0.1 * busy.reduce((sum, [from, to]) => sum + to - from, 0));
      const cuts = [];
      for (let i = 1; i < busy.length; ++i) {
        const idle = busy[i][0] - busy[i - 1][1];
        if (idle > long) cuts.push([busy[i - 1][1], idle - long / 5]);
      }
      const at = (time) => time - busy[0][0] - cuts.reduce((sum, [from, left]) => sum + (time > from ? left : 0), 0);
      for (const cost of timed) for (const rank of cost.ranks) bars.push({cost, rank, from: Math.max(0, at(cost.ended - cost.seconds)), to: at(cost.ended)});
      if (cuts.length) note = ` ${several(cuts.length, 'pause')} of ${duration(cuts.reduce((sum, [, left]) => sum + left, 0))} in all left out.`;
    } else {
      const filled = new Map();
      for (const {kind} of data.kinds) for (const rank of ranks) {
        const seconds = list.filter((cost) => cost.kind === kind && cost.ranks.includes(rank)).reduce((sum, cost) => sum + cost.seconds, 0);
        if (seconds <= 0) continue;
        const from = filled.get(rank) || 0;
        bars.push({cost: {kind, label: `${kind}, all of rank ${rank}`, seconds, ok: true}, rank, from, to: from + seconds});
        filled.set(rank, from + seconds);
      }
      note = ' Its journal does not say when tasks ran, so these are sums.';
    }
    end = Math.max(...bars.map((bar) => bar.to), 1e-9);
    const unit = end > 10800 ? [3600, 'hours'] : end > 180 ? [60, 'minutes'] : [1, 'seconds'];
    const height = 60 + 26 * ranks.length;
    const paint = (width, text) => {
      const {at, picture} = axes(width, height, {low: 0, high: end / unit[0], name: unit[1]}, {low: 0, high: ranks.length, name: 'rank', ticks: []});
      ranks.forEach((rank, i) => picture.append(draw('text', {x: 44, y: at.y(ranks.length - i - 0.5) + 4, 'text-anchor': 'end'}, String(rank))));
      for (const {cost, rank, from, to} of bars) {
        const row = ranks.indexOf(rank);
        const left = at.x(from / unit[0]), right = at.x(to / unit[0]);
        picture.append(draw('rect', {x: left.toFixed(2), width: Math.max(0.6, right - left - 0.5).toFixed(2), y: at.y(ranks.length - row) + 2, height: at.y(0) - at.y(1) - 4,
          fill: kindStyle.get(cost.kind) || 'var(--c7)', stroke: cost.ok ? 'none' : 'var(--ink)', 'stroke-dasharray': '3 2'},
        draw('title', {}, `${cost.label}: ${duration(cost.seconds)}${cost.ok ? '' : ', failed'}`)));
      }
      return draw('svg', {viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': text}, picture);
    };
    return [make('h3', {}, useTimes ? 'When each rank did what' : 'What each rank did'),
      figure('Time of each rank by kind of task', paint, legendOf(data.kinds.map(({kind}) => ({name: kind, style: {color: kindStyle.get(kind) || 'var(--c7)'}, point: 'square'})))),
      make('p', {class: 'small'}, `${several(ranks.length, 'rank')}, ${duration(end)}.${note}`)];
  };
  const costSection = () => {
    if (!data.kinds.length) return;
    const reused = data.costs.filter((cost) => cost.reused).length;
    const total = data.kinds.reduce((sum, kind) => sum + (kind.rank_seconds ?? 0), 0);
    const table = plainTable('A team counts for each of its ranks in rank-seconds.', ['kind of task', 'tasks', 'seconds', 'rank-seconds', 'share'],
      data.kinds.map((kind) => [kind.kind, kind.tasks, {show: fixed(kind.seconds, 1), sort: kind.seconds}, {show: fixed(kind.rank_seconds, 1), sort: kind.rank_seconds},
        {show: total > 0 ? `${percent(kind.rank_seconds / total, 1)}\u00a0%` : '', sort: kind.rank_seconds}]));
    section('cost', 'Cost', scroll(table, 'Cost by kind of task'), reused ? make('p', {class: 'small'}, `${several(reused, 'task')} of them done by other runs on the same store.`) : '', rankFigure());
  };

  const resourceSection = () => {
    const lines = data.resources.filter((one) => known(one.formula) || known(one.measured));
    if (!lines.length) return;
    const shown = (value) => ({sort: value, show: !known(value) ? make('span', {class: 'word'}, 'none')
      : value >= 1e15 ? value.toExponential(2) : Number.isInteger(value) || value >= 1e5 ? whole(value) : value.toPrecision(3)});
    section('resources', 'Resources', make('p', {}, 'What the paper\u2019s Appendix C and Table 14 count by formulas of a simplified transformer, beside what this run used with its first seed.'),
      scroll(plainTable('Parameters, storage, training and passes of inference.', ['quantity', 'by formula', 'measured', {name: 'units', text: true}],
        lines.map((one) => [one.quantity.replaceAll('_', ' '), shown(one.formula), shown(one.measured), one.units === '1' ? '' : one.units])), 'Resources'));
  };

  // ---- sentences

  const blocks = () => document.getElementById('sentences').textContent.trim().split('\n');
  const unpack = async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
    return JSON.parse(await new Response(stream).text());
  };
  const loaded = new Map();
  const load = (place) => {
    if (!loaded.has(place)) loaded.set(place, unpack(blocks()[place]).then((block) => ({
      ...block, byCell: new Map(block.cells.map(([cell, passes, answers]) => [cell, {passes, answers}])),
    })));
    return loaded.get(place);
  };
  const mentionsOf = (list, types) => {
    const mentions = [];
    for (let i = 0; i < list.length; i += 2) mentions.push({text: list[i], type: types[list[i + 1]]});
    return mentions;
  };
  const same = (a) => (b) => a.text === b.text && a.type === b.type;
  /// Right, wrong and missed mentions of an answer.
  const judged = (gold, answer) => [
    ...answer.map((mention) => ({...mention, sign: gold.some(same(mention)) ? 'right' : 'wrong'})),
    ...gold.filter((mention) => !answer.some(same(mention))).map((mention) => ({...mention, sign: 'missed'})),
  ];
  /// A text as mentions are compared: lower case, white space as one space; and where each letter comes from.
  const normalised = (text) => {
    let result = '';
    const from = [];
    let at = 0;
    for (const letter of text) {
      const space = /\s/.test(letter);
      if (!(space && (result === '' || result.endsWith(' ')))) {
        const lower = letter.toLowerCase();
        const put = space ? ' ' : [...lower].length === 1 ? lower : letter;
        for (let i = 0; i < put.length; ++i) from.push(at);
        result += put;
      }
      at += letter.length;
    }
    from.push(text.length);
    return {text: result, from};
  };
  const wordLetter = /[\p{L}\p{N}]/u;
  const placesOf = (norm, wanted) => {
    const all = [], whole = [];
    for (let at = norm.text.indexOf(wanted); wanted && at >= 0; at = norm.text.indexOf(wanted, at + 1)) {
      const end = at + wanted.length;
      all.push([norm.from[at], norm.from[end]]);
      const free = (inner, outer) => !(wordLetter.test(inner || '') && wordLetter.test(outer || ''));
      if (free(norm.text[at], norm.text[at - 1]) && free(norm.text[end - 1], norm.text[end])) whole.push(all[all.length - 1]);
    }
    return whole.length ? whole : all.slice(0, 1);
  };
  const signs = {right: '\u2713', wrong: '\u2717', missed: '\u25cb', gold: ''};
  const tagOf = (mention) => `${signs[mention.sign]}${signs[mention.sign] ? '\u00a0' : ''}${mention.type}`;
  const markOf = (mentions, children) => make('mark', {class: unique(mentions.map(({sign}) => sign)).join(' '), title: mentions.map(({sign, type}) => `${sign}: ${type}`).join('; ')},
    children, make('span', {class: 'tag'}, mentions.map(tagOf).join(' ')));
  /// A text with its mentions marked; what has no place in it, or crosses another, follows behind.
  const marked = (text, mentions) => {
    const norm = normalised(text);
    const spans = new Map();
    const left = [];
    for (const mention of mentions) {
      const places = placesOf(norm, mention.text);
      if (!places.length) left.push(mention);
      for (const [from, to] of places) {
        const key = `${from} ${to}`;
        if (!spans.has(key)) spans.set(key, {from, to, mentions: []});
        spans.get(key).mentions.push(mention);
      }
    }
    const sorted = [...spans.values()].sort((a, b) => a.from - b.from || b.to - a.to);
    const root = {from: 0, to: text.length, inner: []};
    const open = [root];
    for (const span of sorted) {
      while (open[open.length - 1].to <= span.from) open.pop();
      if (span.to > open[open.length - 1].to) {
        span.mentions.forEach((mention) => left.includes(mention) || left.push(mention));
        continue;
      }
      span.inner = [];
      open[open.length - 1].inner.push(span);
      open.push(span);
    }
    const render = (span) => {
      const parts = [];
      let at = span.from;
      for (const inner of span.inner) {
        parts.push(text.slice(at, inner.from), markOf(inner.mentions, render(inner)));
        at = inner.to;
      }
      parts.push(text.slice(at, span.to));
      return parts;
    };
    return [render(root), left.length ? make('div', {class: 'small'}, 'not marked in the text: ', left.map((mention) => [markOf([mention], mention.text), ' '])) : ''];
  };

  const sentenceSection = () => {
    const places = data.targets.map((_, i) => i);
    if (!places.length || !data.grids.length) return;
    const pageSize = 20;
    const state = {grid: 0, row: '', beside: '', repeat: 0, target: 0, filter: 'any', text: '', page: 0};
    const controls = make('div', {class: 'controls', role: 'group', 'aria-label': 'Which sentences'});
    const said = make('p', {'aria-live': 'polite'}, '');
    const list = make('div', {class: 'list'});
    const types = make('div');
    const pager = make('div', {class: 'pager'});
    let started = false;
    let turn = 0;
    const start = make('button', {type: 'button', class: 'plain', onclick: () => begin()}, 'Show the sentences');
    const own = section('sentences-browser', 'Sentences', make('p', {}, 'What each system answered, sentence by sentence. ',
      make('mark', {class: 'right'}, '\u2713 right'), ' ', make('mark', {class: 'wrong'}, '\u2717 wrong'), ' ', make('mark', {class: 'missed'}, '\u25cb missed'),
      '. Compared as scored: lower case, text and type; a mention that repeats counts once.'), start, controls, said, types, list, pager);
    controls.hidden = true;

    const option = (value, text, chosen) => make('option', {value: String(value), selected: chosen}, text);
    const choose = (label, options, value, change, attributes) => {
      const select = make('select', {...attributes, onchange: (event) => change(event.target.value)}, options);
      select.value = String(value);
      return make('label', {}, label, ' ', select);
    };
    const grid = () => data.grids[state.grid];
    const columnOf = (one, place) => data.targets[place].columns[one.name];
    const cellOf = (row) => {
      const column = grid().targets.indexOf(columnOf(grid(), state.target));
      if (column < 0) return null;
      const {cells} = grid().values[row][column];
      // Each trial has texts of its own.
      return grid().trials > 1 ? cells.find((cell) => data.cells[cell].asked === state.target) : cells[state.repeat];
    };
    const has = (row) => {
      const cell = cellOf(row);
      return known(cell) && data.cells[cell].status === 'done';
    };
    const settle = () => {
      const targets = places.filter((place) => columnOf(grid(), place) !== undefined);
      if (!targets.includes(state.target)) state.target = targets[0] ?? 0;
      const rows = grid().systems.map((_, row) => row).filter(has);
      if (state.row !== 'all' && !rows.includes(state.row)) {
        state.row = rows.reduce((best, row) => best === '' || data.cells[cellOf(row)].f1 > data.cells[cellOf(best)].f1 ? row : best, '');
      }
      if (state.beside !== '' && !rows.includes(state.beside)) state.beside = '';
      return {targets, rows};
    };
    const change = (changes) => {
      Object.assign(state, {page: 0}, changes);
      refresh();
    };
    let typing = null;
    const search = make('input', {type: 'search', 'aria-label': 'Search in texts and answers', placeholder: 'search', oninput: (event) => {
      clearTimeout(typing);
      typing = setTimeout(() => change({text: event.target.value}), 150);
    }});
    const filters = [['any', 'all sentences'], ['faulty', 'with a fault'], ['right', 'without a fault'], ['wrong', 'with a wrong mention'],
      ['missed', 'with a missed mention'], ['broken', 'cut off or unreadable'], ['differ', 'both systems differ']];
    const showControls = ({targets, rows}) => {
      const number = (value) => value === '' || value === 'all' ? value : Number(value);
      const row = (value) => option(value, grid().systems[value]);
      controls.replaceChildren(
        data.grids.length > 1 ? choose('experiment', data.grids.map((one, i) => option(i, one.name)), state.grid, (value) => change({grid: Number(value), row: '', beside: ''})) : '',
        choose('target', targets.map((place) => option(place, data.targets[place].name)), state.target, (value) => change({target: Number(value)}), {id: 'pick-target'}),
        repeats > 1 ? choose('seed', data.repeats.map((one, i) => option(i, String(one.label))), state.repeat, (value) => change({repeat: Number(value)})) : '',
        choose('system', [...rows.map(row), option('all', 'all systems')], state.row, (value) => change({row: number(value)}), {id: 'pick-system'}),
        state.row === 'all' ? '' : choose('beside', [option('', 'none'), ...rows.filter((one) => one !== state.row).map(row)], state.beside, (value) => change({beside: number(value)}), {id: 'pick-beside'}),
        choose('show', filters.filter(([name]) => name !== 'differ' || state.beside !== '').map(([name, text]) => option(name, text)), state.filter, (value) => change({filter: value}), {id: 'pick-filter'}),
        make('label', {}, search));
    };
    const readingOf = (block, row, place) => {
      const cell = cellOf(row);
      const told = block.byCell.get(cell);
      if (!told) return null;
      const [text, gold, answers, completions] = block.sentences[place];
      const mentions = judged(mentionsOf(gold, block.types), mentionsOf(answers[told.answers[place]], block.types));
      const raw = told.passes.map((pass) => [block.passes[pass][0], completions[block.passes[pass][1][place]]]).filter(([, answer]) => answer);
      return {row, text, mentions, raw, answer: told.answers[place], count: (sign) => mentions.filter((mention) => mention.sign === sign).length,
        broken: raw.some(([, [, flags]]) => flags > 0)};
    };
    const passesFilter = (reading, beside) => {
      const wrong = reading.count('wrong'), missed = reading.count('missed');
      switch (state.filter) {
        case 'faulty': return wrong + missed > 0;
        case 'right': return wrong + missed === 0;
        case 'wrong': return wrong > 0;
        case 'missed': return missed > 0;
        case 'broken': return reading.broken;
        case 'differ': return !beside || reading.answer !== beside.answer;
        default: return true;
      }
    };
    /// Where the files of a cell lie, beside this page (RUN/by-name).
    const folderOf = (cell) => {
      const {experiment, system, target, repeat, trial} = data.cells[cell];
      const folder = (name) => encodeURIComponent(name.replace(/[/%\u0000-\u001f]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
        .replace(/^\.(\.?)$/, '%2E$1'));
      return ['by-name', experiment, system, target].map((name, i) => i ? folder(name) : name).join('/')
        + (repeats > 1 ? `/seed-${repeat}` : '') + (trial > 0 ? `/trial-${trial}` : '') + '/';
    };
    const filesOf = (rows) => make('span', {class: 'screen'}, ' Files: ', rows.map((row, i) => [i ? ', ' : '',
      make('a', {href: folderOf(cellOf(row)), title: 'Predictions, adapters and selections, where this page lies in its run folder'}, grid().systems[row])]), '.');
    /// The difference of two systems' F1 on the target: 95 % of 1,000 draws of its sentences, which both have answered.
    const pairedOf = (block) => {
      const counts = [state.row, state.beside].map((row) => block.sentences.map((_, place) => readingOf(block, row, place)).map((reading) => reading
        ? ['right', 'wrong', 'missed'].map((sign) => reading.count(sign)) : null));
      if (counts.some((list) => list.some((one) => one === null))) return null;
      const [a, b] = counts.map((list) => Float64Array.from(list.flat()));
      const f1Of = (list, drawn) => {
        let right = 0, faults = 0;
        for (const place of drawn) {
          right += list[3 * place];
          faults += list[3 * place + 1] + list[3 * place + 2];
        }
        return 2 * right / Math.max(1, 2 * right + faults);
      };
      const gapOf = (drawn) => f1Of(a, drawn) - f1Of(b, drawn);
      const size = block.sentences.length;
      let random = 0x9e3779b9;  // xorshift: the same draws each time
      const draw = () => {
        random ^= random << 13;
        random ^= random >>> 17;
        random ^= random << 5;
        return (random >>> 0) % size;
      };
      const gap = gapOf(block.sentences.map((_, place) => place));
      const gaps = Array.from({length: 1000}, () => gapOf(Array.from({length: size}, draw))).sort((a, b) => a - b);
      const signed = (value) => `${value < 0 ? '\u2212' : '+'}${percent(Math.abs(value))}`;
      return `${grid().systems[state.row]} \u2212 ${grid().systems[state.beside]}: ${signed(gap)} points of F1, 95 % interval ${signed(gaps[25])} to ${signed(gaps[974])}`
        + ` (paired bootstrap over ${several(size, 'sentence')}; samner compare does this over all targets).`;
    };
    const rawOf = ([model, [text, flags]]) => [make('div', {class: 'small'}, model || 'answer', flags & 1 ? ', cut off at the token limit' : '', flags & 2 ? ', unreadable' : ''), make('pre', {}, text)];
    const lineOf = (reading) => make('div', {class: 'reading', 'data-system': grid().systems[reading.row]},
      make('div', {}, make('strong', {}, grid().systems[reading.row]), make('div', {class: 'small'},
        `${reading.count('right')}\u00a0\u2713 ${reading.count('wrong')}\u00a0\u2717 ${reading.count('missed')}\u00a0\u25cb`)),
      make('div', {}, marked(reading.text, reading.mentions),
        reading.raw.length ? make('details', {}, make('summary', {class: 'small'}, reading.broken ? 'raw answer (cut off or unreadable)' : 'raw answer'), reading.raw.map(rawOf)) : ''));
    const typesOf = (readings) => {
      const counts = new Map();
      for (const reading of readings) for (const {type, sign} of reading.mentions) {
        if (!counts.has(type)) counts.set(type, {right: 0, wrong: 0, missed: 0});
        ++counts.get(type)[sign];
      }
      const f1 = ({right, wrong, missed: left}) => 2 * right / Math.max(1, 2 * right + wrong + left);
      const cell = (value) => ({show: percent(value), sort: value});
      return make('details', {class: 'screen'}, make('summary', {}, 'F1 by type'), scroll(plainTable(`${grid().systems[state.row]} on ${data.targets[state.target].name}, sentences that are shown`,
        ['type', 'right', 'wrong', 'missed', 'precision', 'recall', 'F1'],
        [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([type, one]) => [type, one.right, one.wrong, one.missed, cell(ratio(one.right, one.wrong)), cell(ratio(one.right, one.missed)), cell(f1(one))])), 'F1 by type'));
    };
    const refresh = async () => {
      const now = ++turn;
      const found = settle();
      showControls(found);
      let block;
      try {
        said.textContent = 'Unpacking …';
        block = await load(state.target);
      } catch (error) {
        said.textContent = `The sentences cannot be unpacked: ${error.message}. A browser of 2023 or later can.`;
        return;
      }
      if (now !== turn) return;
      if (state.row === '') {
        said.textContent = 'No system has answered for this target yet.';
        list.replaceChildren();
        types.replaceChildren();
        pager.replaceChildren();
        return;
      }
      const wanted = state.text.trim().toLowerCase();
      const lead = state.row === 'all' ? found.rows[0] : state.row;
      const hits = [];
      const answersOf = (reading) => reading.mentions.some((mention) => mention.text.includes(wanted)) || reading.raw.some(([, [text]]) => text.toLowerCase().includes(wanted));
      for (let place = 0; place < block.sentences.length; ++place) {
        const readings = (state.row === 'all' ? found.rows : [state.row, ...(state.beside === '' ? [] : [state.beside])])
          .filter((row) => state.row !== 'all' || state.filter !== 'any' || wanted || row === lead).map((row) => readingOf(block, row, place)).filter(Boolean);
        if (!readings.length) continue;
        const fits = state.row === 'all' ? readings.some((one) => passesFilter(one)) : passesFilter(readings[0], readings[1]);
        if (!fits) continue;
        if (wanted && !block.sentences[place][0].toLowerCase().includes(wanted) && !readings.some(answersOf)) continue;
        hits.push({place, reading: readings[0]});
      }
      const size = state.row === 'all' ? 5 : pageSize;
      const pages = Math.max(1, Math.ceil(hits.length / size));
      state.page = Math.min(state.page, pages - 1);
      said.replaceChildren(`${hits.length.toLocaleString('en')} of ${several(block.sentences.length, 'sentence')} of ${data.targets[state.target].name}.`,
        filesOf(state.row === 'all' ? found.rows : [state.row, ...(state.beside === '' ? [] : [state.beside])]));
      const paired = state.row !== 'all' && state.beside !== '' ? pairedOf(block) : null;
      types.replaceChildren(...(paired ? [make('p', {class: 'paired'}, paired)] : []), ...(state.row === 'all' ? [] : [typesOf(hits.map(({reading}) => reading))]));
      const shownRows = state.row === 'all' ? found.rows : [state.row, ...(state.beside === '' ? [] : [state.beside])];
      list.replaceChildren(...hits.slice(state.page * size, (state.page + 1) * size).map(({place}) => {
        const [text, gold] = block.sentences[place];
        return make('article', {class: 'sentence', 'data-sentence': String(place)}, make('h4', {}, `${data.targets[state.target].name}, sentence ${place + 1}`),
          make('div', {class: 'reading'}, make('div', {}, 'gold'), make('div', {}, marked(text, mentionsOf(gold, block.types).map((mention) => ({...mention, sign: 'gold'}))))),
          shownRows.map((row) => readingOf(block, row, place)).filter(Boolean).map(lineOf));
      }));
      const turnTo = (text, page) => make('button', {type: 'button', class: 'plain', disabled: page < 0 || page >= pages, onclick: () => {
        state.page = page;
        refresh().then(() => own.scrollIntoView());
      }}, text);
      pager.replaceChildren(turnTo('\u2190 previous', state.page - 1), make('span', {}, `page ${state.page + 1} of ${pages}`), turnTo('next \u2192', state.page + 1));
      own.dataset.ready = String(now);
    };
    const begin = () => {
      started = true;
      start.remove();
      controls.hidden = false;
      return refresh();
    };
    openSentences = (from, row, target) => {
      // Of pooled targets the column of all of them has the sentences.
      const of = (column) => places.find((place) => columnOf(from, place) === column);
      const place = of(target) ?? of('pooled');
      if (place === undefined) return;
      Object.assign(state, {grid: data.grids.indexOf(from), row, target: place, beside: '', page: 0});
      (started ? refresh() : begin()).then(() => own.scrollIntoView());
    };
  };

  // ---- the page

  document.title = `samner: ${data.grids.map((grid) => grid.name).join(', ')}`;
  main.replaceChildren();
  data.grids.forEach(gridSection);
  dataSection();
  selectionSection();
  trainingSection();
  mergeSection();
  costSection();
  resourceSection();
  sentenceSection();
  main.querySelectorAll('table.grid').forEach((table) => table.refresh());  // now that values lead to sentences
  section('configuration', 'Configuration', make('p', {}, 'What runs, with every default written out.'),
    make('details', {}, make('summary', {}, 'experiment.yaml'), make('pre', {}, data.config)));
  document.querySelector('nav').append(...sections.map(([id, title]) => make('a', {href: `#${id}`}, title)));
  redraw();
  let waiting = null;
  window.addEventListener('resize', () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => main.clientWidth !== drawnWidth && redraw(), 100);
  });
  const opened = [];
  window.addEventListener('beforeprint', () => {
    redraw(680);  // pixels of A4 within its margins
    for (const one of document.querySelectorAll('details.meaning:not([open])')) {
      one.open = true;
      opened.push(one);
    }
  });
  window.addEventListener('afterprint', () => {
    opened.splice(0).forEach((one) => {
      one.open = false;
    });
    redraw();
  });
})();

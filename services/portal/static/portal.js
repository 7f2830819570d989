// What pages gain with script: charts, lists that wait while somebody types in them, and following a topic.
(() => {
  'use strict';

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Charts: <figure class="chart" data-chart="address" data-every="seconds">.
  const charts = new Map();

  const axis = (extra) => ({
    stroke: color('--soft'), grid: { stroke: color('--line'), width: 1 }, ticks: { stroke: color('--line'), width: 1 },
    font: '12px system-ui, sans-serif', ...extra,
  });

  const number = (v) => v == null ? '–' : Math.abs(v) >= 100 ? v.toFixed(0) : Number(v.toPrecision(3)).toString();

  // Times are UTC on the whole site. Beside each other a day apart, the date says more than the hour.
  const clock = (t, step) => {
    const iso = new Date(t * 1000).toISOString();
    return step >= 86400 ? iso.slice(5, 10) : step >= 60 ? iso.slice(11, 16) : iso.slice(11, 19);
  };

  function options(figure, answer) {
    const bars = answer.kind === 'bars', points = answer.kind === 'points';
    const style = getComputedStyle(figure);
    const width = figure.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const series = answer.series.map((label, i) => {
      const stroke = color('--c' + (i % 8 + 1));
      return {
        label, stroke, width: bars || points ? 0 : 2, value: (_, v) => number(v), spanGaps: false,
        fill: bars ? stroke : undefined,
        paths: bars ? uPlot.paths.bars({ size: [0.7, 36], radius: 0.15 }) : points ? () => null : uPlot.paths.spline(),
        points: points ? { show: true, size: 8, fill: stroke } : { show: !bars && answer.data[0].length < 3, size: 5 },
      };
    });
    const span = answer.data[0].length ? answer.data[0][answer.data[0].length - 1] - answer.data[0][0] : 0;
    const room = bars ? Math.max(span * 0.06, 300) : Math.max(span * 0.02, 30);
    return {
      width, height: 220, tzDate: (t) => uPlot.tzDate(new Date(t * 1000), 'Etc/UTC'), legend: { live: true }, cursor: { y: false, drag: { x: false, y: false } },
      scales: { x: { time: true, range: (u) => [u.data[0][0] - room, u.data[0][u.data[0].length - 1] + room] }, y: { range: (_, min, max) => bars || points ? [0, Math.max(max * 1.15, 1)] : uPlot.rangeNum(min, max, 0.1, true) } },
      axes: [axis({ space: 80, values: (_, all, at, space, step) => all.map((t) => clock(t, step)) }), axis({ size: 48, incrs: bars ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] : undefined, values: (_, all) => all.map(number) })],
      series: [{ label: 'time', value: (_, v) => v == null ? '–' : new Date(v * 1000).toISOString().slice(5, 16).replace('T', ' ') }, ...series],
    };
  }

  // Bars of several series stand on each other: the sums are drawn, the highest first; the legend tells the parts.
  function stacked(data) {
    const sums = data[0].map(() => 0);
    const rows = data.slice(1).map((row) => row.map((v, i) => v == null ? null : (sums[i] += v)));
    return [data[0], ...rows];
  }

  // The numbers of a chart as a table, the newest first, for those who cannot see it or want to know exactly.
  const rows = 100;
  function tabulate(figure, names, data) {
    let box = figure.querySelector('.numbers');
    if (!box) {
      box = document.createElement('details');
      box.className = 'numbers';
      box.innerHTML = '<summary>As a table</summary><div class="scroll" tabindex="0" role="region"><table><thead></thead><tbody></tbody></table></div>';
      box.querySelector('div').ariaLabel = figure.querySelector('figcaption').textContent;
    }
    const line = (kind, cells) => {
      const row = document.createElement('tr');
      row.append(...cells.map((text, i) => {
        const cell = document.createElement(i === 0 ? 'th' : kind);
        if (cell.localName === 'th') cell.scope = kind === 'th' ? 'col' : 'row';
        cell.textContent = text;
        return cell;
      }));
      return row;
    };
    const time = (t) => new Date(t * 1000).toISOString().slice(0, 16).replace('T', ' ');
    box.querySelector('thead').replaceChildren(line('th', ['Time, UTC', ...names]));
    box.querySelector('tbody').replaceChildren(...data[0].slice(-rows).map((t, i) => line('td', [time(t), ...data.slice(1).map((row) => number(row.slice(-rows)[i]))])).reverse());
    if (figure.lastElementChild !== box) figure.append(box);
  }

  async function draw(figure) {
    let answer;
    try {
      const got = await fetch(figure.dataset.chart, { headers: { Accept: 'application/json' } });
      if (!got.ok) return;
      answer = await got.json();
    } catch { return; } // it is tried again at the next turn
    const empty = figure.querySelector('.none');
    if (answer.data[0].length === 0) {
      if (!empty && !charts.has(figure)) figure.insertAdjacentHTML('beforeend', '<p class="none">Nothing to draw yet.</p>');
      return;
    }
    if (empty) empty.remove();
    const note = figure.querySelector('[data-note]');
    if (note && answer.every) note.textContent = 'a bar every ' + answer.every;
    let parts = answer.data;
    const names = [...answer.series], numbers = answer.data;
    if (answer.kind === 'bars') {
      answer.data = stacked(parts);
      answer.series.reverse(); // the highest sum behind the others
      answer.data = [answer.data[0], ...answer.data.slice(1).reverse()];
      parts = [parts[0], ...parts.slice(1).reverse()];
    }
    const before = charts.get(figure);
    if (before && before.series === answer.series.join()) {
      before.parts = parts;
      before.plot.setData(answer.data);
      if ('table' in figure.dataset) tabulate(figure, names, numbers);
      return;
    }
    if (before) before.plot.destroy();
    const kept = { series: answer.series.join(), parts };
    const made = options(figure, answer);
    if (answer.kind === 'bars') made.series.forEach((s, i) => { if (i) s.value = (_, v, row, at) => at == null ? '–' : number(kept.parts[row][at]); });
    kept.plot = new uPlot(made, answer.data, figure);
    kept.plot.root.role = 'img';
    kept.plot.root.ariaLabel = figure.querySelector('figcaption').textContent;
    charts.set(figure, kept);
    if ('table' in figure.dataset) tabulate(figure, names, numbers);
  }

  function redraw() {
    for (const [figure, { plot }] of charts) {
      plot.destroy();
      charts.delete(figure);
      draw(figure);
    }
  }

  document.querySelectorAll('[data-chart]').forEach((figure) => {
    draw(figure);
    setInterval(() => { if (!document.hidden) draw(figure); }, Number(figure.dataset.every || 30) * 1000);
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  let resizing;
  addEventListener('resize', () => { clearTimeout(resizing); resizing = setTimeout(redraw, 150); });

  // What follows what happens is fetched with each change, once for all lists of the page. A fetch that fails is done again: the change
  // that asked for it may have been the last.
  const live = document.getElementById('live'), late = document.getElementById('late');
  let again, ended = false, failed = false, silent = false;
  const stale = () => [...document.querySelectorAll('[data-stale]')];
  const say = () => {
    const text = ended ? 'Your session has ended, and what is shown may be old. Load the page again.'
      : failed ? 'What is shown may be old. It is fetched again in a moment.'
      : silent ? 'What changes does not come by itself now. It is tried again.'
      : stale().length ? 'Something has changed that is not shown yet, because something is open here. Close it to see what.' : '';
    if (late.textContent !== text) late.textContent = text;
  };
  live?.addEventListener('htmx:afterRequest', (event) => {
    clearTimeout(again);
    failed = !event.detail.successful;
    if (failed) {
      again = setTimeout(() => htmx.trigger(live, 'refresh'), 2000 + Math.random() * 3000); // not every page at the same time
    } else {
      ended = new URL(event.detail.xhr.responseURL).pathname === '/login';
      silent = false;
    }
    say();
  });
  document.addEventListener('htmx:sseError', (event) => {
    if (event.detail.source.readyState !== EventSource.CLOSED || event.detail.source.resting) return;
    silent = true;
    say();
  });

  // A page that nobody sees has no stream: a browser opens six connections to a site, and a stream takes one for as long as it lasts. The
  // stream says that something changed when it begins, so that the page catches up when it is seen again. The extension makes a new
  // stream where one was closed by an error; so this one is said to have been.
  let stream;
  const rest = () => {
    stream.resting = true;
    stream.close();
  };
  htmx.createEventSource = (at) => {
    stream = new EventSource(at);
    if (document.hidden) rest();
    return stream;
  };
  document.addEventListener('visibilitychange', () => {
    if (stream && document.hidden) rest();
    else if (stream?.resting) stream.onerror(new Event('error'));
  });

  // A list is not replaced under the hands of somebody who writes a reason, reads an event or presses something; it catches up afterwards.
  const busy = (list) => list.querySelector('details[open]') || list.matches(':active');
  const catchUp = () => setTimeout(() => {
    if (stale().some((list) => !busy(list))) htmx.trigger(live, 'refresh');
  });
  ['toggle', 'pointerup', 'pointercancel', 'dragend', 'keyup'].forEach((name) => document.addEventListener(name, catchUp, true));

  // What has the focus is known in the new list by the nearest id around it, its name and where it leads; else the first beside it is taken.
  function twin(element, list, fresh) {
    const near = element.closest('[id]');
    const around = near !== list && fresh.querySelector('#' + CSS.escape(near.id)) || fresh;
    const name = (one) => [one.ariaLabel, one.textContent, one.getAttribute('href')].join();
    const all = [...around.querySelectorAll('a, button, summary')];
    return all.find((one) => name(one) === name(element)) || all[0];
  }
  document.addEventListener('htmx:oobBeforeSwap', (event) => {
    const { target, fragment } = event.detail;
    if (busy(target)) {
      event.detail.shouldSwap = false;
      target.dataset.stale = '1';
      say();
      return;
    }
    delete target.dataset.stale;
    say();
    if (!target.contains(document.activeElement)) return;
    const next = twin(document.activeElement, target, fragment);
    queueMicrotask(() => next?.focus({ preventScroll: true })); // when it is in its place
  });

  // A form is sent once, however often the button is pressed.
  document.addEventListener('submit', (event) => {
    if (event.target.method !== 'post') return;
    if (event.target.dataset.sent) { event.preventDefault(); return; }
    event.target.dataset.sent = '1';
  });
  addEventListener('pageshow', () => document.querySelectorAll('form[data-sent]').forEach((form) => delete form.dataset.sent));

  // Follow a topic: the newest first, at most two hundred. A browser connects again by itself where a stream ends, and brings the id
  // of what it has; where it was refused it gives up, and this does the same in its place. The page says when nothing comes.
  document.querySelectorAll('[data-follow]').forEach((button) => {
    let source, again, last = '', problem = '';
    const list = document.getElementById('followed'), state = document.getElementById('follow-state');
    const open = () => {
      source = new EventSource(button.dataset.follow + (last && '&after=' + encodeURIComponent(last)));
      source.onerror = () => {
        state.textContent = problem || 'The connection is lost. What is missed is fetched when it is there again.';
        if (source.readyState === EventSource.CLOSED) again = setTimeout(open, 5000);
      };
      source.addEventListener('problem', (event) => { problem = event.data; });
      source.addEventListener('begin', (event) => {
        last = event.lastEventId;
        problem = '';
        state.textContent = 'Waiting for what comes.';
      });
      source.addEventListener('record', (event) => {
        last = event.lastEventId;
        state.textContent = '';
        list.insertAdjacentHTML('afterbegin', event.data); // made and escaped by the portal's own template
        while (list.children.length > 200) list.lastElementChild.remove();
      });
    };
    const close = () => {
      source.close();
      clearTimeout(again);
      source = null;
      last = problem = state.textContent = '';
    };
    document.addEventListener('visibilitychange', () => { // a page that nobody sees has no stream; what is missed is fetched when it is seen
      if (!source) return;
      source.close();
      clearTimeout(again);
      if (!document.hidden) open();
    });
    button.addEventListener('click', () => {
      if (source) close(); else open();
      button.setAttribute('aria-pressed', source ? 'true' : 'false');
      button.textContent = source ? 'Following: stop' : 'Follow what comes';
    });
  });
})();

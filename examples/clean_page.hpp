// The page of 06_clean: one file of HTML, its look and its behaviour.
#pragma once

inline constexpr char kCleanPage[] = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Clean the data</title>
<style>
  :root { --ink: #1c2430; --soft: #566173; --line: #cfd6df; --paper: #f4f6f8; --go: #0b5fb0; --bad: #b3261e; }
  * { box-sizing: border-box; }
  body { display: flex; flex-direction: column; min-height: 100vh; margin: 0; color: var(--ink); background: var(--paper); font: 16px/1.45 system-ui, "DejaVu Sans", sans-serif; }
  header, main { width: 100%; max-width: 1240px; margin: 0 auto; padding: 0 20px; }
  main { flex: 1; }
  header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 16px; padding-top: 18px; }
  h1 { margin: 0; font-size: 1.5rem; }
  #left { margin: 0; color: var(--soft); }
  #pictures { display: grid; gap: 16px; margin: 16px 0; padding: 0; grid-template-columns: repeat(auto-fill, minmax(215px, 1fr)); }
  #pictures.pairs { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .card { display: flex; flex-direction: column; gap: 10px; padding: 12px; background: #fff; border: 1px solid var(--line);
          border-radius: 10px; scroll-margin: 12px 0 80px; }
  .card[aria-current=true] { border-color: var(--go); box-shadow: 0 0 0 2px var(--go); }
  .card:focus { outline: none; }
  .name { display: flex; gap: 8px; font-size: .875rem; color: var(--soft); }
  .name b { flex: none; align-self: start; min-width: 1.6em; text-align: center; color: var(--ink); background: var(--paper); border-radius: 5px; }
  .name span { overflow-wrap: anywhere; }
  .view { position: relative; margin-top: auto; height: 220px; background: #e6eaef; border-radius: 6px; overflow: hidden; }
  .pairs .view { height: min(50vh, 420px); }
  .view img { width: 100%; height: 100%; object-fit: contain; display: block; }
  .view img[data-small] { image-rendering: pixelated; }
  .marked .view img { opacity: .25; }
  .marked .view::after { content: "will be deleted"; position: absolute; inset: auto 0 0; padding: 4px; text-align: center;
                         color: #fff; background: var(--bad); }
  .label { font-size: .875rem; color: var(--soft); }
  select, button { font: inherit; min-height: 42px; border-radius: 7px; border: 1px solid #8a95a5; background: #fff; color: var(--ink); }
  select { width: 100%; padding: 0 8px; }
  select.changed { border-color: var(--go); font-weight: 600; }
  button { padding: 0 16px; cursor: pointer; }
  button:hover { background: #eaf0f6; }
  button:disabled { color: #8a95a5; border-color: var(--line); background: var(--paper); cursor: default; }
  button:focus-visible, select:focus-visible, summary:focus-visible { outline: 3px solid #f0a500; outline-offset: 1px; }
  .delete { color: var(--bad); border-color: var(--bad); }
  .marked .delete { color: #fff; background: var(--bad); }
  .controls { display: flex; flex-direction: column; gap: 10px; }
  #bar { position: sticky; bottom: 0; margin-top: 8px; background: #fff; border-top: 1px solid var(--line); }
  #bar div { display: flex; gap: 10px; max-width: 1240px; margin: 0 auto; padding: 10px 20px; }
  #finish { margin-left: auto; }
  #next { color: #fff; background: var(--go); border-color: var(--go); font-weight: 600; }
  #next:hover { background: #094d8f; }
  #next:disabled { background: #9db6cf; border-color: #9db6cf; }
  #end { margin: 24px 0; padding: 24px; background: #fff; border: 1px solid var(--line); border-radius: 10px; overflow-wrap: anywhere; }
  #end p { margin: 0 0 8px; }
  #error { margin: 12px 0; padding: 10px 14px; color: #fff; background: var(--bad); border-radius: 7px; overflow-wrap: anywhere; }
  details { margin: 0 0 20px; color: var(--soft); font-size: .9375rem; }
  details dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; margin: 8px 0 0; }
  details dd { margin: 0; }
  kbd { padding: 0 6px; background: #fff; border: 1px solid var(--line); border-bottom-width: 2px; border-radius: 4px; font: inherit; }
  .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  [hidden] { display: none !important; }
  @media (max-width: 520px) {
    header, main { padding: 0 12px; }
    header { padding-top: 12px; }
    #pictures { grid-template-columns: 1fr; }
    #pictures.pairs { gap: 8px; }
    .pairs .card { padding: 8px; }
    .pairs .view { height: 180px; }
    #pictures:not(.pairs) .controls { flex-direction: row; align-items: end; }
    #pictures:not(.pairs) .controls div { flex: 1; }
    #bar div { padding: 8px 12px; }
    button { padding: 0 12px; }
  }
</style>
</head>
<body>
<header><h1 id="heading">Clean the data</h1><p id="left"></p></header>
<main>
  <p id="error" role="alert" hidden></p>
  <div id="pictures"></div>
  <div id="end" hidden></div>
  <details>
    <summary>Keys</summary>
    <dl>
      <dt><kbd>1</kbd> to <kbd>9</kbd>, <kbd>&larr;</kbd> <kbd>&rarr;</kbd></dt><dd>choose a picture</dd>
      <dt><kbd>d</kbd></dt><dd>delete it, or keep it after all</dd>
      <dt class="with-class"><kbd>&uarr;</kbd> <kbd>&darr;</kbd></dt><dd class="with-class">give it another class</dd>
      <dt class="with-class"><kbd>c</kbd></dt><dd class="with-class">go to its list of classes, where letters find a name; <kbd>Esc</kbd> leaves it</dd>
      <dt><kbd>n</kbd></dt><dd>next pictures</dd>
      <dt><kbd>u</kbd></dt><dd>undo</dd>
    </dl>
  </details>
  <p id="said" class="hidden" role="status"></p>
</main>
<div id="bar"><div>
  <button id="next">Next batch</button>
  <button id="undo">Undo</button>
  <button id="finish">Finish</button>
</div></div>
<script>
'use strict';
const at = id => document.getElementById(id);
let state = null, cards = [], chosen = 0, byPointer = false, finished = false;
let work = Promise.resolve();  // what was asked is done in order

function say(text) { at('said').textContent = text; }
function fail(text) { at('error').textContent = text; at('error').hidden = !text; }

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function choose(i, {focus = true} = {}) {
  if (!cards.length) return;
  chosen = Math.max(0, Math.min(i, cards.length - 1));
  cards.forEach((card, k) => card.root.setAttribute('aria-current', k === chosen));
  if (focus) {
    cards[chosen].root.focus({preventScroll: true});
    cards[chosen].root.scrollIntoView({block: 'nearest'});
  }
}

function makeCard(picture, i) {
  const image = make('img', {src: '/picture/' + picture.index, alt: 'Picture ' + (i + 1) + ': ' + picture.name});
  image.onload = () => image.toggleAttribute('data-small', image.naturalWidth < 100);
  const select = make('select', {id: 'class-' + i});
  for (const name of state.classes) select.append(make('option', {value: name, textContent: name}));
  select.onpointerdown = () => { byPointer = true; };
  select.onkeydown = () => { byPointer = false; };
  select.onchange = () => {
    ask('relabel', {position: i, class: select.value});
    if (byPointer) choose(i);  // keys are commands again
  };
  const button = make('button', {className: 'delete'});
  button.onclick = () => { choose(i, {focus: false}); ask('delete', {position: i}); };
  const slash = picture.name.indexOf('/') + 1;  // a long name may break after it
  const name = make('span', {}, picture.name.slice(0, slash), make('wbr', {}), picture.name.slice(slash));
  const root = make('div', {className: 'card', tabIndex: -1},
      make('div', {className: 'name', title: picture.name}, make('b', {textContent: i + 1}), name),
      make('div', {className: 'view'}, image));
  const controls = make('div', {className: 'controls'});
  if (state.classes.length) {
    controls.append(make('div', {}, make('label', {className: 'label', htmlFor: select.id, textContent: 'Class'}), select));
  }
  controls.append(button);
  root.append(controls);
  root.setAttribute('role', 'group');
  root.setAttribute('aria-label', 'Picture ' + (i + 1));
  root.onfocus = () => choose(i, {focus: false});
  root.addEventListener('focusin', () => choose(i, {focus: false}));
  root.onclick = event => { if (!event.target.closest('select, button')) choose(i); };
  return {root, select, button};
}

function show(next) {
  const turned = !state || next.page !== state.page;
  state = next;
  document.title = at('heading').textContent = state.heading;
  const many = n => n + (n === 1 ? ' picture' : ' pictures');
  at('left').textContent = state.pictures.length ? many(state.left) + ' after these' : '';
  for (const part of document.querySelectorAll('.with-class')) part.hidden = !state.classes.length;
  if (turned) {
    cards = state.pictures.map(makeCard);
    at('pictures').className = state.pairs ? 'pairs' : '';
    at('pictures').replaceChildren(...cards.map(card => card.root));
    window.scrollTo(0, 0);
  }
  state.pictures.forEach((picture, i) => {
    const card = cards[i];
    card.select.value = picture.label;
    card.select.classList.toggle('changed', picture.label !== picture.given);
    card.root.classList.toggle('marked', picture.marked);
    card.button.textContent = picture.marked ? 'Keep' : 'Delete';
    card.button.setAttribute('aria-label', (picture.marked ? 'Keep' : 'Delete') + ' picture ' + (i + 1));
  });
  const done = !state.pictures.length;
  at('end').hidden = !done;
  if (done) {
    at('end').replaceChildren(make('p', {}, make('strong', {textContent: state.message})),
                              make('p', {textContent: 'What is left is listed in ' + state.csv + '.'}));
    say(state.message);
  } else if (turned) {
    choose(0);
    say(many(cards.length) + ', ' + at('left').textContent);
  }
  at('next').disabled = done;
  at('undo').disabled = !state.undo;
}

function ask(what, values = {}) {
  work = work.then(async () => {
    if (finished) return;
    try {
      const answer = await fetch('/' + what, {
        method: 'POST', body: new URLSearchParams({page: state.page, ...values})});
      const next = await answer.json();
      if (next.pictures) show(next);
      fail(next.error || '');
    } catch (error) {
      fail('The program does not answer: ' + error.message);
    }
  });
  return work;
}

function finish() {
  work = work.then(async () => {
    try {
      await fetch('/finish', {method: 'POST'});
    } catch (error) { /* it has ended already */ }
    finished = true;
    at('bar').hidden = at('pictures').hidden = true;
    at('end').hidden = false;
    at('left').textContent = '';
    document.querySelector('details').hidden = true;
    at('end').replaceChildren(make('p', {}, make('strong', {textContent: 'Finished. This page can be closed.'})),
                              make('p', {textContent: 'What is left is listed in ' + state.csv + '.'}));
    say('Finished');
  });
}

document.querySelector('details').open = matchMedia('(min-width: 900px)').matches;
at('next').onclick = () => ask('next');
at('undo').onclick = () => ask('undo');
at('finish').onclick = finish;

document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.altKey || event.metaKey || !state || finished) return;
  const inList = event.target.tagName === 'SELECT';
  if (inList) {
    if (event.key === 'Escape') choose(chosen);
    return;  // its keys are its own
  }
  const card = cards[chosen], classes = state.classes;
  const move = by => {
    const to = classes.indexOf(card.select.value) + by;
    if (classes[to] === undefined) return;
    card.select.value = classes[to];
    ask('relabel', {position: chosen, class: classes[to]});
  };
  const commands = {
    d: () => card && ask('delete', {position: chosen}),
    n: () => !at('next').disabled && ask('next'),
    u: () => !at('undo').disabled && ask('undo'),
    ArrowLeft: () => choose(chosen - 1),
    ArrowRight: () => choose(chosen + 1),
  };
  if (card && classes.length) {
    commands.c = () => card.select.focus();
    commands.ArrowUp = () => move(-1);
    commands.ArrowDown = () => move(1);
  }
  for (let i = 1; i <= 9; ++i) commands[i] = () => i <= cards.length && choose(i - 1);
  const command = commands[event.key];
  if (!command || (event.repeat && !event.key.startsWith('Arrow'))) return;
  event.preventDefault();
  command();
});

fetch('/state').then(answer => answer.json()).then(show).catch(error => fail('The program does not answer: ' + error.message));
</script>
</body>
</html>
)html";

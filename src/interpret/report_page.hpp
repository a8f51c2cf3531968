// The look and the behaviour of a report.
#pragma once

namespace fastcpp::inline v0::report_detail {

// {0}: title, {1}: style. Nothing is fetched: the policy says so to the browser.
inline constexpr char kPageHead[] = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{0}</title>
<style>{1}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
)html";

inline constexpr char kStyle[] = R"css(
:root { color-scheme: light dark; --ink: #1c2430; --soft: #566173; --line: #cfd6df; --paper: #f4f6f8; --card: #fff;
        --go: #0b5fb0; --right: 11 95 176; --wrong: 196 72 16; --on: #fff; --focus: #b36b00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --soft: #a7b1bf; --line: #3a434f; --paper: #12161b; --card: #1b2027; --go: #7db8f5;
          --right: 88 160 235; --wrong: 240 132 70; --on: #0d1116; --focus: #ffb84d; }
}
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--paper); font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
header, main { max-width: 1240px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 20px; }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 0 0 12px; font-size: 1.25rem; }
h3 { margin: 20px 0 8px; font-size: 1rem; }
p { margin: 0 0 12px; max-width: 75ch; }
a { color: var(--go); }
.meta, .note, figcaption, .name { color: var(--soft); font-size: .875rem; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 8px 0; }
nav a { padding: 4px 0; text-decoration-thickness: 1px; text-underline-offset: 3px; }
section { margin: 16px 0; padding: 20px; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
          scroll-margin-top: 8px; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.skip { position: absolute; left: 8px; top: -60px; padding: 8px 14px; color: var(--on); background: var(--go); border-radius: 6px; }
.skip:focus { top: 8px; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 10px; margin: 0 0 12px; }
.facts div { padding: 10px 12px; background: var(--paper); border-radius: 8px; }
.facts dt { color: var(--soft); font-size: .8125rem; }
.facts dd { margin: 0; font-size: 1.125rem; font-weight: 600; overflow-wrap: anywhere; }
.scroll { overflow: auto; max-height: 34rem; margin: 0 0 12px; }
table { border-collapse: collapse; font-size: .875rem; }
th, td { padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: middle; }
th { font-weight: 600; }
thead th { position: sticky; top: 0; background: var(--card); z-index: 1; white-space: nowrap; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
th button::after { content: " \2195"; color: var(--soft); font-weight: 400; }
th[aria-sort=ascending] button::after { content: " \2191"; color: inherit; }
th[aria-sort=descending] button::after { content: " \2193"; color: inherit; }
.bar { display: flex; align-items: center; gap: 8px; }
.bar b { min-width: 3.2ch; font-weight: 400; text-align: right; font-variant-numeric: tabular-nums; }
.bar i { display: block; height: 10px; min-width: 1px; width: calc(var(--v) * 110px); background: rgb(var(--right)); border-radius: 2px; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 430px), 1fr)); gap: 16px; }
.plot svg { display: block; width: 100%; max-width: 600px; height: auto; }
@media (prefers-color-scheme: dark) { .plot svg { filter: invert(1) hue-rotate(180deg); mix-blend-mode: screen; } }
pre { margin: 0; font: .8125rem/1.4 ui-monospace, "DejaVu Sans Mono", monospace; }
details { margin: 0 0 8px; }
summary { padding: 4px 0; cursor: pointer; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 480px), 1fr)); gap: 0 24px; align-items: start; }
.cells table { width: max-content; }
.cells td { max-width: 32ch; overflow-wrap: anywhere; }
.pairs.rows { grid-template-columns: minmax(0, 1fr); }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(120px, 1fr)); gap: 12px; margin: 8px 0 12px; }
figure { margin: 0; }
img { display: block; width: 100%; height: auto; border-radius: 4px; }
img.small { image-rendering: pixelated; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); gap: 16px; margin: 0; padding: 0; list-style: none; }
.cards li { padding: 12px; background: var(--paper); border-radius: 8px; }
.cards p { margin: 0; overflow-wrap: anywhere; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 6px; margin-bottom: 8px; }
.two > :only-child { grid-column: span 2; max-width: 60%; }
.matrix { border-collapse: separate; border-spacing: 1px; font-size: .75rem; }
.matrix td, .matrix th { padding: 0; border: 0; }
.matrix td { width: var(--cell); min-width: var(--cell); height: var(--cell); text-align: center; background: var(--paper); }
.matrix tbody th { position: sticky; left: 0; z-index: 1; max-width: 13rem; padding: 0 8px 0 4px; background: var(--card); text-align: right; font-weight: 400;
                   overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.matrix thead th { height: 1px; vertical-align: bottom; font-weight: 400; }
.matrix thead th span { display: inline-block; max-height: 12rem; padding: 4px 0; writing-mode: vertical-rl; transform: rotate(180deg);
                        overflow: hidden; text-overflow: ellipsis; }
.matrix thead td { position: sticky; top: 0; left: 0; z-index: 2; background: var(--card); }
.matrix a { display: grid; place-items: center; width: 100%; height: 100%; color: inherit; text-decoration: none; font-variant-numeric: tabular-nums; }
.matrix .right { background: rgb(var(--right) / var(--v)); }
.matrix .wrong { background: rgb(var(--wrong) / var(--v)); }
.matrix .strong { color: var(--on); }
.matrix td:hover { box-shadow: inset 0 0 0 2px var(--ink); }
.matrix a:focus-visible { outline-offset: -1px; }
.matrix .lit { font-weight: 700; color: var(--go); }
#said { position: sticky; top: 0; z-index: 3; min-height: 1.5em; margin: 0; padding: 6px 0; font-weight: 600; background: var(--card); }
.whole { max-height: none; }
dialog { width: min(720px, calc(100vw - 24px)); max-height: calc(100vh - 48px); padding: 20px; color: var(--ink); background: var(--card);
         border: 1px solid var(--line); border-radius: 12px; }
dialog::backdrop { background: rgb(0 0 0 / .55); }
dialog form { display: flex; justify-content: space-between; align-items: start; gap: 12px; }
dialog h2 { overflow-wrap: anywhere; }
dialog button { min-height: 40px; padding: 0 16px; font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--soft); border-radius: 7px; cursor: pointer; }
@media (max-width: 520px) {
  header, main { padding: 0 10px; }
  header { padding-top: 14px; }
  section { padding: 14px 12px; margin: 10px 0; }
  h1 { font-size: 1.375rem; }
  .facts { grid-template-columns: 1fr 1fr; }
  .pictures { grid-template-columns: repeat(3, 1fr); gap: 8px; }
  .matrix tbody th { max-width: 6.5rem; }
  .bar { gap: 5px; }
  .bar i { width: calc(var(--v) * 42px); }
  table:not(.matrix) { font-size: .8125rem; }
  table:not(.matrix) :is(th, td) { padding-right: 8px; }
  .sortable :is(th, td):first-child { position: sticky; left: 0; max-width: 10.5rem; background: var(--card); overflow: hidden;
                                      text-overflow: ellipsis; white-space: nowrap; }
  .sortable thead th:first-child { z-index: 2; }
  th[aria-sort=none] button::after { content: none; }
}
@media print { nav, .skip, dialog { display: none; } .scroll { max-height: none; overflow: visible; } section { break-inside: avoid; } }
)css";

inline constexpr char kDialog[] = R"html(<dialog id="dialog" aria-labelledby="dialog-title">
<form method="dialog"><h2 id="dialog-title"></h2><button>Close</button></form>
<div id="dialog-body"></div>
</dialog>
)html";

// Without it everything can be read; the cells of the matrix then lead to the pictures below it.
inline constexpr char kScript[] = R"js(
'use strict';
(() => {
  const at = id => document.getElementById(id);
  const dialog = at('dialog'), matrix = at('matrix'), said = at('said');

  function open(id, title) {
    const block = at(id);
    if (!block) return;
    const from = block.content || block;
    at('dialog-title').textContent = title;
    at('dialog-body').replaceChildren(...[...from.children].map(part => part.cloneNode(true)));
    dialog.showModal();
  }
  dialog.addEventListener('click', event => { if (event.target === dialog) dialog.close(); });

  if (matrix) {
    const rest = said.textContent;
    const rows = [...matrix.tBodies[0].rows];
    const heads = [...matrix.tHead.rows[0].cells];
    const link = (row, column) => rows[row] && rows[row].cells[column] && rows[row].cells[column].querySelector('a');
    const words = cell => {
      const row = cell.parentNode, column = cell.cellIndex;
      const actual = row.cells[0].textContent, predicted = heads[column].textContent;
      const count = cell.textContent || '0', of = count + ' of ' + row.dataset.total;
      return row.dataset.index === heads[column].dataset.index ? actual + ' recognised: ' + of
                                                              : actual + ' taken for ' + predicted + ': ' + of;
    };
    function light(cell) {
      for (const lit of matrix.querySelectorAll('.lit')) lit.classList.remove('lit');
      said.textContent = cell ? words(cell) : rest;
      if (!cell) return;
      cell.parentNode.cells[0].classList.add('lit');
      heads[cell.cellIndex].classList.add('lit');
    }
    const cellOf = target => target.closest && target.closest('tbody td');
    matrix.addEventListener('mouseover', event => light(cellOf(event.target)));
    matrix.addEventListener('mouseleave', () => light(null));
    matrix.addEventListener('focusin', event => light(cellOf(event.target)));
    matrix.addEventListener('click', event => {
      const target = event.target.closest('a');
      if (!target || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      choose(target);
      open(target.hash.slice(1), words(cellOf(target)));
    });
    // One stop for the tabulator; arrows go from cell to cell.
    const links = [...matrix.querySelectorAll('a')];
    function choose(target) {
      for (const one of links) one.tabIndex = one === target ? 0 : -1;
    }
    if (links.length) choose(matrix.querySelector('.wrong a') || links[0]);
    const nearest = (row, column) => {
      for (let by = 0; by < heads.length; ++by) {
        const found = link(row, column + by) || link(row, column - by);
        if (found) return found;
      }
      return null;
    };
    function along(row, column, step) {
      for (let to = column + step; to > 0 && to < heads.length; to += step) {
        if (link(row, to)) return link(row, to);
      }
      return null;
    }
    function across(row, column, step) {
      for (let to = row + step; to >= 0 && to < rows.length; to += step) {
        const found = nearest(to, column);
        if (found) return found;
      }
      return null;
    }
    matrix.addEventListener('keydown', event => {
      const cell = cellOf(event.target);
      if (!cell || event.ctrlKey || event.altKey || event.metaKey) return;
      const row = rows.indexOf(cell.parentNode), column = cell.cellIndex;
      const moves = {
        ArrowRight: () => along(row, column, 1), ArrowLeft: () => along(row, column, -1),
        ArrowDown: () => across(row, column, 1), ArrowUp: () => across(row, column, -1),
        Home: () => along(row, 0, 1), End: () => along(row, heads.length, -1)};
      if (!moves[event.key]) return;
      event.preventDefault();
      const next = moves[event.key]();
      if (!next) return;
      choose(next);
      next.focus();
    });
  }

  for (const table of document.querySelectorAll('table.sortable')) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = head.textContent;
      head.replaceChildren(button);
      head.setAttribute('aria-sort', 'none');
      button.onclick = () => {
        const up = head.getAttribute('aria-sort') !== 'ascending';
        for (const one of heads) one.setAttribute('aria-sort', 'none');
        head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
        const numeric = head.classList.contains('n');
        const key = row => {
          const text = row.cells[column].textContent;
          const value = parseFloat(text.replace(/,/g, ''));
          return numeric ? (Number.isFinite(value) ? value : -Infinity) : text;
        };
        const compare = (a, b) => numeric ? a - b || 0 : a.localeCompare(b);
        const sorted = [...table.tBodies[0].rows].sort((a, b) => (up ? 1 : -1) * compare(key(a), key(b)));
        table.tBodies[0].append(...sorted);
      };
    });
  }
})();
)js";

}  // namespace fastcpp::report_detail

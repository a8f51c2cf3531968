#include "serve/page.hpp"

#include "fastcpp/core/text.hpp"

namespace fastcpp::inline v0::serve_detail {
namespace {

constexpr const char* kHead = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --ink: #1c2430; --soft: #566173; --line: #cfd6df; --paper: #f4f6f8; --card: #fff;
        --go: #0b5fb0; --bar: #9cc4ec; --wrong: #a83a08; --focus: #b36b00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --soft: #a7b1bf; --line: #3a434f; --paper: #12161b; --card: #1b2027; --go: #7db8f5;
          --bar: #2b5585; --wrong: #ff9a6b; --focus: #ffb84d; }
}
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--paper); font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 20px; }
h1 { margin: 0 0 16px; font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { margin: 0 0 4px; font-size: 1.75rem; line-height: 1.25; overflow-wrap: anywhere; }
p { margin: 0 0 12px; }
.soft { color: var(--soft); font-size: .875rem; }
.drop { display: block; padding: 24px; text-align: center; border: 2px dashed var(--line); border-radius: 10px; background: var(--card);
        cursor: pointer; }
.drop:hover, .drop.over { border-color: var(--go); }
.drop input { position: absolute; width: 1px; height: 1px; opacity: 0; }
.drop:focus-within, button:focus-visible, input:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.drop b { color: var(--go); text-decoration: underline; text-underline-offset: 3px; }
#result { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 24px; margin-top: 20px; padding: 20px;
          background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
#result[hidden] { display: none; }
canvas { display: block; width: 100%; max-width: 480px; border-radius: 6px; background: var(--paper); }
figure { margin: 0; }
figcaption { margin-top: 8px; }
label.check { display: inline-flex; gap: 8px; align-items: center; padding: 4px 0; }
ol { list-style: none; margin: 12px 0; padding: 0; }
li { margin: 0 0 6px; }
li button { position: relative; display: flex; justify-content: space-between; gap: 12px; width: 100%; padding: 8px 12px; font: inherit;
            color: inherit; text-align: left; background: var(--paper); border: 1px solid var(--line); border-radius: 6px; overflow: hidden;
            cursor: pointer; }
li button[aria-pressed=true] { border-color: var(--go); box-shadow: inset 0 0 0 1px var(--go); }
li button i { position: absolute; left: 0; top: 0; bottom: 0; background: var(--bar); }
li button span { position: relative; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
#told { margin: 16px 0 0; min-height: 1.5em; }
#told.wrong { color: var(--wrong); font-weight: 600; }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 12px 20px; padding: 20px; background: var(--card);
          border: 1px solid var(--line); border-radius: 10px; }
.fields label { display: block; min-width: 0; overflow-wrap: anywhere; }
.fields input, .fields select { display: block; width: 100%; margin-top: 2px; padding: 6px 10px; font: inherit; color: inherit; background: var(--paper);
                                border: 1px solid var(--line); border-radius: 6px; }
.fields button { align-self: end; padding: 7px 16px; font: inherit; color: var(--card); background: var(--go); border: 0; border-radius: 6px;
                 cursor: pointer; }
#key[hidden] { display: none; }
#key { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin-top: 12px; }
#key input { font: inherit; padding: 6px 10px; min-width: 0; flex: 1 1 200px; color: inherit; background: var(--card); border: 1px solid var(--line);
             border-radius: 6px; }
#key button { font: inherit; padding: 6px 16px; color: var(--card); background: var(--go); border: 0; border-radius: 6px; cursor: pointer; }
@media (max-width: 700px) { main { padding: 14px; } #result { grid-template-columns: minmax(0, 1fr); padding: 14px; }
  #result figure { order: 1; } }
</style>
)html";

constexpr const char* kPicture = R"html(
<label class="drop" id="drop"><input type="file" id="file" accept="image/*">
<b>Choose a picture</b>, drop one here, or paste one</label>)html";

constexpr const char* kBody =
    R"html(<section id="result" hidden aria-label="What the picture shows">
<figure><canvas id="canvas" width="480" height="480" role="img"></canvas>
<figcaption class="soft"><label class="check"><input type="checkbox" id="heat" checked> Heat map: warm places speak for the class that is
marked</label><br>Shown as the network saw it.</figcaption></figure>
<div><h2 id="best"></h2><p class="soft" id="times"></p><ol id="bars"></ol></div>
</section>
</main>
<script>
'use strict';
let picture = null, shown = null, marked = 'best';

async function ask(file, heat) {
  const answer = await fetch('predict?top_k=10&heat_map=' + heat, {method: 'POST', body: file, headers: headers()});
  const body = await answer.json();
  // A network without body and head has no heat map, and predicts all the same.
  return body.error && body.error.code === 'train.no_body' ?
    fetch('predict?top_k=10', {method: 'POST', body: file, headers: headers()}) : {status: answer.status, json: () => body};
}

async function send(file, heat) {
  picture = file;
  const found = await asked(() => ask(file, heat));
  if (!found) return;
  marked = heat;
  shown = found;
  show(found, (button, one) => {
    button.setAttribute('aria-pressed', String(!!found.heat_map && found.heat_map.class === one.index));
    button.disabled = !found.heat_map;
    button.addEventListener('click', () => send(file, one.index));
  });
  const ms = found.milliseconds;
  $('times').textContent = 'Decoded in ' + ms.decode.toFixed(1) + ' ms, waited ' + ms.queue.toFixed(1) + ' ms, computed in ' +
    ms.compute.toFixed(1) + ' ms';
  draw(file);
}

async function draw(file) {
  const mine = turn, canvas = $('canvas'), pen = canvas.getContext('2d'), heat = shown.heat_map;
  const image = new Image();
  image.src = heat ? heat.picture : URL.createObjectURL(file);
  try { await image.decode(); } catch (error) { return; }
  if (mine !== turn) return;
  if (!heat) URL.revokeObjectURL(image.src);
  const scale = 480 / Math.max(image.naturalWidth, image.naturalHeight);
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  canvas.setAttribute('aria-label', 'The picture that was sent');
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  $('heat').disabled = !heat;
  if (!heat || !$('heat').checked) return;
  const map = document.createElement('canvas');
  map.width = heat.cols;
  map.height = heat.rows;
  const dots = map.getContext('2d').createImageData(heat.cols, heat.rows);
  heat.values.forEach((v, i) => {
    // From violet over red to yellow, and more opaque.
    dots.data[4 * i] = 90 + 165 * Math.min(1, 1.5 * v);
    dots.data[4 * i + 1] = 230 * Math.max(0, 1.6 * v - 0.6);
    dots.data[4 * i + 2] = 130 * (1 - v);
    dots.data[4 * i + 3] = 215 * v;
  });
  map.getContext('2d').putImageData(dots, 0, 0);
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = 'high';
  pen.drawImage(map, 0, 0, canvas.width, canvas.height);
}

$('file').addEventListener('change', event => {
  if (event.target.files[0]) send(event.target.files[0], 'best');
  event.target.value = '';
});
$('heat').addEventListener('change', () => shown && draw(picture));
$('key').addEventListener('submit', event => {
  event.preventDefault();
  if (picture) send(picture, marked);
});
addEventListener('dragover', event => { event.preventDefault(); $('drop').classList.add('over'); });
addEventListener('dragleave', event => { if (!event.relatedTarget) $('drop').classList.remove('over'); });
addEventListener('drop', event => {
  event.preventDefault();
  $('drop').classList.remove('over');
  if (event.dataTransfer.files[0]) send(event.dataTransfer.files[0], 'best');
});
addEventListener('paste', event => {
  const file = [...event.clipboardData.files][0];
  if (file) send(file, 'best');
});
</script>
</body>
</html>
)html";

// What both pages have.
constexpr const char* kAsking = R"html(
<form id="key" hidden><label for="secret">This server asks for a key:</label>
<input id="secret" type="password" autocomplete="off"><button>Send</button></form>
<p id="told" role="status" aria-live="polite"></p>
<script>
'use strict';
const $ = id => document.getElementById(id);
let turn = 0;

function tell(text, wrong) {
  $('told').textContent = text;
  $('told').className = wrong ? 'wrong' : '';
}

function headers() {
  return $('secret').value ? {'Authorization': 'Bearer ' + $('secret').value} : {};
}

// The prediction; null when there is none, or something else was asked meanwhile.
async function asked(question) {
  const mine = ++turn;
  tell('Looking\u2026');
  let body;
  try {
    const answer = await question();
    body = await answer.json();
    if (mine === turn && answer.status === 401) $('key').hidden = false;
  } catch (error) {
    body = {error: {message: 'The server does not answer.'}};
  }
  if (mine !== turn) return null;
  if (body.error) {
    $('result').hidden = true;
    tell(body.error.message, true);
    return null;
  }
  $('key').hidden = true;
  tell('');
  return body.predictions[0];
}

// In words, and a bar for each class, whose button `finish` completes.
function show(found, finish) {
  $('result').hidden = false;
  const numbers = found.numbers ? found.numbers.map(x => x === null ? '\u2013' : x.toPrecision(4)).join(', ') : '';
  $('best').textContent = found.prediction || numbers || 'None of the classes';
  $('bars').replaceChildren(...(found.top || []).map(one => {
    const item = document.createElement('li'), button = document.createElement('button'), bar = document.createElement('i');
    const name = document.createElement('span'), number = document.createElement('span');
    const p = one.probability === null ? 0 : one.probability;
    bar.style.width = Math.min(100, Math.max(0, 100 * p)) + '%';
    name.textContent = one.class;
    number.textContent = one.probability === null ? '\u2013' : (100 * p).toFixed(1) + ' %';
    button.type = 'button';
    button.append(bar, name, number);
    finish(button, one);
    item.append(button);
    return item;
  }));
}
</script>
)html";

}  // namespace

std::string page_of(std::string_view title, std::string_view input, std::string_view rest) {
  const auto name = html_text(title);
  std::string made = kHead;
  made += "<title>" + name + "</title>\n</head>\n<body>\n<main>\n<h1>" + name + "</h1>";
  made += input;
  made += kAsking;
  made += rest;
  return made;
}

std::string page(std::string_view title) {
  return page_of(title, kPicture, kBody);
}

}  // namespace fastcpp::serve_detail

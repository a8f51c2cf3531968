// The page of a table's model: a form with its columns.
#include "fastcpp/io/json.hpp"
#include "fastcpp/io/value.hpp"
#include "fastcpp/tabular/processor.hpp"
#include "serve/page.hpp"

namespace fastcpp::inline v0::serve_detail {
namespace {

constexpr const char* kFormOfRows = R"html(
<form id="row"><div class="fields" id="fields"></div></form>)html";

constexpr const char* kRowsBody =
    R"html(<section id="result" hidden aria-label="What the row gives">
<div><h2 id="best"></h2><p class="soft" id="times"></p></div><ol id="bars"></ol>
</section>
</main>
<script>
'use strict';
// A column of numbers has no classes; one of many is typed in.
const most = 500;
const fields = columns.map((column, i) => {
  const label = document.createElement('label'), classes = column.classes;
  const input = document.createElement(classes && classes.length <= most ? 'select' : 'input');
  label.textContent = column.name;
  if (input.tagName === 'SELECT') {
    input.append(...classes.map((value, k) => new Option(String(value), k)), new Option('(missing)', ''));
  } else if (classes) {
    const list = document.createElement('datalist');
    list.id = 'classes' + i;
    list.append(...classes.map(value => new Option(String(value))));
    input.setAttribute('list', list.id);
    label.append(list);
  } else {
    input.type = 'number';
    input.step = 'any';
    input.placeholder = '(missing)';
    if (column.mean !== null) input.value = Number(column.mean.toPrecision(3));
  }
  label.append(input);
  return {column, input, label};
});
const button = document.createElement('button');
button.textContent = 'Predict';
$('fields').append(...fields.map(field => field.label), button);

function value({column, input}) {
  const text = input.value;
  if (text === '') return null;
  if (!column.classes) return Number(text);
  if (input.tagName === 'SELECT') return column.classes[Number(text)];
  const known = column.classes.find(one => String(one) === text);
  return known === undefined ? text : known;
}

async function send() {
  const row = Object.fromEntries(fields.map(field => [field.column.name, value(field)]));
  const found = await asked(() => fetch('predict?top_k=10', {method: 'POST', body: JSON.stringify({rows: [row]}),
    headers: {'Content-Type': 'application/json', ...headers()}}));
  if (!found) return;
  show(found, button => { button.disabled = true; });
  const ms = found.milliseconds;
  $('times').textContent = 'Waited ' + ms.queue.toFixed(1) + ' ms, computed in ' + ms.compute.toFixed(1) + ' ms';
}

for (const form of ['row', 'key']) {
  $(form).addEventListener('submit', event => {
    event.preventDefault();
    send();
  });
}
</script>
</body>
</html>
)html";

// Name and classes of each column that a row needs, or its mean.
Value columns_of(const TabularProcessor& processor) {
  auto columns = Value::list();
  for (const auto& input : processor.inputs()) {
    auto column = Value::dict({{"name", input.name}});
    if (input.categories) {
      auto classes = Value::list();
      for (const auto& cell : input.cells) classes.append(to_value(cell));
      column.set("classes", std::move(classes));
    } else {
      column.set("mean", input.mean ? Value(*input.mean) : Value());
    }
    columns.append(std::move(column));
  }
  return columns;
}

}  // namespace

std::string rows_page(std::string_view title, const Recipe& items) {
  auto columns = to_json(columns_of(TabularProcessor::from_state(items.options)), {.indent = -1});
  // A name could end the script.
  for (std::size_t at = 0; (at = columns.find('<', at)) != std::string::npos;) {
    columns.replace(at, 1, "\\u003c");
  }
  std::string body = kRowsBody;
  constexpr std::string_view kBegin = "'use strict';\n";
  body.insert(body.find(kBegin) + kBegin.size(), "const columns = " + columns + ";\n");
  return page_of(title, kFormOfRows, body);
}

}  // namespace fastcpp::serve_detail

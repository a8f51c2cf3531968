"""What scripts/docs gives Doxygen: the pages of docs/ with an anchor at every heading, as code hosts make them, and with
links that Doxygen follows, and with the pictures that scripts/docs made: `<!-- picture: batch.png what it shows -->`. Beside the site it puts the pages as they are, and llms.txt, which lists them.

    docs_pages.py ROOT OUT       prints the prepared pages in order of reading
"""

import pathlib
import re
import shutil
import sys

ROOT, OUT = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])


def slug(heading):
    """The anchor of a heading on code hosts."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def page_id(path):
    """Doxygen's name of a page, which is the name of its HTML file."""
    return "index" if path.name == "README.md" else path.stem.replace("-", "_").lower()


def link(page, target):
    """A link of a page as Doxygen wants it."""
    if re.match(r"(https?|mailto):", target):
        return target
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page.resolve()
    if path in ORDER:
        return f"@ref {page_id(path)}{'_' + anchor if anchor else ''}"
    relative = path.relative_to(ROOT)
    if path.is_dir():
        path /= "CMakeLists.txt"
        relative /= "CMakeLists.txt"
    copy = OUT / "html" / relative
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, copy)
    return relative.as_posix()


def title(page):
    """What stands above a page; links that show a file's name show this on the site."""
    return re.search(r"^# (.*)", page.read_text(), re.M)[1]


def code(span):
    """Code in a sentence. Doxygen looks for quotations in single backticks."""
    inside = span.strip("`")
    return f"``{inside}``" if set("'\"\\") & set(inside) else span


def prepared(page):
    """The page as Doxygen reads it."""
    lines, fenced, used, first = [], False, set(), True
    for line in page.read_text().split("\n"):
        if line.startswith("```"):
            fenced = not fenced
            # Doxygen takes the comments out of languages that it does not know.
            language = line[3:]
            if language:
                line = "```{." + (language if language in ("cpp", "python") else "unparsed") + "}"
        elif not fenced:
            if re.fullmatch(r"<!-- code: .* -->", line):
                continue
            picture = re.fullmatch(r"<!-- picture: (\S+) (.*) -->", line)
            if picture:
                if not (OUT / "html" / picture[1]).exists():
                    lines.append(f"\n*Here stands a picture, which `scripts/docs --pictures` draws: {picture[2]}.*\n")
                    continue
                line = f'\n<img src="{picture[1]}" alt="{picture[2]}" style="max-width: 100%">\n'
            heading = re.match(r"(#+) +(.*)", line)
            if heading:
                anchor = base = slug(heading[2])
                number = 0
                while anchor in used:
                    number += 1
                    anchor = f"{base}-{number}"
                used.add(anchor)
                name = page_id(page) if first else f"{page_id(page)}_{anchor}"
                # Doxygen's main page has a name of its own.
                line = f"{heading[1]} {heading[2]}" + ("" if first and name == "index" else f" {{#{name}}}")
                first = False
            # Doxygen knows neither bold code nor code in the text of a link.
            line = re.sub(r"\*\*(`[^`]*`)\*\*", r"<b>\1</b>", line)
            line = re.sub(r"\[[^][]*\](?=\()", lambda found: found[0].replace("`", ""), line)
            # Not inside `code`.
            parts = re.split(r"(``.*?``|`[^`]*`)", line)
            whole = "\0".join(part if i % 2 == 0 else "" for i, part in enumerate(parts))
            whole = re.sub(r"\[([^][\0]*\.md)\]\(\1(?=[#)])", lambda found: f"[{title(page.parent / found[1])}]({found[1]}", whole)
            whole = re.sub(r"\]\(([^)\0]*)\)", lambda found: f"]({link(page, found[1])})", whole)
            plain = whole.split("\0")
            line = "".join(plain[i] if i % 2 == 0 else code(parts[i]) for i in range(len(parts)))
        lines.append(line)
    return numbered("\n".join(lines)) if page_id(page) == "index" else "\n".join(lines)


def numbered(text):
    """Lists with the numbers that they have: Doxygen begins each at 1."""
    item = re.compile(r"^(\d+)\. (.*)$", re.M)
    return re.sub(r"(?:^\d+\. .*\n)+", lambda found: "<ol>" + item.sub(r'<li value="\1">\2</li>', found[0]).replace("\n", "") + "</ol>\n", text, flags=re.M)


index = (ROOT / "docs/README.md").read_text()
ORDER = [ROOT / "docs/README.md"]
for found in re.finditer(r"\]\(([^)#]*\.md)\)", index):
    path = (ROOT / "docs" / found[1]).resolve()
    if path.exists() and path not in ORDER:
        ORDER.append(path)

made, listed = [], []
for page in ORDER:
    target = OUT / "pages" / page.name
    target.write_text(prepared(page))
    made.append(str(target))
    shutil.copy(page, OUT / "html" / page.name)
    # What the index says of it.
    words = re.search(r"\]\([^)]*" + re.escape(page.name) + r"\)(?:: (.*?))?(?:, \[|$)", index, re.M)
    about = words[1] if words and words[1] else "all pages in order of reading" if page.name == "README.md" else ""
    listed.append(f"- [{title(page)}]({page.name})" + (f": {about}" if about else ""))
version = (ROOT / "README.md").read_text().split("\n")[2]
(OUT / "html/llms.txt").write_text("# fastcpp\n\n> " + version + "\n\n## Pages\n\n" + "\n".join(listed) + "\n")
print(" ".join(made))

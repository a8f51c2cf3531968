"""Doxygen's view of a header: what needs no words in the sources gets them here, so that what is left undocumented is found.

    docs_filter.py ROOT OUT      writes every header of ROOT/include to OUT/include, line for line
"""

import pathlib
import re
import sys

# What each idiom says by itself.
IDIOMS = [
    (r"operator<<\(std::ostream", "Prints its text."),
    (r"operator(==|!=|<=>)\(", "Compares."),
    (r"operator=\(", "As usual."),
    (r"\) &&( \{|$)", r"\overload"),
    (r"^  \w+(& operator=)?\(\w+ ?(const )?&+\w*\)( noexcept)? = default;", "As usual."),
    (r"^  \w+(& operator=)?\((const )?\w+&+\)( noexcept)? = default;", "As usual."),
    (r"^(inline constexpr const char\* [A-Z0-9_]+ =)", "The archive of this data set, without `.tgz`."),
    (r"^inline constexpr Color \w+\{", "The colour of this name."),
    (r"^extern FASTCPP_API const Arch \w+;", "The architecture of this name."),
    (r"^#define FASTCPP_VERSION_", "A part of the version."),
]


def said_elsewhere(root):
    """(struct, member) -> what docs/options.md says of it."""
    said, struct = {}, ""
    for line in (root / "docs/options.md").read_text().split("\n"):
        if line.startswith("## "):
            struct = line[3:]
        row = re.match(r"\| `(\w+)` \|.*\| (.*) \|$", line)
        if row:
            said[struct, row[1]] = row[2]
    return said


def filtered(header, said):
    """The text of a header as Doxygen is to see it."""
    lines = header.read_text().split("\n")
    struct, before, result = "", "", []
    hidden = set()
    for i, line in enumerate(lines):
        if line == " protected:":
            end = next(k for k in range(i + 1, len(lines)) if re.match(r" ?(private:|public:|};)", lines[k]))
            if not any("///" in part for part in lines[i:end]):
                hidden.update(range(i + 1, end))
    for i, line in enumerate(lines):
        # Readers write fastcpp::Learner.
        line = line.replace("namespace fastcpp::inline v0", "namespace fastcpp")
        # Lines of /// that follow each other are one comment, and that of a group is no comment of its first member.
        line = re.sub(r"^( *)/// ?([@\\])\{$", r"\1/** \2{ */", line)
        opened = re.match(r"struct (?:FASTCPP_API )?(\w+Options) \{", line)
        struct = opened[1] if opened else "" if line.startswith("}") else struct
        words = ""
        documented = "///" in line or re.match(r" */// ?[^@]", before) or re.match(r" *(template|requires)\b", before)
        if not documented:
            words = next((w for pattern, w in IDIOMS if re.search(pattern, line)), "")
            member = re.match(r"  [\w:<>, *&]+ (\w+)( = .*|\{.*\})?(;|$)", line)
            wrapped = not line.endswith(";") and "///" in lines[min(i + 1, len(lines) - 1)]
            if struct and member and not wrapped:
                words = said.get((struct, member[1]), "")
        several = re.match(r" +([\w:<>*]+(?:<.*>)?) (\w+(?: = [^,;]+)?(?:, \w+(?: = [^,;]+)?)+);(?:  ///< (.*))?$", line)
        above = re.match(r" +/// (.*)", before)
        if several and (several[3] or above):
            # Doxygen gives a comment to one of them.
            text = several[3] or above[1]
            line = " ".join(f"/** {text} */ {several[1]} {name};" for name in several[2].split(", "))
            if above and not several[3]:
                result[-1] = ""
            words = ""
        if i in hidden:
            result.append("")
        elif words:
            result.append(f"/** {words} */ {line.lstrip()}" if not line.startswith("#") else f"/** {words} */\n{line}")
        else:
            result.append(line)
        before = line
    return "\n".join(result)


def main(root, out):
    said = said_elsewhere(root)
    for header in sorted((root / "include").rglob("*.hpp")):
        target = out / header.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(filtered(header, said))


main(*(pathlib.Path(argument).resolve() for argument in sys.argv[1:3]))

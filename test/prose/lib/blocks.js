// The text of a paragraph or a cell as a reader sees it, on one line.

const placeholder = "X"; // for code and pictures: a word, and never one of the glossary

// block returns the text of a node, and for each of its characters the place in the source.
export function block(node, source) {
  let text = "";
  const places = [];
  const append = (s, start, step) => {
    for (let i = 0; i < s.length; i++) {
      text += s[i] === "\n" ? " " : s[i];
      places.push(start + i * step);
    }
  };
  const walk = (n) => {
    if (n.type === "Str") {
      append(n.value, n.range[0], source.slice(...n.range) === n.value ? 1 : 0);
    } else if (n.type === "Code" || n.type === "Image") {
      append(placeholder, n.range[0], 0);
    } else if (n.type === "Break") {
      append(" ", n.range[0], 0);
    } else if (n.type === "Html" && n.value === "<br>") {
      append("\u2029", n.range[0], 0); // ends a sentence
    } else if (n.children) {
      n.children.forEach(walk);
    }
  };
  walk(node);
  return { text, places };
}

const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });

// sentences yields each sentence of a block with its offset in the text.
export function* sentences(text) {
  for (const { segment, index } of segmenter.segment(text)) {
    const lead = segment.length - segment.trimStart().length;
    if (segment.trim()) {
      yield { sentence: segment.trim(), offset: index + lead };
    }
  }
}

// inTableHead reports whether a cell is one of the first row.
export function inTableHead(cell) {
  const row = cell.parent;
  return cell.type === "TableCell" && row.parent.children[0] === row;
}

// inGlossary reports whether a cell is one of a table that lists the words not to use.
export function inGlossary(cell) {
  if (cell.type !== "TableCell") {
    return false;
  }
  const [head] = cell.parent.parent.children;
  return head.children.some((c) => c.children[0]?.value === "not");
}

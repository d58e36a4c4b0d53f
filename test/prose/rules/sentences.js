// Sentences that are read once: short, with one colon at most, and with a
// subject that comes first.
import { block, inTableHead, sentences } from "../lib/blocks.js";

const longest = 30;

const starts = /^[^\p{L}]*(who|whom|whose|whoever|what|whatever|which|whichever|of (?:which|whom|whose))\b/iu;

// A clause is headless where no noun stands before who or what.
const before = "of|to|from|by|with|for|in|on|at|than|as|and|or|but|nor|about|after|before|until|into|over|is|are|was|were|means|that|if|when|because|while|so|not|only|all|just|from";
const headless = [
  new RegExp(`\\b(?:${before})\\s+(?:who|whom|whoever|what|whatever)\\b`, "iu"),
  /[,;:(–—]\s*(?:whoever|what|whatever)\b/iu,
  /[;:(–—]\s*(?:who|whom|whose)\b/iu,
];

export default function (context) {
  const { RuleError, report, getSource, locator } = context;
  const check = (node) => {
    if (inTableHead(node)) {
      return;
    }
    const { text, places } = block(node, getSource());
    for (const { sentence, offset } of sentences(text)) {
      const complain = (message, at = 0) => {
        const place = places[offset + at] - node.range[0];
        report(node, new RuleError(message, { padding: locator.at(place) }));
      };
      const words = sentence.match(/[\p{L}\p{N}][^\s]*/gu) ?? [];
      if (words.length > longest) {
        complain(`a sentence of ${words.length} words; ${longest} are the most`);
      }
      if ((sentence.match(/:(?=\s|$)/g) ?? []).length > 1) {
        complain("two colons in a sentence; make it two sentences or a list");
      }
      const first = starts.exec(sentence);
      if (first) {
        complain(`a sentence begins with "${first[1]}"; begin with the noun`);
      }
      for (const clause of headless) {
        const found = clause.exec(sentence);
        if (found) {
          complain(`headless clause "${found[0]}"; name the noun`, found.index);
        }
      }
    }
  };
  return { Paragraph: check, TableCell: check };
}

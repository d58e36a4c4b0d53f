// The words of glossary.json: one thing has one name in every page and comment.
// An entry is for all of them, or in pages only, or in one page.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { block, inGlossary } from "../lib/blocks.js";

const entries = JSON.parse(readFileSync(new URL("../glossary.json", import.meta.url), "utf8")).map((entry) => ({
  ...entry,
  pattern: new RegExp(`\\b(?:${entry.not.replaceAll(" ", "\\s+")})\\b`, "giu"),
}));

export default function (context) {
  const { RuleError, report, getSource, locator, getFilePath } = context;
  const page = basename(getFilePath());
  const applies = (where) => where === undefined || where === page || (where === "pages" && !page.endsWith(".go.md"));
  const check = (node) => {
    if (inGlossary(node)) {
      return;
    }
    const { text, places } = block(node, getSource());
    for (const { pattern, but, in: where } of entries) {
      if (!applies(where)) {
        continue;
      }
      for (const found of text.matchAll(pattern)) {
        const place = places[found.index] - node.range[0];
        report(node, new RuleError(`"${found[0]}": write ${but}`, { padding: locator.at(place) }));
      }
    }
  };
  return { Paragraph: check, TableCell: check, Header: check };
}

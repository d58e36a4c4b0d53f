// Every link of a page leads to a file of the repository, and its anchor to a heading there.
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import GithubSlugger from "github-slugger";
import { parse } from "@textlint/markdown-to-ast";

const root = join(import.meta.dirname, "../../..");

function text(node) {
  return node.children ? node.children.map(text).join("") : node.type === "Image" ? "" : (node.value ?? "");
}

const pages = new Map();

// anchors of a page are those that GitHub makes of its headings, and the ids in its HTML.
function anchors(path) {
  if (!pages.has(path)) {
    const slugger = new GithubSlugger();
    const found = new Set();
    const walk = (node) => {
      if (node.type === "Header") {
        found.add(slugger.slug(text(node)));
      } else if (node.type === "Html") {
        for (const [, id] of node.value.matchAll(/\b(?:id|name)="([^"]+)"/g)) {
          found.add(id);
        }
      }
      node.children?.forEach(walk);
    };
    walk(parse(readFileSync(path, "utf8")));
    pages.set(path, found);
  }
  return pages.get(path);
}

// problem of a link from a page, or undefined.
function problem(page, url) {
  if (/^(?:https?|mailto):/.test(url)) {
    return URL.canParse(url) ? undefined : "is not a URL";
  }
  const [path, anchor] = url.split("#", 2);
  const target = path === "" ? page : join(dirname(page), decodeURI(path));
  if (relative(root, target).startsWith("..") || path.startsWith("/")) {
    return "leads out of the repository";
  }
  if (!existsSync(target)) {
    return "leads to no file";
  }
  if (anchor === undefined) {
    return undefined;
  }
  if (!statSync(target).isFile() || !target.endsWith(".md")) {
    return "has an anchor, and its file is no page";
  }
  return anchors(target).has(decodeURIComponent(anchor)) ? undefined : "has an anchor that is no heading of the page";
}

export default function (context) {
  const { Syntax, RuleError, report, getFilePath } = context;
  const check = (node, url) => {
    const found = problem(getFilePath(), url);
    if (found) {
      report(node, new RuleError(`the link ${url} ${found}`));
    }
  };
  const html = (node) => {
    for (const [, url] of node.value.matchAll(/\b(?:href|src|srcset)="([^"\s]+)/g)) {
      check(node, url);
    }
  };
  return {
    [Syntax.Link]: (node) => check(node, node.url),
    [Syntax.Image]: (node) => check(node, node.url),
    [Syntax.Definition]: (node) => check(node, node.url),
    [Syntax.Html]: html,
    [Syntax.HtmlBlock]: html,
  };
}

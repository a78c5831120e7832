// node make.cjs: the words of the texts in words.jsonl by two published expressions, o200k's and tekken's, as the regular expressions of
// Node have them (Unicode 17). Node's \s differs from White_Space, so that stands here as a class.
const fs = require("fs"), file = __dirname + "/words.jsonl";
const W = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000", S = `[${W}]`, NOT_S = `[^${W}]`;
const O = "[^\\r\\n\\p{L}\\p{N}]?", U = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]", L = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
const C = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?";
const tail = `| ?[^${W}\\p{L}\\p{N}]+[\\r\\n/]*|${S}*[\\r\\n]+|${S}+(?!${NOT_S})|${S}+`;
const o200k = new RegExp(`${O}${U}*${L}+${C}|${O}${U}+${L}*${C}|\\p{N}{1,3}${tail}`, "gu");
const tekken = new RegExp(`${O}${U}*${L}+|${O}${U}+${L}*|\\p{N}${tail}`, "gu");
const texts = fs.readFileSync(file, "utf8").trim().split("\n").map(l => JSON.parse(l).text);
fs.writeFileSync(file, texts.map(t => JSON.stringify({ text: t, "gpt-4o": t.match(o200k), tekken: t.match(tekken) }) + "\n").join(""));
